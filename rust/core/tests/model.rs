//! The engine against a plain model, with random programs of operations.
//!
//! ```text
//! cargo test -p scheduler-core --features check-invariants --test model
//! MODEL_OPERATIONS=10000000 cargo test -p scheduler-core --features check-invariants \
//!     --test model long_run -- --nocapture
//! ```
//!
//! Two drivers share the programs and the comparison (`support/`). Proptest draws short programs
//! and makes the failing ones small. The long run draws longer ones as fast as it can:
//! `MODEL_OPERATIONS` says for how many operations (two million by default), `MODEL_SEED` repeats
//! a run by the seed that it printed, and a program that fails is made small as well.
//!
//! What is compared after each operation, and against which promise of the documentation, stands in
//! `support/trial.rs`; what the promises are, in `support/reference.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a random test has to say its seed")]

mod support;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, proptest};
use scheduler_core::{
    Cancelled, Completion, Engine, Gauges, Misfire, NEVER, Nanos, Recurrence, Repeat, SECOND_NS,
    State, Taken, TaskId,
};
use support::operations::{Dice, Program, magnitude};
use support::trial::{self, assert_memory_returned};

const UNKNOWN: Cancelled = Cancelled::Unknown;

const YEAR_NS: Nanos = 365 * 86_400 * SECOND_NS;

fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.replace('_', "").parse().unwrap())
}

// ---- random programs ---------------------------------------------------------------------------

fn programs(length: usize) -> impl Strategy<Value = Program> {
    let word = || any::<u64>();
    let words = vec((any::<u8>(), word(), word()), 1..length);
    (word(), 0_u32..55, word(), any::<u16>(), word(), words).prop_map(
        |(start, bits, fraction, without, cuts, words)| {
            let span = 1 + (fraction & ((1 << bits) - 1));
            let start = Program::begin(start, span);
            Program { start, span, without: without & (cuts >> 48) as u16, cuts, words }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn short_programs(program in programs(250)) {
        trial::run(&program);
    }
}

#[test]
fn long_run() {
    let operations = number_from_environment("MODEL_OPERATIONS").unwrap_or(2_000_000);
    let seed = number_from_environment("MODEL_SEED")
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64);
    eprintln!("MODEL_SEED={seed} MODEL_OPERATIONS={operations}");
    let mut dice = Dice(seed);
    let (mut done, mut programs, begin) = (0, 0, Instant::now());
    while done < operations {
        let program = draw(&mut dice);
        match catch_unwind(AssertUnwindSafe(|| trial::run(&program))) {
            Ok(calls) => done += calls,
            Err(_) => report(program, seed),
        }
        programs += 1;
    }
    eprintln!("{done} operations in {programs} programs, {:.1} s", begin.elapsed().as_secs_f64());
}

fn draw(dice: &mut Dice) -> Program {
    let length = if dice.below(8) == 0 { 4_000 } else { 50 + dice.below(400) };
    let span = 1 + magnitude(dice.next()) / 100;
    let without = dice.next() as u16 & dice.next() as u16;
    let start = Program::begin(dice.next(), span);
    let words = (0..length).map(|_| (dice.next() as u8, dice.next(), dice.next())).collect();
    Program { start, span, without, cuts: dice.next(), words }
}

/// Leaves out of a failing program what it fails without, and prints the rest.
fn report(mut program: Program, seed: u64) -> ! {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut piece = program.words.len() / 2;
    while piece > 0 {
        let mut from = 0;
        while from < program.words.len() {
            let mut smaller = program.clone();
            smaller.words.drain(from..(from + piece).min(program.words.len()));
            if catch_unwind(AssertUnwindSafe(|| trial::run(&smaller))).is_err() {
                program = smaller;
            } else {
                from += piece;
            }
        }
        piece /= 2;
    }
    std::panic::set_hook(hook);
    eprintln!("{program:?}");
    let failure = catch_unwind(AssertUnwindSafe(|| trial::run(&program)));
    panic!("MODEL_SEED={seed} fails; above its smallest form, which fails: {}", failure.is_err());
}

// ---- what random programs do not cover ---------------------------------------------------------

fn nominal(engine: &mut Engine, id: TaskId) -> Nanos {
    assert_eq!(engine.take(), Some(Taken::Run(id.slot())));
    engine.view(id).unwrap().nominal
}

#[test]
fn the_billionth_run_is_on_the_grid() {
    for interval in [1, 3, 333_333_333, (1 << 20) - 1, 1 << 20, 7 * SECOND_NS] {
        for misfire in [Misfire::Latest, Misfire::Earliest, Misfire::All, Misfire::Skip] {
            let anchor = 1_763_800_000_123_456_789;
            let rule = Arc::new(Recurrence {
                repeat: Repeat::FixedRate(interval),
                misfire,
                catch_up_limit: 1,
                ..Recurrence::default()
            });
            let mut engine = Engine::new(anchor - 1, 0);
            let id = engine.schedule(anchor, 0, Some(&rule)).unwrap();
            let mut dice = Dice(interval);
            let (mut k, mut given_up) = (0_u64, 0);
            while k < 1_000_000_000 {
                let due = anchor + k * interval;
                if engine.now() < due {
                    // One nanosecond before its time there is nothing to take.
                    while !engine.advance(due - 1, 64) {}
                    assert_eq!(engine.take(), None);
                    assert_eq!(engine.next_deadline(), due);
                }
                // Sometimes on time, sometimes after more occurrences than could be counted.
                let late = if misfire == Misfire::Skip { 0 } else { dice.below(3) * 1_000_003 };
                while !engine.advance(due + late * interval, 64) {}
                let expected = if misfire == Misfire::Earliest { k } else { k + late };
                assert_eq!(nominal(&mut engine, id), anchor + expected * interval);
                given_up += late;
                // The run lasts for a while, beyond some more.
                let busy = dice.below(3) * (1 + dice.below(1_000_003));
                let ended = due + (late + busy) * interval;
                let completion = engine.complete(id.slot(), ended, false);
                // What is due at the very end of the run is the next; under "all", each is.
                let skipped = if misfire == Misfire::All { 0 } else { busy.saturating_sub(1) };
                let (history_index, due) = (None, anchor + expected * interval);
                assert_eq!(completion, Some(Completion { history_index, due, skipped }));
                k += late + 1 + skipped;
                // Under "all" the backlog is one that a limit of one makes short, at the next take.
                if misfire == Misfire::All && busy > 1 {
                    while !engine.advance(ended, 64) {}
                    assert_eq!(nominal(&mut engine, id), ended);
                    engine.complete(id.slot(), ended, false);
                    k += busy;
                    given_up += busy - 1;
                }
            }
            assert_eq!(engine.counters().missed, given_up);
            assert_eq!(engine.gauges().pending, 1);
        }
    }
}

#[test]
fn a_century_of_deadlines_is_kept_to_the_nanosecond() {
    let now = 1_763_800_000_000_000_000;
    let mut engine = Engine::new(now, 0);
    let mut expected: Vec<(Nanos, u32)> = Vec::new();
    for bits in 0..62 {
        for beside in [-1_i64, 0, 1] {
            let span = (1_u64 << bits).saturating_add_signed(beside).min(100 * YEAR_NS);
            let id = engine.schedule(now + span, 0, None).unwrap();
            expected.push((now + span, id.slot()));
        }
    }
    expected.sort_by_key(|(deadline, _)| *deadline);
    for (deadline, slot) in expected {
        if engine.now() < deadline {
            assert_eq!(engine.next_deadline(), deadline);
            while !engine.advance(deadline - 1, 1) {}
            assert_eq!(engine.take(), None);
        }
        while !engine.advance(deadline, 1) {}
        // Of equals, the one scheduled first.
        assert_eq!(engine.take(), Some(Taken::Run(slot)));
        engine.check();
    }
    assert_eq!(engine.next_deadline(), NEVER);
}

/// A load in the shape that a test can vary: many tasks, spread over so much time.
fn load(engine: &mut Engine, tasks: u64, width: Nanos, dice: &mut Dice) -> Vec<TaskId> {
    let now = engine.now();
    let rule =
        Arc::new(Recurrence { repeat: Repeat::FixedRate(SECOND_NS), ..Recurrence::default() });
    (0..tasks)
        .map(|_| {
            let rule = (dice.below(4) == 0).then_some(&rule);
            engine.schedule(now + dice.below(width), dice.next() as u8, rule).unwrap()
        })
        .collect()
}

fn shuffle(ids: &mut [TaskId], dice: &mut Dice) {
    for index in (1..ids.len()).rev() {
        ids.swap(index, dice.below(index as u64 + 1) as usize);
    }
}

#[test]
fn memory_returns_after_everything_is_cancelled() {
    // On one nanosecond, in one bucket, over a minute, over a century; waiting, half of it ready,
    // and left in the middle of a bucket.
    for width in [1, 1 << 20, 60 * SECOND_NS, 100 * YEAR_NS] {
        for advanced in [0, 1, 2] {
            let mut dice = Dice(width + advanced);
            let mut engine = Engine::new(1_763_800_000_000_000_000, 40);
            let mut ids = load(&mut engine, 200_000, width, &mut dice);
            let middle = engine.now() + width / 2;
            match advanced {
                0 => {}
                1 => assert!(engine.advance(middle, u32::MAX)),
                _ => assert!(!engine.advance(middle, 30_000)),
            }
            shuffle(&mut ids, &mut dice);
            for (index, pair) in ids.chunks(100).enumerate() {
                assert_eq!(engine.cancel_batch(pair), pair.len());
                if index % 500 == 0 {
                    engine.check();
                }
            }
            assert_eq!(engine.cancel_batch(&ids), 0, "each only once");
            engine.check();
            assert_eq!(engine.ready(), 0);
            assert_memory_returned(&engine, 256 << 10);
        }
    }
}

#[test]
fn tombstones_stay_within_their_bound_while_work_is_taken() {
    let mut dice = Dice(7);
    let mut engine = Engine::new(0, 0);
    let mut ids = load(&mut engine, 50_000, SECOND_NS, &mut dice);
    assert!(engine.advance(SECOND_NS, u32::MAX));
    shuffle(&mut ids, &mut dice);
    for id in &ids[..24_000] {
        engine.cancel(*id);
    }
    engine.check();
    while let Some(Taken::Run(slot)) = engine.take() {
        engine.check();
        engine.complete(slot, SECOND_NS, false);
    }
}

/// One long list, in which compaction takes many calls, while it is emptied and filled.
#[test]
fn a_long_list_is_compacted_under_the_hands_of_those_who_use_it() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let mut engine = Engine::new(0, 0);
        let schedule = |engine: &mut Engine, live: &mut BTreeSet<TaskId>| {
            live.insert(engine.schedule(1, 0, None).unwrap());
        };
        let mut live = BTreeSet::new();
        (0..20_000).for_each(|_| schedule(&mut engine, &mut live));
        let released = seed % 2 == 0;
        if released {
            assert!(engine.advance(1, u32::MAX));
        }
        // The last are dead and the first are taken, so that the dead come to be the majority.
        let mut order: Vec<TaskId> = live.iter().copied().collect();
        let dead = order.split_off(10_100);
        shuffle(&mut order, &mut dice);
        let mut to_cancel: Vec<TaskId> = order.drain(..2_000).chain(dead).collect();
        while let Some(id) = to_cancel.pop() {
            if live.remove(&id) {
                assert_ne!(engine.cancel(id), UNKNOWN);
            }
            match dice.below(8) {
                // Far below the number of entries, and never done within one call.
                0 if !released => {
                    engine.advance(1, 1 + dice.below(100) as u32);
                }
                1..4 => {
                    if let Some(Taken::Run(slot)) = engine.take() {
                        let id = engine.id_of(slot).unwrap();
                        assert!(live.remove(&id), "taken twice, or after it was cancelled");
                    }
                }
                4 => schedule(&mut engine, &mut live),
                _ => {}
            }
            engine.check();
        }
        while !engine.advance(1, 300) {
            engine.check();
        }
        while let Some(Taken::Run(slot)) = engine.take() {
            assert!(live.remove(&engine.id_of(slot).unwrap()));
        }
        assert!(live.is_empty(), "{} were lost", live.len());
    }
}

/// The chunk at which a pass of compaction stopped is emptied and given back before it goes on.
#[test]
fn compaction_goes_on_though_work_is_taken_where_it_stopped() {
    for cancelled in 9_980..10_040 {
        let mut engine = Engine::new(0, 0);
        let ids: Vec<TaskId> = (0..20_000).map(|_| engine.schedule(1, 0, None).unwrap()).collect();
        assert!(engine.advance(1, u32::MAX));
        let mut left: Vec<u32> = ids.iter().map(|id| id.slot()).collect();
        left.drain(2..2 + cancelled);
        ids[2..2 + cancelled].iter().for_each(|id| assert_ne!(engine.cancel(*id), UNKNOWN));
        for (index, slot) in left.into_iter().enumerate() {
            assert_eq!(engine.take(), Some(Taken::Run(slot)));
            if index < 40 {
                engine.check();
                // Other lists want chunks too.
                assert!(engine.schedule(1 << 30, 0, None).is_ok());
            }
        }
        assert_eq!(engine.take(), None);
    }
}

#[test]
fn slots_are_used_again_before_new_ones_are_made() {
    let mut engine = Engine::new(0, 0);
    let mut limits = Vec::new();
    for round in 0..4 {
        let ids = load(&mut engine, 200_000, SECOND_NS, &mut Dice(round));
        limits.push((engine.slot_limit(), engine.bytes() >> 20));
        assert_eq!(engine.cancel_batch(&ids), ids.len());
        assert_eq!(engine.slot_limit(), 0);
    }
    // How much of the chunks is touched depends on the deadlines, which differ from round to round.
    let (slots, mebibytes) = limits[0];
    assert!(limits.iter().all(|limit| limit.0 == slots && limit.1 <= mebibytes + 1), "{limits:?}");
}

// ---- runs by hand, and what they must leave alone ----------------------------------------------

/// A task every ten nanoseconds from 100 on, at 95, with a run by hand under way.
fn by_hand(end: Nanos, started: Nanos) -> (Engine, TaskId) {
    let rule = Arc::new(Recurrence { repeat: Repeat::FixedRate(10), end, ..Recurrence::default() });
    let mut engine = Engine::new(95, 0);
    let id = engine.schedule(100, 0, Some(&rule)).unwrap();
    assert!(engine.advance(started, u32::MAX));
    assert!(engine.run_now(id));
    assert!(engine.advance(started, u32::MAX));
    assert_eq!(nominal(&mut engine, id), started);
    (engine, id)
}

#[test]
fn a_run_by_hand_does_not_swallow_an_occurrence_that_was_due_before() {
    let (mut engine, id) = by_hand(100, 105);
    let completion = engine.complete(id.slot(), 106, false);
    assert_eq!(completion, Some(Completion { history_index: None, due: 105, skipped: 0 }));
    assert!(engine.advance(106, u32::MAX));
    assert_eq!(nominal(&mut engine, id), 100, "late, but not lost");
}

#[test]
fn a_run_by_hand_skips_what_falls_due_meanwhile_and_no_more_than_there_is() {
    let (mut engine, id) = by_hand(120, 95);
    let completion = engine.complete(id.slot(), 115, false);
    assert_eq!(completion, Some(Completion { history_index: None, due: 95, skipped: 2 }));
    assert_eq!(engine.view(id).unwrap().nominal, 120);
    let (mut engine, id) = by_hand(120, 95);
    let completion = engine.complete(id.slot(), 1_000, false);
    assert_eq!(completion, Some(Completion { history_index: Some(0), due: 95, skipped: 3 }));
}

#[test]
fn a_time_given_during_a_run_by_hand_is_kept_as_it_is() {
    let (mut engine, id) = by_hand(120, 95);
    assert!(engine.reschedule(id, 103, false));
    let completion = engine.complete(id.slot(), 112, false);
    assert_eq!(completion, Some(Completion { history_index: None, due: 95, skipped: 0 }));
    assert_eq!(engine.view(id).unwrap().nominal, 103);
}

#[test]
fn a_time_beyond_the_end_that_was_asked_for_survives_a_run_by_hand() {
    let (mut engine, id) = by_hand(120, 95);
    engine.complete(id.slot(), 96, false);
    assert!(engine.reschedule(id, 500, false));
    assert!(engine.run_now(id));
    assert!(engine.advance(96, u32::MAX));
    assert_eq!(nominal(&mut engine, id), 96);
    for ended in [97, 600] {
        engine.complete(id.slot(), ended, false);
        assert_eq!(engine.view(id).map(|view| view.nominal), Some(500));
    }
}

/// Waits for a run by hand of a paused task.
fn paused_and_asked_for() -> (Engine, TaskId) {
    let rule = Arc::new(Recurrence { repeat: Repeat::FixedRate(10), ..Recurrence::default() });
    let mut engine = Engine::new(95, 9);
    let id = engine.schedule(100, 0, Some(&rule)).unwrap();
    assert!(engine.pause(id) && engine.run_now(id));
    assert!(!engine.run_now(id), "once is enough");
    assert!(engine.advance(96, u32::MAX));
    (engine, id)
}

#[test]
fn a_run_by_hand_of_a_paused_task_leaves_it_paused() {
    let (mut engine, id) = paused_and_asked_for();
    assert_eq!(nominal(&mut engine, id), 95);
    assert_eq!(engine.view(id).map(|view| (view.state, view.runs)), Some((State::Pausing, 0)));
    engine.complete(id.slot(), 97, true);
    let view = engine.view(id).unwrap();
    assert_eq!((view.state, view.nominal, view.skipped), (State::Paused, 100, 0));
    assert!(engine.advance(1_000, u32::MAX));
    assert_eq!(engine.take(), None);
    assert!(engine.resume(id));
    assert!(engine.advance(1_000, u32::MAX));
    assert_eq!(nominal(&mut engine, id), 1_000);
    // A one-shot as well.
    let once = engine.schedule(2_000, 0, None).unwrap();
    assert!(engine.pause(once) && engine.run_now(once));
    assert!(engine.advance(1_000, u32::MAX));
    assert_eq!(nominal(&mut engine, once), 1_000);
    engine.complete(once.slot(), 1_001, false);
    assert_eq!(
        engine.view(once).map(|view| (view.state, view.nominal)),
        Some((State::Paused, 2_000))
    );
    assert_eq!(engine.gauges(), Gauges { pending: 0, running: 1, paused: 1 });
}

#[test]
fn what_else_is_asked_of_a_paused_task_before_its_run_by_hand_counts() {
    let (mut engine, id) = paused_and_asked_for();
    assert!(engine.resume(id));
    assert_eq!(nominal(&mut engine, id), 95);
    engine.complete(id.slot(), 97, false);
    assert_eq!(engine.view(id).map(|view| (view.state, view.nominal)), Some((State::Pending, 100)));

    let (mut engine, id) = paused_and_asked_for();
    assert!(engine.pause(id));
    assert_eq!((engine.take(), engine.gauges().paused), (None, 1));

    let (mut engine, id) = paused_and_asked_for();
    assert!(engine.reschedule(id, 103, false));
    assert_eq!(engine.take(), None);
    assert_eq!(engine.view(id).map(|view| (view.state, view.nominal)), Some((State::Paused, 103)));

    let (mut engine, id) = paused_and_asked_for();
    assert_eq!(engine.cancel_batch(&[id]), 1);
    assert_eq!((engine.take(), engine.gauges()), (None, Gauges::default()));
}

#[test]
fn lateness_counts_from_when_a_run_was_due() {
    let rule = Arc::new(Recurrence {
        repeat: Repeat::FixedRate(1_000),
        jitter: 900,
        max_runs: 2,
        ..Recurrence::default()
    });
    let mut engine = Engine::new(0, 9);
    engine.set_wall_offset(1_000_000);
    while !engine.rekey(64) {}
    engine.set_seed(5);
    let id = engine.schedule(1_000, 0, Some(&rule)).unwrap();
    let mut due = engine.view(id).unwrap().due;
    assert!((1_001_001..=1_001_900).contains(&due), "{due}");
    for left in [1, 0] {
        assert!(engine.advance(due - 1_000_000 + 7, u32::MAX));
        assert!(matches!(engine.take(), Some(Taken::Run(_))));
        let view = engine.view(id).unwrap();
        assert_eq!((view.due, view.started), (due, Some(due + 7)));
        let done = engine.complete(id.slot(), due - 1_000_000 + 8, false).unwrap();
        assert_eq!((done.due, done.history_index), (due, (left == 0).then_some(0)));
        if left > 0 {
            due = engine.view(id).unwrap().due;
        }
    }
    let (_, ended) = engine.ended(id).unwrap();
    assert_eq!((ended.nominal, ended.due, ended.started), (1_002_000, due, Some(due + 7)));
    // A run by hand is due when it is asked for.
    let id = engine.schedule(9_000, 0, Some(&rule)).unwrap();
    assert!(engine.run_now(id));
    let now = engine.now();
    assert_eq!(engine.view(id).map(|view| view.due), Some(now + 1_000_000));
    assert!(engine.advance(now, u32::MAX));
    assert_eq!(engine.take(), Some(Taken::Run(id.slot())));
    assert_eq!(engine.complete(id.slot(), now, false).map(|done| done.due), Some(now + 1_000_000));
    // Of a task that is cancelled, when it would have been due.
    let due = engine.view(id).map(|view| view.due);
    engine.cancel(id);
    assert_eq!(engine.ended(id).map(|(_, ended)| ended.due), due);
}

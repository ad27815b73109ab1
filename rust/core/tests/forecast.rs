//! What is foretold of tasks that are overdue, under way, asked for by hand or given another time.

use std::sync::Arc;

use scheduler_core::{
    Engine, Forecast, Misfire, Nanos, Recurrence, Repeat, SECOND_NS, Taken, TaskId,
};

const S: Nanos = SECOND_NS;
/// When everything here is scheduled.
const START: Nanos = 1_000 * S;
/// How many seconds are foretold.
const SECONDS: usize = 60;

fn every(interval: Nanos) -> Recurrence {
    Recurrence { repeat: Repeat::FixedRate(interval), ..Recurrence::default() }
}

fn after_each(delay: Nanos) -> Recurrence {
    Recurrence { repeat: Repeat::FixedDelay(delay), ..Recurrence::default() }
}

fn engine(seed: u64) -> Engine {
    let mut engine = Engine::new(START, 9);
    engine.set_seed(seed);
    engine
}

fn take(engine: &mut Engine) -> u32 {
    while !engine.advance(engine.now(), 64) {}
    let Some(Taken::Run(slot)) = engine.take() else { panic!("it is due") };
    slot
}

fn foretold(engine: &Engine) -> Vec<u32> {
    let mut forecast = Forecast::new(engine.now(), SECONDS);
    forecast.note(engine, 0, 256);
    forecast.count();
    let counted = forecast.seconds().to_vec();

    // In pieces of any size it is the same.
    for steps in [1, 7, 60] {
        let mut forecast = Forecast::new(engine.now(), SECONDS);
        forecast.note(engine, 0, 256);
        while forecast.count_some(steps) {}
        assert_eq!(forecast.seconds(), counted);
        assert!(!forecast.count_some(steps));
    }
    counted
}

/// Runs in each second from now on.
fn seen(engine: &mut Engine) -> Vec<u32> {
    let start = engine.now();
    let mut seconds = vec![0; SECONDS];
    loop {
        let next = engine.next_deadline().max(engine.now());
        if next >= start + SECONDS as Nanos * S {
            return seconds;
        }
        while !engine.advance(next, 64) {}
        while let Some(taken) = engine.take() {
            let Taken::Run(slot) = taken else { continue };
            seconds[((next - start) / S) as usize] += 1;
            if engine.complete(slot, next, false).is_some_and(|done| done.history_index.is_some()) {
                engine.release(slot);
            }
            while !engine.advance(next, 64) {}
        }
    }
}

#[test]
fn what_is_overdue_is_judged_as_it_will_be() {
    let bounded = |rule: Recurrence| Recurrence { max_runs: 5, ..rule };
    let rules = [
        every(7 * S),
        every(S / 10),
        bounded(every(7 * S)),
        bounded(every(S / 10)),
        after_each(7 * S),
        after_each(S * 3 / 10),
        bounded(after_each(S * 3 / 10)),
        Recurrence { end: START + 20 * S, ..every(3 * S) },
        Recurrence { end: START + 2 * S, ..every(3 * S) },
        Recurrence { end: START + 2 * S, ..every(S / 3) },
        Recurrence { misfire: Misfire::Skip, ..every(7 * S) },
        Recurrence { misfire: Misfire::Skip, ..every(S / 10) },
        Recurrence { misfire: Misfire::Earliest, ..every(7 * S) },
        Recurrence { grace: S, ..every(7 * S) },
        Recurrence { grace: S, ..after_each(7 * S) },
        Recurrence { grace: S, ..Recurrence::default() },
        Recurrence { jitter: 30 * S, ..every(10 * S) },
        Recurrence { jitter: 9 * S, ..after_each(10 * S) },
        Recurrence { window: 9 * S, ..every(10 * S) },
        Recurrence { window: 30 * S, ..every(S / 2) },
    ];
    for seed in 0..20 {
        for rule in &rules {
            for late in [0, S / 20, 10 * S + S / 20, 12 * S] {
                let mut engine = engine(seed);
                assert!(engine.schedule(START, 128, Some(&Arc::new(rule.clone()))).is_ok());
                engine.tell(START + late);
                let foretold = foretold(&engine);
                assert_eq!(foretold, seen(&mut engine), "{rule:?}, {late} late, seed {seed}");
            }
        }
    }
}

#[test]
fn a_run_under_way_is_taken_to_end_now() {
    let change = |_: &mut Engine, _: TaskId| {};
    let again = |engine: &mut Engine, id: TaskId| {
        assert!(engine.reschedule(id, START + 23 * S, true));
    };
    for change in [&change as &dyn Fn(&mut Engine, TaskId), &again] {
        for rule in [every(7 * S), every(S / 10), after_each(7 * S), Recurrence::default()] {
            for lasts in [0, 3 * S, 10 * S + 1] {
                let mut engine = engine(0);
                let id = engine.schedule(START, 128, Some(&Arc::new(rule.clone()))).expect("an id");
                let slot = take(&mut engine);
                change(&mut engine, id);
                engine.tell(START + lasts);
                let foretold = foretold(&engine);
                let now = engine.now();
                if engine
                    .complete(slot, now, false)
                    .is_some_and(|done| done.history_index.is_some())
                {
                    engine.release(slot);
                }
                assert_eq!(foretold, seen(&mut engine), "{rule:?}, {lasts}");
            }
        }
    }
}

#[test]
fn a_run_by_hand_comes_once_more_and_moves_nothing() {
    for rule in [every(7 * S), every(S / 10), Recurrence { max_runs: 2, ..every(7 * S) }] {
        let mut engine = engine(0);
        let id = engine.schedule(START + 5 * S, 128, Some(&Arc::new(rule.clone()))).expect("an id");
        engine.tell(START + 2 * S);
        assert!(engine.run_now(id));
        let pending = foretold(&engine);
        let slot = take(&mut engine);
        let running = foretold(&engine);
        engine.complete(slot, START + 2 * S, false);
        let mut seen = seen(&mut engine);
        assert_eq!(running, seen, "{rule:?}");
        seen[0] += 1;
        assert_eq!(pending, seen, "{rule:?}");
    }
}

#[test]
fn tasks_that_are_counted_together_are_counted_right() {
    let mut engine = engine(0);
    for (interval, count) in [(1, 40), (7, 30), (60, 50)] {
        for k in 0..count {
            // At the edges of seconds and in between, some of them overdue.
            let first = START + k * S / 8 - k % 3;
            assert!(engine.schedule(first, 128, Some(&Arc::new(every(interval * S)))).is_ok());
        }
    }
    for late in [0, 1, S / 8 - 1, S / 8, 2 * S] {
        engine.tell(START + late);
        let foretold = foretold(&engine);
        let now = engine.now();
        assert_eq!(foretold, seen(&mut engine), "{late} late");
        // Some have run more often than others now.
        engine.tell(now + SECONDS as Nanos * S);
    }
}

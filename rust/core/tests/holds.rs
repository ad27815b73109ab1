//! What one call may do, in steps of work: each call is one hold of the scheduler's lock.
//!
//! ```text
//! cargo test -p scheduler-core --features check-invariants --test holds
//! ```
//!
//! A step is an entry, slot or chunk that is looked at or moved, or a look at a part of a calendar:
//! from five nanoseconds to two hundred. What cannot be counted in steps is memory given back to
//! the system, and that no call does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use scheduler_core::calendar::{Calendar, Dst, Exclusions, Part, Rule, Zone};
use scheduler_core::{
    ADVANCE_BUDGET, Cancelled, Engine, Misfire, Nanos, Recurrence, Repeat, SECOND_NS, Taken, TaskId,
};

/// Enough for hundreds of runs in the front, and thousands of chunks in one list.
const TASKS: u64 = 200_000;

/// Ids that a bulk call cancels in one hold.
const SLICE: usize = 128;

/// What one call of `advance` may do: its budget for moving, as much for sorting, and what is
/// compacted on the way.
const ADVANCE: u64 = 3 * ADVANCE_BUDGET as u64 + 100;

/// What any other call may do: clear away a list in which nothing lives any more.
const CALL: u64 = 1_100;

/// A block that the allocator gives back to the system, rather than keeping it.
const LARGE: usize = 64 << 10;

thread_local! {
    static HELD: Cell<bool> = const { Cell::new(false) };
    static FREED: Cell<u64> = const { Cell::new(0) };
}

/// Notices large blocks that are freed or moved by a call.
struct Noticing;

#[allow(unsafe_code, reason = "an allocator is")]
// SAFETY: all is passed on to the system's allocator.
unsafe impl GlobalAlloc for Noticing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() >= LARGE && HELD.get() {
            FREED.set(FREED.get() + 1);
        }
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() >= LARGE && HELD.get() {
            FREED.set(FREED.get() + 1);
        }
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Noticing = Noticing;

/// Makes one call and asserts what it did. What it leaves is freed afterwards, as a gate does.
#[track_caller]
fn hold<R>(engine: &mut Engine, most: u64, call: impl FnOnce(&mut Engine) -> R) -> R {
    let before = engine.work();
    HELD.set(true);
    let result = call(engine);
    HELD.set(false);
    let work = engine.work() - before;
    assert!(work <= most, "{work} steps in one call");
    assert_eq!(FREED.get(), 0, "memory was freed or moved in a call");
    drop(engine.take_garbage());
    result
}

#[track_caller]
fn advance(engine: &mut Engine, now: Nanos) -> u64 {
    let mut calls = 1;
    while !hold(engine, ADVANCE, |engine| engine.advance(now, ADVANCE_BUDGET)) {
        calls += 1;
    }
    calls
}

#[track_caller]
fn cancel(engine: &mut Engine, id: TaskId) {
    let done = hold(engine, CALL, |engine| engine.cancel(id));
    let Cancelled::Removed { slot, .. } = done else { panic!("{id:?} is gone") };
    hold(engine, CALL, |engine| engine.release(slot));
}

/// Many tasks that are due within so many nanoseconds, from a moment on.
fn filled(from: Nanos, width: Nanos) -> (Engine, Vec<TaskId>) {
    let mut engine = Engine::new(0, 0);
    let ids = (0..TASKS)
        .map(|k| engine.schedule(from + k * 7_919 % width, (k % 3) as u8, None).unwrap())
        .collect();
    (engine, ids)
}

/// In an order that has nothing to do with that of scheduling.
fn shuffled(ids: &[TaskId]) -> Vec<TaskId> {
    (0..ids.len()).map(|k| ids[k * 7_927 % ids.len()]).collect()
}

#[test]
fn time_enters_a_full_bucket_in_short_holds() {
    // In one bucket of an upper level, which is cascaded; in one of the lowest, which is sorted.
    for (from, width) in [(1 << 40, 1 << 38), (1 << 40, 1 << 20), (1 << 40, 1)] {
        let (mut engine, ids) = filled(from, width);
        let calls = advance(&mut engine, from - 1);
        let calls = calls + advance(&mut engine, from + width);
        assert!(calls > TASKS / u64::from(ADVANCE_BUDGET), "{calls} calls");
        assert_eq!(engine.ready(), ids.len() as u64);
        for _ in 0..TASKS {
            let taken = hold(&mut engine, CALL, Engine::take);
            let Some(Taken::Run(slot)) = taken else { panic!("{taken:?}") };
            hold(&mut engine, CALL, |engine| engine.complete(slot, from + width, false));
            hold(&mut engine, CALL, |engine| engine.release(slot));
        }
        engine.check_entries();
    }
}

#[test]
fn all_are_cancelled_in_short_holds_wherever_they_are() {
    let from = 1 << 40;
    // In the wheel; in the front; in the ready queue.
    for now in [0, from + 1, from + (1 << 19)] {
        let (mut engine, ids) = filled(from + 1, 1 << 19);
        advance(&mut engine, now);
        for (index, id) in shuffled(&ids).into_iter().enumerate() {
            cancel(&mut engine, id);
            if index % 20_000 == 0 {
                engine.check();
            }
        }
        engine.check();
        engine.check_entries();
        assert_eq!(engine.slot_limit(), 0);
        // Again, in the order in which they are listed, and in bulk.
        let (mut engine, ids) = filled(from + 1, 1 << 19);
        advance(&mut engine, now);
        for slice in ids.chunks(SLICE) {
            let most = SLICE as u64 * 64 + CALL;
            assert_eq!(hold(&mut engine, most, |engine| engine.cancel_batch(slice)), slice.len());
        }
        assert_eq!(engine.slot_limit(), 0);
    }
}

/// The front keeps the dead within bounds, as all lists do.
#[test]
fn the_front_is_compacted() {
    let from = 1 << 40;
    let (mut engine, ids) = filled(from + 1, 1 << 19);
    // The first of them is due, so all are sorted.
    advance(&mut engine, from + 1);
    assert_eq!(engine.front_entries() + engine.ready(), TASKS);
    let (living, dead) = ids.split_at(TASKS as usize / 20);
    for id in shuffled(dead) {
        cancel(&mut engine, id);
        engine.check();
    }
    let (left, runs) = (living.len() as u64, TASKS / u64::from(ADVANCE_BUDGET) + 1);
    assert!(engine.front_entries() <= 2 * left + left / 8 + runs, "{}", engine.front_entries());
    engine.check_entries();
}

/// Half of what is ready is cancelled, and the dead are all before the living.
#[test]
fn the_dead_before_the_living_are_passed_over_in_short_holds() {
    let (mut engine, ids) = filled(1, 1);
    advance(&mut engine, 1);
    for id in &ids[..TASKS as usize / 2 - 100] {
        cancel(&mut engine, *id);
    }
    let mut taken = 0;
    loop {
        advance(&mut engine, 1);
        match hold(&mut engine, CALL, Engine::take) {
            Some(_) => taken += 1,
            None => break,
        }
    }
    assert_eq!(taken, TASKS / 2 + 100);
}

#[test]
fn a_clock_is_followed_and_a_storm_spread_in_short_holds() {
    let mut engine = Engine::new(1_000 * SECOND_NS, 0);
    for k in 0..TASKS {
        let slot = engine.reserve().unwrap();
        engine.arm_on_wall(slot, (5_000 + k % 3_600) * SECOND_NS, 0).unwrap();
    }
    hold(&mut engine, CALL, |engine| engine.set_wall_offset(8_000 * SECOND_NS as i64));
    // Each slot is looked at, and its bucket compacted.
    let slice = SLICE as u64 * 66 + CALL;
    while !hold(&mut engine, slice, |engine| engine.rekey(SLICE as u32)) {}
    advance(&mut engine, 1_000 * SECOND_NS);
    assert_eq!(engine.ready(), TASKS);
    let mut pace = hold(&mut engine, CALL, |engine| engine.pace(3_600 * SECOND_NS));
    while !hold(&mut engine, slice, |engine| engine.defer(&mut pace, SLICE as u32)) {}
    engine.check_entries();
}

fn grid(anchor: Nanos, interval: Nanos) -> Part {
    Part { rule: Rule::Grid { anchor, interval }, zone: Zone::utc(), dst: Dst::Debian }
}

/// Occurrences that can only be counted one by one are counted in pieces, and all of them are.
#[test]
fn late_work_on_unions_and_exclusions_is_judged_in_short_holds() {
    let nights = || Exclusions::new(Zone::utc(), 1, [], 0xff);
    let minute = 60 * SECOND_NS;
    for (parts, exclusions) in [
        (vec![grid(0, 2 * minute), grid(minute, 3 * minute)], None),
        (vec![grid(0, minute)], Some(nights())),
        ((0..50).map(|k| grid(k, 90 * minute)).collect(), None),
    ] {
        let calendar = Arc::new(Calendar::new(parts, exclusions).unwrap());
        for (misfire, limit) in [(Misfire::Latest, 1), (Misfire::All, 3_000), (Misfire::Skip, 1)] {
            let rule = Arc::new(Recurrence {
                repeat: Repeat::Calendar(calendar.clone()),
                misfire,
                catch_up_limit: limit,
                on_wall: true,
                ..Recurrence::default()
            });
            let mut engine = Engine::new(0, 0);
            let first = calendar.next_after(30 * 86_400 * SECOND_NS).unwrap();
            let id = engine.schedule(first, 0, Some(&rule)).unwrap();
            // Of the same priority and due later: it comes later, however long that takes.
            let other = engine.schedule(first + 1, 0, None).unwrap();
            let now = first + 5 * 86_400 * SECOND_NS;
            advance(&mut engine, now);
            let mut pieces = 0;
            let taken = loop {
                match hold(&mut engine, CALL, Engine::take) {
                    Some(Taken::Undecided) => pieces += 1,
                    taken => break taken,
                }
                engine.check_entries();
            };
            assert!(pieces > 3, "{pieces}");
            let missed = engine.counters().missed;
            let between = calendar.count(first, now);
            match misfire {
                Misfire::Latest => {
                    assert_eq!((taken, missed), (Some(Taken::Run(id.slot())), between))
                }
                Misfire::All => {
                    assert_eq!((taken, missed), (Some(Taken::Run(id.slot())), between + 1 - limit));
                }
                _ => assert_eq!(missed, between + 1),
            }
            assert_eq!(engine.take(), Some(Taken::Run(other.slot())));
            // What falls due during a run is counted in one hold.
            if misfire == Misfire::Latest {
                let ended = now + 5 * 86_400 * SECOND_NS;
                let done = hold(&mut engine, CALL, |engine| {
                    engine.complete(id.slot(), ended, false).unwrap()
                });
                assert!((1..=512).contains(&done.skipped), "{done:?}");
            }
            assert!(engine.gauges().pending > 0 || misfire != Misfire::Latest);
        }
    }
}

/// A judgement that is not finished is begun anew when the task is given another time.
#[test]
fn a_judgement_is_dropped_when_the_task_changes() {
    let minute = 60 * SECOND_NS;
    let parts = vec![grid(0, minute), grid(1, minute)];
    let calendar = Arc::new(Calendar::new(parts, None).unwrap());
    let rule = Arc::new(Recurrence {
        repeat: Repeat::Calendar(calendar),
        on_wall: true,
        ..Recurrence::default()
    });
    for change in 0..4 {
        let mut engine = Engine::new(0, 0);
        let id = engine.schedule(minute, 0, Some(&rule)).unwrap();
        let now = 3_000 * minute + 7;
        advance(&mut engine, now);
        assert_eq!(engine.take(), Some(Taken::Undecided));
        match change {
            0 => assert!(engine.reschedule(id, 2_998 * minute, true)),
            1 => assert!(engine.pause(id) && engine.resume(id)),
            2 => assert!(matches!(engine.cancel(id), Cancelled::Removed { .. })),
            _ => assert!(engine.run_now(id)),
        }
        advance(&mut engine, now);
        while engine.take() == Some(Taken::Undecided) {}
        let view = engine.view(id).map(|view| (view.nominal, view.missed));
        let expected = match change {
            0 => Some((3_000 * minute + 1, 5)),
            1 => Some((3_000 * minute + 1, 2 * 2_999 + 1)),
            2 => None,
            _ => Some((now, 0)),
        };
        assert_eq!(view, expected, "{change}");
        engine.check_entries();
    }
}

/// The history grows without being copied.
#[test]
fn a_long_history_is_filled_in_short_holds() {
    let mut engine = Engine::new(0, 50_000);
    for _ in 0..120_000 {
        let id = engine.schedule(1, 0, None).unwrap();
        cancel(&mut engine, id);
    }
    assert_eq!(engine.history().count(), 50_000);
    assert!(engine.history().map(|ended| ended.id.generation()).is_sorted());
}

/// The last reference to a calendar is not dropped by the task that ends.
#[test]
fn a_calendar_is_dropped_after_the_call() {
    let calendar = Arc::new(Calendar::new(vec![grid(5, 10)], None).unwrap());
    let last = Arc::downgrade(&calendar);
    let rule = Arc::new(Recurrence {
        repeat: Repeat::Calendar(calendar),
        on_wall: true,
        ..Recurrence::default()
    });
    let mut engine = Engine::new(0, 0);
    let id = engine.schedule(5, 0, Some(&rule)).unwrap();
    drop(rule);
    assert!(matches!(engine.cancel(id), Cancelled::Removed { .. }));
    assert_eq!(last.strong_count(), 1);
    drop(engine.take_garbage());
    assert_eq!(last.strong_count(), 0);
    assert!(engine.take_garbage().is_none());
}

//! What happens when the stamps of entries come round, in a build in which that takes 511 armings
//! instead of four billion.
//!
//! ```text
//! cargo test -p scheduler-core --features check-invariants,tiny-stamps --test stamps
//! ```
//!
//! The model test runs in such a build as well, and there stamps come round all the time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use scheduler_core::{Engine, Nanos, SECOND_NS, Taken, TaskId};

/// More armings than there are stamps.
const ROUND: u64 = 600;

const FAR: Nanos = 1_000_000 * SECOND_NS;

/// Runs what is due and says how often the task of a slot ran.
fn runs(engine: &mut Engine, now: Nanos, id: TaskId) -> usize {
    let mut runs = 0;
    while !engine.advance(now, 64) {}
    while let Some(taken) = engine.take() {
        let Taken::Run(slot) = taken else { continue };
        runs += usize::from(engine.id_of(slot) == Some(id));
        engine.complete(slot, now, false);
        engine.release(slot);
        while !engine.advance(now, 64) {}
    }
    runs
}

/// A task that is sent away and given its old time again, so many armings later, in a bucket that
/// is never compacted. In one of the rounds its new entry would have the stamp of the old one.
#[test]
fn a_dead_entry_does_not_come_back_to_life_when_its_stamp_and_deadline_do() {
    for armings in 0..ROUND {
        let mut engine = Engine::new(0, 0);
        // Others keep the bucket from being compacted.
        (0..10).for_each(|_| _ = engine.schedule(FAR, 0, None));
        let id = engine.schedule(FAR, 0, None).unwrap();
        assert!(engine.reschedule(id, SECOND_NS, false));
        for _ in 0..armings {
            let other = engine.schedule(2 * SECOND_NS, 0, None).unwrap();
            assert_eq!(engine.cancel_batch(&[other]), 1);
        }
        assert!(engine.reschedule(id, FAR, false));
        engine.check_entries();
        assert_eq!(runs(&mut engine, FAR - 1, id), 0, "{armings}");
        assert_eq!(runs(&mut engine, FAR, id), 1, "{armings}");
        assert_eq!(engine.gauges().pending, 0);
    }
}

/// The same for an entry that lived for more than a round before it died.
#[test]
fn nor_does_one_that_has_waited_for_long() {
    for armings in ROUND - 200..ROUND {
        let mut engine = Engine::new(0, 0);
        let id = engine.schedule(FAR, 0, None).unwrap();
        (0..10).for_each(|_| _ = engine.schedule(FAR, 0, None));
        for _ in 0..armings {
            let other = engine.schedule(SECOND_NS, 0, None).unwrap();
            assert_eq!(engine.cancel_batch(&[other]), 1);
        }
        assert!(engine.reschedule(id, FAR, false));
        engine.check_entries();
        assert_eq!(runs(&mut engine, FAR, id), 1, "{armings}");
    }
}

/// Entries that were found due, sorted or ready, while time stands still.
#[test]
fn nor_does_one_that_is_due() {
    for (now, due) in [(SECOND_NS, SECOND_NS + 100), (SECOND_NS, SECOND_NS)] {
        for armings in 0..ROUND {
            let mut engine = Engine::new(0, 0);
            let others: Vec<TaskId> =
                (0..200).map(|_| engine.schedule(due, 0, None).unwrap()).collect();
            let id = engine.schedule(due, 0, None).unwrap();
            while !engine.advance(now, 64) {}
            assert!(engine.reschedule(id, FAR, false));
            for _ in 0..armings {
                let other = engine.schedule(FAR, 0, None).unwrap();
                assert_eq!(engine.cancel_batch(&[other]), 1);
            }
            assert!(engine.reschedule(id, due, false));
            assert_eq!(engine.cancel_batch(&others[..90]), 90);
            engine.check_entries();
            assert_eq!(runs(&mut engine, due, id), 1, "{armings}");
        }
    }
}

/// A million armings among some thousand tasks, looked at throughout.
#[test]
fn each_waiting_task_has_one_living_entry_while_stamps_come_round() {
    let mut engine = Engine::new(0, 0);
    let mut ids: Vec<TaskId> =
        (0..3_000).map(|k| engine.schedule(FAR + k % 7, 0, None).unwrap()).collect();
    for turn in 0..200_000_u64 {
        let id = ids[(turn * 7_919 % 3_000) as usize];
        let when = if turn % 3 == 0 { FAR + turn % 7 } else { (1 + turn % 90_000) * SECOND_NS };
        assert!(engine.reschedule(id, when, false));
        if turn % 1_000 == 0 {
            engine.check_entries();
        }
    }
    ids.truncate(2_900);
    assert_eq!(engine.cancel_batch(&ids), 2_900);
    engine.check_entries();
    assert_eq!(runs(&mut engine, FAR * 2, ids[0]), 0);
    assert_eq!(engine.counters().started, 100);
}

//! What happens when the generations of a slot are used up, in a build in which that takes 16 tasks
//! instead of four billion.
//!
//! ```text
//! cargo test -p scheduler-core --features check-invariants,tiny-generations --test generations
//! ```
//!
//! The model test runs in such a build as well, and there retires slots all the time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use scheduler_core::{
    Cancelled, Engine, LAST_GENERATION, Nanos, ScheduleError, State, Taken, TaskId,
};

/// How many tasks one slot can have, one after another.
const TENANTS: u64 = LAST_GENERATION as u64 + 1;

/// Slots in one segment of the slab: memory comes and goes by so many.
const SEGMENT: u64 = 1 << 16;

/// Schedules a task, whose id must be new.
fn schedule(engine: &mut Engine, nominal: Nanos, seen: &mut BTreeSet<TaskId>) -> TaskId {
    let id = engine.schedule(nominal, 0, None).unwrap();
    assert!(id.generation() <= LAST_GENERATION);
    assert!(seen.insert(id), "{id:?} was given out twice");
    id
}

#[test]
fn a_slot_is_retired_after_its_last_tenant_and_never_comes_back() {
    let mut engine = Engine::new(0, 4);
    let mut seen = BTreeSet::new();
    for tenant in 0..TENANTS {
        let id = schedule(&mut engine, 10, &mut seen);
        assert_eq!((id.slot(), u64::from(id.generation())), (0, tenant));
        assert_eq!(engine.cancel_batch(&[id]), 1);
    }
    // Neither arming nor releasing revives it, and it holds no task.
    assert_eq!(engine.arm(0, 10, 0, None), Err(ScheduleError::NotReserved));
    engine.release(0);
    engine.release(0);
    assert_eq!(engine.id_of(0), None);
    for _ in 0..3 * TENANTS {
        let id = schedule(&mut engine, 10, &mut seen);
        assert!(id.slot() > 0);
        assert_eq!(engine.cancel_batch(&[id]), 1);
    }
    let stale: Vec<TaskId> = seen.iter().copied().collect();
    assert_eq!(engine.cancel_batch(&stale), 0);
    engine.check();
}

#[test]
fn a_slot_kept_after_its_last_tenant_cannot_be_armed_again() {
    let mut engine = Engine::new(0, 4);
    let slot = engine.reserve().unwrap();
    for tenant in 0..TENANTS {
        let id = engine.arm(slot, 10, 0, None).unwrap();
        assert_eq!(u64::from(id.generation()), tenant);
        assert!(matches!(engine.cancel(id), Cancelled::Removed { .. }));
    }
    assert_eq!(engine.arm(slot, 10, 0, None), Err(ScheduleError::NotReserved));
    engine.release(slot);
    assert_ne!(engine.reserve(), Ok(slot));
}

#[test]
fn ids_never_repeat_while_slots_retire_and_the_live_set_stays_right() {
    let mut engine = Engine::new(0, 16);
    let mut seen = BTreeSet::new();
    let mut live: BTreeMap<TaskId, Nanos> = BTreeMap::new();
    let mut stale = Vec::new();
    let mut state = 1_u64;
    let mut draw = |bound: u64| {
        // Knuth's constants; the high bits are good enough.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % bound
    };
    for round in 0..200_000 {
        let now = engine.now();
        match draw(4) {
            0 | 1 if live.len() < 500 => {
                let nominal = now + 1 + draw(5_000_000);
                live.insert(schedule(&mut engine, nominal, &mut seen), nominal);
            }
            2 => {
                let from = TaskId::from_bits(draw(u64::from(LAST_GENERATION) << 32));
                let found = live.range(from..).next().or_else(|| live.first_key_value());
                let Some((&id, _)) = found else { continue };
                live.remove(&id);
                assert_eq!(engine.cancel_batch(&[id, id]), 1);
                stale.push(id);
            }
            _ => {
                let now = now + draw(100_000);
                while !engine.advance(now, 16) {}
                while let Some(Taken::Run(slot)) = engine.take() {
                    let id = engine.id_of(slot).unwrap();
                    assert!(live.remove(&id).unwrap() <= now);
                    engine.complete(slot, now, false);
                    engine.release(slot);
                    stale.push(id);
                }
            }
        }
        if round % 1_000 == 0 {
            engine.check();
            assert!(stale.iter().all(|id| engine.slot_of(*id).is_none()));
            let limit = u32::try_from(engine.slot_limit()).unwrap();
            let mut listed: Vec<_> = engine.tasks(0, limit).collect();
            listed.sort_unstable_by_key(|(id, _)| *id);
            assert!(listed.iter().map(|(id, _)| id).eq(live.keys()));
            assert!(listed.iter().all(|(_, state)| *state == State::Pending));
        }
    }
    assert!(seen.len() as u64 > 3 * 500 * TENANTS, "many slots have retired");
}

/// A segment that is returned to the system forgets its records, but not what they were called.
#[test]
fn ids_never_repeat_though_memory_is_returned() {
    let mut engine = Engine::new(0, 4);
    let mut seen = BTreeSet::new();
    // The odd rounds leave part of the segments unused, and each uses up a different part.
    for round in 0..8 {
        let tasks = 3 * SEGMENT - (round % 3) * SEGMENT / 2;
        let mut ids: Vec<TaskId> =
            (0..tasks).map(|_| schedule(&mut engine, 1 << 40, &mut seen)).collect();
        if round % 2 == 1 {
            ids.reverse();
        }
        assert_eq!(engine.cancel_batch(&ids), ids.len());
        assert_eq!(engine.cancel_batch(&ids), 0, "each only once");
    }
    engine.check();
    assert_eq!(engine.slot_limit(), 0, "no slot was worn out, and all segments are empty");
}

/// A used-up slot in a segment that is freed and mapped again would give out its old ids.
#[test]
fn a_segment_with_a_retired_slot_does_not_forget_it() {
    let mut engine = Engine::new(0, 4);
    let mut seen = BTreeSet::new();
    let ids: Vec<TaskId> =
        (0..3 * SEGMENT).map(|_| schedule(&mut engine, 1 << 40, &mut seen)).collect();
    // Use up the slots of the first two segments one by one, while the third is full.
    let (worn, rest) = ids.split_at(2 * SEGMENT as usize);
    assert_eq!(engine.cancel_batch(worn), worn.len());
    for _ in 0..(TENANTS - 1) * 40 {
        let id = schedule(&mut engine, 1 << 40, &mut seen);
        assert_eq!(engine.cancel_batch(&[id]), 1);
    }
    assert_eq!(engine.cancel_batch(rest), rest.len());
    let again: Vec<TaskId> =
        (0..4 * SEGMENT).map(|_| schedule(&mut engine, 1 << 40, &mut seen)).collect();
    assert_eq!(engine.cancel_batch(&again), again.len());
    assert_eq!(engine.cancel_batch(&ids), 0, "each only once");
}

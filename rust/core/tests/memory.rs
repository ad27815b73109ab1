//! What happens when there is no memory: an error where a task is scheduled, and nothing anywhere
//! else.
//!
//! Large blocks are refused here, as they are by a system under a limit. Smaller ones are what an
//! allocator has left.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use scheduler_core::{
    ADVANCE_BUDGET, Cancelled, Engine, OutOfMemory, Recurrence, Repeat, SECOND_NS, ScheduleError,
    Taken, TaskId,
};

thread_local! {
    /// Blocks of so many bytes or more are refused.
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
    /// So many of them are given out before that.
    static LEFT: Cell<u64> = const { Cell::new(0) };
}

struct Limited;

impl Limited {
    fn refuses(size: usize) -> bool {
        if size < LIMIT.get() {
            return false;
        }
        let left = LEFT.get();
        LEFT.set(left.saturating_sub(1));
        left == 0
    }
}

#[allow(unsafe_code, reason = "an allocator is")]
// SAFETY: all is passed on to the system's allocator, or refused.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Self::refuses(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if Self::refuses(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if Self::refuses(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Limited = Limited;

/// Does something while blocks of so many bytes or more are refused, after so many of them.
fn limited<R>(bytes: usize, left: u64, work: impl FnOnce() -> R) -> R {
    LEFT.set(left);
    LIMIT.set(bytes);
    let done = work();
    LIMIT.set(usize::MAX);
    done
}

/// Schedules until there is no memory, after so many large blocks; the ids.
fn fill(engine: &mut Engine, from: u64, left: u64, rule: Option<&Arc<Recurrence>>) -> Vec<TaskId> {
    let mut ids = Vec::with_capacity(1 << 20);
    let before = engine.gauges().pending;
    limited(1 << 16, left, || {
        loop {
            let nominal = from + (1 + ids.len() as u64 * 7_919 % 4_001) * SECOND_NS;
            match engine.schedule(nominal, (ids.len() % 3) as u8, rule) {
                Ok(id) => ids.push(id),
                Err(error) => break assert_eq!(error, ScheduleError::OutOfMemory),
            }
        }
    });
    assert_eq!(engine.gauges().pending, before + ids.len() as u64);
    engine.check_entries();
    ids
}

/// Runs all that falls due in some hours, while there are no large blocks; how many runs, and the
/// last of them.
fn run_all(engine: &mut Engine, from: u64) -> (usize, Option<TaskId>) {
    let (mut runs, mut last) = (0, None);
    limited(1 << 16, 0, || {
        for second in 0..4_002 {
            let now = from + second * SECOND_NS;
            while !engine.advance(now, ADVANCE_BUDGET) {}
            while let Some(taken) = engine.take() {
                let Taken::Run(slot) = taken else { panic!("{taken:?}") };
                last = engine.id_of(slot);
                let done = engine.complete(slot, now, false).unwrap();
                if done.history_index.is_some() {
                    engine.release(slot);
                }
                runs += 1;
            }
        }
    });
    engine.check_entries();
    (runs, last)
}

#[test]
fn an_engine_without_memory_for_its_history_is_an_error() {
    for history in [100_000, u32::MAX] {
        let made = limited(300_000, 0, || Engine::try_new(0, history).err());
        assert_eq!(made, Some(OutOfMemory), "{history}");
    }
    for bytes in [1_000, 10_000, 50_000] {
        assert_eq!(limited(bytes, 0, || Engine::try_new(0, 10).err()), Some(OutOfMemory));
    }
}

/// Whichever block is refused, scheduling fails, and what was scheduled before runs, while there
/// is no large block to be had.
#[test]
fn scheduling_fails_and_all_that_was_scheduled_runs() {
    let every = Arc::new(Recurrence {
        repeat: Repeat::FixedRate(1_000_000 * SECOND_NS),
        ..Recurrence::default()
    });
    for rule in [None, Some(&every)] {
        for left in 0..8 {
            let mut engine = Engine::new(0, 1_000_000);
            let ids = fill(&mut engine, 0, left, rule);
            assert_eq!(fill(&mut engine, 0, 0, rule), []);
            let (runs, last) = run_all(&mut engine, 0);
            assert_eq!(runs, ids.len());
            if let (None, Some(last)) = (rule, last) {
                // The history has stopped growing, and the latest ends are remembered.
                assert!((1..=ids.len()).contains(&engine.history().count()));
                assert_eq!(engine.history().last().map(|ended| ended.id), Some(last));
                // There is room for as many again.
                let again = fill(&mut engine, 4_100 * SECOND_NS, 0, rule);
                assert!(again.len() >= ids.len().min(1 << 16), "{} {}", again.len(), ids.len());
                assert_eq!(run_all(&mut engine, 4_100 * SECOND_NS).0, again.len());
            }
            for id in &ids {
                if let Cancelled::Removed { slot, .. } = engine.cancel(*id) {
                    engine.release(slot);
                }
            }
            assert_eq!(engine.slot_limit(), 0);
            assert!(engine.schedule(9_000 * SECOND_NS, 0, Some(&every)).is_ok());
            engine.check_entries();
        }
    }
}

/// A slot whose task could not be armed stays reserved.
#[test]
fn arming_without_memory_for_a_plan_changes_nothing() {
    let mut engine = Engine::new(10, 0);
    let slot = engine.reserve().unwrap();
    let failed = limited(1 << 16, 0, || engine.arm(slot, 5, 0, None));
    assert_eq!(failed, Err(ScheduleError::OutOfMemory));
    assert_eq!(limited(1 << 16, 0, || engine.reserve_plan()), Err(OutOfMemory));
    assert_eq!((engine.gauges().pending, engine.id_of(slot)), (0, None));
    let id = engine.arm(slot, 5, 0, None).unwrap();
    assert_eq!(engine.slot_of(id), Some(slot));
    engine.check_entries();
}

/// A due bucket is sorted in runs as small as the memory allows.
#[test]
fn the_front_takes_small_runs_without_memory_for_large_ones() {
    let mut engine = Engine::new(0, 0);
    for k in 0..5_000 {
        engine.schedule(SECOND_NS + k * 7_919 % 1_000, 0, None).unwrap();
    }
    limited(1_000, 0, || while !engine.advance(2 * SECOND_NS, ADVANCE_BUDGET) {});
    assert_eq!(engine.ready(), 5_000);
    engine.check_entries();
}

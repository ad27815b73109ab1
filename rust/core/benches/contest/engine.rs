//! Ours. A task here costs its caller what it costs in the scheduler: reserve, arm, take, complete
//! and release.

use std::hint::black_box;

use scheduler_core::{ADVANCE_BUDGET, Cancelled, Engine, NEVER, Nanos, Taken, TaskId};

use super::{START, Timers, Watch};

/// The engine, remembering the last so many tasks that ended.
pub struct Ours<const HISTORY: u32>(pub Engine);

impl<const HISTORY: u32> Ours<HISTORY> {
    /// Cancels in the batches that a bulk caller would send.
    pub fn cancel_batches(&mut self, ids: &[TaskId]) -> usize {
        ids.chunks(1024).map(|batch| self.0.cancel_batch(batch)).sum()
    }
}

impl<const HISTORY: u32> Timers for Ours<HISTORY> {
    const NAME: &'static str = if HISTORY == 0 { "engine" } else { "engine+history" };

    type Key = TaskId;

    fn new() -> Self {
        Self(Engine::new(START, HISTORY))
    }

    #[inline]
    fn insert(&mut self, deadline: Nanos, _value: u32) -> TaskId {
        // The value would be kept by slot, outside.
        let slot = self.0.reserve().unwrap();
        self.0.arm(slot, deadline, 0, None).unwrap()
    }

    #[inline]
    fn cancel(&mut self, id: TaskId) {
        let Cancelled::Removed { slot, .. } = self.0.cancel(id) else { panic!("{id:?} is gone") };
        self.0.release(slot);
    }

    #[inline]
    fn free_unused(&mut self) {
        drop(self.0.take_garbage());
    }

    #[inline]
    fn next_deadline(&mut self) -> Option<Nanos> {
        Some(self.0.next_deadline()).filter(|next| *next != NEVER)
    }

    #[inline]
    fn expire(&mut self, until: Nanos, watch: &mut impl Watch) -> u64 {
        let engine = &mut self.0;
        let mut expired = 0;
        loop {
            let done = watch.call(|| engine.advance(until, ADVANCE_BUDGET));
            while let Some(Taken::Run(slot)) = watch.call(|| engine.take()) {
                black_box(slot);
                watch.call(|| engine.complete(slot, until, false)).unwrap();
                watch.call(|| engine.release(slot));
                expired += 1;
            }
            if done {
                return expired;
            }
        }
    }
}

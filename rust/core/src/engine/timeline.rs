//! A timeline: what waits for one executor, and what is due for it.
//!
//! Tasks are kept apart by the executor that runs them. So an executor that is busy keeps nobody
//! else from finding what is due for them, and what is due is in order for each executor. What a
//! task is, its record and its plan, is the same in all of them.

use crate::chunks::{ChunkPool, Entry};
use crate::front::Front;
use crate::memory::OutOfMemory;
use crate::ready::ReadyQueue;
use crate::slab::{ListId, Slab};
use crate::state::{Event, State};
use crate::time::{NEVER, Nanos};
use crate::wheel::{Budget, Wheel};

/// From the wheel to the front, and from there to the ready queue.
pub(super) struct Timeline {
    pub(super) wheel: Wheel,
    pub(super) front: Front,
    pub(super) ready: ReadyQueue,
}

impl Timeline {
    pub(super) fn new(now: Nanos) -> Result<Self, OutOfMemory> {
        let (wheel, ready) = (Wheel::new(now)?, ReadyQueue::new()?);
        Ok(Self { wheel, front: Front::default(), ready })
    }

    /// As [`super::Engine::next_deadline`]. O(1).
    #[inline]
    pub(super) fn next_deadline(&self) -> Nanos {
        if self.ready.live() > 0 {
            return 0;
        }
        let front = self.front.next_deadline().unwrap_or(NEVER);
        front.min(self.wheel.next_deadline())
    }

    /// As [`super::Engine::advance`].
    pub(super) fn advance(
        &mut self,
        now: Nanos,
        budget: &mut Budget,
        pool: &mut ChunkPool,
        slab: &mut Slab,
    ) -> bool {
        loop {
            let is_empty = self.wheel.empty_position(now, budget, &mut self.front, pool, slab);
            if !is_empty && budget.is_spent() {
                return false;
            }
            while let Some(due) = self.front.pop(now) {
                self.make_ready(due.entry(), pool, slab);
                budget.0 = budget.0.saturating_sub(self.front.cost());
                if budget.is_spent() {
                    return false;
                }
            }
            if !is_empty {
                // There was no memory for another run, and may be now that one has been used up.
                return false;
            }
            if !self.wheel.move_on(now) {
                return self.ready.drop_leading_dead(budget, pool, slab);
            }
        }
    }

    #[inline]
    fn make_ready(&mut self, entry: Entry, pool: &mut ChunkPool, slab: &mut Slab) {
        if !entry.is_live(slab) {
            self.front.remove_tombstone();
            return;
        }
        let record = &mut slab[entry.slot];
        record.step(Event::Release);
        record.list.move_to(ListId::LANE);
        self.ready.push(record.priority, entry, pool);
    }

    /// Counts the entry of a task that leaves as dead.
    #[inline]
    pub(super) fn add_tombstone(
        &mut self,
        slot: u32,
        state: State,
        pool: &mut ChunkPool,
        slab: &mut Slab,
    ) {
        let (list, priority) = (slab[slot].list.place(), slab[slot].priority);
        if state == State::Ready {
            self.ready.add_tombstone(priority, pool, slab);
        } else if list == ListId::FRONT {
            self.front.add_tombstone(slab);
        } else {
            self.wheel.add_tombstone(list, pool, slab);
        }
    }

    /// Every entry.
    #[cfg(any(test, feature = "check-invariants"))]
    pub(super) fn entries<'a>(&'a self, pool: &'a ChunkPool) -> impl Iterator<Item = Entry> + 'a {
        let waiting = self.wheel.entries(pool).chain(self.front.entries());
        waiting.chain(self.ready.entries(pool))
    }
}

//! Storms: overdue work that is spread over a span, in order.

use super::Engine;
use crate::chunks::Entry;
use crate::segments::NIL;
use crate::state::Event;
use crate::time::{Nanos, after};

/// A pace at which overdue work is let through: see [`Engine::pace`].
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The executor whose ready queue is gone through, the lane of it, and how many in that are to be
    /// looked at.
    executor: usize,
    lane: usize,
    left: u64,
    /// What was due by then is spread.
    from: Nanos,
    gap: Nanos,
    next: Nanos,
    /// The slot of the first that was delayed.
    first: u32,
}

impl Engine {
    /// Spreads what is ready now over a span, in order, for [`Engine::defer`]; one executor after
    /// another. O(1).
    pub fn pace(&self, span: Nanos) -> Pace {
        let gap = span / self.ready().max(1);
        Pace { executor: 0, lane: 0, left: 0, from: self.now, gap, next: self.now, first: NIL }
    }

    /// Delays what is ready, as a pace says, for about so many tasks. Returns whether all of it is
    /// done: if not, call again. Nominal times stay. O(budget).
    ///
    /// Time may go on between two calls. What falls due meanwhile, even if it was delayed before, is
    /// not touched: a lane is in order, so all that was ready when the storm began comes first.
    pub fn defer(&mut self, pace: &mut Pace, budget: u32) -> bool {
        for _ in 0..budget {
            let Some(timeline) = self.timelines.get_mut(pace.executor) else { return true };
            let ready = &mut timeline.ready;
            if pace.left == 0 {
                let Some((lane, waiting)) = ready.lane_from(pace.lane) else {
                    (pace.executor, pace.lane) = (pace.executor + 1, 0);
                    continue;
                };
                (pace.lane, pace.left) = (lane, waiting);
            }
            pace.left -= 1;
            let found = ready.pop_lane(pace.lane, pace.from, &mut self.pool, &mut self.slab);
            if let Some(entry) = found {
                self.defer_one(entry, pace);
            } else {
                pace.left = 0;
            }
            if pace.left == 0 {
                pace.lane += 1;
            }
        }
        false
    }

    /// Delays one task that came out of the ready queue.
    fn defer_one(&mut self, entry: Entry, pace: &mut Pace) {
        let slot = entry.slot;
        let mut deadline = entry.deadline;
        // The first is due at once, and may have become ready again.
        if slot != pace.first {
            self.plan_of(slot);
            deadline = if self.is_within_grace(slot, pace.next) { pace.next } else { self.now };
            if pace.first == NIL {
                pace.first = slot;
            }
            pace.next = after(pace.next, pace.gap);
            self.counters.deferred += 1;
        }
        let sequence = self.slab[slot].sequence;
        self.slab[slot].step(Event::Reschedule);
        self.arm_timer(slot, deadline, sequence);
    }

    /// Whether the grace of an overdue task lets it be delayed until a moment, with room to spare:
    /// half of what is left of it.
    fn is_within_grace(&self, slot: u32, moment: Nanos) -> bool {
        let Some(plan) = self.slab[slot].planned() else { return true };
        let plan = &self.plans[plan];
        let limit = after(self.deadline(slot, plan.nominal), plan.recurrence().effective_grace());
        moment.saturating_sub(self.now) <= limit.saturating_sub(self.now) / 2
    }
}

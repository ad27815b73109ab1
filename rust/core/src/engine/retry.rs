//! Another attempt at a run that has failed: back-off is a moment in the wheel, and no worker waits.
//!
//! An occurrence is one run, however many attempts it takes: they have its nominal time, are counted
//! as one, and move nothing. Until the last attempt has ended the run goes on, as far as the task's
//! other occurrences are concerned: what falls due meanwhile is passed over, as during any run.

use super::Engine;
use crate::plan::Retry;
use crate::state::{Event, State};
use crate::time::{Nanos, after};

impl Engine {
    /// Puts off the run of a slot that [`Engine::take`] gave: it failed, and is tried again after a
    /// span. Returns how many attempts there have been. O(1).
    ///
    /// `None`, and nothing is done, if no worker has that slot, or if the task was cancelled or given
    /// another time meanwhile: the run is to be completed then. [`Engine::reserve_plan`] must have
    /// been called.
    pub fn retry(&mut self, slot: u32, now: Nanos, span: Nanos) -> Option<u32> {
        self.tell(now);
        let state = self.slab.get(slot)?.state;
        let next = state.after(Event::Retry)?;
        let (started, due) = (self.slab[slot].sequence, after(self.now, span));
        // First: this keeps what the record says of a plain task.
        let number = {
            self.plan_of(slot);
            self.slab[slot].planned()?
        };
        let nominal = self.slab[slot].deadline;
        let exceptional = self.plans[number].exceptional();
        if exceptional.next.is_some() && !exceptional.by_hand && !exceptional.set_back {
            // It was given another time, and paused after that.
            return None;
        }
        let local_now = self.now_of(&self.plans[number]);
        let plan = &mut self.plans[number];
        plan.nominal = nominal;
        let judged = plan.judged().min(local_now);
        let exceptional = plan.exceptional_mut();
        let first = || Box::new(Retry { attempts: 0, due, started, judged });
        let retry = exceptional.retry.get_or_insert_with(first);
        retry.attempts = retry.attempts.saturating_add(1);
        retry.due = due;
        let attempts = retry.attempts;
        plan.end(started, now);
        self.counters.retried += 1;
        self.gauges.running -= 1;
        self.slab[slot].state = next;
        if next == State::Paused {
            self.gauges.paused += 1;
            self.keep_paused(slot, nominal);
        } else {
            self.gauges.pending += 1;
            // Among equals it comes after those that were there before it was put off.
            let sequence = self.draw_sequence();
            self.arm_timer(slot, due, sequence);
        }
        Some(attempts)
    }

    /// Whether the run to come, or under way, has failed before.
    pub(super) fn is_tried_again(&self, slot: u32) -> bool {
        let plan = self.slab[slot].planned().map(|number| &self.plans[number]);
        plan.is_some_and(|plan| plan.exceptional().retry.is_some())
    }

    /// Forgets the attempts at a run that has ended.
    pub(super) fn forget_retry(&mut self, slot: u32) {
        if let Some(number) = self.slab[slot].planned()
            && let Some(exceptional) = self.plans[number].exceptional_if_any()
        {
            exceptional.retry = None;
        }
    }
}

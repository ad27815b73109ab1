//! What callers do to tasks by id: cancel, pause, resume, reschedule, run now.

use std::sync::Arc;

use super::Engine;
use crate::history::Ending;
use crate::id::TaskId;
use crate::plan::Exceptional;
use crate::recurrence::{Recurrence, Repeat};
use crate::segments::NIL;
use crate::slab::ON_WALL;
use crate::state::{Event, State};
use crate::time::Nanos;

/// What [`Engine::cancel`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The id is unknown, finished or cancelled before.
    Unknown,
    /// It will not run; the slot is to be released. With it, the index in the history.
    Removed {
        /// The slot to release.
        slot: u32,
        /// The index in the history.
        history_index: u32,
    },
    /// It runs; it will not run again and ends as cancelled.
    Signalled,
}

impl Engine {
    /// Ends a task before its time. Amortised O(1), one cache miss.
    #[inline]
    pub fn cancel(&mut self, id: TaskId) -> Cancelled {
        let Some(slot) = self.slab.resolve(id) else { return Cancelled::Unknown };
        let state = self.slab[slot].state;
        let Some(after) = state.after(Event::Cancel) else { return Cancelled::Unknown };
        self.counters.cancelled += 1;
        if after == State::Stopping {
            self.slab[slot].state = after;
            return Cancelled::Signalled;
        }
        let history_index = self.end_waiting(slot, state, Ending::Cancelled);
        Cancelled::Removed { slot, history_index }
    }

    /// Cancels many, releases their slots, and returns how many it stopped. Amortised O(1) each.
    pub fn cancel_batch(&mut self, ids: &[TaskId]) -> usize {
        let mut stopped = 0;
        for group in ids.chunks(64) {
            // Look at all before changing any: independent cache misses overlap.
            self.warm(group);
            for id in group {
                match self.cancel(*id) {
                    Cancelled::Unknown => continue,
                    Cancelled::Removed { slot, .. } => self.release(slot),
                    Cancelled::Signalled => {}
                }
                stopped += 1;
            }
        }
        stopped
    }

    /// Brings what a cancel of these ids touches into the cache. O(1) each, and they overlap.
    #[inline]
    pub fn warm(&self, ids: &[TaskId]) {
        for id in ids {
            // The compiler would remove loads whose result is not used.
            std::hint::black_box((self.slab.resolve(*id), self.slab.stamp_of(id.slot())));
        }
    }

    /// Keeps a task from running until resumed; one that runs now is paused when the run ends.
    /// Returns false if the id is unknown or the task is paused or ending already. Amortised O(1).
    pub fn pause(&mut self, id: TaskId) -> bool {
        let Some(slot) = self.slab.resolve(id) else { return false };
        let state = self.slab[slot].state;
        let Some(after) = state.after(Event::Pause) else { return false };
        if !state.is_running() {
            // The deadline stays in the record: a plain one-shot has no other place for it.
            if let Some(exceptional) = self.paused_after(slot) {
                exceptional.stays_paused = false;
            }
            self.disarm_timer(slot, state);
            self.gauges.pending -= 1;
            self.gauges.paused += 1;
        }
        self.slab[slot].state = after;
        true
    }

    /// Arms a paused task again. The late-work rule decides about what is overdue. O(1).
    pub fn resume(&mut self, id: TaskId) -> bool {
        let Some(slot) = self.slab.resolve(id) else { return false };
        if let Some(exceptional) = self.paused_after(slot) {
            exceptional.stays_paused = false;
            return true;
        }
        let record = &self.slab[slot];
        let Some(after) = record.state.after(Event::Resume) else { return false };
        if record.state.is_running() {
            self.slab[slot].state = after;
            return true;
        }
        self.slab[slot].state = after;
        self.gauges.paused -= 1;
        self.gauges.pending += 1;
        self.rearm(slot, self.nominal(slot));
        true
    }

    /// Gives a task another time, of the wall; the id stays. A recurring task goes on from there.
    /// O(1).
    ///
    /// If the task is running, it is armed for that time when the run ends, even if it is a
    /// one-shot. `on_wall` says whether a one-shot follows the wall clock from then on; a recurring
    /// task stays on the clock that it is on.
    pub fn reschedule(&mut self, id: TaskId, wall: Nanos, on_wall: bool) -> bool {
        let Some(slot) = self.slab.resolve(id) else { return false };
        if self.paused_after(slot).is_some() {
            // The run by hand is given up, as that of any task that is given another time.
            self.pause(id);
        }
        let state = self.slab[slot].state;
        let Some(after) = state.after(Event::Reschedule) else { return false };
        let axis = self.to_axis(wall);
        if state.is_running() {
            let plan = self.plan_of(slot);
            let was_on_wall = plan.on_wall;
            let nominal = plan.retimed(wall, axis, on_wall);
            let changed = plan.on_wall != was_on_wall;
            let exceptional = plan.exceptional_mut();
            exceptional.next = Some(nominal);
            // It is a new time now, no longer the one that a run by hand has delayed.
            exceptional.by_hand = false;
            exceptional.set_back = false;
            let record = &self.slab[slot];
            // So that the nominal time of the run under way is still what it was.
            let current = match (changed, was_on_wall) {
                (false, _) => record.deadline,
                (true, true) => self.to_axis(record.deadline),
                (true, false) => self.to_wall(record.deadline),
            };
            let record = &mut self.slab[slot];
            record.deadline = current;
            record.state = after;
            return true;
        }
        if state != State::Paused {
            self.disarm_timer(slot, state);
        }
        let sequence = self.draw_sequence();
        let kind = if on_wall { ON_WALL[self.wall_parity()] } else { NIL };
        let record = &mut self.slab[slot];
        record.state = after;
        record.sequence = sequence;
        let mut nominal = axis;
        if let Some(plan) = record.planned() {
            let plan = &mut self.plans[plan];
            nominal = plan.retimed(wall, axis, on_wall);
            plan.sequence = sequence;
            plan.nominal = nominal;
            if let Some(exceptional) = plan.exceptional_if_any() {
                exceptional.next = None;
                exceptional.by_hand = false;
                exceptional.retry = None;
            }
        } else {
            record.plan = kind;
        }
        record.deadline = nominal;
        if state != State::Paused {
            self.rearm(slot, nominal);
        }
        true
    }

    /// Gives a task on a calendar another one, which goes on where that ends; all else about its
    /// recurrence stays. Returns the former recurrence, if it had a calendar. O(1).
    pub fn replace_calendar(&mut self, id: TaskId, repeat: &Repeat) -> Option<Arc<Recurrence>> {
        let slot = self.slab.resolve(id)?;
        let plan = &mut self.plans[self.slab[slot].planned()?];
        let shared = plan.shared.as_mut()?;
        let (Repeat::Calendar(_), Repeat::Calendar(_)) = (&shared.repeat, repeat) else {
            return None;
        };
        let extended = Recurrence { repeat: repeat.clone(), ..Recurrence::clone(shared) };
        let former = std::mem::replace(shared, Arc::new(extended));
        if let Some(exceptional) = plan.exceptional_if_any() {
            exceptional.judging = None;
        }
        Some(former)
    }

    /// Runs a pending or paused task once more, now. Its schedule does not move, the run does not
    /// count, and a paused task is paused again afterwards. Returns false for a task that is neither,
    /// or already has such a run before it. O(1).
    pub fn run_now(&mut self, id: TaskId) -> bool {
        let Some(slot) = self.slab.resolve(id) else { return false };
        let state = self.slab[slot].state;
        if !matches!(state, State::Pending | State::Ready | State::Paused) {
            return false;
        }
        let now = self.now;
        let wall = self.to_wall(now);
        let paused = state == State::Paused;
        let plan = self.plan_of(slot);
        let nominal = plan.nominal;
        let exceptional = plan.exceptional_mut();
        if exceptional.by_hand && !paused {
            return false;
        }
        exceptional.stays_paused = paused;
        if let Some(retry) = &mut exceptional.retry {
            // The attempt to come is that run.
            retry.due = now;
        } else {
            if !exceptional.by_hand {
                exceptional.by_hand = true;
                exceptional.next = Some(nominal);
            }
            plan.nominal = if plan.on_wall { wall } else { now };
        }
        if paused {
            self.gauges.paused -= 1;
            self.gauges.pending += 1;
            self.slab[slot].step(Event::Resume);
        } else {
            self.disarm_timer(slot, state);
            self.slab[slot].step(Event::Reschedule);
        }
        let sequence = self.draw_sequence();
        self.arm_timer(slot, now, sequence);
        true
    }

    /// What is noted of a task that waits for a run by hand and is to be paused after it.
    fn paused_after(&mut self, slot: u32) -> Option<&mut Exceptional> {
        let record = &self.slab[slot];
        let waits = matches!(record.state, State::Pending | State::Ready);
        let plan = &mut self.plans[record.planned().filter(|_| waits)?];
        plan.exceptional_if_any().filter(|exceptional| exceptional.stays_paused)
    }

    /// Ends a task that no worker has.
    fn end_waiting(&mut self, slot: u32, state: State, ending: Ending) -> u32 {
        if state == State::Paused {
            self.gauges.paused -= 1;
        } else {
            self.disarm_timer(slot, state);
            self.gauges.pending -= 1;
        }
        let due = self.due_on_wall(slot);
        self.end(slot, ending, due)
    }
}

//! The wall clock and the axis: the one owner of the offset between them.

use std::sync::Arc;

use super::Engine;
use crate::plan::Plan;
use crate::recurrence::{Occurrences, Recurrence, Repeat, WallStep};
use crate::slab::{ON_WALL, Record};
use crate::state::{Event, State};
use crate::time::{FAR_FUTURE, Nanos, after};

impl Engine {
    pub(super) const fn wall_parity(&self) -> usize {
        (self.counters.clock_changes & 1) as usize
    }

    /// What the wall shows at a moment of the axis.
    pub(super) fn to_wall(&self, axis: Nanos) -> Nanos {
        shift(axis, self.wall_offsets[self.wall_parity()])
    }

    /// When the wall will show a moment, if it is not set again.
    pub fn to_axis(&self, wall: Nanos) -> Nanos {
        shift(wall, self.wall_offsets[self.wall_parity()].saturating_neg())
    }

    /// Now, on the clock that a plan keeps.
    pub(super) fn now_of(&self, plan: &Plan) -> Nanos {
        if plan.on_wall { self.to_wall(self.now) } else { self.now }
    }

    pub(super) fn occurrences(&self, slot: u32, plan: u32) -> Occurrences<'_> {
        self.plans[plan].occurrences(self.seed_of(slot))
    }

    pub(super) fn seed_of(&self, slot: u32) -> u64 {
        self.seed ^ self.slab.id(slot).to_bits().wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    /// When the occurrence of a planned task is due, on the axis.
    pub(super) fn deadline(&self, slot: u32, nominal: Nanos) -> Nanos {
        let Some(plan) = self.slab[slot].planned() else { return nominal };
        let plan = &self.plans[plan];
        if let Some(retry) = &plan.exceptional().retry {
            return retry.due;
        }
        // A run by hand, or a time asked for, is due when it says.
        let by_hand = plan.exceptional().by_hand;
        let due = if by_hand { nominal } else { plan.occurrences(self.seed_of(slot)).due(nominal) };
        if plan.on_wall { self.to_axis(due) } else { due }
    }

    /// The nominal time of the next occurrence, or of the run under way, as the wall shows it.
    pub(super) fn nominal_on_wall(&self, slot: u32) -> Nanos {
        let record = &self.slab[slot];
        match record.planned() {
            Some(plan) => {
                let plan = &self.plans[plan];
                let nominal =
                    if record.state.is_running() { record.deadline } else { plan.nominal };
                if plan.on_wall { nominal } else { self.to_wall(nominal) }
            }
            None => shift(record.deadline, self.offset_of(record)),
        }
    }

    /// When the next occurrence is due, or the run under way was, as the wall shows it: the nominal
    /// time, and after it jitter and the offset in the window. A run by hand has neither.
    #[inline]
    pub(super) fn due_on_wall(&self, slot: u32) -> Nanos {
        let nominal = self.nominal_on_wall(slot);
        match self.slab[slot].planned() {
            Some(plan) => self.due_after(nominal, slot, plan),
            None => nominal,
        }
    }

    fn due_after(&self, nominal: Nanos, slot: u32, plan: u32) -> Nanos {
        let plan = &self.plans[plan];
        if let Some(retry) = &plan.exceptional().retry {
            return self.to_wall(retry.due);
        }
        if plan.exceptional().by_hand {
            return nominal;
        }
        let occurrences = plan.occurrences(self.seed_of(slot));
        if plan.on_wall {
            return occurrences.due(nominal);
        }
        let axis = self.to_axis(nominal);
        after(nominal, occurrences.due(axis) - axis)
    }

    /// What the wall showed beyond the axis when a plain one-shot was keyed last.
    pub(super) fn offset_of(&self, record: &Record) -> i64 {
        let former = record.plan == ON_WALL[1 - self.wall_parity()];
        self.wall_offsets[if former { 1 - self.wall_parity() } else { self.wall_parity() }]
    }

    /// Notes that the wall clock was set; [`Engine::rekey`] must follow, until it is done. The
    /// engine must have been told the time. O(1), unless the last such call has not been followed
    /// to the end.
    ///
    /// Returns what that means for tasks on a calendar, which [`Engine::rekey`] sees to.
    pub fn set_wall_offset(&mut self, offset: i64) -> WallStep {
        while !self.rekey(u32::MAX) {}
        let former = self.wall_offset();
        self.counters.clock_changes += 1;
        let parity = self.wall_parity();
        self.wall_offsets[parity] = offset;
        self.rekeyed_to = Some(0);
        let by = if offset < former { offset.abs_diff(former) } else { 0 };
        self.set_back = (by, self.now);
        WallStep::between(former, offset)
    }

    /// What the wall shows beyond the axis, in nanoseconds.
    pub fn wall_offset(&self) -> i64 {
        self.wall_offsets[self.wall_parity()]
    }

    /// Computes the deadlines of tasks on the wall clock anew, in about so many slots. Returns
    /// whether all of it is done: if not, call again. O(budget).
    pub fn rekey(&mut self, budget: u32) -> bool {
        let Some(from) = self.rekeyed_to else { return true };
        let until = from.saturating_add(budget);
        for slot in from..until {
            if u64::from(slot) >= self.slab.limit() {
                self.rekeyed_to = None;
                self.forget_grid_back();
                return true;
            }
            self.slab.count_work(1);
            self.rekey_slot(slot);
        }
        self.rekeyed_to = Some(until);
        false
    }

    fn rekey_slot(&mut self, slot: u32) {
        let parity = self.wall_parity();
        let Some(record) = self.slab.get(slot) else { return };
        let (state, former, plan) = (record.state, record.deadline, record.planned());
        if !state.is_task() {
            return;
        }
        let deadline = match plan {
            Some(plan) if self.plans[plan].on_wall => {
                self.follow_set_back(slot, plan, state);
                // A run by hand is due now, and another attempt when it is, whatever the wall shows.
                let exceptional = self.plans[plan].exceptional();
                let is_fixed = exceptional.by_hand || exceptional.retry.is_some();
                if state.is_running() || state == State::Paused || is_fixed {
                    return;
                }
                // May be before now: what is overdue keeps the order in which it was due.
                self.deadline(slot, self.plans[plan].nominal)
            }
            None if record.plan == ON_WALL[1 - parity] => {
                let wall = shift(former, self.wall_offsets[1 - parity]);
                let nominal = self.to_axis(wall);
                if !state.is_running() && nominal < self.now {
                    // It has been due for a while: a plan keeps since when.
                    self.plan_of(slot);
                    nominal
                } else {
                    let record = &mut self.slab[slot];
                    record.plan = ON_WALL[parity];
                    if state.is_running() || state == State::Paused {
                        record.deadline = nominal;
                        return;
                    }
                    nominal
                }
            }
            _ => return,
        };
        // What was ready already keeps its place.
        let stays = state == State::Ready && deadline <= self.now;
        if state == State::Paused || deadline == former || stays {
            return;
        }
        self.counters.rekeyed += 1;
        let sequence = self.slab[slot].sequence;
        self.disarm_timer(slot, state);
        self.slab[slot].step(Event::Reschedule);
        self.arm_timer(slot, deadline, sequence);
    }

    /// Computes the next nominal time of a task anew if the wall was set back: see [`WallStep`].
    fn follow_set_back(&mut self, slot: u32, number: u32, state: State) {
        let (by, at) = self.set_back;
        if by == 0 {
            return;
        }
        let now = self.to_wall(at);
        self.extend_grid_back(number, now, after(now, by));
        let plan = &self.plans[number];
        let occurrences = self.occurrences(slot, number);
        let exceptional = plan.exceptional();
        let running = state.is_running();
        if exceptional.retry.is_some() && !running {
            // The run has begun, and keeps its nominal time.
            return;
        }
        let nominal = match (running, exceptional.next) {
            // Of a run under way whose task was not given a new time: what would be next.
            (true, None) => {
                occurrences.next(self.slab[slot].deadline, plan.judged(), plan.judged()).0
            }
            (true, Some(next)) => (exceptional.by_hand || exceptional.set_back).then_some(next),
            (false, next) => next.or(Some(plan.nominal)),
        };
        let Some(nominal) = nominal else { return };
        let anew = occurrences.after_set_back(nominal, by, now);
        if anew == nominal {
            return;
        }
        self.counters.rearmed += 1;
        let plan = &mut self.plans[number];
        if running {
            plan.set_judged_back(now);
            let exceptional = plan.exceptional_mut();
            exceptional.set_back |= !exceptional.by_hand;
            exceptional.next = Some(anew);
        } else if plan.exceptional().next.is_some() {
            plan.exceptional_mut().next = Some(anew);
        } else {
            plan.nominal = anew;
            if state == State::Paused {
                self.slab[slot].deadline = anew;
            }
        }
    }

    /// Lets a grid that began between two moments, when the task was scheduled, begin before them.
    fn extend_grid_back(&mut self, number: u32, from: Nanos, to: Nanos) {
        let Some(shared) = &self.plans[number].shared else { return };
        let Repeat::Calendar(calendar) = &shared.repeat else { return };
        // A grid with a start of its own does not.
        if shared.start > 0 {
            return;
        }
        // Tasks that shared a recurrence go on sharing one.
        let known = self.grid_back.as_ref().filter(|known| Arc::ptr_eq(&known.former, shared));
        let extended = match known {
            Some(known) => known.extended.clone(),
            None => {
                let Some(calendar) = calendar.extended_back(from, to) else { return };
                let repeat = Repeat::Calendar(Arc::new(calendar));
                let extended = Arc::new(Recurrence { repeat, ..Recurrence::clone(shared) });
                let known = GridBack { former: shared.clone(), extended: extended.clone() };
                self.forget_grid_back();
                self.grid_back = Some(known);
                extended
            }
        };
        if let Some(former) = self.plans[number].shared.replace(extended) {
            self.retire_recurrence(former);
        }
    }

    /// Forgets the last grid that was extended: the next change of the wall extends it further.
    fn forget_grid_back(&mut self) {
        if let Some(GridBack { former, extended }) = self.grid_back.take() {
            self.retire_recurrence(former);
            self.retire_recurrence(extended);
        }
    }
}

/// A recurrence whose grid was extended because the wall was set back.
pub(super) struct GridBack {
    former: Arc<Recurrence>,
    extended: Arc<Recurrence>,
}

/// A moment moved by a span in either direction, within the axis; what is beyond its end stays so.
pub(super) fn shift(moment: Nanos, by: i64) -> Nanos {
    if moment >= FAR_FUTURE { moment } else { moment.saturating_add_signed(by).min(FAR_FUTURE) }
}

//! Slots, and arming: a task gets a slot, an id, a plan if it needs one, and an entry in the wheel.

use super::Engine;
use super::clock::shift;
use crate::chunks::Entry;
use crate::id::TaskId;
use crate::plan::Plan;
use crate::recurrence::{Recurrence, Repeat};
use crate::segments::NIL;
use crate::slab::{ListId, ON_WALL};
use crate::state::{Event, State};
use crate::time::{FAR_FUTURE, Nanos};

impl Engine {
    /// Takes a slot for a task to come; `None` when 2^32 − 2^16 are taken. O(1).
    #[inline]
    pub fn reserve(&mut self) -> Option<u32> {
        let slot = self.slab.allocate()?;
        let record = &mut self.slab[slot];
        record.plan = NIL;
        record.state = State::Reserved;
        Some(slot)
    }

    /// Gives back a reserved slot: one never armed, or one whose task has ended. O(1).
    ///
    /// A slot that is not reserved is left alone, a retired one for good.
    #[inline]
    pub fn release(&mut self, slot: u32) {
        if self.slab.get(slot).is_some_and(|record| record.state == State::Reserved) {
            self.slab[slot].state = State::Vacant;
            self.slab.free(slot);
        }
    }

    /// Schedules a task in a reserved slot: due at `nominal`, at once if that has passed. O(1).
    ///
    /// `nominal` is a moment of the wall if the recurrence says so, else one of the axis. `None` if
    /// the slot is not reserved, or retired because its generations are used up.
    #[inline]
    pub fn arm(
        &mut self,
        slot: u32,
        nominal: Nanos,
        priority: u8,
        recurrence: Option<&Recurrence>,
    ) -> Option<TaskId> {
        let state = self.slab.get(slot)?.state.after(Event::Arm)?;
        let sequence = self.draw_sequence();
        let record = &mut self.slab[slot];
        record.state = state;
        record.priority = priority;
        let mut deadline = nominal;
        if recurrence.is_some() || nominal < self.now {
            self.attach_plan(slot, nominal, sequence, recurrence.cloned());
            deadline = self.deadline(slot, nominal);
        }
        self.arm_timer(slot, deadline.max(self.now), sequence);
        self.counters.scheduled += 1;
        self.gauges.pending += 1;
        Some(self.slab.id(slot))
    }

    /// Schedules a one-shot on the wall clock in a reserved slot, as [`Engine::arm`] does. O(1).
    #[inline]
    pub fn arm_on_wall(&mut self, slot: u32, wall: Nanos, priority: u8) -> Option<TaskId> {
        let nominal = self.to_axis(wall);
        if nominal < self.now || nominal == FAR_FUTURE {
            let recurrence = Recurrence { on_wall: true, ..Recurrence::default() };
            return self.arm(slot, wall, priority, Some(&recurrence));
        }
        let id = self.arm(slot, nominal, priority, None)?;
        self.slab[slot].plan = ON_WALL[self.wall_parity()];
        Some(id)
    }

    /// Reserves and arms in one step, for callers that keep nothing by slot. O(1).
    pub fn schedule(
        &mut self,
        nominal: Nanos,
        priority: u8,
        recurrence: Option<&Recurrence>,
    ) -> Option<TaskId> {
        let slot = self.reserve()?;
        self.arm(slot, nominal, priority, recurrence)
    }

    #[inline]
    pub(super) fn draw_sequence(&mut self) -> u64 {
        self.next_sequence += 1;
        self.next_sequence
    }

    /// Puts a pending task into the wheel.
    #[inline]
    pub(super) fn arm_timer(&mut self, slot: u32, deadline: Nanos, sequence: u64) {
        let stamp = self.slab.draw_stamp(slot);
        self.slab.count_work(1);
        let list = self.wheel.insert(Entry { deadline, slot, stamp }, &mut self.pool);
        let record = &mut self.slab[slot];
        record.deadline = deadline;
        record.sequence = sequence;
        record.list = list;
        if self.slab.stamps.is_piece_due() {
            self.sweep_piece();
        }
    }

    /// Makes the entry of a pending or ready task a dead one.
    #[inline]
    pub(super) fn disarm_timer(&mut self, slot: u32, state: State) {
        self.slab.clear_stamp(slot);
        let record = &self.slab[slot];
        let (list, priority) = (record.list, record.priority);
        if state == State::Ready {
            self.ready.add_tombstone(priority, &mut self.pool, &mut self.slab);
        } else if list == ListId::FRONT {
            self.front.add_tombstone(&mut self.slab);
        } else {
            self.wheel.add_tombstone(list, &mut self.pool, &mut self.slab);
        }
    }

    /// Arms a task for a nominal time that may have passed.
    ///
    /// Among equals it has the order of its scheduling. What is overdue already when it is armed comes
    /// after all that are due by now, or it would overtake what was released.
    pub(super) fn rearm(&mut self, slot: u32, nominal: Nanos) {
        let deadline = self.deadline(slot, nominal);
        let record = &self.slab[slot];
        let mut sequence = record.sequence;
        if let Some(plan) = record.planned() {
            self.plans[plan].nominal = nominal;
            sequence = self.plans[plan].sequence;
        } else if deadline < self.now {
            // The plan keeps since when it has been due.
            self.plan_of(slot);
        }
        if deadline <= self.now {
            sequence = self.draw_sequence();
        }
        self.arm_timer(slot, deadline.max(self.now), sequence);
    }

    /// Keeps the next nominal time of a task that is paused.
    pub(super) fn keep_paused(&mut self, slot: u32, nominal: Nanos) {
        let plan = self.plan_of(slot);
        plan.nominal = nominal;
        let sequence = plan.sequence;
        let record = &mut self.slab[slot];
        record.deadline = nominal;
        record.sequence = sequence;
    }

    /// The nominal time of the next occurrence, on the clock that the task keeps.
    pub(super) fn nominal(&self, slot: u32) -> Nanos {
        let record = &self.slab[slot];
        record.planned().map_or(record.deadline, |plan| self.plans[plan].nominal)
    }

    fn attach_plan(
        &mut self,
        slot: u32,
        nominal: Nanos,
        sequence: u64,
        recurrence: Option<Recurrence>,
    ) {
        // Plans never outnumber slots.
        let Some(number) = self.plans.allocate() else { unreachable!("more plans than slots") };
        let mut plan = Plan::new(recurrence.unwrap_or_default(), nominal, sequence);
        self.slab[slot].plan = number;
        let seed = self.seed_of(slot);
        if plan.recurrence.window > 0 {
            plan.window_offset = self.load.choose_offset(nominal, plan.recurrence.window, seed);
        }
        if matches!(plan.recurrence.repeat, Repeat::FixedRate(_) | Repeat::Calendar(_)) {
            let due = plan.occurrences(seed).due(nominal);
            plan.load = Some(self.load.add(due));
        }
        self.plans[number] = plan;
    }

    /// The plan of a task; a plain one-shot gets one that says the same.
    pub(super) fn plan_of(&mut self, slot: u32) -> &mut Plan {
        if self.slab[slot].planned().is_none() {
            let record = &self.slab[slot];
            let (mut nominal, running) = (record.deadline, record.state.is_running());
            let recurrence = Recurrence { on_wall: record.plan != NIL, ..Recurrence::default() };
            if recurrence.on_wall {
                nominal = shift(nominal, self.offset_of(record));
            }
            let started = record.sequence;
            let sequence = if running { self.draw_sequence() } else { started };
            self.attach_plan(slot, nominal, sequence, Some(recurrence));
            let plan = self.slab[slot].plan;
            if running {
                self.slab[slot].deadline = nominal;
                self.plans[plan].runs = 1;
                self.plans[plan].started = Some(started);
            }
        }
        let plan = self.slab[slot].plan;
        &mut self.plans[plan]
    }
}

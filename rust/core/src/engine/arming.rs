//! Slots, and arming: a task gets a slot, an id, a plan if it needs one, and an entry in the wheel.

use std::sync::Arc;

use super::Engine;
use super::clock::shift;
use crate::chunks::{Entry, chunks_for};
use crate::id::TaskId;
use crate::memory::{OutOfMemory, ScheduleError, abort};
use crate::plan::Plan;
use crate::ready::LANES;
use crate::recurrence::{Recurrence, Repeat};
use crate::segments::NIL;
use crate::slab::{ListId, ON_WALL};
use crate::state::{Event, State};
use crate::time::{FAR_FUTURE, Nanos};
use crate::wheel::LISTS;

/// The lists of one timeline that get chunks from the pool.
const LISTS_EACH: u64 = LISTS as u64 + LANES as u64;

impl Engine {
    /// Takes a slot for a task to come, and makes room for its entry in whatever list. O(1).
    ///
    /// # Errors
    /// All slots are taken, or there is no memory for one more.
    #[inline]
    pub fn reserve(&mut self) -> Result<u32, ScheduleError> {
        self.reserve_for(0)
    }

    /// As [`Engine::reserve`], for a task that another executor runs.
    ///
    /// # Errors
    /// Those of [`Engine::reserve`].
    #[inline]
    pub fn reserve_for(&mut self, executor: u8) -> Result<u32, ScheduleError> {
        debug_assert!((executor as usize) < self.timelines.len(), "there is no such executor");
        let slot = self.slab.allocate()?;
        if let Err(error) = self.pool.ensure(chunks_for(self.slab.taken(), self.lists())) {
            self.slab.free(slot);
            return Err(error.into());
        }
        let record = &mut self.slab[slot];
        record.plan = NIL;
        record.list = ListId::of(executor);
        record.state = State::Reserved;
        Ok(slot)
    }

    /// Makes sure that the next operation on one task has the memory it needs. O(1).
    ///
    /// # Errors
    /// There is none.
    #[inline]
    pub fn reserve_plan(&mut self) -> Result<(), OutOfMemory> {
        self.plans.ensure_next()
    }

    /// Gives back a reserved slot: one never armed, or one whose task has ended. O(1).
    ///
    /// A slot that is not reserved is left alone, a retired one for good.
    #[inline]
    pub fn release(&mut self, slot: u32) {
        if self.slab.get(slot).is_some_and(|record| record.state == State::Reserved) {
            self.slab[slot].state = State::Vacant;
            self.slab.free(slot);
            self.pool.lower(chunks_for(self.slab.taken(), self.lists()));
        }
    }

    /// Schedules a task in a reserved slot: due at `nominal`, at once if that has passed. O(1).
    ///
    /// `nominal` is a moment of the wall if the recurrence says so, else one of the axis.
    ///
    /// # Errors
    /// The slot is not reserved, or retired because its generations are used up; or there is no
    /// memory for the plan of a task with a recurrence, or whose time has passed. The slot is then
    /// to be released.
    #[inline]
    pub fn arm(
        &mut self,
        slot: u32,
        nominal: Nanos,
        priority: u8,
        recurrence: Option<&Arc<Recurrence>>,
    ) -> Result<TaskId, ScheduleError> {
        let on_wall = recurrence.is_some_and(|recurrence| recurrence.on_wall);
        self.arm_on(on_wall, slot, nominal, priority, recurrence)
    }

    /// Arms, on the wall clock or the axis.
    #[inline]
    fn arm_on(
        &mut self,
        on_wall: bool,
        slot: u32,
        nominal: Nanos,
        priority: u8,
        recurrence: Option<&Arc<Recurrence>>,
    ) -> Result<TaskId, ScheduleError> {
        let state = self.slab.get(slot).and_then(|record| record.state.after(Event::Arm));
        let state = state.ok_or(ScheduleError::NotReserved)?;
        let sequence = self.draw_sequence();
        let mut deadline = nominal;
        if recurrence.is_some() || on_wall || nominal < self.now {
            self.attach_plan(slot, Plan::new(recurrence.cloned(), on_wall, nominal, sequence))?;
            deadline = self.deadline(slot, nominal);
        }
        let record = &mut self.slab[slot];
        record.state = state;
        record.priority = priority;
        self.arm_timer(slot, deadline.max(self.now), sequence);
        self.counters.scheduled += 1;
        self.gauges.pending += 1;
        Ok(self.slab.id(slot))
    }

    /// Schedules a one-shot on the wall clock in a reserved slot, as [`Engine::arm`] does. O(1).
    ///
    /// # Errors
    /// Those of [`Engine::arm`].
    #[inline]
    pub fn arm_on_wall(
        &mut self,
        slot: u32,
        wall: Nanos,
        priority: u8,
    ) -> Result<TaskId, ScheduleError> {
        let nominal = self.to_axis(wall);
        if nominal < self.now || nominal == FAR_FUTURE {
            return self.arm_on(true, slot, wall, priority, None);
        }
        let id = self.arm(slot, nominal, priority, None)?;
        self.slab[slot].plan = ON_WALL[self.wall_parity()];
        Ok(id)
    }

    /// Reserves and arms in one step, for callers that keep nothing by slot. O(1).
    ///
    /// # Errors
    /// All slots are taken, or there is no memory for one more task.
    pub fn schedule(
        &mut self,
        nominal: Nanos,
        priority: u8,
        recurrence: Option<&Arc<Recurrence>>,
    ) -> Result<TaskId, ScheduleError> {
        let slot = self.reserve()?;
        let armed = self.arm(slot, nominal, priority, recurrence);
        if armed.is_err() {
            self.release(slot);
        }
        armed
    }

    /// How many lists get chunks from the pool.
    #[inline]
    fn lists(&self) -> u64 {
        LISTS_EACH * self.timelines.len() as u64
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
        let record = &mut self.slab[slot];
        record.deadline = deadline;
        record.sequence = sequence;
        let wheel = &mut self.timelines[record.list.executor()].wheel;
        record.list.move_to(wheel.insert(Entry { deadline, slot, stamp }, &mut self.pool));
        if self.slab.stamps.is_piece_due() {
            self.sweep_piece();
        }
    }

    /// Makes the entry of a pending or ready task a dead one.
    #[inline]
    pub(super) fn disarm_timer(&mut self, slot: u32, state: State) {
        self.slab.clear_stamp(slot);
        let timeline = &mut self.timelines[self.slab[slot].list.executor()];
        timeline.add_tombstone(slot, state, &mut self.pool, &mut self.slab);
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
        if deadline <= self.now || self.is_tried_again(slot) {
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

    fn attach_plan(&mut self, slot: u32, mut plan: Plan) -> Result<(), OutOfMemory> {
        let (nominal, window) = (plan.nominal, plan.recurrence().window);
        let is_series =
            matches!(plan.recurrence().repeat, Repeat::FixedRate(_) | Repeat::Calendar(_));
        if is_series {
            self.load.prepare()?;
        }
        let seed = self.seed_of(slot);
        if window > 0 {
            plan.set_window_offset(self.load.choose_offset(nominal, window, seed))?;
        }
        let number = self.plans.allocate().map_err(|_| OutOfMemory)?;
        self.slab[slot].plan = number;
        if is_series {
            let due = plan.occurrences(seed).due(nominal);
            plan.set_load(self.load.add(due));
        }
        self.plans[number] = plan;
        Ok(())
    }

    /// The plan of a task; a plain one-shot gets one that says the same.
    pub(super) fn plan_of(&mut self, slot: u32) -> &mut Plan {
        if self.slab[slot].planned().is_none() {
            let record = &self.slab[slot];
            let (mut nominal, running) = (record.deadline, record.state.is_running());
            let on_wall = record.plan != NIL;
            if on_wall {
                nominal = shift(nominal, self.offset_of(record));
            }
            let started = record.sequence;
            let sequence = if running { self.draw_sequence() } else { started };
            if self.attach_plan(slot, Plan::new(None, on_wall, nominal, sequence)).is_err() {
                // Operations on one task have called `reserve_plan`.
                abort::<Plan>();
            }
            let plan = self.slab[slot].plan;
            if running {
                self.slab[slot].deadline = nominal;
                self.plans[plan].runs = 1;
            }
        }
        let plan = self.slab[slot].plan;
        &mut self.plans[plan]
    }
}

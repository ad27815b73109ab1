//! The engine: owner of all the parts, and the only one that changes them.
//!
//! Told what time it is, it moves tasks along: wheel, front, ready queue, and out of
//! [`Engine::take`] to whoever runs them. It never asks for the time, never waits and never calls
//! out, so the same operations at the same times give the same results, on any clock.
//!
//! Who holds what belongs to a task outside (a callback, its arguments) keeps it by slot. Therefore
//! a slot is handed over in two steps: [`Engine::reserve`] before [`Engine::arm`], so that the
//! outside is ready before a worker can take the task; and [`Engine::release`] after the task has
//! ended, so that the slot is not reused before the outside has let go.
//!
//! # Two kinds of time
//!
//! The engine lives on an axis that never steps. The wall clock does: at any time it shows the axis
//! plus an offset. A task *on the wall clock* keeps its moments as the wall shows them, and a
//! deadline on the axis that follows from the offset; when the wall is set,
//! [`Engine::set_wall_offset`] and [`Engine::rekey`] compute the deadlines anew. All other tasks
//! don't notice. What is told to the outside is always the wall's time.

use crate::chunks::{ChunkPool, Entry};
use crate::front::Front;
use crate::history::{Ended, Ending, History};
use crate::id::TaskId;
use crate::load::Load;
use crate::plan::{Plan, Plans};
use crate::ready::ReadyQueue;
use crate::recurrence::{Occurrences, Recurrence, Repeat, Verdict};
use crate::segments::NIL;
use crate::slab::{ListId, ON_WALL, Record, Slab};
use crate::state::{Event, State};
use crate::stats::{Counters, LatenessHistogram};
use crate::time::{FAR_FUTURE, NEVER, Nanos, after};
use crate::wheel::{Budget, Wheel};

/// Entries that one call of [`Engine::advance`] should touch, for a lock hold below 0.2 ms.
pub const ADVANCE_BUDGET: u32 = 1024;

/// The timer engine.
pub struct Engine {
    /// The latest moment that it was told of.
    now: Nanos,
    slab: Slab,
    plans: Plans,
    pool: ChunkPool,
    wheel: Wheel,
    front: Front,
    ready: ReadyQueue,
    history: History,
    counters: Counters,
    lateness: LatenessHistogram,
    gauges: Gauges,
    load: Load,
    /// What the wall shows beyond the axis, now and before it was set last: by the parity of
    /// `clock_changes`.
    wall_offsets: [i64; 2],
    /// The slot from which on deadlines are still those of the former offset.
    rekeyed_to: Option<u32>,
    /// What jitter is drawn from, beside the task and the moment.
    seed: u64,
    next_sequence: u64,
    next_stamp: u32,
}

/// How many tasks are in which condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Waiting for their time, the due ones included.
    pub pending: u64,
    /// With a worker.
    pub running: u64,
    /// Paused.
    pub paused: u64,
}

/// What [`Engine::take`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Run the task in this slot, then call [`Engine::complete`].
    Run(u32),
    /// Occurrences of a task were given up.
    Missed(Missed),
}

/// Occurrences that the late-work rule gave up without a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The task, as it was named then.
    pub id: TaskId,
    /// When the first of them was due.
    pub nominal: Nanos,
    /// How many they are.
    pub missed: u64,
    /// The place in the history, if the task ended with it; its slot is then to be released.
    pub place: Option<u32>,
}

/// What [`Engine::complete`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The place in the history, if the task ended; its slot is then to be released.
    pub place: Option<u32>,
    /// Occurrences that fell due while the run lasted and are given up.
    pub skipped: u64,
}

/// What [`Engine::cancel`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The id is unknown, finished or cancelled before.
    Unknown,
    /// It will not run; the slot is to be released. With it, the place in the history.
    Removed {
        /// The slot to release.
        slot: u32,
        /// The place in the history.
        place: u32,
    },
    /// It runs; it will not run again and ends as cancelled.
    Signalled,
}

/// What the engine knows of a live task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// Its state.
    pub state: State,
    /// Its priority.
    pub priority: u8,
    /// The nominal time of its next occurrence; of a running task, of this run.
    pub nominal: Nanos,
    /// When that is due, which jitter and a window may put off.
    pub due: Nanos,
    /// When its last run started.
    pub started: Option<Nanos>,
    /// When its last run ended.
    pub ended: Option<Nanos>,
    /// Runs started, those by hand not counted.
    pub runs: u64,
    /// Occurrences given up so far.
    pub missed: u64,
    /// Occurrences given up since the run before this one.
    pub missed_by_run: u64,
    /// Occurrences skipped so far because the last one still ran.
    pub skipped: u64,
}

impl Engine {
    /// An engine at the moment `now` that remembers the last `history` tasks that ended.
    pub fn new(now: Nanos, history: u32) -> Self {
        Self {
            now,
            slab: Slab::new(),
            plans: Plans::new(),
            pool: ChunkPool::new(),
            wheel: Wheel::new(now),
            front: Front::default(),
            ready: ReadyQueue::new(),
            history: History::new(history),
            counters: Counters::default(),
            lateness: LatenessHistogram::default(),
            gauges: Gauges::default(),
            load: Load::default(),
            wall_offsets: [0; 2],
            rekeyed_to: None,
            seed: 0,
            next_sequence: 0,
            next_stamp: 0,
        }
    }

    /// Sets what jitter is drawn from, beside the task and the moment.
    pub const fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    // ---- slots ---------------------------------------------------------------------------

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

    /// One more than the greatest slot in use.
    pub fn slot_limit(&self) -> u64 {
        self.slab.limit()
    }

    // ---- tasks ---------------------------------------------------------------------------

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
        self.enlist(slot, deadline.max(self.now), sequence);
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
        let place = self.leave(slot, state, Ending::Cancelled);
        Cancelled::Removed { slot, place }
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
            // Loads whose result nobody wants would be optimised away.
            std::hint::black_box((self.slab.resolve(*id), self.slab.stamp_of(id.slot())));
        }
    }

    /// Keeps a task from running until resumed; one that runs now is paused when the run ends.
    /// Returns false where that has no meaning. Amortised O(1).
    pub fn pause(&mut self, id: TaskId) -> bool {
        let Some(slot) = self.slab.resolve(id) else { return false };
        let state = self.slab[slot].state;
        let Some(after) = state.after(Event::Pause) else { return false };
        if !state.is_running() {
            // The deadline stays in the record: a plain one-shot has no other place for it.
            self.delist(slot, state);
            self.gauges.pending -= 1;
            self.gauges.paused += 1;
        }
        self.slab[slot].state = after;
        true
    }

    /// Arms a paused task again; overdue work meets the late-work rule. O(1).
    pub fn resume(&mut self, id: TaskId) -> bool {
        let Some(slot) = self.slab.resolve(id) else { return false };
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
    /// A task that runs now is armed for that time when the run ends, be it a one-shot. A one-shot
    /// is on the wall clock from then on if `on_wall` says so; a recurring task stays where it is.
    pub fn reschedule(&mut self, id: TaskId, wall: Nanos, on_wall: bool) -> bool {
        let Some(slot) = self.slab.resolve(id) else { return false };
        let state = self.slab[slot].state;
        let Some(after) = state.after(Event::Reschedule) else { return false };
        let axis = self.to_axis(wall);
        if state.is_running() {
            let plan = self.plan_of(slot);
            let was_on_wall = plan.recurrence.on_wall;
            let nominal = plan.retimed(wall, axis, on_wall);
            plan.next = Some(nominal);
            // It is a new time now, no longer the one that a run by hand has put off.
            plan.by_hand = false;
            let changed = plan.recurrence.on_wall != was_on_wall;
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
            self.delist(slot, state);
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
            plan.next = None;
            plan.by_hand = false;
        } else {
            record.plan = kind;
        }
        record.deadline = nominal;
        if state != State::Paused {
            self.rearm(slot, nominal);
        }
        true
    }

    /// Gives a task on a calendar another one, which goes on where that ends. Returns the former, if
    /// there was one. O(1).
    pub fn replace_calendar(&mut self, id: TaskId, repeat: &Repeat) -> Option<Repeat> {
        let slot = self.slab.resolve(id)?;
        let plan = &mut self.plans[self.slab[slot].planned()?];
        match (&plan.recurrence.repeat, repeat) {
            (Repeat::Calendar(_), Repeat::Calendar(_)) => {
                Some(std::mem::replace(&mut plan.recurrence.repeat, repeat.clone()))
            }
            _ => None,
        }
    }

    /// Runs a pending task once more, now; its schedule does not move and the run does not count.
    /// Returns false for a task that is not pending, or already has such a run before it. O(1).
    pub fn run_now(&mut self, id: TaskId) -> bool {
        let Some(slot) = self.slab.resolve(id) else { return false };
        let state = self.slab[slot].state;
        if !matches!(state, State::Pending | State::Ready) {
            return false;
        }
        let now = self.now;
        let wall = self.to_wall(now);
        let plan = self.plan_of(slot);
        if plan.by_hand {
            return false;
        }
        plan.by_hand = true;
        plan.next = Some(plan.nominal);
        plan.nominal = if plan.recurrence.on_wall { wall } else { now };
        self.delist(slot, state);
        self.slab[slot].step(Event::Reschedule);
        let sequence = self.draw_sequence();
        self.enlist(slot, now, sequence);
        true
    }

    // ---- time ----------------------------------------------------------------------------

    /// The latest moment that the engine was told of.
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// Tells the engine what time it is, for operations that count from now. A moment before an
    /// earlier one counts as that.
    pub fn tell(&mut self, now: Nanos) {
        self.now = self.now.max(now);
    }

    /// When something may have to be done next, `NEVER` if nothing is pending. O(1).
    ///
    /// Exact, but for tasks cancelled since: their time may still be the answer, once. 0 while
    /// something is ready.
    #[inline]
    pub fn next_deadline(&self) -> Nanos {
        if self.ready.live() > 0 {
            return 0;
        }
        let front = self.front.next_deadline().unwrap_or(NEVER);
        front.min(self.wheel.next_deadline())
    }

    /// Makes ready what is due by `now`, touching about `budget` entries; a moment before an
    /// earlier one counts as that. Returns whether all of it is done: if not, call again.
    pub fn advance(&mut self, now: Nanos, budget: u32) -> bool {
        self.tell(now);
        let mut budget = Budget(budget.max(1));
        loop {
            let Self { wheel, front, pool, slab, .. } = self;
            if !wheel.settle(self.now, &mut budget, front, pool, slab) {
                return false;
            }
            while let Some(due) = self.front.pop(self.now) {
                self.make_ready(due.entry());
                budget.0 = budget.0.saturating_sub(self.front.cost());
                if budget.is_spent() {
                    return false;
                }
            }
            if !self.wheel.move_on(self.now) {
                return self.ready.settle(&mut budget, &mut self.pool, &self.slab);
            }
        }
    }

    /// The first in order of what is ready, for a worker to run now. Amortised O(1).
    #[inline]
    pub fn take(&mut self) -> Option<Taken> {
        let entry = self.ready.pop(&mut self.pool, &self.slab)?;
        let record = &mut self.slab[entry.slot];
        if record.planned().is_some() {
            return Some(self.take_planned(entry.slot));
        }
        record.step(Event::Take);
        record.sequence = self.now;
        let lateness = self.now - record.deadline;
        self.count_start(lateness);
        Some(Taken::Run(entry.slot))
    }

    /// Ends the run of a slot that [`Engine::take`] gave; arms what comes next. O(1).
    ///
    /// `None` if no worker has that slot.
    #[inline]
    pub fn complete(&mut self, slot: u32, now: Nanos, failed: bool) -> Option<Completion> {
        self.tell(now);
        let record = self.slab.get(slot)?;
        let state = record.state;
        if !state.is_running() {
            return None;
        }
        if failed {
            self.counters.failed += 1;
        } else {
            self.counters.completed += 1;
        }
        let next = if record.planned().is_none() { (None, 0) } else { self.next_occurrence(slot) };
        self.gauges.running -= 1;
        match (next, state.after(Event::Continue)) {
            ((Some(nominal), skipped), Some(after)) => {
                self.counters.skipped += skipped;
                self.slab[slot].state = after;
                if after == State::Paused {
                    self.gauges.paused += 1;
                    self.hold(slot, nominal);
                } else {
                    self.gauges.pending += 1;
                    self.rearm(slot, nominal);
                }
                Some(Completion { place: None, skipped })
            }
            ((_, skipped), _) => {
                let ending = match state {
                    State::Stopping => Ending::Cancelled,
                    _ if failed => Ending::Failed,
                    _ => Ending::Completed,
                };
                let skipped = if state == State::Stopping { 0 } else { skipped };
                self.counters.skipped += skipped;
                Some(Completion { place: Some(self.end(slot, ending)), skipped })
            }
        }
    }

    /// The slot that [`Engine::take`] would look at next, brought into the cache: whoever looks
    /// ahead while a run goes on does not wait for memory after it. O(1).
    #[inline]
    pub fn upcoming(&self) -> Option<u32> {
        let slot = self.ready.first(&self.pool)?.slot;
        std::hint::black_box(self.slab.get(slot).map(|record| record.stamp));
        Some(slot)
    }

    // ---- looking -------------------------------------------------------------------------

    /// The slot of a live task. O(1).
    #[inline]
    pub fn slot_of(&self, id: TaskId) -> Option<u32> {
        self.slab.resolve(id)
    }

    /// The id of the task in a slot, if there is one. O(1).
    pub fn id_of(&self, slot: u32) -> Option<TaskId> {
        self.slab.get(slot)?.state.is_task().then(|| self.slab.id(slot))
    }

    /// What is known of a live task; moments are those of the wall. O(1).
    pub fn view(&self, id: TaskId) -> Option<TaskView> {
        let slot = self.slab.resolve(id)?;
        let record = &self.slab[slot];
        let running = record.state.is_running();
        let started = running.then_some(record.sequence).map(|axis| self.to_wall(axis));
        let mut view = TaskView {
            state: record.state,
            priority: record.priority,
            nominal: self.nominal_on_wall(slot),
            due: self.due_on_wall(slot),
            started,
            ended: None,
            runs: u64::from(running),
            missed: 0,
            missed_by_run: 0,
            skipped: 0,
        };
        if let Some(plan) = record.planned() {
            let plan = &self.plans[plan];
            view.started = started.or(plan.started.map(|axis| self.to_wall(axis)));
            view.ended = plan.ended.map(|axis| self.to_wall(axis));
            view.runs = plan.runs;
            view.missed = plan.missed;
            view.missed_by_run = plan.missed_by_run;
            view.skipped = plan.skipped;
        }
        Some(view)
    }

    /// How a task ended, and its place in the history, if that is remembered. O(1).
    pub fn ended(&self, id: TaskId) -> Option<(u32, &Ended)> {
        self.history.find(id)
    }

    /// The end that an operation has just put at a place of the history.
    pub fn ended_at(&self, place: u32) -> Option<&Ended> {
        self.history.at(place)
    }

    /// The tasks that ended last, oldest first.
    pub fn history(&self) -> impl Iterator<Item = &Ended> {
        self.history.iter()
    }

    /// Live tasks from a slot on, at most so many slots of them, in order of slots.
    pub fn tasks(&self, from: u32, slots: u32) -> impl Iterator<Item = (TaskId, State)> + '_ {
        (from..from.saturating_add(slots)).filter_map(|slot| {
            let record = self.slab.get(slot)?;
            record.state.is_task().then(|| (self.slab.id(slot), record.state))
        })
    }

    /// The slots that hold tasks, from one on, at most so many slots of them.
    pub(crate) fn occupied(
        &self,
        from: u32,
        slots: u32,
    ) -> impl Iterator<Item = (u32, State)> + '_ {
        (from..from.saturating_add(slots)).filter_map(|slot| {
            let state = self.slab.get(slot)?.state;
            state.is_task().then_some((slot, state))
        })
    }

    /// What a forecast has to know of the task in a slot; moments are those of the clock that it
    /// keeps, because jitter is drawn from them. `None` if nothing is to come of it.
    ///
    /// A run under way is taken to end now, and a run by hand to move nothing, as it does.
    pub(crate) fn coming(&self, slot: u32) -> Option<Coming<'_>> {
        let record = self.slab.get(slot)?;
        let running = record.state.is_running();
        let Some(number) = record.planned() else {
            let nominal = self.nominal_on_wall(slot);
            let coming = Coming { nominal, seed: self.seed_of(slot), ..Coming::default() };
            return (!running).then_some(coming);
        };
        let plan = &self.plans[number];
        let nominal = match (running, plan.next) {
            (true, _) => self.following(slot).0?,
            (false, Some(next)) => next,
            (false, None) => plan.nominal,
        };
        Some(Coming {
            recurrence: Some(&plan.recurrence),
            nominal,
            offset: if plan.recurrence.on_wall { 0 } else { self.wall_offset() },
            end: plan.recurrence.end,
            runs: plan.runs,
            place: plan.place,
            seed: self.seed_of(slot),
            by_hand: plan.by_hand && !running,
        })
    }

    /// Whether a pending task is due by `now`, be it ready or not yet moved there. O(1).
    pub fn is_due(&self, id: TaskId, now: Nanos) -> bool {
        self.slab.resolve(id).is_some_and(|slot| {
            let record = &self.slab[slot];
            matches!(record.state, State::Pending | State::Ready) && record.deadline <= now
        })
    }

    /// What was done so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many tasks are in which condition.
    pub const fn gauges(&self) -> Gauges {
        self.gauges
    }

    /// Tasks that are ready: due, released, and not taken.
    pub const fn ready(&self) -> u64 {
        self.ready.live()
    }

    /// How late runs started.
    pub const fn lateness(&self) -> &LatenessHistogram {
        &self.lateness
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> u64 {
        self.slab.bytes()
            + self.plans.bytes()
            + self.pool.bytes()
            + self.front.bytes()
            + self.load.bytes()
            + self.history.bytes()
    }

    /// Panics unless bits, counts and bounds agree throughout. O(memory).
    #[cfg(any(test, feature = "check-invariants"))]
    pub fn check(&self) {
        self.wheel.check();
        self.ready.check();
    }

    // ---- inside --------------------------------------------------------------------------

    #[inline]
    fn draw_sequence(&mut self) -> u64 {
        self.next_sequence += 1;
        self.next_sequence
    }

    #[inline]
    fn draw_stamp(&mut self) -> u32 {
        self.next_stamp = self.next_stamp.wrapping_add(1);
        self.next_stamp
    }

    /// Puts a pending task into the wheel.
    #[inline]
    fn enlist(&mut self, slot: u32, deadline: Nanos, sequence: u64) {
        let stamp = self.draw_stamp();
        let list = self.wheel.insert(Entry { deadline, slot, stamp }, &mut self.pool);
        let record = &mut self.slab[slot];
        record.deadline = deadline;
        record.sequence = sequence;
        record.list = list;
        self.slab.stamp(slot, stamp);
    }

    /// Makes the entry of a pending or ready task a dead one.
    #[inline]
    fn delist(&mut self, slot: u32, state: State) {
        let stamp = self.draw_stamp();
        self.slab.stamp(slot, stamp);
        let record = &self.slab[slot];
        let (list, priority) = (record.list, record.priority);
        if state == State::Ready {
            self.ready.bury(priority, &mut self.pool, &self.slab);
        } else if list == ListId::FRONT {
            self.front.bury(&self.slab);
        } else {
            self.wheel.bury(list, &mut self.pool, &self.slab);
        }
    }

    #[inline]
    fn make_ready(&mut self, entry: Entry) {
        if !entry.is_live(&self.slab) {
            self.front.forget_dead();
            return;
        }
        let record = &mut self.slab[entry.slot];
        record.step(Event::Release);
        record.list = ListId::LANE;
        self.ready.push(record.priority, entry, &mut self.pool);
    }

    // ---- wall and axis -------------------------------------------------------------------

    const fn wall_parity(&self) -> usize {
        (self.counters.clock_changes & 1) as usize
    }

    /// What the wall shows at a moment of the axis.
    fn to_wall(&self, axis: Nanos) -> Nanos {
        shift(axis, self.wall_offsets[self.wall_parity()])
    }

    /// When the wall shows a moment, as things are.
    pub fn to_axis(&self, wall: Nanos) -> Nanos {
        shift(wall, self.wall_offsets[self.wall_parity()].saturating_neg())
    }

    /// Now, on the clock that a plan keeps.
    fn now_of(&self, plan: &Plan) -> Nanos {
        if plan.recurrence.on_wall { self.to_wall(self.now) } else { self.now }
    }

    fn occurrences(&self, slot: u32, plan: u32) -> Occurrences<'_> {
        self.plans[plan].occurrences(self.seed_of(slot))
    }

    fn seed_of(&self, slot: u32) -> u64 {
        self.seed ^ self.slab.id(slot).to_bits().wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    /// When the occurrence of a planned task is due, on the axis.
    fn deadline(&self, slot: u32, nominal: Nanos) -> Nanos {
        let Some(plan) = self.slab[slot].planned() else { return nominal };
        let plan = &self.plans[plan];
        // A run by hand, or a time asked for, is due when it says.
        let due =
            if plan.by_hand { nominal } else { plan.occurrences(self.seed_of(slot)).due(nominal) };
        if plan.recurrence.on_wall { self.to_axis(due) } else { due }
    }

    /// The nominal time of the next occurrence, or of the run under way, as the wall shows it.
    fn nominal_on_wall(&self, slot: u32) -> Nanos {
        let record = &self.slab[slot];
        match record.planned() {
            Some(plan) => {
                let plan = &self.plans[plan];
                let nominal =
                    if record.state.is_running() { record.deadline } else { plan.nominal };
                if plan.recurrence.on_wall { nominal } else { self.to_wall(nominal) }
            }
            None => shift(record.deadline, self.offset_of(record)),
        }
    }

    /// When the next occurrence is due, or the run under way was, as the wall shows it.
    fn due_on_wall(&self, slot: u32) -> Nanos {
        let nominal = self.nominal_on_wall(slot);
        let Some(plan) = self.slab[slot].planned() else { return nominal };
        let plan = &self.plans[plan];
        if plan.recurrence.on_wall {
            return plan.occurrences(self.seed_of(slot)).due(nominal);
        }
        let axis = self.to_axis(nominal);
        after(nominal, plan.occurrences(self.seed_of(slot)).due(axis) - axis)
    }

    /// What the wall showed beyond the axis when a plain one-shot was keyed last.
    fn offset_of(&self, record: &Record) -> i64 {
        let former = record.plan == ON_WALL[1 - self.wall_parity()];
        self.wall_offsets[if former { 1 - self.wall_parity() } else { self.wall_parity() }]
    }

    /// Takes note that the wall clock was set: [`Engine::rekey`] must follow, until it is done. O(1),
    /// unless the last such call has not been followed to the end.
    pub fn set_wall_offset(&mut self, offset: i64) {
        while !self.rekey(u32::MAX) {}
        self.counters.clock_changes += 1;
        let parity = self.wall_parity();
        self.wall_offsets[parity] = offset;
        self.rekeyed_to = Some(0);
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
                return true;
            }
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
            Some(plan) if self.plans[plan].recurrence.on_wall => {
                // A run by hand is due now, whatever the wall shows.
                if state.is_running() || state == State::Paused || self.plans[plan].by_hand {
                    return;
                }
                // Not before now, which nobody sees, and in the order in which they were due.
                self.deadline(slot, self.plans[plan].nominal)
            }
            None if record.plan == ON_WALL[1 - parity] => {
                let wall = shift(former, self.wall_offsets[1 - parity]);
                let nominal = self.to_axis(wall);
                if !state.is_running() && nominal < self.now {
                    // It has been due for a while: a plan tells since when.
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
        self.delist(slot, state);
        self.slab[slot].step(Event::Reschedule);
        self.enlist(slot, deadline, sequence);
    }

    // ---- storms --------------------------------------------------------------------------

    /// Spreads what is ready now over a span, in order, for [`Engine::defer`]. O(1).
    pub fn pace(&self, span: Nanos) -> Pace {
        let gap = span / self.ready.live().max(1);
        Pace { lane: 0, left: 0, from: self.now, gap, next: self.now, first: NIL }
    }

    /// Puts off what is ready, as a pace says, in about so many tasks. Returns whether all of it is
    /// done: if not, call again. Nominal times stay. O(budget).
    ///
    /// Time may go on between two calls. What falls due meanwhile, be it put off before, stays
    /// where it is: a lane is in order, so all that was ready when the storm began comes first.
    pub fn defer(&mut self, pace: &mut Pace, budget: u32) -> bool {
        for _ in 0..budget {
            if pace.left == 0 {
                let Some((lane, waiting)) = self.ready.lane_from(pace.lane) else { return true };
                (pace.lane, pace.left) = (lane, waiting);
            }
            pace.left -= 1;
            let found = self.ready.pop_lane(pace.lane, pace.from, &mut self.pool, &self.slab);
            if let Some(entry) = found {
                self.put_off(entry, pace);
            } else {
                pace.left = 0;
            }
            if pace.left == 0 {
                pace.lane += 1;
            }
        }
        false
    }

    /// Puts off one task that came out of the ready queue.
    fn put_off(&mut self, entry: Entry, pace: &mut Pace) {
        let slot = entry.slot;
        let mut deadline = entry.deadline;
        // The first is due at once, and may have become ready again.
        if slot != pace.first {
            self.plan_of(slot);
            deadline = if self.survives(slot, pace.next) { pace.next } else { self.now };
            if pace.first == NIL {
                pace.first = slot;
            }
            pace.next = after(pace.next, pace.gap);
            self.counters.deferred += 1;
        }
        let sequence = self.slab[slot].sequence;
        self.slab[slot].step(Event::Reschedule);
        self.enlist(slot, deadline, sequence);
    }

    /// Whether the grace of an overdue task lets it be put off until a moment, with room to spare:
    /// half of what is left of it.
    fn survives(&self, slot: u32, moment: Nanos) -> bool {
        let Some(plan) = self.slab[slot].planned() else { return true };
        let plan = &self.plans[plan];
        let limit = after(self.deadline(slot, plan.nominal), plan.recurrence.grace);
        moment.saturating_sub(self.now) <= limit.saturating_sub(self.now) / 2
    }

    // ---- arming --------------------------------------------------------------------------

    /// Arms a task for a nominal time that may have passed.
    ///
    /// Its place among equals is that of its scheduling; but what is overdue already when it is
    /// armed goes behind those that are due by now, or it would overtake what was released.
    fn rearm(&mut self, slot: u32, nominal: Nanos) {
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
        self.enlist(slot, deadline.max(self.now), sequence);
    }

    /// Keeps the next nominal time of a task that is paused.
    fn hold(&mut self, slot: u32, nominal: Nanos) {
        let plan = self.plan_of(slot);
        plan.nominal = nominal;
        let sequence = plan.sequence;
        let record = &mut self.slab[slot];
        record.deadline = nominal;
        record.sequence = sequence;
    }

    /// The nominal time of the next occurrence, on the clock that the task keeps.
    fn nominal(&self, slot: u32) -> Nanos {
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
            plan.place = self.load.place(nominal, plan.recurrence.window, seed);
        }
        if matches!(plan.recurrence.repeat, Repeat::FixedRate(_) | Repeat::Calendar(_)) {
            let due = plan.occurrences(seed).due(nominal);
            plan.load = Some(self.load.add(due));
        }
        self.plans[number] = plan;
    }

    /// The plan of a task; a plain one-shot gets one that says the same.
    fn plan_of(&mut self, slot: u32) -> &mut Plan {
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

    #[inline]
    fn count_start(&mut self, lateness: Nanos) {
        self.counters.started += 1;
        self.gauges.pending -= 1;
        self.gauges.running += 1;
        self.lateness.record(lateness);
    }

    fn take_planned(&mut self, slot: u32) -> Taken {
        let now = self.now;
        let id = self.slab.id(slot);
        let number = self.slab[slot].plan;
        let plan = &self.plans[number];
        let (due, local_now) = (plan.nominal, self.now_of(plan));
        let verdict = if plan.by_hand {
            Verdict::Run { nominal: due, missed: 0 }
        } else {
            self.occurrences(slot, number).judge(due, local_now)
        };
        match verdict {
            Verdict::Run { nominal, missed } => {
                let lateness = now.saturating_sub(self.deadline(slot, nominal));
                self.plans[number].start(nominal, missed, now, local_now);
                self.counters.missed += missed;
                let record = &mut self.slab[slot];
                record.step(Event::Take);
                record.deadline = nominal;
                record.sequence = now;
                self.count_start(lateness);
                Taken::Run(slot)
            }
            Verdict::Miss { missed, next } => {
                let nominal = self.nominal_on_wall(slot);
                let plan = &mut self.plans[number];
                plan.missed += missed;
                plan.missed_since_run += missed;
                self.counters.missed += missed;
                let place = match next {
                    Some(next) => {
                        self.slab[slot].step(Event::Miss);
                        self.rearm(slot, next);
                        None
                    }
                    None => {
                        self.gauges.pending -= 1;
                        Some(self.end(slot, Ending::Missed))
                    }
                };
                Taken::Missed(Missed { id, nominal, missed, place })
            }
        }
    }

    /// What follows the run of a planned task that ends now: the next nominal time, and how many
    /// occurrences it has passed over.
    fn following(&self, slot: u32) -> (Option<Nanos>, u64) {
        let record = &self.slab[slot];
        let plan = &self.plans[record.plan];
        let occurrences = plan.occurrences(self.seed_of(slot));
        // As the wall showed it then: what it has been set past meanwhile has overlapped the run.
        let started = if plan.recurrence.on_wall { plan.judged } else { record.sequence };
        let ended = self.now_of(plan);
        match plan.next {
            _ if plan.runs >= plan.recurrence.max_runs => (None, 0),
            Some(candidate) if plan.by_hand => occurrences.resume(candidate, started, ended),
            Some(rescheduled) => (Some(rescheduled), 0),
            None => occurrences.next(record.deadline, started, ended),
        }
    }

    /// Notes the end of the run of a planned task, and answers what follows it.
    fn next_occurrence(&mut self, slot: u32) -> (Option<Nanos>, u64) {
        let (next, skipped) = self.following(slot);
        let sequence = self.next_sequence + 1;
        let plan = &mut self.plans[self.slab[slot].plan];
        plan.ended = Some(self.now);
        let by_hand = std::mem::take(&mut plan.by_hand);
        if plan.next.take().is_some() && !by_hand && next.is_some() {
            // Rescheduled: a new time has a new place in the order.
            plan.sequence = sequence;
            self.next_sequence = sequence;
        }
        plan.skipped += skipped;
        (next, skipped)
    }

    /// Ends a task that no worker has.
    fn leave(&mut self, slot: u32, state: State, ending: Ending) -> u32 {
        if state == State::Paused {
            self.gauges.paused -= 1;
        } else {
            self.delist(slot, state);
            self.gauges.pending -= 1;
        }
        self.end(slot, ending)
    }

    /// Ends a task that is in no list: its id is unknown from here on, its slot reserved.
    #[inline]
    fn end(&mut self, slot: u32, ending: Ending) -> u32 {
        let nominal = self.nominal_on_wall(slot);
        let id = self.slab.id(slot);
        let record = &self.slab[slot];
        let running = record.state.is_running();
        let mut ended = Ended {
            id,
            ending,
            priority: record.priority,
            nominal,
            started: running.then_some(record.sequence),
            ended: running.then_some(self.now),
            runs: u64::from(running),
            missed: 0,
        };
        if let Some(number) = record.planned() {
            let plan = &mut self.plans[number];
            ended.started = ended.started.or(plan.started);
            ended.ended = ended.ended.or(plan.ended);
            ended.runs = plan.runs;
            ended.missed = if running { plan.missed_by_run } else { plan.missed_since_run };
            if let Some(second) = plan.load {
                self.load.remove(second);
            }
            // A calendar that others share is not kept by a task that has ended.
            plan.recurrence = Recurrence::default();
            self.plans.free(number);
        }
        ended.started = ended.started.map(|axis| self.to_wall(axis));
        ended.ended = ended.ended.map(|axis| self.to_wall(axis));
        self.slab[slot].end_tenancy();
        self.history.record(ended)
    }
}

/// What a forecast has to know of a task.
pub(crate) struct Coming<'a> {
    pub(crate) recurrence: Option<&'a Recurrence>,
    pub(crate) nominal: Nanos,
    /// What the wall shows beyond its clock.
    pub(crate) offset: i64,
    pub(crate) end: Nanos,
    pub(crate) runs: u64,
    pub(crate) place: Nanos,
    pub(crate) seed: u64,
    /// A run that was asked for by hand comes before.
    pub(crate) by_hand: bool,
}

impl Default for Coming<'_> {
    fn default() -> Self {
        Self {
            recurrence: None,
            nominal: 0,
            offset: 0,
            end: FAR_FUTURE,
            runs: 0,
            place: 0,
            seed: 0,
            by_hand: false,
        }
    }
}

/// A pace at which overdue work is let through: see [`Engine::pace`].
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The lane of the ready queue that is gone through, and how many in it are to be looked at.
    lane: usize,
    left: u64,
    /// What was due by then is spread.
    from: Nanos,
    gap: Nanos,
    next: Nanos,
    /// The slot of the first that was put off.
    first: u32,
}

/// A moment moved by a span in either direction, within the axis; what is beyond its end stays so.
fn shift(moment: Nanos, by: i64) -> Nanos {
    if moment >= FAR_FUTURE { moment } else { moment.saturating_add_signed(by).min(FAR_FUTURE) }
}

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

use crate::chunks::{ChunkPool, Entry};
use crate::front::Front;
use crate::history::{Ended, Ending, History};
use crate::id::TaskId;
use crate::plan::{Plan, Plans};
use crate::ready::ReadyQueue;
use crate::recurrence::{Recurrence, Verdict};
use crate::segments::NIL;
use crate::slab::{ListId, Slab};
use crate::state::{Event, State};
use crate::stats::{Counters, LatenessHistogram};
use crate::time::{NEVER, Nanos};
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
    /// When it is due next; of a running task, when this run was due.
    pub nominal: Nanos,
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
            next_sequence: 0,
            next_stamp: 0,
        }
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
    /// `None` if the slot is not reserved, or retired because its generations are used up.
    #[inline]
    pub fn arm(
        &mut self,
        slot: u32,
        nominal: Nanos,
        priority: u8,
        recurrence: Option<&Recurrence>,
    ) -> Option<TaskId> {
        let record = self.slab.get(slot)?;
        let state = record.state.after(Event::Arm)?;
        let sequence = self.draw_sequence();
        let record = &mut self.slab[slot];
        record.state = state;
        record.priority = priority;
        if recurrence.is_some() || nominal < self.now {
            self.attach_plan(slot, nominal, sequence, recurrence.copied());
        }
        self.enlist(slot, nominal.max(self.now), sequence);
        self.counters.scheduled += 1;
        self.gauges.pending += 1;
        Some(self.slab.id(slot))
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

    /// Gives a task another time; the id stays. A recurring task goes on from there. O(1).
    ///
    /// A task that runs now is armed for that time when the run ends, be it a one-shot.
    pub fn reschedule(&mut self, id: TaskId, nominal: Nanos) -> bool {
        let Some(slot) = self.slab.resolve(id) else { return false };
        let state = self.slab[slot].state;
        let Some(after) = state.after(Event::Reschedule) else { return false };
        if state.is_running() {
            let plan = self.plan_of(slot);
            plan.next = Some(nominal);
            // It is a new time now, no longer the one that a run by hand has put off.
            plan.by_hand = false;
            self.slab[slot].state = after;
            return true;
        }
        if state != State::Paused {
            self.delist(slot, state);
        }
        let sequence = self.draw_sequence();
        let record = &mut self.slab[slot];
        record.state = after;
        record.sequence = sequence;
        record.deadline = nominal;
        if record.plan != NIL {
            let plan = &mut self.plans[record.plan];
            plan.sequence = sequence;
            plan.nominal = nominal;
            plan.next = None;
            plan.by_hand = false;
        }
        if state != State::Paused {
            self.rearm(slot, nominal);
        }
        true
    }

    /// Runs a pending task once more, now; its schedule does not move and the run does not count.
    /// Returns false for a task that is not pending, or already has such a run before it. O(1).
    pub fn run_now(&mut self, id: TaskId) -> bool {
        let Some(slot) = self.slab.resolve(id) else { return false };
        let state = self.slab[slot].state;
        if !matches!(state, State::Pending | State::Ready) {
            return false;
        }
        let (nominal, now) = (self.nominal(slot), self.now);
        let plan = self.plan_of(slot);
        if plan.by_hand {
            return false;
        }
        plan.by_hand = true;
        plan.next = Some(nominal);
        plan.nominal = now;
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
        if record.plan != NIL {
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
        let next = if record.plan == NIL { (None, 0) } else { self.next_occurrence(slot) };
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

    /// What is known of a live task. O(1).
    pub fn view(&self, id: TaskId) -> Option<TaskView> {
        let slot = self.slab.resolve(id)?;
        let record = &self.slab[slot];
        let running = record.state.is_running();
        let started = running.then_some(record.sequence);
        let mut view = TaskView {
            state: record.state,
            priority: record.priority,
            nominal: self.nominal(slot),
            started,
            ended: None,
            runs: u64::from(running),
            missed: 0,
            missed_by_run: 0,
            skipped: 0,
        };
        if record.plan != NIL {
            let plan = &self.plans[record.plan];
            view.started = started.or(plan.started);
            view.ended = plan.ended;
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

    /// Arms a task for a nominal time that may have passed.
    ///
    /// Its place among equals is that of its scheduling; but what is overdue already when it is
    /// armed goes behind those that are due by now, or it would overtake what was released.
    fn rearm(&mut self, slot: u32, nominal: Nanos) {
        let overdue = nominal <= self.now;
        if nominal < self.now {
            self.plan_of(slot);
        }
        let plan = self.slab[slot].plan;
        let mut sequence = self.slab[slot].sequence;
        if plan != NIL {
            self.plans[plan].nominal = nominal;
            sequence = self.plans[plan].sequence;
        }
        if overdue {
            sequence = self.draw_sequence();
        }
        self.enlist(slot, nominal.max(self.now), sequence);
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

    fn nominal(&self, slot: u32) -> Nanos {
        let record = &self.slab[slot];
        if record.plan == NIL { record.deadline } else { self.plans[record.plan].nominal }
    }

    fn attach_plan(
        &mut self,
        slot: u32,
        nominal: Nanos,
        sequence: u64,
        recurrence: Option<Recurrence>,
    ) {
        // Plans never outnumber slots.
        let Some(plan) = self.plans.allocate() else { unreachable!("more plans than slots") };
        self.plans[plan] = Plan::new(recurrence.unwrap_or_default(), nominal, sequence);
        self.slab[slot].plan = plan;
    }

    /// The plan of a task; a plain one-shot gets one that says the same.
    fn plan_of(&mut self, slot: u32) -> &mut Plan {
        if self.slab[slot].plan == NIL {
            let record = &self.slab[slot];
            let (deadline, running) = (record.deadline, record.state.is_running());
            let sequence = if running { self.draw_sequence() } else { record.sequence };
            self.attach_plan(slot, deadline, sequence, None);
            if running {
                let (plan, started) = (self.slab[slot].plan, self.slab[slot].sequence);
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
        let plan = &mut self.plans[self.slab[slot].plan];
        let due = plan.nominal;
        let verdict = if plan.by_hand {
            Verdict::Run { nominal: due, missed: 0 }
        } else {
            plan.recurrence.judge(due, now)
        };
        match verdict {
            Verdict::Run { nominal, missed } => {
                plan.start(nominal, missed, now);
                self.counters.missed += missed;
                let record = &mut self.slab[slot];
                record.step(Event::Take);
                record.deadline = nominal;
                record.sequence = now;
                self.count_start(now - nominal);
                Taken::Run(slot)
            }
            Verdict::Miss { missed, next } => {
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
                Taken::Missed(Missed { id, nominal: due, missed, place })
            }
        }
    }

    /// What follows the run of a planned task that ends now.
    fn next_occurrence(&mut self, slot: u32) -> (Option<Nanos>, u64) {
        let record = &self.slab[slot];
        let (nominal, started) = (record.deadline, record.sequence);
        let plan = &mut self.plans[record.plan];
        plan.ended = Some(self.now);
        let by_hand = std::mem::take(&mut plan.by_hand);
        let given = plan.next.take();
        let (next, skipped) = match given {
            _ if plan.runs >= plan.recurrence.max_runs => (None, 0),
            Some(candidate) if by_hand => plan.recurrence.resume(candidate, started, self.now),
            Some(rescheduled) => {
                plan.sequence = self.next_sequence + 1;
                self.next_sequence += 1;
                (Some(rescheduled), 0)
            }
            None => plan.recurrence.next(nominal, started, self.now),
        };
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
        let nominal = self.nominal(slot);
        let id = self.slab.id(slot);
        let record = &self.slab[slot];
        let running = record.state.is_running();
        let mut ended = Ended {
            id,
            ending,
            priority: record.priority,
            nominal: if running { record.deadline } else { nominal },
            started: running.then_some(record.sequence),
            ended: running.then_some(self.now),
            runs: u64::from(running),
            missed: 0,
        };
        if record.plan != NIL {
            let plan = &self.plans[record.plan];
            ended.started = ended.started.or(plan.started);
            ended.ended = ended.ended.or(plan.ended);
            ended.runs = plan.runs;
            ended.missed = if running { plan.missed_by_run } else { plan.missed_since_run };
            self.plans.free(record.plan);
        }
        self.slab[slot].end_tenancy();
        self.history.record(ended)
    }
}

//! The engine: owner of all the parts, and the only one that changes them.
//!
//! Given the time, it moves tasks along: from the wheel to the front, to the ready queue, and out of
//! [`Engine::take`] to the worker that runs them. It never reads a clock, never waits and calls
//! nothing outside, so the same operations at the same times give the same results, on any clock.
//!
//! The caller keeps what belongs to a task (its callback, its arguments) by slot. Therefore a slot is
//! handed over in two steps: [`Engine::reserve`] before [`Engine::arm`], so that the caller has
//! stored it before a worker can take the task; and [`Engine::release`] after the task has ended, so
//! that the slot is not reused before the caller has dropped it.
//!
//! # Two kinds of time
//!
//! The engine lives on an axis that never steps. The wall clock does: at any time it shows the axis
//! plus an offset. A task *on the wall clock* keeps its moments as the wall shows them, and a
//! deadline on the axis that follows from the offset; when the wall is set,
//! [`Engine::set_wall_offset`] and [`Engine::rekey`] compute the deadlines anew. All other tasks
//! don't notice. Moments that callers see are always those of the wall.

mod arming;
mod clock;
mod control;
mod retry;
mod storm;
mod sweep;
mod timeline;
mod view;

pub use control::Cancelled;
pub use storm::Pace;
pub use view::{Gauges, TaskView};

use std::sync::Arc;

use clock::GridBack;
use sweep::Sweep;
use timeline::Timeline;

use crate::chunks::{ChunkPool, Entry};
use crate::garbage::Garbage;
use crate::history::{Ended, Ending, History};
use crate::id::TaskId;
use crate::load::Load;
use crate::memory::{OutOfMemory, abort, drop_later};
use crate::plan::Plans;
use crate::recurrence::{JUDGE_LOOKS, Looks, Recurrence, Repeat, Verdict};
use crate::slab::{MAX_EXECUTORS, Slab};
use crate::state::{Event, State};
use crate::stats::{Counters, LatenessHistogram};
use crate::time::{NEVER, Nanos};
use crate::wheel::Budget;

/// Entries that one call of [`Engine::advance`] should touch, for a lock hold below 0.2 ms.
pub const ADVANCE_BUDGET: u32 = 1024;

/// The timer engine.
pub struct Engine {
    /// The latest moment that it was given.
    now: Nanos,
    slab: Slab,
    plans: Plans,
    pool: ChunkPool,
    /// By executor; the first is always there.
    timelines: Vec<Timeline>,
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
    /// By how much the wall was set back last, 0 if it was set forward, and when, on the axis.
    set_back: (Nanos, Nanos),
    /// What jitter is drawn from, beside the task and the moment.
    seed: u64,
    next_sequence: u64,
    sweep: Sweep,
    /// Whose timeline the sweep is in.
    swept_executor: usize,
    /// The last grid that was extended because the wall was set back.
    grid_back: Option<GridBack>,
    /// Calendars of recurrences that nobody needs any more.
    calendars: Vec<Repeat>,
}

/// What [`Engine::take`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Run the task in this slot, then call [`Engine::complete`].
    Run(u32),
    /// Occurrences of a task were given up.
    Missed(Missed),
    /// The late-work rule needs another lock hold to decide about the first task: call again.
    Undecided,
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
    /// The index in the history, if the task ended with it; its slot is then to be released.
    pub history_index: Option<u32>,
}

/// What [`Engine::complete`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The index in the history, if the task ended; its slot is then to be released.
    pub history_index: Option<u32>,
    /// When the run that ended was due, as the wall shows it: what it was late is from here to its
    /// start.
    pub due: Nanos,
    /// Occurrences that fell due while the run lasted and are given up.
    pub skipped: u64,
}

impl Engine {
    /// An engine at the moment `now` that remembers the last `history` tasks that ended.
    ///
    /// Ends the process if there is no memory for that; see [`Engine::try_new`].
    pub fn new(now: Nanos, history: u32) -> Self {
        Self::try_new(now, history).unwrap_or_else(|OutOfMemory| abort::<Self>())
    }

    /// As [`Engine::new`].
    ///
    /// # Errors
    /// There is no memory for the index of the history, of at most 12 bytes a task.
    pub fn try_new(now: Nanos, history: u32) -> Result<Self, OutOfMemory> {
        let mut timelines = Vec::new();
        timelines.try_reserve(1)?;
        timelines.push(Timeline::new(now)?);
        Ok(Self {
            now,
            slab: Slab::new(),
            plans: Plans::new(),
            pool: ChunkPool::new(),
            timelines,
            history: History::new(history)?,
            counters: Counters::default(),
            lateness: LatenessHistogram::new()?,
            gauges: Gauges::default(),
            load: Load::default(),
            wall_offsets: [0; 2],
            rekeyed_to: None,
            set_back: (0, 0),
            seed: 0,
            next_sequence: 0,
            sweep: Sweep::default(),
            swept_executor: 0,
            grid_back: None,
            calendars: Vec::new(),
        })
    }

    /// Adds an executor, whose tasks are kept apart from those of others. Returns its number; the
    /// first executor, 0, is always there.
    ///
    /// # Errors
    /// There is no memory for it, or there are [`MAX_EXECUTORS`].
    pub fn add_executor(&mut self) -> Result<u8, OutOfMemory> {
        let number = self.timelines.len();
        if number == MAX_EXECUTORS {
            return Err(OutOfMemory);
        }
        self.timelines.try_reserve(1)?;
        self.timelines.push(Timeline::new(self.now)?);
        Ok(number as u8)
    }

    /// Sets what jitter is drawn from, beside the task and the moment.
    pub const fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// The latest moment that the engine was given.
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// Gives the engine the time, for operations that count from now. A moment before an
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
        self.next_deadline_for(0)
    }

    /// As [`Engine::next_deadline`], for the tasks of another executor; `NEVER` if there is none.
    #[inline]
    pub fn next_deadline_for(&self, executor: u8) -> Nanos {
        self.timelines.get(executor as usize).map_or(NEVER, Timeline::next_deadline)
    }

    /// Makes ready what is due by `now`, touching about `budget` entries; a moment before an
    /// earlier one counts as that. Returns whether all of it is done: if not, call again.
    pub fn advance(&mut self, now: Nanos, budget: u32) -> bool {
        self.advance_for(0, now, budget)
    }

    /// As [`Engine::advance`], for the tasks of another executor.
    pub fn advance_for(&mut self, executor: u8, now: Nanos, budget: u32) -> bool {
        self.tell(now);
        let Some(timeline) = self.timelines.get_mut(executor as usize) else { return true };
        let mut budget = Budget(budget.max(1));
        timeline.advance(self.now, &mut budget, &mut self.pool, &mut self.slab)
    }

    /// The first in order of what is ready, for a worker to run now. Amortised O(1).
    #[inline]
    pub fn take(&mut self) -> Option<Taken> {
        self.take_for(0)
    }

    /// As [`Engine::take`], of what another executor runs.
    #[inline]
    pub fn take_for(&mut self, executor: u8) -> Option<Taken> {
        let timeline = self.timelines.get_mut(executor as usize)?;
        let entry = timeline.ready.pop(&mut self.pool, &mut self.slab)?;
        let record = &mut self.slab[entry.slot];
        if record.planned().is_some() {
            return Some(self.take_planned(entry));
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
        let planned = record.planned().is_some();
        let due = self.due_on_wall(slot);
        let next = if planned { self.next_occurrence(slot) } else { (None, 0) };
        self.gauges.running -= 1;
        match (next, state.after(Event::Continue)) {
            ((Some(nominal), skipped), Some(after)) => {
                self.counters.skipped += skipped;
                self.forget_retry(slot);
                self.slab[slot].state = after;
                if after == State::Paused {
                    self.gauges.paused += 1;
                    self.keep_paused(slot, nominal);
                } else {
                    self.gauges.pending += 1;
                    self.rearm(slot, nominal);
                }
                Some(Completion { history_index: None, due, skipped })
            }
            ((_, skipped), _) => {
                let ending = match state {
                    State::Stopping => Ending::Cancelled,
                    _ if failed => Ending::Failed,
                    _ => Ending::Completed,
                };
                let skipped = if state == State::Stopping { 0 } else { skipped };
                self.counters.skipped += skipped;
                Some(Completion { history_index: Some(self.end(slot, ending, due)), due, skipped })
            }
        }
    }

    /// Hands out what is to be freed while no lock is held, if there is anything. O(1).
    #[inline]
    pub fn take_garbage(&mut self) -> Option<Box<Garbage>> {
        let some = self.slab.has_retired()
            || self.pool.has_retired()
            || self.plans.has_retired()
            || self.timelines.iter().any(|timeline| timeline.front.has_retired())
            || !self.calendars.is_empty();
        some.then(|| self.collect_garbage())
    }

    #[cold]
    fn collect_garbage(&mut self) -> Box<Garbage> {
        let (records, stamps) = self.slab.take_retired();
        Box::new(Garbage {
            _records: records,
            _stamps: stamps,
            _chunks: self.pool.take_retired(),
            _plans: self.plans.take_retired(),
            _fronts: self
                .timelines
                .iter_mut()
                .map(|timeline| timeline.front.take_retired())
                .collect(),
            _calendars: std::mem::take(&mut self.calendars),
        })
    }

    /// The slot that will be taken after so many others, if nothing changes, and where its record
    /// lies: to bring both into the cache before they are needed. O(1).
    #[inline]
    pub fn upcoming(&self, after: u32) -> Option<(u32, *const ())> {
        let slot = self.timelines.first()?.ready.ahead(after, &self.pool)?.slot;
        Some((slot, std::ptr::from_ref(self.slab.get(slot)?).cast()))
    }

    /// Gives up a reference to a recurrence. With the last one goes its calendar, which is dropped
    /// later, because that takes as long as the calendar is large.
    #[inline]
    fn retire_recurrence(&mut self, recurrence: Arc<Recurrence>) {
        if let Some(Recurrence { repeat: repeat @ Repeat::Calendar(_), .. }) =
            Arc::into_inner(recurrence)
        {
            drop_later(&mut self.calendars, repeat);
        }
    }

    #[inline]
    fn count_start(&mut self, lateness: Nanos) {
        self.counters.started += 1;
        self.gauges.pending -= 1;
        self.gauges.running += 1;
        self.lateness.record(lateness);
    }

    fn take_planned(&mut self, mut entry: Entry) -> Taken {
        let (now, slot) = (self.now, entry.slot);
        let id = self.slab.id(slot);
        let number = self.slab[slot].plan;
        let Some((verdict, judged)) = self.judge(slot, number) else {
            // A sweep that is past the head of the lane does not see it again.
            entry.renew_stamp(&mut self.slab);
            let record = &self.slab[slot];
            let ready = &mut self.timelines[record.list.executor()].ready;
            ready.push_front(record.priority, entry, &mut self.pool);
            return Taken::Undecided;
        };
        match verdict {
            Verdict::Run { nominal, missed } => {
                let lateness = now.saturating_sub(self.deadline(slot, nominal));
                let stays_paused = self.plans[number].start(nominal, missed, judged);
                self.counters.missed += missed;
                let record = &mut self.slab[slot];
                record.step(Event::Take);
                record.deadline = nominal;
                record.sequence = now;
                if stays_paused {
                    record.step(Event::Pause);
                }
                self.count_start(lateness);
                Taken::Run(slot)
            }
            Verdict::Miss { missed, next } => {
                let nominal = self.nominal_on_wall(slot);
                let exceptional = self.plans[number].exceptional_mut();
                exceptional.missed += missed;
                exceptional.missed_since_run += missed;
                self.counters.missed += missed;
                let history_index = match next {
                    Some(next) => {
                        self.slab[slot].step(Event::Miss);
                        self.rearm(slot, next);
                        None
                    }
                    None => {
                        self.gauges.pending -= 1;
                        let due = self.due_on_wall(slot);
                        Some(self.end(slot, Ending::Missed, due))
                    }
                };
                Taken::Missed(Missed { id, nominal, missed, history_index })
            }
        }
    }

    /// Applies the late-work rule to a task whose turn has come: the verdict, and the moment on the
    /// task's clock that it is about. `None` if that takes another call; O(JUDGE_LOOKS).
    fn judge(&mut self, slot: u32, number: u32) -> Option<(Verdict, Nanos)> {
        let plan = &self.plans[number];
        let (due, local_now) = (plan.nominal, self.now_of(plan));
        let exceptional = plan.exceptional();
        if exceptional.by_hand {
            return Some((Verdict::Run { nominal: due, missed: 0 }, local_now));
        }
        if let Some(retry) = &exceptional.retry {
            return Some((Verdict::Run { nominal: due, missed: 0 }, retry.judged));
        }
        let occurrences = self.occurrences(slot, number);
        // Begun before, unless the task or its clock has been given another time since.
        let begun = exceptional.judging.as_deref().copied();
        let begun = begun.filter(|begun| begun.nominal == due && begun.now <= local_now);
        let mut judging = begun.unwrap_or_else(|| occurrences.begin_judging(due, local_now));
        let mut looks = Looks(JUDGE_LOOKS);
        let verdict = occurrences.judge_piece(&mut judging, &mut looks);
        self.slab.count_work(JUDGE_LOOKS - looks.0);
        let plan = &mut self.plans[number];
        if verdict.is_none() {
            plan.exceptional_mut().judging = Some(Box::new(judging));
        } else if let Some(exceptional) = plan.exceptional_if_any() {
            exceptional.judging = None;
        }
        Some((verdict?, judging.now))
    }

    /// What follows the run of a planned task that ends now: the next nominal time, and how many
    /// occurrences it has passed over.
    fn next_after_run(&self, slot: u32) -> (Option<Nanos>, u64) {
        let record = &self.slab[slot];
        let plan = &self.plans[record.plan];
        let occurrences = plan.occurrences(self.seed_of(slot));
        // As the wall showed it then: what it has been set past meanwhile has overlapped the run.
        let exceptional = plan.exceptional();
        let started = match &exceptional.retry {
            _ if plan.on_wall => plan.judged(),
            Some(retry) => retry.started,
            None => record.sequence,
        };
        let ended = self.now_of(plan);
        match exceptional.next {
            _ if plan.runs >= plan.recurrence().max_runs => (None, 0),
            Some(candidate) if exceptional.by_hand || exceptional.set_back => {
                occurrences.resume(candidate, started, ended)
            }
            Some(rescheduled) => (Some(rescheduled), 0),
            None => occurrences.next(record.deadline, started, ended),
        }
    }

    /// Notes the end of the run of a planned task, and answers what follows it.
    fn next_occurrence(&mut self, slot: u32) -> (Option<Nanos>, u64) {
        let (next, skipped) = self.next_after_run(slot);
        let sequence = self.next_sequence + 1;
        let record = &self.slab[slot];
        let plan = &mut self.plans[record.plan];
        plan.end(record.sequence, self.now);
        if skipped > 0 {
            plan.exceptional_mut().skipped += skipped;
        }
        if let Some(exceptional) = plan.exceptional_if_any() {
            let by_hand = std::mem::take(&mut exceptional.by_hand);
            let kept = std::mem::take(&mut exceptional.set_back) | by_hand;
            if exceptional.next.take().is_some() && !kept && next.is_some() {
                // Rescheduled: a new time has a new number in the order.
                plan.sequence = sequence;
                self.next_sequence = sequence;
            }
        }
        (next, skipped)
    }

    /// Ends a task that is in no list: its id is unknown from here on, its slot reserved.
    #[inline]
    fn end(&mut self, slot: u32, ending: Ending, due: Nanos) -> u32 {
        let id = self.slab.id(slot);
        let record = &self.slab[slot];
        let running = record.state.is_running();
        let planned = record.planned().is_some();
        let mut ended = Ended {
            id,
            ending,
            priority: record.priority,
            nominal: if planned { self.nominal_on_wall(slot) } else { due },
            due,
            started: running.then_some(record.sequence),
            ended: running.then_some(self.now),
            runs: u64::from(running),
            missed: 0,
            attempts: u32::from(running),
        };
        if let Some(number) = record.planned() {
            let plan = &mut self.plans[number];
            let exceptional = plan.exceptional();
            ended.started = ended.started.or(plan.started());
            ended.ended = ended.ended.or(plan.ended());
            ended.runs = plan.runs;
            let failed = exceptional.retry.as_ref().map_or(0, |retry| retry.attempts);
            let ran = running || failed == 0 && plan.runs > 0;
            ended.attempts = failed + u32::from(ran);
            ended.missed =
                if running { exceptional.missed_by_run } else { exceptional.missed_since_run };
            if let Some(second) = plan.load() {
                self.load.remove(second);
            }
            // A calendar is not kept by a task that has ended.
            if let Some(recurrence) = plan.clear() {
                self.retire_recurrence(recurrence);
            }
            self.plans.free(number);
        }
        ended.started = ended.started.map(|axis| self.to_wall(axis));
        ended.ended = ended.ended.map(|axis| self.to_wall(axis));
        self.slab[slot].end_tenancy();
        self.history.record(ended)
    }
}

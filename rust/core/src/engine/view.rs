//! Queries: what is known of tasks, live and ended, and of the engine.

use super::Engine;
#[cfg(any(test, feature = "check-invariants"))]
use super::timeline::Timeline;
use crate::history::Ended;
use crate::id::TaskId;
use crate::recurrence::Recurrence;
#[cfg(any(test, feature = "check-invariants"))]
use crate::segments::NIL;
use crate::state::State;
use crate::stats::{Counters, LatenessHistogram};
use crate::time::{FAR_FUTURE, Nanos};

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

/// What the engine knows of a live task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// Its state.
    pub state: State,
    /// Its priority.
    pub priority: u8,
    /// The nominal time of its next occurrence; of a running task, of this run.
    pub nominal: Nanos,
    /// When that is due: the nominal time, delayed by jitter and a window.
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
    /// Which attempt at its run is under way or is to come; 1 for the first.
    pub attempt: u32,
    /// When the first attempt started, if it has.
    pub first_started: Option<Nanos>,
}

impl Engine {
    /// One more than the greatest slot in use.
    pub fn slot_limit(&self) -> u64 {
        self.slab.limit()
    }

    /// The slot of a live task. O(1).
    #[inline]
    pub fn slot_of(&self, id: TaskId) -> Option<u32> {
        self.slab.resolve(id)
    }

    /// The state of a live task. O(1).
    #[inline]
    pub fn state(&self, id: TaskId) -> Option<State> {
        self.slab.resolve(id).map(|slot| self.slab[slot].state)
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
            attempt: 1,
            first_started: started,
        };
        if let Some(plan) = record.planned() {
            let plan = &self.plans[plan];
            let exceptional = plan.exceptional();
            view.started = started.or(plan.started().map(|axis| self.to_wall(axis)));
            view.ended = plan.ended().map(|axis| self.to_wall(axis));
            view.runs = plan.runs;
            view.missed = exceptional.missed;
            view.missed_by_run = exceptional.missed_by_run;
            view.skipped = exceptional.skipped;
            if let Some(retry) = &exceptional.retry {
                view.attempt = 1 + retry.attempts;
                view.first_started = Some(self.to_wall(retry.started));
            }
        }
        Some(view)
    }

    /// How a task ended, and its index in the history, if that is remembered. O(1).
    pub fn ended(&self, id: TaskId) -> Option<(u32, &Ended)> {
        self.history.find(id)
    }

    /// The end that an operation has just put at an index of the history.
    pub fn ended_at(&self, history_index: u32) -> Option<&Ended> {
        self.history.at(history_index)
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
    /// keeps, because jitter is drawn from them. `None` if it will not run again.
    ///
    /// A run under way is taken to end now, and a run by hand to move nothing, as it does.
    pub(crate) fn timing(&self, slot: u32) -> Option<TaskTiming<'_>> {
        let record = self.slab.get(slot)?;
        let running = record.state.is_running();
        let Some(number) = record.planned() else {
            let nominal = self.nominal_on_wall(slot);
            let timing = TaskTiming { nominal, seed: self.seed_of(slot), ..TaskTiming::default() };
            return (!running).then_some(timing);
        };
        let plan = &self.plans[number];
        let exceptional = plan.exceptional();
        let nominal = match (running, exceptional.next) {
            (true, _) => self.next_after_run(slot).0?,
            (false, Some(next)) => next,
            (false, None) => plan.nominal,
        };
        Some(TaskTiming {
            recurrence: Some(plan.recurrence()),
            nominal,
            offset: if plan.on_wall { 0 } else { self.wall_offset() },
            end: plan.recurrence().end,
            runs: plan.runs,
            window_offset: exceptional.window_offset,
            seed: self.seed_of(slot),
            by_hand: exceptional.by_hand && !running,
        })
    }

    /// Whether a pending task is due by `now`, even if it has not been moved to the ready queue. O(1).
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
    pub fn ready(&self) -> u64 {
        self.timelines.iter().map(|timeline| timeline.ready.live()).sum()
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
            + self.timelines.iter().map(|timeline| timeline.front.bytes()).sum::<u64>()
            + self.load.bytes()
            + self.history.bytes()
    }

    /// Panics unless bits, counts and bounds agree throughout. O(lists).
    #[cfg(any(test, feature = "check-invariants"))]
    pub fn check(&self) {
        for timeline in &self.timelines {
            timeline.wheel.check();
            timeline.ready.check();
        }
    }

    /// Panics unless each waiting task has exactly one living entry, and no entry is old. O(memory).
    #[cfg(any(test, feature = "check-invariants"))]
    pub fn check_entries(&self) {
        for timeline in &self.timelines {
            timeline.wheel.check_entries(&self.pool, &self.slab);
            timeline.front.check_entries(&self.slab);
            timeline.ready.check_entries(&self.pool, &self.slab);
        }
        let mut waiting = 0;
        let mut slots = std::collections::HashSet::new();
        let entries = |timeline: &Timeline| timeline.entries(&self.pool).collect::<Vec<_>>();
        for entry in self.timelines.iter().flat_map(entries) {
            // The front blanks dead entries that it cannot drop yet.
            let blank = entry.slot == NIL;
            assert!(blank || !self.slab.stamps.is_too_old(entry.stamp), "{entry:?}");
            if entry.is_live(&self.slab) {
                let state = self.slab[entry.slot].state;
                assert!(matches!(state, State::Pending | State::Ready), "{entry:?} {state:?}");
                assert!(slots.insert(entry.slot), "{entry:?} is there twice");
                waiting += 1;
            }
        }
        assert_eq!(waiting, self.gauges.pending);
    }

    /// How many entries the front holds, dead or alive.
    #[cfg(feature = "check-invariants")]
    pub fn front_entries(&self) -> u64 {
        self.timelines.iter().map(|timeline| timeline.front.entries().count() as u64).sum()
    }

    /// The steps of work done so far: entries, slots, chunks and calendar dates looked at or moved.
    /// For tests of what one call may do.
    #[cfg(feature = "check-invariants")]
    pub fn work(&self) -> u64 {
        self.slab.work()
    }
}

/// What a forecast has to know of a task.
pub(crate) struct TaskTiming<'a> {
    pub(crate) recurrence: Option<&'a Recurrence>,
    pub(crate) nominal: Nanos,
    /// What the wall shows beyond its clock.
    pub(crate) offset: i64,
    pub(crate) end: Nanos,
    pub(crate) runs: u64,
    pub(crate) window_offset: Nanos,
    pub(crate) seed: u64,
    /// A run that was asked for by hand comes before.
    pub(crate) by_hand: bool,
}

impl Default for TaskTiming<'_> {
    fn default() -> Self {
        Self {
            recurrence: None,
            nominal: 0,
            offset: 0,
            end: FAR_FUTURE,
            runs: 0,
            window_offset: 0,
            seed: 0,
            by_hand: false,
        }
    }
}

//! Plans: the cold records, which only some tasks have.
//!
//! A plain one-shot has none. A recurring task has one for life; so has a one-shot with a grace, or
//! one whose time had passed when it was scheduled.
//!
//! A plan is 64 bytes, a cache line. Tasks with the same timing share one [`Recurrence`], and what
//! most tasks never need is in a box that is made when it is needed first ([`Exceptional`]).

use std::sync::Arc;

use crate::memory::{OutOfMemory, boxed};
use crate::recurrence::{Judging, Occurrences, Recurrence, Repeat};
use crate::segments::{Item, NIL, Segments};
use crate::time::{NEVER, Nanos};

/// Timing and progress of one task. Moments of a task on the wall clock are those of the wall.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What was asked for, shared by all tasks that asked for the same; none for a one-shot without
    /// a grace. Whether the task is on the wall clock is not said here, but by `on_wall`.
    pub(crate) shared: Option<Arc<Recurrence>>,
    /// When the next occurrence is due, or the one that runs was.
    pub(crate) nominal: Nanos,
    /// The task's number in the order of scheduling.
    pub(crate) sequence: u64,
    /// Between two runs, when the last one started, on the axis; `NEVER` before the first. The record
    /// of a running task says when that started. Here is then the same moment on the clock that the
    /// task keeps: what was due by then has been judged, wherever that clock is set to meanwhile.
    started_or_judged: Nanos,
    /// When the last run ended, on the axis; `NEVER` before the first end.
    ended: Nanos,
    pub(crate) runs: u64,
    exceptional: Option<Box<[Exceptional; 1]>>,
    link: u32,
    /// The second of the hour in which it is counted as due; `NO_SECOND` if it is not.
    load: u16,
    /// Its moments are those of the wall clock. A one-shot can change clocks.
    pub(crate) on_wall: bool,
}

const _: () = assert!(size_of::<Plan>() == 64);

/// What a plan notes of a task that has a window, was late, was run by hand, or was given another
/// time.
#[derive(Debug, Default)]
pub(crate) struct Exceptional {
    /// By how much its occurrences are delayed, within its window.
    pub(crate) window_offset: Nanos,
    /// A time given from outside for after the run to come or the one under way.
    pub(crate) next: Option<Nanos>,
    /// `next` is not a new time, but that of the calendar after the wall was set back in this run.
    pub(crate) set_back: bool,
    /// The run to come or under way was asked for by hand: it does not count and moves nothing.
    pub(crate) by_hand: bool,
    /// The task was paused when the run to come was asked for, and is to be paused after it.
    pub(crate) stays_paused: bool,
    pub(crate) missed: u64,
    /// Missed between the run before and the one that runs or ran last.
    pub(crate) missed_by_run: u64,
    pub(crate) missed_since_run: u64,
    pub(crate) skipped: u64,
    /// The late-work rule is being applied, in several lock holds.
    pub(crate) judging: Option<Box<Judging>>,
    /// The run under way has failed before, or the run to come is tried again.
    pub(crate) retry: Option<Box<Retry>>,
}

/// A run that is tried again.
#[derive(Debug)]
pub(crate) struct Retry {
    /// How many attempts have failed.
    pub(crate) attempts: u32,
    /// When the attempt to come is due, or the one under way was, on the axis.
    pub(crate) due: Nanos,
    /// When the first attempt started, on the axis, and on the clock that the task keeps: what was
    /// due by then has been judged.
    pub(crate) started: Nanos,
    pub(crate) judged: Nanos,
}

impl Exceptional {
    /// What a plan without a box says.
    const NONE: Self = Self {
        window_offset: 0,
        next: None,
        set_back: false,
        by_hand: false,
        stays_paused: false,
        missed: 0,
        missed_by_run: 0,
        missed_since_run: 0,
        skipped: 0,
        judging: None,
        retry: None,
    };
}

/// What a plan without a recurrence says.
static ONCE: Recurrence = Recurrence::ONCE;

/// The load of a task that is not counted.
const NO_SECOND: u16 = u16::MAX;

/// All plans, in segments of 2 MiB.
pub(crate) type Plans = Segments<Plan, 15>;

impl Plan {
    pub(crate) const fn new(
        shared: Option<Arc<Recurrence>>,
        on_wall: bool,
        nominal: Nanos,
        sequence: u64,
    ) -> Self {
        Self {
            shared,
            nominal,
            sequence,
            started_or_judged: NEVER,
            ended: NEVER,
            runs: 0,
            exceptional: None,
            link: NIL,
            load: NO_SECOND,
            on_wall,
        }
    }

    /// What was asked for.
    #[inline]
    pub(crate) fn recurrence(&self) -> &Recurrence {
        self.shared.as_deref().unwrap_or(&ONCE)
    }

    /// The occurrences of the task, given the seed that is its own.
    #[inline]
    pub(crate) fn occurrences(&self, seed: u64) -> Occurrences<'_> {
        let window_offset = self.exceptional().window_offset;
        Occurrences { recurrence: self.recurrence(), window_offset, seed }
    }

    /// What most plans do not have.
    #[inline]
    pub(crate) fn exceptional(&self) -> &Exceptional {
        const NONE: &[Exceptional; 1] = &[Exceptional::NONE];
        let [exceptional] = self.exceptional.as_deref().unwrap_or(NONE);
        exceptional
    }

    /// The same, to be changed, if the plan has it.
    #[inline]
    pub(crate) fn exceptional_if_any(&mut self) -> Option<&mut Exceptional> {
        self.exceptional.as_deref_mut().map(|[exceptional]| exceptional)
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn exceptional_mut(&mut self) -> &mut Exceptional {
        let [exceptional] = &mut **self.exceptional.get_or_insert_default();
        exceptional
    }

    /// Notes by how much occurrences are delayed, within the window.
    pub(crate) fn set_window_offset(&mut self, window_offset: Nanos) -> Result<(), OutOfMemory> {
        self.exceptional = Some(boxed(Exceptional { window_offset, ..Exceptional::NONE })?);
        Ok(())
    }

    /// When the last run started, of a task that is not running.
    pub(crate) fn started(&self) -> Option<Nanos> {
        (self.started_or_judged != NEVER).then_some(self.started_or_judged)
    }

    /// When the run under way started, on the clock that the task keeps.
    pub(crate) const fn judged(&self) -> Nanos {
        self.started_or_judged
    }

    /// Notes that the clock that the task keeps was set back to a moment in this run.
    pub(crate) fn set_judged_back(&mut self, local_now: Nanos) {
        self.started_or_judged = self.started_or_judged.min(local_now);
    }

    /// When the last run ended.
    pub(crate) fn ended(&self) -> Option<Nanos> {
        (self.ended != NEVER).then_some(self.ended)
    }

    /// The second of the hour in which it is counted as due.
    pub(crate) fn load(&self) -> Option<u16> {
        (self.load != NO_SECOND).then_some(self.load)
    }

    /// Notes the second of the hour in which it is counted as due.
    pub(crate) const fn set_load(&mut self, second: u16) {
        self.load = second;
    }

    /// Notes the end of a run, and when it started, as moments of the axis.
    #[inline]
    pub(crate) const fn end(&mut self, started: Nanos, now: Nanos) {
        self.started_or_judged = started;
        self.ended = now;
    }

    /// A time given from outside, on the clock that the task keeps; a one-shot may change clocks.
    pub(crate) fn retimed(&mut self, wall: Nanos, axis: Nanos, on_wall: bool) -> Nanos {
        if matches!(self.recurrence().repeat, Repeat::Once) {
            self.on_wall = on_wall;
        }
        if self.on_wall { wall } else { axis }
    }

    /// Notes the start of a run, at a moment of the clock that the task keeps. Returns whether the
    /// task is to be paused after it.
    #[inline]
    pub(crate) fn start(&mut self, nominal: Nanos, missed: u64, local_now: Nanos) -> bool {
        self.started_or_judged = local_now;
        self.nominal = nominal;
        if self.exceptional.is_none() && missed == 0 {
            self.runs += 1;
            return false;
        }
        let exceptional = self.exceptional_mut();
        if exceptional.retry.is_none() {
            exceptional.missed += missed;
            exceptional.missed_by_run = exceptional.missed_since_run + missed;
            exceptional.missed_since_run = 0;
        }
        let by_hand = exceptional.by_hand;
        let stays_paused = std::mem::take(&mut exceptional.stays_paused);
        let is_retry = exceptional.retry.is_some();
        self.runs += u64::from(!by_hand && !is_retry);
        stays_paused
    }

    /// Gives up all that takes memory beside the plan; the recurrence is for the caller to drop.
    #[inline]
    pub(crate) fn clear(&mut self) -> Option<Arc<Recurrence>> {
        self.exceptional = None;
        self.shared.take()
    }
}

impl Item for Plan {
    fn fresh(_mark: u32) -> Self {
        Self::new(None, false, 0, 0)
    }

    fn link(&self) -> u32 {
        self.link
    }

    fn set_link(&mut self, link: u32) {
        self.link = link;
    }
}

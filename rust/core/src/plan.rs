//! Plans: the cold records, which only some tasks have.
//!
//! A plain one-shot has none. A recurring task has one for life; so has a one-shot with a grace, or
//! one whose time had passed when it was scheduled.

use crate::recurrence::{Judging, Occurrences, Recurrence, Repeat};
use crate::segments::{Item, NIL, Segments};
use crate::time::Nanos;

/// Timing and progress of one task. Moments of a task on the wall clock are those of the wall.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) recurrence: Recurrence,
    /// By how much its occurrences are delayed, within its window.
    pub(crate) window_offset: Nanos,
    /// The second of the hour in which it is counted as due.
    pub(crate) load: Option<u16>,
    /// When the next occurrence is due, or the one that runs was.
    pub(crate) nominal: Nanos,
    /// The task's number in the order of scheduling.
    pub(crate) sequence: u64,
    /// A time given from outside for after the run to come or the one under way.
    pub(crate) next: Option<Nanos>,
    /// `next` is not a new time, but that of the calendar after the wall was set back in this run.
    pub(crate) set_back: bool,
    /// The run to come or under way was asked for by hand: it does not count and moves nothing.
    pub(crate) by_hand: bool,
    /// The task was paused when the run to come was asked for, and is to be paused after it.
    pub(crate) stays_paused: bool,
    pub(crate) started: Option<Nanos>,
    /// The moment of the last start on the clock that the task keeps: what was due by then has been
    /// judged, wherever that clock is set to while the run lasts.
    pub(crate) judged: Nanos,
    pub(crate) ended: Option<Nanos>,
    pub(crate) runs: u64,
    pub(crate) missed: u64,
    /// Missed between the run before and the one that runs or ran last.
    pub(crate) missed_by_run: u64,
    pub(crate) missed_since_run: u64,
    pub(crate) skipped: u64,
    /// The late-work rule is being applied, in several lock holds.
    pub(crate) judging: Option<Box<Judging>>,
    link: u32,
}

/// All plans, in segments of 2 MiB or a little more.
pub(crate) type Plans = Segments<Plan, 13>;

impl Plan {
    pub(crate) const fn new(recurrence: Recurrence, nominal: Nanos, sequence: u64) -> Self {
        Self {
            recurrence,
            window_offset: 0,
            load: None,
            nominal,
            sequence,
            next: None,
            set_back: false,
            by_hand: false,
            stays_paused: false,
            started: None,
            judged: 0,
            ended: None,
            runs: 0,
            missed: 0,
            missed_by_run: 0,
            missed_since_run: 0,
            skipped: 0,
            judging: None,
            link: NIL,
        }
    }

    /// The occurrences of the task, given the seed that is its own.
    pub(crate) const fn occurrences(&self, seed: u64) -> Occurrences<'_> {
        Occurrences { recurrence: &self.recurrence, window_offset: self.window_offset, seed }
    }

    /// A time given from outside, on the clock that the task keeps; a one-shot may change clocks.
    pub(crate) fn retimed(&mut self, wall: Nanos, axis: Nanos, on_wall: bool) -> Nanos {
        if matches!(self.recurrence.repeat, Repeat::Once) {
            self.recurrence.on_wall = on_wall;
        }
        if self.recurrence.on_wall { wall } else { axis }
    }

    /// Notes the start of a run, at a moment of the axis that is `local_now` on the task's clock.
    pub(crate) fn start(&mut self, nominal: Nanos, missed: u64, now: Nanos, local_now: Nanos) {
        self.judged = local_now;
        self.nominal = nominal;
        self.missed += missed;
        self.missed_by_run = self.missed_since_run + missed;
        self.missed_since_run = 0;
        self.started = Some(now);
        self.runs += u64::from(!self.by_hand);
    }
}

impl Item for Plan {
    fn fresh(_mark: u32) -> Self {
        Self::new(Recurrence::default(), 0, 0)
    }

    fn link(&self) -> u32 {
        self.link
    }

    fn set_link(&mut self, link: u32) {
        self.link = link;
    }
}

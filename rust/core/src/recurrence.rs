//! When a task is due next: fixed rate, fixed delay, bounds, and the rule for late work.
//!
//! Occurrence k of a fixed-rate task is due at anchor + k × interval, exactly, for ever: the next
//! time is computed from the last nominal time, never from a clock, so nothing drifts. Everything
//! here is closed form: what to do about a billion missed occurrences costs one division.

use crate::time::{FAR_FUTURE, Nanos, after};

/// How the next time follows from the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// One occurrence only.
    Once,
    /// Every so many nanoseconds on a grid that late runs do not move.
    FixedRate(Nanos),
    /// So many nanoseconds after the last run ended.
    FixedDelay(Nanos),
}

/// Which of several overdue occurrences runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Misfire {
    /// The latest, once.
    #[default]
    Latest,
    /// The earliest, once.
    Earliest,
    /// Every one of them, one after another.
    All,
    /// None of them.
    Skip,
}

/// The timing of a task that is not a plain one-shot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrence {
    /// How the next time follows from the last.
    pub repeat: Repeat,
    /// No occurrence is due after this moment; it is itself allowed.
    pub end: Nanos,
    /// Runs that may start; `u64::MAX` for no bound.
    pub max_runs: u64,
    /// What happens to overdue occurrences.
    pub misfire: Misfire,
    /// How late an occurrence may start; later than this, it is missed.
    pub grace: Nanos,
    /// Under [`Misfire::All`], how many overdue occurrences run at the most; the oldest are missed.
    pub catch_up_limit: u64,
}

impl Default for Recurrence {
    fn default() -> Self {
        Self {
            repeat: Repeat::Once,
            end: FAR_FUTURE,
            max_runs: u64::MAX,
            misfire: Misfire::Latest,
            grace: FAR_FUTURE,
            catch_up_limit: u64::MAX,
        }
    }
}

/// What the late-work rule makes of an occurrence whose turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Run the occurrence of this nominal time; so many others are given up.
    Run {
        /// When the occurrence that runs was due.
        nominal: Nanos,
        /// How many others are given up.
        missed: u64,
    },
    /// Run none.
    Miss {
        /// How many are given up.
        missed: u64,
        /// The next occurrence, if there is one.
        next: Option<Nanos>,
    },
}

impl Recurrence {
    /// Decides about the occurrence of `nominal` and those after it that are due by `now`. O(1).
    pub fn judge(&self, nominal: Nanos, now: Nanos) -> Verdict {
        let Repeat::FixedRate(interval) = self.repeat else {
            if now.saturating_sub(nominal) <= self.grace {
                return Verdict::Run { nominal, missed: 0 };
            }
            let next = match self.repeat {
                Repeat::FixedDelay(delay) => self.within_end(after(now, delay)),
                _ => None,
            };
            return Verdict::Miss { missed: 1, next };
        };
        // At the end of the axis there is no occurrence any more.
        let limit = now.min(self.end).min(FAR_FUTURE - 1);
        let latest = last_on_grid(nominal, interval, limit);
        let due = (latest - nominal) / interval + 1;
        // The first occurrence that is not too late, and whether it is one that is due.
        let oldest_allowed = now.saturating_sub(self.grace);
        let first = first_on_grid(nominal, interval, oldest_allowed);
        let chosen = match self.misfire {
            _ if first > latest => None,
            Misfire::Latest => Some(latest),
            Misfire::Earliest => Some(first),
            Misfire::All => {
                let allowed = (latest - first) / interval + 1;
                let dropped = allowed.saturating_sub(self.catch_up_limit.max(1));
                Some(first + dropped * interval)
            }
            Misfire::Skip => (due == 1).then_some(nominal),
        };
        match chosen {
            Some(run) if self.misfire == Misfire::All => {
                Verdict::Run { nominal: run, missed: (run - nominal) / interval }
            }
            Some(run) => Verdict::Run { nominal: run, missed: due - 1 },
            None => Verdict::Miss { missed: due, next: self.within_end(after(latest, interval)) },
        }
    }

    /// The occurrence after a run, and how many were skipped because they fell due while it ran.
    ///
    /// `nominal` and `started` are those of the run that ended at `ended`. O(1).
    pub fn next(&self, nominal: Nanos, started: Nanos, ended: Nanos) -> (Option<Nanos>, u64) {
        match self.repeat {
            Repeat::Once => (None, 0),
            Repeat::FixedDelay(delay) => (self.within_end(after(ended, delay)), 0),
            Repeat::FixedRate(interval) if self.misfire == Misfire::All => {
                (self.within_end(after(nominal, interval)), 0)
            }
            Repeat::FixedRate(interval) => {
                // What was due by the start has been judged already.
                let judged = last_on_grid(nominal, interval, started.max(nominal));
                self.pass_over(after(judged, interval), interval, ended)
            }
        }
    }

    /// The occurrence that follows a run by hand from `started` to `ended`, when `candidate` was to
    /// be next, and how many were skipped because they fell due while it ran. What was due before
    /// it started was not: that is late work, judged when its turn comes. Nor is a time beyond the
    /// end, which somebody must have asked for. O(1).
    pub fn resume(&self, candidate: Nanos, started: Nanos, ended: Nanos) -> (Option<Nanos>, u64) {
        let overlapped = started < candidate && candidate < ended && candidate <= self.end;
        match self.repeat {
            Repeat::FixedRate(interval) if self.misfire != Misfire::All && overlapped => {
                self.pass_over(candidate, interval, ended)
            }
            _ => (Some(candidate), 0),
        }
    }

    /// The first occurrence from `first` on that is not before `ended`, and how many are.
    fn pass_over(&self, first: Nanos, interval: Nanos, ended: Nanos) -> (Option<Nanos>, u64) {
        let (next, passed) = skip_to(first, interval, ended);
        // Those beyond the end were no occurrences.
        let lawful = if first > self.end { 0 } else { (self.end - first) / interval + 1 };
        (self.within_end(next), passed.min(lawful))
    }

    fn within_end(&self, moment: Nanos) -> Option<Nanos> {
        (moment <= self.end && moment < FAR_FUTURE).then_some(moment)
    }
}

/// The last moment of the grid through `from` that is not after `limit`; at least `from`.
fn last_on_grid(from: Nanos, interval: Nanos, limit: Nanos) -> Nanos {
    from + limit.saturating_sub(from) / interval * interval
}

/// The first moment of the grid through `from` that is not before `moment`; at least `from`.
fn first_on_grid(from: Nanos, interval: Nanos, moment: Nanos) -> Nanos {
    skip_to(from, interval, moment).0
}

/// As [`first_on_grid`], with the number of grid points passed over.
fn skip_to(from: Nanos, interval: Nanos, moment: Nanos) -> (Nanos, u64) {
    let steps = moment.saturating_sub(from).div_ceil(interval);
    (after(from, steps.saturating_mul(interval)), steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(interval: Nanos) -> Recurrence {
        Recurrence { repeat: Repeat::FixedRate(interval), ..Recurrence::default() }
    }

    fn with(misfire: Misfire) -> Recurrence {
        Recurrence { misfire, ..every(10) }
    }

    #[test]
    fn on_time_every_word_runs_the_occurrence() {
        for misfire in [Misfire::Latest, Misfire::Earliest, Misfire::All, Misfire::Skip] {
            for now in [100, 109] {
                let expected = Verdict::Run { nominal: 100, missed: 0 };
                assert_eq!(with(misfire).judge(100, now), expected);
            }
        }
    }

    #[test]
    fn the_words_for_late_work() {
        let run = |nominal, missed| Verdict::Run { nominal, missed };
        assert_eq!(with(Misfire::Latest).judge(100, 135), run(130, 3));
        assert_eq!(with(Misfire::Earliest).judge(100, 135), run(100, 3));
        assert_eq!(with(Misfire::All).judge(100, 135), run(100, 0));
        let skipped = Verdict::Miss { missed: 4, next: Some(140) };
        assert_eq!(with(Misfire::Skip).judge(100, 135), skipped);
    }

    #[test]
    fn grace_and_catch_up_limit() {
        let latest = Recurrence { grace: 4, ..every(10) };
        assert_eq!(latest.judge(100, 134), Verdict::Run { nominal: 130, missed: 3 });
        assert_eq!(latest.judge(100, 135), Verdict::Miss { missed: 4, next: Some(140) });
        let earliest = Recurrence { grace: 15, ..with(Misfire::Earliest) };
        assert_eq!(earliest.judge(100, 135), Verdict::Run { nominal: 120, missed: 3 });
        let all = Recurrence { catch_up_limit: 2, ..with(Misfire::All) };
        assert_eq!(all.judge(100, 135), Verdict::Run { nominal: 120, missed: 2 });
        assert_eq!(all.next(120, 135, 136), (Some(130), 0));
        let once = Recurrence { grace: 5, ..Recurrence::default() };
        assert_eq!(once.judge(100, 105), Verdict::Run { nominal: 100, missed: 0 });
        assert_eq!(once.judge(100, 106), Verdict::Miss { missed: 1, next: None });
    }

    #[test]
    fn the_end_is_inclusive_and_bounds_what_counts_as_missed() {
        let bounded = Recurrence { end: 120, ..every(10) };
        assert_eq!(bounded.judge(100, 1_000), Verdict::Run { nominal: 120, missed: 2 });
        assert_eq!(bounded.next(110, 110, 111), (Some(120), 0));
        assert_eq!(bounded.next(120, 120, 121), (None, 0));
        assert_eq!(bounded.next(100, 100, 1_000), (None, 2));
    }

    #[test]
    fn a_run_that_overlaps_the_next_times_skips_them_and_keeps_the_grid() {
        assert_eq!(every(10).next(100, 101, 105), (Some(110), 0));
        assert_eq!(every(10).next(100, 101, 110), (Some(110), 0));
        assert_eq!(every(10).next(100, 101, 111), (Some(120), 1));
        assert_eq!(every(10).next(100, 101, 135), (Some(140), 3));
    }

    #[test]
    fn fixed_delay_counts_from_completion() {
        let delayed = Recurrence { repeat: Repeat::FixedDelay(7), ..Recurrence::default() };
        assert_eq!(delayed.next(100, 150, 160), (Some(167), 0));
    }

    #[test]
    fn a_billion_runs_do_not_drift_and_a_billion_misses_cost_one_division() {
        let third = Recurrence { repeat: Repeat::FixedRate(333_333_333), ..Recurrence::default() };
        let k = 1_000_000_000;
        let nominal = 17 + k * 333_333_333;
        assert_eq!(third.next(nominal, nominal + 5, nominal + 9).0, Some(nominal + 333_333_333));
        let verdict = third.judge(17, nominal + 1);
        assert_eq!(verdict, Verdict::Run { nominal, missed: k });
    }
}

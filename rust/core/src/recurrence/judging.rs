//! The rule for late work, applied in pieces.
//!
//! Which occurrence runs is found in a few looks at a grid or calendar. How many others are given up
//! is a count, and a union of rules, or one with exclusions, can only be counted by stepping through
//! it. Ten thousand steps are too long for one lock hold, so a judgement can be interrupted and gone
//! on with. It is about the moment at which it began: what falls due meanwhile is not part of it.

use super::{Looks, Misfire, Occurrences, Recurrence, Repeat, Verdict};
use crate::calendar::COUNT_LIMIT;
use crate::time::{Nanos, after};

/// Looks at parts of a calendar that one lock hold may take to judge late work: some 0.1 ms.
pub(crate) const JUDGE_LOOKS: u64 = 512;

/// A judgement of late work under way, in pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judging {
    /// The occurrence whose turn has come.
    pub(crate) nominal: Nanos,
    /// When the judgement began: what falls due later is not part of it.
    pub(crate) now: Nanos,
    /// The latest occurrence that is due.
    latest: Nanos,
    /// The first that is not too late.
    first: Option<Nanos>,
    /// The one that runs, if one does and `back` is 0.
    chosen: Option<Nanos>,
    /// By how many occurrences that one lies before `chosen`.
    back: u64,
    /// The last occurrence that was counted, and how many were after `nominal`.
    counted_to: Nanos,
    counted: u64,
}

impl Occurrences<'_> {
    /// Begins what [`Occurrences::judge`] does, for [`Occurrences::judge_piece`] to go on with.
    pub(crate) fn begin_judging(&self, nominal: Nanos, now: Nanos) -> Judging {
        let Recurrence { misfire, catch_up_limit, .. } = *self.recurrence;
        let oldest_allowed = now.saturating_sub(self.recurrence.effective_grace());
        let mut judging = Judging {
            nominal,
            now,
            latest: nominal,
            first: None,
            chosen: None,
            back: 0,
            counted_to: nominal,
            counted: 0,
        };
        if !self.is_series() {
            judging.chosen = (self.due(nominal) >= oldest_allowed).then_some(nominal);
            return judging;
        }
        let latest = self.last_due_by(nominal, now.min(self.last_allowed()));
        judging.latest = latest;
        // The first occurrence that is not too late, if it is one that is due.
        judging.first = self.first_due_from(nominal, oldest_allowed).filter(|one| *one <= latest);
        judging.chosen = judging.first.and_then(|first| match misfire {
            Misfire::Latest => Some(latest),
            Misfire::Earliest => Some(first),
            Misfire::Skip => (latest == nominal).then_some(nominal),
            Misfire::All if self.counted_calendar().is_none() => {
                Some(self.first_of_last(catch_up_limit, first, latest))
            }
            // Back from the end: not every calendar can count all that lies between.
            Misfire::All if catch_up_limit <= COUNT_LIMIT => {
                judging.back = catch_up_limit.max(1) - 1;
                Some(latest)
            }
            Misfire::All => Some(first),
        });
        judging
    }

    /// Goes on with a judgement while there are looks at the calendar left: `None` if it needs
    /// more. The number of missed occurrences is exact up to [`COUNT_LIMIT`] on a calendar whose
    /// occurrences have to be counted one by one, and exact without bound on others.
    pub(crate) fn judge_piece(&self, judging: &mut Judging, looks: &mut Looks) -> Option<Verdict> {
        let nominal = judging.nominal;
        if !self.is_series() {
            let next = match self.recurrence.repeat {
                Repeat::FixedDelay(delay) => self.within_end(after(judging.now, delay)),
                _ => None,
            };
            return Some(match judging.chosen {
                Some(nominal) => Verdict::Run { nominal, missed: 0 },
                None => Verdict::Miss { missed: 1, next },
            });
        }
        if let Some(calendar) = self.counted_calendar() {
            while let (1.., Some(at), Some(first)) = (judging.back, judging.chosen, judging.first) {
                let before =
                    looks.at(|used| calendar.last_by_counted(at.saturating_sub(1), used))?;
                let before = before.filter(|before| *before >= first);
                judging.chosen = before.or(Some(first));
                judging.back = if before.is_some() { judging.back - 1 } else { 0 };
            }
        }
        let until = match judging.chosen {
            Some(run) if self.recurrence.misfire == Misfire::All => run,
            _ => judging.latest,
        };
        match self.counted_calendar() {
            None => judging.counted = self.steps(nominal, until),
            Some(calendar) => {
                while judging.counted < COUNT_LIMIT && judging.counted_to < until {
                    let from = judging.counted_to;
                    let next = looks.at(|used| calendar.next_after_counted(from, used))?;
                    let Some(next) = next.filter(|next| *next <= until) else { break };
                    judging.counted_to = next;
                    judging.counted += 1;
                }
            }
        }
        let missed = judging.counted;
        Some(match judging.chosen {
            Some(nominal) => Verdict::Run { nominal, missed },
            None => {
                Verdict::Miss { missed: missed + 1, next: self.step_within_end(judging.latest) }
            }
        })
    }

    /// The first of the last so many occurrences of those from one to another, where they are
    /// counted in closed form.
    fn first_of_last(&self, number: u64, from: Nanos, to: Nanos) -> Nanos {
        let surplus = (self.steps(from, to) + 1).saturating_sub(number.max(1));
        let calendar = match &self.recurrence.repeat {
            Repeat::FixedRate(interval) => return from + surplus * interval,
            Repeat::Calendar(calendar) if surplus > 0 => calendar,
            _ => return from,
        };
        // Halving the span finds it in some sixty counts.
        let (mut least, mut most) = (from + 1, to);
        while least < most {
            let middle = least + (most - least) / 2;
            if calendar.count(from, middle) >= surplus {
                most = middle;
            } else {
                least = middle + 1;
            }
        }
        least
    }
}

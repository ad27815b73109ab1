//! What happens to the next time of a task when the wall clock is set back: Vixie's rule.

use super::{Occurrences, Repeat};
use crate::time::{Nanos, SECOND_NS};

/// A wall clock that is set back by less than this is taken to be corrected, by more to have been
/// wrong: three hours, as in Vixie's cron.
const FAR_BACK_NS: Nanos = 3 * 3_600 * SECOND_NS;

/// What a change of the wall clock means for tasks on a calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WallStep {
    /// Forward, or not at all: occurrences inside the jump are late work.
    #[default]
    Forward,
    /// Back by less than three hours: what happens at fixed times is not repeated, and waits until
    /// the wall shows its next time; what follows real time, by `*` or a step in minute or hour or
    /// on a grid, goes on.
    Back,
    /// Back by three hours or more: all are armed again from the new time.
    FarBack,
}

impl WallStep {
    /// The word that users see.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Back => "back",
            Self::FarBack => "reset",
        }
    }

    const fn back(by: Nanos) -> Self {
        if by >= FAR_BACK_NS { Self::FarBack } else { Self::Back }
    }

    /// What it means that the wall is now ahead of the axis by `to` instead of `from`.
    pub const fn between(from: i64, to: i64) -> Self {
        if to >= from { Self::Forward } else { Self::back(from.abs_diff(to)) }
    }
}

impl Occurrences<'_> {
    /// The next nominal time of a task on the wall clock that was to be due at `nominal`, when the
    /// wall is set back by `by` to show `now`: Vixie's rule. Never later than before.
    ///
    /// A step of three hours or more computes it anew, from the new time. After a smaller one what
    /// happens at fixed times waits for the wall, so that nothing is repeated, and what follows
    /// real time goes on in real time: next is the occurrence nearest to the moment at which the
    /// next one would have come, so that even many small steps repeat nothing in quick succession.
    /// A moment that was asked for, and is not one of the calendar's, stays.
    pub(crate) fn after_set_back(&self, nominal: Nanos, by: Nanos, now: Nanos) -> Nanos {
        let is_far = WallStep::back(by) == WallStep::FarBack;
        let from = now.saturating_add(1).max(self.recurrence.start);
        if nominal <= from {
            return nominal;
        }
        // The period before the next occurrence may become shorter by half.
        let earliest = |previous: Nanos| {
            let half = (nominal - previous) / 2;
            if is_far { from } else { from.max(nominal.saturating_sub(by).saturating_sub(half)) }
        };
        match &self.recurrence.repeat {
            Repeat::Once => nominal,
            Repeat::FixedDelay(_) => from.max(nominal.saturating_sub(by)),
            Repeat::FixedRate(interval) => {
                let earliest = earliest(nominal.saturating_sub(*interval)).min(nominal);
                nominal - (nominal - earliest) / interval * interval
            }
            Repeat::Calendar(calendar) => {
                let goes_on = is_far || calendar.follows_real_time();
                // The calendar's own, or beyond the last moment that a row of moments knows.
                let last = calendar.last_by(nominal);
                let is_own = last == Some(nominal) || calendar.next_after(nominal - 1).is_none();
                if !goes_on || !is_own {
                    return nominal;
                }
                let previous = calendar.last_by(nominal - 1).unwrap_or(nominal);
                calendar
                    .next_after(earliest(previous) - 1)
                    .map_or(nominal, |next| next.min(nominal))
            }
        }
    }
}

//! Every so many days, weeks, months or years, at a time of day.
//!
//! Occurrence k is computed from the anchor, never from occurrence k - 1: from 31 January monthly,
//! February is cut to its last day, and March is again the 31st. Everything is closed form.

use std::fmt;

use super::WallRule;
use super::civil::{DAY_S, Date, Year, civil};

/// What a [`CalendarInterval`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Days.
    Days,
    /// Weeks of seven days.
    Weeks,
    /// Months; in a shorter month than the anchor's day asks for, its last day.
    Months,
    /// Years; 29 February is 28 February in a common year.
    Years,
}

/// Why an interval was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidInterval {
    /// It is zero, or longer than [`CalendarInterval::LONGEST`].
    Length,
    /// The time of day is not below 86,400 seconds.
    Time,
}

impl fmt::Display for InvalidInterval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Length => "an interval must be from 1 to 1,000,000 units long",
            Self::Time => "a time of day must be below 86,400 seconds",
        })
    }
}

impl std::error::Error for InvalidInterval {}

/// Every N days, weeks, months or years from an anchor on, at a wall time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalendarInterval {
    pub(super) every: u32,
    pub(super) unit: Unit,
    pub(super) anchor: Date,
    pub(super) second_of_day: u32,
    /// Whether nothing fires before the anchor; else the anchor only sets the phase.
    pub(super) has_start: bool,
}

impl CalendarInterval {
    /// The most units that an interval may have.
    pub const LONGEST: u32 = 1_000_000;

    /// The first occurrence is on the day `anchor`, at `second_of_day` on the wall.
    ///
    /// # Errors
    /// `every` is not in 1 to [`Self::LONGEST`], or `second_of_day` is 86,400 or more.
    pub fn new(
        every: u32,
        unit: Unit,
        anchor: Date,
        second_of_day: u32,
    ) -> Result<Self, InvalidInterval> {
        if !(1..=Self::LONGEST).contains(&every) {
            return Err(InvalidInterval::Length);
        }
        if i64::from(second_of_day) >= DAY_S {
            return Err(InvalidInterval::Time);
        }
        Ok(Self { every, unit, anchor, second_of_day, has_start: true })
    }

    /// The same days, and those before the anchor: for clocks that are set back to before it.
    #[must_use]
    pub fn without_start(self) -> Self {
        Self { has_start: false, ..self }
    }

    /// The unit in days, or in months: whichever it is made of.
    fn step(&self) -> Step {
        let every = i64::from(self.every);
        match self.unit {
            Unit::Days => Step::Days(every),
            Unit::Weeks => Step::Days(every * 7),
            Unit::Months => Step::Months(every),
            Unit::Years => Step::Months(every * 12),
        }
    }

    /// The day number of occurrence `k`, from 0.
    fn day(&self, k: i64) -> i64 {
        let months = match self.step() {
            Step::Days(days) => return self.anchor.day_number() + k * days,
            Step::Months(months) => months,
        };
        let (year, month, day) = civil(self.anchor.day_number());
        let months = i64::from(month) - 1 + k * months;
        let year = Year::new(year.number + months.div_euclid(12));
        let month = months.rem_euclid(12) as u8 + 1;
        year.month_first(month) + i64::from(day.min(year.month_length(month))) - 1
    }

    /// The index of the first occurrence at or after the wall second `wall`; that on the anchor
    /// is 0. O(1).
    fn index(&self, wall: i64) -> i64 {
        // The first day whose occurrence is not before `wall`.
        let day = (wall - i64::from(self.second_of_day)).div_euclid(DAY_S)
            + i64::from((wall - i64::from(self.second_of_day)).rem_euclid(DAY_S) > 0);
        let anchor = self.anchor.day_number();
        if self.has_start && day <= anchor {
            return 0;
        }
        let months = match self.step() {
            Step::Days(days) => return (day - anchor + days - 1).div_euclid(days),
            Step::Months(months) => months,
        };
        let ((first, first_month, _), (last, last_month, _)) = (civil(anchor), civil(day));
        let apart =
            (last.number - first.number) * 12 + i64::from(last_month) - i64::from(first_month);
        // The occurrence in the month of `day`, or the last one before that month.
        let guess = apart.div_euclid(months);
        guess + i64::from(self.day(guess) < day)
    }

    fn wall(&self, k: i64) -> i64 {
        self.day(k) * DAY_S + i64::from(self.second_of_day)
    }
}

enum Step {
    Days(i64),
    Months(i64),
}

impl WallRule for CalendarInterval {
    fn next_wall(&self, from: i64) -> Option<i64> {
        Some(self.wall(self.index(from)))
    }

    fn last_wall(&self, to: i64) -> Option<i64> {
        let next = self.index(to + 1);
        (next > 0 || !self.has_start).then(|| self.wall(next - 1))
    }

    fn count_wall(&self, from: i64, to: i64) -> u64 {
        (self.index(to) - self.index(from)).max(0) as u64
    }
}

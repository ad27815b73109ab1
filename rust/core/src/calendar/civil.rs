//! The Gregorian calendar: day numbers, dates, months, weekdays.
//!
//! A day number counts days since 1970-01-01; a wall second counts seconds since that day's
//! midnight as a wall clock shows them, without zone. Both may be negative.
//!
//! There are only **fourteen calendars**: a year begins on one of seven weekdays, and is leap or
//! not. Whatever depends on month, day and weekday alone therefore needs a table of fourteen years
//! and no more; [`Year::kind`] is the row of a year in it.

use std::fmt;

/// Seconds in a day on a wall clock.
pub(super) const DAY_S: i64 = 86_400;

/// Kinds of years: seven weekdays to begin with, with and without a 29 February.
pub(super) const KINDS: usize = 14;

/// The first and the last day number of the years 1 and 9999, which a [`Date`] can name.
const DATES: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;

/// Days of a year before the first of each month (from 0), and the length of the year.
const BEFORE_MONTH: [[i64; 13]; 2] = [
    [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365],
    [0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366],
];

/// English names, Sunday first: the order of cron's numbers.
pub(super) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// English names, January first.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The day of the week: 0 is Sunday, 6 is Saturday. 1970-01-01 was a Thursday.
pub(super) fn weekday(day: i64) -> u8 {
    (day + 4).rem_euclid(7) as u8
}

/// A year, with what is needed to find its days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Year {
    pub number: i64,
    /// The day number of 1 January.
    pub first_day: i64,
    leap: bool,
}

impl Year {
    pub fn new(number: i64) -> Self {
        let past = number - 1;
        let leap_days = past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400);
        let leap = number % 4 == 0 && (number % 100 != 0 || number % 400 == 0);
        Self { number, first_day: past * 365 + leap_days - 719_162, leap }
    }

    /// The year of a day.
    fn of(day: i64) -> Self {
        // 400 years are 146,097 days. The mean year is never off by more than one.
        let guess = Self::new(1970 + (day * 400).div_euclid(146_097));
        if day < guess.first_day {
            Self::new(guess.number - 1)
        } else if day >= guess.first_day + guess.length() {
            Self::new(guess.number + 1)
        } else {
            guess
        }
    }

    /// Which of the [`KINDS`] this year is: the weekday of 1 January, plus 7 in a leap year.
    pub fn kind(self) -> usize {
        usize::from(weekday(self.first_day)) + if self.leap { 7 } else { 0 }
    }

    /// Any year of that kind; 1970 and later.
    pub fn of_kind(kind: usize) -> Self {
        (1970..).map(Self::new).find(|year| year.kind() == kind).unwrap_or(Self::new(1970))
    }

    fn length(self) -> i64 {
        BEFORE_MONTH[usize::from(self.leap)][12]
    }

    /// The day number of the first of a month, 1 to 12.
    pub fn month_first(self, month: u8) -> i64 {
        self.first_day + BEFORE_MONTH[usize::from(self.leap)][usize::from(month) - 1]
    }

    /// Days in a month, 1 to 12.
    pub fn month_length(self, month: u8) -> u8 {
        let before = &BEFORE_MONTH[usize::from(self.leap)];
        (before[usize::from(month)] - before[usize::from(month) - 1]) as u8
    }
}

/// Year, month from 1 and day of the month from 1 of a day number.
pub(super) fn civil(day: i64) -> (Year, u8, u8) {
    let year = Year::of(day);
    let before = &BEFORE_MONTH[usize::from(year.leap)];
    let day_of_year = day - year.first_day;
    // No month is longer than 31 days, and all together fall short by a week: right, or one less.
    let mut month = (day_of_year / 31) as usize;
    if day_of_year >= before[month + 1] {
        month += 1;
    }
    (year, month as u8 + 1, (day_of_year - before[month]) as u8 + 1)
}

/// A day of the Gregorian calendar, of the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i64);

impl Date {
    /// The date of year, month and day, or `None` if there is none such in the years 1 to 9999.
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let year = Year::new(i64::from(year));
        let lawful = (1..=9999).contains(&year.number)
            && (1..=12).contains(&month)
            && (1..=year.month_length(month)).contains(&day);
        lawful.then(|| Self(year.month_first(month) + i64::from(day) - 1))
    }

    /// The date so many days after 1970-01-01, or `None` beyond the years 1 to 9999.
    pub fn from_day_number(day: i64) -> Option<Self> {
        DATES.contains(&day).then_some(Self(day))
    }

    /// Days since 1970-01-01, negative before it.
    pub fn day_number(self) -> i64 {
        self.0
    }

    /// Year, month and day.
    pub fn parts(self) -> (i32, u8, u8) {
        let (year, month, day) = civil(self.0);
        (year.number as i32, month, day)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(formatter, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1890, 1, 1);
        let first = Date::new(1890, 1, 1).expect("a date").day_number();
        assert_eq!(weekday(first), 3, "1890 began on a Wednesday");
        for number in first..first + 800 * 366 {
            let found = civil(number);
            assert_eq!((found.0.number, found.1, found.2), (year, month, day));
            assert_eq!(Date::new(year as i32, month, day), Some(Date(number)));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u8::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }

    #[test]
    fn years_of_a_kind_are_alike() {
        for number in 1600..2600 {
            let (year, twin) = (Year::new(number), Year::of_kind(Year::new(number).kind()));
            for month in 1..=12 {
                assert_eq!(year.month_length(month), twin.month_length(month));
                assert_eq!(weekday(year.month_first(month)), weekday(twin.month_first(month)));
            }
        }
    }

    #[test]
    fn refuses_what_is_no_date() {
        for (year, month, day) in [(2023, 2, 29), (2024, 0, 1), (2024, 13, 1), (0, 1, 1)] {
            assert_eq!(Date::new(year, month, day), None);
        }
        assert_eq!(Date::new(2024, 2, 29).expect("a date").to_string(), "2024-02-29");
        assert_eq!(Date::new(1, 1, 1), Date::from_day_number(*DATES.start()));
        assert_eq!(Date::new(9999, 12, 31), Date::from_day_number(*DATES.end()));
        assert_eq!(Date::from_day_number(DATES.end() + 1), None);
    }
}

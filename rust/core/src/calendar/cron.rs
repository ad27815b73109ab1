//! A cron expression, read: which wall seconds it names.
//!
//! Each field is a set of bits. A time of day is found with three bit operations, one for each of
//! hour, minute and second. Which days of a month are meant depends on two things only, how many
//! days the month has and on which weekday it begins; so the day fields, with all their `L`, `W`
//! and `#`, are worked out once, into a mask of days for each month of the fourteen calendars
//! (`civil.rs`). After that `5#3` costs no more than `*`, a month without a match is one zero, and
//! counting is counting bits.
//!
//! Nothing here knows of zones: wall seconds in, wall seconds out.

use super::WallRule;
use super::civil::{DAY_S, KINDS, Year, civil, weekday};

/// The first year of the sets: wall clocks west of Greenwich still show it when the axis begins.
pub(super) const FIRST_YEAR: i64 = 1969;

/// The last year of the sets, in which the axis ends.
pub(super) const LAST_YEAR: i64 = 2554;

const YEAR_WORDS: usize = 10;

/// Days 1 to 31.
pub(super) const ALL_DAYS: u32 = !1;

/// Sunday to Saturday.
pub(super) const ALL_WEEKDAYS: u8 = 0x7f;

/// A set of years, [`FIRST_YEAR`] to [`LAST_YEAR`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Years([u64; YEAR_WORDS]);

impl Years {
    pub const NONE: Self = Self([0; YEAR_WORDS]);

    pub fn all() -> Self {
        let mut years = Self::NONE;
        (FIRST_YEAR..=LAST_YEAR).for_each(|year| years.insert(year));
        years
    }

    pub fn insert(&mut self, year: i64) {
        let index = (year - FIRST_YEAR) as usize;
        self.0[index / 64] |= 1 << (index % 64);
    }

    pub fn contains(&self, year: i64) -> bool {
        (FIRST_YEAR..=LAST_YEAR).contains(&year) && {
            let index = (year - FIRST_YEAR) as usize;
            self.0[index / 64] >> (index % 64) & 1 == 1
        }
    }
}

/// The times of day at which an expression fires: every mix of its hours, minutes and seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub hours: u32,
    pub minutes: u64,
    pub seconds: u64,
}

impl Times {
    fn per_day(&self) -> u64 {
        u64::from(self.hours.count_ones()) * self.per_hour()
    }

    fn per_hour(&self) -> u64 {
        u64::from(self.minutes.count_ones()) * u64::from(self.seconds.count_ones())
    }

    /// The first time at or after a second of the day.
    fn at_or_after(&self, second: u32) -> Option<u32> {
        let (hour, minute, second) = split(second);
        let (hours, minutes, seconds) = (u64::from(self.hours), self.minutes, self.seconds);
        if hours >> hour & 1 == 1 {
            if minutes >> minute & 1 == 1
                && let Some(second) = lowest(seconds, second)
            {
                return Some(hour * 3600 + minute * 60 + second);
            }
            if let Some(minute) = lowest(minutes, minute + 1) {
                return Some(hour * 3600 + minute * 60 + seconds.trailing_zeros());
            }
        }
        let hour = lowest(hours, hour + 1)?;
        Some(hour * 3600 + minutes.trailing_zeros() * 60 + seconds.trailing_zeros())
    }

    /// The last time at or before a second of the day.
    fn at_or_before(&self, second: u32) -> Option<u32> {
        let (hour, minute, second) = split(second);
        let (hours, minutes, seconds) = (u64::from(self.hours), self.minutes, self.seconds);
        if hours >> hour & 1 == 1 {
            if minutes >> minute & 1 == 1
                && let Some(second) = highest(seconds, second + 1)
            {
                return Some(hour * 3600 + minute * 60 + second);
            }
            if let Some(minute) = highest(minutes, minute) {
                return Some(hour * 3600 + minute * 60 + seconds.ilog2());
            }
        }
        let hour = highest(hours, hour)?;
        Some(hour * 3600 + minutes.ilog2() * 60 + seconds.ilog2())
    }

    /// How many times of a day lie before a second of it.
    fn count_before(&self, second: u32) -> u64 {
        let (hour, minute, second) = split(second);
        let below = |set: u64, value: u32| u64::from((set & ((1 << value) - 1)).count_ones());
        let mut count = below(self.hours.into(), hour) * self.per_hour();
        if self.hours >> hour & 1 == 1 {
            count += below(self.minutes, minute) * u64::from(self.seconds.count_ones());
            if self.minutes >> minute & 1 == 1 {
                count += below(self.seconds, second);
            }
        }
        count
    }
}

fn split(second: u32) -> (u32, u32, u32) {
    (second / 3600, second / 60 % 60, second % 60)
}

/// The lowest member of a set that is at least `from`, at most 63.
fn lowest(set: u64, from: u32) -> Option<u32> {
    let rest = set >> from;
    (rest != 0).then(|| from + rest.trailing_zeros())
}

/// The highest member of a set that is below `end`, at most 63.
fn highest(set: u64, end: u32) -> Option<u32> {
    (set & ((1 << end) - 1)).checked_ilog2()
}

/// What the two day fields say. Bit n of a mask is day n of a month, or weekday n from Sunday.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Days {
    /// Days of the month: `1`, `15`.
    pub days: u32,
    /// The weekday, Monday to Friday, nearest to a day within its month: `15W`.
    pub nearest: u32,
    /// Days before the last one of the month: bit 0 is `L`, bit 3 is `L-3`.
    pub last: u32,
    /// The weekday nearest to one of those: bit 0 is `LW`, bit 3 is `L-3W`.
    pub last_nearest: u32,
    /// Weekdays: `MON`, `1-5`.
    pub weekdays: u8,
    /// The n-th such weekday of the month, n from 1: `5#3` is bit 5 of `nth[2]`.
    pub nth: [u8; 5],
    /// The last such weekday of the month: `5L`.
    pub last_weekdays: u8,
    /// Whether a day must match both fields rather than either.
    pub both: bool,
}

impl Days {
    /// The days of one month, bit 1 to bit 31, from its length and the weekday of its first.
    fn mask(&self, length: u8, first_weekday: u8) -> u32 {
        let by_date = self.mask_by_date(length, first_weekday);
        let by_weekday = self.mask_by_weekday(length, first_weekday);
        days_of(length) & if self.both { by_date & by_weekday } else { by_date | by_weekday }
    }

    fn mask_by_date(&self, length: u8, first_weekday: u8) -> u32 {
        let mut mask = self.days;
        if self.last | self.nearest | self.last_nearest == 0 {
            return mask;
        }
        for day in 1..=length {
            let until_last = length - day;
            if self.last >> until_last & 1 == 1 {
                mask |= 1 << day;
            }
            if self.nearest >> day & 1 == 1 || self.last_nearest >> until_last & 1 == 1 {
                mask |= 1 << nearest_weekday(day, length, first_weekday);
            }
        }
        mask
    }

    fn mask_by_weekday(&self, length: u8, first_weekday: u8) -> u32 {
        let mut mask = 0;
        for weekday in 0..7 {
            let has = |set: u8| set >> weekday & 1 == 1;
            let first_such = 1 + (weekday + 7 - first_weekday) % 7;
            let all = WEEKLY << first_such & days_of(length);
            if has(self.weekdays) {
                mask |= all;
            }
            if has(self.last_weekdays) {
                mask |= 1 << all.ilog2();
            }
            for (weeks, &set) in self.nth.iter().enumerate() {
                // Days 1 to 7 hold the first of each weekday, 8 to 14 the second.
                mask |= if has(set) { all & FIRST_WEEK << (7 * weeks) } else { 0 };
            }
        }
        mask
    }
}

/// Every seventh bit.
const WEEKLY: u32 = 1 | 1 << 7 | 1 << 14 | 1 << 21 | 1 << 28;

/// Days 1 to 7.
const FIRST_WEEK: u32 = 0xfe;

/// The days of a month of that length.
fn days_of(length: u8) -> u32 {
    u32::MAX >> (31 - length) & !1
}

/// The day from Monday to Friday nearest to `day`, without leaving the month.
fn nearest_weekday(day: u8, length: u8, first_weekday: u8) -> u8 {
    match (first_weekday + day - 1) % 7 {
        6 if day > 1 => day - 1,
        6 => day + 2,
        0 if day < length => day + 1,
        0 => day - 2,
        _ => day,
    }
}

/// A cron expression, ready to be asked. About 1 kB.
///
/// Made by [`Cron::parse`]; every one fires at least once between 1970 and 2554.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    pub(super) times: Times,
    pub(super) days: Days,
    /// Bits 1 to 12.
    pub(super) months: u16,
    pub(super) years: Years,
    /// Whether it follows real time through a change of the clock, rather than the wall.
    pub(super) real_time: bool,
    /// The days that match in each month of each kind of year: bit 1 to bit 31.
    masks: [[u32; 12]; KINDS],
    /// The months of each kind of year that have such a day: bits 1 to 12.
    busy_months: [u16; KINDS],
    /// How many such days each kind of year has.
    days_a_year: [u16; KINDS],
}

impl Cron {
    /// Works out the days; `None` if there are none in any year of the axis. Bounded: 168 months
    /// and 585 years.
    pub(super) fn new(
        times: Times,
        days: Days,
        months: u16,
        years: Years,
        real_time: bool,
    ) -> Option<Self> {
        let mut cron = Self {
            times,
            days,
            months,
            years,
            real_time,
            masks: [[0; 12]; KINDS],
            busy_months: [0; KINDS],
            days_a_year: [0; KINDS],
        };
        for kind in 0..KINDS {
            let year = Year::of_kind(kind);
            for month in (1..=12).filter(|month| months >> month & 1 == 1) {
                let first_weekday = weekday(year.month_first(month));
                let mask = days.mask(year.month_length(month), first_weekday);
                cron.masks[kind][usize::from(month) - 1] = mask;
                cron.busy_months[kind] |= u16::from(mask != 0) << month;
                cron.days_a_year[kind] += mask.count_ones() as u16;
            }
        }
        let fires = (1970..=LAST_YEAR)
            .any(|year| cron.years.contains(year) && cron.busy_months[Year::new(year).kind()] != 0);
        fires.then_some(cron)
    }

    /// The days of a month that match, bit 1 to bit 31.
    fn month_mask(&self, year: Year, month: u8) -> u32 {
        if self.years.contains(year.number) {
            self.masks[year.kind()][usize::from(month) - 1]
        } else {
            0
        }
    }

    fn matches(&self, day: i64) -> bool {
        let (year, month, day) = civil(day);
        self.month_mask(year, month) >> day & 1 == 1
    }

    /// The first matching day from `day` on.
    fn next_day(&self, day: i64) -> Option<i64> {
        let (mut year, month, day) = civil(day);
        let rest = self.month_mask(year, month) & u32::MAX << day;
        if rest != 0 {
            return Some(year.month_first(month) + i64::from(rest.trailing_zeros()) - 1);
        }
        let mut later_months = u16::MAX << (month + 1);
        while year.number <= LAST_YEAR {
            if self.years.contains(year.number) {
                let kind = year.kind();
                let months = self.busy_months[kind] & later_months;
                if months != 0 {
                    let month = months.trailing_zeros() as u8;
                    let mask = self.masks[kind][usize::from(month) - 1];
                    return Some(year.month_first(month) + i64::from(mask.trailing_zeros()) - 1);
                }
            }
            year = Year::new((year.number + 1).max(FIRST_YEAR));
            later_months = u16::MAX;
        }
        None
    }

    /// The last matching day up to `day`.
    fn last_day(&self, day: i64) -> Option<i64> {
        let (mut year, month, day) = civil(day);
        let rest = self.month_mask(year, month) & u32::MAX >> (31 - day);
        if let Some(day) = rest.checked_ilog2() {
            return Some(year.month_first(month) + i64::from(day) - 1);
        }
        let mut earlier_months = (1 << month) - 1;
        while year.number >= FIRST_YEAR {
            if self.years.contains(year.number) {
                let kind = year.kind();
                if let Some(month) = (self.busy_months[kind] & earlier_months).checked_ilog2() {
                    let mask = self.masks[kind][month as usize - 1];
                    return Some(year.month_first(month as u8) + i64::from(mask.ilog2()) - 1);
                }
            }
            year = Year::new((year.number - 1).min(LAST_YEAR));
            earlier_months = u16::MAX;
        }
        None
    }

    /// How many matching days lie in a year before `day`, which is in that year.
    fn days_before(&self, year: Year, month: u8, day: u8) -> i64 {
        if !self.years.contains(year.number) {
            return 0;
        }
        let masks = &self.masks[year.kind()];
        let whole: u32 = masks[..usize::from(month) - 1].iter().map(|mask| mask.count_ones()).sum();
        let part = (masks[usize::from(month) - 1] & ((1 << day) - 1)).count_ones();
        i64::from(whole + part)
    }

    /// How many matching days lie in `from..to`. A step a year, and twelve at each end.
    fn count_days(&self, from: i64, to: i64) -> u64 {
        let (first, first_month, first_day) = civil(from);
        let (last, last_month, last_day) = civil(to);
        let whole: i64 = (first.number..last.number)
            .filter(|&year| self.years.contains(year))
            .map(|year| i64::from(self.days_a_year[Year::new(year).kind()]))
            .sum();
        let count = whole + self.days_before(last, last_month, last_day)
            - self.days_before(first, first_month, first_day);
        count as u64
    }
}

impl WallRule for Cron {
    fn next_wall(&self, from: i64) -> Option<i64> {
        let (today, second) = (from.div_euclid(DAY_S), from.rem_euclid(DAY_S) as u32);
        let time = self.times.at_or_after(second);
        let day = self.next_day(if time.is_some() { today } else { today + 1 })?;
        let time = if day == today { time } else { self.times.at_or_after(0) };
        Some(day * DAY_S + i64::from(time?))
    }

    fn last_wall(&self, to: i64) -> Option<i64> {
        let (today, second) = (to.div_euclid(DAY_S), to.rem_euclid(DAY_S) as u32);
        let time = self.times.at_or_before(second);
        let day = self.last_day(if time.is_some() { today } else { today - 1 })?;
        let time = if day == today { time } else { self.times.at_or_before(DAY_S as u32 - 1) };
        Some(day * DAY_S + i64::from(time?))
    }

    fn count_wall(&self, from: i64, to: i64) -> u64 {
        if to <= from {
            return 0;
        }
        let (first, last) = (from.div_euclid(DAY_S), to.div_euclid(DAY_S));
        // All of the days `first..last`, less the head of the first, plus the head of the last.
        let head = |day: i64, wall: i64| {
            if self.matches(day) { self.times.count_before((wall - day * DAY_S) as u32) } else { 0 }
        };
        self.count_days(first, last) * self.times.per_day() + head(last, to) - head(first, from)
    }
}

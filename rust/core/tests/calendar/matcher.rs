//! The brute-force matcher: too simple to be wrong.
//!
//! It shares nothing with the calendars. An expression is looked at item by item for each time that
//! is asked about; dates, weekdays and offsets are jiff's.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use scheduler_core::calendar::Dst;

/// An expression of Vixie's dialect, split into seconds, minutes, hours, days of the month, months,
/// days of the week and years.
pub struct Matcher {
    fields: [Vec<String>; 7],
    real_time: bool,
    both_days: bool,
}

impl Matcher {
    pub fn new(expression: &str) -> Self {
        let mut fields: Vec<&str> = expression.split(' ').collect();
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        if fields.len() < 7 {
            fields.push("*");
        }
        let starred = |index: usize| fields[index].starts_with(['*', '?']);
        Self {
            real_time: starred(1) || starred(2),
            both_days: starred(3) || starred(5),
            fields: std::array::from_fn(|index| {
                fields[index].split(',').map(|item| item.to_ascii_uppercase()).collect()
            }),
        }
    }

    fn any(&self, field: usize, test: impl Fn(&str) -> bool) -> bool {
        self.fields[field].iter().any(|item| test(item))
    }

    fn date_matches(&self, date: Date) -> bool {
        let month_fits = self.any(4, |item| plain(item, date.month().into(), 1, 12, MONTHS));
        let year_fits = self.any(6, |item| plain(item, date.year().into(), 1970, 2554, ""));
        let day_fits = self.any(3, |item| day_of_month(item, date));
        let weekday_fits = self.any(5, |item| day_of_week(item, date));
        let days_fit =
            if self.both_days { day_fits && weekday_fits } else { day_fits || weekday_fits };
        month_fits && year_fits && days_fit
    }

    /// Whether a second of a wall clock, counted from 1970-01-01T00:00:00, is one to fire at.
    pub fn matches(&self, wall: i64) -> bool {
        let time = wall.rem_euclid(86_400);
        let date = Timestamp::from_second(wall).unwrap().to_zoned(TimeZone::UTC).date();
        self.any(0, |item| plain(item, time % 60, 0, 59, ""))
            && self.any(1, |item| plain(item, time / 60 % 60, 0, 59, ""))
            && self.any(2, |item| plain(item, time / 3600, 0, 23, ""))
            && self.date_matches(date)
    }

    /// All that fires from `from` on and before `to`, both in UTC seconds, by going through every
    /// `step`-th second since two days before.
    pub fn fires(&self, zone: &TimeZone, dst: Dst, from: i64, to: i64, step: i64) -> Vec<i64> {
        let mut found = Vec::new();
        let mut newest = i64::MIN;
        for moment in (from - 2 * 86_400..to).step_by(step as usize) {
            let offset = zone.to_offset(Timestamp::from_second(moment).unwrap()).seconds();
            let wall = moment + i64::from(offset);
            let shown_before = wall <= newest;
            let twice = dst == Dst::WallClock || (dst == Dst::Debian && self.real_time);
            let swallowed = dst == Dst::Debian
                && !self.real_time
                && newest != i64::MIN
                && (newest + step..wall).step_by(step as usize).any(|gap| self.matches(gap));
            let fires = self.matches(wall) && (twice || !shown_before) || swallowed;
            newest = newest.max(wall);
            if fires && moment >= from {
                found.push(moment);
            }
        }
        found
    }
}

const MONTHS: &str = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
const WEEKDAYS: &str = "SUNMONTUEWEDTHUFRISAT";

/// A number, or a name by its first three letters.
fn number(text: &str, least: i64, names: &str) -> i64 {
    text.parse().unwrap_or_else(|_| {
        let place = names.find(&text[..3]).unwrap_or_else(|| panic!("{text} is no value"));
        // Weekdays are counted from 0, months from 1.
        place as i64 / 3 + least
    })
}

/// `*`, `3`, `3-7`, and each of them with a step.
fn plain(item: &str, value: i64, least: i64, greatest: i64, names: &str) -> bool {
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, step.parse().unwrap()),
        None => (item, 1),
    };
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (number(first, least, names), number(last, least, names)),
        None if range == "*" => (least, greatest),
        None if item == range => (number(range, least, names), number(range, least, names)),
        None => (number(range, least, names), greatest),
    };
    first <= value && value <= last && (value - first) % step == 0
}

fn is_weekday(date: Date) -> bool {
    date.weekday().to_monday_zero_offset() < 5
}

/// The weekdays of the month of `date`, by their distance from a day of it; of two at the same
/// distance there is no pair, for a weekend has two days.
fn nearest(date: Date, day: Date) -> bool {
    let month = (1..=date.days_in_month()).map(|n| date.with().day(n).build().unwrap());
    month.filter(|&one| is_weekday(one)).min_by_key(|one| (one.day() - day.day()).abs())
        == Some(date)
}

fn day_of_month(item: &str, date: Date) -> bool {
    let last = date.last_of_month();
    if item == "?" {
        return true;
    }
    if let Some(base) = item.strip_suffix('W') {
        let day = match base.strip_prefix('L') {
            Some("") => Some(last),
            Some(before) => last.checked_add(before.parse::<i64>().unwrap().days()).ok(),
            None => date.with().day(base.parse().unwrap()).build().ok(),
        };
        // A day that the month lacks has no neighbours.
        return day.is_some_and(|day| day.month() == date.month() && nearest(date, day));
    }
    match item.strip_prefix('L') {
        Some("") => date == last,
        // `-3` is read as minus three.
        Some(before) => last.checked_add(before.parse::<i64>().unwrap().days()).unwrap() == date,
        None => plain(item, date.day().into(), 1, 31, ""),
    }
}

fn day_of_week(item: &str, date: Date) -> bool {
    let weekday = i64::from(date.weekday().to_sunday_zero_offset());
    let is = |text: &str| number(text, 0, WEEKDAYS) % 7 == weekday;
    if item == "?" {
        return true;
    }
    if let Some((name, nth)) = item.split_once('#') {
        return is(name) && (date.day() - 1) / 7 + 1 == nth.parse::<i8>().unwrap();
    }
    if let Some(name) = item.strip_suffix('L') {
        return is(name) && date.day() + 7 > date.days_in_month();
    }
    plain(item, weekday, 0, 7, WEEKDAYS) || weekday == 0 && plain(item, 7, 0, 7, WEEKDAYS)
}

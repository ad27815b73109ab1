//! Calendars in plain English.
//!
//! Made from the sets of bits, not from the text of an expression: `*/5` and `0,5,10,...,55` are
//! both "every 5 minutes". Nothing is left out, so that calendars with different wall times have
//! different descriptions. What the clock's changes do to them is not said.

use super::civil::{DAY_S, Date, MONTHS, WEEKDAYS};
use super::cron::{Cron, Days, FIRST_YEAR, LAST_YEAR, Times};
use super::exclusions::Exclusions;
use super::interval::{CalendarInterval, Unit};
use super::zone::Zone;
use super::{Part, Rule};
use crate::time::{Nanos, SECOND_NS};

/// As many times of a day, dates or moments are listed one by one.
const LISTED: usize = 6;

/// Only bit 0.
const ZERO: u64 = 1;

const ALL_60: u64 = (1 << 60) - 1;
const ALL_HOURS: u64 = (1 << 24) - 1;
const ALL_DAYS: u32 = u32::MAX & !1;
const ALL_WEEKDAYS: u8 = 0x7f;
const ALL_MONTHS: u16 = 0b1_1111_1111_1110;

pub(super) fn calendar(parts: &[Part], exclusions: Option<&Exclusions>) -> String {
    let mut text = parts.iter().map(part).collect::<Vec<_>>().join("; and ");
    if let Some(exclusions) = exclusions {
        text.push_str(&exceptions(exclusions, parts));
    }
    text
}

fn part(part: &Part) -> String {
    let zone = part.zone.name();
    match &part.rule {
        Rule::Cron(rule) => format!("{}, {zone}", cron(rule)),
        Rule::Every(rule) => format!("{}, {zone}", interval(rule)),
        Rule::Moments(moments) => format!("{}, {zone}", dates_and_times(moments, &part.zone)),
        &Rule::Grid { anchor, interval: 0 } => format!("at {} UTC", moment(anchor, 0)),
        &Rule::Grid { anchor: 0, interval } => format!("every {}", span(interval)),
        &Rule::Grid { anchor, interval } => {
            format!("every {} from {} UTC", span(interval), moment(anchor, 0))
        }
    }
}

// Cron

fn cron(cron: &Cron) -> String {
    let (mut text, every_day) = match listed_times(&cron.times) {
        Some(times) => (times, " every day"),
        None => (sweep(&cron.times), ""),
    };
    text.push_str(days(&cron.days).as_deref().unwrap_or(every_day));
    if cron.months != ALL_MONTHS {
        let name = |month: usize| MONTHS[month - 1].to_owned();
        text.push_str(&format!(" in {}", list(&members(cron.months.into()), name)));
    }
    let years: Vec<usize> =
        (1970..=LAST_YEAR).filter(|&year| cron.years.contains(year)).map(|y| y as usize).collect();
    if years.len() < (LAST_YEAR - FIRST_YEAR) as usize {
        let of = if cron.months == ALL_MONTHS { "in" } else { "of" };
        text.push_str(&format!(" {of} {}", list(&years, |year| year.to_string())));
    }
    text
}

/// `at 09:00, 12:00 and 17:30`, if there are few.
fn listed_times(times: &Times) -> Option<String> {
    let [hours, minutes, seconds] = [times.hours.into(), times.minutes, times.seconds].map(members);
    if hours.len() * minutes.len() * seconds.len() > LISTED {
        return None;
    }
    let mut all = Vec::new();
    for hour in &hours {
        for minute in &minutes {
            for second in &seconds {
                all.push(time(hour * 3600 + minute * 60 + second, times.seconds != ZERO));
            }
        }
    }
    Some(format!("at {}", join(&all)))
}

fn time(second_of_day: usize, with_seconds: bool) -> String {
    let (hour, minute) = (second_of_day / 3600, second_of_day / 60 % 60);
    if with_seconds {
        format!("{hour:02}:{minute:02}:{:02}", second_of_day % 60)
    } else {
        format!("{hour:02}:{minute:02}")
    }
}

/// Times of day too many to list: seconds of minutes of hours.
fn sweep(times: &Times) -> String {
    let hours = u64::from(times.hours);
    if times.seconds == ZERO && times.minutes == ZERO {
        if let Some(step) = even_step(hours, 24) {
            return format!("every {}", counted(step, "hour"));
        }
        if let Some((first, last)) = run(hours) {
            let [first, last] = [first, last].map(|hour| time(hour * 3600, false));
            return format!("every hour from {first} to {last}");
        }
    }
    let (mut text, is_steady) = minutes_and_seconds(times);
    let with_seconds = times.seconds != ZERO;
    match run(hours) {
        _ if hours == ALL_HOURS && is_steady => {}
        _ if hours == ALL_HOURS => text.push_str(" of every hour"),
        Some((first, last)) if is_steady => {
            let first = time(first * 3600, with_seconds);
            let last = time(last * 3600 + 3599, with_seconds);
            text.push_str(&format!(" from {first} to {last}"));
        }
        _ => {
            let of = if is_steady { "in" } else { "of" };
            text.push_str(&format!(" {of} {}", numbered("hour", hours)));
        }
    }
    text
}

/// What happens within an hour, and whether that goes on evenly from hour to hour.
fn minutes_and_seconds(times: &Times) -> (String, bool) {
    let Times { minutes, seconds, .. } = *times;
    if seconds == ZERO {
        return match even_step(minutes, 60) {
            Some(step) => (format!("every {}", counted(step, "minute")), true),
            None => (format!("at {}", numbered("minute", minutes)), false),
        };
    }
    let (text, is_steady) = match even_step(seconds, 60) {
        Some(step) => (format!("every {}", counted(step, "second")), true),
        None => (format!("at {}", numbered("second", seconds)), false),
    };
    match (minutes == ALL_60, is_steady) {
        (true, true) => (text, true),
        (true, false) => (format!("{text} of every minute"), true),
        (false, _) => (format!("{text} of {}", numbered("minute", minutes)), false),
    }
}

/// The days, or `None` if that is every day.
fn days(days: &Days) -> Option<String> {
    let any_date = days.days == ALL_DAYS;
    let any_weekday = days.weekdays == ALL_WEEKDAYS;
    match (any_date, any_weekday) {
        (true, true) => None,
        (true, false) | (false, true) if !days.both => None,
        (true, false) => Some(format!(" on {}", weekdays(days))),
        (false, true) => Some(format!(" on {}", dates(days))),
        (false, false) if days.both => {
            Some(format!(" on {} if that is {}", dates(days), weekdays(days)))
        }
        (false, false) => Some(format!(" on {} or on {}", dates(days), weekdays(days))),
    }
}

fn dates(days: &Days) -> String {
    let before_last = |count| match count {
        0 => "the last day".to_owned(),
        count => format!("{} before the last day", counted_all(count, "day")),
    };
    let mut all = Vec::new();
    if days.days != 0 {
        all.push(numbered("day", days.days.into()));
    }
    for day in members(days.nearest.into()) {
        all.push(format!("the weekday nearest day {day}"));
    }
    for count in members(days.last.into()) {
        all.push(before_last(count));
    }
    for count in members(days.last_nearest.into()) {
        all.push(match count {
            0 => "the last weekday".to_owned(),
            count => format!("the weekday nearest {}", before_last(count)),
        });
    }
    format!("{} of the month", join(&all))
}

fn weekdays(days: &Days) -> String {
    const ORDINALS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
    let mut all = Vec::new();
    if days.weekdays != 0 {
        all.push(weekday_names(days.weekdays));
    }
    for (ordinal, &set) in ORDINALS.iter().zip(&days.nth) {
        if set != 0 {
            all.push(format!("the {ordinal} {} of the month", weekday_names(set)));
        }
    }
    if days.last_weekdays != 0 {
        all.push(format!("the last {} of the month", weekday_names(days.last_weekdays)));
    }
    join(&all)
}

/// Names, the week beginning on Monday.
fn weekday_names(set: u8) -> String {
    let from_monday = set >> 1 | (set & 1) << 6;
    list(&members(from_monday.into()), |index| WEEKDAYS[(index + 1) % 7].to_owned())
}

// The other rules

fn interval(rule: &CalendarInterval) -> String {
    let unit = match rule.unit {
        Unit::Days => "day",
        Unit::Weeks => "week",
        Unit::Months => "month",
        Unit::Years => "year",
    };
    let second = rule.second_of_day as usize;
    let time = time(second, second % 60 != 0);
    format!("every {} at {time} from {}", counted(rule.every as usize, unit), rule.anchor)
}

fn dates_and_times(moments: &[Nanos], zone: &Zone) -> String {
    let show = |&one: &Nanos| moment(one, zone.offset_at((one / SECOND_NS) as i64));
    match moments {
        [first, .., last] if moments.len() > LISTED => {
            format!("at {} moments from {} to {}", moments.len(), show(first), show(last))
        }
        _ => format!("at {}", join(&moments.iter().map(show).collect::<Vec<_>>())),
    }
}

/// Date and time on a wall clock so many seconds ahead of UTC.
fn moment(moment: Nanos, offset_s: i32) -> String {
    let wall = (moment / SECOND_NS) as i64 + i64::from(offset_s);
    let time = time(wall.rem_euclid(DAY_S) as usize, true);
    let mut text = format!("{} {time}", date(wall.div_euclid(DAY_S)));
    if moment % SECOND_NS != 0 {
        let digits = format!("{:09}", moment % SECOND_NS);
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
    text
}

fn date(day: i64) -> String {
    Date::from_day_number(day).map_or_else(String::new, |date| date.to_string())
}

/// A span in the greatest unit that it is a multiple of.
fn span(span: Nanos) -> String {
    const UNITS: [(Nanos, &str); 7] = [
        (86_400 * SECOND_NS, "day"),
        (3600 * SECOND_NS, "hour"),
        (60 * SECOND_NS, "minute"),
        (SECOND_NS, "second"),
        (1_000_000, "millisecond"),
        (1_000, "microsecond"),
        (1, "nanosecond"),
    ];
    let fitting = UNITS.iter().find(|unit| span % unit.0 == 0);
    fitting.map_or_else(String::new, |&(unit, name)| counted((span / unit) as usize, name))
}

// Exclusions

fn exceptions(exclusions: &Exclusions, parts: &[Part]) -> String {
    let mut all = Vec::new();
    if exclusions.weekdays != 0 {
        all.push(format!("on {}", weekday_names(exclusions.weekdays)));
    }
    match exclusions.dates.as_slice() {
        [] => {}
        [first, .., last] if exclusions.dates.len() > LISTED => {
            let count = exclusions.dates.len();
            all.push(format!("on {count} dates from {} to {}", date(*first), date(*last)));
        }
        few => {
            let few: Vec<String> = few.iter().map(|&day| date(day)).collect();
            all.push(format!("on {}", join(&few)));
        }
    }
    if exclusions.hours != 0 {
        all.push(format!("in {}", numbered("hour", exclusions.hours.into())));
    }
    if all.is_empty() {
        return String::new();
    }
    let zone = exclusions.zone.name();
    let is_theirs = parts.iter().all(|part| part.zone.name() == zone);
    let whose = if is_theirs { String::new() } else { format!(" ({zone})") };
    format!(", except {}{whose}", join(&all))
}

// Words

/// `minute`, `5 minutes`: after "every".
fn counted(count: usize, unit: &str) -> String {
    if count == 1 { unit.to_owned() } else { format!("{count} {unit}s") }
}

/// `1 day`, `3 days`.
fn counted_all(count: usize, unit: &str) -> String {
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// `minute 5`, `minutes 5 and 20 to 30`.
fn numbered(unit: &str, set: u64) -> String {
    let all = members(set);
    let plural = if all.len() == 1 { "" } else { "s" };
    format!("{unit}{plural} {}", list(&all, |value| value.to_string()))
}

fn members(set: u64) -> Vec<usize> {
    (0..64).filter(|value| set >> value & 1 == 1).collect()
}

/// The step of a set that begins at 0 and comes round evenly in `size`: 1 for all of them.
fn even_step(set: u64, size: usize) -> Option<usize> {
    let members = members(set);
    let step = size / members.len();
    (members.len() > 1 && members.iter().copied().eq((0..size).step_by(step))).then_some(step)
}

/// First and last of a set without a hole.
fn run(set: u64) -> Option<(usize, usize)> {
    let (first, last) = (set.trailing_zeros() as usize, set.checked_ilog2()? as usize);
    (last - first + 1 == set.count_ones() as usize).then_some((first, last))
}

/// Values in ascending order, as words: runs of three and more as `9 to 17`, an even row of four
/// and more as `2 to 57 in steps of 5`.
fn list(values: &[usize], name: impl Fn(usize) -> String) -> String {
    if let [first, second, .., last] = *values {
        let step = second - first;
        if step > 1 && values.len() > 3 && values.windows(2).all(|two| two[1] - two[0] == step) {
            return format!("{} to {} in steps of {step}", name(first), name(last));
        }
    }
    let runs = values.chunk_by(|one, other| one + 1 == *other);
    let mut all = Vec::new();
    for run in runs {
        match run {
            [first, _, .., last] => all.push(format!("{} to {}", name(*first), name(*last))),
            few => all.extend(few.iter().map(|&value| name(value))),
        }
    }
    join(&all)
}

/// `a`, `a and b`, `a, b and c`.
fn join(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., end] => format!("{} and {end}", head.join(", ")),
    }
}

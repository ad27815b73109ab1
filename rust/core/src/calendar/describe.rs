//! Calendars in plain English.
//!
//! Made from the sets of bits, not from the text of an expression: `*/5` and `0,5,10,...,55` are
//! both "every 5 minutes". Nothing is left out, so that calendars with different wall times have
//! different descriptions. What the clock's changes do to them is not said.

use super::civil::{DAY_S, Date, MONTHS, WEEKDAYS};
use super::cron::{ALL_DAYS, ALL_WEEKDAYS, Cron, Days, FIRST_YEAR, LAST_YEAR, Times};
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
        count => format!("the day {} before the last day", counted_all(count, "day")),
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
    let time = time(second, !second.is_multiple_of(60));
    let from = if rule.has_start { format!(" from {}", rule.anchor) } else { String::new() };
    format!("every {} at {time}{from}", counted(rule.every as usize, unit))
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
    if !moment.is_multiple_of(SECOND_NS) {
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
    let fitting = UNITS.iter().find(|unit| span.is_multiple_of(unit.0));
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Calendar, Dialect, Dst, ParsedRule};
    use super::*;

    fn rule(expression: &str) -> Rule {
        match Cron::parse(expression, Dialect::Vixie).expect(expression).rule {
            ParsedRule::Cron(cron) => Rule::Cron(cron),
            ParsedRule::Every(interval) => Rule::Grid { anchor: 0, interval },
        }
    }

    fn described(rule: Rule, zone: &Arc<Zone>, exclusions: Option<Exclusions>) -> String {
        let part = Part { rule, zone: zone.clone(), dst: Dst::Debian };
        Calendar::new(vec![part], exclusions).expect("it fires").describe()
    }

    #[test]
    fn expressions() {
        for (expression, expected) in [
            // Times.
            ("* * * * *", "every minute"),
            ("*/5 * * * *", "every 5 minutes"),
            ("*/7 * * * *", "at minutes 0 to 56 in steps of 7 of every hour"),
            ("15 * * * *", "at minute 15 of every hour"),
            ("10,40 * * * *", "at minutes 10 and 40 of every hour"),
            ("0 * * * *", "every hour"),
            ("0 */2 * * *", "every 2 hours"),
            ("0 9-17 * * *", "every hour from 09:00 to 17:00"),
            ("15 9-17 * * *", "at minute 15 of hours 9 to 17"),
            ("30 */2 * * *", "at minute 30 of hours 0 to 22 in steps of 2"),
            ("*/15 9-17 * * *", "every 15 minutes from 09:00 to 17:59"),
            ("* 9 * * *", "every minute from 09:00 to 09:59"),
            ("* 9,17 * * *", "every minute in hours 9 and 17"),
            ("0 9 * * *", "at 09:00 every day"),
            ("0,30 9,17 * * *", "at 09:00, 09:30, 17:00 and 17:30 every day"),
            ("@daily", "at 00:00 every day"),
            ("* * * * * *", "every second"),
            ("*/10 * * * * *", "every 10 seconds"),
            ("* * 9-10 * * *", "every second from 09:00:00 to 10:59:59"),
            ("* */5 * * * *", "every second of minutes 0 to 55 in steps of 5 of every hour"),
            ("5 * * * * *", "at second 5 of every minute"),
            ("5 * 9 * * *", "at second 5 of every minute from 09:00:00 to 09:59:59"),
            ("5,6 1 * * * *", "at seconds 5 and 6 of minute 1 of every hour"),
            ("15 30 9 * * *", "at 09:30:15 every day"),
            ("@every 90m", "every 90 minutes"),
            ("@every 1s", "every second"),
            ("@every 2.5ms", "every 2500 microseconds"),
            // Days.
            ("0 9 * * MON-FRI", "at 09:00 on Monday to Friday"),
            ("0 9 * * 0,6", "at 09:00 on Saturday and Sunday"),
            ("0 9 * * 1,3,5", "at 09:00 on Monday, Wednesday and Friday"),
            ("* * * * SUN", "every minute on Sunday"),
            ("0 0 1 * *", "at 00:00 on day 1 of the month"),
            ("0 0 1,15-20 * *", "at 00:00 on days 1 and 15 to 20 of the month"),
            ("0 0 L * *", "at 00:00 on the last day of the month"),
            ("0 0 L-3 * *", "at 00:00 on the day 3 days before the last day of the month"),
            ("0 0 15W * *", "at 00:00 on the weekday nearest day 15 of the month"),
            ("0 0 LW * *", "at 00:00 on the last weekday of the month"),
            (
                "0 0 L-1W * *",
                "at 00:00 on the weekday nearest the day 1 day before the last day of the month",
            ),
            ("0 0 1,L * *", "at 00:00 on day 1 and the last day of the month"),
            ("0 0 * * 5L", "at 00:00 on the last Friday of the month"),
            ("0 0 * * 5#3", "at 00:00 on the third Friday of the month"),
            ("0 0 13 * 5", "at 00:00 on day 13 of the month or on Friday"),
            (
                "0 0 */2 * 5",
                "at 00:00 on days 1 to 31 in steps of 2 of the month if that is Friday",
            ),
            ("0 0 1-31 * MON", "at 00:00 every day"),
            // Months and years.
            ("0 0 1 1 *", "at 00:00 on day 1 of the month in January"),
            ("0 9 * 6-8 *", "at 09:00 every day in June to August"),
            ("*/5 * * 1,2 *", "every 5 minutes in January and February"),
            ("0 0 9 * * * 2030", "at 09:00 every day in 2030"),
            ("0 0 9 * 1 * 2030-2032", "at 09:00 every day in January of 2030 to 2032"),
        ] {
            let expected = match expression.starts_with("@every") {
                true => expected.to_owned(),
                false => format!("{expected}, UTC"),
            };
            assert_eq!(described(rule(expression), &Zone::utc(), None), expected, "{expression}");
        }
    }

    #[test]
    fn other_rules() {
        let paris = Zone::named("Europe/Paris").expect("a zone");
        let anchor = Date::new(2025, 1, 31).expect("a date");
        let every = |every, unit, second| {
            let rule = CalendarInterval::new(every, unit, anchor, second).expect("an interval");
            described(Rule::Every(rule), &paris, None)
        };
        let monthly = "every month at 09:30 from 2025-01-31, Europe/Paris";
        assert_eq!(every(1, Unit::Months, 34_200), monthly);
        let weekly = "every 2 weeks at 00:00:01 from 2025-01-31, Europe/Paris";
        assert_eq!(every(2, Unit::Weeks, 1), weekly);
        // 2024-06-01T12:00:00Z
        let noon = 1_717_243_200 * SECOND_NS;
        let moments = |count| Rule::Moments((0..count).map(|k| noon + k * SECOND_NS / 2).collect());
        let two = "at 2024-06-01 14:00:00 and 2024-06-01 14:00:00.5, Europe/Paris";
        assert_eq!(described(moments(2), &paris, None), two);
        let many = "at 9 moments from 2024-06-01 14:00:00 to 2024-06-01 14:00:04, Europe/Paris";
        assert_eq!(described(moments(9), &paris, None), many);
        let grid = Rule::Grid { anchor: noon, interval: 300 * SECOND_NS };
        let expected = "every 5 minutes from 2024-06-01 12:00:00 UTC";
        assert_eq!(described(grid, &paris, None), expected);
    }

    #[test]
    fn unions_and_exclusions() {
        let utc = Zone::utc();
        let without = |zone: &Arc<Zone>, weekdays, days: &[u8], hours| {
            let dates = days.iter().filter_map(|&day| Date::new(2025, 12, day));
            let exclusions = Exclusions::new(zone.clone(), weekdays, dates, hours);
            described(rule("*/5 * * * *"), &utc, Some(exclusions))
        };
        let weekends = "every 5 minutes, UTC, except on Saturday and Sunday";
        assert_eq!(without(&utc, 0b100_0001, &[], 0), weekends);
        let all = "every 5 minutes, UTC, except on Saturday, on 2025-12-25 and 2025-12-26 and in \
                   hours 0 to 2 (+05:30)";
        assert_eq!(without(&Zone::fixed(19_800), 0b100_0000, &[26, 25], 0b111), all);
        let days = "every 5 minutes, UTC, except on 7 dates from 2025-12-01 to 2025-12-07";
        assert_eq!(without(&utc, 0, &[1, 2, 3, 4, 5, 6, 7], 0), days);
        assert_eq!(without(&utc, 0, &[], 0), "every 5 minutes, UTC");
        let part =
            |text, zone: &Arc<Zone>| Part { rule: rule(text), zone: zone.clone(), dst: Dst::Skip };
        let parts = vec![part("0 9 * * *", &utc), part("@hourly", &Zone::fixed(3600))];
        let calendar = Calendar::new(parts, None).expect("it fires");
        assert_eq!(calendar.describe(), "at 09:00 every day, UTC; and every hour, +01:00");
    }
}

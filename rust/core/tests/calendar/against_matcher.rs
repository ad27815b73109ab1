//! Calendars find what the brute-force matcher finds.

use jiff::tz::TimeZone;
use proptest::prelude::{ProptestConfig, Strategy, proptest};
use proptest::test_runner::TestCaseError;
use scheduler_core::calendar::{Calendar, Date, Dst, Exclusions, Part, Rule, SEARCH_LIMIT, Zone};
use scheduler_core::calendar::{CalendarInterval, Dialect, Unit};
use scheduler_core::{Nanos, SECOND_NS};

use crate::matcher::Matcher;
use crate::rule;
use crate::strategies::{DST, TRANSITIONS, dst, minutes, places, seconds};

const DAY_S: i64 = 86_400;

fn instant(second: i64) -> Nanos {
    second as Nanos * SECOND_NS
}

/// All that a calendar says about `from..to` (UTC seconds), in three ways, is what is expected.
fn agrees(calendar: &Calendar, expected: &[i64], from: i64, to: i64) {
    let (before, end) = (instant(from) - 1, instant(to) - 1);
    let expected: Vec<Nanos> = expected.iter().map(|&second| instant(second)).collect();
    let mut forwards = Vec::new();
    let mut moment = before;
    while let Some(next) = calendar.next_after(moment).filter(|&next| next <= end) {
        forwards.push(next);
        moment = next;
    }
    assert_eq!(forwards, expected, "next_after");
    let mut backwards = Vec::new();
    let mut moment = end;
    while let Some(last) = calendar.last_by(moment).filter(|&last| last > before) {
        backwards.push(last);
        moment = last - 1;
    }
    backwards.reverse();
    assert_eq!(backwards, expected, "last_by");
    assert_eq!(calendar.count(before, end), expected.len() as u64, "count");
    if let Some(&middle) = expected.get(expected.len() / 2) {
        assert_eq!(calendar.count(before, middle), expected.len() as u64 / 2 + 1, "count");
    }
}

/// Compares in `from..to`, if the expression can be a calendar; whether it could.
fn compare(expression: &str, dst: Dst, zone: &str, (from, to): (i64, i64), step: i64) -> bool {
    let database = TimeZone::get(zone).unwrap();
    let expected = Matcher::new(expression).fires(&database, dst, from, to, step);
    let part = |rule| Part { rule, zone: Zone::named(zone).unwrap(), dst };
    let calendar = rule(expression, Dialect::Vixie)
        .ok()
        .and_then(|rule| Calendar::new(vec![part(rule)], None).ok());
    match calendar {
        Some(calendar) => agrees(&calendar, &expected, from, to),
        None => assert_eq!(expected, [0; 0], "refused, and fires"),
    }
    !expected.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Minute by minute for three days around a transition.
    #[test]
    fn around_transitions(expression in minutes(), dst in dst(), (zone, moment) in places()) {
        let from = moment / 60 * 60 - DAY_S;
        compare(&expression, dst, zone, (from, from + 3 * DAY_S), 60);
    }

    /// Second by second for some hours around a transition.
    #[test]
    fn with_seconds(expression in seconds(), dst in dst(), (zone, moment) in places()) {
        compare(&expression, dst, zone, (moment - 3600, moment + 10_000), 1);
    }

    /// Whole days for eight years, whatever the day fields say.
    #[test]
    fn days_over_years(expression in minutes(), year in 1971..2540_i64) {
        let days = expression.splitn(3, ' ').nth(2).unwrap();
        let from = (year - 1970) * 365 * DAY_S;
        let expression = format!("0 0 {days}");
        compare(&expression, Dst::Skip, "UTC", (from, from + 8 * 366 * DAY_S), DAY_S);
    }

    /// Every so many units, one after another from the anchor.
    #[test]
    fn calendar_intervals(
        every in 1..40_u32,
        unit in 0..4_usize,
        (year, month, day) in (1960..2030_i16, 1..=12_i8, 1..=31_i8),
        second in 0..86_400_u32,
    ) {
        let unit = [Unit::Days, Unit::Weeks, Unit::Months, Unit::Years][unit];
        let anchor = (1..=day).rev().find_map(|day| jiff::civil::Date::new(year, month, day).ok());
        let anchor = anchor.unwrap();
        let span = |count: i64| match unit {
            Unit::Days => jiff::Span::new().days(count),
            Unit::Weeks => jiff::Span::new().weeks(count),
            Unit::Months => jiff::Span::new().months(count),
            Unit::Years => jiff::Span::new().years(count),
        };
        let expected: Vec<i64> = (0..200)
            .map(|index| anchor + span(index * i64::from(every)))
            .map(|date| date.to_zoned(TimeZone::UTC).unwrap().timestamp().as_second())
            .map(|midnight| midnight + i64::from(second))
            .filter(|&moment| moment > 0 && moment < 18_000_000_000)
            .collect();
        if let Some(&last) = expected.last() {
            let (year, month, day) = (anchor.year(), anchor.month(), anchor.day());
            let anchor = Date::new(year.into(), month as u8, day as u8).unwrap();
            let interval = CalendarInterval::new(every, unit, anchor, second).unwrap();
            let part = Part { rule: Rule::Every(interval), zone: Zone::utc(), dst: Dst::Debian };
            let calendar = Calendar::new(vec![part], None).unwrap();
            agrees(&calendar, &expected, 1, last + 1);
        }
    }

    /// Unions and exclusions are what remains when the rest is crossed out.
    #[test]
    fn unions_minus_exclusions(
        expressions in proptest::collection::vec(minutes(), 1..4),
        (zone, moment) in places(),
        (weekdays, hours) in (0..128_u8, 0..(1_u32 << 24)),
        dates in proptest::collection::vec(-2..3_i64, 0..3),
        dst in dst(),
    ) {
        let (from, to) = (moment / 60 * 60 - 2 * DAY_S, moment / 60 * 60 + 2 * DAY_S);
        let database = TimeZone::get(zone).unwrap();
        let dates: Vec<i64> = dates.iter().map(|day| moment / DAY_S + day).collect();
        let excluded = |moment: &i64| {
            let offset = database.to_offset(jiff::Timestamp::from_second(*moment).unwrap());
            let wall = moment + i64::from(offset.seconds());
            let (day, hour) = (wall.div_euclid(DAY_S), wall.rem_euclid(DAY_S) / 3600);
            let weekday = (day + 4).rem_euclid(7);
            weekdays >> weekday & 1 == 1 || hours >> hour & 1 == 1 || dates.contains(&day)
        };
        let mut expected: Vec<i64> = expressions
            .iter()
            .filter(|text| rule(text, Dialect::Vixie).is_ok())
            .flat_map(|text| Matcher::new(text).fires(&database, dst, from, to, 60))
            .filter(|moment| !excluded(moment))
            .collect();
        expected.sort_unstable();
        expected.dedup();
        let zone = Zone::named(zone).unwrap();
        let parts: Vec<Part> = expressions
            .iter()
            .filter_map(|text| rule(text, Dialect::Vixie).ok())
            .map(|rule| Part { rule, zone: zone.clone(), dst })
            .collect();
        // A search from 1970 on may give up, but not before it has passed over so many.
        let passed_over = expected.first().map_or(0, |first| {
            let alone = |part: &Part| Calendar::new(vec![part.clone()], None).ok();
            parts.iter().filter_map(alone).map(|one| one.count(0, instant(*first))).sum::<u64>()
        });
        let dates = dates.iter().filter_map(|&day| Date::from_day_number(day));
        let exclusions = Exclusions::new(zone.clone(), weekdays, dates, hours);
        match Calendar::new(parts, Some(exclusions)) {
            Ok(calendar) => agrees(&calendar, &expected, from, to),
            Err(_) if expected.is_empty() || passed_over > u64::from(SEARCH_LIMIT) => {}
            Err(_) => Err(TestCaseError::fail("refused, and fires"))?,
        }
    }
}

/// Every word of the policy at every transition, with times before, in and after gap and fold.
#[test]
fn fixed_and_real_time_jobs_at_every_transition() {
    let mut fired = 0;
    for (zone, moment) in TRANSITIONS {
        let moment = moment.parse::<jiff::Timestamp>().unwrap().as_second();
        for dst in DST {
            for minute in ["0", "15", "30", "45", "*", "*/20", "5,10,35,40", "0-10/2"] {
                for hour in ["0", "1", "2", "3", "4", "1-3", "*", "*/2", "23", "0,2"] {
                    let expression = format!("{minute} {hour} * * *");
                    let span = (moment - 2 * DAY_S, moment + 2 * DAY_S);
                    fired += usize::from(compare(&expression, dst, zone, span, 60));
                }
            }
        }
    }
    assert_eq!(fired, TRANSITIONS.len() * DST.len() * 80, "each fires in four days");
}

/// The strategies draw what they are meant to draw, so that the tests above are about something.
#[test]
fn most_random_expressions_fire() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let drawn = (0..1000).filter(|_| {
        let expression = minutes().new_tree(&mut runner).unwrap();
        rule(&proptest::strategy::ValueTree::current(&expression), Dialect::Vixie).is_ok()
    });
    assert!(drawn.count() > 800);
}

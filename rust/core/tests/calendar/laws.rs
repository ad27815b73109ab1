//! What holds of any calendar.

use proptest::prelude::{ProptestConfig, Strategy, any, proptest};
use scheduler_core::calendar::{
    COUNT_LIMIT, Calendar, CalendarInterval, Date, Dialect, Dst, Exclusions, NeverFires, Part,
    Rule, Unit, Zone,
};
use scheduler_core::{FAR_FUTURE, Nanos, SECOND_NS};

use crate::strategies::{dst, expressions, places};
use crate::{at, calendar, rule};

const DAY_NS: Nanos = 86_400 * SECOND_NS;

fn utc(rule: Rule) -> Result<Calendar, NeverFires> {
    Calendar::new(vec![Part { rule, zone: Zone::utc(), dst: Dst::Debian }], None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn next_last_and_count_tell_one_story(
        expression in expressions(),
        dst in dst(),
        (zone, moment) in places(),
        nanosecond in 0..SECOND_NS,
        probe in any::<u64>(),
    ) {
        let zone = Zone::named(zone).unwrap();
        let part = |rule| Part { rule, zone, dst };
        let Some(calendar) = rule(&expression, Dialect::Vixie)
            .ok()
            .and_then(|rule| Calendar::new(vec![part(rule)], None).ok())
        else {
            return Ok(());
        };
        let start = moment as Nanos * SECOND_NS + nanosecond;
        let mut previous = start;
        let mut count = 0;
        while let Some(next) = calendar.next_after(previous).filter(|_| count < 100) {
            assert!(next > previous, "strictly increasing");
            count += 1;
            assert_eq!(calendar.last_by(next), Some(next));
            assert_eq!(calendar.last_by(next + 1).unwrap(), next);
            if count > 1 {
                assert_eq!(calendar.last_by(next - 1), Some(previous));
            }
            assert_eq!(calendar.count(start, next), count);
            assert_eq!(calendar.count(start, next - 1), count - 1);
            // The same from anywhere in between, and by another way than the memo's.
            let between = previous + probe % (next - previous);
            assert_eq!(calendar.next_after(between), Some(next));
            assert_eq!(calendar.next_after(FAR_FUTURE), None);
            previous = next;
        }
        let rest = calendar.count(previous, FAR_FUTURE);
        assert_eq!(calendar.count(start, FAR_FUTURE), count + rest);
    }

    /// Counting does not depend on where one cuts.
    #[test]
    fn counts_add_up(
        expression in expressions(),
        dst in dst(),
        (zone, _) in places(),
        mut cuts in proptest::collection::vec(0..FAR_FUTURE, 3),
    ) {
        let zone = Zone::named(zone).unwrap();
        let part = |rule| Part { rule, zone, dst };
        let calendar = rule(&expression, Dialect::Vixie)
            .ok()
            .and_then(|rule| Calendar::new(vec![part(rule)], None).ok());
        if let Some(calendar) = calendar {
            cuts.sort_unstable();
            let [from, cut, to] = cuts[..] else { unreachable!() };
            let sum = calendar.count(from, cut) + calendar.count(cut, to);
            assert_eq!(calendar.count(from, to), sum);
        }
    }

    /// Many moments asked about in any order: the memo changes no answer.
    #[test]
    fn the_memo_changes_no_answer(
        expression in expressions(),
        (zone, moment) in places(),
        steps in proptest::collection::vec(0..200_000_000_000_000_u64, 20),
    ) {
        let zone = Zone::named(zone).unwrap();
        let fresh = || {
            let rule = rule(&expression, Dialect::Vixie).ok()?;
            Calendar::new(vec![Part { rule, zone: zone.clone(), dst: Dst::Debian }], None).ok()
        };
        if let Some(shared) = fresh() {
            for step in steps {
                let moment = moment as Nanos * SECOND_NS + step;
                assert_eq!(shared.next_after(moment), fresh().unwrap().next_after(moment));
            }
        }
    }
}

#[test]
fn every_half_hour_at_work() {
    let paris = Zone::named("Europe/Paris").unwrap();
    let calendar = calendar("*/30 9-17 * * MON-FRI", &paris, Dst::Debian);
    let friday_evening = at("2024-05-31T17:30:00+02:00");
    assert_eq!(calendar.next_after(friday_evening), Some(at("2024-06-03T09:00:00+02:00")));
    assert_eq!(calendar.count(at("2024-05-01T00:00:00+02:00"), friday_evening), 23 * 18);
}

#[test]
fn the_first_and_the_last_second_of_the_axis() {
    let calendar = calendar("* * * * * *", &Zone::utc(), Dst::Debian);
    let last = FAR_FUTURE / SECOND_NS * SECOND_NS;
    assert_eq!(calendar.next_after(last - 1), Some(last));
    assert_eq!(calendar.next_after(last), None);
    for moment in [last, FAR_FUTURE, u64::MAX] {
        assert_eq!(calendar.last_by(moment), Some(last));
        assert_eq!(calendar.next_after(moment), None);
    }
    assert_eq!(calendar.last_by(0), Some(0));
    assert_eq!(calendar.next_after(0), Some(SECOND_NS));
    assert_eq!(calendar.count(0, u64::MAX), FAR_FUTURE / SECOND_NS);
    assert_eq!(calendar.count(5, 5), 0);
    assert_eq!(calendar.count(6 * SECOND_NS, 5), 0);
}

#[test]
fn the_edges_of_the_axis_in_zones_far_from_greenwich() {
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York"] {
        let zone = Zone::named(zone).unwrap();
        for expression in ["* * * * *", "0 0 1 1 *", "59 59 23 31 12 * 2554", "0 12 31 12 *"] {
            for dst in crate::strategies::DST {
                let rule = rule(expression, Dialect::Vixie).unwrap();
                let part = Part { rule, zone: zone.clone(), dst };
                if let Ok(calendar) = Calendar::new(vec![part], None) {
                    let first = calendar.next_after(0).unwrap();
                    let last = calendar.last_by(u64::MAX).unwrap();
                    assert_eq!(calendar.next_after(last), None);
                    assert!(calendar.last_by(first - 1).is_none_or(|moment| moment == 0));
                    assert!(calendar.count(0, u64::MAX) > 0);
                }
            }
        }
    }
}

#[test]
fn the_anchor_day_is_kept() {
    let every = |every, unit, (year, month, day)| {
        let anchor = Date::new(year, month, day).unwrap();
        utc(Rule::Every(CalendarInterval::new(every, unit, anchor, 34_200).unwrap())).unwrap()
    };
    let days = |calendar: &Calendar, from: &str, count: usize| {
        let mut moment = at(from);
        let days = std::iter::from_fn(|| {
            moment = calendar.next_after(moment)?;
            let day = Date::from_day_number((moment / DAY_NS) as i64).unwrap();
            assert_eq!(moment % DAY_NS, 34_200 * SECOND_NS);
            Some(day.to_string())
        });
        days.take(count).collect::<Vec<_>>()
    };
    let monthly = every(1, Unit::Months, (2025, 1, 31));
    let found = days(&monthly, "2025-01-01T00:00:00Z", 5);
    assert_eq!(found, ["2025-01-31", "2025-02-28", "2025-03-31", "2025-04-30", "2025-05-31"]);
    let yearly = every(1, Unit::Years, (2024, 2, 29));
    let found = days(&yearly, "2024-01-01T00:00:00Z", 5);
    assert_eq!(found, ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]);
    let fortnightly = every(2, Unit::Weeks, (2024, 12, 25));
    assert_eq!(days(&fortnightly, "2025-01-01T00:00:00Z", 2), ["2025-01-08", "2025-01-22"]);
    // Nothing is before the anchor.
    assert_eq!(monthly.last_by(at("2025-01-31T09:29:59Z")), None);
    assert_eq!(monthly.count(0, at("2026-01-31T09:30:00Z")), 13);
    assert_eq!(monthly.count(at("2025-01-31T09:30:00Z"), at("2026-01-31T09:29:59Z")), 11);
}

#[test]
fn a_grid_is_elapsed_time() {
    let grid = utc(Rule::Grid { anchor: 100, interval: 7 }).unwrap();
    assert_eq!(grid.next_after(0), Some(100));
    assert_eq!(grid.next_after(100), Some(107));
    assert_eq!(grid.next_after(106), Some(107));
    assert_eq!(grid.last_by(99), None);
    assert_eq!(grid.last_by(106), Some(100));
    assert_eq!((grid.count(0, 99), grid.count(0, 100), grid.count(100, 121)), (0, 1, 3));
    assert_eq!(grid.next_after(FAR_FUTURE - 1), None);
    let last = grid.last_by(u64::MAX).unwrap();
    assert!(FAR_FUTURE - last <= 7 && grid.next_after(last).is_none());
    let once = utc(Rule::Grid { anchor: 100, interval: 0 }).unwrap();
    assert_eq!((once.next_after(99), once.next_after(100)), (Some(100), None));
    assert_eq!((once.last_by(u64::MAX), once.count(0, u64::MAX)), (Some(100), 1));
}

#[test]
fn moments_are_sorted_and_each_is_one() {
    let moments = utc(Rule::Moments(vec![30, 10, 20, 10])).unwrap();
    assert_eq!(moments.next_after(10), Some(20));
    assert_eq!(moments.last_by(29), Some(20));
    assert_eq!(moments.count(0, 30), 3);
    assert_eq!(moments.next_after(30), None);
    assert!(utc(Rule::Moments(Vec::new())).is_err());
    assert!(utc(Rule::Moments(vec![FAR_FUTURE])).is_err());
}

#[test]
fn what_never_fires_is_refused() {
    let never = |expression: &str, zone: &str, dst| {
        let rule = rule(expression, Dialect::Vixie).unwrap();
        Calendar::new(vec![Part { rule, zone: Zone::named(zone).unwrap(), dst }], None).is_err()
    };
    // The one time that it names is in a gap.
    let gap = "0 30 2 11 3 * 2012";
    assert!(never(gap, "America/New_York", Dst::Skip));
    assert!(!never(gap, "Europe/Paris", Dst::Skip));
    assert!(Calendar::new(Vec::new(), None).is_err());
    let anchor = Date::new(3000, 1, 1).unwrap();
    let later = CalendarInterval::new(1, Unit::Days, anchor, 0).unwrap();
    assert!(utc(Rule::Every(later)).is_err());
}

#[test]
fn exclusions_that_hide_everything_are_found_out() {
    let excluded = |expression: &str, weekdays, hours| {
        let part = Part {
            rule: rule(expression, Dialect::Vixie).unwrap(),
            zone: Zone::utc(),
            dst: Dst::Debian,
        };
        let exclusions = Exclusions::new(Zone::utc(), weekdays, [], hours);
        Calendar::new(vec![part], Some(exclusions)).is_err()
    };
    assert!(excluded("* * * * * *", 0x7f, 0));
    assert!(excluded("* * * * *", 0, 0xff_ffff));
    assert!(excluded("*/5 9 * * *", 0, 1 << 9));
    assert!(excluded("0 0 * * MON-FRI", 0b11_1110, 0));
    assert!(!excluded("* * * * * *", 0b111_1110, 0xff_fffe));
}

#[test]
fn an_exclusion_is_jumped_over_whole() {
    let weekend = Exclusions::new(Zone::utc(), 0b100_0001, [], 0);
    let part = Part {
        rule: rule("* * * * * *", Dialect::Vixie).unwrap(),
        zone: Zone::utc(),
        dst: Dst::Debian,
    };
    let calendar = Calendar::new(vec![part], Some(weekend)).unwrap();
    let friday = at("2024-05-31T23:59:59Z");
    let monday = at("2024-06-03T00:00:00Z");
    assert_eq!(calendar.next_after(friday), Some(monday));
    assert_eq!(calendar.last_by(monday - 1), Some(friday));
    assert_eq!(calendar.count(friday, monday + 8 * SECOND_NS), 9);
    assert_eq!(calendar.count(friday, u64::MAX), COUNT_LIMIT);
}

#[test]
fn what_is_described_alike_fires_alike() {
    use std::collections::HashMap;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut known: HashMap<String, (String, Vec<Nanos>)> = HashMap::new();
    for _ in 0..20_000 {
        let tree = expressions().new_tree(&mut runner).unwrap();
        let expression = proptest::strategy::ValueTree::current(&tree);
        let Ok(calendar) = rule(&expression, Dialect::Vixie).map(utc) else { continue };
        let Ok(calendar) = calendar else { continue };
        let mut moment = at("2020-01-01T00:00:00Z");
        let fires: Vec<Nanos> = (0..20)
            .map_while(|_| {
                moment = calendar.next_after(moment)?;
                Some(moment)
            })
            .chain([calendar.count(0, FAR_FUTURE)])
            .collect();
        let text = calendar.describe();
        assert!(text.ends_with(", UTC") && !text.contains("  "), "{text}");
        let (other, twin) =
            known.entry(text.clone()).or_insert_with(|| (expression.clone(), fires.clone()));
        assert_eq!(*twin, fires, "`{expression}` and `{other}` are both {text}");
    }
    assert!(known.len() > 10_000);
}

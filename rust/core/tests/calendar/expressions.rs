//! What is read, what is refused, and where the fault is said to be.

use std::time::{Duration, Instant};

use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
use scheduler_core::calendar::{Calendar, Cron, Dialect, Dst, ParsedRule, Part, Rule, Zone};
use scheduler_core::{Nanos, SECOND_NS};

use crate::{at, calendar, rule};

#[test]
fn an_error_says_field_position_and_reason() {
    let vixie = [
        ("60 * * * *", "minute field, column 1: 60 is out of range 0-59"),
        ("1,60 * * * *", "minute field, column 3: 60 is out of range 0-59"),
        ("1,2-61/3 * * * *", "minute field, column 5: 61 is out of range 0-59"),
        ("  5   24 * * *", "hour field, column 7: 24 is out of range 0-23"),
        ("* * 0 * *", "day-of-month field, column 5: 0 is out of range 1-31"),
        ("* * L-31 * *", "day-of-month field, column 7: 31 is out of range 0-30"),
        ("* * 1-15W * *", "day-of-month field, column 5: `1-15` is not a value"),
        ("* * L/2 * *", "day-of-month field, column 5: `L/2` is not a value"),
        ("* * 1,?,3 * *", "day-of-month field, column 7: `?` is not a value"),
        ("? * * * *", "minute field, column 1: `?` is not a value"),
        ("* * * JAM *", "month field, column 7: `JAM` is not a value"),
        ("* * * * 8", "day-of-week field, column 9: 8 is out of range 0-7"),
        ("* * * * MON#6", "day-of-week field, column 13: 6 is out of range 1-5"),
        ("* * * * MON#", "day-of-week field, column 13: a value is missing"),
        ("* * * * L", "day-of-week field, column 9: a value is missing"),
        ("* * * * MON#LL", "day-of-week field, column 13: `LL` is not a value"),
        (
            "* * * * 5-0",
            "day-of-week field, column 9: the range `5-0` runs backwards; at the end of a range \
             Sunday is 7",
        ),
        (
            "* * * * 5-SUN",
            "day-of-week field, column 9: the range `5-SUN` runs backwards; at the end of a range \
             Sunday is 7",
        ),
        ("* * * 11-3 *", "month field, column 7: the range `11-3` runs backwards"),
        (
            "* * * * MO-FR",
            "day-of-week field, column 9: `MO-FR` is not a value: names have three letters, write \
             MON-FRI",
        ),
        (
            "* * * * 1,tu",
            "day-of-week field, column 11: `tu` is not a value: names have three letters, write TUE",
        ),
        ("* * * MA *", "month field, column 7: `MA` is not a value"),
        ("* * * * thursd4y", "day-of-week field, column 9: `thursd4y` is not a value"),
        ("5-1 * * * *", "minute field, column 1: the range `5-1` runs backwards"),
        ("*/0 * * * *", "minute field, column 3: a step must be at least 1"),
        ("*/ * * * *", "minute field, column 3: a value is missing"),
        ("*/x * * * *", "minute field, column 3: `x` is not a value"),
        ("/2 * * * *", "minute field, column 1: a value is missing"),
        ("1,,2 * * * *", "minute field, column 3: a value is missing"),
        ("1, * * * *", "minute field, column 3: a value is missing"),
        ("¹ * * * *", "minute field, column 1: `¹` is not a value"),
        ("0 0 60 * * *", "hour field, column 5: 60 is out of range 0-23"),
        ("61 * * * * *", "second field, column 1: 61 is out of range 0-59"),
        ("* * * * * * 1969", "year field, column 13: 1969 is out of range 1970-2554"),
        ("* * * * * * 2030-2020", "year field, column 13: the range `2030-2020` runs backwards"),
        (
            "99999999999999999999999999 * * * *",
            "minute field, column 1: 999999999999999999999999 is out of range 0-59",
        ),
        (
            "0 0 30 2 *",
            "day-of-month field, column 5: no such day ever comes: the expression never fires",
        ),
        ("* * * *", "column 8: 5, 6 or 7 fields are expected, not 4"),
        ("* * * *  ", "column 8: 5, 6 or 7 fields are expected, not 4"),
        ("* * * * * * * *", "column 15: 5, 6 or 7 fields are expected, not 8"),
        ("", "column 1: the expression is empty"),
        (" \t", "column 1: the expression is empty"),
        ("TZ=UTC", "column 7: the expression is empty"),
        ("TZ= * * * * *", "column 4: the name of a time zone is missing"),
        ("CRON_TZ=UTC 60 * * * *", "minute field, column 13: 60 is out of range 0-59"),
        (
            "@reboot",
            "column 1: `@reboot` is none of @yearly, @annually, @monthly, @weekly, @daily, \
             @midnight, @hourly, @every",
        ),
        ("@daily 5", "column 8: `5` is one word too many"),
        ("@every", "column 7: a duration is missing, such as `5m`"),
        ("@every 5m 3s", "column 11: `3s` is one word too many"),
        ("@every Xm", "column 8: `Xm` is not a duration such as `1h30m` or `500ms`"),
        ("@every 5", "column 8: `5` is not a duration such as `1h30m` or `500ms`"),
        ("@every -5m", "column 8: `-5m` is not a duration such as `1h30m` or `500ms`"),
        ("@every 0s", "column 8: `0s` is no time at all"),
        ("@every 0.1ns", "column 8: `0.1ns` is no time at all"),
        ("@every 99999999h", "column 8: `99999999h` is too long"),
    ];
    for (expression, message) in vixie {
        let error = Cron::parse(expression, Dialect::Vixie).expect_err(expression);
        assert_eq!(error.to_string(), message, "{expression}");
    }
    let quartz = [
        ("* * * * *", "column 10: 6 or 7 fields are expected, not 5"),
        (
            "0 0 0 ? * ?",
            "day-of-week field, column 11: `?` can stand in one of the day fields only",
        ),
        ("0 0 0 ? * 0", "day-of-week field, column 11: 0 is out of range 1-7"),
        ("0 0 0 ? * SUN,8", "day-of-week field, column 15: 8 is out of range 1-7"),
        ("* * * ? * * 2030-2020", "year field, column 13: the range `2030-2020` runs backwards"),
    ];
    for (expression, message) in quartz {
        let error = Cron::parse(expression, Dialect::Quartz).expect_err(expression);
        assert_eq!(error.to_string(), message, "{expression}");
    }
    let long = "1,".repeat(600) + "1 * * * *";
    let error = Cron::parse(&long, Dialect::Vixie).expect_err("too long");
    assert_eq!((error.field, error.position), (None, Cron::MAX_LENGTH));
    assert_eq!(error.reason, "longer than 1000 bytes");
}

/// Different ways to write the same.
#[test]
fn equal_expressions() {
    let same = [
        ["@hourly", "0 * * * *"],
        ["@Daily", "0 0 * * *"],
        ["@midnight", "0 0 * * *"],
        ["@weekly", "0 0 * * SUN"],
        ["@monthly", "0 0 1 * *"],
        ["@yearly", "0 0 1 1 *"],
        ["@annually", "0 0 1 jan *"],
        ["0 0 * * 7", "0 0 * * Sunday"],
        ["0 0 * * 1-5", "\t0  0 * * mon-FRIDAY "],
        ["0 0 ? * MON", "0 0 * * 1"],
        ["0 0 * * 5-7", "0 0 * * FRI,SAT,SUN"],
        ["0 0 */2 * *", "0 0 1-31/2 * *"],
        ["0 20/15 * * *", "0 20 * * *"],
        ["0,30 * * * *", "30,0,0-0 * * * *"],
        ["0 0 l * *", "0 0 L-0 * *"],
        ["0 0 * * SAT-SUN", "0 0 * * 0,6"],
        ["0 0 * * fri-sun", "0 0 * * 5-7"],
        ["0 0 * * MON-SUN", "0 0 * * 1-7"],
        ["0 0 * * FRI-MON", "0 0 * * 5,6,0,1"],
        ["0 0 * * FRI-MON/2", "0 0 * * 5,0"],
        ["0 0 * * SAT-WED/2", "0 0 * * 6,1,3"],
        ["0 0 * NOV-MAR *", "0 0 * 11,12,1,2,3 *"],
        ["0 0 * NOV-MAR/3 *", "0 0 * 11,2 *"],
        ["0 0 * * FRIL", "0 0 * * 5L"],
        ["0 0 * * fri#l", "0 0 * * 5L"],
        ["0 0 * * 5#L", "0 0 * * 5L"],
        ["0 0 * * MONL,FRIL", "0 0 * * 1L,5L"],
        ["0 0 * * thurs", "0 0 * * 4"],
        ["0 0 * sept tues-THURS", "0 0 * 9 2-4"],
    ];
    for [one, other] in same {
        let text = |expression| calendar(expression, &Zone::utc(), Dst::Debian).describe();
        assert_eq!(text(one), text(other));
    }
}

/// A step that leaves one value of several is accepted, and named.
#[test]
fn steps_beyond_their_field_are_doubtful() {
    let doubts = |expression: &str, dialect| -> Vec<String> {
        let parsed = Cron::parse(expression, dialect).expect(expression);
        parsed.warnings.iter().map(ToString::to_string).collect()
    };
    let doubtful = [
        (
            "*/90 * * * *",
            "minute field, column 3: the step of `*/90` leaves minute 0 only: write `0`, or \
             `@every 90m` for a span of that length",
        ),
        (
            "0 0 */40 * *",
            "day-of-month field, column 7: the step of `*/40` leaves day 1 only: write `1`, or use \
             CalendarInterval(days=40)",
        ),
        (
            "0 1,2-5/4 * * *",
            "hour field, column 9: the step of `2-5/4` leaves hour 2 only: write `2`, or `@every \
             4h` for a span of that length",
        ),
        (
            "0 0 1 */13 *",
            "month field, column 9: the step of `*/13` leaves month 1 only: write `1`, or use \
             CalendarInterval(months=13)",
        ),
        (
            "0 0 * * FRI-MON/4",
            "day-of-week field, column 17: the step of `FRI-MON/4` leaves weekday 5 only: write `5`",
        ),
    ];
    for (expression, warning) in doubtful {
        assert_eq!(doubts(expression, Dialect::Vixie), [warning], "{expression}");
    }
    assert_eq!(doubts("*/90 */60 */25 * * *", Dialect::Quartz).len(), 3);
    for plain in ["*/59 * * * *", "0 0/23 * * *", "0 20/3 * * *", "5/1 * * * *", "0 0 */30 * *"] {
        assert_eq!(doubts(plain, Dialect::Vixie), Vec::<String>::new(), "{plain}");
    }
}

#[test]
fn zones_and_spans_are_handed_out() {
    let parsed = Cron::parse("CRON_TZ=Asia/Tokyo 0 9 * * *", Dialect::Vixie).unwrap();
    assert_eq!(parsed.zone.as_deref(), Some("Asia/Tokyo"));
    let parsed = Cron::parse("TZ=UTC @every 1h30m", Dialect::Quartz).unwrap();
    assert_eq!(parsed.zone.as_deref(), Some("UTC"));
    assert_eq!(parsed.rule, ParsedRule::Every(5_400 * SECOND_NS));
    let spans: [(&str, Nanos); 6] = [
        ("10s", 10_000_000_000),
        ("500ms", 500_000_000),
        ("1.5h", 5_400_000_000_000),
        ("1h1m1s1ms1us1ns", 3_661_001_001_001),
        (".5s", 500_000_000),
        ("3µs", 3_000),
    ];
    for (text, span) in spans {
        let parsed = Cron::parse(&format!("@every {text}"), Dialect::Vixie).unwrap();
        assert_eq!(parsed.rule, ParsedRule::Every(span), "{text}");
    }
}

#[test]
fn quartz_counts_from_sunday_and_joins_the_day_fields() {
    let first = |expression| {
        let rule = rule(expression, Dialect::Quartz).unwrap();
        let part = Part { rule, zone: Zone::utc(), dst: Dst::Debian };
        let calendar = Calendar::new(vec![part], None).unwrap();
        calendar.next_after(at("2024-05-01T00:00:00Z")).unwrap()
    };
    // 1 May 2024 was a Wednesday.
    for (expression, expected) in [
        ("0 0 12 ? * 1", "2024-05-05T12:00:00Z"),
        ("0 0 12 ? * SUN", "2024-05-05T12:00:00Z"),
        ("0 0 12 ? * 7", "2024-05-04T12:00:00Z"),
        ("0 0 12 ? * L", "2024-05-04T12:00:00Z"),
        ("0 0 12 ? * 6L", "2024-05-31T12:00:00Z"),
        ("0 0 12 ? * FRIL", "2024-05-31T12:00:00Z"),
        ("0 0 12 ? * 6#3", "2024-05-17T12:00:00Z"),
        ("0 0 12 ? * FRI-SUN", "2024-05-03T12:00:00Z"),
        ("0 0 22-2 1 * ?", "2024-05-01T01:00:00Z"),
        ("0 /7 12 * * ?", "2024-05-01T12:00:00Z"),
        // A Friday that is the 13th.
        ("0 0 12 13 * FRI", "2024-09-13T12:00:00Z"),
        ("0 0 12 L-3 * ?", "2024-05-28T12:00:00Z"),
        ("0 0 12 15W 6 ? 2024", "2024-06-14T12:00:00Z"),
        ("0 0 12 LW 6 ?", "2024-06-28T12:00:00Z"),
        ("0 0 12 1 1 ? 2030-2040/3", "2030-01-01T12:00:00Z"),
    ] {
        assert_eq!(first(expression), at(expected), "{expression}");
    }
}

/// The worst of what fits into the length, well under a millisecond even unoptimised.
#[test]
fn any_expression_is_read_in_bounded_time() {
    let worst = [
        format!("{} * * * * * {}", "0-59,".repeat(90) + "1", "1970-2554,".repeat(50) + "2000"),
        format!("0 0 0 {} * * 2554", "1W,L-3W,".repeat(100) + "LW"),
        format!("0 0 0 29 2 {} 2100", "1#5,2L,".repeat(100) + "3"),
        "@every ".to_owned() + &"1ns".repeat(300),
        "(".repeat(1000),
        " ".repeat(1000),
        "é".repeat(500),
    ];
    for expression in worst {
        let fastest = (0..5)
            .map(|_| {
                let start = Instant::now();
                let _ = std::hint::black_box(Cron::parse(&expression, Dialect::Vixie));
                start.elapsed()
            })
            .min();
        assert!(fastest < Some(Duration::from_millis(1)), "{fastest:?}: {expression}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Whatever the text, nothing panics, and an error points into it.
    #[test]
    fn any_text_is_read_or_refused(
        text in prop_oneof![
            any::<String>(),
            "[0-9*,/#LW?@ a-zA-Z=_.:-]{0,40}",
            "(CRON_TZ=|TZ=|@every |)[0-9*/LW#,-]{1,6}( [0-9*/LW?#,-]{1,5}){3,7}",
            "([0-9*]{1,3} ){2}[0-9LW*-]{1,4} [A-Za-z0-9*]{1,3} [A-Za-z0-9L#*]{1,5}",
        ],
        quartz in any::<bool>(),
        moment in any::<u64>(),
    ) {
        let dialect = if quartz { Dialect::Quartz } else { Dialect::Vixie };
        match rule(&text, dialect) {
            Err(error) => {
                assert!(error.position <= text.len());
                assert!(!error.to_string().contains('\n') || text.contains('\n'));
            }
            Ok(rule) => {
                let is_grid = matches!(rule, Rule::Grid { .. });
                let part = Part { rule, zone: Zone::utc(), dst: Dst::Debian };
                let calendar = Calendar::new(vec![part], None);
                // What is read fires; at the end of the axis half a year is missing.
                assert!(calendar.is_ok() || is_grid || text.contains("2554"), "{text}");
                if let Ok(calendar) = calendar {
                    let next = calendar.next_after(moment);
                    assert!(next.is_none_or(|next| next > moment));
                    assert!(!calendar.describe().is_empty());
                }
            }
        }
    }
}

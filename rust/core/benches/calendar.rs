//! Times of calendars: the next occurrence, counting, reading expressions, loading zones.
//!
//! `cargo bench -p scheduler-core --bench calendar`. "next" asks about a different moment each
//! time, spread over a century, so that the memo of the last answer hardly ever helps; "memo" asks
//! about one moment again and again, as tasks do that are armed together.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should stop")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use scheduler_core::calendar::{
    Calendar, CalendarInterval, Cron, Date, Dialect, Dst, Exclusions, ParsedRule, Part, Rule, Unit,
    Zone,
};
use scheduler_core::{Nanos, SECOND_NS};

const EXPRESSIONS: [&str; 8] = [
    "* * * * *",
    "*/5 * * * *",
    "0 9 * * MON-FRI",
    "30 2 * * *",
    "0 0 1 1 *",
    "0 12 L * *",
    "0 0 * * 5#3",
    "0 0 29 2 *",
];

/// A power of two, so that going round is a mask.
const MOMENTS: usize = 4096;

const YEAR_NS: Nanos = 31_556_952 * SECOND_NS;

fn rule(expression: &str) -> Rule {
    match Cron::parse(expression, Dialect::Vixie).unwrap().rule {
        ParsedRule::Cron(cron) => Rule::Cron(cron),
        ParsedRule::Every(interval) => Rule::Grid { anchor: 0, interval },
    }
}

fn calendar(rule: Rule, zone: &Arc<Zone>) -> Calendar {
    let part = Part { rule, zone: zone.clone(), dst: Dst::Debian };
    Calendar::new(vec![part], None).unwrap()
}

/// Moments from 2000 to 2100, far apart from one to the next.
fn moments() -> Vec<Nanos> {
    let golden = 0x9e37_79b9_7f4a_7c15_u64;
    (1..=MOMENTS as u64)
        .map(|index| 30 * YEAR_NS + (index.wrapping_mul(golden)) % (100 * YEAR_NS))
        .collect()
}

fn next(criterion: &mut Criterion, name: &str, calendar: &Calendar) {
    let moments = moments();
    let mut index = 0;
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| {
            index = (index + 1) % MOMENTS;
            calendar.next_after(black_box(moments[index]))
        });
    });
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .configure_from_args();
    let zones = ["UTC", "America/New_York"].map(|name| Zone::named(name).unwrap());
    let [utc, new_york] = &zones;
    for expression in EXPRESSIONS {
        for zone in &zones {
            let name = format!("next/{expression}/{}", zone.name());
            next(&mut criterion, &name, &calendar(rule(expression), zone));
        }
    }
    let anchor = Date::new(2000, 1, 31).unwrap();
    let monthly = CalendarInterval::new(1, Unit::Months, anchor, 34_200).unwrap();
    next(&mut criterion, "next/every month", &calendar(Rule::Every(monthly), new_york));
    let part =
        |expression| Part { rule: rule(expression), zone: new_york.clone(), dst: Dst::Debian };
    let weekend = Exclusions::new(new_york.clone(), 0b100_0001, [], 0);
    let union = vec![part("0 9 * * *"), part("30 17 * * *")];
    let union = Calendar::new(union, Some(weekend)).unwrap();
    next(&mut criterion, "next/two expressions without weekends", &union);

    let shared = calendar(rule("0 9 * * MON-FRI"), new_york);
    criterion.bench_function("memo", |bencher| {
        bencher.iter(|| shared.next_after(black_box(40 * YEAR_NS)));
    });
    let last = moments();
    let mut index = 0;
    criterion.bench_function("last_by/0 9 * * MON-FRI/America/New_York", |bencher| {
        bencher.iter(|| {
            index = (index + 1) % MOMENTS;
            shared.last_by(black_box(last[index]))
        });
    });
    for zone in &zones {
        let every_minute = calendar(rule("* * * * *"), zone);
        criterion.bench_function(&format!("count/ten years/{}", zone.name()), |bencher| {
            bencher.iter(|| every_minute.count(black_box(40 * YEAR_NS), black_box(50 * YEAR_NS)));
        });
    }
    for expression in ["*/5 * * * *", "0 0 12 L-3 1-6 5#3 2030-2040"] {
        criterion.bench_function(&format!("parse/{expression}"), |bencher| {
            bencher.iter(|| Cron::parse(black_box(expression), Dialect::Vixie));
        });
    }
    criterion.bench_function("new", |bencher| {
        let parsed = rule("0 9 * * MON-FRI");
        bencher.iter(|| calendar(parsed.clone(), utc));
    });
    // What a zone costs the first time, less the reading of its file.
    let transitions: Vec<(i64, i32)> =
        (0..1170).map(|index| (index * 15_778_476, (index % 2) as i32 * 3600)).collect();
    let mut group = criterion.benchmark_group("zone");
    group.throughput(Throughput::Elements(transitions.len() as u64));
    group.bench_function("from transitions", |bencher| {
        bencher.iter(|| Zone::from_transitions("a place", 0, black_box(transitions.clone())));
    });
    group.finish();
    criterion.final_summary();
}

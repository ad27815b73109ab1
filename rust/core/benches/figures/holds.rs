//! How long single calls take: each is one hold of the scheduler's lock.
//!
//! The work is the same in every run, call by call. So each call is timed in three runs and counts
//! with its least: what remains is the structure's own doing, and not that of the machine.

use std::sync::Arc;
use std::time::Instant;

use scheduler_core::calendar::{
    Calendar, Cron, Dialect, Dst, Exclusions, ParsedRule, Part, Rule, Zone,
};
use scheduler_core::{ADVANCE_BUDGET, Engine, Misfire, Recurrence, Repeat, SECOND_NS, Taken};

use crate::Contender;
use crate::contest::engine::Ours;
use crate::contest::rounds::{Load, Random, expire_all, filled};
use crate::contest::{START, Timers, Watch};
use crate::report::{Report, Row};

const GOAL_US: Option<f64> = Some(200.0);

const RUNS: usize = 3;

/// Ids that a bulk caller cancels in one hold of the lock.
const BATCH: usize = 64;

/// Call times of a run, in nanoseconds, and where each kind of call begins.
#[derive(Default)]
struct Stopwatch {
    calls_ns: Vec<u32>,
    begins: Vec<usize>,
}

impl Stopwatch {
    fn begin(&mut self) {
        self.begins.push(self.calls_ns.len());
    }

    /// Keeps the lesser time of each call.
    fn lower_to(&mut self, other: &Self) {
        assert_eq!(self.begins, other.begins, "the work is the same in every run");
        for (least, time) in self.calls_ns.iter_mut().zip(&other.calls_ns) {
            *least = (*least).min(*time);
        }
    }
}

impl Watch for Stopwatch {
    #[inline]
    fn call<R>(&mut self, call: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = call();
        self.calls_ns.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
        result
    }
}

/// The longest calls of each kind, and quantiles of all, in microseconds.
pub struct Hold {
    /// Longest insert, cancel, and call of the expiry.
    longest_us: [f64; 3],
    median_us: f64,
    per_mille_999_us: f64,
}

impl Hold {
    fn of(watch: Stopwatch) -> Self {
        let to_us = |ns: u32| f64::from(ns) / 1e3;
        let mut times = watch.calls_ns;
        let ends = watch.begins.iter().skip(1).copied().chain([times.len()]);
        let mut longest_us = [0.0; 3];
        for ((longest, begin), end) in longest_us.iter_mut().zip(&watch.begins).zip(ends) {
            *longest = to_us(times[*begin..end].iter().copied().max().unwrap_or(0));
        }
        times.sort_unstable();
        Self {
            longest_us,
            median_us: to_us(times[times.len() / 2]),
            per_mille_999_us: to_us(times[times.len() / 1000 * 999]),
        }
    }

    fn longest(&self) -> f64 {
        self.longest_us.into_iter().fold(0.0, f64::max)
    }
}

fn least_of_runs(run: impl Fn() -> Stopwatch) -> Hold {
    let mut least = run();
    for _ in 1..RUNS {
        least.lower_to(&run());
    }
    Hold::of(least)
}

/// Inserts the load, cancels half of it in random order, and lets time pass over the rest.
pub fn hold<T: Timers>(load: &Load) -> Hold {
    least_of_runs(|| {
        let mut watch = Stopwatch::default();
        let mut timers = T::new();
        let mut keys = Vec::with_capacity(load.len());
        watch.begin();
        for (value, deadline) in load.0.iter().enumerate() {
            keys.push(watch.call(|| timers.insert(*deadline, value as u32)));
            // Without the lock, and so not part of a hold.
            timers.free_unused();
        }
        Random::new().shuffle(&mut keys);
        watch.begin();
        for key in keys.drain(load.len() / 2..) {
            watch.call(|| timers.cancel(key));
        }
        watch.begin();
        let expired = expire_all(&mut timers, load, &mut watch);
        assert_eq!(expired, keys.len() as u64);
        for key in keys {
            timers.forget(key);
        }
        watch
    })
}

/// What is done to a load that is all due within a millisecond; every call is one of the engine.
const LATE_CANCELS: [&str; 5] = [
    "sorted, then cancelled",
    "sorted, then cancelled in batches",
    "ready, then cancelled",
    "ready, then cancelled in batches",
    "ready, first half cancelled, taken",
];

/// Cancels when the load has been sorted already and waits for its exact nanosecond, or is ready.
fn hold_late_cancel(load: &Load, what: usize) -> Hold {
    least_of_runs(|| {
        let mut watch = Stopwatch::default();
        watch.begin();
        let (mut timers, mut keys) = filled::<Ours<0>>(load);
        let engine = &mut timers.0;
        let due = if what < 2 { load.0.iter().min() } else { load.0.iter().max() };
        let now = *due.unwrap();
        while !watch.call(|| engine.advance(now, ADVANCE_BUDGET)) {}
        match what {
            0 | 2 => {
                Random::new().shuffle(&mut keys);
                for id in keys {
                    watch.call(|| engine.cancel(id));
                }
            }
            1 | 3 => {
                Random::new().shuffle(&mut keys);
                for batch in keys.chunks(BATCH) {
                    watch.call(|| engine.cancel_batch(batch));
                }
            }
            _ => {
                // In order of deadlines: so all the dead are before all the living.
                keys.sort_by_key(|id| engine.view(*id).unwrap().nominal);
                for id in keys.drain(..load.len() / 2) {
                    watch.call(|| engine.cancel(id));
                }
                loop {
                    while !watch.call(|| engine.advance(now, ADVANCE_BUDGET)) {}
                    if watch.call(|| engine.take()).is_none() {
                        break;
                    }
                }
            }
        }
        watch
    })
}

/// Tasks that come late on a calendar whose occurrences are counted one by one: of two parts, and of
/// one with exclusions. Each has missed more than are counted.
fn hold_late_calendar(with_exclusions: bool) -> Hold {
    const TASKS: u64 = 20;
    let zone = Zone::named("Europe/Paris").unwrap();
    let cron = |expression: &str| {
        let ParsedRule::Cron(cron) = Cron::parse(expression, Dialect::Vixie).unwrap().rule else {
            unreachable!("no @every")
        };
        Part { rule: Rule::Cron(cron), zone: zone.clone(), dst: Dst::Debian }
    };
    let calendar = if with_exclusions {
        let nights = Exclusions::new(zone.clone(), 0b100_0001, [], 0xff);
        Calendar::new(vec![cron("*/7 * * * *")], Some(nights))
    } else {
        Calendar::new(vec![cron("*/7 * * * *"), cron("3 9-17 * * MON-FRI")], None)
    };
    let calendar = Arc::new(calendar.unwrap());
    least_of_runs(|| {
        let mut engine = Engine::new(START, 0);
        let rule = Arc::new(Recurrence {
            repeat: Repeat::Calendar(calendar.clone()),
            misfire: Misfire::All,
            catch_up_limit: 5_000,
            on_wall: true,
            ..Recurrence::default()
        });
        for task in 0..TASKS {
            engine.schedule(START + task, 0, Some(&rule)).unwrap();
        }
        let now = START + 365 * 86_400 * SECOND_NS;
        let mut watch = Stopwatch::default();
        watch.begin();
        let mut runs = 0;
        while runs < TASKS {
            watch.call(|| engine.advance(now, ADVANCE_BUDGET));
            if let Some(Taken::Run(slot)) = watch.call(|| engine.take()) {
                watch.call(|| engine.complete(slot, now, false));
                runs += 1;
            }
        }
        watch
    })
}

/// Measures and prints.
pub fn tell(contenders: &[Contender], timers: usize, report: &mut Report) {
    let names: Vec<_> = contenders.iter().map(|contender| contender.name).collect();
    report.head(&format!("{timers} timers: the longest single calls, in us"), &names);
    let mut print = |load: &str, holds: &[Hold]| {
        let mut row = |what: &str, goal: Option<f64>, figure: &dyn Fn(&Hold) -> f64| {
            let figures = holds.iter().map(|hold| Some(figure(hold))).collect();
            let what = format!("{load}: {what}");
            report.row("holds, us", timers, &names, &Row { what: &what, goal, figures });
        };
        row("insert", None, &|hold| hold.longest_us[0]);
        row("cancel", None, &|hold| hold.longest_us[1]);
        row("expire", None, &|hold| hold.longest_us[2]);
        row("all, p50", None, &|hold| hold.median_us);
        row("all, p99.9", None, &|hold| hold.per_mille_999_us);
        row("all, longest", GOAL_US, &Hold::longest);
    };
    for (name, load) in [
        ("over an hour", Load::spread(timers)),
        ("same ms", Load::same_millisecond(timers)),
        ("same ns", Load::same_nanosecond(timers)),
    ] {
        let holds: Vec<_> = contenders.iter().map(|contender| (contender.hold)(&load)).collect();
        print(name, &holds);
    }
    let load = Load::same_millisecond(timers);
    for (index, what) in LATE_CANCELS.into_iter().enumerate() {
        let figures = vec![Some(hold_late_cancel(&load, index).longest())];
        report.row("holds, us", timers, &names, &Row { what, goal: GOAL_US, figures });
    }
    for (index, what) in ["late on a union", "late with exclusions"].into_iter().enumerate() {
        let figures = vec![Some(hold_late_calendar(index == 1).longest())];
        report.row("holds, us", timers, &names, &Row { what, goal: GOAL_US, figures });
    }
}

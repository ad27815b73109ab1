//! Times per operation.

use std::time::Duration;

use crate::Contender;
use crate::contest::Timers;
use crate::contest::rounds::{self, ASKED, Load};
use crate::contest::wheels::HashWheel;
use crate::report::{Report, Row, goal};

/// One round of one kind of work.
pub type Round = fn(&Load) -> Duration;

/// Kinds of work, with the goal for a million timers and for ten, in nanoseconds.
pub const WORK: [(&str, Option<(f64, f64)>); 7] = [
    ("insert", Some((25.0, 35.0))),
    ("insert, recurring", None),
    ("cancel, random order", Some((110.0, 150.0))),
    ("cancel, in batches", Some((45.0, 45.0))),
    ("expire in order, take, complete", Some((100.0, 130.0))),
    ("schedule + cancel", None),
    ("next deadline", Some((8.0, 8.0))),
];

/// The rounds of a structure.
pub fn rounds_of<T: Timers>() -> [Option<Round>; WORK.len()] {
    let next: Round = rounds::next_deadline::<T>;
    [
        Some(rounds::insert::<T>),
        None,
        Some(rounds::cancel::<T>),
        None,
        Some(rounds::expire::<T>),
        Some(rounds::churn::<T>),
        // The hash wheel cannot tell.
        (T::NAME != HashWheel::NAME).then_some(next),
    ]
}

/// The rounds of the engine.
pub fn rounds_of_ours<const HISTORY: u32>() -> [Option<Round>; WORK.len()] {
    let mut rounds = rounds_of::<crate::Ours<HISTORY>>();
    rounds[1] = Some(rounds::insert_recurring::<HISTORY>);
    rounds[3] = Some(rounds::cancel_batch::<HISTORY>);
    rounds
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Measures and prints.
pub fn tell(contenders: &[Contender], timers: usize, report: &mut Report) {
    let rounds = std::env::var("BENCH_ROUNDS").map_or(5, |rounds| rounds.parse().unwrap());
    let names: Vec<_> = contenders.iter().map(|contender| contender.name).collect();
    let load = Load::spread(timers);
    report.head(&format!("{timers} timers: ns an operation"), &names);
    for (index, (what, goals)) in WORK.into_iter().enumerate() {
        let operations = if what == "next deadline" { ASKED } else { timers };
        let mut samples = vec![Vec::new(); contenders.len()];
        for _ in 0..rounds {
            for (contender, samples) in contenders.iter().zip(&mut samples) {
                let Some(round) = contender.rounds[index] else { continue };
                samples.push(round(&load).as_nanos() as f64 / operations as f64);
            }
        }
        let figures = samples
            .iter_mut()
            .map(|samples| (!samples.is_empty()).then(|| median(samples)))
            .collect();
        let goal = goals.and_then(|(at_1_m, at_10_m)| goal(timers, at_1_m, at_10_m));
        report.row("times, ns", timers, &names, &Row { what, goal, figures });
    }
}

//! Times of the engine and its peers, for following them over time.
//!
//! `cargo bench -p scheduler-core --bench engine`. One iteration is a whole round, so the time per
//! operation is the reciprocal of the throughput that is printed. `BENCH_SIZES` says how many
//! timers wait: `BENCH_SIZES=100000,1000000,10000000` adds ten million, which takes 3 GiB.
//!
//! To compare the engine with its peers use the bench `figures`, which takes turns between them.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should stop")]

#[allow(dead_code, reason = "each bench uses its part")]
mod contest;

use std::time::Duration;

use contest::delay_queue::Tokio;
use contest::engine::Ours;
use contest::ordered::{LazyHeap, Tree};
use contest::rounds::{self, ASKED, Load};
use contest::wheels::{HashWheel, NexusWheel};
use contest::{Timers, sizes};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};

type Round = fn(&Load) -> Duration;

fn add(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, load: &Load, round: Round) {
    group.bench_function(BenchmarkId::new(name, load.len()), |bencher| {
        bencher.iter_custom(|rounds| (0..rounds).map(|_| round(load)).sum());
    });
}

const WORK: [&str; 5] = ["insert", "cancel", "expire", "churn", "next_deadline"];

fn work<T: Timers>() -> [Round; 5] {
    [
        rounds::insert::<T>,
        rounds::cancel::<T>,
        rounds::expire::<T>,
        rounds::churn::<T>,
        rounds::next_deadline::<T>,
    ]
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        // A round is long: one of them warms up.
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let contenders = [
        (Ours::<0>::NAME, work::<Ours<0>>()),
        (Ours::<10_000>::NAME, work::<Ours<10_000>>()),
        (HashWheel::NAME, work::<HashWheel>()),
        (NexusWheel::NAME, work::<NexusWheel>()),
        (Tokio::NAME, work::<Tokio>()),
        (LazyHeap::NAME, work::<LazyHeap>()),
        (Tree::NAME, work::<Tree>()),
    ];
    let loads: Vec<Load> = sizes().into_iter().map(Load::spread).collect();
    for (index, work) in WORK.into_iter().enumerate() {
        let mut group = criterion.benchmark_group(work);
        group.sampling_mode(SamplingMode::Flat);
        for load in &loads {
            let operations = if work == "next_deadline" { ASKED } else { load.len() };
            group.throughput(Throughput::Elements(operations as u64));
            for (name, rounds) in &contenders {
                // The hash wheel cannot tell.
                if work != "next_deadline" || *name != HashWheel::NAME {
                    add(&mut group, name, load, rounds[index]);
                }
            }
            if work == "cancel" {
                add(&mut group, "engine by batches", load, rounds::cancel_batch::<0>);
            }
        }
    }
    criterion.final_summary();
}

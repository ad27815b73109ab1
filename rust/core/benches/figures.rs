//! The table of figures: the engine beside its peers, and our goals beside the engine.
//!
//! `cargo bench -p scheduler-core --bench figures` prints times per operation (the median of
//! rounds, for which the contenders take turns), the longest single calls, and memory; and writes
//! the same as `figures.json` into cargo's directory for such files, `target/tmp`.
//!
//! `BENCH_SIZES=10000000` asks for ten million timers: give it 8 GiB and a quarter of an hour.
//! `BENCH_ROUNDS` says how many rounds (5), and `BENCH_PEERS=0` leaves the peers out. `BENCH_PARTS`
//! chooses among `times`, `holds` and `memory`.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on should stop")]
#![allow(clippy::print_stdout, reason = "to print is what it is for")]

#[cfg(target_os = "linux")]
#[path = "../../py/src/allocator.rs"]
mod allocator;
#[allow(dead_code, reason = "each bench uses its part")]
mod contest;
#[path = "figures/holds.rs"]
mod holds;
#[path = "figures/memory.rs"]
mod memory;
#[path = "figures/report.rs"]
mod report;
#[path = "figures/times.rs"]
mod times;

use contest::delay_queue::Tokio;
use contest::engine::Ours;
use contest::ordered::{LazyHeap, Tree};
use contest::wheels::{HashWheel, NexusWheel};
use contest::{Timers, sizes};
use holds::Hold;
use memory::Memory;
use report::Report;
use times::Round;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// One column: a structure, as the parts of the report need it.
pub struct Contender {
    name: &'static str,
    rounds: [Option<Round>; times::WORK.len()],
    hold: fn(&contest::rounds::Load) -> Hold,
    memory: fn(usize) -> Memory,
}

impl Contender {
    fn of<T: Timers>() -> Self {
        Self {
            name: T::NAME,
            rounds: times::rounds_of::<T>(),
            hold: holds::hold::<T>,
            memory: memory::measure::<T>,
        }
    }

    fn ours<const HISTORY: u32>() -> Self {
        Self { rounds: times::rounds_of_ours::<HISTORY>(), ..Self::of::<Ours<HISTORY>>() }
    }
}

fn contenders() -> Vec<Contender> {
    // With no history, the bare cost; with one, what the Python layer uses.
    let mut contenders = vec![Contender::ours::<0>(), Contender::ours::<10_000>()];
    if std::env::var("BENCH_PEERS").as_deref() != Ok("0") {
        contenders.extend([
            Contender::of::<HashWheel>(),
            Contender::of::<NexusWheel>(),
            Contender::of::<Tokio>(),
            Contender::of::<LazyHeap>(),
            Contender::of::<Tree>(),
        ]);
    }
    contenders
}

fn main() {
    let contenders = contenders();
    if memory::answer_as_child(&contenders) {
        return;
    }
    let parts = std::env::var("BENCH_PARTS").unwrap_or_else(|_| "times,holds,memory".to_owned());
    let mut report = Report::default();
    for size in sizes() {
        for part in parts.split(',') {
            match part {
                "times" => times::tell(&contenders, size, &mut report),
                "holds" => holds::tell(&contenders, size, &mut report),
                "memory" => memory::tell(&contenders, size, &mut report),
                unknown => panic!("no part is called {unknown}"),
            }
        }
    }
    report.close();
}

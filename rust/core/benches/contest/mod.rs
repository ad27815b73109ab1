//! Timer structures behind one trait, so that each is put through the very same work.

pub mod delay_queue;
pub mod engine;
pub mod ordered;
pub mod rounds;
pub mod wheels;

use scheduler_core::{Nanos, SECOND_NS};

/// When every contest begins: any moment, but not the first of a millisecond.
pub const START: Nanos = 1_700_000_000 * SECOND_NS + 123_456_789;

/// The furthest that deadlines lie ahead.
pub const HORIZON: Nanos = 3_600 * SECOND_NS;

/// What surrounds each single call of a structure; the contests of throughput put nothing there.
pub trait Watch {
    /// Makes the call.
    fn call<R>(&mut self, call: impl FnOnce() -> R) -> R;
}

/// Makes calls and nothing else.
pub struct Unwatched;

impl Watch for Unwatched {
    #[inline(always)]
    fn call<R>(&mut self, call: impl FnOnce() -> R) -> R {
        call()
    }
}

/// A structure that timers wait in.
pub trait Timers {
    /// The column of the tables.
    const NAME: &'static str;

    /// What cancelling needs.
    type Key;

    /// An empty structure at the moment [`START`].
    fn new() -> Self;

    /// Arms a timer. No two living ones have the same value.
    fn insert(&mut self, deadline: Nanos, value: u32) -> Self::Key;

    /// Arms a timer that will not be cancelled.
    fn insert_unheld(&mut self, deadline: Nanos, value: u32) {
        self.insert(deadline, value);
    }

    /// Ends a timer that is armed.
    fn cancel(&mut self, key: Self::Key);

    /// Lets go of a key unused.
    fn forget(&mut self, _key: Self::Key) {}

    /// Frees memory that the structure has kept for later, so as not to do so in each call.
    fn free_unused(&mut self) {}

    /// When something is to do next, as well as the structure can tell.
    fn next_deadline(&mut self) -> Option<Nanos>;

    /// Brings time to `until`, hands out what is due, and returns how many that were.
    fn expire(&mut self, until: Nanos, watch: &mut impl Watch) -> u64;
}

/// How many timers wait: `BENCH_SIZES`, or a hundred thousand and a million. Where a test run only
/// looks whether the benches work, a few.
pub fn sizes() -> Vec<usize> {
    if !std::env::args().any(|argument| argument == "--bench") {
        return vec![2_000];
    }
    let sizes = std::env::var("BENCH_SIZES").unwrap_or_else(|_| "100000,1000000".to_owned());
    sizes.split(',').map(|size| size.trim().parse().unwrap()).collect()
}

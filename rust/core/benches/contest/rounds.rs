//! One round of each kind of work. Setting up and taking down stay outside the time returned.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scheduler_core::{Nanos, Recurrence, Repeat, SECOND_NS};

use super::engine::Ours;
use super::{HORIZON, START, Timers, Unwatched, Watch};

/// Timers that live at the same time while others come and go.
const CHURN_WINDOW: usize = 1024;

/// Timers that fall due together, on average, when time moves on.
const TIMERS_PER_STEP: u64 = 256;

/// Structures that round up are a tick late: time runs on a little longer for them.
const GRACE: Nanos = 10_000_000;

/// The same numbers in every run, well mixed: splitmix64.
pub struct Random(u64);

impl Random {
    /// The generator of every contest.
    pub const fn new() -> Self {
        Self(0x5EED)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Puts things into random order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for end in (1..things.len()).rev() {
            things.swap(end, self.below(end as u64 + 1) as usize);
        }
    }
}

/// The deadlines of a contest, in order of arrival.
pub struct Load(pub Vec<Nanos>);

impl Load {
    /// Random deadlines over the hour to come.
    pub fn spread(timers: usize) -> Self {
        let mut random = Random::new();
        Self((0..timers).map(|_| START + 2_000_000 + random.below(HORIZON)).collect())
    }

    /// Random deadlines within one millisecond, half an hour ahead.
    pub fn same_millisecond(timers: usize) -> Self {
        let mut random = Random::new();
        // The first nanosecond of a bucket of the engine, or the load would fall into two of them.
        let first = (START + HORIZON / 2) >> 20 << 20;
        Self((0..timers).map(|_| first + random.below(1_000_000)).collect())
    }

    /// One deadline for all, half an hour ahead.
    pub fn same_nanosecond(timers: usize) -> Self {
        Self(vec![START + HORIZON / 2; timers])
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How often time moves on until all are due.
    fn steps(&self) -> u64 {
        (self.len() as u64).div_ceil(TIMERS_PER_STEP)
    }
}

/// Timers that a bulk caller arms in one call.
const CALL: usize = 256;

/// A structure with the whole load in it, and the keys in order of arrival.
pub fn filled<T: Timers>(load: &Load) -> (T, Vec<T::Key>) {
    let mut timers = T::new();
    let mut keys = Vec::with_capacity(load.len());
    fill(&mut timers, &mut keys, load);
    (timers, keys)
}

#[inline]
fn fill<T: Timers>(timers: &mut T, keys: &mut Vec<T::Key>, load: &Load) {
    for (value, deadline) in load.0.iter().enumerate() {
        keys.push(timers.insert(*deadline, value as u32));
        // As the gate does after each call, when it has released the lock.
        if value % CALL == 0 {
            timers.free_unused();
        }
    }
}

fn forget<T: Timers>(timers: &mut T, keys: Vec<T::Key>) {
    for key in keys {
        timers.forget(key);
    }
}

/// Brings time in steps to the end, hands out all, and returns how many that were.
pub fn expire_all<T: Timers>(timers: &mut T, load: &Load, watch: &mut impl Watch) -> u64 {
    let steps = load.steps();
    (1..=steps)
        .map(|step| timers.expire(START + GRACE + HORIZON / steps * step, watch))
        .sum::<u64>()
        + timers.expire(START + 2 * GRACE + HORIZON, watch)
}

/// Arms the whole load in an empty structure.
pub fn insert<T: Timers>(load: &Load) -> Duration {
    let mut timers = T::new();
    let mut keys = Vec::with_capacity(load.len());
    let start = Instant::now();
    fill(&mut timers, &mut keys, load);
    let elapsed = start.elapsed();
    forget(&mut timers, keys);
    elapsed
}

/// Arms as many recurring tasks, which share one recurrence.
pub fn insert_recurring<const HISTORY: u32>(load: &Load) -> Duration {
    let mut timers = Ours::<HISTORY>::new();
    let repeat = Repeat::FixedRate(60 * SECOND_NS);
    let recurrence = Arc::new(Recurrence { repeat, ..Recurrence::default() });
    let mut keys = Vec::with_capacity(load.len());
    let start = Instant::now();
    for deadline in &load.0 {
        let slot = timers.0.reserve().unwrap();
        keys.push(timers.0.arm(slot, *deadline, 0, Some(&recurrence)).unwrap());
        timers.free_unused();
    }
    let elapsed = start.elapsed();
    forget(&mut timers, keys);
    elapsed
}

/// Cancels all, in random order, one by one.
pub fn cancel<T: Timers>(load: &Load) -> Duration {
    let (mut timers, mut keys) = filled::<T>(load);
    Random::new().shuffle(&mut keys);
    let mut keys = keys.into_iter();
    let start = Instant::now();
    for key in &mut keys {
        timers.cancel(key);
    }
    timers.free_unused();
    start.elapsed()
}

/// Cancels all, in random order, by batches.
pub fn cancel_batch<const HISTORY: u32>(load: &Load) -> Duration {
    let (mut timers, mut keys) = filled::<Ours<HISTORY>>(load);
    Random::new().shuffle(&mut keys);
    let start = Instant::now();
    let stopped = timers.cancel_batches(&keys);
    timers.free_unused();
    let elapsed = start.elapsed();
    assert_eq!(stopped, load.len());
    elapsed
}

/// Lets time pass over the whole load, step by step, and takes what is due at each.
pub fn expire<T: Timers>(load: &Load) -> Duration {
    let mut timers = T::new();
    for (value, deadline) in load.0.iter().enumerate() {
        timers.insert_unheld(*deadline, value as u32);
    }
    let start = Instant::now();
    let expired = expire_all(&mut timers, load, &mut Unwatched);
    timers.free_unused();
    let elapsed = start.elapsed();
    assert_eq!(expired, load.len() as u64, "{}", T::NAME);
    elapsed
}

/// Arms and cancels as many again while the whole load waits.
///
/// Each lives while 1024 others come: time-outs of requests that are answered.
pub fn churn<T: Timers>(load: &Load) -> Duration {
    let (mut timers, keys) = filled::<T>(load);
    let first = load.len() as u32;
    let mut window: Vec<Option<T::Key>> = (0..CHURN_WINDOW).map(|_| None).collect();
    let start = Instant::now();
    for (turn, deadline) in load.0.iter().enumerate() {
        let place = &mut window[turn % CHURN_WINDOW];
        if let Some(oldest) = place.take() {
            timers.cancel(oldest);
        }
        *place = Some(timers.insert(*deadline, first + turn as u32));
    }
    let elapsed = start.elapsed();
    forget(&mut timers, window.into_iter().flatten().collect());
    forget(&mut timers, keys);
    elapsed
}

/// Asks a million times what comes next.
pub const ASKED: usize = 1_000_000;

/// Asks [`ASKED`] times what comes next while the whole load waits.
pub fn next_deadline<T: Timers>(load: &Load) -> Duration {
    let (mut timers, keys) = filled::<T>(load);
    let start = Instant::now();
    for _ in 0..ASKED {
        black_box(black_box(&mut timers).next_deadline());
    }
    let elapsed = start.elapsed();
    forget(&mut timers, keys);
    elapsed
}

//! Two hierarchical wheels with ticks of a millisecond.

use std::hint::black_box;
use std::time::{Duration, Instant};

use hierarchical_hash_wheel_timer::IdOnlyTimerEntry;
use hierarchical_hash_wheel_timer::wheels::Skip;
use hierarchical_hash_wheel_timer::wheels::cancellable::QuadWheelWithOverflow;
use nexus_timer::{TimerHandle, Wheel, WheelBuilder};
use scheduler_core::Nanos;

use super::{START, Timers, Watch};

const TICK_NS: Nanos = 1_000_000;

/// `hierarchical_hash_wheel_timer`: hashed ids, cancelled timers stay until their time.
pub struct HashWheel {
    wheel: QuadWheelWithOverflow<IdOnlyTimerEntry<u32>>,
    ticks: u64,
}

impl Timers for HashWheel {
    const NAME: &'static str = "hash-wheel";

    type Key = u32;

    fn new() -> Self {
        Self { wheel: QuadWheelWithOverflow::new(), ticks: 0 }
    }

    #[inline]
    fn insert(&mut self, deadline: Nanos, value: u32) -> u32 {
        // Rounded up, for no timer is to fire early.
        let tick = (deadline - START).div_ceil(TICK_NS).max(self.ticks + 1);
        let delay = Duration::from_millis(tick - self.ticks);
        self.wheel.insert(IdOnlyTimerEntry::new(value, delay)).unwrap();
        value
    }

    #[inline]
    fn cancel(&mut self, value: u32) {
        self.wheel.cancel(&value).unwrap();
    }

    /// It does not know: only whether the next tick has any.
    fn next_deadline(&mut self) -> Option<Nanos> {
        None
    }

    #[inline]
    fn expire(&mut self, until: Nanos, watch: &mut impl Watch) -> u64 {
        let target = (until - START) / TICK_NS;
        let mut expired = 0;
        while self.ticks < target {
            let rest = (target - self.ticks) as u32;
            let skipped = match self.wheel.can_skip() {
                Skip::Empty => rest,
                Skip::Millis(ticks) => ticks.min(rest),
                Skip::None => 0,
            };
            if skipped > 0 {
                watch.call(|| self.wheel.skip(skipped));
                self.ticks += u64::from(skipped);
                continue;
            }
            self.ticks += 1;
            for entry in watch.call(|| self.wheel.tick()) {
                black_box(entry.id);
                expired += 1;
            }
        }
        expired
    }
}

/// `nexus_timer`: linked lists over a slab, moved to finer levels as their time nears.
pub struct NexusWheel {
    wheel: Wheel<u32>,
    start: Instant,
    due: Vec<u32>,
}

/// The most that one poll does, as in our own engine.
const POLL_BUDGET: usize = scheduler_core::ADVANCE_BUDGET as usize;

impl NexusWheel {
    fn instant(&self, moment: Nanos) -> Instant {
        self.start + Duration::from_nanos(moment - START)
    }
}

impl Timers for NexusWheel {
    const NAME: &'static str = "nexus";

    type Key = TimerHandle<u32>;

    fn new() -> Self {
        let start = Instant::now();
        let builder = WheelBuilder::new().max_rebalances_per_poll(POLL_BUDGET);
        let wheel = builder.unbounded(65_536).build(start).unwrap();
        Self { wheel, start, due: Vec::with_capacity(POLL_BUDGET) }
    }

    #[inline]
    fn insert(&mut self, deadline: Nanos, value: u32) -> TimerHandle<u32> {
        self.wheel.schedule(self.instant(deadline), value)
    }

    #[inline]
    fn insert_unheld(&mut self, deadline: Nanos, value: u32) {
        self.wheel.schedule_forget(self.instant(deadline), value);
    }

    #[inline]
    fn cancel(&mut self, handle: TimerHandle<u32>) {
        self.wheel.cancel(handle).unwrap();
    }

    fn forget(&mut self, handle: TimerHandle<u32>) {
        self.wheel.free(handle);
    }

    #[inline]
    fn next_deadline(&mut self) -> Option<Nanos> {
        let next = self.wheel.next_deadline()?;
        Some(START + next.duration_since(self.start).as_nanos() as Nanos)
    }

    /// Within one poll its timers come out in no order.
    #[inline]
    fn expire(&mut self, until: Nanos, watch: &mut impl Watch) -> u64 {
        let now = self.instant(until);
        let mut expired = 0;
        loop {
            let polled = watch
                .call(|| self.wheel.poll_and_rebalance_with_limit(now, POLL_BUDGET, &mut self.due));
            for value in self.due.drain(..) {
                black_box(value);
            }
            expired += polled as u64;
            if polled < POLL_BUDGET {
                return expired;
            }
        }
    }
}

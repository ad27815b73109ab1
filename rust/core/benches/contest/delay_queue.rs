//! `tokio_util::time::DelayQueue` on a paused clock, in a runtime of one thread.

use std::hint::black_box;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use scheduler_core::Nanos;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;

use super::{START, Timers, Watch};

/// The queue, and when it was made on the runtime's clock, which never goes back.
pub struct Tokio {
    queue: DelayQueue<u32>,
    start: Instant,
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime =
            Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        // The queue asks the runtime of its thread for the time: this thread never leaves it.
        std::mem::forget(runtime.enter());
        runtime
    })
}

impl Tokio {
    fn instant(&self, moment: Nanos) -> Instant {
        self.start + Duration::from_nanos(moment - START)
    }
}

impl Timers for Tokio {
    const NAME: &'static str = "DelayQueue";

    type Key = Key;

    fn new() -> Self {
        runtime();
        Self { queue: DelayQueue::new(), start: Instant::now() }
    }

    #[inline]
    fn insert(&mut self, deadline: Nanos, value: u32) -> Key {
        self.queue.insert_at(value, self.instant(deadline))
    }

    #[inline]
    fn cancel(&mut self, key: Key) {
        self.queue.remove(&key);
    }

    #[inline]
    fn next_deadline(&mut self) -> Option<Nanos> {
        let next = self.queue.deadline(&self.queue.peek()?);
        Some(START + next.duration_since(self.start).as_nanos() as Nanos)
    }

    #[inline]
    fn expire(&mut self, until: Nanos, watch: &mut impl Watch) -> u64 {
        let ahead = self.instant(until) - Instant::now();
        runtime().block_on(tokio::time::advance(ahead));
        let mut context = Context::from_waker(Waker::noop());
        let mut expired = 0;
        while let Poll::Ready(Some(due)) = watch.call(|| self.queue.poll_expired(&mut context)) {
            black_box(due.into_inner());
            expired += 1;
        }
        expired
    }
}

//! The gate: a lock around the queue, and the threads that wait for something to be due.
//!
//! Workers that find nothing due wait here. One of them, the *leader*, sleeps until the next
//! deadline; the others are *parked* and sleep until they are called. So a deadline wakes one
//! thread, and an idle gate with a million timers wakes none.
//!
//! The danger of such a protocol is the lost wake-up: something becomes due while every thread
//! sleeps. Three rules prevent it. They are checked after each change, under the lock:
//!
//! 1. The leader never sleeps beyond the next deadline. A thread that makes the next deadline
//!    earlier than that calls the leader.
//! 2. Whenever something is pending and threads are parked, there is a leader or there is exactly
//!    one thread *under way*: called and not yet awake, or awake and not yet at the queue. The
//!    thread under way re-establishes this rule when it arrives: by leading, or, having taken
//!    work, by calling the next parked thread. So a thread hands on the watch before it starts
//!    work that may take long.
//! 3. A call is a permit that is counted, not only a notification: it is not lost if it comes
//!    before the sleep, and a spurious wake-up is not one.
//!
//! One call at a time is enough. Each thread that arrives and finds more work calls the next one, so
//! as many threads wake as there is work, and they do not all compete for the lock at once.

use std::time::Duration;

use crate::sync::{Condvar, Mutex, MutexGuard, lock, wait, wait_for};
use crate::time::{NEVER, Nanos};

/// What the gate asks of the queue behind it.
pub trait Deadlines {
    /// When something has to be done next; [`NEVER`] if nothing is pending.
    fn next_deadline(&self) -> Nanos;

    /// What is to be dropped after the lock is released.
    type Garbage;

    /// Hands that out, after each piece of work, if there is any. O(1).
    fn take_garbage(&mut self) -> Option<Self::Garbage>;
}

impl Deadlines for crate::engine::Engine {
    type Garbage = Box<crate::garbage::Garbage>;

    #[inline]
    fn take_garbage(&mut self) -> Option<Self::Garbage> {
        Self::take_garbage(self)
    }

    fn next_deadline(&self) -> Nanos {
        Self::next_deadline(self)
    }
}

/// What the gate asks of a clock.
pub trait Clock {
    /// The present moment. It never goes back.
    fn now(&self) -> Nanos;
}

/// Whether work may be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// All that is due, when it is due.
    Open,
    /// What is due now, then no more.
    Draining,
    /// Nothing.
    Closed,
}

struct Inner<Q> {
    queue: Q,
    phase: Phase,
    /// What the leader is armed for.
    leader: Option<Nanos>,
    /// Threads that sleep without a deadline and have not been called.
    parked: u32,
    /// Calls that no parked thread has answered yet.
    permits: u32,
    /// Threads that have left the gate for the queue and not yet arrived there.
    arriving: u32,
    /// How often all that sleep were asked to look again.
    rounds: u64,
}

/// A queue behind a lock, and the threads that wait for it.
pub struct Gate<Q> {
    inner: Mutex<Inner<Q>>,
    leader: Condvar,
    parked: Condvar,
}

impl<Q: Deadlines> Gate<Q> {
    /// A closed gate.
    pub fn new(queue: Q) -> Self {
        let inner = Inner {
            queue,
            phase: Phase::Closed,
            leader: None,
            parked: 0,
            permits: 0,
            arriving: 0,
            rounds: 0,
        };
        Self { inner: Mutex::new(inner), leader: Condvar::new(), parked: Condvar::new() }
    }

    /// Works on the queue under the lock, and calls a thread if that has made one needed.
    #[inline]
    pub fn with<R>(&self, work: impl FnOnce(&mut Q) -> R) -> R {
        let mut inner = lock(&self.inner);
        let result = work(&mut inner.queue);
        let garbage = inner.queue.take_garbage();
        self.call_if_needed(inner);
        drop(garbage);
        result
    }

    /// Works on the queue under the lock, where that cannot bring the next deadline forward.
    #[inline]
    pub fn edit<R>(&self, work: impl FnOnce(&mut Q) -> R) -> R {
        let mut inner = lock(&self.inner);
        let result = work(&mut inner.queue);
        let garbage = inner.queue.take_garbage();
        drop(inner);
        drop(garbage);
        result
    }

    /// Looks at the queue under the lock; `None` if the lock is held.
    pub fn try_look<R>(&self, look: impl FnOnce(&Q) -> R) -> Option<R> {
        self.inner.try_lock().ok().map(|inner| look(&inner.queue))
    }

    /// Looks at the queue under the lock.
    pub fn look<R>(&self, look: impl FnOnce(&Q) -> R) -> R {
        look(&lock(&self.inner).queue)
    }

    /// Works on the queue as a thread that comes from [`Gate::wait`] (`arriving`) or from its last
    /// piece of work. The work is passed whether it may take more.
    #[inline]
    pub fn take<R>(&self, arriving: bool, work: impl FnOnce(&mut Q, bool) -> R) -> R {
        let mut inner = lock(&self.inner);
        inner.arriving -= u32::from(arriving);
        let open = inner.phase != Phase::Closed;
        let taken = work(&mut inner.queue, open);
        let garbage = inner.queue.take_garbage();
        self.call_if_needed(inner);
        drop(garbage);
        taken
    }

    /// Sleeps until something is due. Returns true if so: the thread must then call
    /// [`Gate::take`]; false if the gate is closed, or drained.
    pub fn wait(&self, clock: &impl Clock) -> bool {
        self.wait_unless(clock, || false)
    }

    /// As [`Gate::wait`], but returns false as well when the thread must leave. That is asked under
    /// the lock, once after each call, and a thread that is told so must leave.
    pub fn wait_unless(&self, clock: &impl Clock, must_leave: impl Fn() -> bool) -> bool {
        let mut inner = lock(&self.inner);
        loop {
            if inner.phase == Phase::Closed {
                return false;
            }
            if must_leave() {
                // It may have been called for a deadline, which another thread has to watch then.
                self.call_if_needed(inner);
                return false;
            }
            let (now, next) = (clock.now(), inner.queue.next_deadline());
            if next <= now {
                inner.arriving += 1;
                return true;
            }
            if inner.phase == Phase::Draining {
                return false;
            }
            if inner.leader.is_none() {
                inner.leader = Some(next);
                inner = if next == NEVER {
                    wait(&self.leader, inner)
                } else {
                    wait_for(&self.leader, inner, Duration::from_nanos(next - now))
                };
                inner.leader = None;
            } else {
                inner.parked += 1;
                let rounds = inner.rounds;
                while inner.permits == 0 && inner.phase == Phase::Open && inner.rounds == rounds {
                    inner = wait(&self.parked, inner);
                }
                if inner.permits > 0 {
                    // The caller has counted this thread as no longer parked.
                    inner.permits -= 1;
                } else {
                    inner.parked -= 1;
                }
            }
        }
    }

    /// Opens, drains or closes the gate; all that wait look again.
    pub fn set_phase(&self, phase: Phase) {
        let mut inner = lock(&self.inner);
        inner.phase = phase;
        self.leader.notify_all();
        self.parked.notify_all();
        // A parked thread that wakes after the gate is open again has seen nothing of the phase in
        // which the leader left.
        self.call_if_needed(inner);
    }

    /// Whether work is handed out, or still is.
    pub fn phase(&self) -> Phase {
        lock(&self.inner).phase
    }

    /// Has all that sleep look again whether they must leave.
    pub fn look_again(&self) {
        let mut inner = lock(&self.inner);
        inner.rounds += 1;
        self.leader.notify_all();
        self.parked.notify_all();
    }

    /// Wakes the leader to look at the clock again: for clocks that jump.
    pub fn clock_moved(&self) {
        let inner = lock(&self.inner);
        if inner.leader.is_some() {
            self.leader.notify_one();
        }
    }

    /// Rules 1 and 2.
    #[inline]
    fn call_if_needed(&self, mut inner: MutexGuard<'_, Inner<Q>>) {
        match inner.leader {
            Some(armed) => {
                let next = inner.queue.next_deadline();
                if next < armed {
                    // Armed anew in its name, so that it is called once and not at each insert.
                    inner.leader = Some(next);
                    drop(inner);
                    self.leader.notify_one();
                }
            }
            None => {
                let under_way = inner.permits + inner.arriving;
                if inner.parked > 0 && under_way == 0 && inner.queue.next_deadline() != NEVER {
                    inner.parked -= 1;
                    inner.permits += 1;
                    drop(inner);
                    self.parked.notify_one();
                }
            }
        }
    }
}

// Under loom the primitives work in its models only.
#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Queue;

    /// Garbage that notices whether the lock is held while it is dropped.
    struct Noticing;

    static GATE: OnceLock<Gate<Queue>> = OnceLock::new();
    static DROPPED_UNLOCKED: AtomicU32 = AtomicU32::new(0);

    impl Deadlines for Queue {
        type Garbage = Noticing;

        fn next_deadline(&self) -> Nanos {
            NEVER
        }

        fn take_garbage(&mut self) -> Option<Noticing> {
            Some(Noticing)
        }
    }

    impl Drop for Noticing {
        fn drop(&mut self) {
            let free = GATE.get().is_some_and(|gate| gate.try_look(|_| ()).is_some());
            DROPPED_UNLOCKED.fetch_add(u32::from(free), Ordering::Relaxed);
        }
    }

    #[test]
    fn garbage_is_dropped_after_the_lock_is_released() {
        let gate = GATE.get_or_init(|| Gate::new(Queue));
        gate.with(|_| ());
        gate.edit(|_| ());
        gate.take(false, |_, _| ());
        assert_eq!(DROPPED_UNLOCKED.load(Ordering::Relaxed), 3);
    }
}

//! Wakes an executor that does not wait at the gate: an event loop, or a thread that feeds somebody
//! else's pool.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::clock::Clock;

/// Rings at the moment that it was set to last, once.
///
/// An event loop watches its file descriptor, where there is one. A thread waits for it.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct Alarm(pub(crate) Arc<system::Timer>);

#[pymethods]
impl Alarm {
    #[new]
    fn new(clock: Py<Clock>) -> PyResult<Self> {
        Ok(Self(Arc::new(system::Timer::new(clock)?)))
    }

    /// A file descriptor that is readable while it rings; None where the system has none.
    fn fileno(&self) -> Option<i32> {
        self.0.descriptor()
    }

    /// Stops ringing. An alarm that was set again since it began to ring will ring again.
    fn stop_ringing(&self) {
        self.0.stop_ringing();
    }

    /// Sleeps, without the interpreter, until it rings, and stops ringing. Returns False once it is
    /// closed. For one thread.
    fn wait(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.wait())
    }

    /// Rings now.
    fn ring(&self) {
        scheduler_core::Alarm::set(self.0.as_ref(), 0);
    }

    /// Ends all waits, now and later.
    fn close(&self) {
        self.0.close();
    }
}

/// How many nanoseconds a timer is set to at most: a century.
const LONGEST_NS: u64 = 3_155_760_000_000_000_000;

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::sync::atomic::{AtomicBool, Ordering};

    use pyo3::Py;
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::read;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use scheduler_core::{Clock as _, NEVER, Nanos, SECOND_NS};

    use super::{Clock, LONGEST_NS};

    /// A timer of the kernel's.
    pub(crate) struct Timer {
        clock: Py<Clock>,
        timer: OwnedFd,
        closed: AtomicBool,
    }

    impl Timer {
        pub(super) fn new(clock: Py<Clock>) -> io::Result<Self> {
            let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
            // The clock that the axis goes by.
            let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
            Ok(Self { clock, timer, closed: AtomicBool::new(false) })
        }

        pub(super) fn descriptor(&self) -> Option<i32> {
            Some(self.timer.as_raw_fd())
        }

        pub(super) fn stop_ringing(&self) {
            // Nothing to read means that it does not ring.
            let _ = read(&self.timer, &mut [0_u8; 8]);
        }

        pub(super) fn wait(&self) -> bool {
            while !self.closed.load(Ordering::Acquire) {
                let mut events = [PollFd::new(&self.timer, PollFlags::IN)];
                // An interrupted wait goes on.
                if poll(&mut events, None).is_ok() {
                    self.stop_ringing();
                    break;
                }
            }
            !self.closed.load(Ordering::Acquire)
        }

        pub(super) fn close(&self) {
            self.closed.store(true, Ordering::Release);
            self.set_after(1);
        }

        /// Sets it to ring after so many nanoseconds; 0 for never.
        fn set_after(&self, span: Nanos) {
            let time = |nanoseconds: Nanos| Timespec {
                tv_sec: (nanoseconds / SECOND_NS) as i64,
                tv_nsec: (nanoseconds % SECOND_NS) as i64,
            };
            let time = Itimerspec { it_interval: time(0), it_value: time(span) };
            // Cannot fail: the descriptor is a timer and the time is in range.
            let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &time);
        }
    }

    impl scheduler_core::Alarm for Timer {
        fn set(&self, moment: Nanos) {
            if self.closed.load(Ordering::Acquire) {
                return;
            }
            self.set_after(match moment {
                NEVER => 0,
                _ => moment.saturating_sub(self.clock.get().now()).clamp(1, LONGEST_NS),
            });
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

    use pyo3::Py;
    use scheduler_core::{Clock as _, NEVER, Nanos};

    use super::{Clock, LONGEST_NS};

    /// A moment that a thread sleeps until.
    pub(crate) struct Timer {
        clock: Py<Clock>,
        state: Mutex<State>,
        changed: Condvar,
    }

    struct State {
        moment: Nanos,
        closed: bool,
    }

    impl Timer {
        pub(super) fn new(clock: Py<Clock>) -> io::Result<Self> {
            let state = Mutex::new(State { moment: NEVER, closed: false });
            Ok(Self { clock, state, changed: Condvar::new() })
        }

        pub(super) const fn descriptor(&self) -> Option<i32> {
            None
        }

        pub(super) fn stop_ringing(&self) {}

        pub(super) fn wait(&self) -> bool {
            let mut state = self.state();
            loop {
                if state.closed {
                    return false;
                }
                let (clock, moment) = (self.clock.get(), state.moment);
                let now = clock.now();
                if moment <= now {
                    state.moment = NEVER;
                    return true;
                }
                let span = clock.span(now, moment.min(now + LONGEST_NS));
                let waited = self.changed.wait_timeout(state, span);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }

        pub(super) fn close(&self) {
            self.state().closed = true;
            self.changed.notify_all();
        }

        fn state(&self) -> MutexGuard<'_, State> {
            self.state.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl scheduler_core::Alarm for Timer {
        fn set(&self, moment: Nanos) {
            self.state().moment = moment;
            self.changed.notify_all();
        }
    }
}

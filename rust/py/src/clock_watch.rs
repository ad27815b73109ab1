//! Wakes a thread when the wall clock is set or the machine wakes up.

use pyo3::prelude::*;

/// Waits for changes of the wall clock; for one thread.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct ClockWatch {
    bell: system::Bell,
}

#[pymethods]
impl ClockWatch {
    #[new]
    fn new() -> PyResult<Self> {
        Ok(Self { bell: system::Bell::new()? })
    }

    /// Sleeps, without the interpreter, until the clocks are to be looked at: True; False when the
    /// watch is closed. On Linux that is when the wall clock was set or the machine has been
    /// suspended, elsewhere each second.
    fn wait(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(py.detach(|| self.bell.wait())?)
    }

    /// Ends all waits, now and later.
    fn close(&self) {
        self.bell.close();
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
    use rustix::io::{Errno, read, write};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    pub(super) struct Bell {
        timer: OwnedFd,
        end: OwnedFd,
        closed: AtomicBool,
    }

    impl Bell {
        pub(super) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
            let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
            let end = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            let bell = Self { timer, end, closed: AtomicBool::new(false) };
            bell.arm()?;
            Ok(bell)
        }

        /// A timer for never, which the kernel cancels when the wall clock jumps.
        fn arm(&self) -> io::Result<()> {
            let never = Timespec { tv_sec: i64::MAX / 2_000_000_000, tv_nsec: 0 };
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
            let time = Itimerspec { it_interval: zero, it_value: never };
            match timerfd_settime(&self.timer, flags, &time) {
                // Set once more at this very moment: the next read tells.
                Ok(_) | Err(Errno::CANCELED) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }

        pub(super) fn wait(&self) -> io::Result<bool> {
            loop {
                if self.closed.load(Ordering::Acquire) {
                    return Ok(false);
                }
                let mut events = [
                    PollFd::new(&self.timer, PollFlags::IN),
                    PollFd::new(&self.end, PollFlags::IN),
                ];
                match poll(&mut events, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
                let rang = events[0].revents().intersects(PollFlags::IN | PollFlags::ERR);
                if rang {
                    // What it says does not matter: that it says anything does.
                    let _ = read(&self.timer, &mut [0_u8; 8]);
                    self.arm()?;
                    return Ok(!self.closed.load(Ordering::Acquire));
                }
            }
        }

        pub(super) fn close(&self) {
            self.closed.store(true, Ordering::Release);
            // Cannot fail: the counter is far from full.
            let _ = write(&self.end, &1_u64.to_ne_bytes());
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::sync::{Condvar, Mutex, PoisonError};
    use std::time::Duration;

    const INTERVAL: Duration = Duration::from_secs(1);

    pub(super) struct Bell {
        closed: Mutex<bool>,
        changed: Condvar,
    }

    impl Bell {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self { closed: Mutex::new(false), changed: Condvar::new() })
        }

        pub(super) fn wait(&self) -> io::Result<bool> {
            let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
            let (closed, _) = self
                .changed
                .wait_timeout_while(closed, INTERVAL, |closed| !*closed)
                .unwrap_or_else(PoisonError::into_inner);
            Ok(!*closed)
        }

        pub(super) fn close(&self) {
            *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.changed.notify_all();
        }
    }
}

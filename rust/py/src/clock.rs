//! The clocks that an engine can be told the time by.
//!
//! The axis never steps, and continues while the machine is suspended if the system has such a
//! clock (Linux). The wall clock shows the axis plus an offset, which is read when the clock is
//! made, and again when [`Clock::look`] finds that it was set.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::prelude::*;
use scheduler_core::Nanos;

/// How far apart two readings of the wall may be that are to be compared with one of the axis.
const BRACKET_NS: i64 = 100_000;
/// A smaller change of the offset is a reading that was interrupted, or a clock being disciplined.
const LEAST_CHANGE_NS: i64 = 1_000_000;

/// A source of time, in nanoseconds since 1970-01-01T00:00:00Z on an axis that never steps.
///
/// Made without an argument it reads the wall clock once and a monotonic clock from then on; made
/// with a moment it stands there until it is set.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct Clock {
    source: Source,
    /// What the wall shows beyond the axis.
    offset: AtomicI64,
}

enum Source {
    /// What the axis shows beyond the time since the machine was started, and how long it had been
    /// suspended when the clock was made or looked at last.
    System {
        origin_ns: i64,
        suspended_ns: AtomicI64,
    },
    Manual(AtomicU64),
}

impl scheduler_core::Clock for Clock {
    #[inline]
    fn now(&self) -> Nanos {
        match &self.source {
            Source::System { origin_ns, .. } => {
                origin_ns.saturating_add(system::running()) as Nanos
            }
            Source::Manual(now) => now.load(Ordering::Relaxed),
        }
    }
}

#[pymethods]
impl Clock {
    #[new]
    #[pyo3(signature = (manual_ns = None))]
    fn new(manual_ns: Option<Nanos>) -> Self {
        let source = match manual_ns {
            Some(moment) => Source::Manual(AtomicU64::new(moment)),
            None => {
                let (running, wall) = readings();
                let suspended_ns = AtomicI64::new(system::suspended());
                Source::System { origin_ns: wall - running, suspended_ns }
            }
        };
        Self { source, offset: AtomicI64::new(0) }
    }

    /// Whether the clock stands until it is set.
    #[getter]
    fn is_manual(&self) -> bool {
        matches!(self.source, Source::Manual(_))
    }

    /// What the wall shows, as far as is known.
    fn now_ns(&self) -> Nanos {
        self.axis_ns().saturating_add_signed(self.offset())
    }

    /// The present moment on the axis.
    fn axis_ns(&self) -> Nanos {
        scheduler_core::Clock::now(self)
    }

    /// What the wall shows beyond the axis.
    #[getter]
    fn offset_ns(&self) -> i64 {
        self.offset()
    }

    /// Sets the axis of a manual clock, never backwards; returns whether it was one.
    fn set_ns(&self, moment: Nanos) -> bool {
        if let Source::Manual(now) = &self.source {
            now.fetch_max(moment, Ordering::Relaxed);
            return true;
        }
        false
    }

    /// Sets what the wall of a manual clock shows beyond the axis; returns whether it was one.
    fn set_offset_ns(&self, offset: i64) -> bool {
        let manual = self.is_manual();
        if manual {
            self.offset.store(offset, Ordering::Relaxed);
        }
        manual
    }

    /// Looks at the system's clocks: by how much the wall was set since the last look, and how long
    /// the machine was suspended.
    fn look(&self) -> (i64, i64) {
        let Source::System { origin_ns, suspended_ns } = &self.source else { return (0, 0) };
        let (running, wall) = readings();
        let offset = wall - running - origin_ns;
        // Of several threads that look at once, one is told of a change.
        let set = |known: i64| ((offset - known).abs() >= LEAST_CHANGE_NS).then_some(offset);
        let change = self
            .offset
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, set)
            .map_or(0, |known| offset - known);
        let suspended = system::suspended();
        let slept = suspended - suspended_ns.swap(suspended, Ordering::Relaxed);
        (change, if slept < LEAST_CHANGE_NS { 0 } else { slept })
    }
}

impl Clock {
    pub(crate) fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }
}

/// The time since the machine was started, and what the wall showed then.
fn readings() -> (i64, i64) {
    let mut best = (i64::MAX, 0, 0);
    // A reading that is interrupted between the two would look like a clock that was set.
    for _ in 0..10 {
        let before = system::running();
        let wall = wall();
        let after = system::running();
        if after - before < best.0 {
            best = (after - before, before + (after - before) / 2, wall);
        }
        if best.0 < BRACKET_NS {
            break;
        }
    }
    (best.1, best.2)
}

fn wall() -> i64 {
    // A wall clock before 1970 is a broken one: the axis then starts at its origin.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_nanos() as i64)
}

/// The clock that continues while the machine is suspended.
#[cfg(target_os = "linux")]
mod system {
    use rustix::time::{ClockId, Timespec, clock_gettime};

    fn nanoseconds(time: Timespec) -> i64 {
        time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    #[inline]
    pub(super) fn running() -> i64 {
        nanoseconds(clock_gettime(ClockId::Boottime))
    }

    /// How long the machine has been suspended since it was started.
    pub(super) fn suspended() -> i64 {
        running() - nanoseconds(clock_gettime(ClockId::Monotonic))
    }
}

/// Elsewhere there is none in the standard library: a suspend looks as if the wall had been set.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::sync::LazyLock;
    use std::time::Instant;

    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

    #[inline]
    pub(super) fn running() -> i64 {
        ORIGIN.elapsed().as_nanos() as i64
    }

    pub(super) fn suspended() -> i64 {
        0
    }
}

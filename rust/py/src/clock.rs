//! The clocks that an engine can be told the time by.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pyo3::prelude::*;
use scheduler_core::Nanos;

/// A source of time, in nanoseconds since 1970-01-01T00:00:00Z on an axis that never steps.
///
/// Made without an argument it reads the wall clock once and a monotonic clock from then on; made
/// with a moment it stands there until it is set.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct Clock {
    source: Source,
}

enum Source {
    System { origin: Instant, origin_ns: Nanos },
    Manual(AtomicU64),
}

impl scheduler_core::Clock for Clock {
    #[inline]
    fn now(&self) -> Nanos {
        match &self.source {
            Source::System { origin, origin_ns } => {
                origin_ns + origin.elapsed().as_nanos() as Nanos
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
            None => Source::System {
                origin: Instant::now(),
                // A wall clock before 1970 is a broken one: the axis then starts at its origin.
                origin_ns: SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |elapsed| elapsed.as_nanos() as Nanos),
            },
        };
        Self { source }
    }

    /// Whether the clock stands until it is set.
    #[getter]
    fn is_manual(&self) -> bool {
        matches!(self.source, Source::Manual(_))
    }

    /// The present moment.
    #[pyo3(name = "now_ns")]
    fn py_now(&self) -> Nanos {
        scheduler_core::Clock::now(self)
    }

    /// Sets a manual clock, never backwards; returns whether it was one.
    fn set_ns(&self, moment: Nanos) -> bool {
        if let Source::Manual(now) = &self.source {
            now.fetch_max(moment, Ordering::Relaxed);
            return true;
        }
        false
    }
}

//! The extension module `num_agents.scheduler._native`: conversions and errors, and no decision.
//!
//! The only crate that knows Python. What it exposes is documented in `_native.pyi`, which a test
//! compares with the built module.

mod alarm;
#[cfg(target_os = "linux")]
mod allocator;
mod board;
mod calendar;
mod call;
mod calls;
mod checks;
mod clock;
mod clock_watch;
mod columns;
mod control;
mod convert;
mod engine;
mod errors;
mod forecast;
mod fork;
mod ids;
mod many;
mod open_run;
mod record;
mod recurrence;
mod running;
mod steps;
mod task_ids;
mod view;
mod wall;
mod watching;
mod workers;

use pyo3::prelude::*;

/// What the extension module allocates with; Python and other modules keep their own.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

/// The Rust core of the scheduler.
#[pymodule(name = "_native", gil_used = true)]
mod native {
    use super::*;

    #[pymodule_export]
    use crate::alarm::Alarm;
    #[pymodule_export]
    use crate::calendar::{Calendar, Part, Zone};
    #[pymodule_export]
    use crate::call::Call;
    #[pymodule_export]
    use crate::clock::Clock;
    #[pymodule_export]
    use crate::clock_watch::ClockWatch;
    #[pymodule_export]
    use crate::engine::Engine;
    #[pymodule_export]
    use crate::forecast::Forecast;
    #[pymodule_export]
    use crate::fork::note_fork;
    #[pymodule_export]
    use crate::open_run::OpenRun;
    #[pymodule_export]
    use crate::record::TaskRecord;
    #[pymodule_export]
    use crate::recurrence::Recurrence;
    #[pymodule_export]
    use crate::steps::Steps;
    #[pymodule_export]
    use crate::task_ids::TaskIds;
    #[pymodule_export]
    use crate::watching::Watch;
    #[pymodule_export]
    use crate::workers::WorkerGroup;

    /// Every lawful step in a task's life: from, by, to.
    #[pyfunction]
    fn transitions() -> Vec<(String, String, String)> {
        let word = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
        scheduler_core::TRANSITIONS
            .iter()
            .map(|(from, event, to)| (word(from), word(event), word(to)))
            .collect()
    }

    /// Makes timed waits of the calling thread as exact as the system allows (Linux: a timer slack
    /// of 1 ns instead of 50 µs). Elsewhere it does nothing.
    #[pyfunction]
    fn sharpen_timers() {
        #[cfg(target_os = "linux")]
        // SAFETY: sets a number that belongs to the calling thread; no memory is involved.
        unsafe {
            libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64, 0_u64, 0_u64, 0_u64);
        }
    }
}

//! A group of worker threads: how many of them may continue, and their cancel token.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use pyo3::prelude::*;

/// The workers of one start of a scheduler.
///
/// A worker that waits for a task makes room for another one, and takes the room back afterwards.
/// Then there is one worker too many, and the first to end its run leaves.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct WorkerGroup {
    /// Workers that are too many; below 0, workers that are missing.
    surplus: AtomicI64,
    is_dismissed: AtomicBool,
    is_cancelled: AtomicBool,
}

#[pymethods]
impl WorkerGroup {
    #[new]
    fn new() -> Self {
        Self {
            surplus: AtomicI64::new(0),
            is_dismissed: AtomicBool::new(false),
            is_cancelled: AtomicBool::new(false),
        }
    }

    /// Whether no worker of the group may start another run.
    #[getter]
    fn is_dismissed(&self) -> bool {
        self.is_dismissed.load(Ordering::Relaxed)
    }

    /// Whether the runs of the group are asked to end: their cancel token.
    #[getter]
    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    /// Asks the runs of the group to end.
    fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Allows one more worker. Returns whether a thread must be started for it: not if a worker
    /// that was to leave can stay.
    fn add(&self) -> bool {
        let missing = self.surplus.fetch_sub(1, Ordering::AcqRel) <= 0;
        if missing {
            self.surplus.fetch_add(1, Ordering::AcqRel);
        }
        missing
    }
}

impl WorkerGroup {
    /// Lets all workers leave.
    pub(crate) fn dismiss(&self) {
        self.is_dismissed.store(true, Ordering::Release);
    }

    /// Lets one worker leave.
    pub(crate) fn remove(&self) {
        self.surplus.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether the calling worker must leave. If so, it is no longer counted.
    #[inline]
    pub(crate) fn must_leave(&self) -> bool {
        if self.is_dismissed.load(Ordering::Acquire) {
            return true;
        }
        self.surplus.load(Ordering::Acquire) > 0 && self.leave()
    }

    #[cold]
    fn leave(&self) -> bool {
        self.surplus
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |surplus| {
                (surplus > 0).then_some(surplus - 1)
            })
            .is_ok()
    }
}

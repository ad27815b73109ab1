//! Forks: a child process has the parent's memory, but none of its threads.
//!
//! Another thread may have held a lock at the moment of the fork, and will never release it in the
//! child. So in a child nothing may wait for a lock of an engine that was made before the fork.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;

/// Forks that lie between the first process and this one.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// How many forks lie between the first process and this one.
#[inline]
pub(crate) fn count() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Notes that this process is a child that has just been forked.
#[pyfunction]
pub(crate) fn note_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

//! The primitives that the waiting protocol and the memo of calendars are built from; under
//! `cfg(loom)` those of the model checker, so that the same lines are checked that run.

#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};

#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic};

use std::sync::PoisonError;
use std::time::Duration;

/// Locks; a panic under the lock has been reported as an exception already and must not become
/// one at every later call.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a notification.
pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a notification, at most so long. The model checker has no time: there the test
/// notifies instead of the clock.
pub(crate) fn wait_for<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    limit: Duration,
) -> MutexGuard<'a, T> {
    if cfg!(loom) {
        return wait(condvar, guard);
    }
    condvar.wait_timeout(guard, limit).unwrap_or_else(PoisonError::into_inner).0
}

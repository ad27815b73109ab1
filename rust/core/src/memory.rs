//! Memory that cannot be had, as an error.
//!
//! An allocation that fails ends the process, unless it is asked for with `try_reserve`. All that
//! grows with the number of tasks, or of tasks that ended, is asked for in that way:
//!
//! - **Scheduling** fails with [`ScheduleError::OutOfMemory`] and changes nothing.
//! - **Running** allocates no lists: [`crate::Engine::reserve`] has made room for the entry of each
//!   task, wherever it moves. The front, where due tasks are sorted, takes smaller runs if there is
//!   no memory for large ones, and waits if there is none at all.
//! - **Ending**: the history stops growing, and forgets its oldest end for the new one.
//!
//! What still ends the process: allocations of less than a page (a judgement in pieces, what is noted
//! of a task that is late, run by hand or given another time, a box for garbage); the plan that a one-shot needs if it is overdue when the clock is set or a storm is
//! spread; and the lists, if more than half of their entries are dead and spread so that none can be
//! merged.

use std::alloc::{Layout, handle_alloc_error};
use std::collections::TryReserveError;
use std::fmt;

/// There is no memory for what was asked for. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("out of memory")
    }
}

impl std::error::Error for OutOfMemory {}

impl From<TryReserveError> for OutOfMemory {
    fn from(_: TryReserveError) -> Self {
        Self
    }
}

/// Why a task was not scheduled. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleError {
    /// All 2^32 − 2^16 slots are taken.
    Full,
    /// The slot is not reserved, or its generations are used up.
    NotReserved,
    /// There is no memory for it.
    OutOfMemory,
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Full => "all slots are taken",
            Self::NotReserved => "the slot is not reserved",
            Self::OutOfMemory => "out of memory",
        })
    }
}

impl std::error::Error for ScheduleError {}

impl From<OutOfMemory> for ScheduleError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

impl From<TryReserveError> for ScheduleError {
    fn from(_: TryReserveError) -> Self {
        Self::OutOfMemory
    }
}

/// A slice of so many equal items.
pub(crate) fn filled<T: Clone>(item: T, length: usize) -> Result<Box<[T]>, OutOfMemory> {
    let mut items = Vec::new();
    items.try_reserve_exact(length)?;
    items.resize(length, item);
    Ok(items.into_boxed_slice())
}

/// A box. It is one of a single item, because that can be made of a list.
pub(crate) fn boxed<T>(item: T) -> Result<Box<[T; 1]>, OutOfMemory> {
    let mut items = Vec::new();
    items.try_reserve_exact(1)?;
    items.push(item);
    items.try_into().map_err(|_| OutOfMemory)
}

/// A vector of so many zeros, which the system provides as they are written. The memory for it is
/// asked for first, because `vec!` ends the process if there is none.
pub(crate) fn zeros<const N: usize>(lengths: [usize; N]) -> Result<[Vec<u32>; N], OutOfMemory> {
    let mut probes: [Vec<u32>; N] = std::array::from_fn(|_| Vec::new());
    for (probe, length) in probes.iter_mut().zip(lengths) {
        probe.try_reserve_exact(length)?;
    }
    drop(std::hint::black_box(probes));
    Ok(lengths.map(|length| vec![0; length]))
}

/// Adds to a list of what is to be dropped later, or drops it now if the list cannot grow.
pub(crate) fn drop_later<T>(list: &mut Vec<T>, item: T) {
    if list.try_reserve(1).is_ok() {
        list.push(item);
    }
}

/// Ends the process: see the module's documentation for what can lead here.
#[cold]
pub(crate) fn abort<T>() -> ! {
    handle_alloc_error(Layout::new::<T>())
}

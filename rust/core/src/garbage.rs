//! What the engine leaves to be done after the lock is released: memory that it no longer needs and
//! does not free itself, and memory that it will need soon and does not get itself.
//!
//! To give a segment of two megabytes back to the system takes a tenth of a millisecond, and to drop
//! the last reference to a calendar as long as the calendar is large. The engine is used under a
//! lock, so it hands such things out. [`crate::Gate`] drops them when it has released the lock;
//! code that uses an engine without a gate must call [`crate::Engine::take_garbage`] now and then.

use std::fmt;

use crate::chunks::Chunk;
use crate::front::Retired;
use crate::plan::Plan;
use crate::recurrence::Repeat;
use crate::segments::Released;
use crate::slab::Record;

/// Memory and calendars to be freed, by being dropped, while no lock is held.
pub struct Garbage {
    pub(crate) _records: Released<Record>,
    pub(crate) _stamps: Vec<Vec<u32>>,
    pub(crate) _chunks: Released<Chunk>,
    pub(crate) _plans: Released<Plan>,
    pub(crate) _fronts: Vec<Retired>,
    pub(crate) _calendars: Vec<Repeat>,
}

impl fmt::Debug for Garbage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Garbage").finish_non_exhaustive()
    }
}

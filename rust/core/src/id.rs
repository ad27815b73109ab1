//! The name of a task inside one engine: where it lives, and which tenant of that place it is.
//!
//! A slot is reused, so a slot alone could name another task a moment later. The generation counts
//! the tenants; together they are unique for the life of the engine, and telling a stale id from a
//! live one is one comparison: no hash map.

/// Slot and generation of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(u64);

/// The last generation of a slot; when its tenant leaves, the slot is retired for good.
#[cfg(not(feature = "tiny-generations"))]
pub const LAST_GENERATION: u32 = u32::MAX;
/// The last generation of a slot, small enough for a test to reach.
#[cfg(feature = "tiny-generations")]
pub const LAST_GENERATION: u32 = 15;

impl TaskId {
    /// The id of a slot's tenant.
    #[inline]
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | slot as u64)
    }

    /// The id as a number: generation in the upper half, slot in the lower.
    #[inline]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The id that [`TaskId::to_bits`] gave.
    #[inline]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Where the task lives.
    #[inline]
    pub const fn slot(self) -> u32 {
        self.0 as u32
    }

    /// Which tenant of the slot it is.
    #[inline]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

//! The id of a task in one engine: its slot, and the slot's generation.
//!
//! A slot is reused, so its number alone could name another task a moment later. The generation
//! counts the tasks that the slot has held. Together they are unique for the life of the engine, and
//! one comparison tells a stale id from a live one: no hash map is needed.

/// Slot and generation of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(u64);

/// The last generation of a slot: when that task ends, the slot is never used again.
#[cfg(not(feature = "tiny-generations"))]
pub const LAST_GENERATION: u32 = u32::MAX;
/// The last generation of a slot, small enough for a test to reach.
#[cfg(feature = "tiny-generations")]
pub const LAST_GENERATION: u32 = 15;

impl TaskId {
    /// The id of the task that has a slot in this generation.
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

    /// The slot of the task.
    #[inline]
    pub const fn slot(self) -> u32 {
        self.0 as u32
    }

    /// The generation of the slot.
    #[inline]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

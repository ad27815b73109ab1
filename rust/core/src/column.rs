//! Columns: what a caller keeps of each task, by its slot.
//!
//! A column follows the slab: it has the same segments, which never move, and an empty one is handed
//! out to be freed. Slots are used from the lowest on, so a column is as dense as the slab.

use crate::memory::{OutOfMemory, drop_later};

const SEGMENT_BITS: u32 = 16;
const PER_SEGMENT: usize = 1 << SEGMENT_BITS;

/// A value of each task, by its slot. A slot without one has the default.
pub struct Column<T> {
    segments: Vec<Segment<T>>,
    /// Segments that hold memory and no value.
    idle_segments: u32,
    retired: Vec<Vec<T>>,
}

struct Segment<T> {
    /// As many as were used; the capacity is reserved at once and touched as it fills.
    items: Vec<T>,
    live: u32,
}

impl<T: Default> Column<T> {
    /// A column without values.
    pub const fn new() -> Self {
        Self { segments: Vec::new(), idle_segments: 0, retired: Vec::new() }
    }

    /// Puts a value into a slot that has none. O(1).
    ///
    /// # Errors
    /// There is no memory for it. Then the value is as it was.
    #[inline]
    pub fn put(&mut self, slot: u32, value: &mut T) -> Result<(), OutOfMemory> {
        let (number, offset) = split(slot);
        let is_there = self.segments.get(number).is_some_and(|one| offset < one.items.len());
        if !is_there {
            self.extend(number, offset)?;
        }
        let segment = &mut self.segments[number];
        self.idle_segments -= u32::from(segment.live == 0);
        segment.live += 1;
        segment.items[offset] = std::mem::take(value);
        Ok(())
    }

    /// Takes the value out of a slot that has one. O(1).
    #[inline]
    pub fn take(&mut self, slot: u32) -> T {
        let (number, offset) = split(slot);
        let Some(segment) = self.segments.get_mut(number) else { return T::default() };
        let Some(item) = segment.items.get_mut(offset) else { return T::default() };
        let value = std::mem::take(item);
        segment.live -= 1;
        if segment.live == 0 {
            self.retire_or_keep(number);
        }
        value
    }

    /// The value of a slot; `None` where there never was one. O(1).
    #[inline]
    pub fn get(&self, slot: u32) -> Option<&T> {
        let (number, offset) = split(slot);
        self.segments.get(number)?.items.get(offset)
    }

    /// The values of all slots, those without one included.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.segments.iter().flat_map(|segment| &segment.items)
    }

    /// Memory held, in bytes. The system gives memory for a segment as that fills.
    pub fn bytes(&self) -> u64 {
        let touched: usize = self.segments.iter().map(|segment| segment.items.len()).sum();
        (touched * size_of::<T>()) as u64
    }

    /// Hands out segments that were emptied: freeing one takes too long for a lock hold. O(1).
    #[inline]
    pub fn take_retired(&mut self) -> Vec<Vec<T>> {
        std::mem::take(&mut self.retired)
    }

    /// Whether [`Column::take_retired`] has any. O(1).
    #[inline]
    pub const fn has_retired(&self) -> bool {
        !self.retired.is_empty()
    }

    #[cold]
    fn extend(&mut self, number: usize, offset: usize) -> Result<(), OutOfMemory> {
        while self.segments.len() <= number {
            self.segments.try_reserve(1)?;
            self.segments.push(Segment { items: Vec::new(), live: 0 });
        }
        let segment = &mut self.segments[number];
        if segment.items.capacity() == 0 {
            segment.items.try_reserve_exact(PER_SEGMENT)?;
            self.idle_segments += 1;
        }
        segment.items.resize_with(offset + 1, T::default);
        Ok(())
    }

    /// Gives up the memory of an empty segment, but for one: a load that hovers at a boundary would
    /// ask for it again at once.
    #[cold]
    fn retire_or_keep(&mut self, number: usize) {
        self.idle_segments += 1;
        if self.idle_segments > 1 {
            drop_later(&mut self.retired, std::mem::take(&mut self.segments[number].items));
            self.idle_segments -= 1;
        }
    }
}

impl<T: Default> Default for Column<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[inline]
const fn split(slot: u32) -> (usize, usize) {
    ((slot >> SEGMENT_BITS) as usize, slot as usize & (PER_SEGMENT - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_there_until_it_is_taken() {
        let mut column = Column::new();
        for slot in [0, 5, 70_000, 3] {
            assert_eq!(column.put(slot, &mut (slot + 1)), Ok(()));
        }
        assert_eq!(
            [0, 5, 70_000, 3].map(|slot| column.get(slot).copied()),
            [1, 6, 70_001, 4].map(Some)
        );
        assert_eq!((column.get(4), column.get(6), column.get(1 << 20)), (Some(&0), None, None));
        assert_eq!((column.take(5), column.take(5 << 20)), (6, 0));
        assert_eq!(column.get(5), Some(&0));
    }

    #[test]
    fn gives_memory_back_but_for_one_segment() {
        let mut column = Column::new();
        let slots = 0..PER_SEGMENT as u32 * 5;
        assert!(slots.clone().all(|slot| column.put(slot, &mut 1_u8).is_ok()));
        slots.rev().for_each(|slot| _ = column.take(slot));
        assert_eq!(column.take_retired().len(), 4);
        assert_eq!(column.bytes(), PER_SEGMENT as u64);
        // The one that was kept is used again.
        let kept = column.segments.iter().position(|one| one.items.capacity() > 0);
        let slot = kept.map_or(0, |number| (number as u32) << SEGMENT_BITS);
        assert_eq!((column.put(slot, &mut 1), column.idle_segments), (Ok(()), 0));
    }
}

//! Storage in segments of a fixed size that never move.
//!
//! A `Vec` that doubles copies everything it holds: at ten million records that is a pause of tens
//! of milliseconds under the lock, and it never gives memory back. Here a full segment is followed
//! by a new one, an empty one is handed out to be freed, and nothing ever moves. Within a segment
//! the free items form a list that is threaded through the items themselves. Allocation fills the lowest
//! segment that has room, so that the upper ones can empty.
//!
//! Memory for a segment can be asked for before it is needed ([`Segments::ensure`]), so that taking an
//! item cannot fail for lack of it. At least one empty segment is kept, so that a load that hovers at a boundary does not map and unmap
//! memory on every call.
//!
//! # Huge pages
//!
//! Random look-ups in a million items spend much of their time on finding where a page is. The
//! allocator of the extension module puts blocks of exactly 2 MiB, which segments are, on huge pages.
//! But the system zeroes such a page when it is touched first, which takes 0.2 ms: too long for a
//! lock hold. So when a segment is nearly full, the next one is got and touched by whoever has
//! released the lock ([`Preparation`]). Only that is of exactly 2 MiB. The first segment is not, so
//! that few items take little memory, nor is one that is needed before it could be prepared.

use std::hint::black_box;
use std::sync::{Arc, OnceLock};

use crate::memory::{OutOfMemory, ScheduleError, drop_later};

/// The index that stands for "none" in links.
pub const NIL: u32 = u32::MAX;

/// What can live in a segment.
pub trait Item {
    /// An item never used before, in a segment whose items have left this `mark` behind.
    fn fresh(mark: u32) -> Self;

    /// The index of the next free item, stored in a free item.
    fn link(&self) -> u32;

    /// Stores the index of the next free item.
    fn set_link(&mut self, link: u32);

    /// What must survive of a freed item if its whole segment is returned to the system.
    fn mark(&self) -> u32 {
        0
    }
}

/// A segment to be got and touched while no lock is held: that is done when this is dropped.
pub(crate) struct Preparation<T: Item> {
    prepared: Arc<OnceLock<Vec<T>>>,
    capacity: usize,
}

impl<T: Item> Drop for Preparation<T> {
    fn drop(&mut self) {
        let mut items = Vec::new();
        // Without memory there is no prepared segment, and the next one is got when it is needed.
        if self.capacity > 0 && items.try_reserve_exact(self.capacity).is_ok() {
            items.push(T::fresh(0));
            black_box(&mut items).clear();
            // Nobody else has set it.
            drop(self.prepared.set(items));
        }
    }
}

/// What is left to be done while no lock is held: segments to be freed, by being dropped, and one to
/// be prepared.
pub struct Released<T: Item> {
    _segments: Vec<Vec<T>>,
    _preparation: Option<Preparation<T>>,
}

struct Segment<T> {
    /// Items used so far; the capacity is reserved at once and touched as it fills.
    items: Vec<T>,
    free_head: u32,
    live: u32,
    /// The greatest mark of the items freed here.
    mark: u32,
}

/// Items of one size at stable `u32` indices, `1 << BITS` to a segment.
pub struct Segments<T: Item, const BITS: u32> {
    segments: Vec<Segment<T>>,
    /// One bit a segment: it has room.
    roomy: Vec<u64>,
    /// No word of `roomy` below this one has a bit set.
    first_roomy_word: usize,
    /// Segments that hold memory and nothing else.
    idle_segments: u32,
    mapped_segments: u32,
    /// Items in use.
    taken: u64,
    /// Memory for so many items is not given back.
    floor: u64,
    /// Emptied segments that are to be freed by [`Segments::take_retired`]'s caller.
    retired: Vec<Vec<T>>,
    /// The next segment, once somebody has prepared it.
    prepared: Option<Arc<OnceLock<Vec<T>>>>,
    /// That is to be done.
    preparation: Option<Preparation<T>>,
}

impl<T: Item, const BITS: u32> Segments<T, BITS> {
    const PER_SEGMENT: usize = 1 << BITS;
    /// When so many items of a segment have been used, the next one is to be prepared.
    const NEARLY_FULL: usize = Self::PER_SEGMENT - Self::PER_SEGMENT / 8;
    const MASK: u32 = (1 << BITS) - 1;

    /// No items, and no memory for any.
    pub const fn new() -> Self {
        Self {
            segments: Vec::new(),
            roomy: Vec::new(),
            first_roomy_word: 0,
            idle_segments: 0,
            mapped_segments: 0,
            taken: 0,
            floor: 0,
            retired: Vec::new(),
            prepared: None,
            preparation: None,
        }
    }

    /// Takes an item. O(1).
    ///
    /// # Errors
    /// All `u32` indices are taken, or there is no memory for another segment.
    #[inline]
    pub fn allocate(&mut self) -> Result<u32, ScheduleError> {
        let mut number = match self.first_roomy() {
            Some(number) => number,
            None => self.append_segment()?,
        };
        if self.segments[number].live == 0 {
            if self.segments[number].items.capacity() == 0 && self.map(number).is_err() {
                number = self.any_mapped().ok_or(ScheduleError::OutOfMemory)?;
            }
            self.idle_segments -= u32::from(self.segments[number].live == 0);
            if self.segments[number].items.is_empty() {
                self.use_prepared(number);
            }
        }
        let segment = &mut self.segments[number];
        let offset = if segment.free_head == NIL {
            segment.items.push(T::fresh(segment.mark));
            let used = segment.items.len();
            if used == Self::NEARLY_FULL {
                self.prepare_after(number);
            }
            used as u32 - 1
        } else {
            let offset = segment.free_head;
            segment.free_head = segment.items[offset as usize].link();
            offset
        };
        let segment = &mut self.segments[number];
        segment.live += 1;
        self.taken += 1;
        if segment.live as usize == Self::PER_SEGMENT {
            self.roomy[number / 64] &= !(1 << (number % 64));
        }
        Ok((number as u32) << BITS | offset)
    }

    /// Asks for memory for so many items in all, and keeps it. O(1) if it is there.
    #[inline]
    pub fn ensure(&mut self, items: u64) -> Result<(), OutOfMemory> {
        self.floor = items;
        if self.capacity() >= items { Ok(()) } else { self.map_until(items) }
    }

    /// Makes sure that there is memory for one more item, now. O(1).
    #[inline]
    pub fn ensure_next(&mut self) -> Result<(), OutOfMemory> {
        if self.taken < self.capacity() { Ok(()) } else { self.map_until(self.taken + 1) }
    }

    /// Notes that memory for so many items is enough. O(1).
    #[inline]
    pub const fn lower(&mut self, items: u64) {
        self.floor = items;
    }

    /// Items in use.
    #[inline]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// Gives an item back. Returns whether its segment, now empty, is to be freed. O(1).
    #[inline]
    pub fn free(&mut self, index: u32) -> bool {
        let number = (index >> BITS) as usize;
        let segment = &mut self.segments[number];
        let item = &mut segment.items[(index & Self::MASK) as usize];
        segment.mark = segment.mark.max(item.mark());
        item.set_link(segment.free_head);
        segment.free_head = index & Self::MASK;
        let live = segment.live;
        segment.live = live - 1;
        self.taken -= 1;
        if live as usize == Self::PER_SEGMENT {
            self.roomy[number / 64] |= 1 << (number % 64);
            self.first_roomy_word = self.first_roomy_word.min(number / 64);
        }
        live == 1 && self.retire_or_keep(number)
    }

    /// The item of an index that was given out; what a freed one has left, too. O(1).
    #[inline]
    pub fn get(&self, index: u32) -> Option<&T> {
        self.segments.get((index >> BITS) as usize)?.items.get((index & Self::MASK) as usize)
    }

    /// One more than the greatest index that a taken item can have.
    pub fn limit(&self) -> u64 {
        let top = self.segments.iter().rposition(|segment| segment.live > 0);
        top.map_or(0, |number| (number as u64 + 1) << BITS)
    }

    /// Hands out the segments that were emptied, and the one to be prepared: to free or to get one
    /// takes the system a tenth of a millisecond or more, too long for a lock hold. O(1).
    #[inline]
    pub fn take_retired(&mut self) -> Released<T> {
        Released {
            _segments: std::mem::take(&mut self.retired),
            _preparation: self.preparation.take(),
        }
    }

    /// Whether [`Segments::take_retired`] has any. O(1).
    #[inline]
    pub const fn has_retired(&self) -> bool {
        !self.retired.is_empty() || self.preparation.is_some()
    }

    /// How many items there is memory for.
    #[inline]
    pub const fn capacity(&self) -> u64 {
        (self.mapped_segments as u64) << BITS
    }

    /// Memory held, in bytes. The system gives memory for a segment as that fills.
    pub fn bytes(&self) -> u64 {
        let touched: usize = self.segments.iter().map(|segment| segment.items.len()).sum();
        (touched * size_of::<T>() + self.segments.capacity() * size_of::<Segment<T>>()) as u64
    }

    #[inline]
    fn first_roomy(&mut self) -> Option<usize> {
        while let Some(&word) = self.roomy.get(self.first_roomy_word) {
            if word != 0 {
                return Some(self.first_roomy_word * 64 + word.trailing_zeros() as usize);
            }
            self.first_roomy_word += 1;
        }
        None
    }

    #[cold]
    fn append_segment(&mut self) -> Result<usize, ScheduleError> {
        let number = self.segments.len();
        // The last index of the last segment would be NIL: that segment is not used.
        if number as u64 >= (1 << (32 - BITS)) - 1 {
            return Err(ScheduleError::Full);
        }
        self.segments.try_reserve(1)?;
        self.roomy.try_reserve(1)?;
        self.segments.push(Segment { items: Vec::new(), free_head: NIL, live: 0, mark: 0 });
        if number.is_multiple_of(64) {
            self.roomy.push(0);
        }
        self.roomy[number / 64] |= 1 << (number % 64);
        self.first_roomy_word = self.first_roomy_word.min(number / 64);
        Ok(number)
    }

    /// Gets memory for a segment that has none.
    #[cold]
    fn map(&mut self, number: usize) -> Result<(), OutOfMemory> {
        // With room for one item more, it is not a block that is put on a huge page.
        self.segments[number].items.try_reserve_exact(Self::PER_SEGMENT + 1)?;
        self.mapped_segments += 1;
        self.idle_segments += 1;
        Ok(())
    }

    /// Asks for a segment to be prepared, if the one after a segment has not been touched.
    #[cold]
    fn prepare_after(&mut self, number: usize) {
        let next = self.segments.get(number + 1);
        if self.prepared.is_none() && next.is_none_or(|next| next.items.is_empty()) {
            let prepared = Arc::new(OnceLock::new());
            let preparation =
                Preparation { prepared: prepared.clone(), capacity: Self::PER_SEGMENT };
            (self.prepared, self.preparation) = (Some(prepared), Some(preparation));
        }
    }

    /// The segment that was prepared, unless somebody is still at it: it is then not used at all.
    fn take_prepared(&mut self) -> Option<Vec<T>> {
        // What was never begun is not begun now: it would be done here.
        if let Some(mut preparation) = self.preparation.take() {
            preparation.capacity = 0;
        }
        Arc::into_inner(self.prepared.take()?)?.into_inner()
    }

    /// Lets a segment that has not been touched be the one that was prepared.
    #[cold]
    fn use_prepared(&mut self, number: usize) {
        if let Some(items) = self.take_prepared() {
            let untouched = std::mem::replace(&mut self.segments[number].items, items);
            drop_later(&mut self.retired, untouched);
        }
    }

    #[cold]
    fn map_until(&mut self, items: u64) -> Result<(), OutOfMemory> {
        while self.capacity() < items {
            let unmapped = self.segments.iter().position(|one| one.items.capacity() == 0);
            let number = match unmapped {
                Some(number) => number,
                None => self.append_segment().map_err(|_| OutOfMemory)?,
            };
            self.map(number)?;
        }
        Ok(())
    }

    /// A segment that has room and memory.
    #[cold]
    fn any_mapped(&self) -> Option<usize> {
        self.segments
            .iter()
            .position(|one| one.items.capacity() > 0 && (one.live as usize) < Self::PER_SEGMENT)
    }

    #[cold]
    fn retire_or_keep(&mut self, number: usize) -> bool {
        self.idle_segments += 1;
        if let Some(unused) = self.take_prepared() {
            drop_later(&mut self.retired, unused);
        }
        let retired = self.retire_if_spare(number);
        // What was asked for beforehand and never used does not become empty by itself.
        if self.idle_segments > 1 {
            let is_idle = |one: &Segment<T>| one.live == 0 && one.items.capacity() > 0;
            if let Some(unused) =
                self.segments.iter().rposition(is_idle).filter(|one| *one != number)
            {
                self.retire_if_spare(unused);
            }
        }
        retired
    }

    /// Gives up the memory of an empty segment if there is another, and enough above the floor that
    /// a load which hovers does not ask for it again at once.
    fn retire_if_spare(&mut self, number: usize) -> bool {
        let per_segment = Self::PER_SEGMENT as u64;
        let needed = if self.floor == 0 { 0 } else { self.floor + 2 * per_segment };
        if self.idle_segments == 1 || self.capacity() < needed {
            return false;
        }
        self.retire(number);
        true
    }

    /// Gives up the memory of a segment if it is empty.
    #[cold]
    pub(crate) fn retire_if_empty(&mut self, number: usize) {
        let segment = &self.segments[number];
        if segment.live == 0 && segment.items.capacity() > 0 {
            self.retire(number);
        }
    }

    fn retire(&mut self, number: usize) {
        let segment = &mut self.segments[number];
        drop_later(&mut self.retired, std::mem::take(&mut segment.items));
        segment.free_head = NIL;
        self.mapped_segments -= 1;
        self.idle_segments -= 1;
    }
}

impl<T: Item, const BITS: u32> Default for Segments<T, BITS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Item, const BITS: u32> std::ops::Index<u32> for Segments<T, BITS> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        &self.segments[(index >> BITS) as usize].items[(index & Self::MASK) as usize]
    }
}

impl<T: Item, const BITS: u32> std::ops::IndexMut<u32> for Segments<T, BITS> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.segments[(index >> BITS) as usize].items[(index & Self::MASK) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter {
        link: u32,
        uses: u32,
    }

    impl Item for Counter {
        fn fresh(mark: u32) -> Self {
            Self { link: NIL, uses: mark }
        }
        fn link(&self) -> u32 {
            self.link
        }
        fn set_link(&mut self, link: u32) {
            self.link = link;
        }
        fn mark(&self) -> u32 {
            self.uses
        }
    }

    type Small = Segments<Counter, 2>;

    #[test]
    fn fills_the_lowest_room_first() {
        let mut items = Small::new();
        let taken: Vec<u32> = (0..9).map_while(|_| items.allocate().ok()).collect();
        assert_eq!(taken, (0..9).collect::<Vec<_>>());
        items.free(7);
        items.free(2);
        assert_eq!(items.allocate(), Ok(2));
        assert_eq!(items.allocate(), Ok(7));
        assert_eq!(items.allocate(), Ok(9));
        assert_eq!(items.limit(), 12);
    }

    #[test]
    fn room_far_below_is_found_again() {
        let mut items = Small::new();
        let taken: Vec<u32> = (0..1_000).map_while(|_| items.allocate().ok()).collect();
        assert_eq!(taken.len(), 1_000);
        items.free(999);
        items.free(3);
        items.free(500);
        assert_eq!(items.allocate(), Ok(3));
        assert_eq!(items.allocate(), Ok(500));
        assert_eq!(items.allocate(), Ok(999));
    }

    #[test]
    fn gives_memory_back_but_for_one_segment() {
        let mut items = Small::new();
        let baseline = {
            assert!(items.allocate().is_ok());
            items.free(0);
            items.mapped_segments
        };
        for _ in 0..40 {
            assert!(items.allocate().is_ok());
        }
        assert_eq!(items.mapped_segments, 10);
        (0..40).for_each(|index| _ = items.free(index));
        assert_eq!(items.mapped_segments, baseline);
        assert_eq!(items.limit(), 0);
    }

    #[test]
    fn what_was_asked_for_is_kept_and_given_back_when_it_is_no_longer_needed() {
        let mut items = Small::new();
        assert_eq!(items.ensure(9), Ok(()));
        assert_eq!((items.capacity(), items.idle_segments), (12, 3));
        for round in 0..3 {
            (0..9).for_each(|_| assert!(items.allocate().is_ok()));
            assert_eq!((items.capacity(), items.taken()), (12, 9), "{round}");
            (0..9).for_each(|index| _ = items.free(index));
            assert_eq!((items.capacity(), items.idle_segments), (12, 3), "{round}");
        }
        assert_eq!(items.ensure(100), Ok(()));
        (0..40).for_each(|_| assert!(items.allocate().is_ok()));
        items.lower(5);
        (0..40).for_each(|index| _ = items.free(index));
        assert!(items.capacity() <= 40, "{}", items.capacity());
    }

    fn capacities(items: &Small) -> Vec<usize> {
        items.segments.iter().map(|segment| segment.items.capacity()).collect()
    }

    #[test]
    fn a_segment_that_was_prepared_after_the_call_is_the_next_one() {
        let mut items = Small::new();
        assert_eq!(items.ensure(8), Ok(()));
        for index in 0..4 {
            assert!(!items.has_retired());
            assert_eq!(items.allocate(), Ok(index));
        }
        assert!(items.has_retired());
        drop(items.take_retired());
        assert_eq!(items.allocate(), Ok(4));
        assert_eq!(capacities(&items), [5, 4], "the second is the prepared one");
        assert!(items.has_retired(), "that which was there before is to be freed");
        assert_eq!((items.capacity(), items.idle_segments), (8, 0));
    }

    #[test]
    fn a_segment_that_is_needed_before_it_is_prepared_is_got_at_once() {
        let mut items = Small::new();
        (0..5).for_each(|_| assert!(items.allocate().is_ok()));
        assert!(!items.has_retired());
        assert_eq!(capacities(&items), [5, 5]);
        (5..8).for_each(|_| assert!(items.allocate().is_ok()));
        let late = items.take_retired();
        assert!(items.allocate().is_ok());
        drop(late);
        assert_eq!(capacities(&items), [5, 5, 5]);
    }

    #[test]
    fn a_prepared_segment_is_not_kept_by_items_that_end() {
        let mut items = Small::new();
        (0..4).for_each(|_| assert!(items.allocate().is_ok()));
        drop(items.take_retired());
        (0..4).for_each(|index| _ = items.free(index));
        assert!(items.prepared.is_none() && items.has_retired());
    }

    #[test]
    fn a_returned_segment_remembers_its_greatest_mark() {
        let mut items = Small::new();
        for _ in 0..8 {
            assert!(items.allocate().is_ok());
        }
        items[5].uses = 41;
        (0..8).for_each(|index| _ = items.free(index));
        for _ in 0..8 {
            assert!(items.allocate().is_ok());
        }
        assert_eq!(items[4].uses, 41, "the second segment was returned and mapped again");
        assert_eq!(items[5].uses, 41);
    }
}

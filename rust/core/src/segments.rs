//! Storage in segments of a fixed size that never move.
//!
//! A `Vec` that doubles copies everything it holds: at ten million records that is a pause of tens
//! of milliseconds under the lock, and it never gives memory back. Here a full segment is followed
//! by a new one, an empty one is handed out to be freed, and nothing ever moves. Within a segment
//! the free items form a list that is threaded through the items themselves. Allocation fills the lowest
//! segment that has room, so that the upper ones can empty.
//!
//! One empty segment is kept, so that a load that hovers at a boundary does not map and unmap
//! memory on every call.

/// The index that stands for "none" in links.
pub(crate) const NIL: u32 = u32::MAX;

/// What can live in a segment.
pub(crate) trait Item {
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

struct Segment<T> {
    /// Items used so far; the capacity is reserved at once and touched as it fills.
    items: Vec<T>,
    free_head: u32,
    live: u32,
    /// The greatest mark of the items freed here.
    mark: u32,
}

/// Items of one size at stable `u32` indices, `1 << BITS` to a segment.
pub(crate) struct Segments<T, const BITS: u32> {
    segments: Vec<Segment<T>>,
    /// One bit a segment: it has room.
    roomy: Vec<u64>,
    /// No word of `roomy` below this one has a bit set.
    first_roomy_word: usize,
    /// Segments that hold memory and nothing else.
    idle_segments: u32,
    mapped_segments: u32,
    /// Emptied segments that are to be freed by [`Segments::take_retired`]'s caller.
    retired: Vec<Vec<T>>,
}

impl<T: Item, const BITS: u32> Segments<T, BITS> {
    const PER_SEGMENT: usize = 1 << BITS;
    const MASK: u32 = (1 << BITS) - 1;

    pub(crate) const fn new() -> Self {
        Self {
            segments: Vec::new(),
            roomy: Vec::new(),
            first_roomy_word: 0,
            idle_segments: 0,
            mapped_segments: 0,
            retired: Vec::new(),
        }
    }

    /// Takes an item; `None` when all `u32` indices are taken. O(1).
    #[inline]
    pub(crate) fn allocate(&mut self) -> Option<u32> {
        let number = match self.first_roomy() {
            Some(number) => number,
            None => self.append_segment()?,
        };
        let segment = &mut self.segments[number];
        if segment.live == 0 {
            if segment.items.capacity() == 0 {
                segment.items.reserve_exact(Self::PER_SEGMENT);
                self.mapped_segments += 1;
            } else {
                self.idle_segments -= 1;
            }
        }
        let offset = if segment.free_head == NIL {
            segment.items.push(T::fresh(segment.mark));
            segment.items.len() as u32 - 1
        } else {
            let offset = segment.free_head;
            segment.free_head = segment.items[offset as usize].link();
            offset
        };
        segment.live += 1;
        if segment.live as usize == Self::PER_SEGMENT {
            self.roomy[number / 64] &= !(1 << (number % 64));
        }
        Some((number as u32) << BITS | offset)
    }

    /// Gives an item back. Returns whether its segment, now empty, is to be freed. O(1).
    #[inline]
    pub(crate) fn free(&mut self, index: u32) -> bool {
        let number = (index >> BITS) as usize;
        let segment = &mut self.segments[number];
        let item = &mut segment.items[(index & Self::MASK) as usize];
        segment.mark = segment.mark.max(item.mark());
        item.set_link(segment.free_head);
        segment.free_head = index & Self::MASK;
        let live = segment.live;
        segment.live = live - 1;
        if live as usize == Self::PER_SEGMENT {
            self.roomy[number / 64] |= 1 << (number % 64);
            self.first_roomy_word = self.first_roomy_word.min(number / 64);
        }
        live == 1 && self.retire_or_keep(number)
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.segments.get((index >> BITS) as usize)?.items.get((index & Self::MASK) as usize)
    }

    /// One more than the greatest index that a taken item can have.
    pub(crate) fn limit(&self) -> u64 {
        let top = self.segments.iter().rposition(|segment| segment.live > 0);
        top.map_or(0, |number| (number as u64 + 1) << BITS)
    }

    /// Hands out the segments that were emptied: freeing one takes the system a tenth of a
    /// millisecond, too long for a lock hold. O(1).
    #[inline]
    pub(crate) fn take_retired(&mut self) -> Vec<Vec<T>> {
        std::mem::take(&mut self.retired)
    }

    /// Whether [`Segments::take_retired`] has any. O(1).
    #[inline]
    pub(crate) const fn has_retired(&self) -> bool {
        !self.retired.is_empty()
    }

    /// How many items there is memory for.
    pub(crate) fn capacity(&self) -> u64 {
        u64::from(self.mapped_segments) << BITS
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.mapped_segments) * (Self::PER_SEGMENT * size_of::<T>()) as u64
            + (self.segments.capacity() * size_of::<Segment<T>>()) as u64
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
    fn append_segment(&mut self) -> Option<usize> {
        let number = self.segments.len();
        // The last index of the last segment would be NIL: that segment is not used.
        if number as u64 >= (1 << (32 - BITS)) - 1 {
            return None;
        }
        self.segments.push(Segment { items: Vec::new(), free_head: NIL, live: 0, mark: 0 });
        if number.is_multiple_of(64) {
            self.roomy.push(0);
        }
        self.roomy[number / 64] |= 1 << (number % 64);
        self.first_roomy_word = number / 64;
        Some(number)
    }

    #[cold]
    fn retire_or_keep(&mut self, number: usize) -> bool {
        if self.idle_segments == 0 {
            self.idle_segments = 1;
            return false;
        }
        let segment = &mut self.segments[number];
        self.retired.push(std::mem::take(&mut segment.items));
        segment.free_head = NIL;
        self.mapped_segments -= 1;
        true
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
        let taken: Vec<u32> = (0..9).filter_map(|_| items.allocate()).collect();
        assert_eq!(taken, (0..9).collect::<Vec<_>>());
        items.free(7);
        items.free(2);
        assert_eq!(items.allocate(), Some(2));
        assert_eq!(items.allocate(), Some(7));
        assert_eq!(items.allocate(), Some(9));
        assert_eq!(items.limit(), 12);
    }

    #[test]
    fn room_far_below_is_found_again() {
        let mut items = Small::new();
        let taken: Vec<u32> = (0..1_000).filter_map(|_| items.allocate()).collect();
        assert_eq!(taken.len(), 1_000);
        items.free(999);
        items.free(3);
        items.free(500);
        assert_eq!(items.allocate(), Some(3));
        assert_eq!(items.allocate(), Some(500));
        assert_eq!(items.allocate(), Some(999));
    }

    #[test]
    fn gives_memory_back_but_for_one_segment() {
        let mut items = Small::new();
        let baseline = {
            items.allocate();
            items.free(0);
            items.mapped_segments
        };
        for _ in 0..40 {
            items.allocate();
        }
        assert_eq!(items.mapped_segments, 10);
        (0..40).for_each(|index| _ = items.free(index));
        assert_eq!(items.mapped_segments, baseline);
        assert_eq!(items.limit(), 0);
    }

    #[test]
    fn a_returned_segment_remembers_its_greatest_mark() {
        let mut items = Small::new();
        for _ in 0..8 {
            items.allocate();
        }
        items[5].uses = 41;
        (0..8).for_each(|index| _ = items.free(index));
        for _ in 0..8 {
            items.allocate();
        }
        assert_eq!(items[4].uses, 41, "the second segment was returned and mapped again");
        assert_eq!(items[5].uses, 41);
    }
}

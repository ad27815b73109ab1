//! The wheel: where a task waits until the millisecond in which it is due.
//!
//! Six levels of 256 buckets. A tick is 2^20 ns, about a millisecond; a bucket of level L spans
//! 256^L ticks. Where a task belongs is a matter of which byte of its tick is the first, from the
//! top, to differ from the wheel's position: level = ilog2(tick xor position) / 8, bucket = that
//! byte. All 44 bits of a tick fit into the six levels: there is no overflow list and no horizon.
//!
//! When the position enters a bucket of level L, its tasks move to lower levels, for the byte they
//! differed in is now equal. A bucket of level 0 goes to the front, which sorts it. Buckets are
//! visited by their occupancy bits, so an empty decade costs as much as an empty millisecond.
//!
//! Each bucket keeps the least deadline put into it. Buckets of a level are disjoint in time, so
//! the next deadline of all is among the first occupied bucket of each level: no scan. A removal
//! does not raise the least deadline, so it can be too early after a cancel, never too late.

use crate::chunks::{ChunkList, ChunkPool, Entry};
use crate::front::{Due, Front};
use crate::memory::{OutOfMemory, filled};
use crate::slab::{ListId, Slab};
use crate::time::{NEVER, Nanos};

const LEVELS: usize = 6;
const BUCKETS: usize = 256;
const WORDS: usize = BUCKETS / 64;

/// How many buckets there are.
pub(crate) const LISTS: u32 = (LEVELS * BUCKETS) as u32;

/// log2 of the nanoseconds in a tick.
const TICK_BITS: u32 = 20;

/// The tick that a moment lies in.
const fn tick_of(moment: Nanos) -> u64 {
    moment >> TICK_BITS
}

/// The byte of a tick that chooses the bucket of a level.
const fn digit(tick: u64, level: usize) -> usize {
    (tick >> (8 * level)) as usize % BUCKETS
}

#[derive(Clone, Copy)]
struct Bucket {
    list: ChunkList,
    /// At most the least deadline of what lives here.
    minimum: Nanos,
}

/// The buckets, and the position of time among them.
pub(crate) struct Wheel {
    /// The tick that the wheel has reached.
    position: u64,
    buckets: Box<[Bucket]>,
    occupied: [[u64; WORDS]; LEVELS],
    /// What a drained bucket held, on its way to the front.
    drained: Vec<Due>,
}

/// What is left of the work that one lock hold may do, in entries touched.
pub(crate) struct Budget(pub(crate) u32);

impl Budget {
    pub(crate) const fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// Makes room for so many items in an empty list, or for fewer if there is no memory for so many.
/// Returns for how many.
#[inline]
fn reserve_some(list: &mut Vec<Due>, wanted: usize) -> usize {
    let mut room = wanted.max(1);
    while list.try_reserve(room).is_err() && room > 0 {
        room /= 2;
    }
    room
}

impl Wheel {
    pub(crate) fn new(now: Nanos) -> Result<Self, OutOfMemory> {
        let empty = Bucket { list: ChunkList::EMPTY, minimum: NEVER };
        Ok(Self {
            position: tick_of(now),
            buckets: filled(empty, LEVELS * BUCKETS)?,
            occupied: [[0; WORDS]; LEVELS],
            drained: Vec::new(),
        })
    }

    /// Puts an entry into its bucket and returns its number. O(1).
    #[inline]
    pub(crate) fn insert(&mut self, entry: Entry, pool: &mut ChunkPool) -> u16 {
        let tick = tick_of(entry.deadline).max(self.position);
        let level = ((tick ^ self.position) | 1).ilog2() as usize / 8;
        let index = level * BUCKETS + digit(tick, level);
        let bucket = &mut self.buckets[index];
        bucket.list.push(entry, pool);
        bucket.minimum = bucket.minimum.min(entry.deadline);
        self.occupied[level][index % BUCKETS / 64] |= 1 << (index % 64);
        index as u16
    }

    /// Counts the entry of a task that left as dead. Amortised O(1).
    #[inline]
    pub(crate) fn add_tombstone(&mut self, bucket: u16, pool: &mut ChunkPool, slab: &mut Slab) {
        let index = bucket as usize;
        let bucket = &mut self.buckets[index];
        bucket.list.add_tombstone(pool, slab);
        if bucket.list.is_empty() {
            self.vacate(index);
        }
    }

    /// The least deadline in the wheel, or that of a task cancelled since; `NEVER` if empty. O(1).
    #[inline]
    pub(crate) fn next_deadline(&self) -> Nanos {
        let mut next = NEVER;
        for level in 0..LEVELS {
            if let Some(found) = self.first_occupied(level, digit(self.position, level)) {
                next = next.min(self.buckets[level * BUCKETS + found].minimum);
            }
        }
        next
    }

    /// Moves to the front all that lies at the position and may be due by `now`, as far as the
    /// budget goes. Returns whether that was all.
    pub(crate) fn empty_position(
        &mut self,
        now: Nanos,
        budget: &mut Budget,
        front: &mut Front,
        pool: &mut ChunkPool,
        slab: &mut Slab,
    ) -> bool {
        self.cascade(budget, pool, slab) && self.drain(now, budget, front, pool, slab)
    }

    /// Moves the position to the next tick that holds anything, at most to that of `now`. Returns
    /// false if it is there already. Only allowed when nothing is left at the position.
    #[inline]
    pub(crate) fn move_on(&mut self, now: Nanos) -> bool {
        let target = tick_of(now);
        if self.position >= target {
            return false;
        }
        self.position = self.next_occupied_tick().map_or(target, |tick| tick.min(target));
        true
    }

    /// Moves what is in buckets of upper levels at the position to lower ones.
    #[inline]
    fn cascade(&mut self, budget: &mut Budget, pool: &mut ChunkPool, slab: &mut Slab) -> bool {
        for level in (1..LEVELS).rev() {
            let digit = digit(self.position, level);
            if self.occupied[level][digit / 64] >> (digit % 64) & 1 == 0 {
                continue;
            }
            let index = level * BUCKETS + digit;
            while !budget.is_spent() {
                let Some(entry) = self.take_live(index, budget, pool, slab) else { break };
                let bucket = self.insert(entry, pool);
                slab[entry.slot].list.move_to(bucket);
            }
            if !self.buckets[index].list.is_empty() {
                return false;
            }
            self.vacate(index);
        }
        true
    }

    /// Moves the bucket of the position to the front if anything in it may be due.
    #[inline]
    fn drain(
        &mut self,
        now: Nanos,
        budget: &mut Budget,
        front: &mut Front,
        pool: &mut ChunkPool,
        slab: &mut Slab,
    ) -> bool {
        let index = digit(self.position, 0);
        if self.buckets[index].minimum > now {
            return true;
        }
        let waiting = self.buckets[index].list.live().min(u64::from(budget.0)) as usize;
        let room = if front.reserve_run() { reserve_some(&mut self.drained, waiting) } else { 0 };
        while !budget.is_spent() && self.drained.len() < room {
            let Some(entry) = self.take_live(index, budget, pool, slab) else { break };
            let record = &mut slab[entry.slot];
            record.list.move_to(ListId::FRONT);
            let Entry { deadline, slot, stamp } = entry;
            self.drained.push(Due { deadline, sequence: record.sequence, slot, stamp });
        }
        front.add(&mut self.drained, slab);
        self.drained.clear();
        if !self.buckets[index].list.is_empty() {
            return false;
        }
        self.vacate(index);
        true
    }

    /// Takes the next living entry out of a bucket; `None` when it is empty or the budget spent.
    #[inline]
    fn take_live(
        &mut self,
        index: usize,
        budget: &mut Budget,
        pool: &mut ChunkPool,
        slab: &mut Slab,
    ) -> Option<Entry> {
        let list = &mut self.buckets[index].list;
        while !budget.is_spent() {
            list.warm(pool, slab);
            let entry = list.pop(pool)?;
            budget.0 -= 1;
            if entry.is_live(slab) {
                budget.0 = budget.0.saturating_sub(list.compact_if_needed(pool, slab));
                return Some(entry);
            }
            list.remove_tombstone();
        }
        None
    }

    /// Whether there is nothing in a bucket, by the number that [`Wheel::sweep`] knows it by.
    pub(crate) fn is_bucket_empty(&self, number: u32) -> bool {
        self.buckets[(LISTS - 1 - number) as usize].list.is_empty()
    }

    /// Sweeps the next piece of a bucket, by its number from the first of the top level down:
    /// `begin` says that it is the first piece. Returns whether the bucket is done. At most two
    /// chunks.
    pub(crate) fn sweep(
        &mut self,
        number: u32,
        begin: bool,
        pool: &mut ChunkPool,
        slab: &mut Slab,
    ) -> bool {
        let index = LISTS as usize - 1 - number as usize;
        let list = &mut self.buckets[index].list;
        if list.is_empty() {
            return true;
        }
        if begin {
            list.begin_sweep();
        }
        let done = list.sweep(pool, slab);
        if list.is_empty() {
            self.vacate(index);
        }
        done
    }

    fn vacate(&mut self, index: usize) {
        self.buckets[index].minimum = NEVER;
        self.occupied[index / BUCKETS][index % BUCKETS / 64] &= !(1 << (index % 64));
    }

    /// The tick at which the next bucket beyond the position begins.
    fn next_occupied_tick(&self) -> Option<u64> {
        (0..LEVELS).find_map(|level| {
            let found = self.first_occupied(level, digit(self.position, level) + 1)?;
            let above = self.position >> (8 * (level + 1)) << (8 * (level + 1));
            Some(above | (found as u64) << (8 * level))
        })
    }

    /// The first occupied bucket of a level from `from` on.
    #[inline]
    fn first_occupied(&self, level: usize, from: usize) -> Option<usize> {
        let words = &self.occupied[level];
        let mut word = from / 64;
        let mut bits = words.get(word)? & (u64::MAX << (from % 64));
        while bits == 0 {
            word += 1;
            bits = *words.get(word)?;
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }

    /// Whether bits, counts and bounds agree.
    #[cfg(any(test, feature = "check-invariants"))]
    pub(crate) fn check(&self) {
        for (index, bucket) in self.buckets.iter().enumerate() {
            let bit = self.occupied[index / BUCKETS][index % BUCKETS / 64] >> (index % 64) & 1 == 1;
            assert_eq!(bit, !bucket.list.is_empty(), "bucket {index}");
            assert!(bit || bucket.minimum == NEVER);
            bucket.list.check();
        }
    }

    /// Every entry.
    #[cfg(any(test, feature = "check-invariants"))]
    pub(crate) fn entries<'a>(&'a self, pool: &'a ChunkPool) -> impl Iterator<Item = Entry> + 'a {
        self.buckets.iter().flat_map(|bucket| bucket.list.entries(pool))
    }

    /// Whether the tombstones are counted.
    #[cfg(any(test, feature = "check-invariants"))]
    pub(crate) fn check_entries(&self, pool: &ChunkPool, slab: &Slab) {
        for bucket in self.buckets.iter() {
            bucket.list.check_entries(pool, slab);
        }
    }
}

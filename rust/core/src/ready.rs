//! The ready queue: what is due, in 256 first-in-first-out lanes, one a priority.
//!
//! There is no heap. The front releases tasks in order of (deadline, sequence), so each lane is
//! sorted by construction, and the first task of the lowest lane is the first in the total order
//! (priority, effective deadline, sequence).

use crate::chunks::{ChunkList, ChunkPool, Entry};
use crate::memory::{OutOfMemory, filled};
use crate::slab::Slab;
use crate::time::Nanos;
use crate::wheel::Budget;

pub(crate) const LANES: usize = 256;

/// The lanes and one bit for each that holds anything.
pub(crate) struct ReadyQueue {
    lanes: Box<[ChunkList]>,
    occupied: [u64; LANES / 64],
    live: u64,
}

impl ReadyQueue {
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        let lanes = filled(ChunkList::EMPTY, LANES)?;
        Ok(Self { lanes, occupied: [0; LANES / 64], live: 0 })
    }

    /// Tasks that wait here.
    #[inline]
    pub(crate) const fn live(&self) -> u64 {
        self.live
    }

    /// Appends a task to the lane of its priority. O(1).
    #[inline]
    pub(crate) fn push(&mut self, priority: u8, entry: Entry, pool: &mut ChunkPool) {
        self.lanes[priority as usize].push(entry, pool);
        self.occupied[priority as usize / 64] |= 1 << (priority % 64);
        self.live += 1;
    }

    /// Puts back the task that [`ReadyQueue::pop`] has just removed. O(1).
    pub(crate) fn push_front(&mut self, priority: u8, entry: Entry, pool: &mut ChunkPool) {
        self.lanes[priority as usize].push_front(entry, pool);
        self.occupied[priority as usize / 64] |= 1 << (priority % 64);
        self.live += 1;
    }

    /// The entry that comes after so many others in the first lane, dead ones included. O(1).
    #[inline]
    pub(crate) fn ahead(&self, after: u32, pool: &ChunkPool) -> Option<Entry> {
        let word = self.occupied.iter().position(|word| *word != 0)?;
        self.lanes[word * 64 + self.occupied[word].trailing_zeros() as usize].ahead(after, pool)
    }

    /// Drops the dead before the first living task, as far as the budget goes, so that taking it
    /// is O(1). Returns whether that was all.
    #[inline]
    pub(crate) fn drop_leading_dead(
        &mut self,
        budget: &mut Budget,
        pool: &mut ChunkPool,
        slab: &mut Slab,
    ) -> bool {
        while let Some(word) = self.occupied.iter().position(|word| *word != 0) {
            let bit = self.occupied[word].trailing_zeros() as usize;
            let lane = &mut self.lanes[word * 64 + bit];
            if lane.first_is_live(pool, slab) {
                return true;
            }
            if budget.is_spent() {
                return false;
            }
            budget.0 -= 1;
            lane.pop(pool);
            lane.remove_tombstone();
            if lane.is_empty() {
                self.occupied[word] &= !(1 << bit);
            }
        }
        true
    }

    /// Removes the first task. Amortised O(1).
    #[inline]
    pub(crate) fn pop(&mut self, pool: &mut ChunkPool, slab: &mut Slab) -> Option<Entry> {
        loop {
            let word = self.occupied.iter().position(|word| *word != 0)?;
            let bit = self.occupied[word].trailing_zeros() as usize;
            let lane = &mut self.lanes[word * 64 + bit];
            let entry = lane.pop(pool);
            let alive = entry.is_some_and(|entry| entry.is_live(slab));
            if alive {
                lane.compact_if_needed(pool, slab);
            } else if entry.is_some() {
                lane.remove_tombstone();
            }
            if lane.is_empty() {
                self.occupied[word] &= !(1 << bit);
            }
            if alive {
                self.live -= 1;
                return entry;
            }
        }
    }

    /// The first lane from one on that holds anything, and how many tasks wait in it. O(1).
    pub(crate) fn lane_from(&self, lane: usize) -> Option<(usize, u64)> {
        let lane = (lane..LANES).find(|lane| self.occupied[lane / 64] >> (lane % 64) & 1 == 1)?;
        Some((lane, self.lanes[lane].live()))
    }

    /// Removes the first task of a lane, if it has been due by a moment. Amortised O(1).
    pub(crate) fn pop_lane(
        &mut self,
        lane: usize,
        by: Nanos,
        pool: &mut ChunkPool,
        slab: &mut Slab,
    ) -> Option<Entry> {
        loop {
            let list = &mut self.lanes[lane];
            let entry = list.first(pool)?;
            let alive = entry.is_live(slab);
            if alive && entry.deadline > by {
                return None;
            }
            list.pop(pool);
            if alive {
                list.compact_if_needed(pool, slab);
            } else {
                list.remove_tombstone();
            }
            if list.is_empty() {
                self.occupied[lane / 64] &= !(1 << (lane % 64));
            }
            if alive {
                self.live -= 1;
                return Some(entry);
            }
        }
    }

    /// Whether there is nothing in a lane.
    pub(crate) fn is_lane_empty(&self, lane: u32) -> bool {
        self.lanes[lane as usize].is_empty()
    }

    /// Sweeps the next piece of a lane; `begin` says that it is the first piece. Returns whether the
    /// lane is done. At most two chunks.
    pub(crate) fn sweep(
        &mut self,
        lane: u32,
        begin: bool,
        pool: &mut ChunkPool,
        slab: &mut Slab,
    ) -> bool {
        let list = &mut self.lanes[lane as usize];
        if list.is_empty() {
            return true;
        }
        if begin {
            list.begin_sweep();
        }
        let done = list.sweep(pool, slab);
        if list.is_empty() {
            self.occupied[lane as usize / 64] &= !(1 << (lane % 64));
        }
        done
    }

    /// Counts the entry of a task that left as dead.
    #[inline]
    pub(crate) fn add_tombstone(&mut self, priority: u8, pool: &mut ChunkPool, slab: &mut Slab) {
        let lane = &mut self.lanes[priority as usize];
        lane.add_tombstone(pool, slab);
        if lane.is_empty() {
            self.occupied[priority as usize / 64] &= !(1 << (priority % 64));
        }
        self.live -= 1;
    }

    /// Whether bits, counts and bounds agree.
    #[cfg(any(test, feature = "check-invariants"))]
    pub(crate) fn check(&self) {
        for (priority, lane) in self.lanes.iter().enumerate() {
            let bit = self.occupied[priority / 64] >> (priority % 64) & 1 == 1;
            assert_eq!(bit, !lane.is_empty(), "lane {priority}");
            lane.check();
        }
        assert_eq!(self.live, self.lanes.iter().map(ChunkList::live).sum::<u64>());
    }

    /// Every entry.
    #[cfg(any(test, feature = "check-invariants"))]
    pub(crate) fn entries<'a>(&'a self, pool: &'a ChunkPool) -> impl Iterator<Item = Entry> + 'a {
        self.lanes.iter().flat_map(|lane| lane.entries(pool))
    }

    /// Whether the tombstones are counted.
    #[cfg(any(test, feature = "check-invariants"))]
    pub(crate) fn check_entries(&self, pool: &ChunkPool, slab: &Slab) {
        for lane in self.lanes.iter() {
            lane.check_entries(pool, slab);
        }
    }
}

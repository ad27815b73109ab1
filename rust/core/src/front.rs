//! The front: tasks of the current tick, in their exact order, waiting for their exact nanosecond.
//!
//! A bucket of the wheel is a millisecond wide and unsorted. When time enters it, its tasks come
//! here as runs, each sorted and at most one budget long, so that a bucket of ten million is sorted
//! in many short lock holds. The smallest heads of all runs sit in a heap: usually there is one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use crate::chunks::Entry;
use crate::memory::drop_later;
use crate::segments::NIL;
use crate::slab::Slab;
use crate::time::Nanos;

/// An entry with the rest of its sort key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) deadline: Nanos,
    pub(crate) sequence: u64,
    pub(crate) slot: u32,
    pub(crate) stamp: u32,
}

impl Due {
    pub(crate) const fn entry(&self) -> Entry {
        Entry { deadline: self.deadline, slot: self.slot, stamp: self.stamp }
    }

    /// Whether the entry is alive; if so its stamp is not an old one afterwards.
    fn renew_if_live(&mut self, slab: &mut Slab) -> bool {
        let mut entry = self.entry();
        let alive = entry.has_current_stamp(slab);
        if alive {
            entry.renew_stamp(slab);
            self.stamp = entry.stamp;
        }
        alive
    }
}

/// Where the first entry of a run is in the order, and which run that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Head {
    deadline: Nanos,
    sequence: u64,
    run: u32,
}

/// Sorted runs and the heap of their heads.
#[derive(Default)]
pub(crate) struct Front {
    heads: BinaryHeap<Reverse<Head>>,
    /// In descending order: the head is at the end, and the next is popped from there.
    runs: Vec<Vec<Due>>,
    unused_runs: Vec<u32>,
    entries: u64,
    dead: u64,
    next_to_compact: u32,
    /// Large buffers that are to be freed by [`Front::take_retired`]'s caller.
    retired: Retired,
}

/// Buffers that the front no longer needs.
#[derive(Default)]
pub(crate) struct Retired {
    head_buffers: Vec<BinaryHeap<Reverse<Head>>>,
    run_buffers: Vec<Vec<Vec<Due>>>,
    buffers: Vec<Vec<Due>>,
}

/// A buffer up to this long is kept for the next run.
const KEPT_CAPACITY: usize = 4096;

/// So many buffers are kept between two bursts.
const KEPT_RUNS: usize = 16;

/// One in so many removals compacts a run: 1024 entries, or 64 a removal.
const REMOVALS_PER_RUN: u64 = 16;

impl Front {
    /// Makes room for one more run. Returns whether there is.
    #[inline]
    pub(crate) fn reserve_run(&mut self) -> bool {
        if !self.unused_runs.is_empty() {
            return self.heads.try_reserve(1).is_ok();
        }
        // All may become unused.
        self.heads.try_reserve(1).is_ok()
            && self.runs.try_reserve(1).is_ok()
            && self.unused_runs.try_reserve(self.runs.len() + 1).is_ok()
    }

    /// Adds entries as one run, for which there is room. O(n log n), O(n) where they are sorted
    /// already.
    pub(crate) fn add(&mut self, found: &mut Vec<Due>, slab: &Slab) {
        slab.count_work(found.len() as u64);
        found.sort_unstable_by_key(|due| Reverse((due.deadline, due.sequence)));
        let Some(&Due { deadline, sequence, .. }) = found.last() else { return };
        self.entries += found.len() as u64;
        let run = self.unused_runs.pop().unwrap_or_else(|| {
            self.runs.push(Vec::new());
            self.runs.len() as u32 - 1
        });
        std::mem::swap(&mut self.runs[run as usize], found);
        self.heads.push(Reverse(Head { deadline, sequence, run }));
    }

    /// The earliest deadline here; that of a dead entry is possible. O(1).
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        self.heads.peek().map(|Reverse(head)| head.deadline)
    }

    /// Removes the first in order if it is due by `now`. O(log runs).
    #[inline]
    pub(crate) fn pop(&mut self, now: Nanos) -> Option<Due> {
        let many = self.runs.len() > KEPT_RUNS;
        let mut head = self.heads.peek_mut()?;
        let Reverse(Head { deadline, run, .. }) = *head;
        if deadline > now {
            return None;
        }
        self.entries -= 1;
        let entries = &mut self.runs[run as usize];
        let due = entries.pop();
        if let Some(&Due { deadline, sequence, .. }) = entries.last() {
            *head = Reverse(Head { deadline, sequence, run });
        } else {
            // Not freed here: with the last buffers of a storm the C library gives back megabytes.
            if entries.capacity() > KEPT_CAPACITY || many {
                drop_later(&mut self.retired.buffers, std::mem::take(entries));
            }
            PeekMut::pop(head);
            self.unused_runs.push(run);
            if self.heads.is_empty() {
                self.give_back();
            }
        }
        due
    }

    /// What popping one entry takes out of a budget: with many runs it is a walk down a heap.
    #[inline]
    pub(crate) fn cost(&self) -> u32 {
        1 + self.heads.len().max(1).ilog2() / 2
    }

    /// Says that an entry which came out of [`Front::pop`] was dead.
    pub(crate) fn remove_tombstone(&mut self) {
        self.dead = self.dead.saturating_sub(1);
    }

    /// Counts an entry as dead; drops the dead of one run when they outnumber the living.
    pub(crate) fn add_tombstone(&mut self, slab: &mut Slab) {
        self.dead += 1;
        if self.dead >= self.entries {
            self.clear();
        } else if self.dead >= 64 && self.dead > self.entries / 2 {
            if !self.dead.is_multiple_of(REMOVALS_PER_RUN) {
                return;
            }
            self.next_to_compact = (self.next_to_compact + 1) % self.runs.len() as u32;
            self.compact_run(self.next_to_compact as usize, slab);
        }
    }

    /// Drops the dead of a run, but for its head, whose key is in the heap: that one is blanked.
    fn compact_run(&mut self, run: usize, slab: &mut Slab) {
        let entries = &mut self.runs[run];
        let Some(mut head) = entries.pop() else { return };
        let before = entries.len();
        entries.retain_mut(|due| due.renew_if_live(slab));
        let dropped = (before - entries.len()) as u64;
        if !head.renew_if_live(slab) {
            head.slot = NIL;
        }
        entries.push(head);
        if dropped > 0 {
            entries.shrink_to_fit();
        }
        self.entries -= dropped;
        self.dead = self.dead.saturating_sub(dropped);
    }

    /// Sweeps the next run, by its number; returns false if there is none. One budget of entries.
    pub(crate) fn sweep(&mut self, number: u32, slab: &mut Slab) -> bool {
        let exists = (number as usize) < self.runs.len();
        if exists {
            self.compact_run(number as usize, slab);
        }
        exists
    }

    /// How many runs there are, the unused ones included.
    pub(crate) fn runs(&self) -> u64 {
        self.runs.len() as u64
    }

    /// Drops all that is here, which is dead.
    fn clear(&mut self) {
        let mut retired = std::mem::take(&mut self.retired);
        drop_later(&mut retired.head_buffers, std::mem::take(&mut self.heads));
        drop_later(&mut retired.run_buffers, std::mem::take(&mut self.runs));
        *self = Self { retired, ..Self::default() };
    }

    /// Hands out buffers that are no longer needed. O(1).
    pub(crate) fn take_retired(&mut self) -> Retired {
        std::mem::take(&mut self.retired)
    }

    /// Whether [`Front::take_retired`] has any. O(1).
    #[inline]
    pub(crate) const fn has_retired(&self) -> bool {
        !self.retired.run_buffers.is_empty() || !self.retired.buffers.is_empty()
    }

    pub(crate) fn bytes(&self) -> u64 {
        let runs: usize = self.runs.iter().map(Vec::capacity).sum();
        (runs * size_of::<Due>()) as u64
    }

    /// Keeps the buffers of a normal load and returns those of a storm.
    fn give_back(&mut self) {
        if self.runs.len() > KEPT_RUNS {
            // The counts stay: the last entry may be dead, and its caller has yet to say so.
            drop_later(&mut self.retired.run_buffers, std::mem::take(&mut self.runs));
            self.unused_runs = Vec::new();
        }
    }

    /// Whether the tombstones are counted, and each run has its head in the heap.
    #[cfg(any(test, feature = "check-invariants"))]
    pub(crate) fn check_entries(&self, slab: &Slab) {
        let live = self.entries().filter(|entry| entry.is_live(slab)).count() as u64;
        let entries = self.entries().count() as u64;
        assert_eq!((self.entries, self.dead), (entries, entries - live));
        for Reverse(head) in &self.heads {
            let first = self.runs[head.run as usize].last();
            let key = first.map(|due| (due.deadline, due.sequence));
            assert_eq!(key, Some((head.deadline, head.sequence)));
        }
        assert_eq!(self.heads.len(), self.runs.iter().filter(|run| !run.is_empty()).count());
    }

    /// Every entry.
    #[cfg(any(test, feature = "check-invariants"))]
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.runs.iter().flatten().map(Due::entry)
    }
}

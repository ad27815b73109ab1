//! The front: tasks of the current tick, in their exact order, waiting for their exact nanosecond.
//!
//! A bucket of the wheel is a millisecond wide and unsorted. When time enters it, its tasks come
//! here as runs, each sorted and at most one budget long, so that a bucket of ten million is sorted
//! in many short lock holds. The smallest heads of all runs sit in a heap: usually there is one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use crate::chunks::Entry;
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
}

/// Sorted runs and the heap of their heads.
#[derive(Default)]
pub(crate) struct Front {
    heads: BinaryHeap<Reverse<(Due, u32)>>,
    /// What follows each head, in descending order: the next is popped from the end.
    runs: Vec<Vec<Due>>,
    unused_runs: Vec<u32>,
    entries: u64,
    dead: u64,
    next_to_compact: u32,
}

/// A buffer up to this long is kept for the next run.
const KEPT_CAPACITY: usize = 4096;

/// So many buffers are kept between two bursts.
const KEPT_RUNS: usize = 16;

/// One in so many removals compacts a run: 1024 entries, or 64 a removal.
const REMOVALS_PER_RUN: u64 = 16;

impl Front {
    /// Adds entries as one run. O(n log n), O(n) where they are sorted already.
    pub(crate) fn add(&mut self, found: &mut Vec<Due>) {
        found.sort_unstable_by_key(|due| Reverse((due.deadline, due.sequence)));
        let Some(head) = found.pop() else { return };
        self.entries += found.len() as u64 + 1;
        let run = self.unused_runs.pop().unwrap_or_else(|| {
            self.runs.push(Vec::new());
            self.runs.len() as u32 - 1
        });
        std::mem::swap(&mut self.runs[run as usize], found);
        self.heads.push(Reverse((head, run)));
    }

    /// The earliest deadline here; that of a dead entry is possible. O(1).
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        self.heads.peek().map(|Reverse((due, _))| due.deadline)
    }

    /// Removes the first in order if it is due by `now`. O(log runs).
    #[inline]
    pub(crate) fn pop(&mut self, now: Nanos) -> Option<Due> {
        let many = self.runs.len() > KEPT_RUNS;
        let mut head = self.heads.peek_mut()?;
        let Reverse((due, run)) = *head;
        if due.deadline > now {
            return None;
        }
        self.entries -= 1;
        let rest = &mut self.runs[run as usize];
        if let Some(next) = rest.pop() {
            *head = Reverse((next, run));
        } else {
            // The buffers of a storm go one by one: all at once would be a long lock hold.
            if rest.capacity() > KEPT_CAPACITY || many {
                *rest = Vec::new();
            }
            PeekMut::pop(head);
            self.unused_runs.push(run);
            if self.heads.is_empty() {
                self.give_back();
            }
        }
        Some(due)
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
    pub(crate) fn add_tombstone(&mut self, slab: &Slab) {
        self.dead += 1;
        if self.dead >= self.entries && !self.may_live(slab) {
            *self = Self::default();
        } else if self.dead >= 64 && self.dead > self.entries / 2 {
            if !self.dead.is_multiple_of(REMOVALS_PER_RUN) {
                return;
            }
            self.next_to_compact = (self.next_to_compact + 1) % self.runs.len() as u32;
            let run = &mut self.runs[self.next_to_compact as usize];
            let before = run.len();
            run.retain(|due| due.entry().may_live(slab));
            run.shrink_to_fit();
            self.entries -= (before - run.len()) as u64;
            self.dead = self.dead.saturating_sub((before - run.len()) as u64);
        }
    }

    fn may_live(&self, slab: &Slab) -> bool {
        let heads = self.heads.iter().map(|Reverse((due, _))| due);
        heads.chain(self.runs.iter().flatten()).any(|due| due.entry().may_live(slab))
    }

    pub(crate) fn bytes(&self) -> u64 {
        let runs: usize = self.runs.iter().map(Vec::capacity).sum();
        (runs * size_of::<Due>()) as u64
    }

    /// Keeps the buffers of a normal load and returns those of a storm.
    fn give_back(&mut self) {
        if self.runs.len() > KEPT_RUNS {
            // The counts stay: the last entry may be dead, and its caller has yet to say so.
            self.runs = Vec::new();
            self.unused_runs = Vec::new();
        }
    }
}

//! What a programmer writes without a library: a binary heap that leaves the cancelled in place,
//! and a search tree. Both keep the exact order, as ours does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hint::black_box;

use scheduler_core::Nanos;

use super::{Timers, Watch};

/// A binary heap; what is cancelled stays until it comes to the top.
#[derive(Default)]
pub struct LazyHeap {
    heap: BinaryHeap<Reverse<(Nanos, u64, u32)>>,
    /// The sequence number of the timer in each slot, 0 for none.
    tenants: Vec<u64>,
    free: Vec<u32>,
    sequence: u64,
}

impl LazyHeap {
    #[inline]
    fn vacate(&mut self, slot: u32) {
        self.tenants[slot as usize] = 0;
        self.free.push(slot);
    }

    /// Pops the first in order if it is due.
    #[inline]
    fn pop(&mut self, until: Nanos) -> Option<u32> {
        while let Some(Reverse((deadline, sequence, slot))) = self.heap.peek().copied() {
            let live = self.tenants[slot as usize] == sequence;
            if live && deadline > until {
                return None;
            }
            self.heap.pop();
            if live {
                self.vacate(slot);
                return Some(slot);
            }
        }
        None
    }
}

impl Timers for LazyHeap {
    const NAME: &'static str = "lazy heap";

    type Key = (u32, u64);

    fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn insert(&mut self, deadline: Nanos, _value: u32) -> (u32, u64) {
        self.sequence += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.tenants.push(0);
            self.tenants.len() as u32 - 1
        });
        self.tenants[slot as usize] = self.sequence;
        self.heap.push(Reverse((deadline, self.sequence, slot)));
        (slot, self.sequence)
    }

    #[inline]
    fn cancel(&mut self, (slot, sequence): (u32, u64)) {
        assert_eq!(self.tenants[slot as usize], sequence);
        self.vacate(slot);
    }

    #[inline]
    fn next_deadline(&mut self) -> Option<Nanos> {
        while let Some(Reverse((deadline, sequence, slot))) = self.heap.peek().copied() {
            if self.tenants[slot as usize] == sequence {
                return Some(deadline);
            }
            self.heap.pop();
        }
        None
    }

    #[inline]
    fn expire(&mut self, until: Nanos, watch: &mut impl Watch) -> u64 {
        let mut expired = 0;
        while let Some(slot) = watch.call(|| self.pop(until)) {
            black_box(slot);
            expired += 1;
        }
        expired
    }
}

/// A tree ordered by deadline and sequence.
#[derive(Default)]
pub struct Tree {
    tree: BTreeMap<(Nanos, u64), u32>,
    sequence: u64,
}

impl Timers for Tree {
    const NAME: &'static str = "BTreeMap";

    type Key = (Nanos, u64);

    fn new() -> Self {
        Self::default()
    }

    #[inline]
    fn insert(&mut self, deadline: Nanos, value: u32) -> (Nanos, u64) {
        self.sequence += 1;
        self.tree.insert((deadline, self.sequence), value);
        (deadline, self.sequence)
    }

    #[inline]
    fn cancel(&mut self, key: (Nanos, u64)) {
        self.tree.remove(&key).unwrap();
    }

    #[inline]
    fn next_deadline(&mut self) -> Option<Nanos> {
        self.tree.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    #[inline]
    fn expire(&mut self, until: Nanos, watch: &mut impl Watch) -> u64 {
        let mut expired = 0;
        loop {
            let due = watch.call(|| {
                let first = self.tree.first_entry()?;
                (first.key().0 <= until).then(|| first.remove())
            });
            let Some(value) = due else { return expired };
            black_box(value);
            expired += 1;
        }
    }
}

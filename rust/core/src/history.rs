//! The history: how the last tasks ended, in a ring of fixed size with an index.

use crate::id::TaskId;
use crate::time::Nanos;

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ending {
    /// Its last run ended well.
    Completed,
    /// Its last run failed.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// Its last occurrence was missed.
    Missed,
}

impl Ending {
    /// The word that users see.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Missed => "missed",
        }
    }
}

/// The end of a task, as the engine knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The task.
    pub id: TaskId,
    /// How it ended.
    pub ending: Ending,
    /// Its priority.
    pub priority: u8,
    /// The nominal time of its last run, or of the occurrence that did not come.
    pub nominal: Nanos,
    /// When that was due, by jitter and its offset in the window.
    pub due: Nanos,
    /// When its last run started, if it ever did.
    pub started: Option<Nanos>,
    /// When its last run ended. A task that was cancelled or missed may have none.
    pub ended: Option<Nanos>,
    /// Runs started.
    pub runs: u64,
    /// Occurrences given up, of the last run.
    pub missed: u64,
}

/// Ends in one chunk of the ring.
const CHUNK: usize = 1 << 10;

/// A list that grows by chunks: one that doubled would be copied in one lock hold.
#[derive(Default)]
struct Ring {
    chunks: Vec<Vec<Ended>>,
    len: u32,
}

impl Ring {
    #[inline]
    fn get(&self, index: u32) -> Option<&Ended> {
        self.chunks.get(index as usize / CHUNK)?.get(index as usize % CHUNK)
    }

    /// Replaces an end, or appends one at the index beyond the last.
    #[inline]
    fn set(&mut self, index: u32, ended: Ended) {
        let (chunk, offset) = (index as usize / CHUNK, index as usize % CHUNK);
        if index < self.len {
            self.chunks[chunk][offset] = ended;
            return;
        }
        if offset == 0 {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks[chunk].push(ended);
        self.len += 1;
    }
}

/// The last so many ended tasks, in a ring, and an index of chains through it.
///
/// Not a hash map, because rehashing one of ten thousand ends takes a lock hold of 0.1 ms, and a
/// larger one takes longer.
pub(crate) struct History {
    ring: Ring,
    /// For each hash the newest index with it, plus one; 0 for none.
    heads: Vec<u32>,
    /// For each index the next older one with its hash, plus one; 0 for none.
    links: Vec<u32>,
    capacity: u32,
    next: u32,
}

impl History {
    pub(crate) fn new(capacity: u32) -> Self {
        let heads = vec![0; (capacity as usize).next_power_of_two()];
        let links = vec![0; capacity.max(1) as usize];
        Self { ring: Ring::default(), heads, links, capacity, next: 0 }
    }

    #[inline]
    fn hash(&self, id: TaskId) -> usize {
        let mixed = id.to_bits().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as usize & (self.heads.len() - 1)
    }

    /// Remembers an end and forgets the oldest beyond the capacity. Returns the index in the
    /// ring, below max(1, capacity), under which a caller may keep what belongs to it. O(1).
    #[inline]
    pub(crate) fn record(&mut self, ended: Ended) -> u32 {
        let index = self.next;
        self.next = if index + 1 >= self.capacity { 0 } else { index + 1 };
        if let Some(oldest) = self.ring.get(index) {
            let hash = self.hash(oldest.id);
            self.unlink(hash, index);
        }
        self.ring.set(index, ended);
        if self.capacity > 0 {
            let hash = self.hash(ended.id);
            self.links[index as usize] = std::mem::replace(&mut self.heads[hash], index + 1);
        }
        index
    }

    /// Takes the oldest of all out of its chain, where it is the last.
    #[inline]
    fn unlink(&mut self, hash: usize, index: u32) {
        let mut link = &mut self.heads[hash];
        while *link != 0 && *link != index + 1 {
            let next = *link as usize - 1;
            link = &mut self.links[next];
        }
        *link = 0;
    }

    /// The end that was recorded last at an index, even if it is not to be remembered.
    pub(crate) fn at(&self, index: u32) -> Option<&Ended> {
        self.ring.get(index)
    }

    /// The end of a task and its index, if it is remembered. O(1).
    pub(crate) fn find(&self, id: TaskId) -> Option<(u32, &Ended)> {
        let mut link = self.heads[self.hash(id)];
        while link != 0 {
            let ended = self.ring.get(link - 1)?;
            if ended.id == id {
                return Some((link - 1, ended));
            }
            link = self.links[link as usize - 1];
        }
        None
    }

    /// Every end remembered, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Ended> {
        let len = self.ring.len.min(self.capacity);
        let oldest = if self.ring.len < self.capacity { 0 } else { self.next };
        (oldest..len).chain(0..oldest).filter_map(|index| self.ring.get(index))
    }

    /// Memory held, in bytes. The system gives memory for the links as they are written.
    pub(crate) fn bytes(&self) -> u64 {
        let links = self.heads.capacity() + self.ring.len as usize;
        (self.ring.chunks.len() * CHUNK * size_of::<Ended>() + links * size_of::<u32>()) as u64
    }
}

//! The history: how the last tasks ended, in a ring of fixed size with an index.

use crate::id::TaskId;
use crate::memory::{OutOfMemory, zeros};
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
    /// Attempts at the last run; 0 if there was none.
    pub attempts: u32,
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

    /// Makes room for an end at the index beyond the last.
    fn grow(&mut self) -> Result<(), OutOfMemory> {
        if self.len as usize == self.chunks.len() * CHUNK {
            let mut chunk = Vec::new();
            chunk.try_reserve_exact(CHUNK)?;
            self.chunks.try_reserve(1)?;
            self.chunks.push(chunk);
        }
        Ok(())
    }

    /// Replaces an end, or appends one at the index beyond the last, for which there is room.
    #[inline]
    fn set(&mut self, index: u32, ended: Ended) {
        let (chunk, offset) = (index as usize / CHUNK, index as usize % CHUNK);
        if index < self.len {
            self.chunks[chunk][offset] = ended;
            return;
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
    /// How many are remembered at most. Lowered if there is no memory for so many.
    capacity: u32,
    next: u32,
}

impl History {
    /// A history of so many ends. The system provides the memory for them as they come.
    ///
    /// # Errors
    /// There is no memory for the index, of at most 12 bytes an end, or for the first ends.
    pub(crate) fn new(capacity: u32) -> Result<Self, OutOfMemory> {
        let lengths = [(capacity as usize).next_power_of_two(), capacity.max(1) as usize];
        let [heads, links] = zeros(lengths)?;
        let mut ring = Ring::default();
        ring.grow()?;
        Ok(Self { ring, heads, links, capacity, next: 0 })
    }

    #[inline]
    fn hash(&self, id: TaskId) -> usize {
        let mixed = id.to_bits().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as usize & (self.heads.len() - 1)
    }

    /// Remembers an end and forgets the oldest beyond the capacity, or the oldest of all if there
    /// is no memory for more. Returns the index in the ring, below max(1, capacity), under which a
    /// caller may keep what belongs to it. O(1).
    #[inline]
    pub(crate) fn record(&mut self, ended: Ended) -> u32 {
        if self.next == self.ring.len && self.ring.grow().is_err() {
            self.capacity = self.ring.len;
            self.next = 0;
        }
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

    /// Memory held, in bytes. The system gives memory for ends and links as they are written.
    pub(crate) fn bytes(&self) -> u64 {
        let ends = self.ring.len as usize;
        let links = self.heads.capacity() + ends;
        (ends * size_of::<Ended>() + links * size_of::<u32>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(number: u32) -> Ended {
        Ended {
            id: TaskId::new(number, 0),
            ending: Ending::Completed,
            priority: 0,
            nominal: 0,
            due: 0,
            started: None,
            ended: None,
            runs: 1,
            missed: 0,
            attempts: 1,
        }
    }

    #[test]
    fn without_memory_for_more_the_oldest_are_forgotten() {
        let mut history = History::new(5_000).expect("memory");
        for number in 0..2 * CHUNK as u32 {
            assert_eq!(history.record(ended(number)), number);
        }
        // As after a failed `grow`.
        (history.capacity, history.next) = (history.ring.len, 0);
        for number in 0..3 * CHUNK as u32 {
            let id = 10_000 + number;
            let index = history.record(ended(id));
            assert_eq!(index, number % (2 * CHUNK as u32));
            assert_eq!(history.find(TaskId::new(id, 0)).map(|(index, _)| index), Some(index));
        }
        assert_eq!(history.iter().count(), 2 * CHUNK);
        assert!(history.find(TaskId::new(0, 0)).is_none());
        assert!(history.iter().map(|ended| ended.id.slot()).is_sorted());
    }
}

//! What became of the tasks that ended last: a ring of fixed size and its index.

use rustc_hash::FxHashMap;

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
    /// When its last occurrence was due.
    pub nominal: Nanos,
    /// When its last run started, if it ever did.
    pub started: Option<Nanos>,
    /// When its last run ended, if it ended with one: nobody asks a clock to cancel a task.
    pub ended: Option<Nanos>,
    /// Runs started.
    pub runs: u64,
    /// Occurrences given up, of the last run.
    pub missed: u64,
}

/// The last so many ended tasks.
pub(crate) struct History {
    ring: Vec<Ended>,
    index: FxHashMap<TaskId, u32>,
    capacity: u32,
    next: u32,
}

impl History {
    pub(crate) fn new(capacity: u32) -> Self {
        Self { ring: Vec::new(), index: FxHashMap::default(), capacity, next: 0 }
    }

    /// Remembers an end and forgets the oldest beyond the capacity. Returns the place in the
    /// ring, below max(1, capacity), under which a caller may keep what belongs to it. O(1).
    #[inline]
    pub(crate) fn record(&mut self, ended: Ended) -> u32 {
        let place = self.next;
        self.next = if place + 1 >= self.capacity { 0 } else { place + 1 };
        if let Some(oldest) = self.ring.get_mut(place as usize) {
            self.index.remove(&oldest.id);
            *oldest = ended;
        } else {
            self.ring.push(ended);
        }
        if self.capacity > 0 {
            self.index.insert(ended.id, place);
        }
        place
    }

    /// The end that was recorded at a place last, be it to be remembered or not.
    pub(crate) fn at(&self, place: u32) -> Option<&Ended> {
        self.ring.get(place as usize)
    }

    /// The end of a task and its place, if it is remembered. O(1).
    pub(crate) fn find(&self, id: TaskId) -> Option<(u32, &Ended)> {
        let place = *self.index.get(&id)?;
        Some((place, &self.ring[place as usize]))
    }

    /// Every end remembered, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Ended> {
        let split = if self.ring.len() < self.capacity as usize { 0 } else { self.next as usize };
        let (newer, older) = self.ring.split_at(split);
        older.iter().chain(newer).take(self.capacity as usize)
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.ring.capacity() * size_of::<Ended>()
            + self.index.capacity() * (size_of::<(TaskId, u32)>() + 1)) as u64
    }
}

//! First-in-first-out lists of entries in chunks of 512 bytes, with bounded tombstones.
//!
//! Removing an entry touches nothing here: the record's stamp changes, and the entry that still
//! carries the old one is dead. The list counts its dead, and when there are at least 64 and more
//! of them than of the living, a pass from head to tail drops them in place, in order, a bounded
//! number of chunks per call, so that no list, however long, is walked under one lock hold.
//!
//! A list of up to `CHUNKS_PER_CALL` chunks is compacted at once, so its entries never exceed
//! living + max(64, living). In a longer one the pass ends after (entries / `CHUNKS_PER_CALL` / 31)
//! further removals, which bounds the excess to three hundredths of the list. More chunks a call
//! would cost no less in sum, and make each of these calls a longer lock hold.

use std::hint::black_box;

use crate::memory::abort;
use crate::segments::{Item, NIL, Segments};
use crate::slab::Slab;
use crate::time::Nanos;

/// What a list holds of a task: 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) deadline: Nanos,
    pub(crate) slot: u32,
    pub(crate) stamp: u32,
}

impl Entry {
    /// Whether the task is still armed as it was when this entry was made. One cache miss, which
    /// brings the task's record along.
    #[inline]
    pub(crate) fn is_live(&self, slab: &Slab) -> bool {
        slab.count_work(1);
        let Some(record) = slab.get(self.slot).filter(|record| record.stamp == self.stamp) else {
            return false;
        };
        debug_assert_eq!(record.deadline, self.deadline, "two entries with one stamp");
        true
    }

    /// As [`Entry::is_live`], where nothing else of the record is needed: from the dense copy of
    /// the stamps.
    #[inline]
    pub(crate) fn has_current_stamp(&self, slab: &Slab) -> bool {
        slab.count_work(1);
        slab.stamp_of(self.slot) == Some(self.stamp)
    }

    /// Gives the entry of a living task a new stamp if its own is old: see `crate::stamps`.
    #[inline]
    pub(crate) fn renew_stamp(&mut self, slab: &mut Slab) {
        if slab.stamps.is_old(self.stamp) {
            self.stamp = slab.renew_stamp(self.slot);
        }
    }
}

const ENTRIES_PER_CHUNK: usize = 31;

/// The most chunks that one removal compacts.
const CHUNKS_PER_CALL: u32 = 2;

/// The most chunks that the removal of the last living entry clears away.
const LAST_CHUNKS: u32 = 32;

/// Below this many dead entries compaction is not worth its cost.
const TOLERATED_DEAD: u64 = 64;

#[repr(align(64))]
pub(crate) struct Chunk {
    entries: [Entry; ENTRIES_PER_CHUNK],
    len: u32,
    next: u32,
}

const _: () = assert!(size_of::<Chunk>() == 512);

impl Item for Chunk {
    fn fresh(_mark: u32) -> Self {
        const BLANK: Entry = Entry { deadline: 0, slot: NIL, stamp: 0 };
        Self { entries: [BLANK; ENTRIES_PER_CHUNK], len: 0, next: NIL }
    }

    fn link(&self) -> u32 {
        self.next
    }

    fn set_link(&mut self, link: u32) {
        self.next = link;
    }
}

/// Where all lists get their chunks, in segments of 2 MiB.
pub(crate) type ChunkPool = Segments<Chunk, 12>;

/// How many chunks the entries of so many tasks need, in however many lists, wherever they move:
/// twice as many as if all were full, and in each list one at either end.
#[inline]
pub(crate) const fn chunks_for(tasks: u64, lists: u64) -> u64 {
    tasks / 16 + 2 * lists
}

/// A first-in-first-out list of entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkList {
    head: u32,
    tail: u32,
    /// Entries of the head chunk that have been taken.
    taken: u32,
    /// The last chunk that the running pass of compaction has seen, `NIL` before the head.
    compacted: u32,
    compacting: bool,
    /// The running pass has begun at the head for [`ChunkList::begin_sweep`].
    sweeping: bool,
    entries: u64,
    dead: u64,
}

impl ChunkList {
    pub(crate) const EMPTY: Self = Self {
        head: NIL,
        tail: NIL,
        taken: 0,
        compacted: NIL,
        compacting: false,
        sweeping: false,
        entries: 0,
        dead: 0,
    };

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    #[inline]
    pub(crate) const fn live(&self) -> u64 {
        self.entries.saturating_sub(self.dead)
    }

    /// Appends an entry. O(1).
    #[inline]
    pub(crate) fn push(&mut self, entry: Entry, pool: &mut ChunkPool) {
        if self.tail == NIL || pool[self.tail].len as usize == ENTRIES_PER_CHUNK {
            self.grow(pool);
        }
        let chunk = &mut pool[self.tail];
        chunk.entries[chunk.len as usize] = entry;
        chunk.len += 1;
        self.entries += 1;
    }

    /// Puts back the entry that [`ChunkList::pop`] has just removed. O(1).
    pub(crate) fn push_front(&mut self, entry: Entry, pool: &mut ChunkPool) {
        if self.taken == 0 {
            let Ok(fresh) = pool.allocate() else { abort::<Chunk>() };
            let chunk = &mut pool[fresh];
            (chunk.len, chunk.next) = (ENTRIES_PER_CHUNK as u32, self.head);
            if self.tail == NIL {
                self.tail = fresh;
            }
            self.head = fresh;
            self.taken = ENTRIES_PER_CHUNK as u32;
        }
        self.taken -= 1;
        pool[self.head].entries[self.taken as usize] = entry;
        self.entries += 1;
    }

    /// The oldest entry, dead or alive. O(1).
    #[inline]
    pub(crate) fn first(&self, pool: &ChunkPool) -> Option<Entry> {
        (self.entries > 0).then(|| pool[self.head].entries[self.taken as usize])
    }

    /// The entry that comes after so many others, dead or alive; not beyond the second chunk. O(1).
    #[inline]
    pub(crate) fn ahead(&self, after: u32, pool: &ChunkPool) -> Option<Entry> {
        if u64::from(after) >= self.entries {
            return None;
        }
        let (head, place) = (&pool[self.head], self.taken + after);
        if place < head.len {
            return Some(head.entries[place as usize]);
        }
        let next = pool.get(head.next)?;
        (place - head.len < next.len).then(|| next.entries[(place - head.len) as usize])
    }

    /// Whether the oldest entry is alive. O(1).
    #[inline]
    pub(crate) fn first_is_live(&self, pool: &ChunkPool, slab: &Slab) -> bool {
        self.dead == 0 || self.first(pool).is_some_and(|entry| entry.is_live(slab))
    }

    /// Removes and returns the oldest entry, dead or alive. O(1).
    #[inline]
    pub(crate) fn pop(&mut self, pool: &mut ChunkPool) -> Option<Entry> {
        if self.entries == 0 {
            return None;
        }
        let chunk = &pool[self.head];
        let entry = chunk.entries[self.taken as usize];
        self.taken += 1;
        self.entries -= 1;
        if self.taken == chunk.len {
            self.drop_head(pool);
        }
        if self.entries == 0 {
            *self = Self { dead: self.dead.min(1), ..Self::EMPTY };
        }
        Some(entry)
    }

    /// Before the first entry of a chunk is taken, brings the records of all its entries into the
    /// cache: look-ups of which none waits for another overlap. O(1).
    #[inline]
    pub(crate) fn warm(&self, pool: &ChunkPool, slab: &Slab) {
        if self.taken == 0 && self.entries > 0 {
            let chunk = &pool[self.head];
            let entries = &chunk.entries[..chunk.len as usize];
            let stamp = |entry: &Entry| slab.get(entry.slot).map_or(0, |record| record.stamp);
            // The compiler would remove loads whose result is not used.
            black_box(entries.iter().fold(0, |mixed, entry| mixed ^ stamp(entry)));
        }
    }

    /// Says that an entry which came out of [`ChunkList::pop`] was dead.
    #[inline]
    pub(crate) fn remove_tombstone(&mut self) {
        self.dead = self.dead.saturating_sub(1);
    }

    /// Counts an entry as dead. Amortised O(1); at most `CHUNKS_PER_CALL` chunks.
    #[inline]
    pub(crate) fn add_tombstone(&mut self, pool: &mut ChunkPool, slab: &mut Slab) {
        self.dead += 1;
        self.compact_if_needed(pool, slab);
    }

    /// Keeps the promise of the module's first paragraph; to be called when a living entry has
    /// left, for that too makes the dead outnumber the living. Amortised O(1). Returns how many
    /// entries it may have looked at.
    #[inline]
    pub(crate) fn compact_if_needed(&mut self, pool: &mut ChunkPool, slab: &mut Slab) -> u32 {
        if self.dead == 0 && !self.compacting {
            return 0;
        }
        let too_many = self.dead >= TOLERATED_DEAD && self.dead > self.live();
        if self.compacting || too_many || self.dead >= self.entries {
            self.compact(pool, slab);
            return CHUNKS_PER_CALL * ENTRIES_PER_CHUNK as u32;
        }
        0
    }

    /// Starts a pass of compaction at the head, which looks at all that is in the list now.
    pub(crate) fn begin_sweep(&mut self) {
        if self.entries > 0 {
            self.compacted = NIL;
            self.compacting = true;
            self.sweeping = true;
        }
    }

    /// Goes on with the pass that [`ChunkList::begin_sweep`] started: `CHUNKS_PER_CALL` chunks.
    /// Returns whether it is done.
    pub(crate) fn sweep(&mut self, pool: &mut ChunkPool, slab: &mut Slab) -> bool {
        if self.sweeping {
            self.compact(pool, slab);
        }
        !self.sweeping
    }

    fn grow(&mut self, pool: &mut ChunkPool) {
        // There are as many as `chunks_for` says, and the slab runs out of slots long before these
        // run out of numbers.
        let Ok(fresh) = pool.allocate() else { abort::<Chunk>() };
        pool[fresh].len = 0;
        pool[fresh].next = NIL;
        if self.tail == NIL {
            self.head = fresh;
            self.taken = 0;
        } else {
            pool[self.tail].next = fresh;
        }
        self.tail = fresh;
    }

    fn drop_head(&mut self, pool: &mut ChunkPool) {
        let next = pool[self.head].next;
        if self.compacted == self.head {
            self.compacted = NIL;
        }
        pool.free(self.head);
        self.head = next;
        self.taken = 0;
        if next == NIL {
            self.tail = NIL;
        }
    }

    #[cold]
    fn compact(&mut self, pool: &mut ChunkPool, slab: &mut Slab) {
        self.compacting = true;
        let mut chunks = CHUNKS_PER_CALL;
        if self.dead >= self.entries {
            // All are dead: there will be no further removal to go on with the pass, and little is left.
            self.compacted = NIL;
            chunks = LAST_CHUNKS;
        }
        for _ in 0..chunks {
            let current = if self.compacted == NIL { self.head } else { pool[self.compacted].next };
            if current == NIL {
                self.compacted = NIL;
                self.compacting = false;
                self.sweeping = false;
                if self.entries == 0 {
                    *self = Self::EMPTY;
                }
                return;
            }
            self.compact_chunk(current, pool, slab);
        }
    }

    /// Drops the dead of one chunk, and the chunk if its rest fits into the one before it.
    fn compact_chunk(&mut self, current: u32, pool: &mut ChunkPool, slab: &mut Slab) {
        let from = if current == self.head { std::mem::take(&mut self.taken) as usize } else { 0 };
        let chunk = &mut pool[current];
        let before = chunk.len as usize - from;
        // First ask about all of them: independent look-ups overlap, dependent ones do not.
        let mut alive = 0_u32;
        for (bit, entry) in chunk.entries[from..chunk.len as usize].iter().enumerate() {
            alive |= u32::from(entry.has_current_stamp(slab)) << bit;
        }
        let mut kept = 0;
        for bit in 0..before {
            // No branch: which are alive cannot be predicted.
            chunk.entries[kept] = chunk.entries[from + bit];
            kept += (alive >> bit & 1) as usize;
        }
        chunk.entries[..kept].iter_mut().for_each(|entry| entry.renew_stamp(slab));
        chunk.len = kept as u32;
        self.entries -= (before - kept) as u64;
        self.dead = self.dead.saturating_sub((before - kept) as u64);

        let previous = self.compacted;
        if previous == NIL {
            if kept == 0 {
                self.drop_head(pool);
            } else {
                self.compacted = current;
            }
            return;
        }
        let room = ENTRIES_PER_CHUNK - pool[previous].len as usize;
        if kept > room {
            self.compacted = current;
            return;
        }
        let Chunk { entries, next, .. } = pool[current];
        let target = &mut pool[previous];
        let len = target.len as usize;
        target.entries[len..len + kept].copy_from_slice(&entries[..kept]);
        target.len += kept as u32;
        target.next = next;
        if self.tail == current {
            self.tail = previous;
        }
        pool.free(current);
    }
}

#[cfg(any(test, feature = "check-invariants"))]
impl ChunkList {
    /// Every entry, dead or alive, oldest first.
    pub(crate) fn entries<'a>(&self, pool: &'a ChunkPool) -> impl Iterator<Item = Entry> + 'a {
        let (mut chunk, mut index) = (self.head, self.taken as usize);
        std::iter::from_fn(move || {
            while chunk != NIL && index == pool[chunk].len as usize {
                (chunk, index) = (pool[chunk].next, 0);
            }
            (chunk != NIL).then(|| {
                index += 1;
                pool[chunk].entries[index - 1]
            })
        })
    }

    /// Whether the tombstones are counted.
    pub(crate) fn check_entries(&self, pool: &ChunkPool, slab: &Slab) {
        let live = self.entries(pool).filter(|entry| entry.is_live(slab)).count();
        assert_eq!((live as u64, self.entries(pool).count() as u64), (self.live(), self.entries));
    }

    /// Whether the tombstones are within their bound.
    pub(crate) fn check(&self) {
        let slack = 2 * self.entries / u64::from(CHUNKS_PER_CALL) / ENTRIES_PER_CHUNK as u64;
        assert!(self.dead <= TOLERATED_DEAD.max(self.live()) + slack, "{self:?}");
        assert_eq!(self.head == NIL, self.entries == 0);
    }
}

//! The hot records: one cache half-line a task, and with it the cancellation index.
//!
//! Whether an id is alive is a bounds check, a comparison of generations and a look at the state.
//! Everything a cancel has to know is in these 32 bytes, so that it costs one cache miss.

use crate::id::{LAST_GENERATION, TaskId};
use crate::memory::{OutOfMemory, ScheduleError, drop_later};
use crate::segments::{Item, NIL, Released, Segments};
use crate::stamps::{NO_STAMP, Stamps};
use crate::state::{Event, State};
use crate::time::Nanos;

/// One task: 32 bytes.
///
/// Aligned, or every other one would straddle two cache lines.
#[derive(Debug)]
#[repr(align(32))]
pub(crate) struct Record {
    /// While pending or ready, the effective deadline that orders it; while running, the nominal
    /// time of the run.
    pub(crate) deadline: Nanos,
    /// While pending or ready, its number in the order of scheduling; while running, the start.
    pub(crate) sequence: u64,
    /// How many tasks the slot has held before.
    pub(crate) generation: u32,
    /// Which arming this is (see `crate::stamps`); an entry that carries another stamp is dead.
    pub(crate) stamp: u32,
    /// Where the plan is, or which kind of plain one-shot it is; in a free slot the next free one.
    pub(crate) plan: u32,
    /// The list that holds its entry.
    pub(crate) list: ListId,
    pub(crate) priority: u8,
    pub(crate) state: State,
}

const _: () = assert!(size_of::<Record>() == 32);

/// What [`Record::plan`] says of a plain one-shot whose time is one of the wall clock: set by the
/// wall clock's even or odd number of changes. `NIL` says that it is none.
pub(crate) const ON_WALL: [u32; 2] = [NIL - 1, NIL - 2];

impl Record {
    /// Where the plan is, if there is one.
    #[inline]
    pub(crate) const fn planned(&self) -> Option<u32> {
        if self.plan < NIL - 2 { Some(self.plan) } else { None }
    }
}

/// The list that an entry is in: of which executor, and there which bucket of the wheel, or the
/// front, or a lane of the ready queue. The executor is right for all tasks, the place while pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListId(u16);

/// So many bits of a [`ListId`] are the place.
const PLACE_BITS: u32 = 11;

/// How many executors there can be.
pub const MAX_EXECUTORS: usize = 1 << (16 - PLACE_BITS);

impl ListId {
    /// Sorted and waiting for the exact nanosecond.
    pub(crate) const FRONT: u16 = (1 << PLACE_BITS) - 1;
    /// The lane of the record's priority.
    pub(crate) const LANE: u16 = Self::FRONT - 1;

    /// A list of an executor, whichever.
    #[inline]
    pub(crate) const fn of(executor: u8) -> Self {
        Self((executor as u16) << PLACE_BITS | Self::FRONT)
    }

    /// Whose list it is.
    #[inline]
    pub(crate) const fn executor(self) -> usize {
        (self.0 >> PLACE_BITS) as usize
    }

    /// Which of that executor's lists.
    #[inline]
    pub(crate) const fn place(self) -> u16 {
        self.0 & Self::FRONT
    }

    /// Notes another list of the same executor.
    #[inline]
    pub(crate) const fn move_to(&mut self, place: u16) {
        self.0 = self.0 & !Self::FRONT | place;
    }
}

const _: () = assert!(crate::wheel::LISTS <= ListId::LANE as u32);

impl Item for Record {
    fn fresh(mark: u32) -> Self {
        Self {
            deadline: 0,
            sequence: 0,
            generation: mark,
            stamp: NO_STAMP,
            plan: NIL,
            list: ListId::of(0),
            priority: 0,
            state: State::Vacant,
        }
    }

    fn link(&self) -> u32 {
        self.plan
    }

    fn set_link(&mut self, link: u32) {
        self.plan = link;
    }

    fn mark(&self) -> u32 {
        self.generation
    }
}

const SEGMENT_BITS: u32 = 16;

/// All records, in segments of 2 MiB, and beside each segment its stamps once more, densely:
/// compaction asks for nothing else, and finds sixteen in a cache line instead of two.
pub(crate) struct Slab {
    records: Segments<Record, SEGMENT_BITS>,
    dense_stamps: Vec<Vec<u32>>,
    retired_stamps: Vec<Vec<u32>>,
    pub(crate) stamps: Stamps,
    #[cfg(feature = "check-invariants")]
    work: std::cell::Cell<u64>,
}

impl Slab {
    pub(crate) const fn new() -> Self {
        Self {
            records: Segments::new(),
            dense_stamps: Vec::new(),
            retired_stamps: Vec::new(),
            stamps: Stamps::new(),
            #[cfg(feature = "check-invariants")]
            work: std::cell::Cell::new(0),
        }
    }

    /// Takes a free slot. O(1).
    ///
    /// # Errors
    /// There is none, or no memory for more.
    #[inline]
    pub(crate) fn allocate(&mut self) -> Result<u32, ScheduleError> {
        let slot = self.records.allocate()?;
        let (segment, offset) = Self::split(slot);
        let stamps = self.dense_stamps.get(segment);
        if stamps.is_none_or(|stamps| offset >= stamps.len())
            && let Err(error) = self.add_stamp(segment)
        {
            // A segment without stamps is no use as a spare one.
            self.free(slot);
            self.records.retire_if_empty(segment);
            return Err(error.into());
        }
        Ok(slot)
    }

    /// Adds the stamp of the next slot of a segment.
    fn add_stamp(&mut self, segment: usize) -> Result<(), OutOfMemory> {
        // Where memory is short, segments are not always used in order.
        while segment >= self.dense_stamps.len() {
            self.dense_stamps.try_reserve(1)?;
            self.dense_stamps.push(Vec::new());
        }
        let stamps = &mut self.dense_stamps[segment];
        if stamps.capacity() == stamps.len() {
            stamps.try_reserve_exact((1 << SEGMENT_BITS) - stamps.len())?;
        }
        stamps.push(NO_STAMP);
        Ok(())
    }

    /// Slots in use.
    #[inline]
    pub(crate) const fn taken(&self) -> u64 {
        self.records.taken()
    }

    /// Gives a slot back. O(1).
    #[inline]
    pub(crate) fn free(&mut self, slot: u32) {
        if self.records.free(slot) {
            let segment = Self::split(slot).0;
            let stamps = self.dense_stamps.get_mut(segment).map(std::mem::take);
            drop_later(&mut self.retired_stamps, stamps.unwrap_or_default());
        }
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<&Record> {
        self.records.get(slot)
    }

    /// Gives a record the next stamp, for a new entry. O(1).
    #[inline]
    pub(crate) fn draw_stamp(&mut self, slot: u32) -> u32 {
        let stamp = self.stamps.draw();
        self.set_stamp(slot, stamp);
        stamp
    }

    /// Gives a record whose entry is old the last stamp drawn, for the entry to be given too. O(1).
    pub(crate) fn renew_stamp(&mut self, slot: u32) -> u32 {
        let stamp = self.stamps.last();
        self.set_stamp(slot, stamp);
        stamp
    }

    /// Takes a record's stamp from it: its entry is dead from here on. O(1).
    #[inline]
    pub(crate) fn clear_stamp(&mut self, slot: u32) {
        self.set_stamp(slot, NO_STAMP);
    }

    #[inline]
    fn set_stamp(&mut self, slot: u32, stamp: u32) {
        let (segment, offset) = Self::split(slot);
        self.dense_stamps[segment][offset] = stamp;
        self.records[slot].stamp = stamp;
    }

    /// Hands out segments that were emptied, of records and of stamps, and one to be prepared. O(1).
    pub(crate) fn take_retired(&mut self) -> (Released<Record>, Vec<Vec<u32>>) {
        (self.records.take_retired(), std::mem::take(&mut self.retired_stamps))
    }

    /// Whether [`Slab::take_retired`] has any. O(1).
    #[inline]
    pub(crate) const fn has_retired(&self) -> bool {
        self.records.has_retired()
    }

    /// Counts steps of work, for the tests that bound what one lock hold does.
    #[inline]
    pub(crate) fn count_work(&self, _steps: u64) {
        #[cfg(feature = "check-invariants")]
        self.work.set(self.work.get() + _steps);
    }

    /// The steps of work counted so far.
    #[cfg(feature = "check-invariants")]
    pub(crate) fn work(&self) -> u64 {
        self.work.get()
    }

    /// The stamp of a slot, from the dense copy; `None` where there is no record. O(1).
    #[inline]
    pub(crate) fn stamp_of(&self, slot: u32) -> Option<u32> {
        let (segment, offset) = Self::split(slot);
        self.dense_stamps.get(segment)?.get(offset).copied()
    }

    /// The slot that a live id names. O(1), one cache miss.
    #[inline]
    pub(crate) fn resolve(&self, id: TaskId) -> Option<u32> {
        let record = self.get(id.slot())?;
        (record.generation == id.generation() && record.state.is_task()).then_some(id.slot())
    }

    /// The id of the task in a slot.
    #[inline]
    pub(crate) fn id(&self, slot: u32) -> TaskId {
        TaskId::new(slot, self[slot].generation)
    }

    /// One more than the greatest slot in use.
    pub(crate) fn limit(&self) -> u64 {
        self.records.limit()
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        let stamps: usize = self.dense_stamps.iter().map(Vec::capacity).sum();
        self.records.bytes() + (stamps * size_of::<u32>()) as u64
    }

    #[inline]
    const fn split(slot: u32) -> (usize, usize) {
        ((slot >> SEGMENT_BITS) as usize, (slot & ((1 << SEGMENT_BITS) - 1)) as usize)
    }
}

impl std::ops::Index<u32> for Slab {
    type Output = Record;

    #[inline]
    fn index(&self, slot: u32) -> &Record {
        &self.records[slot]
    }
}

impl std::ops::IndexMut<u32> for Slab {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut Record {
        &mut self.records[slot]
    }
}

impl Record {
    /// Takes a step that the transition table allows.
    #[inline]
    pub(crate) fn step(&mut self, event: Event) {
        match self.state.after(event) {
            Some(state) => self.state = state,
            None => unreachable!("no {event:?} in state {:?}", self.state),
        }
    }

    /// Ends the task: from here on its id is unknown. The slot stays with its owner as
    /// reserved, or is retired if its generations are used up: an id is never given out twice.
    #[inline]
    pub(crate) fn end_tenancy(&mut self) {
        self.plan = NIL;
        if self.generation == LAST_GENERATION {
            self.state = State::Retired;
        } else {
            self.generation += 1;
            self.state = State::Reserved;
        }
    }
}

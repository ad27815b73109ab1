//! What is behind the lock: the core, what its tasks call, the results of ended tasks, and the
//! waiters for outcomes.
//!
//! Nothing here is dropped under the lock, even if a step panics. What a step takes over comes in
//! by a mutable reference, and what is to be dropped goes into [`AfterUnlock`]. Both belong to the
//! caller and outlive the lock. Nothing of Python's is made here either: that can start a garbage
//! collection, which asks for the lock.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeInclusive};
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use scheduler_core::{
    Cancelled, Completion, Deadlines, Ended, Engine as Core, Garbage, Nanos, ScheduleError, TaskId,
};

use crate::calls::NewCall;
use crate::checks::Known;
use crate::columns::{ColumnGarbage, Columns, Emptied, LastRun};
use crate::record::Outcome;

/// How many runs ahead a record and its cell are fetched, and then the arguments that the cell names.
const FETCH_RECORD_AHEAD: u32 = 6;
const FETCH_ARGUMENTS_AHEAD: u32 = 3;

pub(crate) struct Board {
    pub(crate) core: Core,
    /// What the tasks of the core call.
    pub(crate) columns: Columns,
    /// The results of the tasks in the core's history, by their index there.
    results: Vec<HistoryEntry>,
    /// Whether any ended task is remembered.
    remembers: bool,
    /// The waiters for the task in each slot, in the order in which they came.
    waiters: BTreeMap<Place, Waiter>,
    next_waiter: u64,
}

/// What is kept of a task that has ended.
pub(crate) struct HistoryEntry {
    pub(crate) name: Py<PyString>,
    pub(crate) options: Option<Py<PyAny>>,
    /// What it returned or raised.
    pub(crate) value: Option<Py<PyAny>>,
}

/// Where the board keeps a waiter: the slot of the task, and a number of its own.
pub(crate) type Place = (u32, u64);

/// Waits for an outcome of a task.
pub(crate) struct Waiter {
    /// The object of the Python layer that gets the outcome.
    waiter: Py<PyAny>,
    /// Whether it waits for the last outcome only.
    until_end: bool,
}

/// An outcome, and the waiters that get it.
pub(crate) struct Delivery {
    pub(crate) outcome: Outcome,
    pub(crate) waiters: Vec<Py<PyAny>>,
}

/// Work that a step leaves for after the lock is released.
#[derive(Default)]
pub(crate) struct AfterUnlock {
    /// To be dropped.
    pub(crate) dropped: Dropped,
    /// To be delivered.
    pub(crate) delivery: Option<Box<Delivery>>,
}

/// What a step leaves to be dropped.
#[derive(Default)]
pub(crate) struct Dropped {
    /// What a slot held.
    pub(crate) emptied: Option<Emptied>,
    history: Option<HistoryEntry>,
    last_run: Option<Box<LastRun>>,
}

/// Memory to be freed without the lock.
pub(crate) struct BoardGarbage {
    _core: Option<Box<Garbage>>,
    _columns: Option<ColumnGarbage>,
}

impl Deadlines for Board {
    type Garbage = Box<BoardGarbage>;

    #[inline]
    fn take_garbage(&mut self) -> Option<Self::Garbage> {
        let core = self.core.take_garbage();
        let columns = self.columns.has_retired().then(|| self.columns.take_retired());
        if core.is_none() && columns.is_none() {
            return None;
        }
        Some(Box::new(BoardGarbage { _core: core, _columns: columns }))
    }

    #[inline]
    fn next_deadline(&self) -> Nanos {
        self.core.next_deadline()
    }

    fn next_deadline_for(&self, executor: u8) -> Nanos {
        self.core.next_deadline_for(executor)
    }
}

impl Board {
    pub(crate) fn new(core: Core, remembers: bool, known: Arc<Known>) -> Self {
        Self {
            core,
            columns: Columns::new(known),
            results: Vec::new(),
            remembers,
            waiters: BTreeMap::new(),
            next_waiter: 0,
        }
    }

    /// Takes a slot, fills it and arms it. If that fails, the slot is given back.
    #[inline]
    pub(crate) fn schedule(
        &mut self,
        py: Python<'_>,
        call: &NewCall<'_, '_>,
        arguments: &mut Option<Py<PyTuple>>,
        left: &mut Option<Emptied>,
        arm: impl FnOnce(&mut Core, u32) -> Result<TaskId, ScheduleError>,
    ) -> Result<TaskId, ScheduleError> {
        let slot = self.core.reserve_for(call.executor)?;
        let armed = self.columns.fill(py, slot, call, arguments, left).and_then(|()| {
            arm(&mut self.core, slot).inspect_err(|_| *left = Some(self.columns.empty(slot)))
        });
        if armed.is_err() {
            self.core.release(slot);
        }
        armed
    }

    /// Cancels a task. O(1).
    #[inline]
    pub(crate) fn cancel(
        &mut self,
        py: Python<'_>,
        id: TaskId,
        left: &mut AfterUnlock,
    ) -> Cancelled {
        let done = self.core.cancel(id);
        if let Cancelled::Removed { slot, history_index } = done {
            self.end(py, slot, history_index, &mut None, left);
        }
        done
    }

    /// Ends the run of a slot, and takes over the value that it leaves.
    #[inline]
    pub(crate) fn complete(
        &mut self,
        py: Python<'_>,
        slot: u32,
        now: Nanos,
        failed: bool,
        value: &mut Option<Py<PyAny>>,
        left: &mut AfterUnlock,
    ) -> Option<Completion> {
        let run = if self.is_awaited(slot) { self.core.id_of(slot) } else { None };
        let view = run.and_then(|id| self.core.view(id));
        let done = self.core.complete(slot, now, failed)?;
        if let Some(history_index) = done.history_index {
            self.end(py, slot, history_index, value, left);
            return Some(done);
        }
        if let (Some(id), Some(view)) = (run, view) {
            let value = value.as_ref().map(|value| value.clone_ref(py));
            let waiters = self.leave(slot, false);
            if !waiters.is_empty()
                && let Some(kept) = self.columns.kept(py, slot, value)
            {
                let ended = now.saturating_add_signed(self.core.wall_offset());
                let outcome = Outcome::of_run(id, &view, ended, failed, kept);
                left.delivery = Some(Box::new(Delivery { outcome, waiters }));
            }
        }
        if !failed {
            let value = value.take_if(|value| !value.is_none(py));
            left.dropped.last_run = self.columns.note_value(slot, value);
        }
        Some(done)
    }

    /// Empties the slot of an ended task, keeps what it leaves, and gives the slot back.
    #[inline]
    pub(crate) fn end(
        &mut self,
        py: Python<'_>,
        slot: u32,
        history_index: u32,
        value: &mut Option<Py<PyAny>>,
        left: &mut AfterUnlock,
    ) {
        let kept = if self.remembers || self.is_awaited(slot) {
            self.columns.kept(py, slot, value.take())
        } else {
            None
        };
        left.dropped.emptied = Some(self.columns.empty(slot));
        if self.is_awaited(slot) {
            let waiters = self.leave(slot, true);
            if let (Some(ended), Some(kept)) = (self.core.ended_at(history_index), &kept) {
                let outcome = Outcome::of_task(*ended, kept.clone_ref(py));
                left.delivery = Some(Box::new(Delivery { outcome, waiters }));
            }
        }
        self.core.release(slot);
        left.dropped.history = kept;
        if self.remembers {
            self.remember(history_index, &mut left.dropped.history);
        }
    }

    /// Keeps what an ended task leaves, and hands out what that replaces.
    #[inline]
    fn remember(&mut self, history_index: u32, kept: &mut Option<HistoryEntry>) {
        match (self.results.get_mut(history_index as usize), kept.take()) {
            (Some(former), Some(entry)) => *kept = Some(std::mem::replace(former, entry)),
            (None, Some(entry)) => {
                // Without memory for it, or for one before it, the task is not remembered.
                let is_next = self.results.len() == history_index as usize;
                if is_next && self.results.try_reserve(1).is_ok() {
                    self.results.push(entry);
                } else {
                    *kept = Some(entry);
                }
            }
            (_, None) => {}
        }
    }

    /// How a task ended and what it left, if that is remembered.
    pub(crate) fn ended(&self, py: Python<'_>, id: TaskId) -> Option<(Ended, HistoryEntry)> {
        let (index, ended) = self.core.ended(id)?;
        Some((*ended, self.results.get(index as usize)?.clone_ref(py)))
    }

    /// The results of ended tasks.
    pub(crate) fn results(&self) -> &[HistoryEntry] {
        &self.results
    }

    /// Hands out the results of ended tasks.
    pub(crate) fn take_results(&mut self) -> Vec<HistoryEntry> {
        std::mem::take(&mut self.results)
    }

    /// Has the processor fetch what the runs to come need. At a million tasks each of their records
    /// is a cache miss, which a run can hide if it is asked for some runs ahead. O(1).
    #[inline]
    pub(crate) fn fetch_upcoming(&self) {
        if let Some((slot, record)) = self.core.upcoming(FETCH_RECORD_AHEAD) {
            fetch(record);
            self.columns.place(slot).inspect(|cell| fetch(*cell));
        }
        let next = self.core.upcoming(FETCH_ARGUMENTS_AHEAD);
        if let Some(arguments) = next.and_then(|(slot, _)| self.columns.place_of_arguments(slot)) {
            fetch(arguments);
        }
    }

    // ---- waiters -----------------------------------------------------------------------------

    /// Enters a waiter for the next outcome of a live task, or for its last. Returns its number;
    /// None if there is no such task, and then takes nothing. O(log n).
    pub(crate) fn enter(
        &mut self,
        id: TaskId,
        until_end: bool,
        waiter: &mut Option<Py<PyAny>>,
    ) -> Option<u64> {
        let slot = self.core.slot_of(id)?;
        let waiter = Waiter { waiter: waiter.take()?, until_end };
        self.next_waiter += 1;
        self.waiters.insert((slot, self.next_waiter), waiter);
        Some(self.next_waiter)
    }

    /// Takes out a waiter. O(log n).
    pub(crate) fn withdraw(&mut self, id: TaskId, number: u64) -> Option<Py<PyAny>> {
        self.waiters.remove(&(id.slot(), number)).map(|waiter| waiter.waiter)
    }

    /// Looks at up to `budget` waiters after a place, and takes out those for tasks that no worker
    /// runs. Returns the place to continue from; None if all have been looked at.
    /// O(budget × log n).
    pub(crate) fn withdraw_idle(
        &mut self,
        after: Option<Place>,
        budget: usize,
        found: &mut Vec<(TaskId, Py<PyAny>)>,
    ) -> Option<Place> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let looked_at: Vec<Place> = self
            .waiters
            .range((from, Bound::Unbounded))
            .map(|(place, _)| *place)
            .take(budget)
            .collect();
        for place in &looked_at {
            let Some(id) = self.core.id_of(place.0) else { continue };
            let is_idle = self.core.view(id).is_some_and(|view| !view.state.is_running());
            if is_idle && let Some(waiter) = self.waiters.remove(place) {
                found.push((id, waiter.waiter));
            }
        }
        (looked_at.len() == budget).then(|| looked_at.last().copied()).flatten()
    }

    /// All waiters.
    pub(crate) fn waiters(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.waiters.values().map(|waiter| &waiter.waiter)
    }

    /// Takes out all waiters.
    pub(crate) fn take_waiters(&mut self) -> BTreeMap<Place, Waiter> {
        std::mem::take(&mut self.waiters)
    }

    /// Whether the task in a slot has a waiter.
    #[inline]
    fn is_awaited(&self, slot: u32) -> bool {
        !self.waiters.is_empty() && self.waiters.range(of(slot)).next().is_some()
    }

    /// Takes out the waiters that get an outcome, which ends the task or does not.
    fn leave(&mut self, slot: u32, ends: bool) -> Vec<Py<PyAny>> {
        let told: Vec<_> = self
            .waiters
            .range(of(slot))
            .filter(|(_, waiter)| ends || !waiter.until_end)
            .map(|(key, _)| *key)
            .collect();
        told.iter().filter_map(|key| Some(self.waiters.remove(key)?.waiter)).collect()
    }
}

/// Has the processor fetch a cache line, without waiting for it.
#[inline]
fn fetch(place: *const ()) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and never faults, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch(place.cast(), _MM_HINT_T0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

fn of(slot: u32) -> RangeInclusive<Place> {
    (slot, 0)..=(slot, u64::MAX)
}

impl HistoryEntry {
    /// A second reference to the same.
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            name: self.name.clone_ref(py),
            options: self.options.as_ref().map(|options| options.clone_ref(py)),
            value: self.value.as_ref().map(|value| value.clone_ref(py)),
        }
    }
}

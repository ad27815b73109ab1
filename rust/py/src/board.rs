//! What is behind the gate: the core, and beside its history what ended tasks returned.
//!
//! Everything here happens under the core's lock. References to Python objects are moved and
//! counted up, never dropped, for that could run anything: what has to go is handed out as
//! [`Left`], to be dropped after.

use std::collections::HashMap;

use pyo3::prelude::*;
use scheduler_core::{
    Cancelled, Completion, Deadlines, Ended, Engine as Core, Garbage, Nanos, TaskId,
};

use crate::columns::Columns;
use crate::record::Outcome;

pub(crate) struct Board {
    pub(crate) core: Core,
    /// What the tasks in the core's history called and returned, by place.
    results: Vec<Kept>,
    /// Slots whose outcomes somebody waits for.
    watched: HashMap<u32, Watch>,
}

/// What an ended task leaves: its call, and what that returned or raised.
pub(crate) struct Kept {
    pub(crate) call: Py<PyAny>,
    pub(crate) value: Py<PyAny>,
}

/// What is waited for: the next run's outcome, the last one, or both.
#[derive(Clone, Copy, Default)]
struct Watch {
    run: bool,
    end: bool,
}

/// What a step leaves to be done when the lock is released.
#[derive(Default)]
pub(crate) struct Left {
    /// To be dropped.
    pub(crate) dropped: Option<Kept>,
    /// To be put where those who wait find it.
    pub(crate) outcome: Option<Outcome>,
}

impl Deadlines for Board {
    type Garbage = Box<Garbage>;

    #[inline]
    fn take_garbage(&mut self) -> Option<Self::Garbage> {
        self.core.take_garbage()
    }

    #[inline]
    fn next_deadline(&self) -> Nanos {
        self.core.next_deadline()
    }
}

impl Board {
    pub(crate) fn new(core: Core) -> Self {
        Self { core, results: Vec::new(), watched: HashMap::new() }
    }

    /// Cancels a task; what it calls is looked up if it is removed.
    #[inline]
    pub(crate) fn cancel(
        &mut self,
        py: Python<'_>,
        id: TaskId,
        columns: &Columns,
    ) -> (Cancelled, Left) {
        let done = self.core.cancel(id);
        let Cancelled::Removed { slot, history_index: place } = done else {
            return (done, Left::default());
        };
        let kept = Kept { call: columns.call(py, slot), value: py.None() };
        (done, self.end(py, slot, place, kept))
    }

    /// Ends the run of a slot.
    #[inline]
    pub(crate) fn complete(
        &mut self,
        py: Python<'_>,
        slot: u32,
        now: Nanos,
        failed: bool,
        kept: Kept,
    ) -> (Option<Completion>, Left) {
        let watched = !self.watched.is_empty() && self.watched.contains_key(&slot);
        let run = if watched { self.core.id_of(slot) } else { None };
        let view = run.and_then(|id| self.core.view(id));
        let done = self.core.complete(slot, now, failed);
        if let Some(place) = done.and_then(|done| done.history_index) {
            return (done, self.end(py, slot, place, kept));
        }
        let wanted = run.zip(view).filter(|_| self.is_watched(slot, false));
        let outcome =
            wanted.map(|(id, view)| Outcome::of_run(id, &view, now, failed, kept.clone_ref(py)));
        (done, Left { dropped: Some(kept), outcome })
    }

    /// Keeps what an ended task leaves, and gives its slot back.
    #[inline]
    pub(crate) fn end(&mut self, py: Python<'_>, slot: u32, place: u32, kept: Kept) -> Left {
        self.core.release(slot);
        let outcome = if self.is_watched(slot, true) {
            self.core.ended_at(place).map(|ended| Outcome::of_task(*ended, kept.clone_ref(py)))
        } else {
            None
        };
        let dropped = if let Some(old) = self.results.get_mut(place as usize) {
            Some(std::mem::replace(old, kept))
        } else {
            self.results.push(kept);
            None
        };
        Left { dropped, outcome }
    }

    /// How a task ended and what it left, if that is remembered.
    pub(crate) fn ended(&self, py: Python<'_>, id: TaskId) -> Option<(Ended, Kept)> {
        let (place, ended) = self.core.ended(id)?;
        Some((*ended, self.results.get(place as usize)?.clone_ref(py)))
    }

    /// Asks for the next outcome of a live task, or its last; whether there is such a task.
    pub(crate) fn watch(&mut self, id: TaskId, until_end: bool) -> bool {
        let Some(slot) = self.core.slot_of(id) else { return false };
        let watch = self.watched.entry(slot).or_default();
        watch.run |= !until_end;
        watch.end |= until_end;
        true
    }

    /// All that ended tasks have left.
    pub(crate) fn results(&self) -> &[Kept] {
        &self.results
    }

    /// Hands out all that ended tasks have left.
    pub(crate) fn take_results(&mut self) -> Vec<Kept> {
        std::mem::take(&mut self.results)
    }

    /// Whether somebody waits for the outcome of a run, which ends the task or does not.
    #[inline]
    fn is_watched(&mut self, slot: u32, ends: bool) -> bool {
        if self.watched.is_empty() {
            return false;
        }
        let Some(watch) = self.watched.get_mut(&slot) else { return false };
        let wanted = ends || watch.run;
        watch.run = false;
        if ends || !watch.end {
            self.watched.remove(&slot);
        }
        wanted
    }
}

impl Kept {
    /// A second reference to the same.
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self { call: self.call.clone_ref(py), value: self.value.clone_ref(py) }
    }
}

//! What belongs to a task outside the core, by its slot: what it calls, its arguments, and how its
//! last run ended.
//!
//! It lies behind the core's lock, so a slot is filled in the lock hold that arms it, and emptied in
//! the one that ends its task. References are taken and moved here, which runs no Python code.
//! Nothing is dropped here: what a slot held is handed out, to be dropped without the lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use scheduler_core::{Column, NIL, Released, ScheduleError};

use crate::board::HistoryEntry;
use crate::call::is_atomic;
use crate::calls::{CallRecord, Calls, NewCall, Place};
use crate::checks::Known;

/// Of each task, what it calls and with what.
pub(crate) struct Columns {
    cells: Column<Cell>,
    pub(crate) calls: Calls,
    /// How the last run of a task that goes on ended, where there is anything to say.
    last_runs: BTreeMap<u32, Box<LastRun>>,
}

/// 16 bytes of each task.
pub(crate) struct Cell {
    /// Positional arguments, and after them the values of keyword arguments; none if empty.
    arguments: Option<Py<PyTuple>>,
    /// The number of what is called.
    call: u32,
    /// Whether the arguments refer to other objects, so that a reference cycle may lead through
    /// them: the garbage collector is told of these only.
    is_in_cycles: bool,
}

const _: () = assert!(size_of::<Cell>() == 16);

impl Default for Cell {
    fn default() -> Self {
        Self { arguments: None, call: NIL, is_in_cycles: false }
    }
}

/// How the last run of a task ended.
#[derive(Default)]
pub(crate) struct LastRun {
    pub(crate) value: Option<Py<PyAny>>,
    pub(crate) error: Option<Py<PyAny>>,
    pub(crate) failures_in_a_row: u64,
}

impl LastRun {
    /// A second reference to the same.
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        let clone = |one: &Option<Py<PyAny>>| one.as_ref().map(|one| one.clone_ref(py));
        Self {
            value: clone(&self.value),
            error: clone(&self.error),
            failures_in_a_row: self.failures_in_a_row,
        }
    }
}

/// What a slot held, to be dropped without the lock. A bulk call keeps many of these: it is small.
#[derive(Default)]
pub(crate) struct Emptied {
    _arguments: Option<Py<PyTuple>>,
    /// The call, if no task has it any more.
    _call: Option<Box<CallRecord>>,
    _last_run: Option<Box<LastRun>>,
}

/// A reference to each thing that a task calls.
pub(crate) struct Called {
    pub(crate) name: Py<PyString>,
    pub(crate) callback: Py<PyAny>,
    pub(crate) names: Option<Py<PyTuple>>,
    pub(crate) options: Option<Py<PyAny>>,
    pub(crate) arguments: Option<Py<PyTuple>>,
}

/// What the run of a task calls.
pub(crate) enum Begun {
    /// A tuple that holds the callback, which has no arguments.
    Alone(Py<PyTuple>),
    /// A callback with arguments, the last of which have names.
    Plain {
        callback: Py<PyAny>,
        arguments: Option<Py<PyTuple>>,
        names: Option<Py<PyTuple>>,
        /// The number of what is called.
        call: u32,
    },
    /// Something that needs more.
    Special(Called),
    /// A coroutine function, of which an event loop runs what it returns.
    Coroutine(Called),
}

/// Segments to be freed without the lock; they hold no reference.
pub(crate) struct ColumnGarbage {
    _cells: Vec<Vec<Cell>>,
    _calls: Released<Place>,
}

impl Columns {
    pub(crate) fn new(known: Arc<Known>) -> Self {
        Self { cells: Column::new(), calls: Calls::new(known), last_runs: BTreeMap::new() }
    }

    /// Puts a task into its slot, and takes its arguments over. O(1).
    ///
    /// # Errors
    /// There is no memory for it.
    #[inline]
    pub(crate) fn fill(
        &mut self,
        py: Python<'_>,
        slot: u32,
        call: &NewCall<'_, '_>,
        arguments: &mut Option<Py<PyTuple>>,
        left: &mut Option<Emptied>,
    ) -> Result<(), ScheduleError> {
        let call = self.calls.add_task(py, call)?;
        let is_in_cycles =
            arguments.as_ref().is_some_and(|arguments| !is_atomic(arguments.bind(py)));
        let mut cell = Cell { arguments: arguments.take(), call, is_in_cycles };
        let filled = self.cells.put(slot, &mut cell);
        if filled.is_err() {
            *left = Some(self.emptied(cell, None));
        }
        Ok(filled?)
    }

    /// Empties a slot, and hands out what it held. O(1).
    #[inline]
    pub(crate) fn empty(&mut self, slot: u32) -> Emptied {
        if self.cells.get(slot).is_none_or(|cell| cell.call == NIL) {
            return Emptied::default();
        }
        let cell = self.cells.take(slot);
        let last_run = if self.last_runs.is_empty() { None } else { self.last_runs.remove(&slot) };
        self.emptied(cell, last_run)
    }

    #[inline]
    fn emptied(&mut self, cell: Cell, last_run: Option<Box<LastRun>>) -> Emptied {
        let call = self.calls.remove_task(cell.call);
        Emptied { _arguments: cell.arguments, _call: call, _last_run: last_run }
    }

    /// Brings the cell of a slot into the cache. O(1).
    #[inline]
    pub(crate) fn warm(&self, slot: u32) {
        std::hint::black_box(self.cells.get(slot).map(|cell| cell.call));
    }

    /// Where the cell of a slot lies. O(1).
    #[inline]
    pub(crate) fn place(&self, slot: u32) -> Option<*const ()> {
        self.cells.get(slot).map(|cell| std::ptr::from_ref(cell).cast())
    }

    /// Where the arguments of a task lie, if it has any. O(1).
    #[inline]
    pub(crate) fn place_of_arguments(&self, slot: u32) -> Option<*const ()> {
        Some(self.cells.get(slot)?.arguments.as_ref()?.as_ptr().cast_const().cast())
    }

    /// What a task calls; `None` where there is no task. O(1).
    #[inline]
    pub(crate) fn call(&self, slot: u32) -> Option<&CallRecord> {
        self.calls.get(self.cells.get(slot)?.call)
    }

    /// References to what a task calls; `None` where there is no task. O(1).
    pub(crate) fn called(&self, py: Python<'_>, slot: u32) -> Option<Called> {
        let cell = self.cells.get(slot)?;
        let call = self.calls.get(cell.call)?;
        Some(Called {
            name: call.name.clone_ref(py),
            callback: call.callback.clone_ref(py),
            names: call.names.as_ref().map(|names| names.clone_ref(py)),
            options: call.options.as_ref().map(|options| options.clone_ref(py)),
            arguments: cell.arguments.as_ref().map(|arguments| arguments.clone_ref(py)),
        })
    }

    /// References to what a run has to call. O(1).
    #[inline]
    pub(crate) fn begin(&self, py: Python<'_>, slot: u32, is_announced: bool) -> Option<Begun> {
        let cell = self.cells.get(slot)?;
        let call = self.calls.get(cell.call)?;
        if call.is_coroutine {
            return self.called(py, slot).map(Begun::Coroutine);
        }
        if call.is_special || is_announced {
            return self.called(py, slot).map(Begun::Special);
        }
        if let (Some(alone), None) = (&call.alone, &cell.arguments) {
            return Some(Begun::Alone(alone.clone_ref(py)));
        }
        Some(Begun::Plain {
            callback: call.callback.clone_ref(py),
            arguments: cell.arguments.as_ref().map(|arguments| arguments.clone_ref(py)),
            names: call.names.as_ref().map(|names| names.clone_ref(py)),
            call: cell.call,
        })
    }

    /// What is kept of a task that ends, with the value that it leaves. O(1).
    #[inline]
    pub(crate) fn kept(
        &self,
        py: Python<'_>,
        slot: u32,
        value: Option<Py<PyAny>>,
    ) -> Option<HistoryEntry> {
        let call = self.call(slot)?;
        let options = call.options.as_ref().map(|options| options.clone_ref(py));
        Some(HistoryEntry { name: call.name.clone_ref(py), options, value })
    }

    /// Notes whether a run of a task took long. O(1).
    #[cold]
    pub(crate) fn note_length(&mut self, slot: u32, is_long: bool) {
        if let Some(cell) = self.cells.get(slot) {
            self.calls.note_length(cell.call, is_long);
        }
    }

    // ---- the last run ------------------------------------------------------------------------

    /// How the last run of a task ended, if there is anything to say.
    pub(crate) fn last_run(&self, slot: u32) -> Option<&LastRun> {
        self.last_runs.get(&slot).map(Box::as_ref)
    }

    /// Notes that a run completed, of a task that goes on; `None` is said by no entry. Answers what
    /// that replaces. O(log n).
    #[inline]
    pub(crate) fn note_value(
        &mut self,
        slot: u32,
        value: Option<Py<PyAny>>,
    ) -> Option<Box<LastRun>> {
        let Some(value) = value else {
            return if self.last_runs.is_empty() { None } else { self.last_runs.remove(&slot) };
        };
        let last = LastRun { value: Some(value), error: None, failures_in_a_row: 0 };
        self.last_runs.insert(slot, Box::new(last))
    }

    /// Notes that a run fails. Returns how many failed one after another, and what that replaces.
    pub(crate) fn note_error(
        &mut self,
        slot: u32,
        error: Py<PyAny>,
    ) -> (u64, [Option<Py<PyAny>>; 2]) {
        let last = self.last_runs.entry(slot).or_default();
        last.failures_in_a_row += 1;
        (last.failures_in_a_row, [last.error.replace(error), last.value.take()])
    }

    /// Begins to count the failed runs of a task again.
    pub(crate) fn forget_failures(&mut self, slot: u32) {
        if let Some(last) = self.last_runs.get_mut(&slot) {
            last.failures_in_a_row = 0;
        }
    }

    // ---- memory ------------------------------------------------------------------------------

    /// Memory held, in bytes, but for that of Python's objects.
    pub(crate) fn bytes(&self) -> u64 {
        self.cells.bytes() + self.calls.bytes()
    }

    #[inline]
    pub(crate) const fn has_retired(&self) -> bool {
        self.cells.has_retired() || self.calls.has_retired()
    }

    #[cold]
    pub(crate) fn take_retired(&mut self) -> ColumnGarbage {
        ColumnGarbage { _cells: self.cells.take_retired(), _calls: self.calls.take_retired() }
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.calls.traverse(visit)?;
        for last in self.last_runs.values() {
            visit.call(&last.value)?;
            visit.call(&last.error)?;
        }
        let in_cycles = self.cells.values().filter(|cell| cell.is_in_cycles);
        in_cycles.map(|cell| &cell.arguments).try_for_each(|arguments| visit.call(arguments))
    }
}

//! A run that was taken by an executor which does not run it at once: on an event loop runs interleave,
//! and elsewhere they happen in another process.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::PyTraverseError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use scheduler_core::{Nanos, State, TaskId};

use crate::call::{Parts, split};
use crate::columns::Called;
use crate::engine::Engine;
use crate::record::TaskRecord;
use crate::running::{self, OpenSlot, is_result};

/// A run that was taken and is to be completed, once. If it is dropped before, it is given up: it is
/// completed as failed.
#[pyclass(frozen, weakref, module = "num_agents.scheduler._native")]
pub(crate) struct OpenRun {
    engine: Py<Engine>,
    open: OpenSlot,
    id: Option<TaskId>,
    is_open: AtomicBool,
    /// The name of the task.
    #[pyo3(get)]
    name: Py<PyString>,
    /// What is to be called.
    #[pyo3(get)]
    callback: Py<PyAny>,
    /// The positional arguments.
    #[pyo3(get)]
    arguments: Py<PyTuple>,
    /// The keyword arguments; None if there are none.
    #[pyo3(get)]
    kwargs: Option<Py<PyDict>>,
    /// The context in which the task was scheduled; None if that was empty.
    #[pyo3(get)]
    context: Option<Py<PyAny>>,
    /// The options of the task, if it has any: the Python layer's.
    #[pyo3(get)]
    options: Option<Py<PyAny>>,
}

#[pymethods]
impl OpenRun {
    /// The slot of its task, which no other run has as long as it is open.
    #[getter]
    pub(crate) const fn slot(&self) -> u32 {
        self.open.slot
    }

    /// Whether it has not been completed.
    #[getter]
    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire) && !self.engine.get().belongs_to_parent()
    }

    /// The id of its task.
    #[getter]
    fn task_id<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        self.id.map(|id| self.engine.get().codec.text(py, id))
    }

    /// Whether its task has been cancelled meanwhile.
    #[getter]
    fn is_stopping(&self) -> PyResult<bool> {
        let gate = self.engine.get().gate()?;
        let state = self.id.and_then(|id| gate.look(|board| board.core.state(id)));
        Ok(state == Some(State::Stopping))
    }

    /// The record of its task; None once it has been completed.
    fn record(&self, py: Python<'_>) -> PyResult<Option<TaskRecord>> {
        let engine = self.engine.get();
        engine.check_process()?;
        let id = self.id.filter(|_| self.is_open());
        id.map_or(Ok(None), |id| engine.record_of(py, id))
    }

    /// Completes it with a value. Returns how many occurrences are skipped because they fell due
    /// while it ran; None, and does nothing, if the value is one that somebody has to await.
    fn complete(&self, py: Python<'_>, value: Bound<'_, PyAny>) -> PyResult<Option<u64>> {
        if !is_result(&value) {
            return Ok(None);
        }
        if !self.is_open.swap(false, Ordering::AcqRel) {
            return Ok(Some(0));
        }
        let engine = self.engine.get();
        let (_, _, skipped) = engine.complete_open(py, &self.open, value, false)?;
        Ok(Some(skipped))
    }

    /// Calls a function as if the calling thread had taken this run: it is that thread's current one,
    /// and can be completed as such.
    #[pyo3(signature = (function, /, *arguments))]
    fn within(
        &self,
        function: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<PyAny>> {
        let is_open = self.is_open();
        let outer = running::enter(is_open.then_some(self.open));
        let done = function.call1(arguments);
        let left = running::leave(outer);
        if is_open && left.is_none() {
            self.is_open.store(false, Ordering::Release);
        }
        done.map(Bound::unbind)
    }

    /// Ends it, unless it has ended: calls a function as [`OpenRun::within`] does, which completes it
    /// or has it tried again. Returns whether it was this call that has ended it.
    #[pyo3(signature = (function, /, *arguments))]
    fn end(
        &self,
        py: Python<'_>,
        function: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyTuple>,
    ) -> PyResult<bool> {
        if !self.is_open() || !self.is_open.swap(false, Ordering::AcqRel) {
            return Ok(false);
        }
        let outer = running::enter(Some(self.open));
        let done = function.call1(arguments).map(drop);
        // What has come back open is given up.
        let done = if running::is_entered(&self.open) {
            self.engine.get().abandon(py, self.open.slot, done)
        } else {
            done
        };
        running::leave(outer);
        done.map(|()| true)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.engine)?;
        visit.call(&self.name)?;
        visit.call(&self.callback)?;
        visit.call(&self.arguments)?;
        visit.call(&self.kwargs)?;
        visit.call(&self.context)?;
        visit.call(&self.options)
    }
}

impl OpenRun {
    pub(crate) fn new(
        py: Python<'_>,
        engine: Py<Engine>,
        slot: u32,
        now: Nanos,
        called: Called,
    ) -> PyResult<Self> {
        let Called { name, callback, names, options, arguments } = called;
        let open = OpenSlot::new(engine.get(), slot, now);
        let id = engine.get().gate()?.look(|board| board.core.id_of(slot));
        let Parts { positional, kwargs, context } = split(py, arguments, names)?;
        Ok(Self {
            engine,
            open,
            id,
            is_open: AtomicBool::new(true),
            name,
            callback,
            arguments: positional.unbind(),
            kwargs: kwargs.map(Bound::unbind),
            context,
            options,
        })
    }
}

impl Drop for OpenRun {
    fn drop(&mut self) {
        if !self.is_open() {
            return;
        }
        let engine = self.engine.get();
        Python::attach(|py| {
            let outer = running::enter(Some(self.open));
            let error = PyRuntimeError::new_err("the run was given up before it began");
            // What is answered is the error that the run ends with.
            let _ = engine.abandon(py, self.open.slot, Err(error));
            running::leave(outer);
        });
    }
}

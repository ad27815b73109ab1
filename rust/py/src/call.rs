//! What a task calls, and how its last run ended.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

/// What a task calls. Plain one-shots with the same name and the same callback share one.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct Call {
    /// The name of the task.
    #[pyo3(get)]
    pub(crate) name: Py<PyString>,
    /// What is called.
    #[pyo3(get)]
    pub(crate) callback: Py<PyAny>,
    /// The keyword arguments, if there are any.
    #[pyo3(get)]
    kwargs: Option<Py<PyDict>>,
    /// The options of the task, if it has any: the Python layer's.
    #[pyo3(get)]
    pub(crate) options: Option<Py<PyAny>>,
    /// Whether the Python layer runs it: it needs more than a call with positional arguments.
    #[pyo3(get)]
    pub(crate) is_special: bool,
    /// The tuple of the callback alone, once it was needed: see [`Call::step`].
    alone: OnceLock<Py<PyTuple>>,
    /// How many tasks call it. Changed while the interpreter is held, so by one thread at a time.
    tasks: AtomicUsize,
    /// Whether its last run took long.
    is_long: AtomicBool,
    /// How the last run ended; kept for tasks with options only.
    last: Mutex<LastRun>,
}

#[derive(Default)]
struct LastRun {
    value: Option<Py<PyAny>>,
    error: Option<Py<PyAny>>,
    failures_in_a_row: u64,
}

#[pymethods]
impl Call {
    #[new]
    #[pyo3(signature = (name, callback, kwargs = None, options = None, *, is_special = false))]
    fn new(
        name: Py<PyString>,
        callback: Py<PyAny>,
        kwargs: Option<Py<PyDict>>,
        options: Option<Py<PyAny>>,
        is_special: bool,
    ) -> Self {
        let is_special = is_special || kwargs.is_some();
        Self {
            name,
            callback,
            kwargs,
            options,
            is_special,
            alone: OnceLock::new(),
            tasks: AtomicUsize::new(0),
            is_long: AtomicBool::new(false),
            last: Mutex::default(),
        }
    }

    /// What the last run returned; None before the first, and if it failed.
    #[getter]
    fn last_value(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.last_run().value.as_ref().map(|value| value.clone_ref(py))
    }

    /// What the last run raised; None before the first, and if it completed.
    #[getter]
    fn last_error(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.last_run().error.as_ref().map(|error| error.clone_ref(py))
    }

    /// Notes that a run completed.
    #[pyo3(name = "note_value")]
    fn py_note_value(&self, value: &Bound<'_, PyAny>) {
        drop(self.note_value(value));
    }

    /// Notes that a run failed. Returns how many failed one after another.
    fn note_error(&self, error: Py<PyAny>) -> u64 {
        let mut last = self.last_run();
        let former = (last.value.take(), last.error.replace(error));
        last.failures_in_a_row += 1;
        let failures = last.failures_in_a_row;
        drop(last);
        // Dropping them can run anything: not under the lock.
        drop(former);
        failures
    }

    /// Begins to count failed runs again.
    fn forget_failures(&self) {
        self.last_run().failures_in_a_row = 0;
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.callback)?;
        visit.call(&self.kwargs)?;
        visit.call(&self.options)?;
        if let Some(alone) = self.alone.get() {
            visit.call(alone)?;
        }
        let last = self.last_run();
        visit.call(&last.value)?;
        visit.call(&last.error)
    }
}

impl Call {
    /// The call of a task without options, whose name and callback have been checked.
    pub(crate) fn plain(name: Py<PyString>, callback: Py<PyAny>) -> Self {
        Self::new(name, callback, None, None, false)
    }

    /// Notes that a run completed with a value. Answers what that replaces.
    #[inline]
    #[must_use = "to be dropped when the run has been completed"]
    pub(crate) fn note_value(&self, value: &Bound<'_, PyAny>) -> [Option<Py<PyAny>>; 2] {
        if self.options.is_none() {
            return [None, None];
        }
        let mut last = self.last_run();
        last.failures_in_a_row = 0;
        [last.value.replace(value.clone().unbind()), last.error.take()]
    }

    /// The callback and its positional arguments, in one tuple. O(arguments).
    #[inline]
    pub(crate) fn step<'py>(
        &self,
        py: Python<'py>,
        arguments: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let callback = self.callback.bind(py);
        match arguments.len() {
            0 => {
                if let Some(alone) = self.alone.get() {
                    return Ok(alone.bind(py).clone());
                }
                let alone = PyTuple::new(py, [callback])?;
                // Another thread may have been first.
                let _ = self.alone.set(alone.clone().unbind());
                Ok(alone)
            }
            1 => PyTuple::new(py, [callback, &arguments.get_item(0)?]),
            2 => PyTuple::new(py, [callback, &arguments.get_item(0)?, &arguments.get_item(1)?]),
            many => {
                let mut step = Vec::with_capacity(many + 1);
                step.push(callback.clone());
                step.extend(arguments.iter());
                PyTuple::new(py, step)
            }
        }
    }

    /// Whether its last run took long.
    #[inline]
    pub(crate) fn is_long(&self) -> bool {
        self.is_long.load(Ordering::Relaxed)
    }

    /// Notes whether a run took long.
    pub(crate) fn note_length(&self, is_long: bool) {
        self.is_long.store(is_long, Ordering::Relaxed);
    }

    /// Notes that one more task calls it.
    #[inline]
    pub(crate) fn add_task(&self) {
        self.tasks.store(self.tasks.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Notes that one task fewer calls it. Returns whether none does any more.
    #[inline]
    pub(crate) fn remove_task(&self) -> bool {
        let tasks = self.tasks.load(Ordering::Relaxed).saturating_sub(1);
        self.tasks.store(tasks, Ordering::Relaxed);
        tasks == 0
    }

    fn last_run(&self) -> MutexGuard<'_, LastRun> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

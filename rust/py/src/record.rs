//! Records of tasks and of outcomes, for Python.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use scheduler_core::{Ended, Nanos, TaskId, TaskView};

use crate::board::HistoryEntry;
use crate::call::Call;
use crate::columns::{Called, LastRun};
use crate::ids::IdCodec;

/// How a run or a task ended, on its way to Python.
pub(crate) struct Outcome {
    id: TaskId,
    status: &'static str,
    /// Whether the task ended with it.
    is_last: bool,
    priority: u8,
    nominal: Nanos,
    due: Nanos,
    started: Option<Nanos>,
    ended: Option<Nanos>,
    runs: u64,
    missed: u64,
    attempt: u32,
    kept: HistoryEntry,
}

/// A task, alive or remembered, at the moment of asking. Moments in nanoseconds.
#[pyclass(frozen, get_all, module = "num_agents.scheduler._native")]
pub(crate) struct TaskRecord {
    /// Its id.
    task_id: Py<PyString>,
    /// Its name.
    name: Py<PyString>,
    /// Whether it can still run.
    is_live: bool,
    /// "pending", "running", "paused", "completed", "failed", "cancelled" or "missed".
    status: &'static str,
    /// 0 first to 255 last.
    priority: u8,
    /// The nominal time of its next occurrence; of a running or ended one, of that run.
    nominal_ns: Nanos,
    /// When a live one is due next, or its run or that of an ended one was: by jitter and a window
    /// later than the nominal time.
    due_ns: Nanos,
    /// When its last run started.
    started_ns: Option<Nanos>,
    /// When its last run ended.
    ended_ns: Option<Nanos>,
    /// Runs started.
    runs: u64,
    /// Of a live task, all occurrences missed; of an ended one or a run, those of that run.
    missed: u64,
    /// Occurrences missed between the run before and the last.
    missed_by_run: u64,
    /// Occurrences skipped because the last one still ran.
    skipped: u64,
    /// Which attempt at its run is under way or to come; of an ended one, at how many it ended.
    attempt: u32,
    /// When the first attempt at the run under way or to come started; None before that.
    first_started_ns: Option<Nanos>,
    /// What a live one calls.
    callback: Option<Py<PyAny>>,
    /// With which positional arguments; None of an ended one.
    arguments: Option<Py<PyTuple>>,
    /// With which keyword arguments; None if there are none.
    kwargs: Option<Py<PyDict>>,
    /// What the last run of a live one returned; None before the first, and if it failed.
    last_value: Option<Py<PyAny>>,
    /// What the last run of a live one raised; None before the first, and if it completed.
    last_error: Option<Py<PyAny>>,
    /// Its options, if it has any.
    options: Option<Py<PyAny>>,
    /// What an ended one returned, or raised.
    value: Option<Py<PyAny>>,
}

impl Outcome {
    /// How a run ended that did not end its task.
    pub(crate) fn of_run(
        id: TaskId,
        view: &TaskView,
        ended: Nanos,
        failed: bool,
        kept: HistoryEntry,
    ) -> Self {
        Self {
            id,
            status: if failed { "failed" } else { "completed" },
            is_last: false,
            priority: view.priority,
            nominal: view.nominal,
            due: view.due,
            started: view.started,
            ended: Some(ended),
            runs: view.runs,
            missed: view.missed_by_run,
            attempt: view.attempt,
            kept,
        }
    }

    /// How a task ended.
    pub(crate) fn of_task(ended: Ended, kept: HistoryEntry) -> Self {
        Self {
            id: ended.id,
            status: ended.ending.word(),
            is_last: true,
            priority: ended.priority,
            nominal: ended.nominal,
            due: ended.due,
            started: ended.started,
            ended: ended.ended,
            runs: ended.runs,
            missed: ended.missed,
            attempt: ended.attempts,
            kept,
        }
    }

    /// The record that Python sees.
    pub(crate) fn into_record(self, py: Python<'_>, codec: &IdCodec) -> TaskRecord {
        TaskRecord {
            task_id: codec.text(py, self.id).unbind(),
            name: self.kept.name,
            is_live: !self.is_last,
            status: self.status,
            priority: self.priority,
            nominal_ns: self.nominal,
            due_ns: self.due,
            started_ns: self.started,
            ended_ns: self.ended,
            runs: self.runs,
            missed: self.missed,
            missed_by_run: self.missed,
            skipped: 0,
            attempt: self.attempt,
            first_started_ns: None,
            callback: None,
            arguments: None,
            kwargs: None,
            last_value: None,
            last_error: None,
            options: self.kept.options,
            value: self.kept.value,
        }
    }
}

impl TaskRecord {
    /// A live task.
    pub(crate) fn live(
        py: Python<'_>,
        codec: &IdCodec,
        id: TaskId,
        view: &TaskView,
        called: Called,
        last: LastRun,
    ) -> PyResult<Self> {
        let Call { name, callback, arguments, kwargs, options } = Call::new(py, called)?;
        Ok(Self {
            task_id: codec.text(py, id).unbind(),
            name,
            is_live: true,
            status: view.state.word(),
            priority: view.priority,
            nominal_ns: view.nominal,
            due_ns: view.due,
            started_ns: view.started,
            ended_ns: view.ended,
            runs: view.runs,
            missed: view.missed,
            missed_by_run: view.missed_by_run,
            skipped: view.skipped,
            attempt: view.attempt,
            first_started_ns: view.first_started,
            callback: Some(callback),
            arguments: Some(arguments),
            kwargs,
            last_value: last.value,
            last_error: last.error,
            options,
            value: None,
        })
    }
}

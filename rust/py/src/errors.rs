//! The errors of calls, and the Python exception for each.

use std::collections::TryReserveError;

use pyo3::exceptions::{
    PyIndexError, PyMemoryError, PyOverflowError, PyRuntimeError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use scheduler_core::calendar::{CronError, InvalidInterval, NeverFires, UnknownZone};
use scheduler_core::{InvalidSpan, OutOfMemory, ScheduleError};

pyo3::import_exception!(num_agents.scheduler.errors, SchedulerForkedError);

/// A call that cannot be carried out.
pub(crate) enum Error {
    /// A number of seconds that is no span of time; the index where it is one of many.
    Span { argument: &'static str, index: Option<usize>, seconds: f64, reason: InvalidSpan },
    /// Something that is not of the type it should be.
    Type { argument: &'static str, expected: &'static str, value: String },
    /// A number out of its range.
    Range { argument: &'static str, expected: &'static str, value: String },
    /// Two arguments whose lengths differ.
    Length { argument: &'static str, expected: usize, found: usize },
    /// A cron expression that is none.
    Cron(CronError),
    /// A calendar interval that is none.
    Interval(InvalidInterval),
    /// A calendar without an occurrence.
    Never(NeverFires),
    /// A name that no time zone has.
    Zone(UnknownZone),
    /// An index beyond the ends of a sequence.
    Index,
    /// A value that is not in a sequence.
    Absent,
    /// The core does not schedule a task.
    Schedule(ScheduleError),
    /// There is no memory for what was asked for.
    OutOfMemory,
    /// The engine belongs to the parent of this process.
    Forked,
}

impl Error {
    pub(crate) fn wrong_type(
        argument: &'static str,
        expected: &'static str,
        value: &Bound<'_, PyAny>,
    ) -> Self {
        Self::Type { argument, expected, value: show(value) }
    }

    pub(crate) fn out_of_range(
        argument: &'static str,
        expected: &'static str,
        value: &Bound<'_, PyAny>,
    ) -> Self {
        Self::Range { argument, expected, value: show(value) }
    }
}

/// A value as it stands in a message, whatever its `__repr__` does.
pub(crate) fn show(value: &Bound<'_, PyAny>) -> String {
    match value.repr() {
        Ok(text) => {
            let text = text.to_string_lossy();
            text.chars().take(80).collect()
        }
        Err(_) => match value.get_type().name() {
            Ok(name) => format!("<{name}>"),
            Err(_) => "<?>".to_owned(),
        },
    }
}

impl From<ScheduleError> for Error {
    fn from(error: ScheduleError) -> Self {
        Self::Schedule(error)
    }
}

impl From<OutOfMemory> for Error {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

impl From<TryReserveError> for Error {
    fn from(_: TryReserveError) -> Self {
        Self::OutOfMemory
    }
}

impl From<UnknownZone> for Error {
    fn from(error: UnknownZone) -> Self {
        Self::Zone(error)
    }
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        match error {
            Error::Span { argument, index, seconds, reason } => {
                let place = index.map_or(String::new(), |index| format!("[{index}]"));
                let message = format!("{argument}{place} {reason}, got {seconds:?}");
                match reason {
                    InvalidSpan::BeyondCalendar => PyOverflowError::new_err(message),
                    InvalidSpan::NotFinite | InvalidSpan::Negative => {
                        PyValueError::new_err(message)
                    }
                }
            }
            Error::Type { argument, expected, value } => {
                PyTypeError::new_err(format!("{argument} must be {expected}, got {value}"))
            }
            Error::Range { argument, expected, value } => {
                PyValueError::new_err(format!("{argument} must be {expected}, got {value}"))
            }
            Error::Length { argument, expected, found } => PyValueError::new_err(format!(
                "{argument} must have {expected} items, as many as there are tasks, got {found}"
            )),
            // The Python layer turns it into an exception of its own class.
            Error::Cron(error) => PyValueError::new_err((
                error.to_string(),
                error.field,
                error.position,
                error.reason,
            )),
            Error::Interval(error) => PyValueError::new_err(error.to_string()),
            Error::Never(error) => PyValueError::new_err(error.to_string()),
            Error::Zone(error) => PyValueError::new_err(error.to_string()),
            Error::Index => PyIndexError::new_err("task id index out of range"),
            Error::Absent => PyValueError::new_err("value is not in the sequence"),
            Error::Forked => SchedulerForkedError::new_err(
                "this scheduler belongs to the parent process: make a new one in the child",
            ),
            Error::Schedule(ScheduleError::Full) => {
                PyRuntimeError::new_err("the scheduler holds 2**32 tasks: no more fit")
            }
            Error::Schedule(ScheduleError::OutOfMemory) | Error::OutOfMemory => {
                PyMemoryError::new_err("no memory for what the scheduler was asked to hold")
            }
            // Not reached: whoever arms a slot has reserved it.
            Error::Schedule(error @ ScheduleError::NotReserved) => {
                PyRuntimeError::new_err(error.to_string())
            }
        }
    }
}

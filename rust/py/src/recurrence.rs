//! The recurrence of a task, from Python's numbers to the core's.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyString;
use scheduler_core::{FAR_FUTURE, Misfire, Nanos, Repeat};

use crate::calendar::Calendar;
use crate::errors::Error;

const MISFIRE_WORDS: &str = "'latest', 'earliest', 'all' or 'skip'";

/// When a task is due after its first time. Spans and moments in nanoseconds; all moments are
/// those of the wall. Tasks that are given the same object share it in the core too.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct Recurrence(pub(crate) Arc<scheduler_core::Recurrence>);

#[pymethods]
impl Recurrence {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python's, each with a default")]
    #[pyo3(signature = (
        misfire,
        *,
        interval_ns = 0,
        fixed_delay = false,
        start_ns = None,
        end_ns = None,
        max_runs = None,
        grace_ns = None,
        catch_up_limit = None,
        calendar = None,
        jitter_ns = 0,
        window_ns = 0,
        on_wall = false,
    ))]
    fn new(
        misfire: &Bound<'_, PyString>,
        interval_ns: Nanos,
        fixed_delay: bool,
        start_ns: Option<Nanos>,
        end_ns: Option<Nanos>,
        max_runs: Option<u64>,
        grace_ns: Option<Nanos>,
        catch_up_limit: Option<u64>,
        calendar: Option<&Calendar>,
        jitter_ns: Nanos,
        window_ns: Nanos,
        on_wall: bool,
    ) -> PyResult<Self> {
        let repeat = match (calendar, interval_ns, fixed_delay) {
            (Some(calendar), ..) => Repeat::Calendar(calendar.0.clone()),
            (None, 0, _) => Repeat::Once,
            (None, interval, false) => Repeat::FixedRate(interval),
            (None, delay, true) => Repeat::FixedDelay(delay),
        };
        let word = match misfire.to_cow()?.as_ref() {
            "latest" => Misfire::Latest,
            "earliest" => Misfire::Earliest,
            "all" => Misfire::All,
            "skip" => Misfire::Skip,
            _ => return Err(Error::out_of_range("misfire", MISFIRE_WORDS, misfire).into()),
        };
        Ok(Self(Arc::new(scheduler_core::Recurrence {
            repeat,
            start: start_ns.unwrap_or(0),
            end: end_ns.unwrap_or(FAR_FUTURE),
            max_runs: max_runs.unwrap_or(u64::MAX),
            misfire: word,
            grace: grace_ns.unwrap_or(FAR_FUTURE),
            catch_up_limit: catch_up_limit.unwrap_or(u64::MAX),
            jitter: jitter_ns,
            window: window_ns,
            on_wall: on_wall || calendar.is_some(),
        })))
    }
}

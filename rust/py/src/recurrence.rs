//! The recurrence of a task, from Python's numbers to the core's.

use pyo3::prelude::*;
use pyo3::types::PyString;
use scheduler_core::{FAR_FUTURE, Misfire, Nanos, Repeat};

use crate::errors::Error;

const MISFIRE_WORDS: &str = "'latest', 'earliest', 'all' or 'skip'";

/// When a task is due after its first time. Spans and moments in nanoseconds.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct Recurrence(pub(crate) scheduler_core::Recurrence);

#[pymethods]
impl Recurrence {
    #[new]
    #[pyo3(signature = (
        misfire,
        *,
        interval_ns = 0,
        fixed_delay = false,
        end_ns = None,
        max_runs = None,
        grace_ns = None,
        catch_up_limit = None,
    ))]
    fn new(
        misfire: &Bound<'_, PyString>,
        interval_ns: Nanos,
        fixed_delay: bool,
        end_ns: Option<Nanos>,
        max_runs: Option<u64>,
        grace_ns: Option<Nanos>,
        catch_up_limit: Option<u64>,
    ) -> PyResult<Self> {
        let repeat = match (interval_ns, fixed_delay) {
            (0, _) => Repeat::Once,
            (interval, false) => Repeat::FixedRate(interval),
            (delay, true) => Repeat::FixedDelay(delay),
        };
        let word = match misfire.to_cow()?.as_ref() {
            "latest" => Misfire::Latest,
            "earliest" => Misfire::Earliest,
            "all" => Misfire::All,
            "skip" => Misfire::Skip,
            _ => return Err(Error::out_of_range("misfire", MISFIRE_WORDS, misfire).into()),
        };
        Ok(Self(scheduler_core::Recurrence {
            repeat,
            end: end_ns.unwrap_or(FAR_FUTURE),
            max_runs: max_runs.unwrap_or(u64::MAX),
            misfire: word,
            grace: grace_ns.unwrap_or(FAR_FUTURE),
            catch_up_limit: catch_up_limit.unwrap_or(u64::MAX),
        }))
    }
}

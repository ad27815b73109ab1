//! What is to come, second by second, for Python to sum up.

use pyo3::prelude::*;

/// Runs in each second ahead.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct Forecast(pub(crate) scheduler_core::Forecast);

#[pymethods]
impl Forecast {
    /// Runs in each stretch of so many seconds.
    fn buckets(&self, py: Python<'_>, width: usize) -> Vec<u64> {
        let sum = |bucket: &[u32]| bucket.iter().copied().map(u64::from).sum();
        py.detach(|| self.0.seconds().chunks(width.max(1)).map(sum).collect())
    }

    /// The seconds with the most runs, as (second, runs): most first, then the earliest.
    fn busiest(&self, py: Python<'_>, count: usize) -> Vec<(usize, u32)> {
        py.detach(|| {
            let mut seconds: Vec<(usize, u32)> = self
                .0
                .seconds()
                .iter()
                .copied()
                .enumerate()
                .filter(|(_, runs)| *runs > 0)
                .collect();
            seconds.sort_unstable_by_key(|(second, runs)| (u32::MAX - runs, *second));
            seconds.truncate(count);
            seconds
        })
    }

    /// Seconds with more than one run.
    fn collisions(&self, py: Python<'_>) -> usize {
        py.detach(|| self.0.seconds().iter().filter(|runs| **runs > 1).count())
    }
}

//! A forecast: future runs by the second, for Python to sum up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use pyo3::prelude::*;

/// Runs in each second ahead.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct Forecast(pub(crate) scheduler_core::Forecast);

#[pymethods]
impl Forecast {
    /// Runs in buckets of `width` seconds: at most `count` of them, from the one numbered `first`.
    fn buckets(&self, py: Python<'_>, width: usize, first: usize, count: usize) -> Vec<u64> {
        let sum = |bucket: &[u32]| bucket.iter().copied().map(u64::from).sum();
        let seconds = self.0.seconds();
        let begin = width.saturating_mul(first).min(seconds.len());
        py.detach(|| seconds[begin..].chunks(width.max(1)).take(count).map(sum).collect())
    }

    /// All runs.
    fn total(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.0.seconds().iter().copied().map(u64::from).sum())
    }

    /// The seconds with the most runs, as (second, runs): most first, then the earliest. Memory for
    /// `count` of them only.
    fn busiest(&self, py: Python<'_>, count: usize) -> Vec<(usize, u32)> {
        py.detach(|| {
            // The least of those kept is on top: the one to go when there are more than enough.
            let mut kept = BinaryHeap::new();
            for (second, &runs) in self.0.seconds().iter().enumerate() {
                if runs == 0 {
                    continue;
                }
                let found = Reverse((runs, Reverse(second)));
                if kept.len() < count {
                    kept.push(found);
                } else if let Some(mut least) = kept.peek_mut() {
                    if found < *least {
                        *least = found;
                    }
                }
            }
            let sorted = kept.into_sorted_vec();
            sorted.into_iter().map(|Reverse((runs, Reverse(second)))| (second, runs)).collect()
        })
    }

    /// Seconds with more than one run.
    fn collisions(&self, py: Python<'_>) -> usize {
        py.detach(|| self.0.seconds().iter().filter(|runs| **runs > 1).count())
    }
}

//! What can be looked up: tasks, deadlines, figures.

use pyo3::prelude::*;
use scheduler_core::{NEVER, Nanos, State, TaskId};

use crate::convert::id_text;
use crate::engine::{Engine, SLICE};
use crate::record::{Outcome, TaskRecord};
use crate::task_ids::TaskIds;

/// A bucket of the histogram of lateness: least, greatest, count.
type Bucket = (Nanos, Nanos, u64);

#[pymethods]
impl Engine {
    /// What is known of a task, alive or remembered.
    fn record(&self, py: Python<'_>, task_id: &Bound<'_, PyAny>) -> PyResult<Option<TaskRecord>> {
        let id = self.codec.parse(id_text(task_id)?);
        self.gate()?;
        id.map_or(Ok(None), |id| self.record_of(py, id))
    }

    /// Whether a task has not ended.
    fn is_live(&self, task_id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id = self.codec.parse(id_text(task_id)?);
        let gate = self.gate()?;
        Ok(id.is_some_and(|id| gate.look(|board| board.core.slot_of(id).is_some())))
    }

    /// The ids of live tasks (`kind` "live"), pending ones, due ones, running ones, or ended and
    /// remembered ones.
    fn task_ids(&self, py: Python<'_>, kind: &str) -> PyResult<TaskIds> {
        let gate = self.gate()?;
        let now = scheduler_core::Clock::now(self.clock.get());
        let mut ids = Vec::new();
        if kind == "ended" {
            gate.look(|board| ids.extend(board.core.history().map(|ended| ended.id)));
            return Ok(TaskIds { ids, codec: self.codec.clone() });
        }
        let mut from = 0;
        loop {
            let more = gate.look(|board| {
                let slice = board.core.tasks(from, SLICE as u32);
                ids.extend(slice.filter_map(|(id, state)| {
                    let wanted = match kind {
                        "pending" => matches!(state, State::Pending | State::Ready),
                        "due" => board.core.is_due(id, now),
                        "running" => state.is_running(),
                        _ => true,
                    };
                    wanted.then_some(id)
                }));
                from += SLICE as u32;
                u64::from(from) < board.core.slot_limit()
            });
            if !more {
                return Ok(TaskIds { ids, codec: self.codec.clone() });
            }
            Self::let_others_run(py);
        }
    }

    /// Moves due tasks of an executor on and says when something is due next for it; None if nothing
    /// is pending.
    fn next_deadline(&self, py: Python<'_>, executor: u8) -> PyResult<Option<Nanos>> {
        let gate = self.gate()?;
        self.advance(py, gate, executor);
        let next = gate.look(|board| board.core.next_deadline_for(executor));
        Ok((next != NEVER).then_some(next))
    }

    /// Counters, gauges and sizes, by name.
    fn statistics(&self) -> PyResult<Vec<(&'static str, u64)>> {
        Ok(self.gate()?.look(|board| {
            let (counters, gauges) = (board.core.counters(), board.core.gauges());
            vec![
                ("scheduled", counters.scheduled),
                ("cancelled", counters.cancelled),
                ("started", counters.started),
                ("completed", counters.completed),
                ("failed", counters.failed),
                ("retried", counters.retried),
                ("missed", counters.missed),
                ("skipped", counters.skipped),
                ("clock_changes", counters.clock_changes),
                ("rekeyed", counters.rekeyed),
                ("deferred", counters.deferred),
                ("pending", gauges.pending),
                ("running", gauges.running),
                ("paused", gauges.paused),
                ("due", board.core.ready()),
                ("memory_bytes", board.core.bytes() + board.columns.bytes()),
            ]
        }))
    }

    /// The lateness of runs: count, greatest, and the buckets that hold any as (least, greatest,
    /// count), ascending, in nanoseconds.
    fn lateness(&self) -> PyResult<(u64, Nanos, Vec<Bucket>)> {
        let lateness = self.gate()?.look(|board| board.core.lateness().clone());
        Ok((lateness.count(), lateness.maximum(), lateness.buckets().collect()))
    }
}

impl Engine {
    /// What is known of a task.
    pub(crate) fn record_of(&self, py: Python<'_>, id: TaskId) -> PyResult<Option<TaskRecord>> {
        let gate = self.gate()?;
        let live = gate.look(|board| {
            // First: no reference is taken that would have to be dropped here.
            let view = board.core.view(id)?;
            let called = board.columns.called(py, id.slot())?;
            let last = board.columns.last_run(id.slot()).map(|last| last.clone_ref(py));
            Some((view, called, last.unwrap_or_default()))
        });
        if let Some((view, called, last)) = live {
            return TaskRecord::live(py, &self.codec, id, &view, called, last).map(Some);
        }
        let found = gate.look(|board| board.ended(py, id));
        Ok(found.map(|(ended, kept)| Outcome::of_task(ended, kept).into_record(py, &self.codec)))
    }
}

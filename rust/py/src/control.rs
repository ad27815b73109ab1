//! What changes tasks that are scheduled.

use std::sync::Arc;

use pyo3::prelude::*;
use scheduler_core::{Cancelled, Clock as _, Engine as Core, Nanos, OutOfMemory, TaskId};

use crate::board::AfterUnlock;
use crate::convert::id_text;
use crate::engine::{Engine, SLICE};
use crate::errors::Error;
use crate::recurrence::Recurrence;
use crate::task_ids::TaskIds;

/// Ids of a bulk call that are read together.
const GROUP: usize = 64;

#[pymethods]
impl Engine {
    /// Cancels a task: 0 unknown, 1 it will not run, 2 it runs and will not run again.
    fn cancel(&self, py: Python<'_>, task_id: &Bound<'_, PyAny>) -> PyResult<u8> {
        let gate = self.gate()?;
        let Some(id) = self.codec.parse(id_text(task_id)?) else { return Ok(0) };
        let mut left = AfterUnlock::default();
        let done = gate.edit(|board| {
            // Independent cache misses overlap.
            board.core.warm(&[id]);
            board.columns.warm(id.slot());
            board.cancel(py, id, &mut left)
        });
        self.after_unlock(py, left)?;
        Ok(match done {
            Cancelled::Unknown => 0,
            Cancelled::Removed { .. } => 1,
            Cancelled::Signalled => 2,
        })
    }

    /// Cancels many. Returns how many it stopped, and the ids of those that run. Ids that are no
    /// strings are a TypeError before anything is cancelled.
    pub(crate) fn cancel_many(
        &self,
        py: Python<'_>,
        task_ids: &Bound<'_, PyAny>,
    ) -> PyResult<(usize, TaskIds)> {
        let gate = self.gate()?;
        let parsed;
        let known = task_ids.cast::<TaskIds>().ok().map(Bound::get);
        let ids = match known {
            Some(known) if Arc::ptr_eq(&known.codec, &self.codec) => &known.ids,
            _ => {
                parsed = self.parse_many(task_ids)?;
                &parsed
            }
        };
        let (mut stopped, mut running, mut interrupted) = (0, Vec::new(), Ok(()));
        let mut left = Vec::with_capacity(SLICE);
        for slice in ids.chunks(SLICE) {
            left.resize_with(slice.len(), AfterUnlock::default);
            gate.edit(|board| {
                board.core.warm(slice);
                slice.iter().for_each(|id| board.columns.warm(id.slot()));
                for (id, left) in slice.iter().zip(&mut left) {
                    match board.cancel(py, *id, left) {
                        Cancelled::Unknown => continue,
                        Cancelled::Removed { .. } => {}
                        Cancelled::Signalled => running.push(*id),
                    }
                    stopped += 1;
                }
            });
            for left in left.drain(..) {
                if let Err(error) = self.after_unlock(py, left) {
                    interrupted = Err(error);
                }
            }
            Self::let_others_run(py);
        }
        interrupted.map(|()| (stopped, TaskIds { ids: running, codec: self.codec.clone() }))
    }

    /// Keeps a task from running until it is resumed.
    fn pause(&self, task_id: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.control(task_id, |core, id, _| core.pause(id))
    }

    /// Arms a paused task again.
    fn resume(&self, task_id: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.control(task_id, |core, id, now| {
            core.tell(now);
            core.resume(id)
        })
    }

    /// Gives a task another time: a span from now, or a moment of the wall. At a moment, a one-shot
    /// follows the wall from then on.
    #[pyo3(signature = (task_id, *, after_ns = None, wall_ns = None))]
    fn reschedule(
        &self,
        task_id: &Bound<'_, PyAny>,
        after_ns: Option<Nanos>,
        wall_ns: Option<Nanos>,
    ) -> PyResult<bool> {
        self.control(task_id, |core, id, now| match (after_ns, wall_ns) {
            (_, Some(wall)) => core.reschedule(id, wall, true),
            (after, None) => {
                let moment = scheduler_core::after(now, after.unwrap_or(0));
                core.reschedule(id, moment.saturating_add_signed(core.wall_offset()), false)
            }
        })
    }

    /// Replaces the recurrence of a live task: for calendars whose times are computed in pieces.
    fn extend(&self, task_id: &Bound<'_, PyAny>, recurrence: &Recurrence) -> PyResult<bool> {
        let id = self.codec.parse(id_text(task_id)?);
        let gate = self.gate()?;
        // Dropped after the lock is released.
        let replaced = id.and_then(|id| {
            gate.edit(|board| board.core.replace_calendar(id, &recurrence.0.repeat))
        });
        Ok(replaced.is_some())
    }

    /// Begins to count the failed runs of a task again.
    fn forget_failures(&self, task_id: &Bound<'_, PyAny>) -> PyResult<()> {
        let id = self.codec.parse(id_text(task_id)?);
        self.gate()?.edit(|board| {
            if let Some(slot) = id.and_then(|id| board.core.slot_of(id)) {
                board.columns.forget_failures(slot);
            }
        });
        Ok(())
    }

    /// Runs a task once more, now.
    fn run_now(&self, task_id: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.control(task_id, |core, id, now| {
            core.tell(now);
            core.run_now(id)
        })
    }
}

impl Engine {
    /// Changes a live task; false for an id that names none.
    fn control(
        &self,
        task_id: &Bound<'_, PyAny>,
        change: impl FnOnce(&mut Core, TaskId, Nanos) -> bool,
    ) -> PyResult<bool> {
        let id = self.codec.parse(id_text(task_id)?);
        let gate = self.gate()?;
        let now = self.clock.get().now();
        let Some(id) = id else { return Ok(false) };
        let changed = gate.with(|board| {
            board.core.reserve_plan()?;
            Ok(change(&mut board.core, id, now))
        });
        Ok(changed.map_err(|error: OutOfMemory| Error::from(error))?)
    }

    fn parse_many(&self, task_ids: &Bound<'_, PyAny>) -> PyResult<Vec<TaskId>> {
        let mut ids = Vec::new();
        let mut listed = task_ids.try_iter()?;
        let mut group = Vec::with_capacity(GROUP);
        loop {
            // Referring to many before reading any: independent cache misses overlap.
            for task_id in listed.by_ref().take(GROUP) {
                group.push(task_id?);
            }
            if group.is_empty() {
                return Ok(ids);
            }
            ids.try_reserve(group.len()).map_err(Error::from)?;
            for task_id in group.drain(..) {
                ids.extend(self.codec.parse(id_text(&task_id)?));
            }
        }
    }
}

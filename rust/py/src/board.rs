//! What is behind the lock: the core, what ended tasks leave, and who waits for which outcome.
//!
//! Nothing here is dropped under the lock, not even if a step panics: what a step takes over comes
//! in by a mutable reference, and what is to be dropped goes into [`Leftover`], which belongs to
//! the caller and outlives the lock.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use pyo3::types::PyString;
use scheduler_core::{
    Cancelled, Completion, Deadlines, Ended, Engine as Core, Garbage, Nanos, TaskId,
};

use crate::call::Call;
use crate::record::Outcome;

pub(crate) struct Board {
    pub(crate) core: Core,
    /// What the tasks in the core's history left, by their index there.
    results: Vec<Kept>,
    /// Whether any ended task is remembered.
    remembers: bool,
    /// Who waits for the outcome of the task in a slot, in the order of coming.
    waiters: BTreeMap<(u32, u64), Waiter>,
    next_waiter: u64,
}

/// What is kept of a task that has ended.
pub(crate) struct Kept {
    pub(crate) name: Py<PyString>,
    pub(crate) options: Option<Py<PyAny>>,
    /// What it returned or raised.
    pub(crate) value: Option<Py<PyAny>>,
}

/// One who waits for an outcome of a task.
pub(crate) struct Waiter {
    /// Who is to be told: the Python layer's.
    waiter: Py<PyAny>,
    /// Whether only the last outcome is meant.
    until_end: bool,
}

/// An outcome, and who is to be told of it.
pub(crate) struct Delivery {
    pub(crate) outcome: Outcome,
    pub(crate) waiters: Vec<Py<PyAny>>,
}

/// What a step leaves to be done after the lock is released.
#[derive(Default)]
pub(crate) struct Leftover {
    /// To be dropped.
    pub(crate) dropped: Option<Kept>,
    /// To be delivered.
    pub(crate) delivery: Option<Delivery>,
}

impl Deadlines for Board {
    type Garbage = Box<Garbage>;

    #[inline]
    fn take_garbage(&mut self) -> Option<Self::Garbage> {
        self.core.take_garbage()
    }

    #[inline]
    fn next_deadline(&self) -> Nanos {
        self.core.next_deadline()
    }
}

impl Board {
    pub(crate) fn new(core: Core, remembers: bool) -> Self {
        Self { core, results: Vec::new(), remembers, waiters: BTreeMap::new(), next_waiter: 0 }
    }

    /// Cancels a task, and takes over what is kept if the task ends with it.
    #[inline]
    pub(crate) fn cancel(
        &mut self,
        py: Python<'_>,
        id: TaskId,
        kept: &mut Option<Kept>,
        left: &mut Leftover,
    ) -> Cancelled {
        let done = self.core.cancel(id);
        if let Cancelled::Removed { slot, history_index } = done {
            self.end(py, slot, history_index, kept, left);
        }
        done
    }

    /// Ends the run of a slot, which takes over what is kept.
    #[inline]
    pub(crate) fn complete(
        &mut self,
        py: Python<'_>,
        slot: u32,
        now: Nanos,
        failed: bool,
        kept: &mut Option<Kept>,
        left: &mut Leftover,
    ) -> Option<Completion> {
        let run = if self.is_awaited(slot) { self.core.id_of(slot) } else { None };
        let view = run.and_then(|id| self.core.view(id));
        let done = self.core.complete(slot, now, failed);
        if let Some(history_index) = done.and_then(|done| done.history_index) {
            self.end(py, slot, history_index, kept, left);
        } else if let (Some(id), Some(view), Some(kept)) = (run, view, &*kept) {
            let waiters = self.leave(slot, false);
            if !waiters.is_empty() {
                let outcome = Outcome::of_run(id, &view, now, failed, kept.clone_ref(py));
                left.delivery = Some(Delivery { outcome, waiters });
            }
        }
        done
    }

    /// Keeps what an ended task leaves, and gives its slot back.
    #[inline]
    pub(crate) fn end(
        &mut self,
        py: Python<'_>,
        slot: u32,
        history_index: u32,
        kept: &mut Option<Kept>,
        left: &mut Leftover,
    ) {
        self.core.release(slot);
        if self.is_awaited(slot) {
            let waiters = self.leave(slot, true);
            if let (Some(ended), Some(kept)) = (self.core.ended_at(history_index), &*kept) {
                let outcome = Outcome::of_task(*ended, kept.clone_ref(py));
                left.delivery = Some(Delivery { outcome, waiters });
            }
        }
        if !self.remembers {
            return;
        }
        match (self.results.get_mut(history_index as usize), kept.take()) {
            (Some(former), Some(kept)) => left.dropped = Some(std::mem::replace(former, kept)),
            (None, Some(kept)) => {
                // Without memory for it, or for one before it, the task is not remembered.
                let is_next = self.results.len() == history_index as usize;
                if is_next && self.results.try_reserve(1).is_ok() {
                    self.results.push(kept);
                } else {
                    left.dropped = Some(kept);
                }
            }
            (_, None) => {}
        }
    }

    /// How a task ended and what it left, if that is remembered.
    pub(crate) fn ended(&self, py: Python<'_>, id: TaskId) -> Option<(Ended, Kept)> {
        let (index, ended) = self.core.ended(id)?;
        Some((*ended, self.results.get(index as usize)?.clone_ref(py)))
    }

    /// All that ended tasks have left.
    pub(crate) fn results(&self) -> &[Kept] {
        &self.results
    }

    /// Hands out all that ended tasks have left.
    pub(crate) fn take_results(&mut self) -> Vec<Kept> {
        std::mem::take(&mut self.results)
    }

    // ---- who waits ---------------------------------------------------------------------------

    /// Enters one who waits for the next outcome of a live task, or for its last. Returns under
    /// which number; None if there is no such task, and then takes nothing. O(log n).
    pub(crate) fn enter(
        &mut self,
        id: TaskId,
        until_end: bool,
        waiter: &mut Option<Py<PyAny>>,
    ) -> Option<u64> {
        let slot = self.core.slot_of(id)?;
        let waiter = Waiter { waiter: waiter.take()?, until_end };
        self.next_waiter += 1;
        self.waiters.insert((slot, self.next_waiter), waiter);
        Some(self.next_waiter)
    }

    /// Takes out one who waits no longer. O(log n).
    pub(crate) fn withdraw(&mut self, id: TaskId, number: u64) -> Option<Py<PyAny>> {
        self.waiters.remove(&(id.slot(), number)).map(|waiter| waiter.waiter)
    }

    /// Takes out all who wait for tasks that no worker runs. O(n).
    pub(crate) fn withdraw_idle(&mut self) -> Vec<(TaskId, Py<PyAny>)> {
        let idle: Vec<_> = self
            .waiters
            .keys()
            .filter_map(|key| {
                let id = self.core.id_of(key.0)?;
                let running = self.core.view(id)?.state.is_running();
                (!running).then_some((id, *key))
            })
            .collect();
        idle.into_iter()
            .filter_map(|(id, key)| Some((id, self.waiters.remove(&key)?.waiter)))
            .collect()
    }

    /// All who wait.
    pub(crate) fn waiters(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.waiters.values().map(|waiter| &waiter.waiter)
    }

    /// Takes all out who wait.
    pub(crate) fn take_waiters(&mut self) -> BTreeMap<(u32, u64), Waiter> {
        std::mem::take(&mut self.waiters)
    }

    /// Whether somebody waits for the task in a slot.
    #[inline]
    fn is_awaited(&self, slot: u32) -> bool {
        !self.waiters.is_empty() && self.waiters.range(of(slot)).next().is_some()
    }

    /// Takes out those for whom an outcome is meant, which ends the task or does not.
    fn leave(&mut self, slot: u32, ends: bool) -> Vec<Py<PyAny>> {
        let told: Vec<_> = self
            .waiters
            .range(of(slot))
            .filter(|(_, waiter)| ends || !waiter.until_end)
            .map(|(key, _)| *key)
            .collect();
        told.iter().filter_map(|key| Some(self.waiters.remove(key)?.waiter)).collect()
    }
}

fn of(slot: u32) -> std::ops::RangeInclusive<(u32, u64)> {
    (slot, 0)..=(slot, u64::MAX)
}

impl Kept {
    /// What is to be kept of a task that calls this.
    #[inline]
    pub(crate) fn of(py: Python<'_>, call: &Call, value: Option<Py<PyAny>>) -> Self {
        let options = call.options.as_ref().map(|options| options.clone_ref(py));
        Self { name: call.name.clone_ref(py), options, value }
    }

    /// A second reference to the same.
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            name: self.name.clone_ref(py),
            options: self.options.as_ref().map(|options| options.clone_ref(py)),
            value: self.value.as_ref().map(|value| value.clone_ref(py)),
        }
    }
}

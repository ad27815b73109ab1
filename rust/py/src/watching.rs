//! Delivers outcomes to those who wait for them.
//!
//! Waiters are kept behind the core's lock, so a waiter that was entered before a run completed
//! gets the outcome of that run. An outcome is delivered after the lock is released and before the
//! thread takes its next task, because delivering it can run any Python code.

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use scheduler_core::TaskId;

use crate::board::{AfterUnlock, Delivery};
use crate::convert::id_text;
use crate::engine::{Engine, SLICE};
use crate::steps;

/// A waiter that is entered. It is taken out when nothing refers to this any more: in one step of
/// the interpreter, so that no signal handler can come in between.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct Watch {
    engine: Py<Engine>,
    id: TaskId,
    number: u64,
}

#[pymethods]
impl Watch {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.engine)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // In a forked child there is no gate.
        if let Ok(gate) = self.engine.get().gate() {
            // Dropped after the lock is released.
            let _waiter = gate.edit(|board| board.withdraw(self.id, self.number));
        }
    }
}

#[pymethods]
impl Engine {
    /// Enters a waiter for the next outcome of a live task, or for its last. None if there is no
    /// such task.
    fn watch(
        slf: Py<Self>,
        task_id: &Bound<'_, PyAny>,
        until_end: bool,
        waiter: Py<PyAny>,
    ) -> PyResult<Option<Watch>> {
        let engine = slf.get();
        let gate = engine.gate()?;
        let Some(id) = engine.codec.parse(id_text(task_id)?) else { return Ok(None) };
        let mut waiter = Some(waiter);
        let number = gate.edit(|board| board.enter(id, until_end, &mut waiter));
        Ok(number.map(|number| Watch { engine: slf, id, number }))
    }

    /// Takes out the waiters for tasks that no worker runs: id and waiter.
    fn unwatch_idle<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Vec<(Bound<'py, PyString>, Py<PyAny>)>> {
        let gate = self.gate()?;
        let (mut found, mut place) = (Vec::new(), None);
        loop {
            // Room for those found: none must be dropped under the lock.
            found.reserve(SLICE);
            place = gate.edit(|board| board.withdraw_idle(place, SLICE, &mut found));
            if place.is_none() {
                break;
            }
        }
        Ok(found.into_iter().map(|(id, waiter)| (self.codec.text(py, id), waiter)).collect())
    }

    /// The number of waiters.
    #[getter]
    fn watchers(&self) -> PyResult<usize> {
        Ok(self.gate()?.look(|board| board.waiters().count()))
    }
}

impl Engine {
    /// Does what a step under the lock has left: drops what is to be dropped, and gives the outcome
    /// to all waiters. An error is what interrupted this, returned after all have been told.
    #[inline]
    pub(crate) fn after_unlock(&self, py: Python<'_>, left: AfterUnlock) -> PyResult<()> {
        let AfterUnlock { dropped, delivery } = left;
        drop(dropped);
        delivery.map_or(Ok(()), |delivery| self.deliver(py, *delivery))
    }

    /// As [`Engine::after_unlock`], at the end of a run. In a worker thread the waiters are told before the
    /// thread takes another task: they can run any Python code.
    #[inline]
    pub(crate) fn after_run(&self, py: Python<'_>, left: AfterUnlock) -> PyResult<()> {
        let AfterUnlock { dropped, delivery } = left;
        drop(dropped);
        match delivery {
            Some(delivery) if steps::is_worker() => self.deliver_later(py, *delivery),
            delivery => delivery.map_or(Ok(()), |delivery| self.deliver(py, *delivery)),
        }
    }

    #[cold]
    fn deliver_later(&self, py: Python<'_>, delivery: Delivery) -> PyResult<()> {
        let Delivery { outcome, waiters } = delivery;
        let record = Bound::new(py, outcome.into_record(py, &self.codec))?.into_any();
        for waiter in waiters {
            let settle = waiter.getattr(py, intern!(py, "settle"))?.into_bound(py);
            steps::push(PyTuple::new(py, [settle, record.clone()])?);
        }
        Ok(())
    }

    #[cold]
    fn deliver(&self, py: Python<'_>, delivery: Delivery) -> PyResult<()> {
        let Delivery { outcome, waiters } = delivery;
        let record = Bound::new(py, outcome.into_record(py, &self.codec))?;
        let mut done = Ok(());
        for waiter in waiters {
            let tell = || waiter.bind(py).call_method1("settle", (&record,)).map(drop);
            if let Err(error) = tell() {
                // The interrupt may have come before anything was done. Who has been told already
                // is not told a second time. Another interrupt may follow.
                let _ = (0..3).any(|_| tell().is_ok());
                done = Err(error);
            }
        }
        done
    }
}

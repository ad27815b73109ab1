//! The loop of a worker thread, as an iterator of calls.
//!
//! The interpreter's own iterators drive it: `next(filter(None, map(steps.finish, starmap(call,
//! steps))))`. Each step is a tuple of a function and its arguments. Two properties follow:
//!
//! - No line of Python is executed between completing a run and calling the next callback. So no
//!   asynchronous exception can come in between.
//! - No frame of this crate lies below a callback. A callback that outlives the interpreter ends in
//!   `pthread_exit` (before Python 3.14), which unwinds the thread's stack, and Rust aborts the
//!   process when it is unwound like that.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::call::{Call, step};
use crate::columns::Begun;
use crate::engine::Engine;
use crate::errors::Error;
use crate::running::{Next, Taken, is_result};
use crate::workers::WorkerGroup;

/// How often a call is tried that an asynchronous exception interrupts.
const TRIES: u8 = 3;

thread_local! {
    /// What this thread has to call before it takes another task; the first may be under way.
    static CALLS: RefCell<Calls> = RefCell::default();
}

#[derive(Default)]
struct Calls {
    /// Whether the thread is a worker, which makes these calls.
    is_worker: bool,
    queue: VecDeque<Pending>,
    /// Whether the first is under way.
    is_under_way: bool,
}

struct Pending {
    call: Py<PyTuple>,
    tries: u8,
}

/// The calls that a worker thread makes, one after another. It sleeps in between without the
/// interpreter. For one thread, and not for the main thread: it would hear no signal.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct Steps {
    engine: Py<Engine>,
    /// The Python layer's part in a run: see [`Engine::run_next`].
    runs: Py<PyAny>,
    /// Whether each run is announced: then the Python layer runs all.
    is_announced: bool,
    group: Py<WorkerGroup>,
    /// The context in which the calls are made.
    context: Py<PyAny>,
    is_over: AtomicBool,
}

#[pymethods]
impl Steps {
    #[new]
    fn new(
        engine: Py<Engine>,
        runs: Py<PyAny>,
        is_announced: bool,
        group: Py<WorkerGroup>,
        context: Py<PyAny>,
    ) -> Self {
        Self { engine, runs, is_announced, group, context, is_over: AtomicBool::new(false) }
    }

    /// Whether the worker must end.
    #[getter]
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.engine)?;
        visit.call(&self.runs)?;
        visit.call(&self.group)?;
        visit.call(&self.context)
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// The next call. The iteration ends when the worker must end, or when a call has left something
    /// in the context, so that the next run needs a new one.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let engine = self.engine.get();
        let gate = engine.gate()?;
        CALLS.with_borrow_mut(|calls| calls.is_worker = true);
        let mut arriving = false;
        loop {
            if let Some(call) = next_call(py) {
                return Ok(Some(call));
            }
            // Something was raised around the last run, and nothing has ended it.
            engine.abandon_open(py);
            let must_leave = self.group.get().must_leave();
            if must_leave || self.context.bind(py).len()? > 0 {
                if arriving {
                    gate.turn_back();
                }
                self.is_over.store(must_leave, Ordering::Relaxed);
                return Ok(None);
            }
            match engine.take_or_stop(py, std::mem::take(&mut arriving), self.is_announced)? {
                Next::Run(taken) => return self.begin(py, taken).map(Some),
                Next::Missed(missed) => {
                    push(PyTuple::new(py, [self.runs.getattr(py, intern!(py, "missed"))?])?);
                    engine.note_missed(py, missed)?;
                }
                // Without the interpreter: meanwhile the worker may be told to leave.
                Next::Undecided => engine.advance(py, gate, 0),
                Next::Nothing => {
                    let (clock, group) = (engine.clock.get(), self.group.get());
                    let wait = || gate.wait_unless(clock, || group.must_leave());
                    arriving = py.detach(wait);
                    if !arriving {
                        self.is_over.store(true, Ordering::Relaxed);
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Takes what a call returned: ends the run of a plain task with it.
    fn finish(&self, py: Python<'_>, value: Bound<'_, PyAny>) -> PyResult<()> {
        let engine = self.engine.get();
        if engine.belongs_to_parent() {
            // The child of a fork in the call: nothing here is its own to complete or to drop.
            std::mem::forget(value);
            return Err(Error::Forked.into());
        }
        if finish_call() {
            return Ok(());
        }
        // Otherwise the Python layer has completed the run.
        let Some(slot) = engine.open_slot() else { return Ok(()) };
        if !is_result(&value) {
            let refuse = self.runs.getattr(py, intern!(py, "refuse"))?.into_bound(py);
            let call = Bound::new(py, engine.open_call(py)?.ok_or(Error::Absent)?)?;
            push(PyTuple::new(py, [refuse, call.into_any(), value])?);
            return Ok(());
        }
        let (_, _, skipped) = engine.complete_slot(py, slot, value, false)?;
        if skipped > 0
            && let Some((id, name)) = engine.name_of(py, slot)?
        {
            self.report(py, (id, name, 0_u64, skipped))?;
        }
        Ok(())
    }
}

impl Steps {
    /// The call that runs the task that was taken.
    #[inline]
    fn begin<'py>(&self, py: Python<'py>, taken: Taken) -> PyResult<Bound<'py, PyTuple>> {
        let engine = self.engine.get();
        engine.open(&taken);
        let Taken { slot, missed, is_long, begun, .. } = taken;
        if is_long {
            engine.gate()?.hand_on();
        }
        if missed > 0
            && let Some((id, name)) = engine.name_of(py, slot)?
        {
            self.report(py, (id, name, missed, 0_u64))?;
        }
        match begun.ok_or(Error::Absent)? {
            Begun::Alone(alone) => Ok(alone.into_bound(py)),
            Begun::Plain { callback, arguments, names, call } => {
                let is_alone = arguments.is_none();
                let step = step(py, callback, arguments, names)?;
                if is_alone {
                    let alone = step.clone().unbind();
                    // Another thread may have been first; what it has kept is dropped here.
                    let _former =
                        engine.gate()?.edit(|board| board.columns.calls.keep_alone(call, alone));
                }
                Ok(step)
            }
            Begun::Special(called) | Begun::Coroutine(called) => {
                let run = self.runs.getattr(py, intern!(py, "run"))?.into_bound(py);
                let call = Bound::new(py, Call::new(py, called)?)?;
                PyTuple::new(py, [run, call.into_any()])
            }
        }
    }

    /// Has occurrences reported that were given up.
    #[cold]
    fn report<'py>(
        &self,
        py: Python<'py>,
        about: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>,
    ) -> PyResult<()> {
        let about = about.into_pyobject(py)?;
        let report = self.runs.getattr(py, intern!(py, "given_up"))?.into_bound(py);
        let mut call = vec![report];
        call.extend(about.iter());
        push(PyTuple::new(py, call)?);
        Ok(())
    }
}

/// Has something called before the thread takes another task.
pub(crate) fn push(call: Bound<'_, PyTuple>) {
    CALLS.with_borrow_mut(|calls| {
        calls.queue.push_back(Pending { call: call.unbind(), tries: 0 });
    });
}

/// Whether calls of this thread can be put off until before it takes another task.
#[inline]
pub(crate) fn is_worker() -> bool {
    CALLS.with_borrow(|calls| calls.is_worker)
}

/// Sets that, and returns what it was: a worker may move a virtual clock.
pub(crate) fn set_worker(is_worker: bool) -> bool {
    CALLS.with_borrow_mut(|calls| std::mem::replace(&mut calls.is_worker, is_worker))
}

/// The first of what is to be called before another task is taken. One that was under way and did
/// not come to its end is tried again.
#[inline]
fn next_call(py: Python<'_>) -> Option<Bound<'_, PyTuple>> {
    // Dropped after the borrow has ended: that can run any Python code.
    let mut given_up = Vec::new();
    CALLS.with_borrow_mut(|calls| {
        calls.is_under_way = false;
        while let Some(first) = calls.queue.front_mut() {
            first.tries += 1;
            if first.tries <= TRIES {
                let call = first.call.bind(py).clone();
                calls.is_under_way = true;
                return Some(call);
            }
            given_up.extend(calls.queue.pop_front());
        }
        None
    })
}

/// Notes that a call has come to its end. Returns whether it was one of the queue.
#[inline]
fn finish_call() -> bool {
    let ended = CALLS.with_borrow_mut(|calls| {
        if std::mem::take(&mut calls.is_under_way) { calls.queue.pop_front() } else { None }
    });
    // Dropped after the borrow has ended: that can run any Python code.
    ended.is_some()
}

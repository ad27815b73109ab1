//! The life of a run: take, call, complete.
//!
//! A thread takes one task, the first in order at that moment, and runs it. Here are the steps, and
//! the loop of a thread that moves a virtual clock; `steps.rs` has the loop of a worker thread. Three
//! rules hold for both:
//!
//! 1. **Between taking a task and calling it nothing else runs**, except handlers of its own
//!    `task_started` event. What the last run left is dropped (its arguments, its result) or
//!    delivered (outcomes that have waiters) before the next task is taken: both can run any Python
//!    code.
//! 2. **Whatever was taken is completed.** A thread knows the run that it has taken and not completed.
//!    If it comes to take another one, or to its end, with a run that is still open, that run is
//!    abandoned: it is completed as failed.
//! 3. **A child that was forked in a run completes nothing**: the engine is its parent's.

use std::cell::Cell;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};
use scheduler_core::{
    ADVANCE_BUDGET, Clock as _, Missed, Nanos, OutOfMemory, Phase, State, Taken as CoreTaken,
};

use crate::board::{AfterUnlock, Board, HistoryEntry};
use crate::call::{Call, Parts, split};
use crate::columns::{Begun, Called};
use crate::engine::{Engine, lock};
use crate::errors::Error;
use crate::open_run::OpenRun;
use crate::record::TaskRecord;
use crate::steps;
use crate::workers::WorkerGroup;

thread_local! {
    /// The run that this thread has taken and not completed.
    static OPEN_RUN: Cell<Option<OpenSlot>> = const { Cell::new(None) };
}

/// A run under way.
#[derive(Clone, Copy)]
pub(crate) struct OpenSlot {
    /// The address of its engine.
    engine: usize,
    pub(crate) slot: u32,
    taken_ns: Nanos,
    /// Whether what it calls was known for long runs; None where that makes no difference.
    is_long: Option<bool>,
}

impl OpenSlot {
    /// A run that does not keep the thread which has taken it.
    pub(crate) fn new(engine: &Engine, slot: u32, taken_ns: Nanos) -> Self {
        Self { engine: engine.address(), slot, taken_ns, is_long: None }
    }
}

/// Makes a run the one that the calling thread is in. Returns what is to be restored by [`leave`].
pub(crate) fn enter(run: Option<OpenSlot>) -> (Option<OpenSlot>, bool) {
    (OPEN_RUN.replace(run), steps::set_worker(false))
}

/// Whether the calling thread is in a run that it has entered, and that has not been completed.
pub(crate) fn is_entered(run: &OpenSlot) -> bool {
    OPEN_RUN.get().is_some_and(|open| open.slot == run.slot && open.engine == run.engine)
}

/// Restores what was before [`enter`]. Returns the run, unless it has been completed.
pub(crate) fn leave(outer: (Option<OpenSlot>, bool)) -> Option<OpenSlot> {
    steps::set_worker(outer.1);
    OPEN_RUN.replace(outer.0)
}

/// After a run that took longer, the watch over the next deadline is handed on before a run of the
/// same call: another thread then watches from the start. Short runs are cheaper without.
const KNOWN_LONG_NS: Nanos = 100_000;

/// Occurrences that were missed: id, name, options, nominal time of the first, how many, whether
/// the task ended with them.
type MissedReport<'py> = (Bound<'py, PyString>, Py<PyString>, Option<Py<PyAny>>, Nanos, u64, bool);

/// The Python layer's part in a run.
struct Runs<'a, 'py> {
    runs: &'a Bound<'py, PyAny>,
}

/// What is to be done next.
pub(crate) enum Next {
    Run(Taken),
    Missed(Missed),
    Nothing,
    /// More is to be moved or counted than one lock hold may: not known yet.
    Undecided,
}

/// A run that was taken.
pub(crate) struct Taken {
    pub(crate) slot: u32,
    /// How many overdue occurrences of its task are missed for this run.
    pub(crate) missed: u64,
    /// When it was taken.
    pub(crate) now: Nanos,
    /// Whether what it calls is known for long runs.
    pub(crate) is_long: bool,
    /// What it calls; `None` is not reached: a slot is filled before its task can be taken.
    pub(crate) begun: Option<Begun>,
}

impl Next {
    #[inline]
    fn of(
        py: Python<'_>,
        board: &mut Board,
        executor: u8,
        open: bool,
        now: Nanos,
        is_announced: bool,
    ) -> Self {
        if !open {
            return Self::Nothing;
        }
        if !board.core.advance_for(executor, now, ADVANCE_BUDGET) {
            return Self::Undecided;
        }
        let missed = board.core.counters().missed;
        match board.core.take_for(executor) {
            Some(CoreTaken::Run(slot)) => {
                let missed = board.core.counters().missed - missed;
                let is_long = board.columns.call(slot).is_some_and(|call| call.is_long);
                let begun = board.columns.begin(py, slot, is_announced);
                Self::Run(Taken { slot, missed, now, is_long, begun })
            }
            Some(CoreTaken::Missed(missed)) => Self::Missed(missed),
            Some(CoreTaken::Undecided) => Self::Undecided,
            None => Self::Nothing,
        }
    }
}

#[pymethods]
impl Engine {
    /// Runs the first in order of what is due now; for the thread that moves a virtual clock.
    /// Returns whether there was anything. Raises what the Python layer lets through.
    ///
    /// `runs` is the Python layer's part in a run. It has the methods `run(call)`, `fail(call,
    /// error)`, `refuse(call, value)`, `missed()`, `given_up(task_id, name, missed, skipped)` and
    /// `contain(error)`. If each run is announced, it runs all.
    fn run_next(
        &self,
        py: Python<'_>,
        runs: &Bound<'_, PyAny>,
        is_announced: bool,
    ) -> PyResult<bool> {
        let runs = Runs { runs };
        let next = loop {
            match self.take_or_stop(py, false, is_announced)? {
                Next::Undecided => self.advance(py, self.gate()?, 0),
                decided => break decided,
            }
        };
        let outer = enter(None);
        let done = match next {
            Next::Run(taken) => self.run_taken(py, &runs, taken).map(|()| true),
            Next::Missed(missed) => {
                self.report_missed(py, &runs, missed);
                Ok(true)
            }
            Next::Nothing | Next::Undecided => Ok(false),
        };
        leave(outer);
        done
    }

    /// Runs what is due for another executor, in order, until nothing is, `budget_ns` have passed, or
    /// `room` coroutines have been begun. Plain callbacks are called; of a coroutine function's run
    /// `begin(run)` is told, which completes it later.
    ///
    /// It ends as well after a callback that has set a variable in `context`, in which this is called:
    /// the next one needs another.
    ///
    /// Returns 0 if nothing is due any more: the executor rests, and its alarm will ring. 1 if there
    /// may be more, 2 if there is no room. Raises what the Python layer lets through.
    #[expect(clippy::too_many_arguments, reason = "what an executor knows")]
    fn run_batch(
        slf: &Bound<'_, Self>,
        executor: u8,
        runs: &Bound<'_, PyAny>,
        begin: &Bound<'_, PyAny>,
        context: &Bound<'_, PyAny>,
        is_announced: bool,
        budget_ns: Nanos,
        room: usize,
    ) -> PyResult<u8> {
        let outer = enter(None);
        let batch = Batch { executor, runs: Runs { runs }, begin, context, is_announced };
        let done = batch.run(slf, budget_ns, room);
        leave(outer);
        done
    }

    /// Completes the run that the calling thread has taken. Returns its status ("completed",
    /// "failed" or "cancelled"), whether the task ended with it, and how many occurrences are
    /// skipped because they fell due while it ran.
    fn complete(
        &self,
        py: Python<'_>,
        value: Bound<'_, PyAny>,
        failed: bool,
    ) -> PyResult<(&'static str, bool, u64)> {
        let slot = self.open_slot().ok_or_else(|| PyRuntimeError::new_err("no run is open"))?;
        self.complete_slot(py, slot, value, failed)
    }

    /// Takes the run that the calling thread has taken from it: it is a value from here on.
    fn detach(slf: &Bound<'_, Self>) -> PyResult<OpenRun> {
        let (py, this) = (slf.py(), slf.get());
        let run = OPEN_RUN.get().filter(|run| run.engine == this.address());
        let run = run.ok_or_else(|| PyRuntimeError::new_err("no run is open"))?;
        let called = this.gate()?.look(|board| board.columns.called(py, run.slot));
        let called = called.ok_or(Error::Absent)?;
        let detached = OpenRun::new(py, slf.clone().unbind(), run.slot, run.taken_ns, called)?;
        OPEN_RUN.set(None);
        Ok(detached)
    }

    /// Has the run that the calling thread has taken tried again after a span. Returns how many
    /// attempts have failed; None if it is to be completed instead: its task was cancelled or given
    /// another time meanwhile.
    fn retry(&self, after_ns: Nanos) -> PyResult<Option<u32>> {
        let slot = self.open_slot().ok_or_else(|| PyRuntimeError::new_err("no run is open"))?;
        let (gate, now) = (self.gate()?, self.clock.get().now());
        let attempts = gate.with(|board| {
            board.core.reserve_plan()?;
            Ok(board.core.retry(slot, now, after_ns))
        });
        let attempts = attempts.map_err(|error: OutOfMemory| Error::from(error))?;
        if attempts.is_some() {
            OPEN_RUN.set(None);
        }
        Ok(attempts)
    }

    /// What the task calls whose run the calling thread has taken; None if it is in no run.
    pub(crate) fn open_call(&self, py: Python<'_>) -> PyResult<Option<Call>> {
        let Some(slot) = self.open_slot() else { return Ok(None) };
        let called = self.gate()?.look(|board| board.columns.called(py, slot));
        called.map(|called| Call::new(py, called)).transpose()
    }

    /// Notes what the run raises that the calling thread has taken, before it is completed. Returns
    /// how many runs of its task failed one after another.
    fn note_error(&self, error: Py<PyAny>) -> PyResult<u64> {
        let slot = self.open_slot().ok_or_else(|| PyRuntimeError::new_err("no run is open"))?;
        // What that replaces is dropped without the lock.
        let (failures, _replaced) =
            self.gate()?.edit(|board| board.columns.note_error(slot, error));
        Ok(failures)
    }

    /// Completes the run that the calling thread has taken, if any, as failed.
    pub(crate) fn abandon_open(&self, py: Python<'_>) {
        if let Some(slot) = self.open_slot() {
            // What is answered is the error that the run ends with.
            let _ = self.abandon(py, slot, Ok(()));
        }
    }

    /// The missed occurrences that are not reported yet.
    fn take_missed<'py>(&self, py: Python<'py>) -> Vec<MissedReport<'py>> {
        let misses = std::mem::take(&mut *lock(&self.misses));
        let report = |(missed, kept): (Missed, HistoryEntry)| {
            let id = self.codec.text(py, missed.id);
            (
                id,
                kept.name,
                kept.options,
                missed.nominal,
                missed.missed,
                missed.history_index.is_some(),
            )
        };
        misses.into_iter().map(report).collect()
    }

    /// The id of the task whose run the calling thread has taken from this engine.
    fn current<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        self.open_slot().map_or(Ok(None), |slot| self.id_of(py, slot))
    }

    /// The record of that task.
    fn current_record(&self, py: Python<'_>) -> PyResult<Option<TaskRecord>> {
        let Some(slot) = self.open_slot() else { return Ok(None) };
        let id = self.gate()?.look(|board| board.core.id_of(slot));
        id.map_or(Ok(None), |id| self.record_of(py, id))
    }

    /// The slot of a task that runs; None of any other.
    fn running_slot(&self, task_id: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
        let id = self.codec.parse(crate::convert::id_text(task_id)?);
        let gate = self.gate()?;
        let state = |id| gate.look(|board| board.core.view(id).map(|view| view.state));
        let runs = |id: &scheduler_core::TaskId| state(*id).is_some_and(State::is_running);
        Ok(id.filter(runs).map(|id| id.slot()))
    }

    /// Whether a task runs and has been cancelled meanwhile.
    fn is_stopping(&self, task_id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id = self.codec.parse(crate::convert::id_text(task_id)?);
        let gate = self.gate()?;
        let state = |id| gate.look(|board| board.core.view(id).map(|view| view.state));
        Ok(id.and_then(state) == Some(State::Stopping))
    }

    /// Opens (2), drains (1) or closes (0) the gate.
    fn set_phase(&self, phase: u8) -> PyResult<()> {
        self.gate()?.set_phase(match phase {
            0 => Phase::Closed,
            1 => Phase::Draining,
            _ => Phase::Open,
        });
        Ok(())
    }

    /// Lets no worker of a group start another run.
    fn dismiss(&self, group: &WorkerGroup) -> PyResult<()> {
        group.dismiss();
        self.gate()?.look_again();
        Ok(())
    }

    /// Lets one worker of a group go: the first that comes to the end of its run, or sleeps.
    fn remove_worker(&self, group: &WorkerGroup) -> PyResult<()> {
        group.remove();
        self.gate()?.look_again();
        Ok(())
    }
}

impl Engine {
    /// The slot whose run the calling thread has taken from this engine and not completed.
    #[inline]
    pub(crate) fn open_slot(&self) -> Option<u32> {
        let run = OPEN_RUN.get()?;
        (run.engine == self.address()).then_some(run.slot)
    }

    /// The id of the task in a slot.
    pub(crate) fn id_of<'py>(
        &self,
        py: Python<'py>,
        slot: u32,
    ) -> PyResult<Option<Bound<'py, PyString>>> {
        let id = self.gate()?.look(|board| board.core.id_of(slot));
        Ok(id.map(|id| self.codec.text(py, id)))
    }

    /// The id and the name of the task in a slot.
    pub(crate) fn name_of<'py>(
        &self,
        py: Python<'py>,
        slot: u32,
    ) -> PyResult<Option<(Bound<'py, PyString>, Py<PyString>)>> {
        let found = self.gate()?.look(|board| {
            let call = board.columns.call(slot)?;
            Some((board.core.id_of(slot)?, call.name.clone_ref(py)))
        });
        Ok(found.map(|(id, name)| (self.codec.text(py, id), name)))
    }

    /// Notes that the calling thread has taken the run of a slot.
    #[inline]
    pub(crate) fn open(&self, taken: &Taken) {
        let Taken { slot, now, is_long, .. } = *taken;
        let (engine, is_long) = (self.address(), Some(is_long));
        OPEN_RUN.set(Some(OpenSlot { engine, slot, taken_ns: now, is_long }));
    }

    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Takes the first in order of what is due, unless more is to be moved or counted for that than
    /// one lock hold may. Nothing else has been taken by this thread.
    #[inline]
    pub(crate) fn take_or_stop(
        &self,
        py: Python<'_>,
        arriving: bool,
        is_announced: bool,
    ) -> Result<Next, Error> {
        let clock = self.clock.get();
        Ok(self.gate()?.take(clock, arriving, |board, open, now| {
            Next::of(py, board, 0, open, now, is_announced)
        }))
    }

    /// Runs what was taken, to its end. An error is what must be raised after it.
    #[inline]
    fn run_taken(&self, py: Python<'_>, runs: &Runs<'_, '_>, taken: Taken) -> PyResult<()> {
        self.open(&taken);
        let Taken { slot, missed, begun, .. } = taken;
        let late = if missed > 0 { self.name_of(py, slot)? } else { None };
        let done = match begun {
            Some(begun) => self.call(py, runs, slot, begun),
            None => Err(PyRuntimeError::new_err("the slot of a task was empty")),
        };
        if self.belongs_to_parent() {
            // The child of a fork in the callback: nothing here is its own to complete.
            OPEN_RUN.set(None);
            return done.and_then(|()| Err(Error::Forked.into()));
        }
        let done = if self.open_slot() == Some(slot) { self.abandon(py, slot, done) } else { done };
        if let Some((id, name)) = late {
            runs.runs.call_method1("given_up", (id, name, missed, 0_u64))?;
        }
        done
    }

    /// Calls what a task calls, and completes its run.
    #[inline]
    fn call(&self, py: Python<'_>, runs: &Runs<'_, '_>, slot: u32, begun: Begun) -> PyResult<()> {
        let (callback, arguments, names) = match begun {
            Begun::Plain { callback, arguments, names, .. } => (callback, arguments, names),
            Begun::Alone(alone) => (alone.bind(py).get_item(0)?.unbind(), None, None),
            Begun::Special(called) | Begun::Coroutine(called) => {
                return run_special(py, runs, called);
            }
        };
        let Parts { positional, kwargs, .. } = split(py, arguments, names)?;
        let done = callback.bind(py).call(positional.clone(), kwargs.as_ref());
        if self.belongs_to_parent() {
            // The child of a fork in the callback: nothing here is its own to drop.
            std::mem::forget((callback, positional, kwargs));
            return done.map(std::mem::forget);
        }
        match done {
            Ok(value) if is_result(&value) => {
                let (_, _, skipped) = self.complete_slot(py, slot, value, false)?;
                if skipped > 0
                    && let Some((id, name)) = self.name_of(py, slot)?
                {
                    runs.runs.call_method1("given_up", (id, name, 0_u64, skipped))?;
                }
                Ok(())
            }
            Ok(value) => runs.runs.call_method1("refuse", (self.open_call(py)?, value)).map(drop),
            Err(error) => runs.runs.call_method1("fail", (self.open_call(py)?, error)).map(drop),
        }
    }

    /// Completes the run of a slot, and drops what it held.
    #[inline]
    pub(crate) fn complete_slot(
        &self,
        py: Python<'_>,
        slot: u32,
        value: Bound<'_, PyAny>,
        failed: bool,
    ) -> PyResult<(&'static str, bool, u64)> {
        let run = OPEN_RUN.get();
        let done = self.complete_run(py, slot, run, value, failed)?;
        self.after_run(py, done.left)?;
        Ok((done.word, done.is_last, done.skipped))
    }

    /// Completes a run that was taken and is open, in whatever thread.
    pub(crate) fn complete_open(
        &self,
        py: Python<'_>,
        run: &OpenSlot,
        value: Bound<'_, PyAny>,
        failed: bool,
    ) -> PyResult<(&'static str, bool, u64)> {
        let done = self.complete_run(py, run.slot, Some(*run), value, failed)?;
        self.after_unlock(py, done.left)?;
        Ok((done.word, done.is_last, done.skipped))
    }

    #[inline]
    fn complete_run(
        &self,
        py: Python<'_>,
        slot: u32,
        run: Option<OpenSlot>,
        value: Bound<'_, PyAny>,
        failed: bool,
    ) -> PyResult<Completed> {
        let gate = self.gate()?;
        let now = self.clock.get().now();
        let took_long = run
            .and_then(|run| Some((now.saturating_sub(run.taken_ns) > KNOWN_LONG_NS, run.is_long?)));
        let (mut value, mut left) = (Some(value.unbind()), AfterUnlock::default());
        let (done, status) = gate.with(|board| {
            if let Some((is_long, was_long)) = took_long
                && is_long != was_long
            {
                board.columns.note_length(slot, is_long);
            }
            let done = board.complete(py, slot, now, failed, &mut value, &mut left);
            let ended = done.and_then(|done| board.core.ended_at(done.history_index?));
            board.fetch_upcoming();
            (done, ended.map(|ended| ended.ending.word()))
        });
        if OPEN_RUN.get().is_some_and(|open| open.slot == slot && open.engine == self.address()) {
            OPEN_RUN.set(None);
        }
        drop(value);
        let word = status.unwrap_or(if failed { "failed" } else { "completed" });
        let skipped = done.map_or(0, |done| done.skipped);
        Ok(Completed { word, is_last: status.is_some(), skipped, left })
    }

    /// Completes a run that came back open, as failed. Returns the error, to be raised or logged.
    #[cold]
    pub(crate) fn abandon(&self, py: Python<'_>, slot: u32, done: PyResult<()>) -> PyResult<()> {
        let error = done.err().unwrap_or_else(|| PyRuntimeError::new_err("the run was given up"));
        let value = error.clone_ref(py).into_value(py).into_bound(py).into_any();
        // Without the frames, which would live as long as the history.
        let _ = value.call_method1("with_traceback", (py.None(),));
        if self.open_slot() == Some(slot) {
            self.note_error(value.clone().unbind())?;
            self.complete_slot(py, slot, value, true)?;
        }
        Err(error)
    }

    /// Ends a task all of whose occurrences were missed; it is to be reported by `runs.missed()`.
    #[cold]
    pub(crate) fn note_missed(&self, py: Python<'_>, missed: Missed) -> PyResult<()> {
        let slot = missed.id.slot();
        let gate = self.gate()?;
        let Some(kept) = gate.look(|board| board.columns.kept(py, slot, None)) else {
            return Ok(());
        };
        lock(&self.misses).push((missed, kept));
        if let Some(index) = missed.history_index {
            let mut left = AfterUnlock::default();
            gate.edit(|board| board.end(py, slot, index, &mut None, &mut left));
            self.after_run(py, left)?;
        }
        Ok(())
    }

    /// Notes missed occurrences, and reports them.
    fn report_missed(&self, py: Python<'_>, runs: &Runs<'_, '_>, missed: Missed) {
        let noted = self.note_missed(py, missed);
        let told = runs.runs.call_method0("missed").map(drop);
        for error in [noted, told].into_iter().filter_map(Result::err) {
            self.contain(py, runs, error);
        }
    }

    /// Logs an error that must not end a worker.
    #[cold]
    fn contain(&self, py: Python<'_>, runs: &Runs<'_, '_>, error: PyErr) {
        let value = error.clone_ref(py).into_value(py);
        let told = runs.runs.call_method1("contain", (value,));
        if told.is_err() {
            error.write_unraisable(py, None);
        }
    }
}

/// How a run was completed.
struct Completed {
    /// "completed", "failed" or "cancelled".
    word: &'static str,
    /// Whether the task ended with it.
    is_last: bool,
    /// How many occurrences are skipped because they fell due while it ran.
    skipped: u64,
    left: AfterUnlock,
}

/// What is due for an executor that runs it in turns.
struct Batch<'a, 'py> {
    executor: u8,
    runs: Runs<'a, 'py>,
    begin: &'a Bound<'py, PyAny>,
    context: &'a Bound<'py, PyAny>,
    is_announced: bool,
}

impl Batch<'_, '_> {
    /// See [`Engine::run_batch`].
    fn run(&self, engine: &Bound<'_, Engine>, budget_ns: Nanos, mut room: usize) -> PyResult<u8> {
        let (py, this) = (engine.py(), engine.get());
        let clock = this.clock.get();
        let end = clock.now().saturating_add(budget_ns);
        loop {
            if room == 0 {
                return Ok(2);
            }
            let gate = this.gate()?;
            let next = gate.take_for(self.executor, clock, |board, open, now| {
                Next::of(py, board, self.executor, open, now, self.is_announced)
            });
            match next {
                Next::Run(Taken {
                    slot,
                    now,
                    begun: Some(Begun::Coroutine(called)),
                    missed,
                    ..
                }) => {
                    room -= 1;
                    let run = OpenRun::new(py, engine.clone().unbind(), slot, now, called)?;
                    self.begin(this, run, missed)?;
                }
                Next::Run(taken) => {
                    this.run_taken(py, &self.runs, taken)?;
                    if self.context.len()? > 0 {
                        return Ok(1);
                    }
                }
                Next::Missed(missed) => this.report_missed(py, &self.runs, missed),
                Next::Undecided => this.advance(py, gate, self.executor),
                Next::Nothing => {
                    if gate.rest(self.executor, clock) {
                        return Ok(0);
                    }
                }
            }
            if clock.now() >= end {
                return Ok(1);
            }
        }
    }

    /// Has a coroutine begun.
    fn begin(&self, engine: &Engine, run: OpenRun, missed: u64) -> PyResult<()> {
        let py = self.begin.py();
        let run = Bound::new(py, run)?;
        let slot = run.get().slot();
        let begun = self.begin.call1((&run,));
        if missed > 0
            && let Some((id, name)) = engine.name_of(py, slot)?
        {
            self.runs.runs.call_method1("given_up", (id, name, missed, 0_u64))?;
        }
        if let Err(error) = begun {
            // The run is given up when the last reference to it goes.
            engine.contain(py, &self.runs, error);
        }
        Ok(())
    }
}

/// Has the Python layer run what needs more than a call with arguments.
fn run_special(py: Python<'_>, runs: &Runs<'_, '_>, called: Called) -> PyResult<()> {
    runs.runs.call_method1("run", (Call::new(py, called)?,)).map(drop)
}

/// Whether a callback was the function of an asynchronous generator, which has not begun.
fn is_async_generator(value: &Bound<'_, PyAny>) -> bool {
    static ASYNC_GENERATOR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let found = ASYNC_GENERATOR.import(value.py(), "types", "AsyncGeneratorType");
    found.is_ok_and(|kind| value.get_type().is(kind))
}

/// Whether what a callback returned is a result, and not something that somebody has to await or to
/// iterate over asynchronously.
#[inline]
pub(crate) fn is_result(value: &Bound<'_, PyAny>) -> bool {
    value.is_none()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyDict>()
        || value.is_exact_instance_of::<PyList>()
        || value.is_exact_instance_of::<PyTuple>()
        || !(is_async_generator(value)
            || value.get_type().hasattr(intern!(value.py(), "__await__")).unwrap_or(false))
}

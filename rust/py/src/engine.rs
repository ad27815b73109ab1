//! The engine as a Python class: the core behind a gate, and the columns that belong to its slots.
//!
//! Rules, which make a deadlock between the interpreter and the core's lock impossible:
//! the interpreter is never asked for anything, and no reference to a Python object is dropped,
//! while the lock is held; the interpreter is given up for waits and for long work only.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};
use scheduler_core::{
    ADVANCE_BUDGET, Cancelled, Clock as _, Completion, Deadlines, Engine as Core, Gate, Missed,
    NEVER, Nanos, Phase, State, Taken, TaskId, after_seconds,
};

use crate::board::{Board, Kept, Left};
use crate::clock::Clock;
use crate::columns::{Columns, cell_of, slot_of};
use crate::convert::{id_text, numbers, priority, seconds};
use crate::errors::Error;
use crate::forecast::Forecast;
use crate::ids::IdCodec;
use crate::record::{Outcome, TaskRecord};
use crate::recurrence::Recurrence;
use crate::task_ids::TaskIds;

/// What [`Engine::take`] answers when nothing is due.
const NOTHING: i64 = -1;
/// What it answers when occurrences were missed: [`Engine::missed`] tells which.
const MISSED: i64 = -2;

const SECONDS: &str = "numbers of seconds, or a buffer of float64";

/// Tasks of a bulk call that are handled under one lock hold.
const SLICE: usize = 128;

/// Ids of a bulk call that are read together.
const GROUP: usize = 64;

thread_local! {
    /// The engine and the slot whose callback this thread runs.
    static CURRENT: Cell<Option<(usize, u32)>> = const { Cell::new(None) };
}

/// Occurrences that were missed: id, call, nominal time of the first, how many, whether the task
/// ended with them.
type MissedReport<'py> = (Bound<'py, PyString>, Py<PyAny>, Nanos, u64, bool);

/// The timer engine and the columns of its tasks.
#[pyclass(frozen, weakref, module = "num_agents.scheduler._native")]
pub(crate) struct Engine {
    gate: Gate<Board>,
    clock: Py<Clock>,
    codec: Arc<IdCodec>,
    columns: Columns,
    /// Outcomes of watched tasks, until [`Engine::collect`].
    outcomes: Mutex<Vec<Outcome>>,
    /// Missed occurrences, until [`Engine::missed`].
    misses: Mutex<Vec<(Missed, Py<PyAny>)>>,
}

#[pymethods]
impl Engine {
    #[new]
    fn new(py: Python<'_>, clock: Py<Clock>, history: u32, instance: u64) -> Self {
        let mut core = Core::new(clock.get().now(), history);
        core.set_seed(instance);
        if clock.get().offset() != 0 {
            core.set_wall_offset(clock.get().offset());
        }
        Self {
            gate: Gate::new(Board::new(core)),
            clock,
            codec: Arc::new(IdCodec::new(instance)),
            columns: Columns::new(py),
            outcomes: Mutex::default(),
            misses: Mutex::default(),
        }
    }

    // ---- what belongs to a slot ----------------------------------------------------------

    /// What the task in each slot calls, and after it its positional arguments; None where there
    /// is no task. Workers find what to run at the cell that `take` answers.
    #[getter]
    fn cells(&self, py: Python<'_>) -> Py<PyList> {
        self.columns.cells.clone_ref(py)
    }

    // ---- scheduling ----------------------------------------------------------------------

    /// Schedules a one-shot `delay` seconds from now.
    fn schedule<'py>(
        &self,
        py: Python<'py>,
        call: Bound<'py, PyAny>,
        arguments: Bound<'py, PyAny>,
        delay: &Bound<'py, PyAny>,
        priority: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyString>> {
        let seconds = seconds(delay, "delay")?;
        let priority = self::priority(priority)?;
        let nominal = after_seconds(self.clock.get().now(), seconds)
            .map_err(|reason| Error::Span { argument: "delay", index: None, seconds, reason })?;
        let id = self.arm(py, &call, &arguments, When::Axis(nominal), priority, None)?;
        Ok(self.print(py, id))
    }

    /// Schedules a task first due at a moment of the wall; `on_wall` is whether it follows when the
    /// wall clock is set, for a task without recurrence.
    #[expect(clippy::too_many_arguments, reason = "a call of each task costs, a record would more")]
    fn schedule_at<'py>(
        &self,
        py: Python<'py>,
        call: Bound<'py, PyAny>,
        arguments: Bound<'py, PyAny>,
        nominal_ns: Nanos,
        priority: &Bound<'py, PyAny>,
        recurrence: Option<&Recurrence>,
        on_wall: bool,
    ) -> PyResult<Bound<'py, PyString>> {
        let priority = self::priority(priority)?;
        let recurrence = recurrence.map(|recurrence| &recurrence.0);
        let when = if on_wall { When::Wall(nominal_ns) } else { When::Shown(nominal_ns) };
        let id = self.arm(py, &call, &arguments, when, priority, recurrence)?;
        Ok(self.print(py, id))
    }

    /// Schedules one-shots `delays` seconds after `now_ns`, a moment of the axis; all are checked
    /// before any is scheduled.
    fn schedule_many(
        &self,
        py: Python<'_>,
        call: Bound<'_, PyAny>,
        arguments: &Bound<'_, PyAny>,
        now_ns: Nanos,
        delays: &Bound<'_, PyAny>,
        priorities: &Bound<'_, PyAny>,
    ) -> PyResult<TaskIds> {
        let delays: Vec<f64> = numbers(delays, "delays", SECONDS)?;
        let nominals: Result<Vec<Nanos>, Error> = delays
            .iter()
            .enumerate()
            .map(|(index, seconds)| {
                after_seconds(now_ns, *seconds).map_err(|reason| Error::Span {
                    argument: "delays",
                    index: Some(index),
                    seconds: *seconds,
                    reason,
                })
            })
            .collect();
        self.arm_many(py, &call, arguments, &nominals?, When::Axis, priorities)
    }

    /// Schedules one-shots due at moments of the wall.
    fn schedule_many_at(
        &self,
        py: Python<'_>,
        call: Bound<'_, PyAny>,
        arguments: &Bound<'_, PyAny>,
        nominals_ns: &Bound<'_, PyAny>,
        priorities: &Bound<'_, PyAny>,
    ) -> PyResult<TaskIds> {
        let nominals: Vec<u64> = numbers(nominals_ns, "nominals_ns", "a buffer of uint64")?;
        self.arm_many(py, &call, arguments, &nominals, When::Wall, priorities)
    }

    /// Cancels a task: 0 unknown, 1 it will not run, 2 it runs and will not run again.
    fn cancel(&self, py: Python<'_>, task_id: &Bound<'_, PyAny>) -> PyResult<u8> {
        let Some(id) = self.codec.parse(id_text(task_id)?) else { return Ok(0) };
        let (done, left) = self.gate.edit(|board| board.cancel(py, id, &self.columns));
        if let Cancelled::Removed { slot, .. } = done {
            drop(self.columns.empty(py, slot));
        }
        self.settle(left);
        Ok(match done {
            Cancelled::Unknown => 0,
            Cancelled::Removed { .. } => 1,
            Cancelled::Signalled => 2,
        })
    }

    /// Cancels many and returns how many it stopped. Ids that are no strings are a TypeError
    /// before anything is cancelled.
    fn cancel_many(&self, py: Python<'_>, task_ids: &Bound<'_, PyAny>) -> PyResult<usize> {
        let parsed;
        let known = task_ids.cast::<TaskIds>().ok().map(Bound::get);
        let ids = match known {
            Some(known) if Arc::ptr_eq(&known.codec, &self.codec) => &known.ids,
            _ => {
                parsed = self.parse_many(task_ids)?;
                &parsed
            }
        };
        let mut stopped = 0;
        let mut left = Vec::with_capacity(SLICE);
        let mut emptied = Vec::with_capacity(SLICE);
        for slice in ids.chunks(SLICE) {
            self.columns.warm(py, slice.iter().map(|id| id.slot()));
            self.gate.edit(|board| {
                board.core.warm(slice);
                left.extend(slice.iter().map(|id| board.cancel(py, *id, &self.columns)));
            });
            for (done, _) in &left {
                if let Cancelled::Removed { slot, .. } = done {
                    emptied.push(self.columns.empty(py, *slot));
                }
                stopped += usize::from(*done != Cancelled::Unknown);
            }
            emptied.clear();
            left.drain(..).for_each(|(_, left)| self.settle(left));
            Self::let_others_run(py);
        }
        self.columns.shrink(py, self.gate.look(|board| board.core.slot_limit()))?;
        Ok(stopped)
    }

    /// Keeps a task from running until it is resumed.
    fn pause(&self, task_id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id = self.codec.parse(id_text(task_id)?);
        Ok(id.is_some_and(|id| self.gate.with(|board| board.core.pause(id))))
    }

    /// Arms a paused task again.
    fn resume(&self, task_id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id = self.codec.parse(id_text(task_id)?);
        let now = self.clock.get().now();
        Ok(id.is_some_and(|id| {
            self.gate.with(|board| {
                board.core.tell(now);
                board.core.resume(id)
            })
        }))
    }

    /// Gives a task another time, of the wall; a one-shot follows the wall from then on, or not.
    fn reschedule(
        &self,
        task_id: &Bound<'_, PyAny>,
        nominal_ns: Nanos,
        on_wall: bool,
    ) -> PyResult<bool> {
        let id = self.codec.parse(id_text(task_id)?);
        let reschedule =
            |id| self.gate.with(|board| board.core.reschedule(id, nominal_ns, on_wall));
        Ok(id.is_some_and(reschedule))
    }

    /// Replaces the recurrence of a live task: for calendars that are told piece by piece.
    fn extend(&self, task_id: &Bound<'_, PyAny>, recurrence: &Recurrence) -> PyResult<bool> {
        let id = self.codec.parse(id_text(task_id)?);
        // Dropped after the lock is released.
        let replaced = id.and_then(|id| {
            self.gate.edit(|board| board.core.replace_calendar(id, &recurrence.0.repeat))
        });
        Ok(replaced.is_some())
    }

    // ---- the wall clock ------------------------------------------------------------------

    /// Gives tasks on the wall clock deadlines by what the clock's wall shows now; how many got
    /// another one.
    fn follow_wall(&self, py: Python<'_>) -> u64 {
        let clock = self.clock.get();
        let before = self.gate.look(|board| board.core.counters().rekeyed);
        // Another thread may have begun a sweep: that is ended first, or setting the offset would
        // end it in one lock hold. The offset is read under the lock: who comes last has the latest.
        let set = || {
            self.gate.with(|board| {
                let settled = board.core.rekey(SLICE as u32);
                if settled {
                    board.core.tell(clock.now());
                    board.core.set_wall_offset(clock.offset());
                }
                settled
            })
        };
        let step = || self.gate.with(|board| board.core.rekey(SLICE as u32));
        py.detach(|| {
            while !set() {}
            while !step() {}
        });
        self.gate.look(|board| board.core.counters().rekeyed) - before
    }

    /// Makes who sleeps until a moment look at the clock again.
    fn clock_moved(&self) {
        self.gate.clock_moved();
    }

    /// Spreads what is overdue now over a span, in order; how many tasks that were.
    fn spread(&self, py: Python<'_>, span_ns: Nanos) -> u64 {
        self.advance(py);
        let (mut pace, before) =
            self.gate.look(|board| (board.core.pace(span_ns), board.core.counters().deferred));
        let mut step = || self.gate.with(|board| board.core.defer(&mut pace, SLICE as u32));
        py.detach(|| while !step() {});
        self.gate.look(|board| board.core.counters().deferred) - before
    }

    /// Counts the runs to come in each of so many seconds from a moment of the wall on.
    fn forecast(&self, py: Python<'_>, start_ns: Nanos, seconds: usize) -> Forecast {
        py.detach(|| {
            // Runs under way are taken to end now.
            self.gate.edit(|board| board.core.tell(self.clock.get().now()));
            let mut forecast = scheduler_core::Forecast::new(start_ns, seconds);
            let mut from = 0;
            while self.gate.look(|board| forecast.note(&board.core, from, SLICE as u32)) {
                from += SLICE as u32;
            }
            forecast.count();
            Forecast(forecast)
        })
    }

    /// Runs a pending or paused task once more, now.
    fn run_now(&self, task_id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id = self.codec.parse(id_text(task_id)?);
        let now = self.clock.get().now();
        Ok(id.is_some_and(|id| {
            self.gate.with(|board| {
                board.core.tell(now);
                board.core.run_now(id)
            })
        }))
    }

    // ---- running -------------------------------------------------------------------------

    /// Sleeps, without the interpreter, until something is due: True, and `take_arrived` must
    /// follow; False when the gate is closed, or drained. Not for the main thread: it hears no
    /// signal.
    fn wait(&self, py: Python<'_>) -> bool {
        CURRENT.set(None);
        py.detach(|| self.gate.wait(self.clock.get()))
    }

    /// The cell of the call that is to be run now; -1 if nothing is due, -2 if occurrences were
    /// missed.
    fn take(&self, py: Python<'_>) -> i64 {
        self.take_next(py, false)
    }

    /// As `take`, for a thread that comes from `wait`.
    fn take_arrived(&self, py: Python<'_>) -> i64 {
        self.take_next(py, true)
    }

    /// Ends the run of a cell's task with the value that it returned, and takes as `take` does.
    fn finish(&self, py: Python<'_>, cell: usize, value: Bound<'_, PyAny>) -> i64 {
        let slot = slot_of(cell);
        let clock = self.clock.get();
        let kept = Kept { call: self.columns.call(py, slot), value: value.unbind() };
        let (done, left, next, upcoming) = self.gate.take(false, |board, open| {
            let now = clock.now();
            let (done, left) = board.complete(py, slot, now, false, kept);
            let next = Next::of(board, open, now);
            (done, left, next, board.core.upcoming())
        });
        self.columns.warm(py, upcoming.into_iter());
        self.clean_up(py, slot, done, left);
        match self.follow(py, next) {
            Some(answer) => answer,
            None => self.take_next(py, false),
        }
    }

    /// Ends the run of a cell's task: whether the task ended with it, and how many occurrences are
    /// given up because they fell due while it ran.
    fn complete(
        &self,
        py: Python<'_>,
        cell: usize,
        value: Bound<'_, PyAny>,
        failed: bool,
    ) -> (bool, u64) {
        let slot = slot_of(cell);
        let now = self.clock.get().now();
        let kept = Kept { call: self.columns.call(py, slot), value: value.unbind() };
        let (done, left) = self.gate.with(|board| board.complete(py, slot, now, failed, kept));
        self.clean_up(py, slot, done, left);
        done.map_or((false, 0), |done| (done.history_index.is_some(), done.skipped))
    }

    /// What was missed since the last call.
    fn missed<'py>(&self, py: Python<'py>) -> Vec<MissedReport<'py>> {
        let misses = std::mem::take(&mut *lock(&self.misses));
        let report = |(missed, call): (Missed, _)| {
            let id = self.print(py, missed.id);
            (id, call, missed.nominal, missed.missed, missed.history_index.is_some())
        };
        misses.into_iter().map(report).collect()
    }

    /// The id of the task whose callback the calling thread runs for this engine.
    fn current<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        let (engine, slot) = CURRENT.get()?;
        if engine != self.address() {
            return None;
        }
        let id = self.gate.look(|board| board.core.id_of(slot))?;
        Some(self.print(py, id))
    }

    /// Forgets which callback the calling thread is in, for runs within it; `restore` reminds it.
    fn suspend(&self) -> Option<(usize, u32)> {
        CURRENT.take()
    }

    /// Takes back what `suspend` answered.
    fn restore(&self, outer: Option<(usize, u32)>) {
        CURRENT.set(outer);
    }

    /// Whether a task runs and has been cancelled meanwhile.
    fn is_stopping(&self, task_id: &Bound<'_, PyAny>) -> PyResult<bool> {
        let id = self.codec.parse(id_text(task_id)?);
        let state = |id| self.gate.look(|board| board.core.view(id).map(|view| view.state));
        Ok(id.and_then(state) == Some(State::Stopping))
    }

    /// Opens (2), drains (1) or closes (0) the gate.
    fn set_phase(&self, phase: u8) {
        self.gate.set_phase(match phase {
            0 => Phase::Closed,
            1 => Phase::Draining,
            _ => Phase::Open,
        });
    }

    // ---- waiting for outcomes ------------------------------------------------------------

    /// Asks for the next outcome of a live task, or its last, to be kept for `collect`; False if
    /// there is no such task.
    fn watch(&self, task_id: &Bound<'_, PyAny>, until_end: bool) -> PyResult<bool> {
        let Some(id) = self.codec.parse(id_text(task_id)?) else { return Ok(false) };
        Ok(self.gate.edit(|board| board.watch(id, until_end)))
    }

    /// The outcomes of watched tasks since the last call.
    fn collect(&self, py: Python<'_>) -> Vec<TaskRecord> {
        let outcomes = std::mem::take(&mut *lock(&self.outcomes));
        outcomes.into_iter().map(|outcome| outcome.into_record(py, &self.codec)).collect()
    }

    // ---- looking -------------------------------------------------------------------------

    /// What is known of a task, alive or remembered.
    fn record(&self, py: Python<'_>, task_id: &Bound<'_, PyAny>) -> PyResult<Option<TaskRecord>> {
        let Some(id) = self.codec.parse(id_text(task_id)?) else { return Ok(None) };
        if let Some(view) = self.gate.look(|board| board.core.view(id)) {
            let call = self.columns.call(py, id.slot());
            let arguments = self.columns.arguments(py, id.slot());
            return Ok(Some(TaskRecord::live(py, &self.codec, id, &view, call, arguments)));
        }
        let found = self.gate.look(|board| board.ended(py, id));
        Ok(found.map(|(ended, kept)| Outcome::of_task(ended, kept).into_record(py, &self.codec)))
    }

    /// The ids of live tasks (`kind` "live"), pending ones, due ones, or ended and remembered ones.
    fn task_ids(&self, py: Python<'_>, kind: &str) -> TaskIds {
        let now = self.clock.get().now();
        let mut ids = Vec::new();
        if kind == "ended" {
            self.gate.look(|board| ids.extend(board.core.history().map(|ended| ended.id)));
            return TaskIds { ids, codec: self.codec.clone() };
        }
        let mut from = 0;
        loop {
            let more = self.gate.look(|board| {
                let slice = board.core.tasks(from, SLICE as u32);
                ids.extend(slice.filter_map(|(id, state)| {
                    let wanted = match kind {
                        "pending" => matches!(state, State::Pending | State::Ready),
                        "due" => board.core.is_due(id, now),
                        _ => true,
                    };
                    wanted.then_some(id)
                }));
                from += SLICE as u32;
                u64::from(from) < board.core.slot_limit()
            });
            if !more {
                return TaskIds { ids, codec: self.codec.clone() };
            }
            Self::let_others_run(py);
        }
    }

    /// Moves due tasks on and says when something is due next; None if nothing is pending.
    fn next_deadline(&self, py: Python<'_>) -> Option<Nanos> {
        self.advance(py);
        let next = self.gate.look(Deadlines::next_deadline);
        (next != NEVER).then_some(next)
    }

    /// Counters, gauges and sizes, by name.
    fn statistics(&self) -> Vec<(&'static str, u64)> {
        self.gate.look(|board| {
            let (counters, gauges) = (board.core.counters(), board.core.gauges());
            vec![
                ("scheduled", counters.scheduled),
                ("cancelled", counters.cancelled),
                ("started", counters.started),
                ("completed", counters.completed),
                ("failed", counters.failed),
                ("missed", counters.missed),
                ("skipped", counters.skipped),
                ("clock_changes", counters.clock_changes),
                ("rekeyed", counters.rekeyed),
                ("deferred", counters.deferred),
                ("pending", gauges.pending),
                ("running", gauges.running),
                ("paused", gauges.paused),
                ("due", board.core.ready()),
                ("memory_bytes", board.core.bytes()),
            ]
        })
    }

    /// The lateness of runs: count, greatest, and the buckets that hold any as (least, greatest,
    /// count), ascending, in nanoseconds.
    fn lateness(&self) -> (u64, Nanos, Vec<(Nanos, Nanos, u64)>) {
        let lateness = self.gate.look(|board| board.core.lateness().clone());
        (lateness.count(), lateness.maximum(), lateness.buckets().collect())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.columns.cells)?;
        let results = self.gate.try_look(|board| {
            board.results().iter().try_for_each(|kept| {
                visit.call(&kept.call)?;
                visit.call(&kept.value)
            })
        });
        // Not visited is as good as referred to from outside: it is kept.
        results.unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        drop(self.gate.edit(Board::take_results));
        self.columns.clear(py);
    }
}

impl Engine {
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    #[inline]
    fn print<'py>(&self, py: Python<'py>, id: TaskId) -> Bound<'py, PyString> {
        // Hexadecimal digits and dashes are UTF-8.
        PyString::new(py, str::from_utf8(&self.codec.print(id)).unwrap_or_default())
    }

    /// Fills a slot's columns, then arms it: a worker that takes it finds them filled.
    #[inline]
    fn arm(
        &self,
        py: Python<'_>,
        call: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyAny>,
        when: When,
        priority: u8,
        recurrence: Option<&scheduler_core::Recurrence>,
    ) -> PyResult<TaskId> {
        loop {
            let slot = self.gate.edit(|board| board.core.reserve()).ok_or(Error::Full)?;
            self.columns.fill(py, slot, call, arguments)?;
            let arm = |board: &mut Board| when.arm(&mut board.core, slot, priority, recurrence);
            if let Some(id) = self.gate.with(arm) {
                return Ok(id);
            }
        }
    }

    fn arm_many(
        &self,
        py: Python<'_>,
        call: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyAny>,
        nominals: &[Nanos],
        when: impl Fn(Nanos) -> When,
        priorities: &Bound<'_, PyAny>,
    ) -> PyResult<TaskIds> {
        let each = arguments.cast::<PyList>().ok();
        let count = nominals.len();
        if let Some(found) = each.map(|each| each.len()).filter(|found| *found != count) {
            return Err(Error::Length { argument: "args", expected: count, found }.into());
        }
        let listed = priorities.cast::<PyBytes>().ok().map(|bytes| bytes.as_bytes());
        if let Some(found) = listed.map(<[u8]>::len).filter(|found| *found != count) {
            return Err(Error::Length { argument: "priorities", expected: count, found }.into());
        }
        let shared = if listed.is_none() { priority(priorities)? } else { 0 };

        let mut ids = Vec::with_capacity(count);
        let mut slots = Vec::with_capacity(SLICE);
        for (number, slice) in nominals.chunks(SLICE).enumerate() {
            let first = number * SLICE;
            self.gate.edit(|board| slots.extend(slice.iter().map_while(|_| board.core.reserve())));
            if slots.len() < slice.len() {
                return Err(Error::Full.into());
            }
            for (offset, slot) in slots.iter().enumerate() {
                match each {
                    Some(each) => {
                        self.columns.fill(py, *slot, call, &each.get_item(first + offset)?)?
                    }
                    None => self.columns.fill(py, *slot, call, arguments)?,
                }
            }
            self.gate.with(|board| {
                for (offset, (slot, nominal)) in slots.iter().zip(slice).enumerate() {
                    let priority = listed.map_or(shared, |listed| listed[first + offset]);
                    // A reserved slot of ours is never a retired one.
                    ids.extend(when(*nominal).arm(&mut board.core, *slot, priority, None));
                }
            });
            slots.clear();
            Self::let_others_run(py);
        }
        Ok(TaskIds { ids, codec: self.codec.clone() })
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
            for task_id in group.drain(..) {
                ids.extend(self.codec.parse(id_text(&task_id)?));
            }
        }
    }

    /// Does what a step under the lock has left to do.
    #[inline]
    fn settle(&self, left: Left) {
        drop(left.dropped);
        if let Some(outcome) = left.outcome {
            lock(&self.outcomes).push(outcome);
        }
    }

    #[inline]
    fn clean_up(&self, py: Python<'_>, slot: u32, done: Option<Completion>, left: Left) {
        if done.is_some_and(|done| done.history_index.is_some()) {
            drop(self.columns.empty(py, slot));
        }
        self.settle(left);
    }

    /// The cell of the call that is to be run now, or what stands for none.
    #[inline]
    fn take_next(&self, py: Python<'_>, mut arriving: bool) -> i64 {
        loop {
            let clock = self.clock.get();
            let next = self.gate.take(std::mem::take(&mut arriving), |board, open| {
                Next::of(board, open, clock.now())
            });
            if let Some(answer) = self.follow(py, next) {
                return answer;
            }
        }
    }

    /// What to answer, and what to do before; None if there is more to move before it is known.
    #[inline]
    fn follow(&self, py: Python<'_>, next: Next) -> Option<i64> {
        match next {
            Next::Run(slot) => {
                CURRENT.set(Some((self.address(), slot)));
                Some(cell_of(slot) as i64)
            }
            Next::Nothing => {
                CURRENT.set(None);
                Some(NOTHING)
            }
            Next::Missed(missed) => {
                self.note_missed(py, missed);
                Some(MISSED)
            }
            Next::Unknown => {
                self.advance(py);
                None
            }
        }
    }

    #[cold]
    fn note_missed(&self, py: Python<'_>, missed: Missed) {
        let slot = missed.id.slot();
        let call = self.columns.call(py, slot);
        if let Some(place) = missed.history_index {
            let kept = Kept { call: call.clone_ref(py), value: py.None() };
            let left = self.gate.edit(|board| board.end(py, slot, place, kept));
            drop(self.columns.empty(py, slot));
            self.settle(left);
        }
        lock(&self.misses).push((missed, call));
    }

    fn advance(&self, py: Python<'_>) {
        let clock = self.clock.get();
        let step = || self.gate.with(|board| board.core.advance(clock.now(), ADVANCE_BUDGET));
        if !step() {
            py.detach(|| while !step() {});
        }
    }

    /// Lets threads that wait for the interpreter have it, between the slices of long work.
    fn let_others_run(py: Python<'_>) {
        py.detach(|| ());
    }
}

/// When a task is due first.
#[derive(Clone, Copy)]
enum When {
    /// At a moment of the axis.
    Axis(Nanos),
    /// At a moment of the axis, named by what the wall shows then as things are.
    Shown(Nanos),
    /// At a moment of the wall, and it follows when that is set.
    Wall(Nanos),
}

impl When {
    #[inline]
    fn arm(
        self,
        core: &mut Core,
        slot: u32,
        priority: u8,
        recurrence: Option<&scheduler_core::Recurrence>,
    ) -> Option<TaskId> {
        match (self, recurrence) {
            (Self::Axis(nominal), None) => core.arm(slot, nominal, priority, None),
            (Self::Wall(wall), None) => core.arm_on_wall(slot, wall, priority),
            (Self::Axis(moment) | Self::Shown(moment) | Self::Wall(moment), Some(recurrence))
                if recurrence.on_wall =>
            {
                core.arm(slot, moment, priority, Some(recurrence))
            }
            (Self::Axis(moment) | Self::Shown(moment) | Self::Wall(moment), _) => {
                let shown = recurrence.map(|recurrence| scheduler_core::Recurrence {
                    end: core.to_axis(recurrence.end),
                    ..recurrence.clone()
                });
                core.arm(slot, core.to_axis(moment), priority, shown.as_ref())
            }
        }
    }
}

/// What a worker is to do next.
enum Next {
    Run(u32),
    Missed(Missed),
    Nothing,
    /// More is due than one lock hold may move: nobody knows yet.
    Unknown,
}

impl Next {
    #[inline]
    fn of(board: &mut Board, open: bool, now: Nanos) -> Self {
        if !open {
            return Self::Nothing;
        }
        if !board.core.advance(now, ADVANCE_BUDGET) {
            return Self::Unknown;
        }
        match board.core.take() {
            Some(Taken::Run(slot)) => Self::Run(slot),
            Some(Taken::Missed(missed)) => Self::Missed(missed),
            Some(Taken::Undecided) => Self::Unknown,
            None => Self::Nothing,
        }
    }
}

/// Locks a list that nothing can panic over.
fn lock<T>(list: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The engine as a Python class: the core behind a gate, and the columns that belong to its slots.
//!
//! Here are scheduling and control. `running.rs` has the life of a run, `watching.rs` who is told
//! of outcomes, `view.rs` what can be looked up.
//!
//! Rules, which make a deadlock between the interpreter and the core's lock impossible:
//! the interpreter is never asked for anything, and no reference to a Python object is dropped,
//! while the lock is held; the interpreter is given up for waits and for long work only.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};
use scheduler_core::{
    ADVANCE_BUDGET, Cancelled, Clock as _, Engine as Core, Gate, Missed, Nanos, OutOfMemory,
    Repeat, ScheduleError, TaskId, WallStep, after_seconds,
};

use crate::board::{AfterUnlock, Board, HistoryEntry};
use crate::call::Call;
use crate::clock::Clock;
use crate::columns::{Columns, Emptied};
use crate::convert::{id_text, numbers, priority, seconds};
use crate::errors::Error;
use crate::forecast::Forecast;
use crate::fork;
use crate::ids::IdCodec;
use crate::recurrence::Recurrence;
use crate::task_ids::TaskIds;

const SECONDS: &str = "numbers of seconds, or a buffer of float64";

/// Tasks of a bulk call that are handled under one lock hold.
pub(crate) const SLICE: usize = 128;

/// A forecast looks for signals after noting so many slices of slots, or counting so many runs.
const FORECAST_SLICES: usize = 256;
const FORECAST_STEPS: u32 = 50_000;

/// Ids of a bulk call that are read together.
const GROUP: usize = 64;

/// The timer engine and the columns of its tasks.
#[pyclass(frozen, weakref, module = "num_agents.scheduler._native")]
pub(crate) struct Engine {
    gate: Gate<Board>,
    pub(crate) clock: Py<Clock>,
    pub(crate) codec: Arc<IdCodec>,
    pub(crate) columns: Columns,
    /// The call of the task that was scheduled last without options, as long as a task uses it.
    shared_call: Mutex<Option<Py<Call>>>,
    /// Checks name and callback of a task without options, and makes its call.
    new_call: Py<PyAny>,
    /// The address of the callback that was checked last. Another object may have come there since:
    /// it is checked again that it can be called, and whatever a run returns is checked as well.
    checked_callback: AtomicUsize,
    /// Missed occurrences to be reported.
    pub(crate) misses: Mutex<Vec<(Missed, HistoryEntry)>>,
    /// How many forks lay before this engine when it was made.
    forks: u64,
}

#[pymethods]
impl Engine {
    #[new]
    fn new(
        py: Python<'_>,
        clock: Py<Clock>,
        history: u32,
        instance: u64,
        new_call: Py<PyAny>,
    ) -> PyResult<Self> {
        let mut core = Core::try_new(clock.get().now(), history).map_err(Error::from)?;
        core.set_seed(instance);
        if clock.get().offset() != 0 {
            core.set_wall_offset(clock.get().offset());
        }
        Ok(Self {
            gate: Gate::new(Board::new(core, history > 0)),
            clock,
            codec: Arc::new(IdCodec::new(instance)),
            columns: Columns::new(py),
            shared_call: Mutex::default(),
            new_call,
            checked_callback: AtomicUsize::new(0),
            misses: Mutex::default(),
            forks: fork::count(),
        })
    }

    // ---- scheduling ----------------------------------------------------------------------

    /// Schedules a one-shot `delay` seconds from now, without options.
    fn schedule<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyAny>,
        callback: &Bound<'py, PyAny>,
        arguments: &Bound<'py, PyAny>,
        delay: &Bound<'py, PyAny>,
        priority: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyString>> {
        let call = self.call_of(py, name, callback)?;
        let seconds = seconds(delay, "delay")?;
        let priority = self::priority(priority)?;
        let nominal = after_seconds(self.clock.get().now(), seconds)
            .map_err(|reason| Error::Span { argument: "delay", index: None, seconds, reason })?;
        let id =
            self.arm(py, &call, arguments, |core, slot| core.arm(slot, nominal, priority, None))?;
        Ok(self.codec.text(py, id))
    }

    /// Schedules a task in all generality. Answers its id, and the nominal time of its first run as
    /// the wall shows it.
    #[expect(clippy::too_many_arguments, reason = "keywords of Python's")]
    #[pyo3(signature = (
        call, arguments, priority, recurrence, *, after_ns, wall_ns, on_grid, follows_wall
    ))]
    fn schedule_at<'py>(
        &self,
        py: Python<'py>,
        call: &Bound<'py, Call>,
        arguments: &Bound<'py, PyAny>,
        priority: &Bound<'py, PyAny>,
        recurrence: Option<&Recurrence>,
        after_ns: Option<Nanos>,
        wall_ns: Option<Nanos>,
        on_grid: bool,
        follows_wall: bool,
    ) -> PyResult<(Bound<'py, PyString>, Nanos)> {
        let priority = self::priority(priority)?;
        let recurrence = recurrence.map(|recurrence| &recurrence.0);
        let now = self.clock.get().now();
        let when = When { now, after: after_ns, wall: wall_ns, on_grid, follows_wall };
        let mut nominal = 0;
        let id = self.arm(py, call, arguments, |core, slot| {
            let id = when.arm(core, slot, priority, recurrence)?;
            nominal = core.view(id).map_or(0, |view| view.nominal);
            Ok(id)
        })?;
        Ok((self.codec.text(py, id), nominal))
    }

    /// Schedules one-shots `delays` seconds after `now_ns`, a moment of the axis; all are checked
    /// before any is scheduled.
    fn schedule_many(
        &self,
        py: Python<'_>,
        call: &Bound<'_, Call>,
        arguments: &Bound<'_, PyAny>,
        now_ns: Nanos,
        delays: &Bound<'_, PyAny>,
        priorities: &Bound<'_, PyAny>,
    ) -> PyResult<TaskIds> {
        let nominals = Self::nominals(now_ns, delays)?;
        let arm =
            |core: &mut Core, slot, nominal, priority| core.arm(slot, nominal, priority, None);
        self.arm_many(py, call, arguments, &nominals, arm, priorities)
    }

    /// The moments that `schedule_many` computes.
    #[staticmethod]
    fn nominals(now_ns: Nanos, delays: &Bound<'_, PyAny>) -> PyResult<Vec<Nanos>> {
        let delays: Vec<f64> = numbers(delays, "delays", SECONDS)?;
        let nominal = |(index, seconds): (usize, &f64)| {
            after_seconds(now_ns, *seconds).map_err(|reason| Error::Span {
                argument: "delays",
                index: Some(index),
                seconds: *seconds,
                reason,
            })
        };
        let mut nominals = Vec::new();
        nominals.try_reserve_exact(delays.len()).map_err(Error::from)?;
        for moment in delays.iter().enumerate().map(nominal) {
            nominals.push(moment?);
        }
        Ok(nominals)
    }

    /// Schedules one-shots due at moments of the wall.
    fn schedule_many_at(
        &self,
        py: Python<'_>,
        call: &Bound<'_, Call>,
        arguments: &Bound<'_, PyAny>,
        nominals_ns: &Bound<'_, PyAny>,
        priorities: &Bound<'_, PyAny>,
    ) -> PyResult<TaskIds> {
        let nominals: Vec<u64> = numbers(nominals_ns, "nominals_ns", "a buffer of uint64")?;
        self.arm_many(py, call, arguments, &nominals, Core::arm_on_wall, priorities)
    }

    // ---- control -------------------------------------------------------------------------

    /// Cancels a task: 0 unknown, 1 it will not run, 2 it runs and will not run again.
    fn cancel(&self, py: Python<'_>, task_id: &Bound<'_, PyAny>) -> PyResult<u8> {
        let gate = self.gate()?;
        let Some(id) = self.codec.parse(id_text(task_id)?) else { return Ok(0) };
        let mut kept = self.columns.kept(py, id.slot());
        let mut left = AfterUnlock::default();
        let done = gate.edit(|board| board.cancel(py, id, &mut kept, &mut left));
        if let Cancelled::Removed { slot, .. } = done {
            self.release(py, self.columns.empty(py, slot));
        }
        self.after_unlock(py, left)?;
        Ok(match done {
            Cancelled::Unknown => 0,
            Cancelled::Removed { .. } => 1,
            Cancelled::Signalled => 2,
        })
    }

    /// Cancels many and returns how many it stopped. Ids that are no strings are a TypeError
    /// before anything is cancelled.
    fn cancel_many(&self, py: Python<'_>, task_ids: &Bound<'_, PyAny>) -> PyResult<usize> {
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
        let (mut stopped, mut interrupted) = (0, Ok(()));
        let mut slice_of: Vec<(Option<HistoryEntry>, AfterUnlock)> = Vec::with_capacity(SLICE);
        let mut done = Vec::with_capacity(SLICE);
        let mut emptied = Vec::with_capacity(SLICE);
        for slice in ids.chunks(SLICE) {
            self.columns.warm(py, slice.iter().map(|id| id.slot()));
            gate.look(|board| board.core.warm(slice));
            let kept = |id: &TaskId| (self.columns.kept(py, id.slot()), AfterUnlock::default());
            slice_of.extend(slice.iter().map(kept));
            gate.edit(|board| {
                for (id, (kept, left)) in slice.iter().zip(&mut slice_of) {
                    done.push(board.cancel(py, *id, kept, left));
                }
            });
            for done in done.drain(..) {
                if let Cancelled::Removed { slot, .. } = done {
                    emptied.push(self.columns.empty(py, slot));
                }
                stopped += usize::from(done != Cancelled::Unknown);
            }
            emptied.drain(..).for_each(|emptied| self.release(py, emptied));
            for (_, left) in slice_of.drain(..) {
                if let Err(error) = self.after_unlock(py, left) {
                    interrupted = Err(error);
                }
            }
            Self::let_others_run(py);
        }
        self.columns.shrink(py, gate.look(|board| board.core.slot_limit()))?;
        interrupted.map(|()| stopped)
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

    /// Runs a task once more, now.
    fn run_now(&self, task_id: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.control(task_id, |core, id, now| {
            core.tell(now);
            core.run_now(id)
        })
    }

    // ---- the wall clock ------------------------------------------------------------------

    /// What `follow_wall` would follow now: the step, and by how much the wall was set back.
    fn next_wall_step(&self) -> PyResult<(&'static str, u64)> {
        let (from, to) =
            (self.gate()?.look(|board| board.core.wall_offset()), self.clock.get().offset());
        let by = if to < from { from.abs_diff(to) } else { 0 };
        Ok((WallStep::between(from, to).word(), by))
    }

    /// Gives tasks on the wall clock deadlines by what the clock's wall shows now. Returns what
    /// step that follows, how many tasks got another deadline, and of how many the next time was
    /// computed anew.
    fn follow_wall(&self, py: Python<'_>) -> PyResult<(&'static str, u64, u64)> {
        let (gate, clock) = (self.gate()?, self.clock.get());
        let count =
            || gate.look(|board| (board.core.counters().rekeyed, board.core.counters().rearmed));
        let (rekeyed, rearmed) = count();
        let mut followed = WallStep::Forward;
        // Another thread may have begun a sweep: that is ended first, or setting the offset would
        // end it in one lock hold. The offset is read under the lock: the last thread to set it has
        // read the latest.
        let mut set = || {
            gate.with(|board| {
                let settled = board.core.rekey(SLICE as u32);
                if settled {
                    board.core.tell(clock.now());
                    followed = board.core.set_wall_offset(clock.offset());
                }
                settled
            })
        };
        let step = || gate.with(|board| board.core.rekey(SLICE as u32));
        py.detach(|| {
            while !set() {}
            while !step() {}
        });
        let now = count();
        Ok((followed.word(), now.0 - rekeyed, now.1 - rearmed))
    }

    /// Makes whoever sleeps until a moment look at the clock again.
    fn clock_moved(&self) -> PyResult<()> {
        self.gate()?.clock_moved();
        Ok(())
    }

    /// Spreads what is overdue now over a span, in order; how many tasks that were.
    fn spread(&self, py: Python<'_>, span_ns: Nanos) -> PyResult<u64> {
        let gate = self.gate()?;
        self.advance(py, gate);
        let (mut pace, before) =
            gate.look(|board| (board.core.pace(span_ns), board.core.counters().deferred));
        let mut step = || gate.with(|board| board.core.defer(&mut pace, SLICE as u32));
        py.detach(|| while !step() {});
        Ok(gate.look(|board| board.core.counters().deferred) - before)
    }

    /// Counts the runs to come in each of so many seconds from a moment of the wall clock on. Signal
    /// handlers run in between.
    fn forecast(&self, py: Python<'_>, start_ns: Nanos, seconds: usize) -> PyResult<Forecast> {
        let gate = self.gate()?;
        // Runs under way are taken to end now.
        py.detach(|| gate.edit(|board| board.core.tell(self.clock.get().now())));
        let mut forecast = scheduler_core::Forecast::new(start_ns, seconds);
        let mut from = 0;
        let mut note = |forecast: &mut scheduler_core::Forecast| {
            let more = gate.look(|board| forecast.note(&board.core, from, SLICE as u32));
            from += SLICE as u32;
            more
        };
        while py.detach(|| (0..FORECAST_SLICES).all(|_| note(&mut forecast))) {
            py.check_signals()?;
        }
        while py.detach(|| forecast.count_some(FORECAST_STEPS)) {
            py.check_signals()?;
        }
        Ok(Forecast(forecast))
    }

    // ---- lifetime ------------------------------------------------------------------------

    /// Whether this engine belongs to the parent of this process: then it must not be used.
    #[getter]
    fn is_foreign(&self) -> bool {
        self.belongs_to_parent()
    }

    /// Refuses to be used in a child of the process that it belongs to.
    fn check_process(&self) -> PyResult<()> {
        Ok(self.gate().map(drop)?)
    }

    /// Keeps the engine, and all that it holds, until the process ends: in a forked child, where
    /// nothing that the parent owns may be destroyed.
    fn leak(slf: Py<Self>) {
        std::mem::forget(slf);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if self.belongs_to_parent() {
            // It is never freed, and its locks may be held for ever.
            return Ok(());
        }
        visit.call(&self.columns.cells)?;
        visit.call(&self.new_call)?;
        visit.call(&*lock(&self.shared_call))?;
        // Whoever holds the lock never waits for the interpreter, so this wait is short. Not to
        // wait would be wrong: a collection goes over all objects twice, and must see the same.
        self.gate.look(|board| {
            for kept in board.results() {
                visit.call(&kept.options)?;
                visit.call(&kept.value)?;
            }
            board.waiters().try_for_each(|waiter| visit.call(waiter))
        })
    }

    fn __clear__(&self, py: Python<'_>) {
        if self.belongs_to_parent() {
            return;
        }
        let shared = lock(&self.shared_call).take();
        let left = self.gate.edit(|board| (board.take_results(), board.take_waiters()));
        drop((shared, left));
        self.columns.clear(py);
    }
}

impl Engine {
    /// The gate, unless the engine belongs to the parent process: its lock may be held for ever.
    #[inline]
    pub(crate) fn gate(&self) -> Result<&Gate<Board>, Error> {
        if self.belongs_to_parent() { Err(Error::Forked) } else { Ok(&self.gate) }
    }

    #[inline]
    pub(crate) fn belongs_to_parent(&self) -> bool {
        self.forks != fork::count()
    }

    /// What a plain task calls: the call of the task before it, if that has the same name and the
    /// same callback.
    #[inline]
    fn call_of<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyAny>,
        callback: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Call>> {
        if let Some(call) = &*lock(&self.shared_call) {
            let shared = call.get();
            if shared.callback.is(callback) && shared.name.is(name) {
                return Ok(call.bind(py).clone());
            }
        }
        let checked = self.checked_callback.load(Ordering::Relaxed) == callback.as_ptr().addr();
        let call = match name.cast_exact::<PyString>() {
            Ok(name) if checked && callback.is_callable() => {
                Bound::new(py, Call::plain(name.clone().unbind(), callback.clone().unbind()))?
            }
            _ => {
                let call = self.new_call.bind(py).call1((name, callback))?.cast_into::<Call>()?;
                self.checked_callback.store(callback.as_ptr().addr(), Ordering::Relaxed);
                call
            }
        };
        let former = lock(&self.shared_call).replace(call.clone().unbind());
        drop(former);
        Ok(call)
    }

    /// Lets go of what a slot held. The call that is shared is forgotten with its last task, or it
    /// would keep the callback.
    #[inline]
    pub(crate) fn release(&self, py: Python<'_>, emptied: Emptied) {
        if let Some(call) = emptied.unused_call(py) {
            let mut shared = lock(&self.shared_call);
            let former = shared.take_if(|shared| shared.is(call));
            drop(shared);
            drop(former);
        }
        drop(emptied);
    }

    /// Fills a slot's columns, then arms it: a worker that takes it finds them filled. If that
    /// fails, the slot is given back.
    #[inline]
    fn arm(
        &self,
        py: Python<'_>,
        call: &Bound<'_, Call>,
        arguments: &Bound<'_, PyAny>,
        arm: impl FnOnce(&mut Core, u32) -> Result<TaskId, ScheduleError>,
    ) -> PyResult<TaskId> {
        let gate = self.gate()?;
        let slot = gate.edit(|board| board.core.reserve()).map_err(Error::from)?;
        if let Err(error) = self.columns.fill(py, slot, call, arguments) {
            gate.edit(|board| board.core.release(slot));
            return Err(error);
        }
        gate.with(|board| arm(&mut board.core, slot)).map_err(|error| {
            self.give_back(py, gate, &[slot]);
            Error::from(error).into()
        })
    }

    /// Empties reserved slots that have been filled, and gives them back.
    #[cold]
    fn give_back(&self, py: Python<'_>, gate: &Gate<Board>, slots: &[u32]) {
        for slot in slots {
            let emptied = self.columns.empty(py, *slot);
            gate.edit(|board| board.core.release(*slot));
            self.release(py, emptied);
        }
    }

    /// Schedules many, in slices. If that fails, those scheduled before are cancelled, and the error
    /// says why; what has started meanwhile runs to its end.
    fn arm_many(
        &self,
        py: Python<'_>,
        call: &Bound<'_, Call>,
        arguments: &Bound<'_, PyAny>,
        nominals: &[Nanos],
        arm: impl Fn(&mut Core, u32, Nanos, u8) -> Result<TaskId, ScheduleError>,
        priorities: &Bound<'_, PyAny>,
    ) -> PyResult<TaskIds> {
        let gate = self.gate()?;
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

        let mut ids = Vec::new();
        ids.try_reserve_exact(count).map_err(Error::from)?;
        let mut slots = Vec::with_capacity(SLICE);
        for (number, slice) in nominals.chunks(SLICE).enumerate() {
            let first = number * SLICE;
            let (mut filled, mut armed) = (0, 0);
            let done = Self::fill_slots(gate, &mut slots, slice.len(), |slot, offset| {
                let item = each.map(|each| each.get_item(first + offset)).transpose()?;
                self.columns.fill(py, slot, call, item.as_ref().unwrap_or(arguments))?;
                filled += 1;
                Ok(())
            });
            let done = done.and_then(|()| {
                gate.with(|board| {
                    for (offset, (slot, nominal)) in slots.iter().zip(slice).enumerate() {
                        let priority = listed.map_or(shared, |listed| listed[first + offset]);
                        ids.push(arm(&mut board.core, *slot, *nominal, priority)?);
                        armed += 1;
                    }
                    Ok::<_, ScheduleError>(())
                })
                .map_err(|error| Error::from(error).into())
            });
            if let Err(error) = done {
                self.give_back(py, gate, &slots[armed..filled]);
                gate.edit(|board| {
                    slots[filled..].iter().for_each(|slot| board.core.release(*slot));
                });
                let scheduled = Bound::new(py, TaskIds { ids, codec: self.codec.clone() })?;
                self.cancel_many(py, scheduled.as_any())?;
                return Err(error);
            }
            slots.clear();
            Self::let_others_run(py);
        }
        Ok(TaskIds { ids, codec: self.codec.clone() })
    }

    /// Reserves so many slots and fills each, by its offset.
    #[inline]
    fn fill_slots(
        gate: &Gate<Board>,
        slots: &mut Vec<u32>,
        count: usize,
        mut fill: impl FnMut(u32, usize) -> PyResult<()>,
    ) -> PyResult<()> {
        gate.edit(|board| {
            for _ in 0..count {
                slots.push(board.core.reserve()?);
            }
            Ok::<_, ScheduleError>(())
        })
        .map_err(Error::from)?;
        slots.iter().enumerate().try_for_each(|(offset, slot)| fill(*slot, offset))
    }

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
            for task_id in group.drain(..) {
                ids.extend(self.codec.parse(id_text(&task_id)?));
            }
        }
    }

    /// Moves due tasks to the ready queue until all are there.
    pub(crate) fn advance(&self, py: Python<'_>, gate: &Gate<Board>) {
        let clock = self.clock.get();
        let step = || gate.with(|board| board.core.advance(clock.now(), ADVANCE_BUDGET));
        if !step() {
            py.detach(|| while !step() {});
        }
    }

    /// Lets threads that wait for the interpreter have it, between the slices of long work.
    pub(crate) fn let_others_run(py: Python<'_>) {
        py.detach(|| ());
    }
}

/// When a task is due first.
#[derive(Clone, Copy)]
struct When {
    /// The present moment on the axis.
    now: Nanos,
    /// A span from now.
    after: Option<Nanos>,
    /// A moment of the wall. With a span as well, the later of the two is meant.
    wall: Option<Nanos>,
    /// Whether the moment is the anchor of the interval's grid: then the first point of the grid
    /// that is not before now is meant.
    on_grid: bool,
    /// Whether a task without recurrence follows when the wall clock is set.
    follows_wall: bool,
}

impl When {
    fn arm(
        self,
        core: &mut Core,
        slot: u32,
        priority: u8,
        recurrence: Option<&scheduler_core::Recurrence>,
    ) -> Result<TaskId, ScheduleError> {
        match (self.wall, recurrence) {
            (Some(wall), None) if self.follows_wall => core.arm_on_wall(slot, wall, priority),
            (Some(wall), Some(recurrence)) if recurrence.on_wall => {
                core.arm(slot, wall, priority, Some(recurrence))
            }
            (_, None) => core.arm(slot, self.on_axis(core, 0), priority, None),
            (_, Some(recurrence)) => {
                // Its end was said as a moment of the wall.
                let end = core.to_axis(recurrence.end);
                let recurrence = scheduler_core::Recurrence { end, ..recurrence.clone() };
                let first = self.on_axis(core, interval_of(&recurrence.repeat));
                core.arm(slot, first, priority, Some(&recurrence))
            }
        }
    }

    fn on_axis(self, core: &Core, interval: Nanos) -> Nanos {
        let after = self.after.map(|span| scheduler_core::after(self.now, span));
        let wall = self.wall.map(|wall| core.to_axis(wall)).map(|anchor| {
            if self.on_grid && interval > 0 && anchor < self.now {
                let points = (self.now - anchor).div_ceil(interval);
                scheduler_core::after(anchor, points.saturating_mul(interval))
            } else {
                anchor
            }
        });
        after.max(wall).unwrap_or(self.now)
    }
}

/// The interval of a fixed rate; 0 of anything else.
const fn interval_of(repeat: &Repeat) -> Nanos {
    match repeat {
        Repeat::FixedRate(interval) => *interval,
        _ => 0,
    }
}

/// Locks what nothing can panic over.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

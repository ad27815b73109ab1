//! The engine as a Python class: the core behind a gate, and the columns that belong to its slots.
//!
//! Here is scheduling. `control.rs` has what changes tasks, `running.rs` the life of a run,
//! `watching.rs` who is told of outcomes, `wall.rs` the wall clock, `view.rs` what can be looked up.
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
    ADVANCE_BUDGET, Clock as _, Engine as Core, Gate, Missed, Nanos, Repeat, ScheduleError, TaskId,
    after_seconds,
};

use crate::board::{Board, HistoryEntry};
use crate::call::Call;
use crate::clock::Clock;
use crate::columns::{Columns, Emptied};
use crate::convert::{numbers, priority, seconds};
use crate::errors::Error;
use crate::fork;
use crate::ids::IdCodec;
use crate::recurrence::Recurrence;
use crate::task_ids::TaskIds;

const SECONDS: &str = "numbers of seconds, or a buffer of float64";

/// Tasks of a bulk call that are handled under one lock hold.
pub(crate) const SLICE: usize = 128;

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
    #[pyo3(signature = (clock, history, instance, new_call, slack_ns = 0))]
    fn new(
        py: Python<'_>,
        clock: Py<Clock>,
        history: u32,
        instance: u64,
        new_call: Py<PyAny>,
        slack_ns: Nanos,
    ) -> PyResult<Self> {
        let mut core = Core::try_new(clock.get().now(), history).map_err(Error::from)?;
        core.set_seed(instance);
        if clock.get().offset() != 0 {
            core.set_wall_offset(clock.get().offset());
        }
        Ok(Self {
            gate: Gate::with_slack(Board::new(core, history > 0), slack_ns),
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

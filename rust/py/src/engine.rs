//! The engine as a Python class: the board behind a gate.
//!
//! Here is scheduling. `control.rs` has what changes tasks, `running.rs` the life of a run,
//! `watching.rs` who is told of outcomes, `wall.rs` the wall clock, `view.rs` what can be looked up.
//!
//! Rules, which make a deadlock between the interpreter and the core's lock impossible:
//! the interpreter is never asked for anything, and no reference to a Python object is dropped,
//! while the lock is held; the interpreter is given up for waits and for long work only.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::PyTraverseError;
use pyo3::exceptions::PyValueError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use scheduler_core::{
    ADVANCE_BUDGET, Clock as _, Engine as Core, FAR_FUTURE, Gate, Missed, Nanos, Repeat,
    ScheduleError, TaskId, after_seconds,
};

use crate::alarm::Alarm;
use crate::board::{Board, HistoryEntry};
use crate::call::{Joined, join};
use crate::calls::NewCall;
use crate::checks::{Checked, Checks};
use crate::clock::Clock;
use crate::columns::Columns;
use crate::convert::{numbers, priority, seconds};
use crate::errors::Error;
use crate::fork;
use crate::ids::IdCodec;
use crate::many::{Many, One};
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
    checks: Checks,
    /// Missed occurrences to be reported.
    pub(crate) misses: Mutex<Vec<(Missed, HistoryEntry)>>,
    /// How many executors there are.
    executors: AtomicU8,
    /// How many forks lay before this engine when it was made.
    forks: u64,
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (clock, history, instance, check_call, slack_ns = 0))]
    fn new(
        py: Python<'_>,
        clock: Py<Clock>,
        history: u32,
        instance: u64,
        check_call: Py<PyAny>,
        slack_ns: Nanos,
    ) -> PyResult<Self> {
        let mut core = Core::try_new(clock.get().now(), history).map_err(Error::from)?;
        core.set_seed(instance);
        if clock.get().offset() != 0 {
            core.set_wall_offset(clock.get().offset());
        }
        let checks = Checks::new(py, check_call)?;
        let known = checks.known();
        Ok(Self {
            gate: Gate::with_slack(Board::new(core, history > 0, known), slack_ns),
            clock,
            codec: Arc::new(IdCodec::new(instance)),
            checks,
            misses: Mutex::default(),
            executors: AtomicU8::new(1),
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
        let Checked { name, identity, is_coroutine } = self.checks.check(name, callback)?;
        let seconds = seconds(delay, "delay")?;
        let priority = self::priority(priority)?;
        let nominal = after_seconds(self.clock.get().now(), seconds)
            .map_err(|reason| Error::Span { argument: "delay", index: None, seconds, reason })?;
        let context = if is_coroutine { self.checks.context(py)? } else { None };
        let Joined { arguments, names } = join(arguments, None, context.as_ref())?;
        let call = NewCall {
            name,
            text: text_of(name),
            callback,
            identity,
            names: names.as_ref(),
            options: None,
            is_special: false,
            is_coroutine,
            executor: u8::from(is_coroutine),
        };
        let id =
            self.arm(py, &call, arguments, |core, slot| core.arm(slot, nominal, priority, None))?;
        Ok(self.codec.text(py, id))
    }

    /// Schedules a task in all generality. Answers its id, and the nominal time of its first run as
    /// the wall shows it.
    #[expect(clippy::too_many_arguments, reason = "what a task can have")]
    #[pyo3(signature = (
        name, callback, arguments, kwargs, options, is_special, priority, recurrence, after_ns,
        wall_ns, on_grid, follows_wall, executor=None, /
    ))]
    fn schedule_at<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyAny>,
        callback: &Bound<'py, PyAny>,
        arguments: &Bound<'py, PyAny>,
        kwargs: Option<&Bound<'py, PyDict>>,
        options: Option<&Bound<'py, PyAny>>,
        is_special: bool,
        priority: &Bound<'py, PyAny>,
        recurrence: Option<&Recurrence>,
        after_ns: Option<Nanos>,
        wall_ns: Option<Nanos>,
        on_grid: bool,
        follows_wall: bool,
        executor: Option<u8>,
    ) -> PyResult<(Bound<'py, PyString>, Nanos)> {
        let Checked { name, identity, is_coroutine } = self.checks.check(name, callback)?;
        let executor = self.executor_of(executor, is_coroutine)?;
        let priority = self::priority(priority)?;
        let recurrence = recurrence.map(|recurrence| &recurrence.0);
        let now = self.clock.get().now();
        let when = When { now, after: after_ns, wall: wall_ns, on_grid, follows_wall };
        // A context of its own is among the options.
        let captures = is_coroutine && !has_context(options)?;
        let context = if captures { self.checks.context(py)? } else { None };
        let Joined { arguments, names } = join(arguments, kwargs, context.as_ref())?;
        let call = NewCall {
            name,
            text: text_of(name),
            callback,
            identity,
            names: names.as_ref(),
            options,
            is_special,
            is_coroutine,
            executor,
        };
        let mut nominal = 0;
        let id = self.arm(py, &call, arguments, |core, slot| {
            let id = when.arm(core, slot, priority, recurrence)?;
            nominal = core.view(id).map_or(0, |view| view.nominal);
            Ok(id)
        })?;
        Ok((self.codec.text(py, id), nominal))
    }

    /// Schedules tasks first due `delays` seconds after `now_ns`, a moment of the axis; all are
    /// checked before any is scheduled.
    #[expect(clippy::too_many_arguments, reason = "what tasks can have")]
    #[pyo3(signature = (
        name, callback, arguments, kwargs, options, is_special, priorities, recurrence, now_ns,
        delays, executor=None, /
    ))]
    fn schedule_many(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        callback: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyAny>,
        kwargs: Option<&Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyAny>>,
        is_special: bool,
        priorities: &Bound<'_, PyAny>,
        recurrence: Option<&Recurrence>,
        now_ns: Nanos,
        delays: &Bound<'_, PyAny>,
        executor: Option<u8>,
    ) -> PyResult<TaskIds> {
        let nominals = Self::nominals(now_ns, delays)?;
        let many =
            Many { name, callback, arguments, kwargs, options, is_special, executor, priorities };
        let recurrence = recurrence.map(|recurrence| &recurrence.0);
        self.arm_many(py, &many, &nominals, |core, slot, nominal, priority| match recurrence {
            None => core.arm(slot, nominal, priority, None),
            Some(_) => {
                let after = Some(nominal - now_ns);
                When { now: now_ns, after, ..When::default() }.arm(core, slot, priority, recurrence)
            }
        })
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

    /// Schedules tasks first due at moments of the wall; `on_grid` as for `schedule_at`.
    #[expect(clippy::too_many_arguments, reason = "what tasks can have")]
    #[pyo3(signature = (
        name, callback, arguments, kwargs, options, is_special, priorities, recurrence, nominals_ns,
        on_grid, executor=None, /
    ))]
    fn schedule_many_at(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        callback: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyAny>,
        kwargs: Option<&Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyAny>>,
        is_special: bool,
        priorities: &Bound<'_, PyAny>,
        recurrence: Option<&Recurrence>,
        nominals_ns: &Bound<'_, PyAny>,
        on_grid: bool,
        executor: Option<u8>,
    ) -> PyResult<TaskIds> {
        let nominals: Vec<u64> = numbers(nominals_ns, "nominals_ns", "a buffer of uint64")?;
        let many =
            Many { name, callback, arguments, kwargs, options, is_special, executor, priorities };
        let recurrence = recurrence.map(|recurrence| &recurrence.0);
        let now = self.clock.get().now();
        self.arm_many(py, &many, &nominals, |core, slot, nominal, priority| match recurrence {
            None => core.arm_on_wall(slot, nominal, priority),
            Some(_) => {
                let wall = Some(nominal);
                When { now, wall, on_grid, ..When::default() }.arm(core, slot, priority, recurrence)
            }
        })
    }

    // ---- executors -----------------------------------------------------------------------

    /// Adds an executor that is woken by an alarm; without one it asks by itself. Returns its number.
    #[pyo3(signature = (alarm, /))]
    fn add_executor(&self, alarm: Option<&Bound<'_, Alarm>>) -> PyResult<u8> {
        let gate = self.gate()?;
        let number = gate.edit(|board| board.core.add_executor()).map_err(Error::from)?;
        if let Some(alarm) = alarm {
            gate.add_alarm(number, alarm.get().0.clone());
        }
        self.executors.store(number + 1, Ordering::Release);
        Ok(number)
    }

    // ---- lifetime ------------------------------------------------------------------------

    /// Whether this engine belongs to the parent of this process: then it must not be used.
    #[getter]
    fn is_foreign(&self) -> bool {
        self.belongs_to_parent()
    }

    /// Refuses to be used in a child of the process that it belongs to.
    pub(crate) fn check_process(&self) -> PyResult<()> {
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
        self.checks.traverse(&visit)?;
        // Whoever holds the lock never waits for the interpreter, so this wait is short. Not to
        // wait would be wrong: a collection goes over all objects twice, and must see the same.
        self.gate.look(|board| {
            board.columns.traverse(&visit)?;
            for kept in board.results() {
                visit.call(&kept.name)?;
                visit.call(&kept.options)?;
                visit.call(&kept.value)?;
            }
            board.waiters().try_for_each(|waiter| visit.call(waiter))
        })
    }

    fn __clear__(&self) {
        if self.belongs_to_parent() {
            return;
        }
        let left = self.gate.edit(|board| {
            let columns = std::mem::replace(&mut board.columns, Columns::new(self.checks.known()));
            (columns, board.take_results(), board.take_waiters())
        });
        drop(left);
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

    /// Schedules a task that has been checked.
    #[inline]
    fn arm(
        &self,
        py: Python<'_>,
        call: &NewCall<'_, '_>,
        arguments: Option<Py<PyTuple>>,
        arm: impl FnOnce(&mut Core, u32) -> Result<TaskId, ScheduleError>,
    ) -> PyResult<TaskId> {
        let gate = self.gate()?;
        let (mut arguments, mut left) = (arguments, None);
        let armed = gate.with(|board| board.schedule(py, call, &mut arguments, &mut left, arm));
        Ok(armed.map_err(Error::from)?)
    }

    /// Schedules many, in slices. If that fails, those scheduled before are cancelled, and the error
    /// says why; what has started meanwhile runs to its end.
    fn arm_many(
        &self,
        py: Python<'_>,
        many: &Many<'_, '_>,
        nominals: &[Nanos],
        arm: impl Fn(&mut Core, u32, Nanos, u8) -> Result<TaskId, ScheduleError>,
    ) -> PyResult<TaskIds> {
        let gate = self.gate()?;
        let count = nominals.len();
        let Checked { name, identity, is_coroutine } =
            self.checks.check(many.name, many.callback)?;
        let executor = self.executor_of(many.executor, is_coroutine)?;
        // One for all: each run has a copy of its own.
        let captures = is_coroutine;
        let context = if captures { self.checks.context(py)? } else { None };
        let text = text_of(name);
        let listed = many.check_lengths(count)?;
        let shared = if listed.is_none() { priority(many.priorities)? } else { 0 };

        let mut ids = Vec::new();
        ids.try_reserve_exact(count).map_err(Error::from)?;
        let (mut all, mut left) = (Vec::with_capacity(SLICE), Vec::with_capacity(1));
        for (number, slice) in nominals.chunks(SLICE).enumerate() {
            let first = number * SLICE;
            let done = (first..first + slice.len()).try_for_each(|index| {
                all.push(many.of(index, context.as_ref())?);
                Ok(())
            });
            let done = done.and_then(|()| {
                gate.with(|board| {
                    for ((one, nominal), index) in all.iter_mut().zip(slice).zip(first..) {
                        let One { joined: Joined { arguments, names }, options } = one;
                        let call = NewCall {
                            name,
                            text,
                            callback: many.callback,
                            identity,
                            names: names.as_ref(),
                            options: options.as_ref(),
                            is_special: many.is_special,
                            is_coroutine,
                            executor,
                        };
                        let priority = listed.map_or(shared, |listed| listed[index]);
                        let arm = |core: &mut Core, slot| arm(core, slot, *nominal, priority);
                        let mut emptied = None;
                        let armed = board.schedule(py, &call, arguments, &mut emptied, arm);
                        left.extend(emptied);
                        ids.push(armed?);
                    }
                    Ok::<_, ScheduleError>(())
                })
                .map_err(|error| Error::from(error).into())
            });
            if let Err(error) = done {
                let scheduled = Bound::new(py, TaskIds { ids, codec: self.codec.clone() })?;
                self.cancel_many(py, scheduled.as_any())?;
                return Err(error);
            }
            all.clear();
            Self::let_others_run(py);
        }
        Ok(TaskIds { ids, codec: self.codec.clone() })
    }

    /// The number of the executor that runs a task.
    fn executor_of(&self, asked: Option<u8>, is_coroutine: bool) -> PyResult<u8> {
        let executor = asked.unwrap_or(u8::from(is_coroutine));
        if is_coroutine && executor != 1 {
            return Err(PyValueError::new_err(
                "executor must be 'asyncio' for a coroutine function: only an event loop can run it",
            ));
        }
        if executor < self.executors() {
            return Ok(executor);
        }
        Err(PyValueError::new_err(format!("there is no executor {executor}")))
    }

    /// How many executors there are.
    pub(crate) fn executors(&self) -> u8 {
        self.executors.load(Ordering::Acquire)
    }

    /// Moves due tasks to the ready queue of an executor until all are there.
    pub(crate) fn advance(&self, py: Python<'_>, gate: &Gate<Board>, executor: u8) {
        let clock = self.clock.get();
        let step =
            || gate.with(|board| board.core.advance_for(executor, clock.now(), ADVANCE_BUDGET));
        if !step() {
            py.detach(|| while !step() {});
        }
    }

    /// Lets threads that wait for the interpreter have it, between the slices of long work.
    pub(crate) fn let_others_run(py: Python<'_>) {
        py.detach(|| ());
    }
}

/// Whether options name a context of their own.
fn has_context(options: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
    let Some(options) = options else { return Ok(false) };
    Ok(!options.getattr(intern!(options.py(), "context"))?.is_none())
}

/// The text of a name. An object of a subclass of str may show another one: it has none.
#[inline]
fn text_of<'a>(name: &'a Bound<'_, PyString>) -> Option<&'a str> {
    if name.is_exact_instance_of::<PyString>() { name.to_str().ok() } else { None }
}

/// When a task is due first.
#[derive(Clone, Copy, Default)]
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
        recurrence: Option<&Arc<scheduler_core::Recurrence>>,
    ) -> Result<TaskId, ScheduleError> {
        match (self.wall, recurrence) {
            (Some(wall), None) if self.follows_wall => core.arm_on_wall(slot, wall, priority),
            (Some(wall), Some(recurrence)) if recurrence.on_wall => {
                core.arm(slot, wall, priority, Some(recurrence))
            }
            (_, None) => core.arm(slot, self.on_axis(core, 0), priority, None),
            (_, Some(recurrence)) => {
                let first = self.on_axis(core, interval_of(&recurrence.repeat));
                if recurrence.end == FAR_FUTURE {
                    return core.arm(slot, first, priority, Some(recurrence));
                }
                // Its end was said as a moment of the wall.
                let end = core.to_axis(recurrence.end);
                let own = scheduler_core::Recurrence { end, ..recurrence.as_ref().clone() };
                core.arm(slot, first, priority, Some(&Arc::new(own)))
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

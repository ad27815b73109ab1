"""The scheduler: it connects engine, executor, clock and event bus, and has no algorithm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence, Set
from datetime import datetime, tzinfo
from threading import RLock
from time import monotonic
from types import TracebackType
from typing import Any, Literal, Self, TypeVarTuple, Unpack, overload
from weakref import WeakMethod

from num_agents._lazy import LazyModule
from num_agents.scheduler._engine import clock_watch, lifetime
from num_agents.scheduler._engine.bulk import Many
from num_agents.scheduler._engine.clock import Clock, default_clocks
from num_agents.scheduler._engine.control import RUNS
from num_agents.scheduler._engine.engine import Engine
from num_agents.scheduler._engine.view import TaskIds, TasksMapping
from num_agents.scheduler._hints import hinted
from num_agents.scheduler._log import log
from num_agents.scheduler._messages import show
from num_agents.scheduler._options import (
    OptionsWithoutKwargs,
    ScheduleOptions,
    schedule_signature,
)
from num_agents.scheduler._timing.moments import Moment, moment_ns, to_datetime
from num_agents.scheduler._timing.spans import (
    SECOND_NS,
    Seconds,
    after_ns,
    bounded_span_ns,
    span_ns,
    wait_s,
)
from num_agents.scheduler._timing.zones import zone_of
from num_agents.scheduler.events import SupportsPublish
from num_agents.scheduler.executors import group
from num_agents.scheduler.forecast import Forecast
from num_agents.scheduler.outcomes import Outcome
from num_agents.scheduler.policy import DEFAULT_PRIORITY, IfExists, RunPolicy, count
from num_agents.scheduler.statistics import Statistics, StopReport
from num_agents.scheduler.task import Task, TaskSchedule, checked_args

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio

    from num_agents.scheduler import testing
    from num_agents.scheduler._engine import futures
    from num_agents.scheduler._engine.announce import Announcer
else:
    asyncio = LazyModule("asyncio")
    futures = LazyModule("num_agents.scheduler._engine.futures")
    testing = LazyModule("num_agents.scheduler.testing")

StopMode = Literal["wait", "drain", "now", "cancel"]
Until = Literal["run", "end"]
Args = TypeVarTuple("Args")

#: How many coroutines may be under way, unless the program says otherwise.
DEFAULT_CONCURRENCY = 1000

#: More would delay even tasks that are due once a second by whole runs.
MAX_SLACK_S = 1

STOP_MODES = ("wait", "drain", "now", "cancel")


class Scheduler:
    """Schedules tasks and runs them on time, in order and once. Tasks can be cancelled at any time.

    Use it as a context manager, or `start` and `stop` it. Tasks can be scheduled before it is
    started and while it is stopped. All methods may be called from any thread, callbacks included.

    Guarantees, as long as the process lives: an occurrence starts at most once, never before its
    due time, and, among those that are due, in the order of priority, due time, and scheduling.

    Args:
        event_bus: The bus that events are published on (see `num_agents.scheduler.events`).
        max_workers: Threads that run callbacks; by default the number of processors plus four, at
            most 32.
        history: How many ended tasks are remembered for `result` and `get_task`.
        timezone: The zone of naive datetimes in arguments, and of the datetimes that are returned:
            a tzinfo, an IANA name, "UTC" or "local" (default).
        clock: A `VirtualClock`, for tests; by default the system's.
        catch_up_spread: Seconds or a timedelta. When the scheduler starts, the machine wakes up or
            the wall clock is set, overdue tasks are spread over this span, in order. None: they
            all run at once.
        slack: Seconds or a timedelta, from 0 (default) to 1. A worker that sleeps may sleep this
            much past a due time, and then runs all that fell due meanwhile. So a task starts up to
            `slack` later, never earlier, and tasks that are spread over time need fewer wake-ups:
            with 0.001 and 10,000 runs a second, a fifth of the CPU time. Workers that are awake
            ignore it. It has no effect on a virtual clock.
        loop: The event loop that runs coroutines. None (default): the loop that runs in the thread
            that starts the scheduler; if none does, one in a thread of its own, which is started
            with the first coroutine.
        max_concurrency: How many coroutines may be under way at once; 1,000 by default. What is due
            beyond that waits for its turn, in order. A coroutine that waits for another task of
            this scheduler is not counted meanwhile. None: any number.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.
    """

    @hinted("Scheduler")
    def __init__(
        self,
        *,
        event_bus: SupportsPublish | None = None,
        max_workers: int | None = None,
        history: int = 10_000,
        timezone: tzinfo | str | None = None,
        clock: testing.VirtualClock | None = None,
        catch_up_spread: Seconds | None = None,
        slack: Seconds = 0,
        loop: asyncio.AbstractEventLoop | None = None,
        max_concurrency: int | None = DEFAULT_CONCURRENCY,
    ) -> None:
        if isinstance(history, bool) or not isinstance(history, int):
            raise TypeError(f"history must be an integer, got {show(history)}")
        if not 0 <= history < 2**31:
            raise ValueError(f"history must be at least 0 and below 2**31, got {show(history)}")
        if clock is not None and not isinstance(getattr(clock, "native", None), Clock):
            raise TypeError(f"clock must be a VirtualClock or None, got {show(clock)}")
        virtual: testing.VirtualClock | None = clock
        if virtual is None and default_clocks:
            virtual = default_clocks[-1]
        zone = zone_of(timezone)
        if timezone is None and virtual is not None:
            zone = virtual.zone
        spread_ns = (
            0 if catch_up_spread is None else bounded_span_ns(catch_up_spread, "catch_up_spread")
        )
        slack_ns = bounded_span_ns(slack, "slack")
        if slack_ns > MAX_SLACK_S * SECOND_NS:
            raise ValueError(f"slack must be at most {MAX_SLACK_S} second, got {show(slack)}")
        _check_loop(loop, max_concurrency, virtual)
        self._virtual_clock = virtual
        self._announcer = _announcer_of(event_bus, zone, virtual)
        self._engine = Engine(
            Clock() if virtual is None else virtual.native,
            history=history,
            zone=zone,
            announcer=self._announcer,
            instance=None if virtual is None else virtual.new_instance(),
            catch_up_spread_ns=spread_ns,
            slack_ns=slack_ns,
            virtual=virtual,
        )
        self._executor = group.executors_of(
            self._engine,
            virtual,
            max_workers=max_workers,
            loop=loop,
            max_concurrency=max_concurrency,
        )
        self._engine.call_check.prepare_loop = WeakMethod(self._executor.prepare_loop)
        self._running = False
        # Reentrant: a handler of the event bus may stop the scheduler that it hears of.
        self._lifecycle = RLock()

    # ---- scheduling --------------------------------------------------------------------------

    # For type checkers, which compare a tuple of `args` with the callback. (A ParamSpec could say
    # more, but only of `*args` and `**kwargs`. Without `args` any callback is accepted, since mypy
    # refuses `lambda item=item: ...` where a function without parameters is expected.)
    @overload
    def schedule(
        self,
        name: str,
        callback: Callable[..., Any],
        *,
        delay: Seconds | None = None,
        priority: int = DEFAULT_PRIORITY,
        key: str | None = None,
        if_exists: IfExists = "raise",
        **options: Unpack[ScheduleOptions],
    ) -> str: ...
    @overload
    def schedule(
        self,
        name: str,
        callback: Callable[[*Args], Any],
        *,
        delay: Seconds | None = None,
        args: tuple[*Args] | MutableSequence[Any] | Set[Any] | Iterator[Any] | range,
        priority: int = DEFAULT_PRIORITY,
        key: str | None = None,
        if_exists: IfExists = "raise",
        **options: Unpack[OptionsWithoutKwargs],
    ) -> str: ...
    @overload
    def schedule(
        self,
        name: str,
        callback: Callable[..., Any],
        *,
        delay: Seconds | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None,
        priority: int = DEFAULT_PRIORITY,
        key: str | None = None,
        if_exists: IfExists = "raise",
        **options: Unpack[OptionsWithoutKwargs],
    ) -> str: ...
    def schedule(
        self,
        name: str,
        callback: Callable[..., Any],
        *,
        delay: Seconds | None = None,
        args: Iterable[Any] = (),
        priority: int = DEFAULT_PRIORITY,
        key: str | None = None,
        if_exists: IfExists = "raise",
        **options: Unpack[ScheduleOptions],
    ) -> str:
        """Schedules a task. O(1).

        With no `delay`, `run_at`, `interval` or calendar, the task runs immediately.

        Args:
            name: The task's name in logs, events and lists. It need not be unique.
            callback: Called with `args` and `kwargs` at each run. If it is a coroutine function, an
                event loop runs it, in a copy of the caller's context: see `loop` of the class.
            delay: Run once, this many seconds (or a timedelta) from now.
            args: Positional arguments.
            priority: 0 (first) to 255 (last) among the tasks that are due.
            key: A name that the task has to itself until it ends.
            if_exists: What to do if another task has the key: `"raise"` an error (default),
                `"keep"` that task, `"replace"` it (it is cancelled, and a run under way ends), or
                `"move"` it to the `delay` or `run_at` that is given here. With the last three the
                same call can be made again, as at each start of a program.
            options: The other times, `run_at`, `interval`, `cron_expression`, `calendar_interval`,
                `rrule`, `any_of`, `exclude`, `max_runs`, `start_after`, `end_after`, `timezone`,
                `fixed_delay`, `first_run`, `dialect`, `dst`, `jitter`, `window`, as in
                `TaskSchedule`; how to run, `misfire`, `grace`, `catch_up_limit`,
                `pause_after_failures`, `executor`, `timeout`, `retry`, `retries`, as in
                `RunPolicy`; and `kwargs`, `tags`, `metadata`, `context`, as in `Task`.

        Returns:
            The task's id: a UUID (version 8) as a string, unique to this scheduler. With
            `if_exists="keep"` or `"move"` that of the task that has the key.

        Warns:
            ScheduleWarning: An option has no effect.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: An argument is out of its range, or two contradict each other.
            InvalidCronError: A ValueError that says where the cron expression is wrong.
            OverflowError: A time lies beyond the year 9999.
            TaskExistsError: Another task has the key.
        """
        engine = self._engine
        if type(args) is not tuple:
            args = checked_args(args)
        if key is not None or if_exists != "raise":
            return engine.schedule_with_key(
                *(name, callback, delay, args, priority),
                options,  # type: ignore[arg-type]
                key,
                if_exists,
            )
        if options:
            return engine.schedule_with_options(
                name,
                callback,
                delay,
                args,
                priority,
                options,  # type: ignore[arg-type]
            )
        if delay is None:
            delay = 0
        if (type(delay) is float or type(delay) is int) and (
            self._announcer is None or not self._announcer.wants("scheduler.task_scheduled")
        ):
            return engine.schedule_plain(name, callback, args, delay, priority)
        after_ns(engine.clock.now_ns(), delay, "delay")  # raises if it ends too late
        span = span_ns(delay, "delay")
        return engine.schedule_after(name, callback, args, span, priority)

    schedule.__wrapped__ = schedule_signature  # type: ignore[attr-defined]  # for `inspect`

    def schedule_task(self, task: Task) -> str:
        """Schedules a `Task`, which then shows the state of what was scheduled. O(1).

        Returns:
            The task's id.

        Raises:
            TypeError: `task` is not a `Task`.
            ValueError: It is already scheduled, or would never run.
            OverflowError: A time lies beyond the year 9999.
        """
        if not isinstance(task, Task):
            raise TypeError(f"task must be a Task, got {show(task)}")
        return task._schedule_once(self._engine.view, self._engine.schedule)  # noqa: SLF001 - a pair

    def schedule_many(
        self,
        name: str,
        callback: Callable[..., Any],
        *,
        delays: Iterable[Seconds] | None = None,
        run_ats: Iterable[Moment | float] | None = None,
        args: Iterable[Iterable[Any]] | None = None,
        priorities: Iterable[int] | None = None,
        kwargs: Mapping[str, Any] | Iterable[Mapping[str, Any]] | None = None,
        tags: Iterable[str | Iterable[str]] = (),
        schedule: TaskSchedule | None = None,
        policy: RunPolicy | None = None,
    ) -> TaskIds:
        """Schedules many tasks with one callback. All arguments are checked first.

        With `delays` or `run_ats` they are one-shots; with an interval as well, these are the first
        times, from which each repeats. A `schedule` alone says when all of them run, and the
        arguments that are given for each task say how many there are.

        Args:
            name: The name of each task.
            callback: The callback of each task.
            delays: Seconds or timedeltas from the call, or a buffer of float64 seconds.
            run_ats: Instead of delays: datetimes, ISO-8601 strings, or POSIX seconds.
            args: The positional arguments of each task; none by default.
            priorities: The priority of each task, 0 (first) to 255 (last); that of the policy by
                default.
            kwargs: The keyword arguments: one mapping for all tasks, or an iterable of mappings,
                one for each.
            tags: Strings, for all tasks; or an iterable of iterables of strings, one for each.
            schedule: How all of them repeat: by an interval, or by a calendar without an rrule.
                With `delays` or `run_ats` it is an interval without `start_after` or `first_run`.
            policy: How all of them run.

        Returns:
            The ids: a sequence that makes each string when it is read.

        Warns:
            ScheduleWarning: An option has no effect.

        Raises:
            TypeError: An argument has the wrong type; the message names the index.
            ValueError: An argument is out of its range, the numbers of items differ, or the
                schedule contradicts the times.
            OverflowError: A time lies beyond the year 9999.
        """
        engine = self._engine
        now_ns = engine.clock.axis_ns()
        has_times = delays is not None or run_ats is not None
        if (delays is not None and run_ats is not None) or not (has_times or schedule is not None):
            raise ValueError("give either delays or run_ats")
        many = Many(
            engine,
            args=args,
            priorities=priorities,
            kwargs=kwargs,
            tags=tags,
            schedule=schedule,
            policy=policy,
        )
        if delays is not None:
            return many.after(name, callback, now_ns, delays)
        if run_ats is not None:
            return many.at(name, callback, run_ats)
        return many.as_scheduled(name, callback, now_ns)

    # ---- changing ----------------------------------------------------------------------------

    def cancel_task(self, task_id: str) -> bool:
        """Cancels a task. O(1).

        A task that has not started never will. A running one sees its cancel token set (see
        `current_run`), does not run again, and ends as cancelled.

        Returns:
            Whether it stopped a future run or signalled the current one. False if the id is
            unknown, or if the task has ended or was cancelled before.

        Raises:
            TypeError: The id is not a string.
        """
        done = self._engine.cancel(task_id)
        if done == RUNS:
            self._interrupt(task_id)
        return done != 0

    def cancel_many(self, task_ids: Iterable[str]) -> int:
        """Cancels many tasks at once. Returns how many of them it stopped.

        Raises:
            TypeError: `task_ids` is not an iterable, or an id is not a string. Nothing is
                cancelled then.
        """
        stopped, running = self._engine.control.cancel_many(task_ids)
        for task_id in running:
            self._interrupt(task_id)
        return stopped

    def _interrupt(self, task_id: str) -> None:
        """Cancels the coroutine of a task that has been cancelled."""
        slot = self._engine.running_slot(task_id)
        if slot is not None:
            self._executor.interrupt(slot)

    def pause_task(self, task_id: str) -> bool:
        """Pauses a task until it is resumed. If it is running, it is paused when the run ends.

        Returns:
            False if the id is unknown, or if the task has ended or is already paused.
        """
        return self._engine.control.pause(task_id)

    def resume_task(self, task_id: str) -> bool:
        """Resumes a paused task. Occurrences that it missed are handled as `misfire` says.

        `pause_after_failures` starts to count from zero.

        Returns:
            False if the id is unknown or the task is not paused.
        """
        return self._engine.control.resume(task_id)

    def reschedule_task(
        self, task_id: str, *, delay: Seconds | None = None, run_at: Moment | None = None
    ) -> bool:
        """Gives a task a new time. Its id stays. A recurring task goes on from the new time.

        If the task is running, it will run again at that time, even if it is a one-shot.

        Returns:
            False if the id is unknown or the task has ended.

        Raises:
            ValueError: Neither or both of `delay` and `run_at` are given.
        """
        if (delay is None) == (run_at is None):
            raise ValueError("give either delay or run_at")
        engine = self._engine
        if delay is not None:
            after_ns(engine.clock.now_ns(), delay, "delay")  # raises if it ends too late
            return engine.control.reschedule_after(task_id, span_ns(delay, "delay"))
        return engine.control.reschedule_at(task_id, moment_ns(run_at, "run_at", engine.zone))

    def run_now(self, task_id: str) -> bool:
        """Runs a pending or paused task once more, now. Its schedule does not move.

        The run is not counted, and a paused task stays paused.

        Returns:
            False if the id is unknown, or the task is running or will run so already.
        """
        return self._engine.control.run_now(task_id)

    # ---- running -----------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether due tasks are run."""
        return self._running and not self._engine.is_foreign

    def start(self) -> None:
        """Starts to run tasks that are due. Does nothing if the scheduler is already running.

        A scheduler that runs is kept alive until it is stopped, even if nobody refers to it.
        """
        self._engine.check_process()
        lifetime.preload()
        with self._lifecycle:
            if self._running:
                return
            # Before the first run, so that a callback finds the scheduler running.
            self._running = self._engine.waiting.is_running = True
            try:
                changes = self._engine.wall.catch_up()
                self._executor.start()
                if self._virtual_clock is None:
                    lifetime.started(self)
                    clock_watch.enter(self._engine)
                    # What happened before it was watched.
                    changes += self._engine.wall.look()
            except BaseException:
                self._running = False
                self._dismiss(cancel=False)
                raise
            if not self._running:
                # A signal handler has stopped it meanwhile.
                self._dismiss(cancel=False)
                return
        log("info", "The scheduler has been started")
        # Not under the lock: a handler may wait for a thread that starts or stops it.
        self._engine.wall.announce(changes)
        if self._announcer is not None:
            self._announcer.publish("scheduler.started")

    async def start_async(self) -> None:
        """Does the same as `start`. Coroutines run on the loop of the caller."""
        self.start()

    async def stop_async(self, mode: StopMode = "wait", timeout: Seconds = 5.0) -> StopReport:
        """Stops the scheduler as `stop` does, without blocking the event loop.

        So coroutines that run on this loop can end meanwhile. With `"cancel"` they get
        `asyncio.CancelledError`, and what they do in `finally` is waited for. The coroutine that
        calls this is neither cancelled nor waited for.
        """
        from asyncio import to_thread  # noqa: PLC0415 - 40 ms, and asyncio users have it

        if self._virtual_clock is None:
            return await to_thread(self.stop, mode, timeout)
        if not self._virtual_clock.runs_caller() or mode == "now":
            return self.stop(mode, timeout)
        # In another thread it could not move the clock.
        limit = wait_s(span_ns(timeout, "timeout"))
        if mode == "drain":
            await self._executor.end_async(limit)
        report = self.stop("cancel" if mode == "cancel" else "now")
        await self._executor.end_async(limit)
        return StopReport.of(
            self.statistics(), was_running=report.was_running, ended=self._executor.join(0)
        )

    def stop(self, mode: StopMode = "wait", timeout: Seconds = 5.0) -> StopReport:
        """Stops the scheduler. Pending tasks stay, and run after the next `start`.

        If some runs have not ended when this returns, it can be called again, to wait for them or
        to cancel them.

        Args:
            mode: `"wait"`: start no more runs, and wait for those under way. `"drain"`: also run
                what is already due. `"now"`: do not wait. `"cancel"`: set the cancel tokens of the
                runs under way, and wait for them.
            timeout: Seconds or a timedelta to wait at most. The calling thread is blocked. In a
                coroutine write `await scheduler.stop_async()`: what runs on the event loop, or
                waits for it, cannot end while it is blocked.

        Returns:
            What was left: runs that go on, and pending tasks.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: An argument is out of its range.
        """
        if mode not in STOP_MODES:
            words = ", ".join(map(repr, STOP_MODES))
            raise ValueError(f"mode must be one of {words}, got {show(mode)}")
        limit = wait_s(span_ns(timeout, "timeout"))
        engine = self._engine
        if engine.is_foreign:
            return StopReport(was_running=False, ended=True, running=0, pending=0)
        deadline = monotonic() + (0.0 if mode == "now" else limit)
        with self._lifecycle:
            was_running, self._running = self._running, False
        # Without the lock: a callback that this waits for may stop the scheduler, too.
        with lifetime.loop_watched(lambda: self.statistics().running):
            try:
                if mode == "drain" and was_running:
                    self._executor.drain(limit)
            finally:
                # In any case, or an interrupt would leave a stopped scheduler that runs on.
                self._dismiss(cancel=mode == "cancel")
            ended = self._executor.join(max(deadline - monotonic(), 0.0))
        report = StopReport.of(self.statistics(), was_running=was_running, ended=ended)
        if was_running:
            log(
                "info",
                "The scheduler has been stopped: %d tasks still run, %d are pending",
                report.running,
                report.pending,
            )
            if self._announcer is not None:
                self._announcer.publish("scheduler.stopped", mode=mode)
        return report

    def run_forever(self, mode: StopMode = "wait", timeout: Seconds = 5.0) -> StopReport:
        """Runs tasks until the process is asked to end by SIGINT or SIGTERM, and then stops.

        For programs that do nothing but run their tasks. A second signal while it stops does what
        it did before the call, such as to raise `KeyboardInterrupt`.

        Args:
            mode: How to stop: see `stop`.
            timeout: Seconds or a timedelta to wait at most for runs under way.

        Returns:
            What was left.

        Raises:
            RuntimeError: The calling thread is not the main thread, which alone hears signals.
        """
        # First: a callback may be what makes somebody ask.
        with lifetime.signals_heard() as asked:
            try:
                self.start()
                lifetime.wait_for_signal(asked)
            finally:
                report = self.stop(mode, timeout)
        if report.running:
            lifetime.log_running(self._engine, "still ran when the program was asked to end")
        return report

    def _dismiss(self, *, cancel: bool) -> None:
        """Starts no more runs, unless it has been started again meanwhile."""
        with self._lifecycle:
            if self._running:
                return
            self._engine.waiting.is_running = False
            self._executor.dismiss(cancel=cancel)
            lifetime.stopped(self)
            thread = clock_watch.leave(self._engine)
        clock_watch.join(thread)
        self._engine.waiting.tell_stopped()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._log_left(self.stop())

    async def __aenter__(self) -> Self:
        await self.start_async()
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._log_left(await self.stop_async())

    def _log_left(self, report: StopReport) -> None:
        if report.running:
            lifetime.log_running(
                self._engine, "still ran when the with block of its scheduler ended"
            )

    # ---- waiting -----------------------------------------------------------------------------

    def wait_for_task(
        self, task_id: str, timeout: Seconds | None = None, *, until: Until = "run"
    ) -> Outcome:
        """Waits until a task's run has ended, and returns its outcome.

        For a recurring task that is the next run to end after the call, or with `until="end"` the
        task's last. A worker that waits does not use up the pool: it grows by one meanwhile. On a
        virtual clock waiting moves the time.

        Args:
            task_id: The task.
            timeout: Seconds or a timedelta; None waits without limit, 0 does not wait.
            until: `"run"` or `"end"`.

        Raises:
            TimeoutError: Time ran out.
            UnknownTaskError: There is no such task, or it ended and is forgotten.
            SchedulerStoppedError: The scheduler does not run, or was stopped before the task ran.
        """
        limit_ns = None if timeout is None else span_ns(timeout, "timeout")
        waiting = self._engine.waiting
        future = waiting.future(task_id, until_end=_until_end(until))
        try:
            waiting.wait(future, limit_ns)
            outcome: Outcome = future.result(0)
        except TimeoutError:
            raise _timed_out(task_id, limit_ns) from None
        finally:
            future.watch = None
        return outcome

    def result(self, task_id: str, timeout: Seconds | None = None, *, until: Until = "run") -> Any:
        """Waits for a task as `wait_for_task` does, and returns what its callback returned.

        Raises:
            BaseException: What the callback raised.
            TimeoutError: Time ran out.
            TaskCancelledError: The task was cancelled.
            TaskMissedError: Its time was missed.
            UnknownTaskError: There is no such task, or it ended and is forgotten.
            SchedulerStoppedError: The scheduler does not run, or was stopped before the task ran.
        """
        return self.wait_for_task(task_id, timeout, until=until).unwrap()

    def future(self, task_id: str, *, until: Until = "run") -> futures.TaskFuture:
        """A future for what the task's next run returns, or with `until="end"` its last.

        It is cancelled if the task is; cancelling it does not cancel the task. When the scheduler
        is stopped before the task ran, it fails with `SchedulerStoppedError`. In a coroutine it can
        be awaited.

        Raises:
            UnknownTaskError: There is no such task, or it ended and is forgotten.
        """
        until_end = _until_end(until)
        return self._engine.waiting.future(task_id, until_end=until_end, of_value=True)

    async def wait_for_task_async(
        self, task_id: str, timeout: Seconds | None = None, *, until: Until = "run"
    ) -> Outcome:
        """As `wait_for_task`, without blocking the event loop.

        On a virtual clock waiting takes no time, and moves the clock, unless the caller itself runs
        on the clock's event loop.
        """
        limit_ns = None if timeout is None else span_ns(timeout, "timeout")
        waiting = self._engine.waiting
        future = waiting.future(task_id, until_end=_until_end(until))
        try:
            await waiting.wait_async(future, limit_ns)
            outcome: Outcome = future.result(0)
        except TimeoutError:
            raise _timed_out(task_id, limit_ns) from None
        finally:
            future.watch = None
        return outcome

    async def result_async(
        self, task_id: str, timeout: Seconds | None = None, *, until: Until = "run"
    ) -> Any:
        """As `result`, without blocking the event loop."""
        return (await self.wait_for_task_async(task_id, timeout, until=until)).unwrap()

    # ---- looking -----------------------------------------------------------------------------

    def get_task(self, task_id: str) -> Task | None:
        """The task of an id; None if it is unknown, or ended and forgotten. O(1)."""
        return self._engine.view.task(task_id)

    def get_all_tasks(self) -> list[Task]:
        """All tasks: those that have not ended, and those that are remembered. O(n)."""
        view = self._engine.view
        return [*view.tasks("live"), *view.tasks("ended")]

    def get_pending_tasks(self) -> list[Task]:
        """The tasks that wait for their time or for a worker. O(n)."""
        return list(self._engine.view.tasks("pending"))

    def get_due_tasks(self) -> list[Task]:
        """The pending tasks that are due. O(n)."""
        return list(self._engine.view.tasks("due"))

    def live_task_ids(self) -> TaskIds:
        """The ids of all tasks that have not ended. O(n), 8 bytes each."""
        return self._engine.view.task_ids("live")

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The tasks of `get_all_tasks` by id: a read-only mapping that looks them up when asked."""
        self._engine.check_process()
        return TasksMapping(self._engine.view)

    @property
    def keys(self) -> Mapping[str, str]:
        """The id of the task that has a key, for each key in use: a read-only mapping."""
        self._engine.check_process()
        return self._engine.keys

    def statistics(self) -> Statistics:
        """Counts of tasks and runs so far, and of tasks in each state now."""
        return self._engine.view.statistics()

    def forecast(self, horizon: Seconds = 86_400, bucket: Seconds = 3600) -> Forecast:
        """Counts the runs to come in [now, now + horizon), without running anything.

        Paused tasks are left out, and so is what callbacks will schedule. A fixed delay is counted
        as if its runs took no time; of an rrule, about 10,000 times at most. Signal handlers run
        meanwhile, so Ctrl-C interrupts a long forecast.

        Args:
            horizon: How far to look: seconds or a timedelta, in whole seconds, at most 366 days.
            bucket: The length of each bucket, likewise.

        Returns:
            The forecast; it holds 4 bytes for each second of the horizon.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: An argument is out of its range, or no whole number of seconds.
        """
        from num_agents.scheduler.forecast import whole_s  # noqa: PLC0415 - rare

        seconds, width = whole_s(horizon, "horizon"), whole_s(bucket, "bucket")
        engine = self._engine
        start = engine.clock.now_ns()
        return Forecast(engine.forecast(start, seconds), start, seconds, width, engine.zone)

    def now(self) -> datetime:
        """The current time of the scheduler's clock, in its time zone."""
        self._engine.check_process()
        return to_datetime(self._engine.clock.now_ns(), self._engine.zone)

    def __repr__(self) -> str:
        if self._engine.is_foreign:
            return "<Scheduler of the parent process>"
        state = "running" if self.is_running else "stopped"
        return f"<Scheduler {state}, {self.statistics().pending} pending>"


def _announcer_of(
    bus: SupportsPublish | None, zone: tzinfo | None, virtual: testing.VirtualClock | None
) -> Announcer | None:
    if bus is None:
        return None
    from num_agents.scheduler._engine.announce import Announcer  # noqa: PLC0415 - with a bus only

    return Announcer(bus, zone, _no_stamp if virtual is None else virtual.new_stamp)


def _check_loop(loop: object, max_concurrency: object, virtual: object) -> None:
    if loop is not None:
        from asyncio import AbstractEventLoop  # noqa: PLC0415 - 40 ms, and asyncio users have it

        if not isinstance(loop, AbstractEventLoop):
            raise TypeError(f"loop must be an event loop of asyncio or None, got {show(loop)}")
        if virtual is not None:
            raise ValueError("loop must not be given with a virtual clock, which has its own")
    count(max_concurrency, "max_concurrency")


def _no_stamp() -> tuple[None, None]:
    """Lets an event find its id and its time itself."""
    return None, None


def _until_end(until: object) -> bool:
    if until not in ("run", "end"):
        raise ValueError(f"until must be 'run' or 'end', got {show(until)}")
    return until == "end"


def _timed_out(task_id: str, limit_ns: int | None) -> TimeoutError:
    return TimeoutError(f"task {task_id} did not end within {wait_s(limit_ns or 0):g} s")

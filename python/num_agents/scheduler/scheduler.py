"""The scheduler: composes engine, executor, clock and event bus, and holds no algorithm."""

from __future__ import annotations

from threading import RLock

from num_agents.scheduler import _clock_watch, _lifetime
from num_agents.scheduler._engine import Call, Clock, Details, Engine, TaskIds, default_clock
from num_agents.scheduler._messages import each, show
from num_agents.scheduler._numbers import integer
from num_agents.scheduler._timing.bulk import many_moments, many_seconds
from num_agents.scheduler._timing.moments import moment_ns, to_datetime
from num_agents.scheduler._timing.spans import SECOND_NS, after_ns, bounded_span_ns, span_ns, wait_s
from num_agents.scheduler._timing.zones import zone_of
from num_agents.scheduler.policy import DEFAULT_PRIORITY, RunPolicy
from num_agents.scheduler.statistics import Statistics, StopReport
from num_agents.scheduler.task import (
    Task,
    checked_args,
    task_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Future
    from datetime import datetime, tzinfo
    from types import TracebackType
    from typing import Any, Literal, Self, Unpack

    from num_agents.scheduler._timing.moments import Moment
    from num_agents.scheduler._timing.spans import Seconds
    from num_agents.scheduler.events import SupportsPublish
    from num_agents.scheduler.executors import Executor
    from num_agents.scheduler.forecast import Forecast
    from num_agents.scheduler.outcomes import Outcome
    from num_agents.scheduler.task import ScheduleOptions
    from num_agents.scheduler.testing import VirtualClock

    StopMode = Literal["wait", "drain", "now", "cancel"]

STOP_MODES = ("wait", "drain", "now", "cancel")


class Scheduler:
    """Schedules tasks and runs them: each on time, in order, once, and cancellable at any moment.

    Use it as a context manager, or `start` and `stop` it. Tasks can be scheduled before it is
    started and while it is stopped. All methods may be called from any thread, callbacks included.

    Guarantees, as long as the process lives: an occurrence starts at most once, never before its
    due time, and, among those that are due, in the order of priority, due time, and scheduling.

    Args:
        event_bus: Where to publish what happens (see `num_agents.scheduler.events`).
        max_workers: Threads that run callbacks; by default the number of processors and four, at
            most 32.
        history: How many ended tasks are remembered for `result` and `get_task`.
        timezone: The zone of naive datetimes, and of those given out: a tzinfo, "UTC" or "local"
            (default).
        clock: A `VirtualClock`, for tests; by default the system's.
        catch_up_spread: Seconds or a timedelta: when the scheduler starts, or the machine wakes up
            or its wall clock is set, what is overdue is spread over this span, in order, instead of
            being run all at once. None: it is run at once.

    Raises:
        TypeError: An argument is of another type.
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        *,
        event_bus: SupportsPublish | None = None,
        max_workers: int | None = None,
        history: int = 10_000,
        timezone: tzinfo | str | None = None,
        clock: VirtualClock | None = None,
        catch_up_spread: Seconds | None = None,
    ) -> None:
        if isinstance(history, bool) or not isinstance(history, int):
            raise TypeError(f"history must be an integer, got {show(history)}")
        if not 0 <= history < 2**31:
            raise ValueError(f"history must be at least 0 and below 2**31, got {show(history)}")
        if clock is not None and not isinstance(getattr(clock, "native", None), Clock):
            raise TypeError(f"clock must be a VirtualClock or None, got {show(clock)}")
        self._virtual_clock: VirtualClock | None = clock or default_clock.get()
        publisher = None
        if event_bus is not None:
            from num_agents.scheduler.events import Publisher  # noqa: PLC0415 - only with a bus

            virtual = self._virtual_clock
            publisher = Publisher(event_bus, _no_stamp if virtual is None else virtual.new_stamp)
        self._publisher = publisher
        zone = zone_of(timezone)
        if timezone is None and self._virtual_clock is not None:
            zone = self._virtual_clock.zone
        native_clock = Clock() if self._virtual_clock is None else self._virtual_clock.native
        self._engine = Engine(
            native_clock,
            history,
            zone,
            publisher,
            None if self._virtual_clock is None else self._virtual_clock.new_instance(),
            0 if catch_up_spread is None else bounded_span_ns(catch_up_spread, "catch_up_spread"),
        )
        self._executor = self._make_executor(max_workers)
        self._running = False
        # Reentrant: a handler of the event bus may stop the scheduler that it hears of.
        self._lifecycle = RLock()
        _lifetime.watch_over(self)

    def _make_executor(self, max_workers: int | None) -> Executor:
        from num_agents.scheduler.executors.threads import ThreadPool  # noqa: PLC0415 - a cycle

        threads = ThreadPool(self._engine, max_workers)
        if self._virtual_clock is None:
            return threads
        from num_agents.scheduler.executors.inline import InlineExecutor  # noqa: PLC0415

        self._virtual_clock.attach(self)
        return InlineExecutor(self._engine)

    # ---- scheduling --------------------------------------------------------------------------

    def schedule(
        self,
        name: str,
        callback: Callable[..., Any],
        *,
        delay: Seconds | None = None,
        args: Iterable[Any] = (),
        priority: int = DEFAULT_PRIORITY,
        **options: Unpack[ScheduleOptions],
    ) -> str:
        """Schedules a task. O(1).

        Without any time it is due at once.

        Args:
            name: What to call it in logs, events and lists; not necessarily unique.
            callback: Called with `args` and `kwargs` at each run.
            delay: Run once, so many seconds (or a timedelta) from now.
            args: Positional arguments.
            priority: 0 (first) to 255 (last) among the tasks that are due.
            options: The other times, `run_at`, `interval`, `cron_expression`, `calendar_interval`,
                `rrule`, `any_of`, `exclude`, `max_runs`, `start_after`, `end_after`, `timezone`,
                `fixed_delay`, `first_run`, `dialect`, `dst`, `jitter`, `window`, as in
                `TaskSchedule`; how to run, `misfire`, `grace`, `catch_up_limit`,
                `pause_after_failures`, as in `RunPolicy`; and `kwargs`, `tags`, `metadata`, as in
                `Task`.

        Returns:
            The task's id: a UUID (version 8) as a string, unique to this scheduler.

        Raises:
            TypeError: An argument is of another type.
            ValueError: An argument is out of its range, or two contradict each other.
            InvalidCronError: A ValueError that says where the cron expression is wrong.
            OverflowError: A time lies beyond the year 9999.
        """
        if options:
            return self._schedule(task_of(name, callback, delay, args, priority, options))
        engine = self._engine
        call = engine.last_call
        if call.callback is not callback or call.name is not name:
            call = engine.new_call(name, callback)
        if type(args) is not tuple:
            args = checked_args(args)
        if delay is None:
            delay = 0
        if type(delay) is float or type(delay) is int:
            task_id = engine.native.schedule(call, args, delay, priority)
        else:
            due = after_ns(engine.clock.now_ns(), delay, "delay")
            task_id = engine.native.schedule_at(call, args, due, priority, None, on_wall=False)
        if self._publisher is not None:
            engine.publish_scheduled(task_id)
        return task_id

    def schedule_task(self, task: Task) -> str:
        """Schedules a task that was made before; it becomes a view of itself. O(1).

        Returns:
            Its id.

        Raises:
            TypeError: It is no `Task`.
            ValueError: It is scheduled already, or would never run.
            OverflowError: A time lies beyond the year 9999.
        """
        if not isinstance(task, Task):
            raise TypeError(f"task must be a Task, got {show(task)}")
        if task.task_id is not None:
            raise ValueError(f"task is scheduled already, got {task!r}")
        task_id = self._schedule(task)
        task._bind(self._engine, task_id)  # noqa: SLF001 - a view is made here and nowhere else
        return task_id

    def schedule_many(
        self,
        name: str,
        callback: Callable[..., Any],
        *,
        delays: Iterable[Seconds] | None = None,
        run_ats: Iterable[Moment | float] | None = None,
        args: Iterable[Iterable[Any]] | None = None,
        priorities: Iterable[int] | None = None,
    ) -> TaskIds:
        """Schedules many one-shots of one callback at once; all arguments are checked first.

        Args:
            name: The name of each.
            callback: The callback of each.
            delays: Seconds or timedeltas from the call, or a buffer of float64 seconds.
            run_ats: Instead of delays: datetimes, ISO-8601 strings, or POSIX seconds.
            args: For each task its positional arguments; none by default.
            priorities: For each task 0 (first) to 255 (last); 128 by default.

        Returns:
            The ids, as a sequence that prints them when they are looked at.

        Raises:
            TypeError: An argument is of another type; the message names the index.
            ValueError: An argument is out of its range, or the numbers of items differ.
            OverflowError: A time lies beyond the year 9999.
        """
        if (delays is None) == (run_ats is None):
            raise ValueError("give either delays or run_ats")
        engine = self._engine
        now = engine.clock.axis_ns()
        call = engine.new_call(name, callback)
        arguments = () if args is None else [checked_args(one) for one in each(args, "args")]
        lanes = DEFAULT_PRIORITY if priorities is None else _lanes(priorities)
        if delays is not None:
            spans = many_seconds(delays, "delays")
            task_ids = engine.native.schedule_many(call, arguments, now, spans, lanes)
        else:
            assert run_ats is not None  # one of the two was given
            moments = many_moments(run_ats, "run_ats", engine.zone)
            task_ids = engine.native.schedule_many_at(call, arguments, moments, lanes)
        if self._publisher is not None:
            for task_id in task_ids:
                engine.publish_scheduled(task_id)
        return task_ids

    def _schedule(self, task: Task) -> str:
        details = Details(task.schedule, task.policy, task.tags, task.metadata)
        call = Call(task.name, task.callback, task.kwargs, details)
        task_id = self._engine.schedule(call, task.args, task.schedule, task.policy)
        self._engine.publish_scheduled(task_id)
        return task_id

    # ---- changing ----------------------------------------------------------------------------

    def cancel_task(self, task_id: str) -> bool:
        """Cancels a task. O(1).

        A task that has not started never will. One that runs is told by its cancel token (see
        `current_run`), does not run again, and ends as cancelled.

        Returns:
            Whether it stopped a future run, or signalled the current one; False for an id that is
            unknown, finished, or cancelled before.

        Raises:
            TypeError: The id is no string.
        """
        engine = self._engine
        if self._publisher is not None:
            return engine.cancel(task_id)
        done = engine.native.cancel(task_id)
        # Looked at afterwards: somebody may have begun to wait just before.
        if engine.waiters.futures:
            engine.resolve()
        return done != 0

    def cancel_many(self, task_ids: Iterable[str]) -> int:
        """Cancels many tasks at once. Returns how many of them it stopped.

        Raises:
            TypeError: It is no iterable, or one of the ids is no string; then nothing is cancelled.
        """
        return self._engine.cancel_many(task_ids)

    def pause_task(self, task_id: str) -> bool:
        """Keeps a task from running until it is resumed; one that runs now is paused afterwards.

        Returns:
            Whether it did; False for an id that is unknown, finished, or paused already.
        """
        return self._engine.pause(task_id)

    def resume_task(self, task_id: str) -> bool:
        """Lets a paused task run again. What fell due meanwhile is late work: no burst.

        Returns:
            Whether it did; False for an id that is unknown or not paused.
        """
        return self._engine.resume(task_id)

    def reschedule_task(
        self, task_id: str, *, delay: Seconds | None = None, run_at: Moment | None = None
    ) -> bool:
        """Gives a task another time; its id stays. A recurring task goes on from there.

        A task that runs now runs again at that time, be it a one-shot.

        Returns:
            Whether it did; False for an id that is unknown or finished.

        Raises:
            ValueError: Neither or both of `delay` and `run_at` are given.
        """
        if (delay is None) == (run_at is None):
            raise ValueError("give either delay or run_at")
        engine = self._engine
        if delay is not None:
            due = after_ns(engine.clock.now_ns(), delay, "delay")
        else:
            due = moment_ns(run_at, "run_at", engine.zone)
        return engine.native.reschedule(task_id, due, run_at is not None)

    def run_now(self, task_id: str) -> bool:
        """Runs a pending task once more, now. Its schedule does not move, the run is not counted.

        Returns:
            Whether it did; False for an id that is unknown or not pending.
        """
        return self._engine.native.run_now(task_id)

    # ---- running -----------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether due tasks are run."""
        return self._running

    def start(self) -> None:
        """Begins to run what is due. Does nothing if it has been started."""
        with self._lifecycle:
            if self._running:
                return
            self._engine.is_cancelling = False
            # Before the first run, so that a callback finds the scheduler running.
            self._running = True
            try:
                changes = self._engine.look_at_clock()
                self._engine.know_until(self._engine.clock.now_ns())
                self._engine.spread_overdue()
                self._executor.start()
                if self._virtual_clock is None:
                    _clock_watch.enter(self)
                    # What happened before it was watched.
                    changes += self._engine.look_at_clock()
            except BaseException:
                self._running = False
                raise
        # Not under the lock: a handler may wait for a thread that starts or stops it.
        self._engine.announce(changes)
        if self._publisher is not None:
            self._publisher.publish("scheduler.started")

    async def start_async(self) -> None:
        """As `start`, for programs that await it. Runs stay in the worker threads."""
        self.start()

    def stop(self, mode: StopMode = "wait", timeout: Seconds = 5.0) -> StopReport:
        """Stops running tasks; pending ones stay, and `start` goes on with them.

        Args:
            mode: `"wait"`: start nothing more, wait for what runs. `"drain"`: also run what is due
                already. `"now"`: return at once. `"cancel"`: set the cancel tokens of what runs,
                and wait for it.
            timeout: Seconds or a timedelta to wait at the most.

        Returns:
            What was left. Stopping a stopped scheduler does nothing and says so.

        Raises:
            TypeError: An argument is of another type.
            ValueError: An argument is out of its range.
        """
        if mode not in STOP_MODES:
            words = ", ".join(map(repr, STOP_MODES))
            raise ValueError(f"mode must be one of {words}, got {show(mode)}")
        limit = wait_s(span_ns(timeout, "timeout"))
        if isinstance(self._engine, _lifetime.Orphan):
            return StopReport(was_running=False, ended=True, running=0, pending=0)
        with self._lifecycle:
            was_running, self._running = self._running, False
            if was_running:
                self._engine.is_cancelling = mode == "cancel"
        ended = True
        if was_running:
            # Without the lock: a callback that this waits for may stop the scheduler, too.
            wait = 0.0 if mode == "now" else limit
            ended = self._executor.stop(drain=mode == "drain", timeout=wait)
            with self._lifecycle:
                # Unless it has been started again meanwhile.
                watch = None if self._running else _clock_watch.leave(self)
            _clock_watch.join(watch)
        report = StopReport.of(self.statistics(), was_running=was_running, ended=ended)
        if was_running and self._publisher is not None:
            self._publisher.publish("scheduler.stopped", mode=mode)
        return report

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # ---- waiting -----------------------------------------------------------------------------

    def wait_for_task(
        self,
        task_id: str,
        timeout: Seconds | None = None,
        *,
        until: Literal["run", "end"] = "run",
    ) -> Outcome:
        """Waits until a task's run has ended, and returns its outcome.

        Of a recurring task that is the next run to end after the call, or with `until="end"` the
        task's last. A worker that waits does not use up the pool: it grows by one meanwhile. On a
        virtual clock waiting moves the time.

        Args:
            task_id: The task.
            timeout: Seconds or a timedelta; None waits for ever, 0 only looks.
            until: `"run"` or `"end"`.

        Raises:
            TimeoutError: Time ran out.
            UnknownTaskError: There is no such task, or it ended and is forgotten.
        """
        if until not in ("run", "end"):
            raise ValueError(f"until must be 'run' or 'end', got {show(until)}")
        limit_ns = None if timeout is None else span_ns(timeout, "timeout")
        engine = self._engine
        future = engine.future(task_id, until_end=until == "end")
        try:
            if not future.done():
                self._wait(future, limit_ns)
            return future.result(0)
        except TimeoutError:
            raise TimeoutError(
                f"task {task_id} did not end within {wait_s(limit_ns or 0):g} s"
            ) from None
        finally:
            engine.waiters.withdraw(task_id, future)

    def result(self, task_id: str, timeout: Seconds | None = None) -> Any:
        """Waits for a task as `wait_for_task` does, and returns what its callback returned.

        Raises:
            BaseException: What the callback raised.
            TimeoutError: Time ran out.
            TaskCancelledError: The task was cancelled.
            TaskMissedError: Its time was missed.
            UnknownTaskError: There is no such task, or it ended and is forgotten.
        """
        return self.wait_for_task(task_id, timeout).unwrap()

    def future(self, task_id: str) -> Future[Any]:
        """A future for what the task's next run returns.

        It is cancelled if the task is; cancelling it does not cancel the task.

        Raises:
            UnknownTaskError: There is no such task, or it ended and is forgotten.
        """
        from concurrent.futures import Future  # noqa: PLC0415 - 8 ms, and not everybody waits

        future: Future[Any] = Future()

        def settle(ended: Future[Outcome]) -> None:
            outcome = ended.result()
            if outcome.status == "cancelled":
                future.cancel()
            if not future.set_running_or_notify_cancel():
                return
            try:
                value = outcome.unwrap()
            except BaseException as error:
                future.set_exception(BaseException.with_traceback(error, None))
            else:
                future.set_result(value)

        self._engine.future(task_id, until_end=False).add_done_callback(settle)
        return future

    async def wait_for_task_async(self, task_id: str, timeout: Seconds | None = None) -> Outcome:
        """As `wait_for_task`, without blocking the event loop.

        On a virtual clock it is the same: waiting moves the time, and takes none.
        """
        if self._virtual_clock is not None:
            return self.wait_for_task(task_id, timeout)
        from asyncio import wait_for, wrap_future  # noqa: PLC0415 - 40 ms, and asyncio users have it

        limit = None if timeout is None else wait_s(span_ns(timeout, "timeout"))
        future = self._engine.future(task_id, until_end=False)
        try:
            # Wrapped, it would be done a turn of the loop later, too late for a timeout of 0.
            if future.done():
                return future.result()
            return await wait_for(wrap_future(future), limit)
        finally:
            self._engine.waiters.withdraw(task_id, future)

    async def result_async(self, task_id: str, timeout: Seconds | None = None) -> Any:
        """As `result`, without blocking the event loop."""
        return (await self.wait_for_task_async(task_id, timeout)).unwrap()

    def _wait(self, future: Future[Outcome], limit_ns: int | None) -> None:
        if self._virtual_clock is not None:
            self._virtual_clock.run_until(future.done, limit_ns)
            return
        limit = None if limit_ns is None else wait_s(limit_ns)
        if self._engine.native.current() is None:
            future.exception(limit)
            return
        self._executor.grow()
        try:
            future.exception(limit)
        finally:
            self._executor.shrink()

    # ---- looking -----------------------------------------------------------------------------

    def get_task(self, task_id: str) -> Task | None:
        """A view of a task, alive or remembered; None if there is none. O(1)."""
        record = self._engine.native.record(task_id)
        if record is None:
            return None
        call: Call = record.call
        details = call.details
        task = Task(
            call.name,
            call.callback,
            None if details is None else details.schedule,
            record.arguments or (),
            call.kwargs,
            policy=RunPolicy(priority=record.priority) if details is None else details.policy,
            tags=() if details is None else details.tags,
            metadata=None if details is None else details.metadata,
        )
        task._bind(self._engine, task_id, record.nominal_ns)  # noqa: SLF001 - a view is made here
        return task

    def get_all_tasks(self) -> list[Task]:
        """Views of all tasks, the live ones and those remembered. O(n)."""
        return [*self._tasks("live"), *self._tasks("ended")]

    def get_pending_tasks(self) -> list[Task]:
        """Views of the tasks that wait for their time or for a worker. O(n)."""
        return list(self._tasks("pending"))

    def get_due_tasks(self) -> list[Task]:
        """Views of the pending tasks whose time has come. O(n)."""
        return list(self._tasks("due"))

    def live_task_ids(self) -> TaskIds:
        """The ids of all tasks that have not ended. O(n), 8 bytes each."""
        return self._engine.native.task_ids("live")

    @property
    def tasks(self) -> Mapping[str, Task]:
        """All tasks by id, as a read-only mapping: what `get_all_tasks` lists, looked up lazily."""
        from num_agents.scheduler._tasks_mapping import TasksMapping  # noqa: PLC0415 - rare

        return TasksMapping(self._engine.native, self.get_task)

    def statistics(self) -> Statistics:
        """What was done so far, and what is to be done."""
        return Statistics(dict(self._engine.native.statistics()), self._engine.native.lateness())

    def forecast(self, horizon: Seconds = 86_400, bucket: Seconds = 3600) -> Forecast:
        """What is to come: how many runs fall into each stretch of time, without running anything.

        Paused tasks are left out, and so is what callbacks will schedule. A fixed delay is counted
        as if its runs took no time; of an rrule, some 10,000 times at most.

        Args:
            horizon: How far to look: seconds or a timedelta, in whole seconds, at most 366 days.
            bucket: The length of each stretch, likewise.

        Returns:
            The forecast; some 4 bytes for each second of the horizon are held meanwhile.

        Raises:
            TypeError: An argument is of another type.
            ValueError: It is out of its range, or no whole number of seconds.
        """
        from num_agents.scheduler.forecast import Forecast, whole_s  # noqa: PLC0415 - rare

        seconds, width = whole_s(horizon, "horizon"), whole_s(bucket, "bucket")
        engine = self._engine
        start = engine.clock.now_ns()
        engine.know_until(start + seconds * SECOND_NS)
        native = engine.native.forecast(start, seconds)
        return Forecast(native, start, seconds, width, engine.zone)

    def now(self) -> datetime:
        """The present moment by the scheduler's clock, in its time zone."""
        return to_datetime(self._engine.clock.now_ns(), self._engine.zone)

    def _tasks(self, kind: str) -> Iterator[Task]:
        views = map(self.get_task, self._engine.native.task_ids(kind))
        return (task for task in views if task is not None)

    def _look_at_clock(self) -> None:
        """Follows the system's wall clock, for who watches that."""
        self._engine.announce(self._engine.look_at_clock())

    def _follow_wall(self, offset_s: float, reason: str) -> None:
        """Follows the wall of a virtual clock."""
        self._engine.announce([self._engine.follow_wall(offset_s, reason)])

    def _run_due(self) -> None:
        """Runs what is due, for a virtual clock."""
        self._engine.run_due()

    def _next_deadline(self) -> int | None:
        """When something is due next, for a virtual clock."""
        return self._engine.native.next_deadline()

    def _orphan(self, orphan: Any) -> None:
        """Lets go of what belongs to the parent process, after a fork."""
        self._engine = self._executor = orphan
        self._lifecycle = RLock()
        self._running = False

    def __repr__(self) -> str:
        if isinstance(self._engine, _lifetime.Orphan):
            return "<Scheduler of the parent process>"
        state = "running" if self._running else "stopped"
        pending = dict(self._engine.native.statistics())["pending"]
        return f"<Scheduler {state}, {pending} pending>"


def _no_stamp() -> tuple[None, None]:
    """Lets an event find its id and its time itself."""
    return None, None


def _lanes(priorities: Iterable[int]) -> bytes:
    """Priorities as the engine takes them.

    Raises:
        TypeError: One is no int.
        ValueError: One is not in 0 to 255.
    """
    if isinstance(priorities, bytes):
        return priorities
    listed = list(each(priorities, "priorities"))
    return bytes(
        integer(priority, f"priorities[{place}]", 0, 255) for place, priority in enumerate(listed)
    )

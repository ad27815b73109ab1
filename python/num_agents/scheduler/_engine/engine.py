"""The engine of the extension module, and the parts around it."""

from __future__ import annotations

import os
import time
from contextvars import Context

from num_agents.scheduler import _native
from num_agents.scheduler._engine import lifetime
from num_agents.scheduler._engine.call import CallCheck, is_special
from num_agents.scheduler._engine.clock import WallClock
from num_agents.scheduler._engine.control import Control
from num_agents.scheduler._engine.keys import Keys
from num_agents.scheduler._engine.options import (
    BY_DELAY,
    NO_TIME,
    OwnOptions,
    SharedWords,
    TaskOptions,
    recurrence_of,
    way_of,
)
from num_agents.scheduler._engine.pieces import Pieces, first_piece
from num_agents.scheduler._engine.view import View
from num_agents.scheduler._engine.waiting import Waiting
from num_agents.scheduler._engine.worker import Runs
from num_agents.scheduler._messages import show, warnings_given
from num_agents.scheduler._timing.common import common_moment_ns, common_span_ns
from num_agents.scheduler._timing.first_due import first_due, warn_of_other_zone
from num_agents.scheduler._timing.moments import moment_ns
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS, SECOND_NS, after_ns, span_ns
from num_agents.scheduler.policy import EXECUTOR_WORDS, checked_executor, checked_priority
from num_agents.scheduler.task import (
    SCHEDULE_WORDS,
    checked_kwargs,
    checked_mapping,
    task_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import tzinfo
    from typing import Any

    from num_agents.scheduler._engine.announce import Announcer
    from num_agents.scheduler._engine.options import AnyOptions, SharedOptions
    from num_agents.scheduler.task import Task
    from num_agents.scheduler.testing import VirtualClock

#: The phases of the gate that workers sleep at.
CLOSED, DRAINING, OPEN = 0, 1, 2

LAST_PRIORITY = 255

#: The numbers of the executors: the first, which is always there, and the one of the event loop.
FIRST, LOOP = 0, 1

WorkerGroup = _native.WorkerGroup
sharpen_timers = _native.sharpen_timers


class Engine:
    """The native engine and the parts around it. Each scheduler has one.

    Args:
        clock: What the engine is told the time by.
        history: How many ended tasks it remembers.
        zone: The time zone of the moments that it shows; None for the system's.
        announcer: Where runs are announced, if anywhere.
        instance: What ids and jitter are drawn from; random if None.
        catch_up_spread_ns: Over which span overdue work is spread; 0 for not at all.
        slack_ns: How far beyond a deadline a sleeping worker may sleep.
        virtual: The virtual clock, if it runs on one.
    """

    def __init__(
        self,
        clock: _native.Clock,
        *,
        history: int,
        zone: tzinfo | None = None,
        announcer: Announcer | None = None,
        instance: int | None = None,
        catch_up_spread_ns: int = 0,
        slack_ns: int = 0,
        virtual: VirtualClock | None = None,
    ) -> None:
        if instance is None:
            instance = int.from_bytes(os.urandom(8), "big")
        self.clock = clock
        self.zone = zone
        self.announcer = announcer
        self.call_check = CallCheck()
        self.native = native = _native.Engine(clock, history, instance, self.call_check, slack_ns)
        self.view = View(native, zone)
        self.waiting = Waiting(native, self.view, virtual)
        self.pieces = Pieces(native, clock, zone, announcer)
        self.keys = Keys(native)
        self._shared = SharedWords()
        self.control = Control(native, clock, self.pieces, announcer)
        self.wall = WallClock(native, clock, self.pieces, announcer, catch_up_spread_ns)
        self.runs = runs = Runs(native, clock, self.control, self.pieces, announcer)
        self.view.count_held = lambda: runs.held
        self._schedule_at = native.schedule_at
        #: Schedules a one-shot without options, `delay` seconds from now: name, callback, args,
        #: delay, priority.
        self.schedule_plain = native.schedule
        #: Cancels a task by its id; 0 if it was not known. Looked up once: it is a hot path.
        self.cancel = native.cancel if announcer is None else self.control.cancel
        lifetime.watch_over(self)

    def schedule_after(
        self,
        name: str,
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        span_ns: int,
        priority: int,
    ) -> str:
        """Schedules a one-shot without options, a span from now. Returns its id."""
        return self._armed(name, callback, args, None, None, priority, None, span_ns)

    def schedule(self, task: Task) -> str:
        """Schedules a task with options of its own. Returns its id."""
        return self._schedule_checked(
            task.name,
            task.callback,
            task.args,
            task.kwargs,
            task.policy.priority,
            TaskOptions(task),
        )

    def schedule_with_options(  # noqa: PLR0912, PLR0917 - a hot path, called in one place
        self,
        name: str,
        callback: Callable[..., Any],
        delay: Any,
        args: tuple[Any, ...],
        priority: int,
        options: dict[str, Any],
    ) -> str:
        """Schedules a task with options, which it shares with others that say the same.

        Args:
            name: Its name.
            callback: What it calls.
            delay: Seconds from now, a timedelta or text; None if that is not said.
            args: The positional arguments.
            priority: 0 to 255.
            options: The other options, in a dict that nobody else uses.

        Returns:
            Its id.
        """
        if type(priority) is not int:
            priority = checked_priority(priority)
        pop = options.pop
        run_at, kwargs, tags = pop("run_at", None), pop("kwargs", None), pop("tags", ())
        metadata, context = pop("metadata", None), pop("context", None)
        after_ns = wall_ns = None
        is_known = True
        if run_at is not None:
            shared = self._shared.find(options, tags, way_of(delay, run_at))
            if shared is not None:
                wall_ns = common_moment_ns(run_at, shared.zone if shared.has_zone else self.zone)
                is_known = wall_ns is not None
        elif delay is not None:
            shared = self._shared.find(options, tags, BY_DELAY)
            after_ns = common_span_ns(delay)
            is_known = after_ns is not None
        else:
            shared = self._shared.find(options, tags, NO_TIME)
            if shared is not None:
                after_ns = shared.span_ns
                if after_ns is None:
                    wall_ns = self._next_ns(shared)
        if (
            shared is None
            or not is_known
            or not 0 <= priority <= LAST_PRIORITY
            or (context is not None and type(context) is not Context)
        ):
            own = {"run_at": run_at, "kwargs": kwargs, "tags": tags}
            own |= {"metadata": metadata, "context": context}
            return self._schedule_unseen(name, callback, delay, args, priority, options, own)
        if kwargs is not None and type(kwargs) is not dict:
            kwargs = checked_kwargs(kwargs)
        kept: AnyOptions = shared
        if metadata is not None or context is not None or type(run_at) is str:
            text = run_at if type(run_at) is str else None
            kept = OwnOptions(shared, checked_mapping(metadata, "metadata"), context, text)
        if after_ns is None and wall_ns is None:
            return self._schedule_checked(name, callback, args, kwargs, priority, kept)
        follows_wall = run_at is not None
        if follows_wall and wall_ns is not None:
            self._warn_if_passed(shared, run_at, wall_ns)
        if self.announcer is None:
            return self._schedule_at(
                name,
                callback,
                args,
                kwargs,
                kept,
                context is not None or kept.timeout is not None,
                priority,
                shared.recurrence,
                after_ns,
                wall_ns,
                False,  # noqa: FBT003 - positional only, for speed
                follows_wall,
                None if kept.executor is None else self.executor_of(kept),
            )[0]
        return self._armed(
            *(name, callback, args, kwargs, kept, priority, shared.recurrence, after_ns, wall_ns),
            follows_wall=follows_wall,
        )

    def schedule_with_key(  # noqa: PLR0917 - the arguments of `schedule_with_options`
        self,
        name: str,
        callback: Callable[..., Any],
        delay: Any,
        args: tuple[Any, ...],
        priority: int,
        options: dict[str, Any],
        key: object,
        if_exists: object,
    ) -> str:
        """Schedules a task that has a key: see `Keys.schedule`."""
        if key is None:
            raise ValueError(f"if_exists needs a key, got {show(if_exists)}")

        def schedule() -> str:
            return self.schedule_with_options(name, callback, delay, args, priority, options)

        def move(task_id: str) -> bool:
            others = options.keys() & SCHEDULE_WORDS - {"run_at", "timezone"}
            if others:
                raise ValueError(f"if_exists='move' takes a delay or run_at, and no {min(others)}")
            run_at = options.get("run_at")
            if run_at is not None:
                if delay is not None:
                    raise ValueError("give either delay or run_at")
                return self.control.reschedule_at(task_id, moment_ns(run_at, "run_at", self.zone))
            span = 0 if delay is None else span_ns(delay, "delay")
            after_ns(self.clock.now_ns(), delay or 0, "delay")  # raises if it ends too late
            return self.control.reschedule_after(task_id, span)

        return self.keys.schedule(key, if_exists, schedule, move, self.cancel)

    def _warn_if_passed(self, shared: SharedOptions, run_at: object, wall_ns: int) -> None:
        """Warns of a moment that has passed in its zone, and not on the system's clock."""
        zone = shared.zone if shared.has_zone else self.zone
        if zone is not None:
            now = self.clock.now_ns()
            if wall_ns < now:
                warn_of_other_zone(run_at, now, zone)

    def _next_ns(self, shared: SharedOptions) -> int | None:
        """The next time of a shared calendar; None if it has none, or there is no such calendar."""
        if shared.calendar is None:
            return None
        if shared.local_time is not None and shared.local_time is not time.tzname:
            # The system's zone is another one since.
            return None
        moment = shared.calendar.next_after(self.clock.now_ns())
        return None if moment is None else min(moment, FAR_FUTURE_NS)

    def _schedule_unseen(  # noqa: PLR0917 - called in one place
        self,
        name: str,
        callback: Callable[..., Any],
        delay: Any,
        args: tuple[Any, ...],
        priority: int,
        words: dict[str, Any],
        own: dict[str, Any],
    ) -> str:
        """Schedules a task whose options must be checked one by one; `own` are not to be shared."""
        before = warnings_given()
        said: Any = {**words, **own}  # checked there, word by word
        task = task_of(name, callback, delay, args, priority, said)
        shared: SharedOptions | None = None
        if delay is None and own["run_at"] is None and warnings_given() == before:
            # Without a warning, which is given each time.
            shared = self._shared.add(words, own["tags"], task.schedule, self.zone)
        if shared is None:
            return self.schedule(task)
        options: AnyOptions = shared
        if task.metadata or task.context is not None:
            options = OwnOptions(shared, task.metadata, task.context)
        return self._schedule_checked(
            task.name, task.callback, task.args, task.kwargs, task.policy.priority, options
        )

    def _schedule_checked(  # noqa: PLR0917 - what belongs to one task
        self,
        name: str,
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None,
        priority: int,
        options: AnyOptions,
    ) -> str:
        """Schedules a task whose options were checked. Its first time is computed from them."""
        schedule, zone, now = options.schedule, self.zone, self.clock.now_ns()
        calendar: _native.Calendar | None
        if isinstance(options, TaskOptions) and schedule.has_rrule:
            calendar, options.known = first_piece(schedule, zone, now)
        else:
            calendar = schedule.calendar(zone, now)
        due = first_due(schedule, now, zone, calendar)
        recurrence = recurrence_of(schedule, options.policy, calendar, zone)
        wall_ns = due.wall_ns if due.anchor_wall_ns is None else due.anchor_wall_ns
        task_id = self._armed(
            name,
            callback,
            args,
            kwargs,
            options,
            priority,
            recurrence,
            due.span_ns,
            None if wall_ns is None else min(wall_ns, FAR_FUTURE_NS),
            on_grid=due.anchor_wall_ns is not None,
            follows_wall=schedule.run_at is not None,
        )
        if options.known is not None:
            self.pieces.add(task_id)
        return task_id

    def _armed(  # noqa: PLR0917 - the arguments of the extension module
        self,
        name: str,
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None,
        options: AnyOptions | None,
        priority: int,
        recurrence: _native.Recurrence | None,
        after_ns: int | None,
        wall_ns: int | None = None,
        *,
        on_grid: bool = False,
        follows_wall: bool = False,
    ) -> str:
        """Schedules what was checked, and announces it, if anybody wants to hear that."""

        def arm() -> tuple[str, int]:
            return self._schedule_at(
                *(name, callback, args, kwargs, options, is_special(options), priority),
                *(recurrence, after_ns, wall_ns, on_grid, follows_wall),
                self.executor_of(options),
            )

        return self._announced(name, arm)

    def executor_of(self, options: AnyOptions | None) -> int | None:
        """The number of the executor that runs a task; None for that of its kind.

        Raises:
            TypeError: Somebody has put a value of the wrong type into the policy.
            ValueError: Or one that no executor has for a name.
        """
        name = None if options is None else checked_executor(options.executor)
        if name is None:
            return None
        number = EXECUTOR_WORDS.index(name)
        if number == LOOP:
            self.call_check.need_loop()
        return number

    def announced_many(
        self,
        name: str,
        arm: Callable[[], _native.TaskIds],
        nominals_ns: Callable[[], Iterable[int]],
    ) -> _native.TaskIds:
        """Schedules tasks by `arm`, and announces them, if anybody wants to hear that."""
        announcer = self.announcer
        if announcer is not None:
            # First: another thread may have held the announcer's lock at the moment of a fork.
            self.check_process()
            if announcer.wants("scheduler.task_scheduled"):
                return announcer.schedule_many(name, arm, nominals_ns())
        return arm()

    def forecast(self, start_ns: int, seconds: int) -> _native.Forecast:
        """Counts future runs in each second from a moment of the wall clock on."""
        self.pieces.extend_all(start_ns + seconds * SECOND_NS)
        return self.native.forecast(start_ns, seconds)

    # ---- for executors and virtual clocks ----------------------------------------------------

    def set_phase(self, phase: int) -> None:
        """Opens, drains or closes the gate that workers sleep at."""
        self.native.set_phase(phase)

    def dismiss(self, group: _native.WorkerGroup) -> None:
        """Lets no worker of a group start another run."""
        self.native.dismiss(group)

    def remove_worker(self, group: _native.WorkerGroup) -> None:
        """Lets one worker of a group go: the first to end its run, or one that sleeps."""
        self.native.remove_worker(group)

    def next_deadline(self, executor: int) -> int | None:
        """When something is due next for an executor, on the axis; None if nothing is pending."""
        return self.native.next_deadline(executor)

    def take_turn(
        self,
        begin: Callable[[_native.OpenRun], object],
        context: Context,
        budget_ns: int,
        room: int,
    ) -> int:
        """Runs what is due for the event loop: see `_native.Engine.run_batch`."""
        is_announced = self.announcer is not None
        return self.native.run_batch(LOOP, self.runs, begin, context, is_announced, budget_ns, room)

    def running_slot(self, task_id: str) -> int | None:
        """The slot of a task that runs; None of any other."""
        return self.native.running_slot(task_id)

    def add_loop(self) -> _native.Alarm | None:
        """Adds the executor of the event loop. Returns what wakes it; None on a virtual clock."""
        alarm = None if self.clock.is_manual else _native.Alarm(self.clock)
        number = self.native.add_executor(alarm)
        assert number == LOOP  # it is the first that is added
        return alarm

    # ---- for the run that the calling thread is in -------------------------------------------

    def current_record(self) -> _native.TaskRecord | None:
        """The task that the calling thread runs for this engine; None if there is none."""
        return self.native.current_record()

    def is_stopping(self, task_id: str) -> bool:
        """Whether a task runs and has been cancelled meanwhile."""
        return self.native.is_stopping(task_id)

    # ---- lifetime ----------------------------------------------------------------------------

    @property
    def is_foreign(self) -> bool:
        """Whether it belongs to the parent of this process."""
        return self.native.is_foreign

    def check_process(self) -> None:
        """Raises an error in a child process.

        Raises:
            SchedulerForkedError: It belongs to the parent of this process.
        """
        self.native.check_process()

    def leak(self) -> None:
        """Keeps all that it holds until the process ends: in a forked child."""
        self.native.leak()

    # ---- inside ------------------------------------------------------------------------------

    def _announced(self, name: str, arm: Callable[[], tuple[str, int]]) -> str:
        announcer = self.announcer
        if announcer is not None:
            # First: another thread may have held the announcer's lock at the moment of a fork.
            self.check_process()
            if announcer.wants("scheduler.task_scheduled"):
                return announcer.schedule(name, arm)
        return arm()[0]

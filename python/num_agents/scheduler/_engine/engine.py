"""The engine of the extension module, and the parts around it."""

from __future__ import annotations

import os

from num_agents.scheduler import _native
from num_agents.scheduler._engine import lifetime
from num_agents.scheduler._engine.call import TaskOptions, call_of, new_call, recurrence_of
from num_agents.scheduler._engine.clock import WallClock
from num_agents.scheduler._engine.control import Control
from num_agents.scheduler._engine.pieces import KnownTimes, Pieces, first_piece
from num_agents.scheduler._engine.view import View
from num_agents.scheduler._engine.waiting import Waiting
from num_agents.scheduler._engine.worker import Runs
from num_agents.scheduler._timing.first_due import first_due
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS, SECOND_NS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import tzinfo
    from typing import Any

    from num_agents.scheduler._engine.announce import Announcer
    from num_agents.scheduler._engine.waiting import RunUntil
    from num_agents.scheduler.task import Task

#: The phases of the gate that workers sleep at.
CLOSED, DRAINING, OPEN = 0, 1, 2

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
        run_until: Moves the virtual clock, if it runs on one.
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
        run_until: RunUntil | None = None,
    ) -> None:
        if instance is None:
            instance = int.from_bytes(os.urandom(8), "big")
        self.clock = clock
        self.zone = zone
        self.announcer = announcer
        self.native = native = _native.Engine(clock, history, instance, new_call, slack_ns)
        self.view = View(native, zone)
        self.waiting = Waiting(native, self.view, run_until)
        self.pieces = Pieces(native, clock, zone, announcer)
        self.control = Control(native, clock, self.pieces, announcer)
        self.wall = WallClock(native, clock, self.pieces, announcer, catch_up_spread_ns)
        self.runs = Runs(native, self.control, self.pieces, announcer)
        #: Schedules a one-shot without options, `delay` seconds from now: name, callback, args,
        #: delay, priority.
        self.schedule_plain = native.schedule
        #: Cancels a task by its id.
        self.cancel = self.control.cancel
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
        call = new_call(name, callback)

        def arm() -> tuple[str, int]:
            return self.native.schedule_at(
                call,
                args,
                priority,
                None,
                after_ns=span_ns,
                wall_ns=None,
                on_grid=False,
                follows_wall=False,
            )

        return self._announced(name, arm)

    def schedule(self, task: Task) -> str:
        """Schedules any task. Returns its id."""
        schedule, policy, zone = task.schedule, task.policy, self.zone
        now = self.clock.now_ns()
        calendar: _native.Calendar | None
        known: KnownTimes | None
        if schedule.has_rrule:
            calendar, known = first_piece(schedule, zone, now)
        else:
            calendar, known = schedule.calendar(zone, now), None
        due = first_due(schedule, now, zone, calendar)
        recurrence = recurrence_of(schedule, policy, calendar, zone)
        options = TaskOptions(task)
        options.known = known
        call = call_of(task, options)
        wall_ns = due.wall_ns if due.anchor_wall_ns is None else due.anchor_wall_ns

        def arm() -> tuple[str, int]:
            return self.native.schedule_at(
                call,
                task.args,
                policy.priority,
                recurrence,
                after_ns=due.span_ns,
                wall_ns=None if wall_ns is None else min(wall_ns, FAR_FUTURE_NS),
                on_grid=due.anchor_wall_ns is not None,
                follows_wall=schedule.run_at is not None,
            )

        task_id = self._announced(task.name, arm)
        if known is not None:
            self.pieces.task_ids.add(task_id)
        return task_id

    def schedule_many_after(  # noqa: PLR0917 - called in one place
        self,
        name: str,
        callback: Callable[..., Any],
        args: object,
        now_ns: int,
        seconds: Any,
        priorities: object,
    ) -> _native.TaskIds:
        """Schedules one-shots, each this many seconds after a moment of the axis."""
        call = new_call(name, callback)

        def arm() -> _native.TaskIds:
            return self.native.schedule_many(call, args, now_ns, seconds, priorities)

        def nominals() -> Iterable[int]:
            offset = self.clock.offset_ns
            return [moment + offset for moment in self.native.nominals(now_ns, seconds)]

        return self._announced_many(name, arm, nominals)

    def schedule_many_at(
        self,
        name: str,
        callback: Callable[..., Any],
        args: object,
        moments_ns: Any,
        priorities: object,
    ) -> _native.TaskIds:
        """Schedules one-shots at moments of the wall clock."""
        call = new_call(name, callback)

        def arm() -> _native.TaskIds:
            return self.native.schedule_many_at(call, args, moments_ns, priorities)

        return self._announced_many(name, arm, lambda: moments_ns)

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

    def next_deadline(self) -> int | None:
        """When something is due next, on the axis; None if nothing is pending."""
        return self.native.next_deadline()

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

    def _announced_many(
        self,
        name: str,
        arm: Callable[[], _native.TaskIds],
        nominals_ns: Callable[[], Iterable[int]],
    ) -> _native.TaskIds:
        announcer = self.announcer
        if announcer is not None:
            # First: another thread may have held the announcer's lock at the moment of a fork.
            self.check_process()
            if announcer.wants("scheduler.task_scheduled"):
                return announcer.schedule_many(name, arm, nominals_ns())
        return arm()

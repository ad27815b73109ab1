"""A clock that the test moves."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, tzinfo
from threading import RLock
from types import TracebackType
from typing import Self
from weakref import ref

from num_agents._lazy import LazyModule
from num_agents.scheduler._engine.clock import Clock, default_clocks
from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.moments import Moment, moment_ns, to_datetime
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS, Seconds, after_ns, signed_span_ns
from num_agents.scheduler._timing.zones import zone_of
from num_agents.scheduler.errors import SchedulerForkedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler.executors import inline
else:
    inline = LazyModule("num_agents.scheduler.executors.inline")

#: Where a virtual clock starts by default. Any fixed moment makes tests repeatable.
DEFAULT_START = "2025-01-01T00:00:00Z"

_UTC = zone_of("UTC")
_DAY_S = 86_400.0
#: Spreads the numbers of schedulers over 64 bits.
_GOLDEN = 0x9E37_79B9_7F4A_7C15


class VirtualClock:
    """A clock that stands still until it is moved. Schedulers on it use the same engine.

    Moving it runs, in the moving thread, every callback that falls due on the way, each at its own
    moment and in the guaranteed order. Waiting for a task also moves it, as far as needed. A
    callback may schedule, cancel and wait. It may also move the clock, to simulate a callback that
    takes time. The same operations have the same results, ids and jitter included.

    Its wall clock shows the same time until it is set: `set_wall` and `shift_wall` set it, and
    `suspend` suspends the machine.

    As a context manager it is the clock of every scheduler made inside.

    Args:
        start: The first moment: a datetime or an ISO-8601 string, from 1970 to 2500; naive means
            in `timezone`. By default 2025-01-01T00:00:00Z.
        timezone: The zone of naive moments, and of schedulers without a zone: a tzinfo, an IANA
            name, "UTC" or "local" (default).

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `start` is not ISO-8601, or out of its range; `timezone` is unknown.
    """

    def __init__(
        self, start: Moment | None = None, *, timezone: tzinfo | str | None = None
    ) -> None:
        #: The zone of schedulers on it; None for the system's.
        self.zone = zone_of(timezone)
        self._shown_in = _UTC if timezone is None else self.zone
        start_ns = moment_ns(DEFAULT_START if start is None else start, "start", self.zone)
        if not 0 < start_ns < moment_ns("2500-01-01T00:00:00Z", "start", None):
            raise ValueError(f"start must lie between 1970 and 2500, got {show(start)}")
        self.native = Clock(start_ns)
        #: What runs on it, in the order in which the schedulers were made.
        self._executors: list[ref[inline.InlineExecutor]] = []
        self._process = os.getpid()
        self._instances = 0
        self._events = 0
        self._moving = RLock()

    def now(self) -> datetime:
        """What its wall clock shows, in its time zone if it was given one, else in UTC."""
        return to_datetime(self.native.now_ns(), self._shown_in)

    # ---- moving ------------------------------------------------------------------------------

    def advance(self, duration: Seconds) -> None:
        """Moves it forward by seconds or a timedelta, and runs what falls due on the way.

        Raises:
            TypeError: `duration` is of another type.
            ValueError: It is NaN, infinite or negative.
        """
        self._move_to(after_ns(self.native.axis_ns(), duration, "duration"))

    def advance_to(self, moment: Moment) -> None:
        """Moves it forward until its wall clock shows a moment, and runs what falls due.

        Args:
            moment: A datetime or an ISO-8601 string; naive means in its time zone.

        Raises:
            ValueError: The moment has passed: time does not go backwards.
        """
        target = moment_ns(moment, "moment", self.zone)
        if target < self.native.now_ns():
            raise ValueError(f"moment must not lie before {self.now()}, got {show(moment)}")
        self._move_to(target - self.native.offset_ns)

    def run_until_idle(self, limit: Seconds = _DAY_S) -> int:
        """Moves it forward as long as anything is pending, and runs that.

        Args:
            limit: How far at most, in seconds or a timedelta, because recurring tasks without an
                end are never idle. Afterwards it stands at the last run, or at the limit.

        Returns:
            How many runs were started.

        Raises:
            TypeError: `limit` is of another type.
            ValueError: It is NaN, infinite or negative.
        """
        with self._movement():
            end = after_ns(self.native.axis_ns(), limit, "limit")
            before = self._started()
            while (upcoming := self._next_deadline()) is not None:
                if upcoming > end:
                    self._step_to(end)
                    break
                self._step_to(upcoming)
            return self._started() - before

    def run_until(self, done: Callable[[], bool], limit_ns: int | None) -> None:
        """Moves it forward until a condition holds. Waiting on this clock does this.

        Args:
            done: The condition.
            limit_ns: How far at most; None for as far as anything is scheduled.

        Raises:
            RuntimeError: Nothing that is scheduled could make it true, and there is no limit, so it
                would never end.
        """
        with self._movement():
            now = self.native.axis_ns()
            end = None if limit_ns is None else min(now + limit_ns, FAR_FUTURE_NS)
            while not done():
                upcoming = self._next_deadline()
                if upcoming is None or (end is not None and upcoming > end):
                    break
                self._step_to(upcoming)
            if done():
                return
            if end is None:
                raise RuntimeError(
                    "waiting on a virtual clock would never end: nothing that is scheduled, on a "
                    "running scheduler, can end the wait"
                )
            self._step_to(end)

    # ---- the machine -------------------------------------------------------------------------

    def set_wall(self, moment: Moment) -> None:
        """Sets its wall clock, forwards or backwards.

        No time passes. Tasks on the wall clock follow it, and those that are due now run.

        Args:
            moment: A datetime or an ISO-8601 string, from 1970 to 2500; naive means in its time
                zone.

        Raises:
            ValueError: It is out of the range.
        """
        target = moment_ns(moment, "moment", self.zone)
        if not 0 < target < moment_ns("2500-01-01T00:00:00Z", "moment", None):
            raise ValueError(f"moment must lie between 1970 and 2500, got {show(moment)}")
        self._shift(target - self.native.now_ns())

    def shift_wall(self, duration: Seconds) -> None:
        """Sets its wall clock forwards, or if negative backwards, by seconds or a timedelta.

        Raises:
            ValueError: It would leave the years 1970 to 2500.
        """
        shift = signed_span_ns(duration, "duration")
        target = self.native.now_ns() + shift
        if not 0 < target < moment_ns("2500-01-01T00:00:00Z", "duration", None):
            raise ValueError(f"duration must not lead beyond 1970 or 2500, got {show(duration)}")
        self._shift(shift)

    def suspend(self, duration: Seconds) -> None:
        """Lets time pass while nothing runs; what fell due meanwhile is late work.

        Raises:
            TypeError: `duration` is of another type.
            ValueError: It is NaN, infinite or negative.
        """
        with self._movement():
            before = self.native.axis_ns()
            self.native.set_ns(after_ns(before, duration, "duration"))
            self._follow((self.native.axis_ns() - before) / 1e9, "suspend")

    # ---- for schedulers ----------------------------------------------------------------------

    def attach(self, executor: inline.InlineExecutor) -> None:
        """Makes a scheduler run on this clock. Schedulers call it when they are made."""
        self._executors = [other for other in self._executors if other() is not None]
        self._executors.append(ref(executor))

    def new_instance(self) -> int:
        """What a new scheduler draws its ids and jitter from: the same in each run of a test."""
        self._instances += 1
        return self._instances * _GOLDEN % 2**64

    def new_stamp(self) -> tuple[str, datetime]:
        """The id and the time of an event that happens now: the same in each run of a test."""
        self._events += 1
        return f"virtual-event-{self._events}", self.now()

    def __enter__(self) -> Self:
        default_clocks.append(self)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The innermost of its own: others may have been entered or left in other threads meanwhile.
        places = [place for place, clock in enumerate(default_clocks) if clock is self]
        del default_clocks[places[-1]]

    # ---- inside ------------------------------------------------------------------------------

    def _move_to(self, target: int) -> None:
        with self._movement():
            while True:
                upcoming = self._next_deadline()
                if upcoming is None or upcoming > target:
                    break
                self._step_to(upcoming)
            self._step_to(target)

    def _step_to(self, moment: int) -> None:
        # What is due at the end of time is never due.
        self.native.set_ns(min(moment, FAR_FUTURE_NS - 1))
        for executor in self._running():
            executor.run_due()

    def _shift(self, shift_ns: int) -> None:
        with self._movement():
            self.native.set_offset_ns(self.native.offset_ns + shift_ns)
            self._follow(shift_ns / 1e9, "set")

    def _follow(self, offset_s: float, reason: str) -> None:
        for executor in self._living():
            wall = executor.engine.wall
            wall.announce([wall.follow(offset_s, reason)])
        self._step_to(self.native.axis_ns())

    def _next_deadline(self) -> int | None:
        """When something is due next; None if nothing is, or beyond the end of time only."""
        deadlines = (executor.engine.next_deadline() for executor in self._running())
        known = (moment for moment in deadlines if moment is not None and moment < FAR_FUTURE_NS)
        return min(known, default=None)

    def _started(self) -> int:
        return sum(executor.engine.view.statistics().started for executor in self._living())

    def _running(self) -> list[inline.InlineExecutor]:
        return [one for one in self._living() if one.engine.waiting.is_running]

    def _living(self) -> list[inline.InlineExecutor]:
        executors = (reference() for reference in self._executors)
        return [executor for executor in executors if executor is not None]

    def _movement(self) -> AbstractContextManager[bool]:
        """The lock that lets one thread move it.

        Raises:
            SchedulerForkedError: This is a child process: another thread may have moved it.
        """
        if os.getpid() != self._process:
            raise SchedulerForkedError("this clock belongs to the parent process")
        return self._moving

    def __repr__(self) -> str:
        return f"<VirtualClock at {self.now().isoformat()}>"

"""A clock that the test moves."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from datetime import datetime, tzinfo
from threading import RLock
from types import TracebackType
from typing import Any, Self, TypeVar
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
    from num_agents.scheduler.testing import loop as _loop
else:
    inline = LazyModule("num_agents.scheduler.executors.inline")
    _loop = LazyModule("num_agents.scheduler.testing.loop")

Result = TypeVar("Result")

#: Where a virtual clock starts by default. Any fixed moment makes tests repeatable.
DEFAULT_START = "2025-01-01T00:00:00Z"

_NEVER = (
    "waiting on a virtual clock would never end: nothing that is scheduled, on a running "
    "scheduler, can end the wait"
)

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

    Coroutines run on an event loop whose time this is: `asyncio.sleep` ends when the clock is moved
    that far. A test that is a coroutine itself is run by `run`, which moves the clock whenever all
    wait.

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
        self._loop: _loop.VirtualLoop | None = None
        #: Whether its loop runs by itself, and not whenever this is moved: see `run`.
        self._is_run_by_loop = False

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
                raise RuntimeError(_NEVER)
            self._step_to(end)

    def run(self, main: Coroutine[Any, Any, Result]) -> Result:
        """Runs a coroutine on an event loop whose time this is: `asyncio.run` for tests.

        Whenever all coroutines wait, the clock is moved to the next moment at which one of them
        continues or a task is due. So `asyncio.sleep` and time limits take no time. Functions given
        to `asyncio.to_thread` are called at once. Real input and output is not waited for.

        Args:
            main: The coroutine. A scheduler on this clock that it starts runs its coroutines on
                the same loop.

        Returns:
            What the coroutine returns.

        Raises:
            RuntimeError: Nothing that is scheduled could let it continue; or another event loop
                runs in this thread.
        """
        loop = self.loop()
        outer, self._is_run_by_loop = self._is_run_by_loop, True
        try:
            return loop.run_until_complete(main)
        finally:
            self._is_run_by_loop = outer

    def close(self) -> None:
        """Cancels the coroutines that are left on its event loop, and closes that."""
        if self._loop is not None:
            self._loop.end()

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

    def loop(self) -> _loop.VirtualLoop:
        """The event loop whose time it is; made when it is first asked for."""
        if self._loop is None:
            from num_agents.scheduler.testing.loop import VirtualLoop  # noqa: PLC0415 - 40 ms

            self._loop = VirtualLoop(self)
        return self._loop

    def move_for(self, loop: _loop.VirtualLoop) -> bool:
        """Moves it to the next moment at which anything is to be done: for a loop run by `run`.

        Returns:
            False if it does not: then the clock drives the loop.

        Raises:
            RuntimeError: Nothing is to come, so that the loop would wait for ever.
        """
        if not self._is_run_by_loop:
            return False
        with self._movement():
            upcoming = self._earliest(loop.next_ns, in_loop=True)
            if upcoming is None:
                raise RuntimeError(_NEVER)
            self._step_to(upcoming)
        return True

    def runs_caller(self) -> bool:
        """Whether the calling coroutine runs on its event loop."""
        return self._loop is not None and self._loop.is_here()

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
        while True:
            has_run = [executor.run_due() for executor in self._running()]
            if self._loop is None:
                return
            # A callback may have given the loop something to do, and a coroutine the others.
            if not (self._loop.drive() or any(has_run)):
                return

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
        # A loop that is running cannot go on while this waits.
        loop = None if self._loop is None or self._loop.is_running() else self._loop
        return self._earliest(None if loop is None else loop.next_ns, in_loop=loop is not None)

    def _earliest(self, timer_ns: int | None, *, in_loop: bool) -> int | None:
        deadlines = [executor.next_deadline(in_loop=in_loop) for executor in self._running()]
        known = (moment for moment in [*deadlines, timer_ns] if moment is not None)
        return min((moment for moment in known if moment < FAR_FUTURE_NS), default=None)

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

"""A clock that the test moves."""

from __future__ import annotations

from threading import RLock
from weakref import ref

from num_agents.scheduler._engine import Clock, default_clock
from num_agents.scheduler._time import (
    FAR_FUTURE_NS,
    after_ns,
    moment_ns,
    show,
    to_datetime,
    zone_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token
    from datetime import datetime
    from types import TracebackType
    from typing import Any, Self

    from num_agents.scheduler._time import Moment, Seconds
    from num_agents.scheduler.scheduler import Scheduler

#: Where a virtual clock starts unless told otherwise: any fixed moment makes tests repeatable.
DEFAULT_START = "2025-01-01T00:00:00Z"

_UTC = zone_of("UTC")


class VirtualClock:
    """A clock that stands until it is moved; schedulers on it are the same engine on other time.

    Moving it runs, in the moving thread, every callback that falls due on the way, each at its own
    moment and in the guaranteed order. Waiting for a task moves it, too, as far as is needed. A
    callback may schedule, cancel and wait, and it may move the clock: that is how a callback that
    takes its time is simulated.

    As a context manager it becomes the clock of every scheduler made inside.

    Args:
        start: Where it stands at first: a datetime or an ISO-8601 string, from 1970 to 2500; naive
            means local time. By default 2025-01-01T00:00:00Z.

    Raises:
        TypeError: `start` is of another type.
        ValueError: It is no ISO-8601, or out of the range.
    """

    def __init__(self, start: Moment | None = None) -> None:
        start_ns = moment_ns(DEFAULT_START if start is None else start, "start", None)
        if not 0 < start_ns < moment_ns("2500-01-01T00:00:00Z", "start", None):
            raise ValueError(f"start must lie between 1970 and 2500, got {show(start)}")
        self.native = Clock(start_ns)
        self._schedulers: list[ref[Scheduler]] = []
        self._moving = RLock()
        self._tokens: list[Token[Any]] = []

    def now(self) -> datetime:
        """The moment at which it stands, in UTC."""
        return to_datetime(self.native.now_ns(), _UTC)

    def advance(self, duration: Seconds) -> None:
        """Moves it on by seconds or a timedelta, and runs what falls due on the way.

        Raises:
            TypeError: `duration` is of another type.
            ValueError: It is NaN, infinite or negative.
        """
        self._move_to(after_ns(self.native.now_ns(), duration, "duration"))

    def advance_to(self, moment: Moment) -> None:
        """Moves it on to a moment, and runs what falls due on the way.

        Args:
            moment: A datetime or an ISO-8601 string; naive means local time.

        Raises:
            ValueError: The moment has passed: time does not go backwards.
        """
        target = moment_ns(moment, "moment", None)
        if target < self.native.now_ns():
            raise ValueError(f"moment must not lie before {self.now()}, got {show(moment)}")
        self._move_to(target)

    def run_until(self, done: Callable[[], bool], limit_ns: int | None) -> None:
        """Moves it on until a condition holds; what waiting on this clock comes to.

        Args:
            done: The condition.
            limit_ns: How far at the most; None for as far as anything is scheduled.

        Raises:
            RuntimeError: Nothing is scheduled any more that could make it true, and there is no
                limit: it would never end.
        """
        with self._moving:
            now = self.native.now_ns()
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

    def attach(self, scheduler: Scheduler) -> None:
        """Makes a scheduler run on this clock; schedulers do so themselves."""
        self._schedulers = [other for other in self._schedulers if other() is not None]
        self._schedulers.append(ref(scheduler))

    def __enter__(self) -> Self:
        self._tokens.append(default_clock.set(self))
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        default_clock.reset(self._tokens.pop())

    def _move_to(self, target: int) -> None:
        with self._moving:
            while True:
                upcoming = self._next_deadline()
                if upcoming is None or upcoming > target:
                    break
                self._step_to(upcoming)
            self._step_to(target)

    def _step_to(self, moment: int) -> None:
        self.native.set_ns(moment)
        for scheduler in self._running():
            scheduler._run_due()  # noqa: SLF001 - the clock is the executor here

    def _next_deadline(self) -> int | None:
        deadlines = (scheduler._next_deadline() for scheduler in self._running())  # noqa: SLF001
        return min((moment for moment in deadlines if moment is not None), default=None)

    def _running(self) -> list[Scheduler]:
        schedulers = (reference() for reference in self._schedulers)
        return [one for one in schedulers if one is not None and one.is_running]

    def __repr__(self) -> str:
        return f"<VirtualClock at {self.now().isoformat()}>"

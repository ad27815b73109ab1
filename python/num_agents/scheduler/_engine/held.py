"""Runs in threads that have a time limit, and the threads that go on when it has passed.

A thread cannot be stopped. While it goes on with a run whose time is up, another one takes its
place in the pool.
"""

from __future__ import annotations

from threading import RLock

from num_agents.scheduler._engine.current import Room, current
from num_agents.scheduler._engine.limits import Limit, limits
from num_agents.scheduler._timing.spans import SECOND_NS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from num_agents.scheduler import _native


class Held:
    """Counts the threads of a scheduler that go on though the time of their run is up.

    Args:
        clock: The scheduler's clock.
    """

    def __init__(self, clock: _native.Clock) -> None:
        self._clock = clock
        # Reentrant: a signal handler or a finalizer may run callbacks, too.
        self._lock = RLock()
        self.count = 0

    def begin(self, seconds: float, end: Callable[[], bool]) -> LimitedCall:
        """A call that is about to begin in this thread, as a context manager around it.

        Args:
            seconds: How long it may take.
            end: Ends its run; answers whether it had not ended.
        """
        return LimitedCall(self, self._clock, seconds, end)

    def change(self, by: int) -> None:
        """Counts one more, or one fewer."""
        with self._lock:
            self.count += by


class LimitedCall:
    """A call with a time limit, in the thread that enters it.

    On a clock that is set by hand time passes only while the callback itself moves the clock. So it
    is judged at its end.
    """

    __slots__ = (
        "_clock",
        "_end",
        "_group",
        "_has_ended",
        "_held",
        "_is_held",
        "_limit",
        "_lock",
        "_room",
        "_seconds",
        "_started_ns",
    )

    def __init__(
        self, held: Held, clock: _native.Clock, seconds: float, end: Callable[[], bool]
    ) -> None:
        self._held = held
        self._clock = clock
        self._seconds = seconds
        self._end = end
        self._lock = RLock()
        self._room: Room | None = current.room
        self._group = current.group
        self._limit: Limit | None = None
        self._started_ns = 0
        self._has_ended = False
        self._is_held = False

    def __enter__(self) -> Self:
        self._started_ns = self._clock.axis_ns()
        if not self._clock.is_manual:
            self._limit = limits.add(self._seconds, self._expire)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._limit is not None:
            self._limit.withdraw()
        elif self._clock.axis_ns() - self._started_ns > self._seconds * SECOND_NS:
            self._end()
        with self._lock:
            self._has_ended = True
            is_held, self._is_held = self._is_held, False
        if is_held:
            self._held.change(-1)
            if self._room is not None:
                self._room.leave()

    def _expire(self) -> None:
        """Ends the run, and lets another thread take the place of the one that goes on."""
        if not self._end():
            return
        with self._lock:
            if self._has_ended:
                return
            self._is_held = True
            self._held.change(1)
            if self._room is None:
                return
            outer, current.group = current.group, self._group
            try:
                self._room.enter()
            finally:
                current.group = outer

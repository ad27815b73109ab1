"""Time limits of runs in threads: one thread of the process looks after all of them.

It sleeps until the next limit. A second after the last one it ends, and starts again with the next.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from threading import Condition, RLock, Thread
from time import monotonic

from num_agents.scheduler._log import contain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: So long it waits for another limit before it ends.
_IDLE_S = 1.0


class Limit:
    """A moment at which something is called, unless it is withdrawn before."""

    __slots__ = ("expire",)

    def __init__(self, expire: Callable[[], object]) -> None:
        self.expire: Callable[[], object] | None = expire

    def withdraw(self) -> None:
        """Lets it pass. It may be passing at this moment."""
        self.expire = None


class TimeLimits:
    """Calls what is to be called when a limit has passed."""

    def __init__(self) -> None:
        # Reentrant: a signal handler or a finalizer may begin a run, too.
        self._changed = Condition(RLock())
        self._numbers = count()
        self._limits: list[tuple[float, int, Limit]] = []
        self._is_watched = False

    def add(self, seconds: float, expire: Callable[[], object]) -> Limit:
        """Has something called in so many seconds. O(log n)."""
        limit = Limit(expire)
        with self._changed:
            is_first = not self._limits or monotonic() + seconds < self._limits[0][0]
            heappush(self._limits, (monotonic() + seconds, next(self._numbers), limit))
            if not self._is_watched:
                Thread(target=self._watch, name="num-agents-scheduler-limits", daemon=True).start()
                self._is_watched = True
            elif is_first:
                self._changed.notify()
        return limit

    def _watch(self) -> None:
        while True:
            try:
                limit = self._next()
                if limit is None:
                    return
                expire = limit.expire
                if expire is not None:
                    expire()
            except BaseException:
                contain("A time limit of a run could not be applied")

    def _next(self) -> Limit | None:
        """Waits for the next limit, and takes it; None if there has been none for a while."""
        with self._changed:
            idle_until = monotonic() + _IDLE_S
            while True:
                now = monotonic()
                # Most runs end in time: their limits go without having been waited for.
                while self._limits and self._limits[0][2].expire is None:
                    heappop(self._limits)
                if self._limits and self._limits[0][0] <= now:
                    return heappop(self._limits)[2]
                if not self._limits and now >= idle_until:
                    self._is_watched = False
                    return None
                until = self._limits[0][0] if self._limits else idle_until
                self._changed.wait(until - now)


#: That of this process.
limits = TimeLimits()


def begin_anew() -> None:
    """Forgets all limits: in a forked child, which has no thread for them."""
    limits.__init__()  # type: ignore[misc]  # as if it were new

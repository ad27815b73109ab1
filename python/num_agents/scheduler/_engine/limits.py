"""Time limits of runs in threads: one thread of the process watches all of them.

It sleeps until the next limit. Before it ends a run, which may call handlers and done-callbacks
that take any time, it leaves the watch to another thread. A second after the last limit the thread
ends, and another is started with the next limit.
"""

from __future__ import annotations

from contextlib import suppress
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
            moment = monotonic() + seconds
            is_first = not self._limits or moment < self._limits[0][0]
            heappush(self._limits, (moment, next(self._numbers), limit))
            if not self._is_watched:
                self._start()
            elif is_first:
                self._changed.notify()
        return limit

    def _start(self) -> None:
        """Starts a thread that watches."""
        Thread(target=self._watch, name="num-agents-scheduler-limits", daemon=True).start()
        self._is_watched = True

    def _watch(self) -> None:
        while (limit := self._next()) is not None:
            try:
                self._hand_on()
                expire = limit.expire
                if expire is not None:
                    expire()
            except BaseException:
                contain("A time limit of a run could not be applied")
            with self._changed:
                if self._is_watched:
                    return
                self._is_watched = True

    def _hand_on(self) -> None:
        """Leaves the watch to another thread, if there is anything to watch."""
        with self._changed:
            self._is_watched = False
            if self._limits:
                # Without another thread, this one watches again when it is done.
                with suppress(RuntimeError):
                    self._start()

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

"""What a peer must be able to do to be measured.

An adapter is the thinnest wrapping of one peer. Each loop that is timed is written in the adapter
with the peer's own call inside it, so that no figure contains a call of ours.
"""

from __future__ import annotations

import itertools
import threading
import time
from abc import ABC, abstractmethod
from importlib import metadata
from platform import python_version
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence


class Burst:
    """The task of the fire-rate workload: it does nothing but count itself.

    The last of `tasks` runs takes the time. The count is one call of an iterator written in C:
    atomic under the interpreter's lock, and cheap beside what any peer spends on a task.
    """

    def __init__(self, tasks: int) -> None:
        self.ended = threading.Event()
        self.ended_s = 0.0
        self.on_end: Callable[[], object] | None = None
        steps = itertools.chain(itertools.repeat(None, tasks - 1), map(self._end, (None,)))

        def task() -> None:
            next(steps, None)

        self.task: Callable[[], object] = task

    def _end(self, _: None) -> None:
        self.ended_s = time.perf_counter()
        self.ended.set()
        if self.on_end is not None:
            self.on_end()


class Adapter(ABC):
    """One peer, made at rest: tasks can be scheduled, none runs before `start` or a `run_...`.

    The defaults are those of a peer that runs tasks in threads of its own.
    """

    name: ClassVar[str]
    distribution: ClassVar[str | None] = None
    """The distribution whose version is shown; None for the standard library."""

    task_limit: ClassVar[int | None] = None
    """The most tasks it is measured with: more would take minutes a sample."""
    pair_limit: ClassVar[int | None] = None
    """The most schedule + cancel pairs, where that is less than `task_limit`."""
    cancel_limit: ClassVar[int | None] = None
    """The most cancels timed in one sample, where a cancel is slow; all tasks are pending still."""
    unable: ClassVar[Mapping[str, str]] = {}
    """Workloads it has no means for, and why."""
    remarks: ClassVar[Sequence[str]] = ()
    """How its use differs from the other peers', for the reader of the figures."""

    burst_window_s: ClassVar[tuple[float, float]] = (0.0, 0.1)
    """The delays of the fire-rate workload; all have passed before the peer is started."""
    lead_s: ClassVar[float] = 1.0
    """From scheduling the first lateness probe or recurring task until it is due."""

    @classmethod
    def version(cls) -> str:
        """The installed version."""
        if cls.distribution is None:
            return f"Python {python_version()}"
        return metadata.version(cls.distribution)

    @abstractmethod
    def schedule_each(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> list[Any]:
        """Schedules one task a delay, one call each; returns what `cancel_each` takes."""

    @abstractmethod
    def cancel_each(self, handles: Sequence[Any]) -> None:
        """Cancels pending tasks, one call each."""

    @abstractmethod
    def churn(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        """Schedules one task a delay and cancels it before the next is scheduled."""

    @abstractmethod
    def repeat(
        self, first_delays_s: Sequence[float], interval_s: float, callback: Callable[[], object]
    ) -> None:
        """Schedules one recurring task a first delay."""

    def schedule_batch(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> Collection[Any]:
        """Schedules all in one call, where the peer has such a call."""
        raise NotImplementedError

    def cancel_batch(self, handles: Collection[Any]) -> None:
        """Cancels all in one call, where the peer has such a call."""
        raise NotImplementedError

    def clock(self) -> float:
        """The clock, in seconds, by which the peer decides what is due."""
        return time.monotonic()

    def probe(self, delay_s: float, callback: Callable[[int], object], index: int) -> float:
        """Schedules `callback(index)`; returns a time on `clock` at or just before the due time.

        The clock is read before the call: a run before the time returned is early for certain,
        and lateness is overstated by the length of the call, never understated.
        """
        due_s = self.clock() + delay_s
        self.schedule_each((delay_s,), callback, (index,))
        return due_s

    def start(self) -> None:  # noqa: B027 - not every peer needs it
        """Lets the peer's own threads run; nothing to do for a peer without."""

    def turn(self) -> None:  # noqa: B027 - not every peer needs it
        """Lets an event loop clear away what was cancelled; nothing to do without a loop."""

    def run_for(self, duration_s: float) -> None:
        """Runs what falls due within `duration_s`; the peer has been started."""
        time.sleep(duration_s)

    def run_burst(self, burst: Burst) -> None:
        """Starts the peer and returns when `burst` has ended."""
        self.start()
        burst.ended.wait()

    def close(self) -> None:  # noqa: B027 - not every peer needs it
        """Stops the peer; pending tasks are dropped."""

"""What a peer must be able to do to be measured.

An adapter is the thinnest wrapping of one peer. Each loop that is timed is written in the adapter
with the peer's own call inside it, so that no figure contains a call of ours.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from importlib import metadata
from platform import python_version
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from num_agents.scheduler.cli.bench.adapters.tasks import Batch, Burst


class Adapter(ABC):
    """One peer, made at rest: tasks can be scheduled, none runs before `start` or a `run_...`.

    The defaults are those of a peer that runs tasks in threads of its own.
    """

    name: ClassVar[str]
    distribution: ClassVar[str | None] = None
    """The distribution whose version is shown; None for the standard library."""

    task_limit: ClassVar[int | None] = None
    """The most tasks it is measured with: more would take minutes a sample."""
    limits: ClassVar[Mapping[str, int]] = {}
    """The most tasks of some workloads, where that is less than `task_limit`."""
    cancel_limit: ClassVar[int | None] = None
    """The most cancels timed in one sample, where a cancel is slow; all tasks are pending still."""
    unable: ClassVar[Mapping[str, str]] = {}
    """Workloads it has no means for, and why."""
    cost_us: ClassVar[float] = 3.0
    """Roughly what scheduling a task takes, to estimate how long a run will take."""
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
        self,
        first_delays_s: Sequence[float],
        interval_s: float,
        callback: Callable[..., object],
        *,
        options: bool = False,
    ) -> None:
        """Schedules one recurring task a first delay; `options` asks for kwargs and tags."""

    # The following are not asked of a peer that names their workload in `unable`.

    def schedule_named(self, batch: Batch) -> list[Any]:
        """Schedules one-shot tasks, each with a name of its own."""
        raise NotImplementedError

    def schedule_method(self, batch: Batch) -> list[Any]:
        """Schedules one-shot tasks that call a method of `batch.owner`, looked up each time."""
        raise NotImplementedError

    def schedule_kwargs(self, batch: Batch) -> list[Any]:
        """Schedules one-shot tasks with the keyword argument `number`."""
        raise NotImplementedError

    def schedule_tags(self, batch: Batch) -> list[Any]:
        """Schedules one-shot tasks with tags."""
        raise NotImplementedError

    def schedule_moment(self, batch: Batch) -> list[Any]:
        """Schedules one-shot tasks at moments."""
        raise NotImplementedError

    def schedule_interval(self, batch: Batch) -> list[Any]:
        """Schedules recurring tasks, the first run after an interval."""
        self.repeat([batch.interval_s] * len(batch.delays_s), batch.interval_s, batch.callback)
        return []

    def schedule_cron(self, batch: Batch) -> list[Any]:
        """Schedules tasks by cron expression."""
        raise NotImplementedError

    def schedule_all(self, batch: Batch) -> list[Any]:
        """Schedules recurring tasks with a keyword argument and options that all share."""
        raise NotImplementedError

    def schedule_all_own(self, batch: Batch) -> list[Any]:
        """The same, each task with a name and options of its own."""
        raise NotImplementedError

    def schedule_many_all(self, batch: Batch) -> Collection[Any]:
        """The tasks of `schedule_all` in one call, each with a first time of its own."""
        raise NotImplementedError

    def await_another(self) -> object:
        """Lets somebody wait for the outcome of a task that stays pending; keep the result."""
        raise NotImplementedError

    def set_slack(self, slack_s: float) -> None:
        """Lets tasks run up to `slack_s` late; nothing to do for a peer that does anyway."""
        raise NotImplementedError

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

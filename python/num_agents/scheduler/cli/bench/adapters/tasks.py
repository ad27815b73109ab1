"""What the adapters are given to schedule."""

from __future__ import annotations

import itertools
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# When tasks that stay pending are due: between ten minutes and a day ahead.
PENDING_DELAY_S = (600.0, 86_400.0)
INTERVAL_S = (3_600.0, 86_400.0)


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


class Owner:
    """An object with a method that tasks call."""

    def work(self, *_: object) -> None:
        """Does nothing; it never runs in a measurement."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Tasks that are scheduled with options: what their calls are made of.

    It is made before the time is taken. Names, keyword arguments and tags of single tasks are made
    within the time, by the loops of the adapters, as a program makes them.
    """

    callback: Callable[..., object]
    owner: Owner
    delays_s: Sequence[float]
    moments: Sequence[datetime]
    """The same times as moments, in UTC."""
    intervals_s: Sequence[float]
    """An interval for each task, none the same."""
    cron_expression: str
    """Fires once a day, twelve hours from now."""

    interval_s: ClassVar[float] = 3_600.0
    """The interval of all tasks."""
    grace_s: ClassVar[float] = 60.0
    """How late a run of any of the tasks may be."""
    priority: ClassVar[int] = 7
    """The priority of all tasks."""
    tags: ClassVar[tuple[str, str]] = ("agent", "mail")
    """The tags of all tasks."""

    @classmethod
    def of(cls, tasks: int, seed: int, callback: Callable[..., object]) -> Self:
        """Makes as many tasks, due between ten minutes and a day from now, in random order."""
        generator = random.Random(seed)
        now = datetime.now(UTC)
        delays_s = [generator.uniform(*PENDING_DELAY_S) for _ in range(tasks)]
        return cls(
            callback=callback,
            owner=Owner(),
            delays_s=delays_s,
            moments=[now + timedelta(seconds=delay_s) for delay_s in delays_s],
            intervals_s=[generator.uniform(*INTERVAL_S) for _ in range(tasks)],
            cron_expression=f"0 {(now.hour + 12) % 24} * * *",
        )

    def first(self) -> Self:
        """A batch of one task."""
        return type(self)(
            callback=self.callback,
            owner=self.owner,
            delays_s=self.delays_s[:1],
            moments=self.moments[:1],
            intervals_s=self.intervals_s[:1],
            cron_expression=self.cron_expression,
        )

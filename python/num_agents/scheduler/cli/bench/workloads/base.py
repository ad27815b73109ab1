"""What every workload shares: its description, its settings, and the tasks that stay pending."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from num_agents.scheduler.cli.bench.adapters.tasks import PENDING_DELAY_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.scheduler.cli.bench.adapters import Adapter

# One tuple for all tasks, as a program's constant would be.
ARGS = ("payload",)


@dataclass(frozen=True, slots=True)
class Settings:
    """What one measurement is given."""

    tasks: int
    """Tasks pending, due or repeating; for churn the pairs."""
    seed: int
    """The same for every peer within a round."""
    duration_s: float
    """How long lateness and recurring tasks are observed."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that a workload yields."""

    name: str
    title: str
    unit: str
    better: Literal["lower", "higher"] = "lower"


@dataclass(frozen=True, slots=True)
class Workload:
    """A measurement; its first metric is the one that is compared."""

    name: str
    title: str
    metrics: tuple[Metric, ...]
    measure: Callable[[Adapter, Settings], dict[str, float]]
    counted: str = "tasks"
    """What its size is a number of."""
    sizes: Literal["each", "largest"] = "each"
    """Measured at each size that was asked for, or at the largest only."""
    task_limit: int | None = None
    """The most tasks, where the workload itself sets a limit; growth is measured beyond it."""
    passes: float = 1.0
    """How often it schedules its tasks, for the estimate of how long a run takes."""
    observes: bool = False
    """Whether it lasts for `Settings.duration_s` besides."""
    has_options: bool = False
    """Whether its tasks have options or recur, which costs more; for the estimate as well."""


NS_PER_TASK = Metric("ns_per_task", "time", "ns/task")
BYTES_PER_TASK = Metric("bytes_per_task", "memory", "B/task")


def no_operation(*_: object, **__: object) -> None:
    """The task that is pending; it never runs in a measurement."""


def pending_delays(tasks: int, seed: int) -> list[float]:
    """Delays of tasks that stay pending, in seconds."""
    generator = random.Random(seed)
    return [generator.uniform(*PENDING_DELAY_S) for _ in range(tasks)]


def ns_per_task(begin_ns: int, tasks: int) -> dict[str, float]:
    """The time since `begin_ns`, a task."""
    return {"ns_per_task": (time.perf_counter_ns() - begin_ns) / tasks}

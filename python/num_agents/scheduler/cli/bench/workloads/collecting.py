"""Full garbage collections while many tasks are pending: every thread stands still for so long."""

from __future__ import annotations

import gc
import time
from statistics import median
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.bench.adapters.tasks import Batch
from num_agents.scheduler.cli.bench.workloads.base import (
    ARGS,
    Metric,
    Settings,
    Workload,
    no_operation,
    pending_delays,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from num_agents.scheduler.cli.bench.adapters import Adapter

COLLECTIONS = 5


def pause_ms() -> float:
    """The median of some full collections, in milliseconds."""
    # The first collection untracks what need not be walked again.
    gc.collect()
    return median(_collection_ms() for _ in range(COLLECTIONS))


def _collection_ms() -> float:
    begin_ns = time.perf_counter_ns()
    gc.collect()
    return (time.perf_counter_ns() - begin_ns) / 1e6


def _pauses(settings: Settings, schedule: Callable[[], list[Any]]) -> dict[str, float]:
    """The pause with the tasks of `schedule`, beside the one with as many ids and no tasks."""
    # What a caller holds of tasks whose ids are strings: a list of as many.
    held = [f"{number:036d}" for number in range(settings.tasks)]
    held_ms = pause_ms()
    del held
    handles = schedule()
    with_tasks_ms = pause_ms()
    del handles
    return {
        "pause_ms": with_tasks_ms,
        "held_ms": held_ms,
        "beyond_ms": with_tasks_ms - held_ms,
    }


def collection(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """One-shot tasks, all with the same arguments."""
    delays_s = pending_delays(settings.tasks, settings.seed)
    adapter.start()
    return _pauses(settings, lambda: adapter.schedule_each(delays_s, no_operation, ARGS))


def collection_recurring(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Recurring tasks with tags and keyword arguments."""
    batch = Batch.of(settings.tasks, settings.seed, no_operation)
    adapter.start()
    return _pauses(settings, lambda: adapter.schedule_all(batch))


_PAUSES = (
    Metric("pause_ms", "pause", "ms"),
    Metric("held_ms", "with a list of ids alone", "ms"),
    Metric("beyond_ms", "beyond that", "ms"),
)

WORKLOADS = (
    Workload(
        "collection",
        "Full garbage collection with tasks pending",
        _PAUSES,
        collection,
        sizes="largest",
        passes=1.5,
    ),
    Workload(
        "collection_recurring",
        "Full garbage collection with recurring tasks pending, with tags and kwargs",
        _PAUSES,
        collection_recurring,
        sizes="largest",
        passes=1.5,
        has_options=True,
    ),
)

"""Resident memory: of pending tasks, and what is left of it after they are cancelled."""

from __future__ import annotations

import gc
import random
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.bench.machine import resident_bytes
from num_agents.scheduler.cli.bench.workloads.base import (
    ARGS,
    BYTES_PER_TASK,
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

CANCEL_ROUNDS = 10
# With more tasks than these one round is enough, and takes long enough.
CANCEL_ROUNDS_TASKS = 1_000_000
UNHELD_CHUNK = 1_000


def _resident() -> int:
    """The resident memory, in bytes, once nothing is left to collect.

    Raises:
        NotImplementedError: The system does not tell it.
    """
    gc.collect()
    resident = resident_bytes()
    if resident is None:
        msg = "this system does not tell a process's memory"
        raise NotImplementedError(msg)
    return resident


def _memory_of(adapter: Adapter, settings: Settings, chunk: int) -> dict[str, float]:
    delays_s = pending_delays(settings.tasks, settings.seed)
    adapter.start()
    # The first task makes what is made once.
    adapter.schedule_each(delays_s[:1], no_operation, ARGS)
    before_bytes = _resident()
    handles = []
    for start in range(0, settings.tasks, chunk):
        # With chunks the handles of one are freed before the next.
        handles = adapter.schedule_each(delays_s[start : start + chunk], no_operation, ARGS)
    after_bytes = _resident()
    del handles
    return {"bytes_per_task": (after_bytes - before_bytes) / settings.tasks}


def memory(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Memory added by the pending tasks and the ids that the caller keeps."""
    return _memory_of(adapter, settings, chunk=settings.tasks)


def memory_unheld(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Memory added by the pending tasks alone."""
    return _memory_of(adapter, settings, chunk=UNHELD_CHUNK)


def _left_after(
    adapter: Adapter, settings: Settings, cancel: Callable[[list[Any]], None]
) -> dict[str, float]:
    """Schedules tasks at random times and cancels all in random order, round after round."""
    delays_s = pending_delays(settings.tasks, settings.seed)
    order = list(range(settings.tasks))
    random.Random(settings.seed).shuffle(order)
    adapter.start()
    # The first task makes what is made once.
    adapter.cancel_each(adapter.schedule_each(delays_s[:1], no_operation, ARGS))
    before_bytes = _resident()
    left_bytes: list[int] = []
    rounds = CANCEL_ROUNDS if settings.tasks <= CANCEL_ROUNDS_TASKS else 1
    for _ in range(rounds):
        handles = adapter.schedule_each(delays_s, no_operation, ARGS)
        handles = [handles[index] for index in order]
        cancel(handles)
        del handles
        # An event loop clears away what was cancelled when it turns.
        adapter.turn()
        left_bytes.append(_resident() - before_bytes)
    values = {"left_bytes_per_task": left_bytes[0] / settings.tasks}
    if rounds == CANCEL_ROUNDS:
        values["last_bytes_per_task"] = left_bytes[-1] / settings.tasks
        values["most_bytes_per_task"] = max(left_bytes) / settings.tasks
    return values


def memory_cancelled(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Memory that stays after every task was cancelled, one call each."""
    return _left_after(adapter, settings, adapter.cancel_each)


def memory_cancelled_many(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Memory that stays after every task was cancelled in one call."""
    return _left_after(adapter, settings, adapter.cancel_batch)


_LEFT = (
    Metric("left_bytes_per_task", "left", "B/task"),
    Metric("last_bytes_per_task", "after ten rounds", "B/task"),
    Metric("most_bytes_per_task", "at most", "B/task"),
)

WORKLOADS = (
    Workload(
        "memory", "Memory of pending tasks, ids held", (BYTES_PER_TASK,), memory, sizes="largest"
    ),
    Workload(
        "memory_unheld",
        "Memory of pending tasks, ids not held",
        (BYTES_PER_TASK,),
        memory_unheld,
        sizes="largest",
    ),
    Workload(
        "memory_cancelled",
        "Resident memory over the start, all tasks cancelled, one call a task",
        _LEFT,
        memory_cancelled,
        sizes="largest",
        passes=CANCEL_ROUNDS * 1.5,
    ),
    Workload(
        "memory_cancelled_many",
        "Resident memory over the start, all tasks cancelled in one call",
        _LEFT,
        memory_cancelled_many,
        sizes="largest",
        passes=CANCEL_ROUNDS * 1.5,
    ),
)

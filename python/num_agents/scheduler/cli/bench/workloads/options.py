"""Scheduling tasks as programs mostly do: with a name of their own, options, and a schedule.

Every figure is taken with all tasks pending at its end. Each kind names what its loop gives to
each call: what is said of a value, *own* or *shared*, says whether each task has another one.
"""

from __future__ import annotations

import gc
import time
from functools import partial
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.bench.adapters.tasks import Batch
from num_agents.scheduler.cli.bench.machine import resident_bytes
from num_agents.scheduler.cli.bench.workloads.base import (
    BYTES_PER_TASK,
    NS_PER_TASK,
    Settings,
    Workload,
    no_operation,
    ns_per_task,
)

if TYPE_CHECKING:
    from num_agents.scheduler.cli.bench.adapters import Adapter

TITLES = {
    "named": "Schedule with a name of its own, an f-string",
    "method": "Schedule a bound method",
    "kwargs": "Schedule with a keyword argument, its value own",
    "tags": "Schedule with two tags, shared",
    "moment": "Schedule at a moment",
    "interval": "Schedule by interval",
    "cron": "Schedule by cron expression",
    "all": "Schedule by interval with kwargs, tags, grace time and priority, options shared",
    "many_all": "Schedule the same in one call, the first times own",
    "all_own": "Schedule by interval with name, kwargs, tags and grace time, all own",
}
"""What is scheduled, by kind: `Adapter` has a method `schedule_...` for each."""


def _measure(kind: str, adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Times the scheduling, and what it adds to the resident memory, handles included."""
    batch = Batch.of(settings.tasks, settings.seed, no_operation)
    schedule = getattr(adapter, f"schedule_{kind}")
    adapter.start()
    # The first task makes what is made once, and with it what all share.
    first = schedule(batch.first())
    gc.collect()
    before_bytes = resident_bytes()
    begin_ns = time.perf_counter_ns()
    handles = schedule(batch)
    values = ns_per_task(begin_ns, settings.tasks)
    gc.collect()
    after_bytes = resident_bytes()
    if before_bytes is not None and after_bytes is not None:
        values["bytes_per_task"] = (after_bytes - before_bytes) / settings.tasks
    del first, handles
    return values


WORKLOADS = tuple(
    Workload(
        f"schedule_{kind}",
        title,
        (NS_PER_TASK, BYTES_PER_TASK),
        partial(_measure, kind),
        has_options=kind not in {"named", "method"},
    )
    for kind, title in TITLES.items()
)

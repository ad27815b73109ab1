"""Scheduling and cancelling plain one-shot tasks, nothing falling due."""

from __future__ import annotations

import gc
import random
import time
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.bench.machine import resident_bytes
from num_agents.scheduler.cli.bench.workloads.base import (
    ARGS,
    NS_PER_TASK,
    Metric,
    Settings,
    Workload,
    no_operation,
    ns_per_task,
    pending_delays,
)

if TYPE_CHECKING:
    from num_agents.scheduler.cli.bench.adapters import Adapter

CHURN_PENDING = 1_000
CHURN_CHUNK = 1_000


def schedule(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Times the scheduling alone; the peer is running."""
    delays_s = pending_delays(settings.tasks, settings.seed)
    adapter.start()
    begin_ns = time.perf_counter_ns()
    # Bound to a name: freeing the handles is no part of scheduling.
    handles = adapter.schedule_each(delays_s, no_operation, ARGS)
    values = ns_per_task(begin_ns, len(handles))
    del handles
    return values


def schedule_many(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Times one call that schedules all."""
    delays_s = pending_delays(settings.tasks, settings.seed)
    adapter.start()
    begin_ns = time.perf_counter_ns()
    handles = adapter.schedule_batch(delays_s, no_operation, ARGS)
    return ns_per_task(begin_ns, len(handles))


def cancel(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Times the cancelling alone, every task pending when it begins."""
    adapter.start()
    delays_s = pending_delays(settings.tasks, settings.seed)
    handles = adapter.schedule_each(delays_s, no_operation, ARGS)
    random.Random(settings.seed).shuffle(handles)
    # What stays in `handles` keeps the rest pending while a sample is cancelled.
    cancelled = handles[: adapter.cancel_limit]
    begin_ns = time.perf_counter_ns()
    adapter.cancel_each(cancelled)
    return ns_per_task(begin_ns, len(cancelled))


def cancel_many(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Times one call that cancels all."""
    adapter.start()
    delays_s = pending_delays(settings.tasks, settings.seed)
    handles = list(adapter.schedule_batch(delays_s, no_operation, ARGS))
    random.Random(settings.seed).shuffle(handles)
    begin_ns = time.perf_counter_ns()
    adapter.cancel_batch(handles)
    return ns_per_task(begin_ns, len(handles))


def cancel_native(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Times one call that cancels all, given what the bulk call returned, as it is."""
    adapter.start()
    delays_s = pending_delays(settings.tasks, settings.seed)
    handles = adapter.schedule_batch(delays_s, no_operation, ARGS)
    begin_ns = time.perf_counter_ns()
    adapter.cancel_batch(handles)
    return ns_per_task(begin_ns, len(handles))


def churn(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Times tasks that are cancelled as soon as they are scheduled, as timeouts mostly are."""
    delays_s = pending_delays(CHURN_PENDING, settings.seed)
    pending = adapter.schedule_each(delays_s, no_operation, ARGS)
    delays_s = pending_delays(CHURN_CHUNK, settings.seed + 1)
    adapter.start()
    adapter.cancel_each(adapter.schedule_each(delays_s, no_operation, ARGS))
    adapter.run_for(0.01)
    chunks = max(1, settings.tasks // CHURN_CHUNK)
    gc.collect()
    before_bytes = resident_bytes()
    begin_ns = time.perf_counter_ns()
    for _ in range(chunks):
        adapter.churn(delays_s, no_operation, ARGS)
        # An event loop clears away what was cancelled when it turns, as it does in any program.
        adapter.turn()
    spent_ns = time.perf_counter_ns() - begin_ns
    gc.collect()
    after_bytes = resident_bytes()
    del pending
    pairs = chunks * CHURN_CHUNK
    values = {"pairs_per_s": pairs * 1e9 / spent_ns}
    if before_bytes is not None and after_bytes is not None:
        values["bytes_per_pair"] = (after_bytes - before_bytes) / pairs
    return values


WORKLOADS = (
    Workload("schedule", "Schedule, one call a task", (NS_PER_TASK,), schedule),
    Workload("schedule_many", "Schedule all in one call", (NS_PER_TASK,), schedule_many),
    Workload("cancel", "Cancel in random order, one call a task", (NS_PER_TASK,), cancel),
    Workload("cancel_many", "Cancel all in one call, random order", (NS_PER_TASK,), cancel_many),
    Workload(
        "cancel_native",
        "Cancel all in one call, the ids as the bulk call returned them",
        (NS_PER_TASK,),
        cancel_native,
    ),
    Workload(
        "churn",
        "Schedule and cancel at once, 1,000 others pending",
        (
            Metric("pairs_per_s", "rate", "pairs/s", "higher"),
            Metric("bytes_per_pair", "memory kept", "B/pair"),
        ),
        churn,
        counted="pairs",
        sizes="largest",
    ),
)

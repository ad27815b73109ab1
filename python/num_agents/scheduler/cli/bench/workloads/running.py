"""Running one-shot tasks: how many a second, and how late."""

from __future__ import annotations

import gc
import random
import time
from statistics import quantiles
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.bench.adapters.tasks import Burst
from num_agents.scheduler.cli.bench.workloads.base import (
    ARGS,
    Metric,
    Settings,
    Workload,
    no_operation,
    pending_delays,
)

if TYPE_CHECKING:
    from num_agents.scheduler.cli.bench.adapters import Adapter

PROBES_PER_S = 1_000


def _run(adapter: Adapter, burst: Burst, tasks: int, latest_s: float) -> dict[str, float]:
    """Times from the start of the peer until the last task has run; all are due by then."""
    # By the machine's clock, which is what the peers go by.
    time.sleep(latest_s + 0.01)
    begin_s = time.perf_counter()
    adapter.run_burst(burst)
    return {"tasks_per_s": tasks / (burst.ended_s - begin_s)}


def fire(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Tasks that were due within a tenth of a second."""
    generator = random.Random(settings.seed)
    earliest_s, latest_s = adapter.burst_window_s
    delays_s = [generator.uniform(earliest_s, latest_s) for _ in range(settings.tasks)]
    burst = Burst(settings.tasks)
    adapter.schedule_each(delays_s, burst.task, ())
    return _run(adapter, burst, settings.tasks, latest_s)


def fire_at_once(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Tasks that were due at one moment: to the nanosecond, where a peer has a bulk call."""
    burst = Burst(settings.tasks)
    latest_s = adapter.burst_window_s[1]
    schedule = (
        adapter.schedule_each if "schedule_many" in adapter.unable else adapter.schedule_batch
    )
    schedule([latest_s] * settings.tasks, burst.task, ())
    return _run(adapter, burst, settings.tasks, latest_s)


def fire_awaited(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """As `fire`, while somebody waits for the outcome of another task."""
    waiting = adapter.await_another()
    values = fire(adapter, settings)
    del waiting
    return values


def lateness(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Observes tasks due one each millisecond, while many more are pending."""
    delays_s = pending_delays(settings.tasks, settings.seed)
    pending = adapter.schedule_each(delays_s, no_operation, ARGS)
    adapter.start()
    probes = round(settings.duration_s * PROBES_PER_S)
    due_s = [0.0] * probes
    ran_s: list[float | None] = [None] * probes
    clock = adapter.clock

    def record(index: int) -> None:
        if ran_s[index] is None:
            ran_s[index] = clock()

    gc.collect()
    first_s = clock() + adapter.lead_s
    for index in range(probes):
        due_s[index] = adapter.probe(first_s + index / PROBES_PER_S - clock(), record, index)
    adapter.run_for(max(0.0, first_s + settings.duration_s - clock()) + 0.5)
    for _ in range(60):
        if None not in ran_s:
            break
        adapter.run_for(0.5)
    late_us = [(ran - due) * 1e6 for ran, due in zip(ran_s, due_s, strict=True) if ran is not None]
    del pending
    if len(late_us) < probes:
        msg = f"{probes - len(late_us)} of {probes} tasks had not run half a minute after the last"
        raise RuntimeError(msg)
    cuts = quantiles(late_us, n=100, method="inclusive")
    return {
        "p99_us": cuts[98],
        "p50_us": cuts[49],
        "max_us": max(late_us),
        "early": float(sum(value < 0 for value in late_us)),
        "earliest_us": max(0.0, -min(late_us)),
    }


_RATE = (Metric("tasks_per_s", "rate", "tasks/s", "higher"),)

WORKLOADS = (
    Workload("fire", "Run tasks that are all due", _RATE, fire, passes=3.0),
    Workload(
        "fire_at_once", "Run tasks that are due at one moment", _RATE, fire_at_once, passes=3.0
    ),
    Workload(
        "fire_awaited",
        "Run tasks that are all due, somebody waiting for another",
        _RATE,
        fire_awaited,
        passes=3.0,
    ),
    Workload(
        "lateness",
        "Lateness of 1,000 tasks a second",
        (
            Metric("p99_us", "p99", "µs"),
            Metric("p50_us", "p50", "µs"),
            Metric("max_us", "max", "µs"),
            Metric("early", "early", "tasks"),
        ),
        lateness,
        counted="pending",
        sizes="largest",
        observes=True,
    ),
)

"""The workloads: what is timed, in which order, and what is left out of the time.

Each function is called once in a process of its own with a fresh peer. Tasks that must not run
during a measurement are due between ten minutes and a day ahead, in random order.
"""

from __future__ import annotations

import gc
import itertools
import random
import time
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Literal

from num_agents.scheduler.cli.bench.adapters import Burst
from num_agents.scheduler.cli.bench.machine import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from num_agents.scheduler.cli.bench.adapters import Adapter

PENDING_DELAY_S = (600.0, 86_400.0)
CHURN_PENDING = 1_000
CHURN_CHUNK = 1_000
RECURRING_TASKS = 10_000
RECURRING_INTERVAL_S = 1.0
PROBES_PER_S = 1_000
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
    """The most tasks, where the workload itself sets a limit."""


def _task(payload: str) -> None:
    """The task that is pending; it never runs in a measurement."""


def pending_delays(tasks: int, seed: int) -> list[float]:
    """Delays of tasks that stay pending."""
    generator = random.Random(seed)
    return [generator.uniform(*PENDING_DELAY_S) for _ in range(tasks)]


def _ns_per_task(begin_ns: int, tasks: int) -> dict[str, float]:
    return {"ns_per_task": (time.perf_counter_ns() - begin_ns) / tasks}


def schedule(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Times the scheduling alone; the peer is running."""
    delays_s = pending_delays(settings.tasks, settings.seed)
    adapter.start()
    begin_ns = time.perf_counter_ns()
    # Bound to a name: freeing the handles is no part of scheduling.
    handles = adapter.schedule_each(delays_s, _task, ARGS)
    values = _ns_per_task(begin_ns, len(handles))
    del handles
    return values


def schedule_many(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Times one call that schedules all."""
    delays_s = pending_delays(settings.tasks, settings.seed)
    adapter.start()
    begin_ns = time.perf_counter_ns()
    handles = adapter.schedule_batch(delays_s, _task, ARGS)
    return _ns_per_task(begin_ns, len(handles))


def cancel(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Times the cancelling alone, every task pending when it begins."""
    adapter.start()
    delays_s = pending_delays(settings.tasks, settings.seed)
    handles = adapter.schedule_each(delays_s, _task, ARGS)
    random.Random(settings.seed).shuffle(handles)
    # What stays in `handles` keeps the rest pending while a sample is cancelled.
    cancelled = handles[: adapter.cancel_limit]
    begin_ns = time.perf_counter_ns()
    adapter.cancel_each(cancelled)
    return _ns_per_task(begin_ns, len(cancelled))


def cancel_many(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Times one call that cancels all."""
    adapter.start()
    delays_s = pending_delays(settings.tasks, settings.seed)
    handles = list(adapter.schedule_batch(delays_s, _task, ARGS))
    random.Random(settings.seed).shuffle(handles)
    begin_ns = time.perf_counter_ns()
    adapter.cancel_batch(handles)
    return _ns_per_task(begin_ns, len(handles))


def _memory_of(adapter: Adapter, settings: Settings, chunk: int) -> dict[str, float]:
    delays_s = pending_delays(settings.tasks, settings.seed)
    adapter.start()
    # The first task makes what is made once.
    adapter.schedule_each(delays_s[:1], _task, ARGS)
    gc.collect()
    before_bytes = resident_bytes()
    handles = []
    for start in range(0, settings.tasks, chunk):
        # With chunks the handles of one are freed before the next.
        handles = adapter.schedule_each(delays_s[start : start + chunk], _task, ARGS)
    gc.collect()
    after_bytes = resident_bytes()
    if before_bytes is None or after_bytes is None:
        msg = "this system does not tell a process's memory"
        raise NotImplementedError(msg)
    del handles
    return {"bytes_per_task": (after_bytes - before_bytes) / settings.tasks}


def memory(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Memory added by the pending tasks and the ids that the caller keeps."""
    return _memory_of(adapter, settings, chunk=settings.tasks)


def memory_unheld(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Memory added by the pending tasks alone."""
    return _memory_of(adapter, settings, chunk=1_000)


def fire(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Times from the start of the peer until the last task has run; all are due by then."""
    generator = random.Random(settings.seed)
    earliest_s, latest_s = adapter.burst_window_s
    delays_s = [generator.uniform(earliest_s, latest_s) for _ in range(settings.tasks)]
    burst = Burst(settings.tasks)
    adapter.schedule_each(delays_s, burst.task, ())
    time.sleep(latest_s + 0.01)
    begin_s = time.perf_counter()
    adapter.run_burst(burst)
    return {"tasks_per_s": settings.tasks / (burst.ended_s - begin_s)}


def churn(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Times tasks that are cancelled as soon as they are scheduled, as timeouts mostly are."""
    pending = adapter.schedule_each(pending_delays(CHURN_PENDING, settings.seed), _task, ARGS)
    delays_s = pending_delays(CHURN_CHUNK, settings.seed + 1)
    adapter.start()
    adapter.cancel_each(adapter.schedule_each(delays_s, _task, ARGS))
    adapter.run_for(0.01)
    chunks = max(1, settings.tasks // CHURN_CHUNK)
    gc.collect()
    before_bytes = resident_bytes()
    begin_ns = time.perf_counter_ns()
    for _ in range(chunks):
        adapter.churn(delays_s, _task, ARGS)
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


def lateness(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Observes tasks due one each millisecond, while many more are pending."""
    pending = adapter.schedule_each(pending_delays(settings.tasks, settings.seed), _task, ARGS)
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


def _recurring(adapter: Adapter, settings: Settings, spread_s: float) -> dict[str, float]:
    runs = itertools.count()

    def task() -> None:
        next(runs)

    tasks = settings.tasks
    interval_s = RECURRING_INTERVAL_S
    first_delays_s = [adapter.lead_s + index * spread_s / tasks for index in range(tasks)]
    begin_s = time.monotonic()
    adapter.repeat(first_delays_s, interval_s, task)
    adapter.start()
    # The window opens and closes half-way between two bursts.
    adapter.run_for(max(0.0, begin_s + adapter.lead_s + interval_s / 2 - time.monotonic()))
    runs_before, cpu_before_s = next(runs), time.process_time()
    adapter.run_for(settings.duration_s)
    cpu_s, ran = time.process_time() - cpu_before_s, next(runs) - runs_before - 1
    if not ran:
        msg = "no task ran in the time observed"
        raise RuntimeError(msg)
    return {
        "cpu_us_per_run": cpu_s * 1e6 / ran,
        "runs_percent": ran * 100 * interval_s / (tasks * settings.duration_s),
    }


def recurring(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """CPU time where one wake-up serves many tasks."""
    return _recurring(adapter, settings, spread_s=0.0)


def recurring_spread(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """CPU time where each task needs a wake-up of its own."""
    return _recurring(adapter, settings, spread_s=RECURRING_INTERVAL_S)


def collection(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Times a full garbage collection; every thread stands still for so long."""
    delays_s = pending_delays(settings.tasks, settings.seed)
    gc.collect()
    bare_ms = _collection_ms()
    handles = adapter.schedule_each(delays_s, _task, ARGS)
    adapter.start()
    # The first collection untracks what need not be walked again.
    gc.collect()
    pause_ms = median(_collection_ms() for _ in range(5))
    del handles
    return {"pause_ms": pause_ms, "bare_ms": bare_ms}


def _collection_ms() -> float:
    begin_ns = time.perf_counter_ns()
    gc.collect()
    return (time.perf_counter_ns() - begin_ns) / 1e6


_NS_PER_TASK = (Metric("ns_per_task", "time", "ns/task"),)
_BYTES_PER_TASK = (Metric("bytes_per_task", "memory", "B/task"),)
_CPU_PER_RUN = (
    Metric("cpu_us_per_run", "CPU time", "µs/run"),
    Metric("runs_percent", "runs of those due", "%", "higher"),
)

_ALL = (
    Workload("schedule", "Schedule, one call a task", _NS_PER_TASK, schedule),
    Workload("schedule_many", "Schedule all in one call", _NS_PER_TASK, schedule_many),
    Workload("cancel", "Cancel in random order, one call a task", _NS_PER_TASK, cancel),
    Workload("cancel_many", "Cancel all in one call, random order", _NS_PER_TASK, cancel_many),
    Workload(
        "fire",
        "Run tasks that are all due",
        (Metric("tasks_per_s", "rate", "tasks/s", "higher"),),
        fire,
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
    Workload(
        "memory", "Memory of pending tasks, ids held", _BYTES_PER_TASK, memory, sizes="largest"
    ),
    Workload(
        "memory_unheld",
        "Memory of pending tasks, ids not held",
        _BYTES_PER_TASK,
        memory_unheld,
        sizes="largest",
    ),
    Workload(
        "collection",
        "Full garbage collection with tasks pending",
        (
            Metric("pause_ms", "pause", "ms"),
            Metric("bare_ms", "without tasks", "ms"),
        ),
        collection,
        sizes="largest",
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
    ),
    Workload(
        "recurring",
        "Recurring tasks, all due at the same moment of each second",
        _CPU_PER_RUN,
        recurring,
        sizes="largest",
        task_limit=RECURRING_TASKS,
    ),
    Workload(
        "recurring_spread",
        "Recurring tasks, spread evenly over each second",
        _CPU_PER_RUN,
        recurring_spread,
        sizes="largest",
        task_limit=RECURRING_TASKS,
    ),
)

WORKLOADS: Mapping[str, Workload] = {workload.name: workload for workload in _ALL}
"""Every workload by name, in the order in which they are shown."""

"""Recurring tasks: the CPU time of a run, at a rate that does not depend on how many there are.

At most `RUNS_PER_S` tasks are due a second: more tasks have longer intervals.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.bench.machine import resident_bytes
from num_agents.scheduler.cli.bench.workloads.base import Metric, Settings, Workload
from num_agents.scheduler.cli.bench.workloads.collecting import pause_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from num_agents.scheduler.cli.bench.adapters import Adapter

RUNS_PER_S = 10_000
RECURRING_TASKS = RUNS_PER_S
SLACK_S = 0.001
MINUTE_S = 60.0
# Tasks that are scheduled to see how long one takes; their first run is out of sight.
TRIAL_TASKS = 200
TRIAL_DELAY_S = 86_400.0


def _lead_s(adapter: Adapter, tasks: int, *, options: bool) -> float:
    """How far ahead the first run must be, so that all tasks are scheduled before it."""

    def task(**_: object) -> None:
        pass

    begin_s = time.perf_counter()
    first_delays_s = [TRIAL_DELAY_S] * TRIAL_TASKS
    adapter.repeat(first_delays_s, TRIAL_DELAY_S, task, options=options)
    each_s = (time.perf_counter() - begin_s) / TRIAL_TASKS
    # The collector's walks make the later ones dearer.
    return adapter.lead_s + 2.0 * each_s * tasks


class _Observed:
    """Recurring tasks that count their runs, and the CPU time that those take.

    Args:
        adapter: The peer, at rest.
        phases_s: For each task, when its first run is due after the first of all.
        interval_s: The interval of every task.
        options: Whether the tasks have keyword arguments and tags.
    """

    def __init__(
        self, adapter: Adapter, phases_s: Iterable[float], interval_s: float, *, options: bool
    ) -> None:
        self._adapter = adapter
        self._runs = itertools.count()
        phases_s = list(phases_s)
        self._due_per_s = len(phases_s) / interval_s
        runs = self._runs

        def task() -> None:
            next(runs)

        def task_with_options(**_: object) -> None:
            next(runs)

        lead_s = _lead_s(adapter, len(phases_s), options=options)
        first_delays_s = [lead_s + phase_s for phase_s in phases_s]
        self._first_s = time.monotonic() + lead_s
        before_bytes = resident_bytes()
        begin_ns = time.perf_counter_ns()
        adapter.repeat(
            first_delays_s, interval_s, task_with_options if options else task, options=options
        )
        self.schedule_s = (time.perf_counter_ns() - begin_ns) / 1e9
        after_bytes = resident_bytes()
        self.added_bytes = (
            None if before_bytes is None or after_bytes is None else after_bytes - before_bytes
        )

    def observe(self, duration_s: float) -> dict[str, float]:
        """Runs the peer, and measures from half a second after the first run was due."""
        adapter, runs = self._adapter, self._runs
        adapter.start()
        # Half a second: the window opens and closes between two bursts.
        adapter.run_for(max(0.0, self._first_s + 0.5 - time.monotonic()))
        runs_before, cpu_before_s = next(runs), time.process_time()
        adapter.run_for(duration_s)
        cpu_s, ran = time.process_time() - cpu_before_s, next(runs) - runs_before - 1
        if not ran:
            msg = "no task ran in the time observed"
            raise RuntimeError(msg)
        return {
            "cpu_us_per_run": cpu_s * 1e6 / ran,
            "runs_percent": ran * 100 / (self._due_per_s * duration_s),
            "cpu_percent": cpu_s * 100 / duration_s,
        }


def _interval_s(tasks: int) -> float:
    return max(1.0, tasks / RUNS_PER_S)


def recurring(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """CPU time where one wake-up serves many tasks."""
    phases_s = (float(index // RUNS_PER_S) for index in range(settings.tasks))
    observed = _Observed(adapter, phases_s, _interval_s(settings.tasks), options=False)
    return observed.observe(settings.duration_s)


def recurring_spread(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """CPU time where each task needs a wake-up of its own."""
    tasks, interval_s = settings.tasks, _interval_s(settings.tasks)
    phases_s = (index * interval_s / tasks for index in range(tasks))
    return _Observed(adapter, phases_s, interval_s, options=False).observe(settings.duration_s)


def recurring_slack(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """CPU time where a run may be up to a millisecond late, so that some are taken together."""
    adapter.set_slack(SLACK_S)
    return recurring_spread(adapter, settings)


def recurring_minute(adapter: Adapter, settings: Settings) -> dict[str, float]:
    """Tasks with tags and keyword arguments, a run a minute each: what all of that costs."""
    tasks = settings.tasks
    phases_s = [index * MINUTE_S / tasks for index in range(tasks)]
    bare_ms = pause_ms()
    observed = _Observed(adapter, phases_s, MINUTE_S, options=True)
    values = {"schedule_s": observed.schedule_s}
    if observed.added_bytes is not None:
        values["bytes_per_task"] = observed.added_bytes / tasks
    values["pause_ms"] = pause_ms() - bare_ms
    return values | observed.observe(settings.duration_s)


_CPU_PER_RUN = (
    Metric("cpu_us_per_run", "CPU time", "µs/run"),
    Metric("runs_percent", "runs of those due", "%", "higher"),
)

WORKLOADS = (
    Workload(
        "recurring",
        "Recurring tasks, all due at the same moment of each second",
        _CPU_PER_RUN,
        recurring,
        sizes="largest",
        task_limit=RECURRING_TASKS,
        passes=3.0,
        observes=True,
        has_options=True,
    ),
    Workload(
        "recurring_spread",
        "Recurring tasks, spread evenly over each second",
        _CPU_PER_RUN,
        recurring_spread,
        sizes="largest",
        task_limit=RECURRING_TASKS,
        passes=3.0,
        observes=True,
        has_options=True,
    ),
    Workload(
        "recurring_slack",
        "Recurring tasks, spread evenly over each second, up to 1 ms late",
        _CPU_PER_RUN,
        recurring_slack,
        sizes="largest",
        task_limit=RECURRING_TASKS,
        passes=3.0,
        observes=True,
        has_options=True,
    ),
    Workload(
        "recurring_minute",
        "Recurring tasks with tags and kwargs, a run a minute each",
        (
            Metric("schedule_s", "to schedule all", "s"),
            Metric("bytes_per_task", "memory, ids not held", "B/task"),
            Metric("pause_ms", "full collection", "ms"),
            *_CPU_PER_RUN,
            Metric("cpu_percent", "CPU", "%"),
        ),
        recurring_minute,
        sizes="largest",
        passes=3.0,
        observes=True,
        has_options=True,
    ),
)

"""What it costs to run tasks, and how late they are."""

from __future__ import annotations

import random
import time
from array import array
from typing import TYPE_CHECKING

from benches.rounds import sample_apart, time_rounds
from num_agents.scheduler.cli.bench.adapters import Burst
from num_agents.scheduler.cli.bench.workloads import RECURRING_TASKS

if TYPE_CHECKING:
    from benches.rounds import Benchmark
    from num_agents.scheduler import Scheduler

WINDOW_S = 0.1


def test_fire(benchmark: Benchmark, size: int) -> None:
    """From the start of the scheduler until the last task has run, all being due by then."""

    def prepare(scheduler: Scheduler) -> Burst:
        burst = Burst(size)
        generator = random.Random(0)
        delays_s = array("d", (generator.uniform(0, WINDOW_S) for _ in range(size)))
        scheduler.schedule_many("task", burst.task, delays=delays_s)
        time.sleep(WINDOW_S)
        return burst

    def run(scheduler: Scheduler, burst: Burst) -> None:
        scheduler.start()
        burst.ended.wait()

    def check(scheduler: Scheduler, _: None) -> None:
        # What ended the burst was the last call; its worker may not have reported it yet.
        scheduler.stop("wait")
        statistics = scheduler.statistics()
        assert statistics.completed == size
        assert statistics.failed == statistics.pending == statistics.due == 0

    time_rounds(benchmark, size, prepare=prepare, action=run, check=check, start=False)
    if benchmark.stats is not None:
        benchmark.extra_info["tasks_per_s"] = size / benchmark.stats.stats.median


def test_fire_at_once(benchmark: Benchmark, size: int) -> None:
    """As `test_fire`, all due at one moment."""
    sample_apart(benchmark, "fire_at_once", size)


def test_fire_awaited(benchmark: Benchmark, size: int) -> None:
    """As `test_fire`, while somebody waits for the outcome of another task."""
    sample_apart(benchmark, "fire_awaited", size)


def test_recurring(benchmark: Benchmark, size: int, duration_s: float) -> None:
    """CPU time a run, all tasks due at the same moment of each second."""
    seconds = min(5.0, duration_s)
    values = sample_apart(benchmark, "recurring", min(size, RECURRING_TASKS), seconds)
    assert values["runs_percent"] > 0


def test_recurring_spread(benchmark: Benchmark, size: int, duration_s: float) -> None:
    """CPU time a run, the tasks spread evenly over each second."""
    seconds = min(5.0, duration_s)
    values = sample_apart(benchmark, "recurring_spread", min(size, RECURRING_TASKS), seconds)
    assert values["runs_percent"] > 0


def test_recurring_slack(benchmark: Benchmark, size: int, duration_s: float) -> None:
    """The same, each run up to a millisecond late."""
    seconds = min(5.0, duration_s)
    values = sample_apart(benchmark, "recurring_slack", min(size, RECURRING_TASKS), seconds)
    assert values["runs_percent"] > 0


def test_recurring_minute(benchmark: Benchmark, size: int, duration_s: float) -> None:
    """With tags and keyword arguments, a run a minute each: what scheduling and running cost."""
    values = sample_apart(benchmark, "recurring_minute", size, min(5.0, duration_s))
    assert values["runs_percent"] > 0


def test_lateness(benchmark: Benchmark, size: int, duration_s: float) -> None:
    """One task each millisecond while many more are pending: none early."""
    values = sample_apart(benchmark, "lateness", size, duration_s)
    assert values["early"] == 0

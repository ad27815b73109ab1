"""Rounds on a fresh scheduler each, and samples in a process of their own."""

from __future__ import annotations

import random
from array import array
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest

from num_agents.scheduler import Scheduler
from num_agents.scheduler.cli.bench.adapters import OURS, load
from num_agents.scheduler.cli.bench.plan import Plan
from num_agents.scheduler.cli.bench.report import Sample
from num_agents.scheduler.cli.bench.runner import run_sample
from num_agents.scheduler.cli.bench.workloads import pending_delays

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 3

Prepared = TypeVar("Prepared")
Result = TypeVar("Result")


class Benchmark(Protocol):
    """What is used of pytest-benchmark's fixture, which has no annotations."""

    extra_info: dict[str, Any]
    stats: Any

    def pedantic(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] = (),
        *,
        setup: Callable[[], tuple[tuple[Any, ...], dict[str, Any]]] | None = None,
        rounds: int = 1,
        warmup_rounds: int = 0,
    ) -> Any: ...


def no_operation() -> None:
    """The task that is scheduled."""


def delays(size: int) -> array[float]:
    """Delays of tasks that stay pending."""
    return array("d", pending_delays(size, seed=0))


def shuffled(ids: list[str]) -> list[str]:
    """The ids in random order, the same in each run."""
    random.Random(0).shuffle(ids)
    return ids


def time_rounds(
    benchmark: Benchmark,
    tasks: int,
    *,
    prepare: Callable[[Scheduler], Prepared],
    action: Callable[[Scheduler, Prepared], Result],
    check: Callable[[Scheduler, Result], None],
    start: bool = True,
) -> None:
    """Times `action`, which deals with `tasks` tasks, on a fresh scheduler each round.

    Args:
        benchmark: The fixture of pytest-benchmark.
        tasks: What the time is divided by.
        prepare: Makes what `action` is given; not timed.
        action: What is timed.
        check: Asserts that `action` did what it should; not timed.
        start: Whether the scheduler runs from the beginning.
    """
    open_schedulers: list[Scheduler] = []
    results: list[Result] = []

    def close() -> None:
        if open_schedulers:
            scheduler = open_schedulers.pop()
            if results:
                check(scheduler, results.pop())
            scheduler.stop("now")

    def setup() -> tuple[tuple[Scheduler, Prepared], dict[str, object]]:
        close()
        scheduler = Scheduler()
        open_schedulers.append(scheduler)
        if start:
            scheduler.start()
        return (scheduler, prepare(scheduler)), {}

    def target(scheduler: Scheduler, prepared: Prepared) -> None:
        # Kept until the clock has stopped: freeing a million ids takes time too.
        results.append(action(scheduler, prepared))

    try:
        benchmark.pedantic(target, setup=setup, rounds=ROUNDS)
    finally:
        close()
    benchmark.extra_info["tasks"] = tasks
    # Without statistics the benchmarks are disabled and only their behaviour is checked.
    if benchmark.stats is not None:
        benchmark.extra_info["ns_per_task"] = benchmark.stats.stats.median * 1e9 / tasks


def sample_apart(
    benchmark: Benchmark, workload: str, tasks: int, duration_s: float = 1.0
) -> dict[str, float]:
    """Measures a workload of `bench` in a process of its own; its figures become extra info.

    The time that pytest-benchmark shows is that of the whole process and means nothing.
    """
    adapter = load(OURS)
    assert adapter is not None
    if workload in adapter.unable:
        pytest.skip(adapter.unable[workload])
    sample = Sample(workload, OURS, tasks, tasks, 0)
    plan = Plan(lateness_s=duration_s, recurring_s=duration_s)
    benchmark.pedantic(run_sample, args=(sample, plan))
    if sample.error is not None:
        pytest.fail(sample.error)
    assert sample.exit_status == 0
    benchmark.extra_info.update(sample.values, tasks=tasks)
    return sample.values

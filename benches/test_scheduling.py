"""What it costs to schedule and to cancel, nothing falling due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benches.rounds import delays, no_operation, sample_apart, shuffled, time_rounds
from num_agents.scheduler.cli.bench.workloads.options import TITLES

if TYPE_CHECKING:
    from array import array
    from collections.abc import Collection

    from benches.rounds import Benchmark
    from num_agents.scheduler import Scheduler


def schedule_each(scheduler: Scheduler, delays_s: array[float]) -> list[str]:
    schedule = scheduler.schedule
    return [schedule("task", no_operation, delay=delay_s) for delay_s in delays_s]


def schedule_each_with_arguments(scheduler: Scheduler, delays_s: array[float]) -> list[str]:
    schedule = scheduler.schedule
    return [schedule("task", print, delay=delay_s, args=(delay_s,)) for delay_s in delays_s]


def schedule_many(scheduler: Scheduler, delays_s: array[float]) -> Collection[str]:
    return scheduler.schedule_many("task", no_operation, delays=delays_s)


def cancel_each(scheduler: Scheduler, ids: list[str]) -> int:
    cancel_task = scheduler.cancel_task
    cancelled = 0
    for task_id in ids:
        cancelled += cancel_task(task_id)
    return cancelled


def cancel_many(scheduler: Scheduler, ids: Collection[str]) -> int:
    return scheduler.cancel_many(ids)


def test_schedule(benchmark: Benchmark, size: int) -> None:
    """One call a task, no arguments: the record of the callback is shared."""

    def check(scheduler: Scheduler, ids: list[str]) -> None:
        assert len(set(ids)) == size
        assert scheduler.statistics().pending == size

    time_rounds(benchmark, size, prepare=lambda _: delays(size), action=schedule_each, check=check)


def test_schedule_with_arguments(benchmark: Benchmark, size: int) -> None:
    """One call a task, each with a tuple of arguments of its own."""

    def check(scheduler: Scheduler, ids: list[str]) -> None:
        assert len(ids) == scheduler.statistics().pending == size

    time_rounds(
        benchmark,
        size,
        prepare=lambda _: delays(size),
        action=schedule_each_with_arguments,
        check=check,
    )


@pytest.mark.parametrize("kind", TITLES)
def test_schedule_as(benchmark: Benchmark, size: int, kind: str) -> None:
    """With a name, an option or a schedule: `ns_per_task`, `bytes_per_task`."""
    sample_apart(benchmark, f"schedule_{kind}", size)


def test_schedule_many(benchmark: Benchmark, size: int) -> None:
    """One call for all, delays in a buffer."""

    def check(scheduler: Scheduler, ids: Collection[str]) -> None:
        assert len(ids) == scheduler.statistics().pending == size

    time_rounds(benchmark, size, prepare=lambda _: delays(size), action=schedule_many, check=check)


def test_cancel(benchmark: Benchmark, size: int) -> None:
    """One call a task, in random order."""

    def check(scheduler: Scheduler, cancelled: int) -> None:
        assert cancelled == size
        assert scheduler.statistics().pending == 0

    time_rounds(
        benchmark,
        size,
        prepare=lambda scheduler: shuffled(schedule_each(scheduler, delays(size))),
        action=cancel_each,
        check=check,
    )


def test_cancel_many(benchmark: Benchmark, size: int) -> None:
    """One call for all, a list of ids in random order."""

    def check(scheduler: Scheduler, cancelled: int) -> None:
        assert cancelled == size
        assert scheduler.statistics().pending == 0

    time_rounds(
        benchmark,
        size,
        prepare=lambda scheduler: shuffled(schedule_each(scheduler, delays(size))),
        action=cancel_many,
        check=check,
    )


def test_cancel_many_in_order(benchmark: Benchmark, size: int) -> None:
    """One call for all, given what `schedule_many` returned: no id becomes a string."""

    def check(scheduler: Scheduler, cancelled: int) -> None:
        assert cancelled == size
        assert scheduler.statistics().pending == 0

    time_rounds(
        benchmark,
        size,
        prepare=lambda scheduler: schedule_many(scheduler, delays(size)),
        action=cancel_many,
        check=check,
    )


def test_churn(benchmark: Benchmark, size: int) -> None:
    """Each task is cancelled as soon as it is scheduled, as a timeout mostly is."""

    def churn(scheduler: Scheduler, delays_s: array[float]) -> int:
        schedule, cancel_task = scheduler.schedule, scheduler.cancel_task
        cancelled = 0
        for delay_s in delays_s:
            cancelled += cancel_task(schedule("task", no_operation, delay=delay_s))
        return cancelled

    def check(scheduler: Scheduler, cancelled: int) -> None:
        assert cancelled == size
        assert scheduler.statistics().pending == 0

    time_rounds(benchmark, size, prepare=lambda _: delays(size), action=churn, check=check)


def test_churn_memory(benchmark: Benchmark, size: int) -> None:
    """Memory that schedule + cancel pairs leave behind: `bytes_per_pair`."""
    sample_apart(benchmark, "churn", size)

"""What it costs to look ahead: the next time of a schedule, and all that is due in a day.

Re-arming is measured on a virtual clock: N tasks of one cron expression are due at one instant and
run, each a callback that does nothing. The time of a task includes all that: taking it from the
queue, calling it, recording its outcome, judging what it missed, finding its next time and arming
it again. The same tasks at an interval, which need no calendar, are measured beside them; the
difference is what the calendar adds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from benches.rounds import ROUNDS, no_operation
from num_agents.scheduler import Scheduler, TaskSchedule
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from benches.rounds import Benchmark

ZONE = "America/New_York"
START = datetime(2024, 3, 1, tzinfo=UTC)
EXPRESSIONS = ("* * * * *", "0 9 * * MON-FRI", "30 2 * * *", "0 0 29 2 *")
#: Recurring tasks at the default size.
SHARE = 10
#: Next times in a row, so that those of leap years stay within what all can count.
ROW = 50


def ns_each(benchmark: Benchmark, count: int) -> None:
    benchmark.extra_info["count"] = count
    # Without statistics the benchmarks are disabled and only their behaviour is checked.
    if benchmark.stats is not None:
        benchmark.extra_info["ns_each"] = benchmark.stats.stats.median * 1e9 / count


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_next_after(benchmark: Benchmark, size: int, expression: str) -> None:
    """One call a time, each from the time before."""
    schedule = TaskSchedule(cron_expression=expression, timezone=ZONE)
    rows = max(1, size // SHARE // ROW)

    def ask() -> None:
        next_after = schedule.next_after
        for _ in range(rows):
            moment = START
            for _ in range(ROW):
                moment = next_after(moment)  # type: ignore[assignment]  # there always is one

    benchmark.pedantic(ask, rounds=ROUNDS)
    ns_each(benchmark, rows * ROW)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_preview(benchmark: Benchmark, size: int, expression: str) -> None:
    """The same times, a row in one call."""
    schedule = TaskSchedule(cron_expression=expression, timezone=ZONE)
    rows = max(1, size // SHARE // ROW)

    def ask() -> None:
        for _ in range(rows):
            assert len(schedule.preview(ROW, start=START)) == ROW

    benchmark.pedantic(ask, rounds=ROUNDS)
    ns_each(benchmark, rows * ROW)


@pytest.mark.parametrize(
    "when",
    [
        {"interval": 60.0, "first_run": "aligned"},
        {"cron_expression": "* * * * *"},
        {"cron_expression": "0-59 9 * * MON-FRI", "timezone": ZONE},
    ],
    ids=["interval", "cron", "cron in a zone"],
)
def test_run_and_arm_again(benchmark: Benchmark, size: int, when: dict[str, Any]) -> None:
    """Tasks that are all due at one instant: run them, and arm them again."""
    tasks = max(1, size // SHARE)

    def setup() -> tuple[tuple[VirtualClock, Scheduler], dict[str, object]]:
        # 09:00 in New York.
        clock = VirtualClock(start="2024-03-04T13:59:30Z")
        scheduler = Scheduler(clock=clock)
        scheduler.start()
        for _ in range(tasks):
            scheduler.schedule("task", no_operation, **when)
        clock.advance_to("2024-03-04T14:00:30Z")
        return (clock, scheduler), {}

    def run(clock: VirtualClock, scheduler: Scheduler) -> None:
        clock.advance(60)
        assert scheduler.statistics().started == 2 * tasks

    benchmark.pedantic(run, setup=setup, rounds=ROUNDS)
    ns_each(benchmark, tasks)


def test_forecast(benchmark: Benchmark, size: int) -> None:
    """The runs of a day, of tasks by eight expressions, by intervals, and with jitter."""
    tasks = max(8, size // SHARE)
    scheduler = Scheduler(clock=VirtualClock(start=START))
    for number in range(tasks):
        kind, minute, hour = number % 8, number // 8 % 60, number // 480 % 24
        when: dict[str, Any] = (
            {"cron_expression": f"{minute} * * * *"},
            {"cron_expression": f"{minute} {hour} * * *", "timezone": ZONE},
            {"cron_expression": f"{minute} {hour} * * MON-FRI", "timezone": "Europe/Paris"},
            {"cron_expression": f"{minute}/15 * * * *"},
            {"interval": 60.0 + number % 1000},
            {"interval": 3600.0, "first_run": "aligned"},
            {"cron_expression": f"{minute} * * * *", "jitter": 30},
            {"interval": 900.0, "jitter": 60},
        )[kind]
        scheduler.schedule("task", no_operation, **when)

    def look() -> int:
        return scheduler.forecast(86_400, 3600).total

    found = []
    benchmark.pedantic(lambda: found.append(look()), rounds=ROUNDS)
    assert found[0] > tasks
    assert len(set(found)) == 1
    benchmark.extra_info["tasks"] = tasks
    benchmark.extra_info["runs"] = found[0]
    if benchmark.stats is not None:
        benchmark.extra_info["forecast_s"] = benchmark.stats.stats.median


@pytest.mark.parametrize(
    ("when", "missed"),
    [
        ({"interval": 1.0}, 10 * 365 * 86_400),
        ({"cron_expression": "* * * * * *"}, 10 * 365 * 86_400),
        ({"cron_expression": "* * * * *", "timezone": ZONE}, 10 * 365 * 1440),
        ({"cron_expression": "0 9 * * MON-FRI", "timezone": ZONE}, 2605),
    ],
    ids=["interval of a second", "cron of a second", "cron of a minute", "cron of working days"],
)
def test_wake_up_ten_years_later(benchmark: Benchmark, when: dict[str, Any], missed: int) -> None:
    """One task, and one run for all that was missed: clock, rule for late work, run, next time."""

    def setup() -> tuple[tuple[VirtualClock, Scheduler], dict[str, object]]:
        clock = VirtualClock(start=START)
        scheduler = Scheduler(clock=clock)
        scheduler.start()
        scheduler.schedule("task", no_operation, **when)
        clock.advance(86_400)
        return (clock, scheduler), {}

    def wake(clock: VirtualClock, scheduler: Scheduler) -> None:
        before = scheduler.statistics()
        clock.suspend(10 * 365 * 86_400)
        after = scheduler.statistics()
        assert after.started == before.started + 1
        assert abs(after.missed - missed) <= 1
        assert after.memory_bytes == before.memory_bytes

    benchmark.pedantic(wake, setup=setup, rounds=ROUNDS)
    if benchmark.stats is not None:
        benchmark.extra_info["us"] = benchmark.stats.stats.median * 1e6

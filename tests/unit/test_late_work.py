"""What happens to occurrences whose time has passed, and to those that overlap.

A callback that moves the virtual clock is a slow one; a scheduler that is stopped while the clock
moves is one whose machine slept.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler import Scheduler, ScheduleWarning, TaskMissedError, current_run

if TYPE_CHECKING:
    from num_agents.scheduler.testing import VirtualClock

START = datetime(2025, 1, 1, tzinfo=UTC)


class Late:
    """A recurring task with a period of 10 s, whose scheduler sleeps."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.scheduler = Scheduler(clock=clock)
        #: Of each run the second it was due, the second it ran, and how many it says are missed.
        self.runs: list[tuple[float, float, int]] = []

    def note(self) -> None:
        run = current_run()
        assert run is not None
        self.runs.append((self.second(run.nominal_time), self.second(self.clock.now()), run.missed))

    def second(self, moment: datetime) -> float:
        return (moment - START).total_seconds()

    def sleep_until(self, second: float) -> None:
        """The scheduler does nothing until then, and what is due then."""
        self.scheduler.stop()
        self.clock.advance(second - self.second(self.clock.now()))
        self.scheduler.start()
        self.clock.advance(0)

    def advance_to(self, second: float) -> None:
        self.clock.advance(second - self.second(self.clock.now()))


@pytest.fixture
def late(clock: VirtualClock) -> Late:
    return Late(clock)


@pytest.mark.parametrize(
    ("options", "runs", "missed"),
    [
        ({}, [(30, 35, 3), (40, 40, 0)], 3),
        ({"misfire": "latest"}, [(30, 35, 3), (40, 40, 0)], 3),
        ({"misfire": "earliest"}, [(0, 35, 3), (40, 40, 0)], 3),
        (
            {"misfire": "all"},
            [(0, 35, 0), (10, 35, 0), (20, 35, 0), (30, 35, 0), (40, 40, 0)],
            0,
        ),
        ({"misfire": "skip"}, [(40, 40, 4)], 4),
        ({"misfire": "all", "catch_up_limit": 2}, [(20, 35, 2), (30, 35, 0), (40, 40, 0)], 2),
        ({"misfire": "all", "catch_up_limit": 1}, [(30, 35, 3), (40, 40, 0)], 3),
        ({"misfire": "all", "grace": 16}, [(20, 35, 2), (30, 35, 0), (40, 40, 0)], 2),
        ({"grace": 5}, [(30, 35, 3), (40, 40, 0)], 3),
        ({"grace": 4.999}, [(40, 40, 4)], 4),
        ({"misfire": "earliest", "grace": 15}, [(20, 35, 3), (40, 40, 0)], 3),
        ({"grace": 0}, [(40, 40, 4)], 4),
    ],
)
def test_the_words_for_late_work(
    late: Late, options: dict[str, Any], runs: list[tuple[float, float, int]], missed: int
) -> None:
    task_id = late.scheduler.schedule("t", late.note, interval=10, **options)
    late.sleep_until(35)
    late.advance_to(40)
    assert late.runs == runs
    assert late.scheduler.statistics().missed == missed
    info = late.scheduler.tasks[task_id].to_dict()
    assert info["missed"] == missed
    assert info["run_count"] == len(runs)


def test_an_occurrence_missed_by_a_nanosecond_is_missed(late: Late) -> None:
    late.scheduler.schedule("t", late.note, interval=10, grace=5)
    late.clock.native.set_ns(late.clock.native.now_ns() + 5_000_000_001)
    late.scheduler.start()
    late.advance_to(9)
    assert late.runs == []


def test_the_cost_does_not_depend_on_how_many_were_missed(late: Late) -> None:
    late.scheduler.schedule("t", late.note, interval=1e-6)
    late.sleep_until(365 * 24 * 3600)
    assert late.runs[0][2] == 365 * 24 * 3600 * 10**6
    late.scheduler.stop()


@pytest.mark.parametrize("misfire", ["latest", "earliest", "all", "skip"])
def test_a_one_shot_always_runs_however_late(late: Late, misfire: Any) -> None:
    with nullcontext() if misfire == "latest" else pytest.warns(ScheduleWarning, match="no effect"):
        late.scheduler.schedule("t", late.note, delay=1, misfire=misfire)
    late.sleep_until(10_000)
    assert late.runs == [(1, 10_000, 0)]


def test_a_one_shot_with_a_grace_may_be_missed(late: Late) -> None:
    task_id = late.scheduler.schedule("t", late.note, delay=1, grace=3)
    on_time = late.scheduler.schedule("t", late.note, delay=2, grace=3)
    late.sleep_until(5)
    assert late.runs == [(2, 5, 0)]
    assert late.scheduler.tasks[task_id].status == "missed"
    assert late.scheduler.tasks[on_time].status == "completed"
    outcome = late.scheduler.wait_for_task(task_id)
    assert (outcome.status, outcome.started_at, outcome.lateness) == ("missed", None, None)
    with pytest.raises(TaskMissedError, match="missed its time"):
        late.scheduler.result(task_id)


def test_a_run_at_long_past_may_be_beyond_its_grace(scheduler: Scheduler) -> None:
    task_id = scheduler.schedule("t", print, run_at="2024-12-31T00:00:00Z", grace=60)
    assert scheduler.wait_for_task(task_id).status == "missed"


def test_misses_do_not_count_as_runs(late: Late) -> None:
    late.scheduler.schedule("t", late.note, interval=10, max_runs=3, misfire="skip")
    late.sleep_until(95)
    late.advance_to(1000)
    assert [due for due, _, _ in late.runs] == [100, 110, 120]


def test_a_fixed_delay_has_one_occurrence_to_miss(late: Late) -> None:
    late.scheduler.schedule("t", late.note, interval=10, fixed_delay=True, grace=3)
    late.sleep_until(35)
    late.advance_to(46)
    assert late.runs == [(45, 45, 1)]


def test_the_end_bounds_what_is_missed(late: Late) -> None:
    end = "2025-01-01T00:00:25Z"
    task_id = late.scheduler.schedule("t", late.note, interval=10, end_after=end)
    late.sleep_until(1000)
    assert late.runs == [(20, 1000, 2)]
    assert late.scheduler.tasks[task_id].status == "completed"


def test_skipped_until_the_end_it_ends_as_missed(late: Late) -> None:
    end = "2025-01-01T00:00:25Z"
    task_id = late.scheduler.schedule("t", late.note, interval=10, end_after=end, misfire="skip")
    late.sleep_until(1000)
    assert late.runs == []
    assert late.scheduler.tasks[task_id].status == "missed"
    assert late.scheduler.statistics().missed == 3


@pytest.mark.parametrize(
    ("options", "late_s", "missed"),
    [({}, 60, 0), ({}, 61, 1), ({"grace": 7200}, 7200, 0), ({"grace": 5}, 6, 1)],
)
def test_an_only_occurrence_is_skipped_if_later_than_the_grace(
    late: Late, options: dict[str, Any], late_s: float, missed: int
) -> None:
    task_id = late.scheduler.schedule(
        "t", late.note, cron_expression="0 */12 * * *", misfire="skip", **options
    )
    due = 12 * 3600.0
    late.sleep_until(due + late_s)
    assert late.runs == ([] if missed else [(due, due + late_s, 0)])
    assert late.scheduler.statistics().missed == missed
    assert late.scheduler.tasks[task_id].status == "pending"
    late.advance_to(2 * due)
    assert late.runs[-1] == (2 * due, 2 * due, missed)


def test_an_ended_run_says_when_it_was_due(late: Late) -> None:
    """So that jitter is not counted as lateness."""
    ids = [
        late.scheduler.schedule("t", late.note, delay=10, jitter=9, max_runs=1) for _ in range(20)
    ]
    native = late.scheduler._engine.native

    def record(task_id: str) -> tuple[bool, int, int | None]:
        found = native.record(task_id)
        assert found is not None
        return found.is_live, found.due_ns, found.started_ns

    due = [record(one)[1] for one in ids]
    late.scheduler.start()
    late.advance_to(30)
    assert [record(one) for one in ids] == [(False, moment, moment) for moment in due]
    assert len(set(due)) > 1


class TestOverlap:
    """The next occurrence is due while the last still runs: it is skipped, and recorded."""

    def slow(self, late: Late, **options: Any) -> str:
        def callback() -> None:
            late.note()
            late.clock.advance(25)

        late.scheduler.start()
        return late.scheduler.schedule("slow", callback, interval=10, **options)

    def test_occurrences_that_fall_due_during_a_run_are_skipped(self, late: Late) -> None:
        task_id = self.slow(late)
        late.advance_to(59)
        assert [due for due, _, _ in late.runs] == [0, 30]
        assert late.scheduler.statistics().skipped == 4
        info = late.scheduler.tasks[task_id].to_dict()
        assert (info["skipped"], info["missed"], info["run_count"]) == (4, 0, 2)

    def test_one_that_falls_due_as_the_run_ends_is_not_skipped(self, late: Late) -> None:
        def callback() -> None:
            late.note()
            late.clock.advance(10)

        late.scheduler.start()
        late.scheduler.schedule("slow", callback, interval=10, max_runs=3)
        late.advance_to(100)
        assert [due for due, _, _ in late.runs] == [0, 10, 20]
        assert late.scheduler.statistics().skipped == 0

    def test_all_catches_up_with_them(self, late: Late) -> None:
        self.slow(late, misfire="all", max_runs=4)
        late.advance_to(300)
        assert [(due, ran) for due, ran, _ in late.runs] == [(0, 0), (10, 25), (20, 50), (30, 75)]
        assert late.scheduler.statistics().skipped == 0

    def test_skips_do_not_count_as_runs(self, late: Late) -> None:
        self.slow(late, max_runs=3)
        late.advance_to(1000)
        assert [due for due, _, _ in late.runs] == [0, 30, 60]

    def test_a_slow_task_makes_another_late(self, late: Late) -> None:
        """One thread runs both here, so the other's occurrences are late, not skipped."""
        late.scheduler.start()
        late.scheduler.schedule("slow", lambda: late.clock.advance(35), delay=1)
        late.clock.advance(0)
        ran = len(late.runs)
        assert ran == 0
        late.scheduler.schedule("t", late.note, interval=10)
        late.advance_to(39)
        # The clock runs what is due in between, even while the slow one lasts.
        assert [due for due, _, _ in late.runs] == [0, 10, 20, 30]

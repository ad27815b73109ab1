"""When a schedule is due for the first time: the same for what runs and for what is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler import CalendarInterval, Exclusions, Scheduler, TaskSchedule
from num_agents.scheduler._timing.first_due import FirstDue, first_due, first_due_ns
from num_agents.scheduler._timing.moments import moment_ns

if TYPE_CHECKING:
    from num_agents.scheduler.testing import VirtualClock

NOW = datetime(2026, 3, 1, 12, 34, tzinfo=UTC)
NOW_NS = moment_ns(NOW, "now", UTC)
MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
PAST = "2026-03-01T00:10Z"
PAST_NS = moment_ns(PAST, "past", UTC)
FUTURE = "2026-03-01T13:05Z"
FUTURE_NS = moment_ns(FUTURE, "future", UTC)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, FirstDue(span_ns=0)),
        ({"delay": 60}, FirstDue(span_ns=MINUTE_NS)),
        ({"delay": 60, "start_after": PAST}, FirstDue(span_ns=MINUTE_NS)),
        ({"delay": 60, "start_after": FUTURE}, FirstDue(wall_ns=FUTURE_NS)),
        ({"start_after": FUTURE}, FirstDue(wall_ns=FUTURE_NS)),
        ({"start_after": PAST}, FirstDue(span_ns=0)),
        ({"run_at": PAST}, FirstDue(wall_ns=PAST_NS)),
        ({"run_at": FUTURE}, FirstDue(wall_ns=FUTURE_NS)),
        ({"run_at": PAST, "start_after": FUTURE}, FirstDue(wall_ns=FUTURE_NS)),
        ({"cron_expression": "5 13 * * *"}, FirstDue(wall_ns=FUTURE_NS)),
        ({"calendar_interval": CalendarInterval(days=1, at="13:05")}, FirstDue(wall_ns=FUTURE_NS)),
        ({"interval": 3600}, FirstDue(span_ns=0)),
        ({"interval": 3600, "first_run": "after_interval"}, FirstDue(span_ns=HOUR_NS)),
        (
            {"interval": 300, "first_run": "aligned"},
            FirstDue(wall_ns=moment_ns("2026-03-01T12:35Z", "aligned", UTC)),
        ),
        (
            {"interval": 3600, "start_after": PAST},
            FirstDue(anchor_wall_ns=PAST_NS, interval_ns=HOUR_NS),
        ),
        (
            {"interval": 3600, "start_after": FUTURE},
            FirstDue(anchor_wall_ns=FUTURE_NS, interval_ns=HOUR_NS),
        ),
        (
            {"interval": 3600, "start_after": PAST, "first_run": "after_interval"},
            FirstDue(anchor_wall_ns=PAST_NS + HOUR_NS, interval_ns=HOUR_NS),
        ),
        (
            {"interval": 3600, "start_after": PAST, "first_run": "aligned"},
            FirstDue(anchor_wall_ns=PAST_NS + 50 * MINUTE_NS, interval_ns=HOUR_NS),
        ),
        # Counted from completion, it has no grid.
        ({"interval": 60, "fixed_delay": True, "start_after": PAST}, FirstDue(span_ns=0)),
        ({"interval": 60, "fixed_delay": True, "start_after": FUTURE}, FirstDue(wall_ns=FUTURE_NS)),
    ],
)
def test_spans_stay_spans_and_moments_moments(options: dict[str, Any], expected: FirstDue) -> None:
    schedule = TaskSchedule(**options)
    assert first_due(schedule, NOW_NS, UTC) == expected
    assert first_due_ns(schedule, NOW_NS, UTC) == expected.nominal_ns(NOW_NS)


def test_a_span_does_not_depend_on_what_the_wall_clock_shows() -> None:
    for options in ({"delay": 60}, {"interval": 60, "first_run": "after_interval"}):
        schedule = TaskSchedule(**options)
        assert {first_due(schedule, now, UTC) for now in (0, NOW_NS, NOW_NS + HOUR_NS)} == {
            FirstDue(span_ns=MINUTE_NS)
        }


START_POINTS = [
    PAST,
    "2025-11-11T11:11:11.5Z",
    "2026-03-01T12:34Z",
    "2026-03-01T12:34:00.000001Z",
    FUTURE,
    "2026-03-02T00:00Z",
]


class TestAnchoredInterval:
    @pytest.mark.parametrize("start", START_POINTS)
    @pytest.mark.parametrize("first_run", ["now", "after_interval", "aligned"])
    @pytest.mark.parametrize("interval", [3600, 1234.5])
    def test_runs_when_it_says(
        self, scheduler: Scheduler, clock: VirtualClock, start: str, first_run: Any, interval: float
    ) -> None:
        schedule: dict[str, Any] = {
            "interval": interval,
            "start_after": start,
            "first_run": first_run,
            "timezone": "UTC",
        }
        just_before = NOW - timedelta(microseconds=1)
        said = TaskSchedule(**schedule).preview(3, start=just_before)
        part = TaskSchedule(**schedule)
        by_parts = TaskSchedule(any_of=[part], timezone="UTC").preview(3, start=just_before)
        with_holes = TaskSchedule(**schedule, exclude=Exclusions(dates=["2027-01-01"]))
        ran: list[datetime] = []
        scheduler.schedule("t", lambda: ran.append(clock.now()), **schedule)
        clock.advance(2 * 86_400)
        assert ran[:3] == said == by_parts == with_holes.preview(3, start=just_before)
        assert part.next_after(just_before) == said[0]

    def test_is_late_for_nothing(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        task_id = scheduler.schedule("t", print, interval=3600, start_after=PAST)
        task = scheduler.tasks[task_id]
        clock.advance(0)
        assert task.run_count == 0
        assert task.next_run == datetime(2026, 3, 1, 13, 10, tzinfo=UTC)

    def test_runs_now_if_now_is_on_the_grid(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        task_id = scheduler.schedule("t", print, interval=60, start_after="2026-03-01T00:00Z")
        clock.advance(0)
        assert scheduler.tasks[task_id].run_count == 1

    def test_an_end_before_the_first_grid_point_is_refused(self, scheduler: Scheduler) -> None:
        with pytest.raises(ValueError, match="end_after comes before the first run"):
            scheduler.schedule(
                "t", print, interval=3600, start_after=PAST, end_after="2026-03-01T13:00Z"
            )


class TestFixedDelay:
    @pytest.mark.parametrize("first_run", ["now", "after_interval", "aligned"])
    @pytest.mark.parametrize("start", [None, *START_POINTS])
    def test_runs_when_it_says(
        self, scheduler: Scheduler, clock: VirtualClock, start: str | None, first_run: Any
    ) -> None:
        schedule: dict[str, Any] = {
            "interval": 1234.5,
            "start_after": start,
            "first_run": first_run,
            "fixed_delay": True,
            "timezone": "UTC",
        }
        said = TaskSchedule(**schedule).preview(2, start=NOW)
        ran: list[datetime] = []
        scheduler.schedule("t", lambda: ran.append(clock.now()), **schedule)
        clock.advance(2 * 86_400)
        assert [moment for moment in ran if moment > NOW][:2] == said


@pytest.fixture
def clock() -> VirtualClock:
    from num_agents.scheduler.testing import VirtualClock

    return VirtualClock(start=NOW, timezone="UTC")


@pytest.fixture
def scheduler(clock: VirtualClock) -> Scheduler:
    scheduler = Scheduler(clock=clock)
    scheduler.start()
    return scheduler

"""What a schedule says of its times is what happens, and what has no effect is said."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from num_agents.scheduler import (
    CalendarInterval,
    RunPolicy,
    Scheduler,
    ScheduleWarning,
    Task,
    TaskSchedule,
    current_run,
)
from num_agents.scheduler._timing import moments
from num_agents.scheduler.testing import VirtualClock

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(start=START, timezone="Europe/Paris")


@pytest.fixture
def scheduler(clock: VirtualClock) -> Scheduler:
    scheduler = Scheduler(clock=clock)
    scheduler.start()
    return scheduler


class TestOfATask:
    def both(self, scheduler: Scheduler, **words: Any) -> list[TaskSchedule]:
        """The schedule of a task that was made before, and of a view of one."""
        task = Task("t", print, TaskSchedule(**words))
        scheduler.schedule_task(task)
        return [task.schedule, scheduler.tasks[scheduler.schedule("t", print, **words)].schedule]

    @pytest.mark.parametrize(
        ("words", "said", "first"),
        [
            (
                {"cron_expression": "0 9 * * *"},
                "at 09:00 every day, Europe/Paris",
                "2026-03-02 09:00:00+01:00",
            ),
            (
                {"cron_expression": "0 9 * * *", "timezone": "America/New_York"},
                "at 09:00 every day, America/New_York",
                "2026-03-01 09:00:00-05:00",
            ),
            (
                {"run_at": "2026-03-01T15:00"},
                "once, at 2026-03-01 15:00:00+01:00",
                "2026-03-01 15:00:00+01:00",
            ),
            (
                {"rrule": "DTSTART:20260301T150000\nRRULE:FREQ=DAILY"},
                "by the recurrence DTSTART:20260301T150000 RRULE:FREQ=DAILY",
                "2026-03-01 15:00:00+01:00",
            ),
            (
                {"interval": 3600, "start_after": "2026-03-01T13:30"},
                "every 1 hour, from 2026-03-01 13:30:00+01:00",
                "2026-03-01 13:30:00+01:00",
            ),
            ({"delay": 100}, "once, at 2026-03-01 13:01:40+01:00", "2026-03-01 13:01:40+01:00"),
            (
                {"any_of": [TaskSchedule(cron_expression="0 9 * * *")]},
                "at 09:00 every day, Europe/Paris",
                "2026-03-02 09:00:00+01:00",
            ),
            (
                {
                    "any_of": [
                        TaskSchedule(calendar_interval=CalendarInterval(days=2, at="14:00")),
                        TaskSchedule(cron_expression="@every 2h"),
                    ]
                },
                "every 2 days at 14:00, Europe/Paris; and every 2 hours",
                "2026-03-01 14:00:00+01:00",
            ),
        ],
    )
    def test_is_in_the_zone_of_the_scheduler(
        self, scheduler: Scheduler, words: dict[str, Any], said: str, first: str
    ) -> None:
        plain = TaskSchedule(**words)
        for schedule in self.both(scheduler, **words):
            assert schedule.describe() == said
            assert str(schedule.next_after(START)) == first
            assert str(schedule.preview(1, START)[0]) == first
            if "delay" not in words:
                assert schedule == plain
        assert plain.of_task(None).to_dict() == plain.to_dict()

    @pytest.mark.parametrize("first_run", ["now", "after_interval", "aligned"])
    @pytest.mark.parametrize("more", [{}, {"jitter": 600}, {"window": 600}, {"fixed_delay": True}])
    def test_an_interval_goes_on_from_its_next_run(
        self, scheduler: Scheduler, clock: VirtualClock, first_run: str, more: dict[str, Any]
    ) -> None:
        ran: list[datetime] = []

        def note() -> None:
            run = current_run()
            assert run is not None
            ran.append(run.nominal_time)

        clock.advance(1)
        for schedule in self.both(scheduler, interval=3600, first_run=first_run):
            assert schedule.preview(1, START)[0] in {
                START + timedelta(seconds=1),
                START + timedelta(hours=1),
                START + timedelta(hours=1, seconds=1),
            }
        words: dict[str, Any] = {"interval": 3600, "first_run": first_run, **more}
        task_id = scheduler.schedule("noted", note, **words)
        # Before its first run, and in the middle of its life.
        for _ in range(2):
            after = clock.now()
            found = scheduler.tasks[task_id].schedule.preview(1, after)
            ran.clear()
            clock.advance(1.5 * 3600)
            assert found[0] in ran
            assert found[0] == next(one for one in ran if one > after)

    def test_no_delay_is_not_after_a_moment(self) -> None:
        schedule = TaskSchedule(delay=0)
        assert schedule.next_after(START) is None
        assert schedule.preview(3, START) == []

    def test_a_plain_delay_says_when(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", print, delay=100)
        schedule = scheduler.tasks[task_id].schedule
        assert schedule.describe() == "once, at 2026-03-01 13:01:40+01:00"
        assert schedule.preview(3, START) == [START + timedelta(seconds=100)]
        assert TaskSchedule().describe() == "once, immediately"

    @pytest.mark.parametrize(
        "words", [{"delay": 100}, {"delay": 100, "tags": ["x"]}, {"run_at": "2026-04-01"}]
    )
    def test_one_that_was_moved_says_so(
        self, scheduler: Scheduler, clock: VirtualClock, words: dict[str, Any]
    ) -> None:
        task_id = scheduler.schedule("t", print, **words)
        task = scheduler.tasks[task_id]
        scheduler.reschedule_task(task_id, run_at="2030-01-01T09:00")
        for view in (task, scheduler.tasks[task_id]):
            assert view.schedule.describe() == "once, at 2030-01-01 09:00:00+01:00"
            assert str(view.schedule.next_after(START)) == "2030-01-01 09:00:00+01:00"
        clock.advance_to("2031-01-01")
        # What was forgotten is remembered by its last view.
        assert scheduler.tasks[task_id].schedule.describe() == "once, at 2030-01-01 09:00:00+01:00"

    def test_an_interval_counts_from_where_it_is(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        task_id = scheduler.schedule("t", print, interval=3600)
        clock.advance(90)
        schedule = scheduler.tasks[task_id].schedule
        assert schedule.preview(2, clock.now()) == [
            START + timedelta(hours=1),
            START + timedelta(hours=2),
        ]
        scheduler.reschedule_task(task_id, run_at="2026-03-01T13:20")
        assert str(scheduler.tasks[task_id].schedule.next_after(clock.now())) == (
            "2026-03-01 13:20:00+01:00"
        )


class TestWithoutEffect:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ({"cron_expression": "@daily", "first_run": "aligned"}, "first_run has no effect"),
            ({"delay": 5, "first_run": "after_interval"}, "first_run has no effect"),
            ({"delay": 5, "max_runs": 3}, "max_runs has no effect"),
            ({"run_at": START, "max_runs": 2}, "max_runs has no effect"),
            ({"delay": 5, "misfire": "all"}, "misfire has no effect"),
            ({"run_at": START, "misfire": "skip"}, "misfire has no effect"),
            ({"interval": 5, "catch_up_limit": 3}, "catch_up_limit has no effect"),
        ],
    )
    def test_is_said(self, scheduler: Scheduler, words: dict[str, Any], said: str) -> None:
        with pytest.warns(ScheduleWarning, match=said) as caught:
            scheduler.schedule("t", print, **words)
        assert [one.filename for one in caught] == [__file__]

    def test_what_has_an_effect_is_not(self, scheduler: Scheduler) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scheduler.schedule("t", print, delay=5, max_runs=1, misfire="latest", grace=5)
            scheduler.schedule("t", print, interval=5, max_runs=3, first_run="aligned")
            scheduler.schedule("t", print, interval=5, misfire="all", catch_up_limit=3)
            RunPolicy(misfire="skip")


class TestANaiveNow:
    """A naive `datetime.now()` is of the system's zone; the scheduler's may be another one."""

    def test_that_has_passed_in_another_zone_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # The system is in Paris, the scheduler in UTC plus two hours.
        monkeypatch.setattr(moments, "local_zone", lambda: PARIS)
        scheduler = Scheduler(clock=VirtualClock(start=START, timezone="Asia/Tokyo"))
        now = START.astimezone(PARIS).replace(tzinfo=None)
        for moment in (now, now + timedelta(hours=1), (now + timedelta(hours=1)).isoformat()):
            with pytest.warns(ScheduleWarning, match="run_at has passed: a naive datetime"):
                scheduler.schedule("t", print, run_at=moment)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # Aware, of long ago, or of the future there: nothing is doubtful.
            scheduler.schedule("t", print, run_at=START - timedelta(hours=1))
            scheduler.schedule("t", print, run_at=now - timedelta(days=1))
            scheduler.schedule("t", print, run_at=now + timedelta(hours=12))

    def test_in_the_systems_zone_is_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(moments, "local_zone", lambda: PARIS)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for zone in ("Europe/Paris", "local"):
                scheduler = Scheduler(clock=VirtualClock(start=START, timezone=zone))
                scheduler.schedule("t", print, run_at=START.astimezone(PARIS).replace(tzinfo=None))


class TestSpansAsText:
    def test_do_as_in_files(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        five = START + timedelta(minutes=5)
        for task_id in (
            scheduler.schedule("t", print, delay="5m"),
            scheduler.schedule("t", print, delay="4m60s", tags=["x"]),
            scheduler.schedule("t", print, interval="5m", first_run="after_interval"),
            *scheduler.schedule_many("t", print, delays=["5m", 300]),
        ):
            assert scheduler.tasks[task_id].next_run == five
        assert TaskSchedule(interval="1h30m", jitter="10s").describe() == (
            "every 90 minutes, up to 10 seconds later at random"
        )
        assert RunPolicy(grace="10s") == RunPolicy(grace="10s")
        clock.advance("90s")
        assert clock.now() == START + timedelta(seconds=90)

    @pytest.mark.parametrize("text", ["5", "", "5 m", "-5m", "5m ago", "1e3s", "0s"])
    def test_what_is_none_is_refused(self, scheduler: Scheduler, text: str) -> None:
        with pytest.raises((TypeError, ValueError), match="interval must"):
            scheduler.schedule("t", print, interval=text)

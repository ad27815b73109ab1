"""Putting work off where many things are due at once: jitter, windows, and a storm of late work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler import CalendarInterval, Scheduler, TaskSchedule, current_run
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2025, 1, 1, tzinfo=UTC)


class Noted:
    """A scheduler, and of each run its name, when it was due, when it ran, and what it missed."""

    def __init__(self, clock: VirtualClock | None = None, **options: Any) -> None:
        self.clock = clock or VirtualClock(START, timezone="UTC")
        self.scheduler = Scheduler(clock=self.clock, **options)
        self.runs: list[tuple[str, float, float, int]] = []

    def note(self) -> None:
        run = current_run()
        assert run is not None
        due, now = (self.second(moment) for moment in (run.nominal_time, self.clock.now()))
        self.runs.append((run.task_name, due, now, run.missed))

    def second(self, moment: datetime) -> float:
        return (moment - START).total_seconds()

    def schedule(self, name: str = "t", **options: Any) -> str:
        return self.scheduler.schedule(name, self.note, **options)

    def offsets(self) -> list[float]:
        """How much later than its nominal time each run was."""
        return [ran - due for _, due, ran, _ in self.runs]


@pytest.fixture
def noted() -> Noted:
    noted = Noted()
    noted.scheduler.start()
    return noted


RECURRING: list[dict[str, Any]] = [
    {"cron_expression": "*/5 * * * *"},
    {"interval": 300, "first_run": "aligned", "start_after": START + timedelta(seconds=1)},
    {"interval": 300, "first_run": "after_interval"},
    {"rrule": "FREQ=MINUTELY;INTERVAL=5", "start_after": START + timedelta(minutes=5)},
    {"any_of": [TaskSchedule(interval=300, first_run="aligned")]},
    {"calendar_interval": CalendarInterval(days=1, at="00:05", anchor="2025-01-01")},
]


class TestJitter:
    @pytest.mark.parametrize("schedule", RECURRING, ids=str)
    def test_is_within_its_span_and_does_not_move_the_grid(
        self, noted: Noted, schedule: dict[str, Any]
    ) -> None:
        noted.schedule(**schedule, jitter=60)
        noted.clock.advance(30 * 86_400)
        due = [due for _, due, _, _ in noted.runs]
        step = 86_400 if "calendar_interval" in schedule else 300
        assert due == [300 + step * number for number in range(len(due))]
        assert len(due) in (30 * 86_400 // step - 1, 30 * 86_400 // step)
        offsets = noted.offsets()
        assert all(0 <= offset <= 60 for offset in offsets)
        # Uniform: each third has its share.
        assert len(set(offsets)) == len(offsets)
        if len(offsets) > 1000:
            for third in range(3):
                share = sum(20 * third <= offset < 20 * third + 20 for offset in offsets)
                assert share / len(offsets) == pytest.approx(1 / 3, abs=0.05)

    def test_never_reaches_the_next_occurrence(self, noted: Noted) -> None:
        noted.schedule(cron_expression="* * * * *", jitter=3600)
        noted.schedule("every", interval=60, jitter=timedelta(days=99))
        noted.clock.advance(86_400)
        assert all(0 <= offset < 60 for offset in noted.offsets())
        for name in ("t", "every"):
            due = [due for found, due, _, _ in noted.runs if found == name]
            assert due == sorted(set(due))
            assert len(due) >= 1439
        assert noted.scheduler.statistics().missed == 0

    def test_nor_passes_the_end(self, noted: Noted) -> None:
        end = START + timedelta(seconds=630)
        task_id = noted.schedule(interval=300, jitter=200, end_after=end)
        noted.clock.advance(86_400)
        assert [due for _, due, _, _ in noted.runs] == [0, 300, 600]
        assert noted.runs[-1][2] <= 630
        assert noted.scheduler.tasks[task_id].status == "completed"

    @pytest.mark.parametrize("when", [{"delay": 100}, {"run_at": START + timedelta(seconds=100)}])
    def test_of_one_shots(self, noted: Noted, when: dict[str, Any]) -> None:
        for _ in range(50):
            noted.schedule(**when, jitter=10)
        noted.clock.advance(200)
        assert {due for _, due, _, _ in noted.runs} == {100}
        assert all(0 <= offset <= 10 for offset in noted.offsets())
        assert len(set(noted.offsets())) > 40

    def test_is_no_lateness(self, noted: Noted) -> None:
        noted.schedule(cron_expression="* * * * *", jitter=30, grace=0)
        noted.clock.advance(3600)
        assert len(noted.runs) in (59, 60)
        statistics = noted.scheduler.statistics()
        assert statistics.missed == 0
        assert noted.scheduler.statistics().to_dict()["missed"] == 0

    def test_is_the_same_in_two_runs_and_differs_between_tasks(self) -> None:
        def runs() -> list[Any]:
            noted = Noted()
            for number in range(5):
                noted.schedule(str(number), cron_expression="*/10 * * * *", jitter=60)
            with noted.scheduler:
                noted.clock.advance(86_400)
            return noted.runs

        first = runs()
        assert first == runs()
        at_once = [ran - due for _, due, ran, _ in first if due == 600]
        assert len(set(at_once)) == 5

    def test_follows_the_wall(self, noted: Noted) -> None:
        noted.schedule(cron_expression="0 * * * *", jitter=600)
        noted.clock.shift_wall(3000)
        noted.clock.shift_wall(-1200)
        noted.clock.advance(3600)
        ((_, due, ran, _),) = noted.runs
        assert due == 3600
        assert 3600 <= ran <= 4200

    def test_of_nothing_changes_nothing(self, noted: Noted) -> None:
        noted.schedule(interval=60, jitter=0, window=timedelta())
        noted.clock.advance(600)
        assert noted.offsets() == [0.0] * 11


class TestWindow:
    @pytest.mark.parametrize("schedule", RECURRING, ids=str)
    def test_puts_all_runs_off_by_one_span_within_it(
        self, noted: Noted, schedule: dict[str, Any]
    ) -> None:
        noted.schedule(**schedule, window=timedelta(minutes=4))
        noted.clock.advance(30 * 86_400)
        assert len(noted.runs) >= 30
        (offset,) = {round(offset, 5) for offset in noted.offsets()}
        assert 0 <= offset <= 240

    def test_puts_them_where_little_is_due(self, noted: Noted) -> None:
        # The first 30 s of each hour are taken.
        for second in range(30):
            noted.schedule("fixed", cron_expression=f"{second} 0 * * * *")
        for _ in range(30):
            noted.schedule("flexible", cron_expression="0 * * * *", window=59)
        noted.clock.advance(3 * 3600 - 1)
        flexible = [int(ran) % 3600 for name, _, ran, _ in noted.runs if name == "flexible"]
        assert sorted(flexible) == sorted([*range(30, 60)] * 2)
        forecast = noted.scheduler.forecast(3600)
        assert forecast.collisions == 0

    def test_equals_fill_it_evenly(self, noted: Noted) -> None:
        for _ in range(7200):
            noted.schedule(cron_expression="@hourly", window=3599)
        seconds = dict(noted.scheduler.forecast(2 * 3600, 3600).busiest(8000))
        assert set(seconds.values()) == {2}
        assert len(seconds) == 3600

    def test_what_ended_leaves_its_place(self, noted: Noted) -> None:
        ids = [noted.schedule(cron_expression=f"{second} 0 * * * *") for second in range(10)]
        noted.scheduler.cancel_task(ids[4])
        noted.schedule("flexible", cron_expression="0 * * * *", window=9)
        noted.clock.advance(3700)
        (ran,) = [ran for name, _, ran, _ in noted.runs if name == "flexible"]
        assert int(ran) == 3604

    def test_is_kept(self, noted: Noted) -> None:
        """Whatever is scheduled, paused, rescheduled or suspended meanwhile."""
        task_id = noted.schedule("flexible", cron_expression="0 * * * *", window=1800)
        noted.clock.advance(3600 + 1800)
        for _ in range(100):
            noted.schedule("other", cron_expression="0 * * * *", window=1800)
        noted.clock.suspend(3 * 3600)
        noted.scheduler.pause_task(task_id)
        noted.scheduler.resume_task(task_id)
        noted.clock.advance(10 * 3600)
        mine = [ran - due for name, due, ran, _ in noted.runs if name == "flexible"]
        assert len(mine) == 12
        # The one that the machine slept through is late.
        offset, *late = sorted({round(one, 5) for one in mine})
        assert 0 <= offset <= 1800
        assert late == [1800]

    def test_never_reaches_the_next_occurrence(self, noted: Noted) -> None:
        for _ in range(100):
            noted.schedule(cron_expression="* * * * *", window=86_400)
        noted.clock.advance(3600)
        assert all(0 <= offset < 60 for offset in noted.offsets())
        assert noted.scheduler.statistics().missed == 0

    def test_nor_passes_the_end(self, noted: Noted) -> None:
        for _ in range(100):
            end = START + timedelta(seconds=610)
            noted.schedule(interval=300, first_run="after_interval", window=299, end_after=end)
        noted.clock.advance(3600)
        assert len(noted.runs) == 200
        assert max(ran for *_, ran, _ in noted.runs) <= 610

    def test_with_jitter_within_both(self, noted: Noted) -> None:
        noted.schedule(cron_expression="0 * * * *", window=600, jitter=60)
        noted.clock.advance(86_400)
        offsets = noted.offsets()
        assert max(offsets) - min(offsets) <= 60
        assert min(offsets) >= 0
        assert max(offsets) <= 660

    def test_is_the_same_in_two_runs(self) -> None:
        def runs() -> list[Any]:
            noted = Noted()
            for number in range(50):
                noted.schedule(str(number), cron_expression="0 * * * *", window=3000)
            with noted.scheduler:
                noted.clock.advance(2 * 3600)
            return noted.runs

        assert runs() == runs()


def stopped(noted: Noted) -> Callable[[float], None]:
    """Lets time pass while the scheduler is stopped."""

    def pass_over(seconds: float) -> None:
        noted.scheduler.stop()
        noted.clock.advance(seconds)
        noted.scheduler.start()

    return pass_over


class TestCatchUpSpread:
    """Overdue work is spread over a span, by priority."""

    @pytest.fixture
    def noted(self) -> Noted:
        noted = Noted(catch_up_spread=timedelta(seconds=60))
        noted.scheduler.start()
        return noted

    @pytest.fixture(params=["start", "suspend", "set"])
    def late(self, request: pytest.FixtureRequest, noted: Noted) -> Callable[[float], None]:
        """Makes late what is due within so many seconds."""
        if request.param == "set":
            return noted.clock.shift_wall
        return noted.clock.suspend if request.param == "suspend" else stopped(noted)

    def test_by_priority_over_the_span(self, noted: Noted, late: Callable[[float], None]) -> None:
        for second, priority in ((10, 9), (20, 0), (30, 5), (40, 0), (50, 255), (60, 128)):
            moment = START + timedelta(seconds=second)
            noted.schedule(str(second), run_at=moment, priority=priority)
        late(100)
        assert noted.scheduler.statistics().deferred == 6
        noted.clock.advance(60)
        assert [(name, ran - 100) for name, _, ran, _ in noted.runs] == [
            ("20", 0),
            ("40", 10),
            ("30", 20),
            ("10", 30),
            ("60", 40),
            ("50", 50),
        ]
        assert [name for name, due, _, _ in noted.runs if due != float(name)] == []

    def test_what_is_on_time_is_not_held_up(
        self, noted: Noted, late: Callable[[float], None]
    ) -> None:
        for number in range(60):
            noted.schedule("late", run_at=START + timedelta(seconds=number), priority=0)
        late(1000)
        axis = noted.clock.native.axis_ns()
        noted.schedule("on time", delay=30.25, priority=255)
        noted.schedule("at once", priority=255)
        noted.clock.advance(60)
        (ran,) = [ran for name, _, ran, _ in noted.runs if name == "on time"]
        assert ran == 1030.25
        (ran,) = [ran for name, _, ran, _ in noted.runs if name == "at once"]
        assert ran == 1000
        assert noted.clock.native.axis_ns() == axis + 60 * 10**9
        assert len(noted.runs) == 62

    def test_nothing_is_lost_of_many(self, noted: Noted, late: Callable[[float], None]) -> None:
        count = 3000
        moments = [START.timestamp() + number / 100 for number in range(count)]
        noted.scheduler.schedule_many("t", noted.note, run_ats=moments)
        late(100)
        noted.clock.advance(59.9)
        at = [ran - 100 for *_, ran, _ in noted.runs]
        assert at == sorted(at)
        # Evenly: in each second the same number.
        assert [sum(second <= one < second + 1 for one in at) for second in range(59)] == [50] * 59
        noted.clock.advance(1)
        assert sorted(round(due * 100) for _, due, _, _ in noted.runs) == list(range(count))

    def test_recurring_tasks_once_with_what_they_missed(self, noted: Noted) -> None:
        for number in range(6):
            noted.schedule(str(number), interval=600, first_run="after_interval")
        noted.clock.suspend(3000)
        noted.clock.advance(60)
        assert [(name, due, missed) for name, due, _, missed in noted.runs] == [
            (str(number), 3000, 4) for number in range(6)
        ]
        assert [ran for *_, ran, _ in noted.runs] == [3000 + 10 * number for number in range(6)]
        noted.clock.advance(540)
        assert [due for _, due, _, _ in noted.runs[6:]] == [3600] * 6

    def test_not_what_is_due_later(self, noted: Noted, late: Callable[[float], None]) -> None:
        noted.schedule("late", run_at=START + timedelta(seconds=5))
        noted.schedule("later", run_at=START + timedelta(seconds=101))
        late(100)
        assert noted.scheduler.statistics().deferred == 1
        noted.clock.advance(10)
        assert noted.runs == [("late", 5, 100, 0), ("later", 101, 101, 0)]

    def test_a_deferred_one_can_be_cancelled_paused_or_run_now(self, noted: Noted) -> None:
        ids = [noted.schedule(str(number), delay=number) for number in range(1, 7)]
        noted.clock.suspend(100)
        assert [name for name, *_ in noted.runs] == ["1"]
        assert noted.scheduler.cancel_task(ids[5])
        assert noted.scheduler.pause_task(ids[4])
        assert noted.scheduler.run_now(ids[3])
        noted.clock.advance(0)
        # By hand, and then its own run, which is not put off any more.
        assert [name for name, *_ in noted.runs] == ["1", "4", "4"]
        noted.clock.advance(60)
        assert [name for name, *_ in noted.runs] == ["1", "4", "4", "2", "3"]
        noted.scheduler.resume_task(ids[4])
        noted.clock.advance(0)
        assert noted.runs[-1][:2] == ("5", 5)

    def test_again_while_it_is_being_spread(self, noted: Noted) -> None:
        for number in range(60):
            noted.schedule(str(number), delay=1)
        noted.clock.suspend(100)
        noted.clock.advance(29.5)
        assert len(noted.runs) == 30
        noted.clock.suspend(1000)
        noted.clock.advance(60)
        assert sorted(int(name) for name, *_ in noted.runs) == list(range(60))
        assert {due for _, due, _, _ in noted.runs} == {1}

    def test_the_order_of_equals_is_kept(self, noted: Noted) -> None:
        for number in range(20):
            noted.schedule(str(number), delay=1)
        stopped(noted)(10)
        noted.clock.advance(60)
        assert [name for name, *_ in noted.runs] == [str(number) for number in range(20)]

    def test_none_is_missed_for_having_been_put_off(self, noted: Noted) -> None:
        for number in range(60):
            noted.schedule(str(number), delay=1, grace=29)
        gone = noted.schedule("gone", delay=1, grace=8)
        noted.clock.suspend(10)
        noted.clock.advance(60)
        assert [name for name, *_ in noted.runs if name != "gone"] != []
        assert sorted(int(name) for name, *_ in noted.runs) == list(range(60))
        assert noted.scheduler.tasks[gone].status == "missed"
        # Put off by half of what was left of their grace, at the most.
        assert max(ran for *_, ran, _ in noted.runs) == pytest.approx(20, abs=1)

    def test_nothing_late_is_nothing_spread(self, noted: Noted) -> None:
        noted.schedule(delay=5)
        noted.clock.suspend(1)
        noted.scheduler.stop()
        noted.scheduler.start()
        assert noted.scheduler.statistics().deferred == 0
        noted.clock.advance(5)
        assert noted.runs == [("t", 5, 5, 0)]

    @pytest.mark.parametrize("spread", [None, 0, 0.0, timedelta()])
    def test_without_one_all_runs_at_once(self, spread: Any) -> None:
        noted = Noted(catch_up_spread=spread)
        for number in range(50):
            noted.schedule(str(number), delay=number)
        noted.clock.advance(100)
        noted.scheduler.start()
        noted.clock.advance(0)
        assert len(noted.runs) == 50
        assert noted.scheduler.statistics().deferred == 0

"""What happens when somebody sets the wall clock, or closes the machine's lid.

Delays and intervals are on an axis that neither stops nor steps; `run_at` and calendars are on the
wall, which shows the axis and an offset that may be set at any time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus.eventbus import EventBus
from num_agents.scheduler import (
    CalendarInterval,
    Exclusions,
    Scheduler,
    TaskSchedule,
    current_run,
)
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.eventbus.eventbus import Event

START = datetime(2025, 1, 1, tzinfo=UTC)
HOUR, DAY = 3600.0, 86_400.0
TEN_YEARS = 3652 * DAY


class World:
    """A scheduler, its clock, and a list of what ran."""

    def __init__(self, **options: Any) -> None:
        self.clock = VirtualClock(START, timezone="UTC")
        self.events: list[Event] = []
        bus = EventBus()
        bus.subscribe("scheduler.clock_changed", self.events.append)
        self.scheduler = Scheduler(clock=self.clock, event_bus=bus, **options)
        self.scheduler.start()
        #: Of each run its name, the second on the wall that it was due at, that on the axis at
        #: which it ran, and how many it says are missed.
        self.runs: list[tuple[str, float, float, int]] = []

    def axis(self) -> float:
        """Seconds that have passed."""
        return self.clock.native.axis_ns() / 1e9 - START.timestamp()

    def note(self) -> None:
        run = current_run()
        assert run is not None
        due = (run.nominal_time - START).total_seconds()
        self.runs.append((run.task_name, due, self.axis(), run.missed))

    def schedule(self, name: str = "t", **options: Any) -> str:
        return self.scheduler.schedule(name, self.note, **options)

    def at(self, second: float, name: str = "t", **options: Any) -> str:
        return self.schedule(name, run_at=START + timedelta(seconds=second), **options)

    def ran(self) -> list[Any]:
        """Of each run when it was due on the wall, and when it ran on the axis."""
        return [(due, ran) for _, due, ran, _ in self.runs]

    def next_run(self, task_id: str) -> float | None:
        moment = self.scheduler.tasks[task_id].next_run
        return None if moment is None else (moment - START).total_seconds()


@pytest.fixture
def world() -> World:
    return World()


class TestTheWall:
    """What a change does to the clock itself."""

    def test_shows_another_time_and_none_passes(self, world: World) -> None:
        world.clock.set_wall("2030-05-01T12:00:00")
        assert world.clock.now() == world.scheduler.now() == datetime(2030, 5, 1, 12, tzinfo=UTC)
        assert world.axis() == 0
        world.clock.shift_wall(timedelta(hours=-12))
        assert world.scheduler.now() == datetime(2030, 5, 1, tzinfo=UTC)
        world.clock.advance(5)
        assert world.scheduler.now() == datetime(2030, 5, 1, 0, 0, 5, tzinfo=UTC)
        assert world.axis() == 5
        world.clock.advance_to("2030-05-01T00:01:00")
        assert world.axis() == 60

    def test_cannot_be_moved_back_but_set(self, world: World) -> None:
        world.clock.shift_wall(-60)
        world.clock.advance_to(START)
        assert world.axis() == 60
        with pytest.raises(ValueError, match=r"^moment must not lie before"):
            world.clock.advance_to(START - timedelta(seconds=1))

    def test_a_scheduler_made_after_it_is_on_the_new_wall(self, world: World) -> None:
        world.clock.shift_wall(HOUR)
        with Scheduler(clock=world.clock) as other:
            delayed = other.schedule("t", world.note, delay=5)
            at = other.schedule("t", world.note, run_at=START + timedelta(hours=1, seconds=7))
            world.clock.advance(10)
            assert world.ran() == [(HOUR + 5, 5), (HOUR + 7, 7)]
            assert {other.tasks[one].status for one in (delayed, at)} == {"completed"}
            assert other.statistics().rekeyed == 0


class TestFollowing:
    """Whose deadlines follow the wall, and whose do not."""

    def test_delays_do_not_notice(self, world: World) -> None:
        task_id = world.schedule(delay=100)
        many = world.scheduler.schedule_many("t", world.note, delays=[50, 150])
        for shift in (HOUR, -DAY, 30 * DAY, -17.25):
            world.clock.shift_wall(shift)
        assert world.runs == []
        # Shown is what the wall will show.
        assert world.next_run(task_id) == 100 + HOUR + 29 * DAY - 17.25
        world.clock.advance(200)
        assert [ran for _, ran in world.ran()] == [50, 100, 150]
        assert world.scheduler.tasks[many[0]].status == "completed"
        assert world.scheduler.statistics().missed == 0

    @pytest.mark.parametrize("fixed_delay", [False, True])
    @pytest.mark.parametrize("shift", [HOUR + 3, -DAY - 3])
    def test_nor_do_intervals(self, world: World, shift: float, fixed_delay: bool) -> None:  # noqa: FBT001
        world.schedule(interval=10, fixed_delay=fixed_delay)
        world.clock.advance(15)
        world.clock.shift_wall(shift)
        world.clock.advance(20)
        assert world.ran() == [(0, 0), (10, 10), (20 + shift, 20), (30 + shift, 30)]
        assert [missed for *_, missed in world.runs] == [0] * 4

    def test_nor_does_the_end_of_an_interval(self, world: World) -> None:
        world.schedule(interval=10, end_after=START + timedelta(seconds=25))
        world.clock.advance(5)
        world.clock.shift_wall(HOUR)
        world.clock.advance(HOUR)
        assert [ran for _, ran in world.ran()] == [0, 10, 20]

    @pytest.mark.parametrize(
        ("shift", "ran"),
        [(40, 60), (-40, 140), (100, 0), (99.999999999, 1e-9), (DAY, 0), (-DAY, DAY + 100)],
    )
    def test_a_moment_follows(self, world: World, shift: float, ran: float) -> None:
        task_id = world.at(100)
        world.clock.shift_wall(shift)
        if world.runs == []:
            assert world.next_run(task_id) == 100
        world.clock.run_until_idle(2 * DAY)
        assert world.ran() == [(100, pytest.approx(ran, abs=1e-7))]
        outcome = world.scheduler.wait_for_task(task_id)
        assert outcome.nominal_time == START + timedelta(seconds=100)
        assert outcome.started_at == START + timedelta(seconds=max(100.0, shift))
        assert outcome.lateness == max(shift - 100, 0)

    def test_many_moments_follow(self, world: World) -> None:
        moments = [START + timedelta(seconds=second) for second in (300, 100, 200)]
        world.scheduler.schedule_many("t", world.note, run_ats=moments)
        world.scheduler.schedule_many("t", world.note, run_ats=[START.timestamp() + 400])
        world.clock.shift_wall(150)
        assert world.ran() == [(100, 0)]
        world.clock.advance(1000)
        assert world.ran() == [(100, 0), (200, 50), (300, 150), (400, 250)]
        assert world.scheduler.statistics().rekeyed == 4

    @pytest.mark.parametrize(
        "schedule",
        [
            {"cron_expression": "*/10 * * * *"},
            {"cron_expression": "0 */10 * * * *"},
            {"any_of": [TaskSchedule(cron_expression="0,20,40 * * * *"),
                        TaskSchedule(cron_expression="10,30,50 * * * *")]},
            {"any_of": [TaskSchedule(interval=600, first_run="aligned")]},
            {"rrule": "FREQ=MINUTELY;INTERVAL=10", "start_after": START + timedelta(minutes=10)},
        ],
        ids=["cron", "seconds", "union", "grid", "rrule"],
    )  # fmt: skip
    def test_calendars_follow(self, world: World, schedule: dict[str, Any]) -> None:
        world.schedule(**schedule)
        world.clock.advance(700)
        world.clock.shift_wall(250)
        world.clock.advance(700)
        world.clock.shift_wall(-250)
        world.clock.advance(1000)
        assert world.ran() == [(600, 600), (1200, 950), (1800, 1800), (2400, 2400)]
        assert world.scheduler.statistics().missed == 0

    def test_a_calendar_interval_follows(self, world: World) -> None:
        world.schedule(calendar_interval=CalendarInterval(days=2, at="09:00"))
        world.clock.shift_wall(8 * HOUR)
        world.clock.advance(HOUR)
        world.clock.shift_wall(-DAY)
        world.clock.advance(2 * DAY)
        world.clock.advance(2 * DAY)
        # A day back: all is armed again from the new time.
        days = [9 * HOUR, 9 * HOUR, 2 * DAY + 9 * HOUR]
        assert world.ran() == [(days[0], HOUR), (days[1], HOUR + DAY), (days[2], HOUR + 3 * DAY)]

    def test_daylight_saving_is_no_change_of_the_clock(self) -> None:
        world = World(timezone="Europe/Berlin")
        world.clock.advance_to("2025-03-30T00:00:00+01:00")
        world.schedule(cron_expression="0 * * * *")
        world.clock.advance(4 * HOUR)
        assert len(world.runs) == 4
        assert world.scheduler.statistics().clock_changes == 0


class TestWhen:
    """A change at any point of a scheduler's and of a task's life."""

    def test_several_at_once_count_together(self, world: World) -> None:
        world.at(100)
        world.schedule("cron", cron_expression="*/2 * * * *")
        for shift in (50, -120, 30, 60, -10):
            world.clock.shift_wall(shift)
        # At the second shift the wall showed -70, and the cron job went on from there.
        assert world.ran() == [(0, 0)]
        world.clock.advance(150)
        assert world.ran() == [(0, 0), (100, 90), (120, 110)]
        assert world.scheduler.statistics().clock_changes == 5

    def test_while_stopped(self, world: World) -> None:
        world.at(100)
        world.schedule("delay", delay=200)
        world.scheduler.stop()
        world.clock.shift_wall(HOUR)
        world.clock.advance(10)
        assert world.runs == []
        assert len(world.events) == 1
        world.scheduler.start()
        world.clock.advance(0)
        assert world.ran() == [(100, 10)]
        world.clock.advance(300)
        assert world.ran() == [(100, 10), (HOUR + 200, 200)]

    def test_while_paused(self, world: World) -> None:
        ahead, passed = world.at(HOUR, "ahead"), world.at(100, "passed")
        cron = world.schedule("cron", cron_expression="*/10 * * * *")
        delayed = world.schedule("delay", delay=50)
        for task_id in (ahead, passed, cron, delayed):
            assert world.scheduler.pause_task(task_id)
        world.clock.shift_wall(1800)
        world.clock.advance(30)
        assert world.runs == []
        assert world.next_run(ahead) == HOUR
        assert world.next_run(passed) == 100
        for task_id in (ahead, passed, cron, delayed):
            assert world.scheduler.resume_task(task_id)
        world.clock.advance(0)
        assert world.runs == [("passed", 100, 30, 0), ("cron", 1800, 30, 2)]
        world.clock.advance(30)
        assert world.runs[2:] == [("delay", 1850, 50, 0)]
        world.clock.advance(1800)
        assert ("ahead", HOUR, 1800, 0) in world.runs
        assert world.scheduler.statistics().paused == 0

    @pytest.mark.parametrize("shift", [1800.0, -1800.0])
    def test_paused_through_two_changes(self, world: World, shift: float) -> None:
        task_id = world.at(HOUR)
        world.scheduler.pause_task(task_id)
        world.clock.shift_wall(shift)
        world.clock.shift_wall(shift / 2)
        world.scheduler.resume_task(task_id)
        assert world.next_run(task_id) == HOUR
        world.clock.run_until_idle()
        assert world.ran() == [(HOUR, HOUR - 1.5 * shift)]

    def test_in_the_order_of_the_new_deadlines(self, world: World) -> None:
        world.schedule("delay 30", delay=30)
        world.at(100, "at 100")
        world.at(100, "urgent", priority=0)
        world.at(90, "at 90")
        world.clock.shift_wall(80)
        world.clock.advance(60)
        assert [name for name, *_ in world.runs] == ["at 90", "urgent", "at 100", "delay 30"]

    def test_what_becomes_due_at_once_goes_by_priority_then_time(self, world: World) -> None:
        for second in (30, 10, 20):
            world.at(second, str(second))
        world.at(40, "urgent", priority=0)
        world.clock.shift_wall(HOUR)
        assert [name for name, *_ in world.runs] == ["urgent", "10", "20", "30"]

    def test_one_that_is_cancelled_does_not_come_back(self, world: World) -> None:
        task_id = world.at(100)
        world.scheduler.cancel_task(task_id)
        world.clock.shift_wall(HOUR)
        world.clock.advance(HOUR)
        assert world.runs == []
        assert world.scheduler.statistics().rekeyed == 0

    def test_run_now_and_the_schedule_stays_on_the_wall(self, world: World) -> None:
        task_id = world.at(100)
        world.scheduler.run_now(task_id)
        world.clock.shift_wall(40)
        assert world.ran() == [(0, 0)]
        world.clock.advance(100)
        assert world.ran() == [(0, 0), (100, 60)]

    def test_of_many_thousands(self, world: World) -> None:
        count = 5000
        moments = [START.timestamp() + 100 + number for number in range(count)]
        ids = world.scheduler.schedule_many("t", world.note, run_ats=moments)
        world.scheduler.cancel_many(ids[::2])
        world.clock.shift_wall(-HOUR)
        world.clock.shift_wall(HOUR + 50)
        world.clock.run_until_idle()
        assert world.ran() == [(100 + number, 50 + number) for number in range(1, count, 2)]
        assert world.scheduler.statistics().rekeyed == count


class TestInsideACallback:
    def shifting(self, world: World, shift: float) -> Callable[[], None]:
        def callback() -> None:
            world.note()
            world.clock.shift_wall(shift)

        return callback

    def test_of_a_one_shot(self, world: World) -> None:
        task_id = world.scheduler.schedule("t", self.shifting(world, 90), delay=10)
        world.at(100, "at")
        world.schedule("delay", delay=20)
        world.clock.advance(30)
        assert [(name, ran) for name, _, ran, _ in world.runs] == [
            ("t", 10),
            ("at", 10),
            ("delay", 20),
        ]
        # A delay's moments are shown as the wall was when it ended: all by the same clock.
        outcome = world.scheduler.wait_for_task(task_id)
        assert outcome.nominal_time == outcome.started_at == outcome.ended_at
        assert (outcome.ended_at, outcome.lateness) == (START + timedelta(seconds=100), 0)

    def test_of_a_moment(self, world: World) -> None:
        moment = START + timedelta(seconds=100)
        task_id = world.scheduler.schedule("t", self.shifting(world, -90), run_at=moment)
        world.clock.advance(HOUR)
        assert world.ran() == [(100, 100)]
        assert world.scheduler.wait_for_task(task_id).nominal_time == moment

    def test_back_lets_it_go_on(self, world: World) -> None:
        world.scheduler.schedule("t", self.shifting(world, -120), cron_expression="* * * * *")
        world.clock.advance(300)
        assert world.ran() == [(60, 60), (0, 120), (-60, 180), (-120, 240), (-180, 300)]

    def test_back_repeats_no_fixed_time(self, world: World) -> None:
        world.scheduler.schedule("t", self.shifting(world, -HOUR), cron_expression="30 1 * * *")
        world.clock.advance(2 * DAY)
        assert world.ran() == [(1.5 * HOUR, 1.5 * HOUR), (DAY + 1.5 * HOUR, DAY + 2.5 * HOUR)]

    @pytest.mark.parametrize(
        ("misfire", "runs", "skipped"),
        [
            # What falls due while it runs is skipped, be it by a jump; never silently.
            ("latest", [60, 240, 300, 360, 420, 480, 540, 600], 2),
            ("all", [60, 120, 180, 240, 300, 360, 420, 480, 540, 600], 0),
        ],
    )
    def test_forward_loses_nothing_silently(
        self, world: World, misfire: Any, runs: list[float], skipped: int
    ) -> None:
        times = iter([150.0])

        def callback() -> None:
            world.note()
            world.clock.shift_wall(next(times, 0))

        world.scheduler.schedule("t", callback, cron_expression="* * * * *", misfire=misfire)
        world.clock.advance(600 - 150)
        assert [due for due, _ in world.ran()] == runs
        statistics = world.scheduler.statistics()
        assert (statistics.skipped, statistics.missed) == (skipped, 0)

    def test_of_a_paused_schedulers_own(self, world: World) -> None:
        """It stops the scheduler, sets the wall, and starts it again."""

        def callback() -> None:
            world.scheduler.stop("now")
            world.clock.shift_wall(HOUR)
            world.scheduler.start()

        world.scheduler.schedule("t", callback, delay=1)
        world.at(1800, "at")
        world.clock.advance(2)
        assert world.runs == [("at", 1800, 1, 0)]


class TestBackward:
    """Vixie's rule: less than three hours repeat nothing that has a fixed time, and what follows
    real time goes on; three hours or more arm everything again from the new time."""

    @pytest.mark.parametrize(
        "back", [0.000001, 1, 59, 60, 61, HOUR, 3 * HOUR - 0.5, 3 * HOUR, 40 * DAY, 365 * DAY]
    )
    @pytest.mark.parametrize("misfire", ["latest", "earliest", "all", "skip"])
    @pytest.mark.parametrize(
        "schedule",
        [
            {"cron_expression": "* * * * *"},
            {"cron_expression": "@every 1m"},
            {"any_of": [TaskSchedule(interval=60, start_after=START - timedelta(days=400))]},
        ],
        ids=["cron", "every", "grid"],
    )
    def test_what_follows_real_time_goes_on(
        self, world: World, schedule: dict[str, Any], back: float, misfire: Any
    ) -> None:
        world.schedule(**schedule, misfire=misfire)
        world.clock.advance(300)
        world.clock.shift_wall(-back)
        world.clock.advance(600)
        times = [ran for _, ran in world.ran()]
        between = [later - sooner for sooner, later in pairwise(times)]
        assert 30 <= min(between) <= max(between) <= 90
        assert 14 <= len(times) <= 16
        assert world.scheduler.statistics().missed == 0

    def test_small_corrections_repeat_nothing(self, world: World) -> None:
        world.schedule(cron_expression="* * * * *")
        for _ in range(10):
            world.clock.advance(60)
            world.clock.shift_wall(-0.25)
        assert [due for due, _ in world.ran()] == [60 * k for k in range(1, 10)]

    @pytest.mark.parametrize("back", [1, 600, 2 * HOUR, 3 * HOUR - 1])
    @pytest.mark.parametrize(
        "schedule",
        [
            {"cron_expression": "30 1 * * *"},
            {"calendar_interval": CalendarInterval(days=1, at="01:30")},
            {"rrule": "FREQ=DAILY;BYHOUR=1;BYMINUTE=30;BYSECOND=0", "start_after": START},
        ],
        ids=["cron", "interval", "rrule"],
    )
    def test_a_small_step_repeats_no_fixed_time(
        self, world: World, schedule: dict[str, Any], back: float
    ) -> None:
        world.schedule(**schedule)
        world.clock.advance(2 * HOUR)
        world.clock.shift_wall(-back)
        world.clock.advance(2 * DAY + back)
        assert [due for due, _ in world.ran()] == [k * DAY + 1.5 * HOUR for k in range(3)]

    @pytest.mark.parametrize(("back", "due"), [(3 * HOUR, 0), (40 * DAY, -40 * DAY)])
    def test_a_large_step_arms_all_from_the_new_time(
        self, world: World, back: float, due: float
    ) -> None:
        daily = world.schedule(cron_expression="30 1 * * *")
        moment = world.at(DAY)
        world.clock.advance(2 * HOUR)
        world.clock.shift_wall(-back)
        assert world.next_run(daily) == due + 1.5 * HOUR + (DAY if due else 0)
        assert world.next_run(moment) == DAY

    @pytest.mark.parametrize("state", ["waits", "runs", "paused", "moved"])
    @pytest.mark.parametrize(
        "rrule",
        [
            "DTSTART:20200101T000000\nRRULE:FREQ=DAILY;BYHOUR=9;BYMINUTE=30",
            "DTSTART:20200101T093000\nRRULE:FREQ=DAILY;UNTIL=20271231T000000",
            "FREQ=DAILY;BYHOUR=9;BYMINUTE=30;BYSECOND=0",
        ],
        ids=["for ever", "until", "without a start"],
    )
    def test_an_rrule_goes_on_after_a_year_ahead_is_put_right(
        self, world: World, rrule: str, state: str
    ) -> None:
        world.clock.shift_wall(365 * DAY)

        def callback() -> None:
            world.note()
            if state == "runs" and len(world.runs) == 3:
                # In a run what comes next is found when it ends.
                world.clock.shift_wall(-365 * DAY)

        task_id = world.scheduler.schedule("t", callback, rrule=rrule)
        world.clock.advance(2.5 * DAY)
        if state == "runs":
            world.clock.advance(DAY / 2)
        else:
            if state == "paused":
                world.scheduler.pause_task(task_id)
            if state == "moved":
                moment = START + timedelta(days=380)
                assert world.scheduler.reschedule_task(task_id, run_at=moment)
            world.clock.shift_wall(-365 * DAY)
        if state == "paused":
            world.scheduler.resume_task(task_id)
        if state == "moved":
            assert world.next_run(task_id) == 380 * DAY
            return
        before = len(world.runs)
        world.clock.advance(600 * DAY)
        due = [due / DAY for _, due, _, _ in world.runs[before:]]
        assert [round(24 * one, 6) for one in due] == [24 * k + 9.5 for k in range(3, 603)]

    @pytest.mark.parametrize(
        "words",
        [
            {"calendar_interval": CalendarInterval(days=1, at="09:30")},
            {
                "calendar_interval": CalendarInterval(days=1, at="09:30"),
                "exclude": Exclusions(hours=[3]),
            },
            {"any_of": [TaskSchedule(calendar_interval=CalendarInterval(days=1, at="09:30"))]},
            {"any_of": [TaskSchedule(cron_expression="@every 24h"), TaskSchedule(run_at=START)]},
        ],
    )
    def test_what_is_anchored_by_scheduling_goes_on_after_a_year_ahead_is_put_right(
        self, world: World, words: dict[str, Any]
    ) -> None:
        world.clock.shift_wall(365 * DAY)
        world.schedule(**words)
        world.clock.advance(2.5 * DAY)
        world.clock.shift_wall(-365 * DAY)
        before = len(world.runs)
        world.clock.advance(600 * DAY)
        due = [due for _, due, _, _ in world.runs[before:]]
        assert len(due) == 600
        assert {after - one for one, after in pairwise(due)} == {DAY}

    def test_none_comes_before_its_start(self, world: World) -> None:
        start = START + timedelta(hours=1)
        world.schedule(cron_expression="* * * * *", start_after=start)
        world.clock.advance(2 * HOUR)
        world.runs.clear()
        world.clock.shift_wall(-DAY)
        world.clock.advance(DAY - HOUR)
        assert world.ran() == [(HOUR, DAY + HOUR)]

    def test_a_paused_one_follows(self, world: World) -> None:
        task_id = world.schedule(cron_expression="0 * * * *")
        world.clock.advance(90 * 60)
        world.scheduler.pause_task(task_id)
        world.clock.shift_wall(-365 * DAY)
        world.scheduler.resume_task(task_id)
        assert world.next_run(task_id) == 2 * HOUR - 365 * DAY

    def test_after_a_stop(self, world: World) -> None:
        world.schedule(cron_expression="* * * * *")
        world.clock.advance(120)
        world.scheduler.stop()
        world.clock.shift_wall(-100)
        world.scheduler.start()
        world.clock.advance(200)
        assert world.ran() == [(60, 60), (120, 120), (60, 160), (120, 220), (180, 280)]

    def test_a_new_schedule_sees_the_wall_as_it_is(self, world: World) -> None:
        world.clock.advance(300)
        world.clock.shift_wall(-300)
        world.schedule(cron_expression="* * * * *")
        world.clock.advance(60)
        assert world.ran() == [(60, 360)]


class TestForward:
    """Occurrences inside a forward jump are late work."""

    @pytest.mark.parametrize(
        ("options", "runs"),
        [
            ({}, [(240, 3), (300, 0)]),
            ({"misfire": "earliest"}, [(60, 3), (300, 0)]),
            ({"misfire": "all"}, [(60, 0), (120, 0), (180, 0), (240, 0), (300, 0)]),
            ({"misfire": "all", "catch_up_limit": 2}, [(180, 2), (240, 0), (300, 0)]),
            ({"misfire": "skip"}, [(300, 4)]),
            ({"grace": 10}, [(240, 3), (300, 0)]),
            ({"grace": 9.999}, [(300, 4)]),
            ({"grace": 75, "misfire": "earliest"}, [(180, 3), (300, 0)]),
            ({"grace": 75, "misfire": "all"}, [(180, 2), (240, 0), (300, 0)]),
            ({"max_runs": 1}, [(240, 3)]),
            ({"end_after": START + timedelta(seconds=200)}, [(180, 2)]),
        ],
    )
    @pytest.mark.parametrize(
        "schedule",
        [
            {"cron_expression": "* * * * *"},
            {"any_of": [TaskSchedule(interval=60, first_run="aligned")]},
            {"rrule": "FREQ=MINUTELY", "start_after": START + timedelta(minutes=1)},
        ],
        ids=["cron", "grid", "rrule"],
    )
    def test_the_words_for_late_work(
        self,
        world: World,
        schedule: dict[str, Any],
        options: dict[str, Any],
        runs: list[tuple[float, int]],
    ) -> None:
        if schedule.get("any_of"):
            schedule = {**schedule, "start_after": START + timedelta(seconds=1)}
        task_id = world.schedule(**schedule, **options)
        world.clock.shift_wall(250)
        world.clock.advance(100 - 50)
        assert [(due, missed) for _, due, _, missed in world.runs] == runs
        missed = sum(missed for _, missed in runs)
        assert world.scheduler.statistics().missed == missed
        if world.scheduler.tasks[task_id].status == "pending":
            assert world.scheduler.tasks[task_id].to_dict()["missed"] == missed

    def test_calendar_intervals(self, world: World) -> None:
        anchor = "2025-01-31"
        every = CalendarInterval(months=1, at="12:00", anchor=anchor)
        world.schedule(calendar_interval=every)
        world.clock.set_wall("2025-06-15T00:00:00")
        (run,) = world.runs
        assert START + timedelta(seconds=run[1]) == datetime(2025, 5, 31, 12, tzinfo=UTC)
        assert run[2:] == (0, 4)

    def test_a_one_shot_always_runs_however_late(self, world: World) -> None:
        task_id = world.at(100)
        world.clock.shift_wall(TEN_YEARS)
        assert world.ran() == [(100, 0)]
        assert world.scheduler.wait_for_task(task_id).lateness == TEN_YEARS - 100

    def test_unless_it_has_a_grace(self, world: World) -> None:
        late, on_time = world.at(100, grace=60), world.at(200, grace=60)
        world.clock.shift_wall(200)
        assert world.ran() == [(200, 0)]
        assert world.scheduler.tasks[late].status == "missed"
        assert world.scheduler.tasks[on_time].status == "completed"

    @pytest.mark.parametrize(
        ("expression", "missed"),
        [("* * * * * *", int(TEN_YEARS) - 1), ("* * * * *", int(TEN_YEARS) // 60 - 1)],
    )
    def test_over_ten_years(self, world: World, expression: str, missed: int) -> None:
        task_id = world.schedule(cron_expression=expression)
        world.clock.advance(90)
        world.runs.clear()
        before = world.scheduler.statistics()
        world.clock.shift_wall(TEN_YEARS)
        ((_, due, ran, said),) = world.runs
        assert (due, ran, said) == (TEN_YEARS + 90 if missed > 1e8 else TEN_YEARS + 60, 90, missed)
        after = world.scheduler.statistics()
        assert after.missed - before.missed == missed
        assert after.memory_bytes == before.memory_bytes
        assert world.scheduler.tasks[task_id].status == "pending"

    def test_and_back_again(self, world: World) -> None:
        """What has a fixed time and was run for the future is not run again when that comes."""
        world.schedule("fixed", cron_expression="30 0 * * *")
        world.schedule("each", cron_expression="* * * * *")
        world.clock.shift_wall(HOUR)
        world.clock.shift_wall(-HOUR)
        world.clock.advance(HOUR + 60)
        assert [due for name, due, *_ in world.runs if name == "fixed"] == [HOUR / 2]
        assert [due for name, due, *_ in world.runs if name == "each"] == [
            HOUR,
            *(60 * k for k in range(1, 62)),
        ]


class TestReschedule:
    def test_to_a_moment_it_follows_from_then_on(self, world: World) -> None:
        task_id = world.schedule(delay=10)
        world.scheduler.reschedule_task(task_id, run_at=START + timedelta(seconds=100))
        world.clock.shift_wall(40)
        world.clock.advance(100)
        assert world.ran() == [(100, 60)]

    def test_to_a_delay_it_does_not(self, world: World) -> None:
        task_id = world.at(50)
        world.scheduler.reschedule_task(task_id, delay=100)
        world.clock.shift_wall(40)
        world.clock.advance(200)
        assert world.ran() == [(140, 100)]

    def test_after_a_change(self, world: World) -> None:
        task_id = world.at(500)
        world.clock.shift_wall(-100)
        world.scheduler.reschedule_task(task_id, delay=100)
        assert world.next_run(task_id) == 0
        world.scheduler.reschedule_task(task_id, run_at=START)
        world.clock.shift_wall(50)
        world.clock.advance(200)
        assert world.ran() == [(0, 50)]

    @pytest.mark.parametrize("by_moment", [False, True])
    def test_of_a_paused_one(self, world: World, by_moment: bool) -> None:  # noqa: FBT001
        task_id = world.at(50) if not by_moment else world.schedule(delay=50)
        world.scheduler.pause_task(task_id)
        if by_moment:
            world.scheduler.reschedule_task(task_id, run_at=START + timedelta(seconds=100))
        else:
            world.scheduler.reschedule_task(task_id, delay=100)
        world.clock.shift_wall(40)
        world.clock.shift_wall(20)
        world.scheduler.resume_task(task_id)
        world.clock.advance(200)
        assert world.ran() == ([(100, 40)] if by_moment else [(160, 100)])

    @pytest.mark.parametrize("by_moment", [False, True])
    def test_of_one_that_runs(self, world: World, by_moment: bool) -> None:  # noqa: FBT001
        options: dict[str, Any] = {"delay": 100}
        if by_moment:
            options = {"run_at": START + timedelta(seconds=100)}

        def callback() -> None:
            world.note()
            if len(world.runs) == 1:
                world.scheduler.reschedule_task(task_id, **options)
                world.clock.shift_wall(40)

        task_id = world.scheduler.schedule("t", callback)
        world.clock.advance(0)
        world.clock.advance(200)
        assert world.ran()[1:] == ([(100, 60)] if by_moment else [(140, 100)])

    def test_a_recurring_one_stays_on_its_clock(self, world: World) -> None:
        cron = world.schedule("cron", cron_expression="* * * * *")
        every = world.schedule("every", interval=60)
        world.clock.advance(0)
        world.scheduler.reschedule_task(cron, delay=90)
        world.scheduler.reschedule_task(every, run_at=START + timedelta(seconds=95))
        world.clock.shift_wall(30)
        world.clock.advance(155)
        assert world.runs[1:] == [
            ("cron", 90, 60, 0),
            ("cron", 120, 90, 0),
            ("every", 125, 95, 0),
            ("cron", 180, 150, 0),
            ("every", 185, 155, 0),
        ]


class TestSuspend:
    def test_time_passes_and_nothing_runs_meanwhile(self, world: World) -> None:
        world.schedule("delay", delay=10)
        world.at(20, "at")
        world.schedule("later", delay=100)
        world.clock.suspend(60)
        assert world.clock.now() == START + timedelta(seconds=60)
        assert world.runs == [("delay", 10, 60, 0), ("at", 20, 60, 0)]
        world.clock.advance(100)
        assert world.runs[2:] == [("later", 100, 100, 0)]

    @pytest.mark.parametrize(
        ("options", "runs"),
        [
            ({}, [(40, 4), (50, 0)]),
            ({"misfire": "earliest"}, [(0, 4), (50, 0)]),
            ({"misfire": "all", "catch_up_limit": 2}, [(30, 3), (40, 0), (50, 0)]),
            ({"misfire": "skip"}, [(50, 5)]),
            ({"grace": 5}, [(40, 4), (50, 0)]),
            ({"grace": 4.9}, [(50, 5)]),
        ],
    )
    def test_intervals_are_late_work(
        self, world: World, options: dict[str, Any], runs: list[tuple[float, int]]
    ) -> None:
        world.schedule(interval=10, **options)
        world.clock.suspend(45)
        world.clock.advance(5)
        assert [(due, missed) for _, due, _, missed in world.runs] == runs

    def test_over_ten_years(self, world: World) -> None:
        world.schedule(interval=1)
        world.clock.advance(0.5)
        world.runs.clear()
        before = world.scheduler.statistics().memory_bytes
        world.clock.suspend(TEN_YEARS)
        assert world.runs == [("t", TEN_YEARS, TEN_YEARS + 0.5, int(TEN_YEARS) - 1)]
        assert world.scheduler.statistics().memory_bytes == before
        world.clock.advance(0.5)
        assert world.runs[1:] == [("t", TEN_YEARS + 1, TEN_YEARS + 1, 0)]

    def test_an_rrule_that_is_computed_piece_by_piece(self, world: World) -> None:
        task_id = world.schedule(rrule="FREQ=HOURLY", start_after=START, timezone="UTC")
        world.clock.suspend(2000 * HOUR)
        world.clock.advance(HOUR)
        assert world.scheduler.tasks[task_id].status == "pending"
        assert world.runs[-1][1:3] == (2001 * HOUR, 2001 * HOUR)
        due = [due for due, _ in world.ran()]
        assert due == sorted(set(due))

    @pytest.mark.parametrize("options", [{"misfire": "skip"}, {"grace": 60}])
    def test_nor_does_one_end_when_all_that_was_known_is_missed(
        self, world: World, options: dict[str, Any]
    ) -> None:
        task_id = world.schedule(rrule="FREQ=HOURLY", start_after=START, **options)
        world.clock.suspend(2000.5 * HOUR)
        assert world.runs == []
        world.clock.advance(HOUR)
        assert world.scheduler.tasks[task_id].status == "pending"
        assert world.ran() == [(2001 * HOUR, 2001 * HOUR)]


class TestWhatIsSaid:
    def test_an_event_for_each_change(self, world: World) -> None:
        world.at(1e6)
        world.schedule(cron_expression="0 0 1 * *")
        world.schedule(delay=1e6)
        world.clock.shift_wall(90)
        world.clock.shift_wall(timedelta(hours=-2))
        world.clock.suspend(30)
        payloads = [event.payload for event in world.events]
        assert payloads == [
            {"offset": 90.0, "reason": "set", "step": "forward", "rekeyed": 2, "rearmed": 0},
            {"offset": -7200.0, "reason": "set", "step": "back", "rekeyed": 2, "rearmed": 0},
            {"offset": 30.0, "reason": "suspend", "step": "forward", "rekeyed": 0, "rearmed": 0},
        ]
        assert [event.timestamp for event in world.events] == [
            START + timedelta(seconds=90),
            START - timedelta(seconds=7110),
            START - timedelta(seconds=7080),
        ]

    @pytest.mark.parametrize(
        ("back", "step", "rearmed"),
        [
            (0.5, "back", 0),
            (3 * HOUR - 1, "back", 0),
            (3 * HOUR, "reset", 0),
            (400 * DAY, "reset", 2),
        ],
    )
    def test_the_event_says_which_step_and_how_many_begin_again(
        self, world: World, back: float, step: str, rearmed: int
    ) -> None:
        world.schedule(cron_expression="0 0 1 * *")
        world.schedule(rrule="FREQ=DAILY", start_after=START - timedelta(days=1000))
        world.schedule(cron_expression="0 0 1 2 *", start_after=START)
        world.clock.advance(12 * HOUR)
        world.clock.shift_wall(-back)
        payload = world.events[-1].payload
        assert (payload["step"], payload["rearmed"]) == (step, rearmed)

    def test_the_event_comes_before_the_runs_that_it_brings(self, world: World) -> None:
        seen: list[str] = []
        bus = EventBus()
        for event_type in ("scheduler.clock_changed", "scheduler.task_started"):
            bus.subscribe(event_type, lambda event: seen.append(event.event_type))
        with Scheduler(clock=world.clock, event_bus=bus) as scheduler:
            scheduler.schedule("t", print, run_at=START + timedelta(seconds=5), args=())
            world.clock.shift_wall(10)
        assert seen == ["scheduler.clock_changed", "scheduler.task_started"]

    def test_counted(self, world: World) -> None:
        world.at(1e6)
        world.at(2e6)
        world.schedule(delay=1e6)
        world.clock.shift_wall(1)
        statistics = world.scheduler.statistics()
        assert (statistics.clock_changes, statistics.rekeyed) == (1, 2)
        world.clock.shift_wall(-1)
        statistics = world.scheduler.statistics()
        assert (statistics.clock_changes, statistics.rekeyed) == (2, 4)

    def test_a_handler_that_schedules_sees_the_new_wall(self, world: World) -> None:
        seen: list[datetime] = []
        bus = EventBus()
        with Scheduler(clock=world.clock, event_bus=bus) as scheduler:
            bus.subscribe(
                "scheduler.clock_changed",
                lambda event: scheduler.schedule("t", lambda: seen.append(scheduler.now())),
            )
            world.clock.shift_wall(HOUR)
        assert seen == [START + timedelta(hours=1)]


class TestAtTheStart:
    """What happened to the clock while nobody watched it."""

    def test_is_told_under_no_lock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bus = EventBus()
        scheduler = Scheduler(event_bus=bus)
        looks = iter([[{"offset": 3600.0, "reason": "set"}]])
        monkeypatch.setattr(scheduler._engine.wall, "look", lambda: next(looks, []))
        told: list[bool] = []

        def stop_from_another_thread(event: Event) -> None:
            thread = Thread(target=scheduler.stop, daemon=True)
            thread.start()
            thread.join(10)
            told.append(thread.is_alive())

        bus.subscribe("scheduler.clock_changed", stop_from_another_thread)
        scheduler.start()
        assert told == [False]
        assert not scheduler.is_running

    def test_is_looked_for_once_more_when_it_is_watched(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bus = EventBus()
        offsets: list[float] = []
        bus.subscribe(
            "scheduler.clock_changed", lambda event: offsets.append(event.payload["offset"])
        )
        scheduler = Scheduler(event_bus=bus)
        looks = iter([[], [{"offset": 60.0, "reason": "set"}]])
        monkeypatch.setattr(scheduler._engine.wall, "look", lambda: next(looks, []))
        scheduler.start()
        scheduler.stop()
        assert offsets == [60.0]

"""What a schedule says of its times, by every road, beside what runs on a virtual clock."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from num_agents.scheduler import Scheduler, TaskSchedule
from num_agents.scheduler.calendar import CalendarInterval, Exclusions
from num_agents.scheduler.run import current_run
from num_agents.scheduler.testing import VirtualClock

pytestmark = pytest.mark.filterwarnings("ignore::num_agents.scheduler.ScheduleWarning")

MICROSECOND = timedelta(microseconds=1)
HORIZON = timedelta(days=6)
#: At most this many nominal times are compared.
COUNT = 40

ZONES = (
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Antarctica/Troll",
    "UTC",
)
#: Days before the clocks of one or several of the zones are set.
EVES = (
    datetime(2011, 12, 28, tzinfo=UTC),
    datetime(2018, 11, 2, tzinfo=UTC),
    datetime(2023, 3, 17, tzinfo=UTC),
    datetime(2025, 3, 7, tzinfo=UTC),
    datetime(2025, 3, 28, tzinfo=UTC),
    datetime(2025, 4, 4, tzinfo=UTC),
    datetime(2025, 10, 3, tzinfo=UTC),
    datetime(2025, 10, 24, tzinfo=UTC),
    datetime(2025, 11, 1, tzinfo=UTC),
)

zones = st.sampled_from(ZONES)
starts = st.builds(
    lambda eve, second, microsecond: eve + timedelta(seconds=second, microseconds=microsecond),
    st.sampled_from(EVES),
    st.sampled_from((0, 0, 3600, 86_400)) | st.integers(0, 2 * 86_400),
    st.sampled_from((0, 0, 1, 500_000, 999_999)),
)
#: From the moment of scheduling.
offsets = st.none() | st.builds(
    timedelta, seconds=st.sampled_from((0, -3600, 3600)) | st.integers(-400_000, 400_000)
)
intervals = st.integers(600, 200_000) | st.sampled_from((3600, 86_400, 1800.5, 7200.000001))
crons = st.sampled_from(
    (
        "30 2 * * *",
        "0 30 2 * * *",
        "*/10 0 2 * * *",
        "15 30 1,2,3 * * *",
        "0 0 * * *",
        "5 * * * *",
        "*/25 1-3 * * *",
        "0 */30 0-4 * * *",
        "7 0 2/5 * * *",
        "45 1 * * SAT-MON",
        "0 12 L * *",
        "59 23 31 12 *",
        "@hourly",
        "@every 90m",
    )
)
rrules = st.builds(
    lambda rule, by, limit: rule + by + limit,
    st.sampled_from(("FREQ=DAILY", "FREQ=WEEKLY;BYDAY=SA,SU,MO", "FREQ=HOURLY", "FREQ=MONTHLY")),
    st.sampled_from(("", ";INTERVAL=2", ";BYHOUR=1,2,3", ";BYHOUR=2;BYMINUTE=30;BYSECOND=0")),
    st.sampled_from(("", "", ";COUNT=3", ";COUNT=40", ";UNTIL=20260101", ";UNTIL=20260101T023000")),
)
calendar_intervals = st.builds(
    lambda unit, every, at, anchor: CalendarInterval(**{unit: every}, at=at, anchor=anchor),
    st.sampled_from(("days", "weeks", "months")),
    st.integers(1, 2),
    st.sampled_from(("02:30", "00:00", "02:15", "01:30:07")),
    st.none() | st.dates(date(2010, 1, 1), date(2025, 11, 1)),
)
exclusions = st.builds(
    Exclusions,
    weekdays=st.sets(st.sampled_from(("sun", "mon", "sat")), max_size=2),
    hours=st.sets(st.integers(0, 23), max_size=6),
)


@st.composite
def ways(draw: st.DrawFn, now: datetime, *, is_part: bool = False) -> dict[str, Any]:
    kinds = ["cron", "cron", "rrule", "calendar", "interval", "run_at"]
    kind = draw(st.sampled_from(kinds if is_part else [*kinds, "delay", "nothing"]))
    said: dict[str, Any] = {}
    offset = draw(offsets)
    if offset is not None:
        said["start_after"] = now + offset
    if kind == "cron":
        said |= {"cron_expression": draw(crons)}
    elif kind == "rrule":
        said |= {"rrule": draw(rrules)}
    elif kind == "calendar":
        said |= {"calendar_interval": draw(calendar_intervals)}
    elif kind == "interval":
        said |= {"interval": draw(intervals)}
        said["first_run"] = draw(st.sampled_from(("now", "after_interval", "aligned")))
        if not is_part:
            said["fixed_delay"] = draw(st.booleans())
        elif said["first_run"] != "aligned":
            said.setdefault("start_after", now)
    elif kind == "run_at":
        said |= {"run_at": now + (draw(offsets) or timedelta(hours=30))}
        said.pop("start_after", None)
    elif kind == "delay":
        said |= {"delay": draw(st.integers(0, 300_000))}
    said["dst"] = draw(st.sampled_from(("debian", "skip", "wall-clock")))
    return said


@st.composite
def schedules(draw: st.DrawFn, now: datetime) -> dict[str, Any]:
    if draw(st.integers(0, 3)) == 0:
        parts = draw(st.lists(ways(now, is_part=True), min_size=1, max_size=3))
        said: dict[str, Any] = {
            "any_of": [TaskSchedule(**one, timezone=draw(st.none() | zones)) for one in parts]
        }
    else:
        said = draw(ways(now))
    if draw(st.integers(0, 2)) == 0:
        said["exclude"] = draw(exclusions)
    if draw(st.integers(0, 2)) == 0:
        said["max_runs"] = draw(st.integers(1, 5))
    if said.get("fixed_delay"):
        # What delays a run delays those after it, too.
        return said
    if draw(st.integers(0, 3)) == 0:
        said["jitter"] = draw(st.integers(1, 90_000))
    if draw(st.integers(0, 5)) == 0:
        said["window"] = draw(st.integers(1, 90_000))
    return said


class Runs:
    """What happens with a task that is scheduled now."""

    def __init__(self, said: dict[str, Any], zone: str, now: datetime) -> None:
        self.clock = VirtualClock(now, timezone=zone)
        self.nominal: list[datetime] = []
        self.actual: list[datetime] = []
        with Scheduler(clock=self.clock) as scheduler:
            task = scheduler.get_task(scheduler.schedule("task", self.note, **said))
            assert task is not None
            self.described = task.schedule.describe()
            self.foretold = [one.astimezone(UTC) for one in task.schedule.preview(COUNT, now)]
            next_run = task.next_run
            self.next_run = None if next_run is None else next_run.astimezone(UTC)
            self.forecast = scheduler.forecast(HORIZON, "1h")
            self.clock.advance(HORIZON)
            self.missed = scheduler.statistics().missed

    def note(self) -> None:
        run = current_run()
        assert run is not None
        self.nominal.append(run.nominal_time.astimezone(UTC))
        self.actual.append(self.clock.now().astimezone(UTC))


def one_by_one(schedule: TaskSchedule, now: datetime, count: int) -> list[datetime]:
    """What `next_after` says again and again, in UTC."""
    found: list[datetime] = []
    moment = schedule.next_after(now)
    while moment is not None and len(found) < count:
        found.append(moment.astimezone(UTC))
        moment = schedule.next_after(moment)
    return found


def counts_from_now(schedule: TaskSchedule) -> bool:
    """Whether its times depend on when it is scheduled, for `next_after` the moment it is given."""
    return schedule.delay is not None or any(
        one.rrule is not None
        or one.calendar_interval is not None
        or (one.cron_expression or "").startswith("@every")
        for one in schedule.any_of or (schedule,)
    )


@settings(max_examples=150, deadline=None)
@given(st.data(), starts, zones)
def test_what_is_said_is_what_runs(data: st.DataObject, now: datetime, zone: str) -> None:
    said = data.draw(schedules(now), "schedule")
    try:
        schedule = TaskSchedule(**said, timezone=zone)
        runs = Runs(said, zone, now)
    except ValueError as error:
        assume(not re.search("never|no time to come|exclude takes|interval needs", str(error)))
        raise
    expected = [one.astimezone(UTC) for one in schedule.preview(COUNT, now)]
    if not counts_from_now(schedule):
        assert one_by_one(schedule, now, len(expected)) == expected
    # What is due at this very moment is not after it.
    at_once = [one for one in runs.nominal if one <= now]
    ran = [one for one in runs.nominal if one > now]
    assert len(at_once) <= 1
    if "max_runs" in said:
        expected = expected[: said["max_runs"] - len(at_once)]
    put_off = timedelta(seconds=said.get("jitter", 0) + said.get("window", 0))
    certain = [one for one in expected if one <= now + HORIZON - put_off]
    assert ran[: len(certain)] == certain
    assert len(expected) == COUNT or ran == expected[: len(ran)]
    for nominal, actual in zip(runs.nominal, runs.actual, strict=True):
        assert max(nominal, now) <= actual <= max(nominal, now) + put_off
    assert not runs.missed
    # What the task says is the same.
    assert runs.foretold[: len(expected)] == expected[: len(runs.foretold)]
    assert runs.forecast.total == len([one for one in runs.actual if one < now + HORIZON])
    if runs.actual:
        assert runs.next_run is not None
        assert max(runs.next_run, now) == runs.actual[0]
    assert runs.described

"""Laws that every schedule keeps, whatever it says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from num_agents.scheduler import Scheduler, TaskSchedule
from num_agents.scheduler.calendar import CalendarInterval, Exclusions
from num_agents.scheduler.errors import InvalidCronError
from num_agents.scheduler.run import current_run
from num_agents.scheduler.testing import VirtualClock

#: Steps beyond a field are drawn as well, and doubted.
pytestmark = pytest.mark.filterwarnings("ignore::num_agents.scheduler.ScheduleWarning")

MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)

ZONES = (
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Antarctica/Troll",
    "UTC",
)
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

zones = st.sampled_from(ZONES)
dst_words = st.sampled_from(("debian", "skip", "wall-clock"))
#: Whole microseconds, for that is what a datetime can say.
moments = st.builds(
    lambda start, second, microsecond: start + timedelta(seconds=second, microseconds=microsecond),
    # The end of 2011 for Apia, 2018 for Sao Paulo.
    st.sampled_from([datetime(year, 1, 1, tzinfo=UTC) for year in (2011, 2018, 2024, 2025)]),
    st.integers(0, 366 * 86_400),
    st.sampled_from((0, 0, 1, 999_999)),
)


@st.composite
def fields(draw: st.DrawFn, least: int, most: int, *, stars: int = 1) -> str:
    values = st.integers(least, most)
    low, high = sorted((draw(values), draw(values)))
    step = draw(st.integers(1, most))
    choices = [f"{low}", f"{high}", f"{low},{high}", f"{low}-{high}", f"{low}/{step}", f"*/{step}"]
    return draw(st.sampled_from(["*"] * stars + choices))


def fires(expression: str) -> bool:
    """There may be no such day."""
    try:
        return bool(TaskSchedule(cron_expression=expression))
    except InvalidCronError as error:
        return "never" not in error.reason


@st.composite
def any_expressions(draw: st.DrawFn) -> str:
    special_days = st.sampled_from(("L", "LW", "15W", "L-3", "?"))
    special_weekdays = st.sampled_from(("MON-FRI", "5L", "1#2", "?", "sat,sun"))
    seconds = draw(st.sampled_from(("", "", f"{draw(fields(0, 59))} ")))
    parts = (
        draw(fields(0, 59)),
        draw(fields(0, 23)),
        draw(fields(1, 28, stars=6) | special_days),
        draw(fields(1, 12, stars=6)),
        draw(fields(0, 7, stars=6) | special_weekdays),
    )
    return seconds + " ".join(parts)


expressions = any_expressions().filter(fires)
intervals = st.builds(
    lambda unit, every, minute, anchor: CalendarInterval(
        **{unit: every}, at=f"{minute // 60:02}:{minute % 60:02}", anchor=anchor
    ),
    st.sampled_from(("days", "weeks", "months", "years")),
    st.integers(1, 5),
    st.integers(0, 1439),
    st.dates(date(2000, 1, 1), date(2026, 1, 1)),
)
crons = st.fixed_dictionaries({"cron_expression": expressions, "dst": dst_words})
calendar_intervals = st.fixed_dictionaries({"calendar_interval": intervals, "dst": dst_words})
grids = st.fixed_dictionaries(
    {
        "interval": st.integers(1, 10**6) | st.sampled_from((0.001, 0.25, 1.5)),
        "start_after": moments,
    }
)
aligned = st.fixed_dictionaries(
    {"interval": st.integers(1, 10**6), "first_run": st.just("aligned")}
)
run_ats = st.fixed_dictionaries({"run_at": moments})
exclusions = st.builds(
    Exclusions,
    weekdays=st.sets(st.sampled_from(WEEKDAYS), max_size=5),
    hours=st.sets(st.integers(0, 23), max_size=20),
    dates=st.sets(st.dates(date(2011, 1, 1), date(2026, 1, 1)), max_size=3),
)

#: What says when by itself: its arguments, without the zone.
ways = crons | crons | calendar_intervals | grids | aligned | run_ats


@st.composite
def unions(draw: st.DrawFn) -> dict[str, Any]:
    parts = [
        TaskSchedule(**way, timezone=draw(zones))
        for way in draw(st.lists(ways, min_size=1, max_size=4))
    ]
    return {"any_of": parts}


@st.composite
def schedules(draw: st.DrawFn) -> TaskSchedule:
    """Any schedule whose times do not depend on when one asks."""
    try:
        said: dict[str, Any] = draw(ways | unions())
        if "run_at" not in said and draw(st.integers(0, 3)) == 0:
            said["exclude"] = draw(exclusions)
        if draw(st.integers(0, 5)) == 0:
            said["end_after"] = datetime(2026, 7, 1, tzinfo=UTC)
        return TaskSchedule(**said, timezone=draw(zones))
    except ValueError as error:
        # What is excluded always.
        assume("never" not in str(error))
        raise


def nexts(schedule: TaskSchedule, after: datetime, count: int) -> list[datetime]:
    """What `next_after` says again and again, in UTC, where no two moments look alike."""
    found: list[datetime] = []
    moment = schedule.next_after(after)
    while moment is not None and len(found) < count:
        found.append(moment.astimezone(UTC))
        moment = schedule.next_after(moment)
    return found


# ---- looking ahead ---------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(schedules(), moments, st.floats(0, 1))
def test_next_after_is_constant_between_fires(
    schedule: TaskSchedule, after: datetime, place: float
) -> None:
    following = schedule.next_after(after)
    if following is None:
        assert schedule.next_after(after + DAY) is None
        return
    following = following.astimezone(UTC)
    assert following > after
    for between in (after + (following - after) * place, following - MICROSECOND):
        if after <= between < following:
            again = schedule.next_after(between)
            assert again is not None
            assert again.astimezone(UTC) == following
    # Nor is there any before it: what is next after an earlier moment is that, or not later.
    earlier = schedule.next_after(after - DAY)
    assert earlier is not None
    assert earlier.astimezone(UTC) <= following


@settings(max_examples=150, deadline=None)
@given(schedules(), moments)
def test_times_are_strictly_increasing_and_preview_repeats_next_after(
    schedule: TaskSchedule, start: datetime
) -> None:
    found = nexts(schedule, start, 20)
    assert all(one < other for one, other in zip([start, *found], found, strict=False))
    previewed = schedule.preview(20, start=start)
    assert [moment.astimezone(UTC) for moment in previewed] == found
    # In the schedule's zone, the hour that comes twice told apart.
    zone = schedule.zone_or(None)
    assert [moment.fold for moment in previewed] == [
        moment.astimezone(zone).fold for moment in found
    ]
    assert schedule.preview(3, start=start) == previewed[:3]


@given(st.floats(2e-6, 10.0), moments, moments)
def test_times_finer_than_a_microsecond_are_strictly_increasing_too(
    interval: float, first: datetime, start: datetime
) -> None:
    """A datetime has no nanoseconds: each time is rounded down, and none is said twice."""
    schedule = TaskSchedule(interval=interval, start_after=first, timezone="UTC")
    found = nexts(schedule, start, 5)
    assert all(one < other for one, other in zip([start, *found], found, strict=False))
    assert schedule.preview(5, start=start) == found


@settings(max_examples=150, deadline=None)
@given(schedules())
def test_describe_says_something(schedule: TaskSchedule) -> None:
    said = schedule.describe()
    assert said
    assert said == said.strip()
    assert "\n" not in said


@settings(max_examples=100, deadline=None)
@given(schedules(), moments, st.integers(1, 5))
def test_an_end_and_a_number_of_runs_cut_off(
    schedule: TaskSchedule, start: datetime, runs: int
) -> None:
    assume(schedule.interval is None or schedule.start_after is None)
    whole = [moment.astimezone(UTC) for moment in schedule.preview(runs + 3, start=start)]
    assume(len(whole) > runs and schedule.run_at is None and schedule.end_after is None)
    said = {name: getattr(schedule, name) for name in TaskSchedule.OPTIONS}
    limited = TaskSchedule(**(said | {"max_runs": runs}))
    assert [moment.astimezone(UTC) for moment in limited.preview(100, start=start)] == whole[:runs]
    # The end itself is allowed.
    ended = TaskSchedule(**(said | {"end_after": whole[runs - 1]}))
    assert [moment.astimezone(UTC) for moment in ended.preview(100, start=start)] == whole[:runs]
    assert ended.next_after(whole[runs - 1]) is None


# ---- what calendars are made of --------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(intervals, zones, st.sampled_from(("skip", "debian")), moments)
def test_calendar_intervals_keep_the_anchor_day(
    interval: CalendarInterval, zone: str, dst: Any, start: datetime
) -> None:
    schedule = TaskSchedule(calendar_interval=interval, timezone=zone, dst=dst)
    assert interval.anchor is not None
    for moment in schedule.preview(15, start=start):
        wall = moment.replace(tzinfo=None)
        meant = datetime.combine(wall, interval.at)
        if wall != meant:
            # It fell into a gap, and comes right after that.
            assert dst == "debian"
            before = moment.astimezone(UTC) - SECOND
            assert before.astimezone(ZoneInfo(zone)).utcoffset() != moment.utcoffset()
            if wall.date() != interval.anchor and wall < meant:
                continue
            meant = wall - timedelta(days=1) if wall.time() < interval.at else wall
        assert is_a_day_of(interval, interval.anchor, meant.date()), moment


def is_a_day_of(interval: CalendarInterval, anchor: date, day: date) -> bool:
    if interval.unit in ("days", "weeks"):
        apart = interval.every * (7 if interval.unit == "weeks" else 1)
        return day >= anchor and (day - anchor).days % apart == 0
    months = (day.year - anchor.year) * 12 + day.month - anchor.month
    apart = interval.every * (12 if interval.unit == "years" else 1)
    last = ((day.replace(day=1) + timedelta(days=31)).replace(day=1) - DAY).day
    return months >= 0 and months % apart == 0 and day.day == min(anchor.day, last)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(ways, zones), min_size=1, max_size=4), zones, moments)
def test_any_of_is_the_sorted_union_of_its_parts(
    drawn: list[tuple[dict[str, Any], str]], zone: str, start: datetime
) -> None:
    parts = [TaskSchedule(**way, timezone=part_zone) for way, part_zone in drawn]
    whole = TaskSchedule(any_of=parts, timezone=zone)
    apart = sorted({moment for part in parts for moment in nexts(part, start, 15)})
    assert nexts(whole, start, 15) == apart[:15]


@settings(max_examples=150, deadline=None)
@given(expressions | intervals, exclusions, zones, dst_words, moments)
def test_exclude_removes_exactly_what_it_says(
    way: str | CalendarInterval, exclude: Exclusions, zone: str, dst: Any, start: datetime
) -> None:
    word = "cron_expression" if isinstance(way, str) else "calendar_interval"
    said: dict[str, Any] = {word: way, "timezone": zone, "dst": dst}
    whole = TaskSchedule(**said).preview(150, start=start)

    def is_excluded(moment: datetime) -> bool:
        weekday = moment.isoweekday() % 7
        return (
            weekday in exclude.weekdays
            or moment.date() in exclude.dates
            or moment.hour in exclude.hours
        )

    left = [moment.astimezone(UTC) for moment in whole if not is_excluded(moment)]
    try:
        rest = TaskSchedule(**said, exclude=exclude)
    except ValueError:
        # It would never run.
        assert not left
        return
    # Of the same span; what comes beyond that is not known here.
    found = [
        moment.astimezone(UTC)
        for moment in rest.preview(len(left) + 1, start=start)
        if moment.astimezone(UTC) <= whole[-1].astimezone(UTC)
    ]
    assert found == left


# ---- jitter and windows ----------------------------------------------------------------------


def runs_of(
    schedule: TaskSchedule, start: datetime, span: timedelta
) -> list[tuple[str, datetime, datetime]]:
    """Task id, nominal time and actual time of each run on a virtual clock, in UTC."""
    clock = VirtualClock(start=start)
    ran: list[tuple[str, datetime, datetime]] = []

    def note() -> None:
        run = current_run()
        assert run is not None
        ran.append((run.task_id, run.nominal_time.astimezone(UTC), clock.now().astimezone(UTC)))

    with Scheduler(clock=clock) as scheduler:
        for number in range(3):
            said = {name: getattr(schedule, name) for name in TaskSchedule.OPTIONS}
            scheduler.schedule(f"task {number}", note, **said)
        clock.advance(span)
    return ran


jittered = st.fixed_dictionaries(
    {"jitter": st.none() | st.integers(0, 90_000), "window": st.none() | st.integers(0, 90_000)}
)
frequent = st.one_of(
    st.fixed_dictionaries(
        {"cron_expression": st.sampled_from(("*/20 * * * *", "0 3,4 * * *", "30 2 * * *"))}
    ),
    st.fixed_dictionaries({"interval": st.sampled_from((600, 3600, 86_400))}),
    st.just({"calendar_interval": CalendarInterval(days=1, at="02:30")}),
)
eves = st.sampled_from(
    [
        datetime(2021, 3, 26, 12, tzinfo=UTC),
        datetime(2021, 10, 29, 12, tzinfo=UTC),
        datetime(2021, 7, 1, tzinfo=UTC),
    ]
)


@settings(max_examples=40, deadline=None)
@given(frequent, jittered, zones, eves, st.booleans())
def test_jitter_crosses_neither_the_next_time_nor_the_end_and_is_the_same_again(
    way: dict[str, Any], put_off: dict[str, Any], zone: str, start: datetime, ends: Any
) -> None:
    span = timedelta(days=4)
    end = start + timedelta(days=3) if ends else None
    schedule = TaskSchedule(**way, **put_off, timezone=zone, end_after=end)
    ran = runs_of(schedule, start, span)
    assert ran == runs_of(schedule, start, span)
    shift = timedelta(seconds=(put_off["jitter"] or 0) + (put_off["window"] or 0))
    plain = TaskSchedule(**way, timezone=zone, start_after=start if "interval" in way else None)
    nominal_times = [start, *nexts(plain, start, 5 * 24 * 6 + 2)]
    for number in sorted({task_id for task_id, _, _ in ran}):
        own = [(nominal, actual) for task_id, nominal, actual in ran if task_id == number]
        # None is left out and none comes twice.
        skipped = 0 if "interval" in way else 1
        assert [nominal for nominal, _ in own] == nominal_times[skipped : skipped + len(own)]
        for nominal, actual in own:
            following = nominal_times[nominal_times.index(nominal) + 1]
            assert nominal <= actual < following
            assert actual - nominal <= shift
            assert end is None or actual <= end
    lawful = [moment for moment in nominal_times if moment <= (end or start + span)]
    assert len(ran) >= 3 * (len(lawful) - 2)


# ---- what is shared --------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(crons | calendar_intervals | unions(), st.none() | exclusions, zones)
def test_schedules_that_say_the_same_share_one_calendar(
    said: dict[str, Any], exclude: Exclusions | None, zone: str
) -> None:
    """Of many tasks that are armed at one instant, one computes."""
    try:
        first, second = (TaskSchedule(**said, exclude=exclude, timezone=zone) for _ in range(2))
    except ValueError as error:
        assume("never" not in str(error))
        raise
    place = ZoneInfo(zone)
    assert first.calendar(place, 0) is second.calendar(place, 10**18)

"""`TaskSchedule`: when it says to run, what it refuses, and how it describes itself."""

from __future__ import annotations

import copy
import datetime as datetime_module
import pickle
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any, NoReturn
from zoneinfo import ZoneInfo

import pytest
from dateutil import rrule as rrules
from dateutil import tz as dateutil_tz

from num_agents.scheduler import (
    CalendarInterval,
    Exclusions,
    InvalidCronError,
    Scheduler,
    SchedulerError,
    TaskSchedule,
    UnsupportedScheduleError,
)

if TYPE_CHECKING:
    from num_agents.scheduler.testing import VirtualClock

START = datetime(2025, 1, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
SET = rrules.rruleset()
SET.rdate(datetime(2030, 1, 1))
CRON = TaskSchedule(cron_expression="0 9 * * *")


def said(moments: list[datetime]) -> list[str]:
    return [moment.isoformat(" ", "minutes") for moment in moments]


class TestLookingAhead:
    @pytest.mark.parametrize(
        ("schedule", "times"),
        [
            ({}, []),
            ({"delay": 90}, ["2025-01-01 00:01"]),
            ({"run_at": "2025-01-01T00:00:01"}, ["2025-01-01 00:00"]),
            ({"run_at": START}, []),
            ({"start_after": "2025-02-01"}, ["2025-02-01 00:00"]),
            ({"interval": 60}, ["2025-01-01 00:01", "2025-01-01 00:02", "2025-01-01 00:03"]),
            ({"interval": 60, "max_runs": 2}, ["2025-01-01 00:01", "2025-01-01 00:02"]),
            ({"interval": 60, "end_after": "2025-01-01T00:01"}, ["2025-01-01 00:01"]),
            (
                {"interval": 7 * 3600, "first_run": "aligned"},
                ["2025-01-01 03:00", "2025-01-01 10:00", "2025-01-01 17:00"],
            ),
            (
                {"interval": 86_400, "start_after": "2024-12-31T12:00"},
                ["2025-01-01 12:00", "2025-01-02 12:00", "2025-01-03 12:00"],
            ),
            (
                {"interval": 86_400, "start_after": "2025-01-31", "first_run": "after_interval"},
                ["2025-02-01 00:00", "2025-02-02 00:00", "2025-02-03 00:00"],
            ),
            (
                {"cron_expression": "0 9 * * MON-FRI", "end_after": "2025-01-02T09:00"},
                ["2025-01-01 09:00", "2025-01-02 09:00"],
            ),
            (
                {"cron_expression": "0 9 * * *", "start_after": "2025-03-01T09:00"},
                ["2025-03-01 09:00", "2025-03-02 09:00", "2025-03-03 09:00"],
            ),
            (
                {"cron_expression": "0 0 12 ? * 2", "dialect": "quartz"},
                ["2025-01-06 12:00", "2025-01-13 12:00", "2025-01-20 12:00"],
            ),
            (
                {"cron_expression": "@every 90m"},
                ["2025-01-01 01:30", "2025-01-01 03:00", "2025-01-01 04:30"],
            ),
            (
                {"calendar_interval": CalendarInterval(months=1, at="09:30", anchor="2025-01-31")},
                ["2025-01-31 09:30", "2025-02-28 09:30", "2025-03-31 09:30"],
            ),
            (
                {"calendar_interval": CalendarInterval(years=4, anchor=date(2024, 2, 29))},
                ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"],
            ),
            (
                {"calendar_interval": CalendarInterval(weeks=2, at=time(6)), "start_after": START},
                ["2025-01-01 06:00", "2025-01-15 06:00", "2025-01-29 06:00"],
            ),
            (
                {"rrule": "FREQ=WEEKLY;BYDAY=MO", "start_after": "2025-01-01T08:00"},
                ["2025-01-06 08:00", "2025-01-13 08:00", "2025-01-20 08:00"],
            ),
            (
                {
                    "any_of": [
                        TaskSchedule(cron_expression="0 9 * * *"),
                        TaskSchedule(run_at="2025-01-01T10:00"),
                        TaskSchedule(run_at="2025-01-01T09:00"),
                    ]
                },
                ["2025-01-01 09:00", "2025-01-01 10:00", "2025-01-02 09:00"],
            ),
            (
                {
                    "cron_expression": "0 9 * * *",
                    "exclude": Exclusions(weekdays=["Sat", "sunday"], dates=["2025-01-02"]),
                },
                ["2025-01-01 09:00", "2025-01-03 09:00", "2025-01-06 09:00"],
            ),
            (
                {
                    "interval": 3 * 3600,
                    "first_run": "aligned",
                    "exclude": Exclusions(hours=range(4, 20)),
                },
                ["2025-01-01 03:00", "2025-01-01 21:00", "2025-01-02 00:00"],
            ),
        ],
        ids=str,
    )
    def test_preview_and_next_after(self, schedule: dict[str, Any], times: list[str]) -> None:
        built = TaskSchedule(**schedule, timezone="UTC")
        found = built.preview(3, START)
        assert said(found) == [f"{moment}+00:00" for moment in times]
        assert built.next_after(START) == (found[0] if found else None)
        if len(found) > 1 and built.max_runs is None:
            assert built.next_after(found[0]) == found[1]
            counts = schedule.get("interval") is not None and len(schedule) == 1
            if not counts and schedule.get("cron_expression") != "@every 90m":
                # Those count from the moment.
                assert built.next_after(found[0] - timedelta(microseconds=1)) == found[0]

    def test_is_aware_and_in_the_zone_of_the_schedule(self) -> None:
        schedule = TaskSchedule(cron_expression="0 9 * * *", timezone="Europe/Berlin")
        found = schedule.next_after("2025-07-01T00:00:00")
        assert found is not None
        assert (found.tzinfo, found.hour) == (BERLIN, 9)
        assert found.utcoffset() == timedelta(hours=2)
        # A naive moment is in the zone, too.
        assert schedule.next_after("2025-07-01T08:59:59") == found
        assert schedule.next_after(found) == found + timedelta(days=1)

    def test_a_zone_in_the_expression_goes_before_the_schedules(self) -> None:
        schedule = TaskSchedule(cron_expression="CRON_TZ=Asia/Tokyo 0 9 * * *", timezone="UTC")
        (found,) = schedule.preview(1, START)
        assert found.isoformat() == "2025-01-02T09:00:00+09:00"
        assert schedule.next_after(START) == found == datetime(2025, 1, 2, tzinfo=UTC)

    def test_without_a_start_it_counts_from_now(self) -> None:
        before = datetime.now(UTC)
        (moment,) = TaskSchedule(delay=60).preview(1)
        assert before <= moment - timedelta(seconds=60) <= datetime.now(UTC)

    def test_nothing_and_no_more_than_there_is(self) -> None:
        assert CRON.preview(0) == []
        assert len(TaskSchedule(rrule="FREQ=DAILY;COUNT=3").preview(10, START)) == 2
        last = TaskSchedule(cron_expression="0 0 0 1 1 * 2030", timezone="UTC")
        assert said(last.preview(5, START)) == ["2030-01-01 00:00+00:00"]
        assert last.next_after("2030-01-01") is None
        assert last.preview(5, "2030-01-01") == []

    def test_to_the_end_of_time(self) -> None:
        far = TaskSchedule(cron_expression="0 0 1 1 *", timezone="UTC").preview(1000, START)
        assert len(far) == 529
        assert far[-1].year == 2554
        assert CRON.next_after(datetime.max.replace(tzinfo=UTC)) is None
        assert TaskSchedule(interval=1).next_after("9999-12-31") is None

    @pytest.mark.parametrize(
        ("dst", "spring", "autumn"),
        [
            ("debian", ["03-30 03:00+02:00", "03-31 02:30+02:00"], ["10-26 02:30+02:00"]),
            ("skip", ["03-31 02:30+02:00"], ["10-26 02:30+02:00"]),
            ("wall-clock", ["03-31 02:30+02:00"], ["10-26 02:30+02:00", "10-26 02:30+01:00"]),
        ],
    )
    @pytest.mark.parametrize("by_interval", [False, True])
    def test_daylight_saving(
        self,
        dst: Any,
        spring: list[str],
        autumn: list[str],
        by_interval: bool,  # noqa: FBT001
    ) -> None:
        when: dict[str, Any] = {"cron_expression": "30 2 * * *"}
        if by_interval:
            when = {"calendar_interval": CalendarInterval(days=1, at="02:30", anchor="2025-01-01")}
        schedule = TaskSchedule(**when, timezone="Europe/Berlin", dst=dst)
        for begin, end, expected in (
            ("2025-03-29T12:00", "2025-03-31T12:00", spring),
            ("2025-10-25T12:00", "2025-10-26T12:00", autumn),
        ):
            limit = datetime.fromisoformat(end).replace(tzinfo=BERLIN).astimezone(UTC)
            found = [one for one in schedule.preview(4, begin) if one.astimezone(UTC) < limit]
            assert [f"{one:%m-%d %H:%M}{one:%z}" for one in found] == [
                one[:-3] + one[-2:] for one in expected
            ]

    @pytest.mark.parametrize("count", [1, 2, 600])
    def test_preview_is_next_after_again_and_again(self, count: int) -> None:
        schedules = [
            TaskSchedule(rrule="FREQ=HOURLY", start_after=START),
            TaskSchedule(cron_expression="*/7 * * * *", timezone="Europe/Berlin"),
            TaskSchedule(
                any_of=[
                    TaskSchedule(rrule="FREQ=DAILY", start_after=START),
                    TaskSchedule(cron_expression="30 * * * *"),
                ],
                exclude=Exclusions(hours=[3]),
                timezone="UTC",
            ),
        ]
        for schedule in schedules:
            moment: datetime | None = START
            for one in schedule.preview(count, START):
                assert moment is not None
                moment = schedule.next_after(moment)
                assert moment == one


class TestWhatRuns:
    """What the engine runs is what `preview` says."""

    @pytest.mark.parametrize(
        "schedule",
        [
            {"cron_expression": "0 9,17 * * MON-FRI"},
            {"cron_expression": "@every 7h"},
            {"cron_expression": "0 0 12 ? * 2-4", "dialect": "quartz"},
            {"calendar_interval": CalendarInterval(days=3, at="08:15")},
            {"rrule": "FREQ=DAILY;INTERVAL=2", "start_after": START + timedelta(hours=5)},
            {"interval": 20_000, "first_run": "aligned"},
            {"interval": 50_000, "start_after": START + timedelta(seconds=77)},
            {"any_of": [CRON, TaskSchedule(run_at="2025-01-05T10:00")]},
            {"any_of": [CRON], "exclude": Exclusions(weekdays=["sat"])},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("bounds", [{}, {"max_runs": 3}, {"end_after": "2025-01-06T12:00"}])
    def test_on_the_virtual_clock(
        self,
        scheduler: Scheduler,
        clock: VirtualClock,
        schedule: dict[str, Any],
        bounds: dict[str, Any],
    ) -> None:
        ran: list[datetime] = []
        options = {**schedule, **bounds, "timezone": "Europe/Berlin"}
        expected = TaskSchedule(**options).preview(1000, START)
        end = START + timedelta(days=21)
        scheduler.schedule("t", lambda: ran.append(clock.now()), **options)
        clock.advance_to(end)
        assert ran == [moment for moment in expected if moment <= end]
        assert len(ran) >= 2


class TestBadExpressions:
    @pytest.mark.parametrize(
        ("expression", "field", "position", "reason"),
        [
            ("60 * * * *", "minute", 0, "60 is out of range 0-59"),
            ("* 5,24 * * *", "hour", 4, "24 is out of range 0-23"),
            ("* * 32 * *", "day-of-month", 4, "out of range"),
            ("* * * FOO *", "month", 6, "FOO"),
            ("* * * * 8", "day-of-week", 8, "out of range"),
            ("0 0 30 2 *", "day-of-month", 4, "never"),
            ("* * * *", None, 7, "4"),
            ("", None, 0, ""),
            ("CRON_TZ=Nowhere * * * * *", None, 8, "Nowhere"),
            ("é * * * *", "minute", 0, "é"),
            ("* é 99 * *", "hour", 2, "é"),
        ],
    )
    def test_field_position_and_reason(
        self, expression: str, field: str | None, position: int, reason: str
    ) -> None:
        with pytest.raises(InvalidCronError) as caught:
            TaskSchedule(cron_expression=expression)
        error = caught.value
        assert (error.expression, error.field, error.position) == (expression, field, position)
        assert reason in error.reason
        place = f"column {position + 1}"
        place = place if field is None else f"{field} field, {place}"
        assert str(error) == f"cron_expression {expression!r}: {place}: {error.reason}"
        assert isinstance(error, ValueError)
        assert isinstance(error, SchedulerError)

    def test_travels_between_processes(self) -> None:
        with pytest.raises(InvalidCronError) as caught:
            TaskSchedule(cron_expression="0 25 * * *")
        for error in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
            assert type(error) is InvalidCronError
            assert str(error) == str(caught.value)
            assert (error.field, error.position) == ("hour", 2)
            assert (error.expression, error.reason) == ("0 25 * * *", caught.value.reason)

    @pytest.mark.parametrize("letter", ["*", ",", "-", "/", "9", "L", "@", " ", "0-59,", "\0", "é"])
    def test_a_long_one_is_refused_with_a_short_message(self, letter: str) -> None:
        with pytest.raises(InvalidCronError) as caught:
            TaskSchedule(cron_expression=letter * 10_000)
        assert len(str(caught.value)) < 300


class TestContradictions:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ({"cron_expression": "@daily", "interval": 1}, "each say when to run"),
            ({"cron_expression": "@daily", "delay": 1}, "each say when to run"),
            ({"cron_expression": "@daily", "run_at": "2030-01-01"}, "each say when to run"),
            ({"cron_expression": "@daily", "rrule": "FREQ=DAILY"}, "each say when to run"),
            ({"cron_expression": "@daily", "any_of": [CRON]}, "each say when to run"),
            (
                {"calendar_interval": CalendarInterval(days=1), "interval": 1},
                "interval and calendar_interval each say when to run",
            ),
            ({"rrule": "FREQ=DAILY", "any_of": [CRON], "delay": 1}, "delay and rrule and any_of"),
            ({"cron_expression": "@daily", "fixed_delay": True}, "fixed_delay counts an interval"),
            ({"exclude": Exclusions(hours=[1]), "delay": 1}, "exclude takes times out"),
            (
                {"exclude": Exclusions(hours=[1]), "interval": 1, "fixed_delay": True},
                "exclude takes times out",
            ),
            ({"exclude": Exclusions(hours=[1]), "interval": 1}, "exclude: an interval needs"),
            ({"exclude": Exclusions(hours=[1])}, "exclude takes times out"),
            (
                {"cron_expression": "0 9 * * SAT", "exclude": Exclusions(weekdays=["sat"])},
                "never",
            ),
            (
                {"cron_expression": "30 2 * * *", "exclude": Exclusions(hours=[2])},
                "never",
            ),
        ],
        ids=str,
    )
    def test_are_refused(self, words: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            TaskSchedule(**words)

    def test_one_with_no_time_to_come_is_refused_at_the_call(self, scheduler: Scheduler) -> None:
        past = "0 0 0 1 1 * 2020"
        assert TaskSchedule(cron_expression=past).next_after(START) is None
        with pytest.raises(ValueError, match="no time to come"):
            scheduler.schedule("t", print, cron_expression=past)
        with pytest.raises(ValueError, match="never fires"):
            scheduler.schedule(
                "t", print, rrule="FREQ=DAILY;UNTIL=20240101T000000Z", start_after="2023-01-01"
            )
        with pytest.raises(ValueError, match=r"^end_after comes before the first run"):
            scheduler.schedule("t", print, cron_expression="@yearly", end_after="2025-06-01")
        assert len(scheduler.tasks) == 0

    def test_parts_need_times_of_their_own(self) -> None:
        with pytest.raises(ValueError, match=r"^any_of\[1\] must have times known beforehand"):
            TaskSchedule(any_of=[CRON, TaskSchedule(delay=5)])
        with pytest.raises(ValueError, match=r"^any_of\[0\]: an interval needs a start_after"):
            TaskSchedule(any_of=[TaskSchedule(interval=5)])
        with pytest.raises(ValueError, match=r"^any_of\[0\]: jitter belongs to the whole"):
            TaskSchedule(any_of=[TaskSchedule(cron_expression="@daily", jitter=5)])


class TestAsData:
    SCHEDULES: tuple[dict[str, Any], ...] = (
        {"cron_expression": "0 9 * * *", "dst": "skip", "timezone": "Asia/Tokyo"},
        {"cron_expression": "0 0 9 ? * 2", "dialect": "quartz", "jitter": 5},
        {"calendar_interval": CalendarInterval(months=1, at="09:30", anchor="2025-01-31")},
        {"rrule": "FREQ=DAILY", "window": timedelta(hours=1)},
        {"any_of": (CRON, TaskSchedule(run_at="2030-01-01")), "max_runs": 3},
        {"interval": 60, "first_run": "aligned", "exclude": Exclusions(dates=["2025-12-25"])},
    )

    @pytest.mark.parametrize("words", SCHEDULES, ids=str)
    def test_equal_by_value_and_shown_as_written(self, words: dict[str, Any]) -> None:
        schedule = TaskSchedule(**words)
        assert schedule == TaskSchedule(**words)
        assert schedule == copy.deepcopy(schedule) == pickle.loads(pickle.dumps(schedule))
        assert schedule != TaskSchedule(**{**words, "max_runs": 99})
        assert schedule != TaskSchedule(cron_expression="59 23 31 12 *")
        assert {word: schedule.to_dict()[word] for word in words} == words
        shown = repr(schedule)
        for word, value in words.items():
            assert f"{word}={value!r}" in shown
        assert shown.count("=") >= len(words)
        assert "None" not in shown
        names: dict[str, Any] = {"TaskSchedule": TaskSchedule, "Exclusions": Exclusions}
        names |= {"CalendarInterval": CalendarInterval, "datetime": datetime_module}
        assert eval(shown, names) == schedule

    def test_words_for_calendars(self) -> None:
        every = CalendarInterval(months=1, at="09:30", anchor="2025-01-31")
        assert repr(every) == "CalendarInterval(months=1, at='09:30:00', anchor='2025-01-31')"
        assert every == CalendarInterval(months=1, at=time(9, 30), anchor=date(2025, 1, 31))
        assert every != CalendarInterval(weeks=1, at="09:30", anchor="2025-01-31")
        assert len({every, CalendarInterval(months=1, at="09:30:00", anchor="2025-01-31")}) == 1
        without = Exclusions(weekdays=["SUN", "Monday"], dates=[date(2025, 1, 1)], hours=[3, 1, 3])
        assert repr(without) == (
            "Exclusions(weekdays=['sunday', 'monday'], dates=['2025-01-01'], hours=[1, 3])"
        )
        assert without == Exclusions(
            weekdays=("mon", "sun"), dates=("2025-01-01",), hours=range(1, 4, 2)
        )
        assert without != Exclusions()
        assert len({without, eval(repr(without))}) == 1
        for one, other in ((every, without), (without, every)):
            assert one != other
            assert one != repr(one)

    @pytest.mark.parametrize("words", [{}, {"days": 1, "weeks": 1}, {"days": 1, "years": None}])
    def test_an_interval_has_one_unit(self, words: dict[str, Any]) -> None:
        if list(words.values()).count(None) == 1:
            assert CalendarInterval(**words).unit == "days"
            return
        with pytest.raises(ValueError, match=r"^give exactly one of days, weeks, months and years"):
            CalendarInterval(**words)

    def test_something_must_be_left_of_the_week_and_the_day(self) -> None:
        days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
        with pytest.raises(ValueError, match=r"^weekdays excludes every day"):
            Exclusions(weekdays=days)
        with pytest.raises(ValueError, match=r"^hours excludes every hour"):
            Exclusions(hours=range(24))
        Exclusions(weekdays=days[1:], hours=range(1, 24))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({}, "once, immediately"),
        ({"delay": 90}, "once, 90 seconds after it is scheduled"),
        ({"delay": 0.25}, "once, 0.25 seconds after it is scheduled"),
        ({"delay": 3600}, "once, 1 hour after it is scheduled"),
        ({"run_at": "2025-01-01T09:00"}, "once, at 2025-01-01 09:00:00+01:00"),
        ({"interval": 60}, "every 1 minute"),
        ({"interval": timedelta(days=2), "max_runs": 1}, "every 2 days, at most once"),
        ({"interval": 60, "max_runs": 5}, "every 1 minute, 5 times"),
        ({"interval": 60, "first_run": "aligned"}, "every 1 minute since 1970"),
        ({"interval": 5, "fixed_delay": True}, "every 5 seconds after the last run has ended"),
        (
            {"interval": 60, "start_after": "2025-01-01", "end_after": "2025-07-01"},
            "every 1 minute, from 2025-01-01 00:00:00+01:00, until 2025-07-01 00:00:00+02:00",
        ),
        ({"cron_expression": "0 9 * * MON-FRI"}, "at 09:00 on Monday to Friday, Europe/Berlin"),
        ({"cron_expression": "@every 90s"}, "every 90 seconds"),
        (
            {"cron_expression": "0 9 * * *", "jitter": 30},
            "at 09:00 every day, Europe/Berlin, up to 30 seconds later at random",
        ),
        (
            {"cron_expression": "0 9 * * *", "window": 3600},
            "at 09:00 every day, Europe/Berlin, up to 1 hour later, where there is room",
        ),
        (
            {"calendar_interval": CalendarInterval(months=1, at="09:30", anchor="2025-01-31")},
            "every month at 09:30 from 2025-01-31, Europe/Berlin",
        ),
        ({"rrule": "FREQ=DAILY"}, "by the recurrence FREQ=DAILY"),
        (
            {"rrule": "FREQ=DAILY", "exclude": Exclusions(hours=[3])},
            "by the recurrence FREQ=DAILY, except in hour 3 (Europe/Berlin)",
        ),
        ({"rrule": SET}, "by a set of recurrences"),
        (
            {"any_of": [CRON, TaskSchedule(run_at="2030-01-01T10:00:00Z")]},
            "at 09:00 every day, Europe/Berlin; and at 2030-01-01 10:00:00 UTC",
        ),
        (
            {"any_of": [CRON, TaskSchedule(rrule="FREQ=DAILY")]},
            "at 09:00 every day, Europe/Berlin; and by the recurrence FREQ=DAILY",
        ),
        (
            {
                "cron_expression": "0 9 * * *",
                "exclude": Exclusions(weekdays=["sat", "sun"], dates=["2025-12-25"], hours=[3]),
            },
            "at 09:00 every day, Europe/Berlin, "
            "except on Saturday and Sunday, on 2025-12-25 and in hour 3",
        ),
    ],
    ids=str,
)
def test_describe(words: dict[str, Any], text: str) -> None:
    assert TaskSchedule(**words, timezone="Europe/Berlin").describe() == text


class TestRecurrences:
    """RFC 5545, by python-dateutil."""

    def test_a_string_counts_from_the_start(self) -> None:
        schedule = TaskSchedule(
            rrule="FREQ=MONTHLY;BYDAY=-1FR", start_after="2025-01-01T17:00", timezone="UTC"
        )
        assert said(schedule.preview(2, START)) == [
            "2025-01-31 17:00+00:00",
            "2025-02-28 17:00+00:00",
        ]

    def test_with_a_start_of_its_own(self) -> None:
        text = "DTSTART:20250110T090000Z\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE:20250111T090000Z"
        assert said(TaskSchedule(rrule=text, timezone="UTC").preview(5, START)) == [
            "2025-01-10 09:00+00:00"
        ]

    def test_an_object_of_dateutil(self) -> None:
        rule = rrules.rrule(rrules.DAILY, dtstart=datetime(2025, 1, 1, 9), count=3)
        schedule = TaskSchedule(rrule=rule, timezone="Europe/Berlin")
        assert said(schedule.preview(5, START)) == [
            f"2025-01-0{day} 09:00+01:00" for day in (1, 2, 3)
        ]
        aware = rrules.rrule(rrules.DAILY, dtstart=datetime(2025, 1, 1, 9, tzinfo=UTC), count=3)
        assert said(TaskSchedule(rrule=aware, timezone="Europe/Berlin").preview(1, START)) == [
            "2025-01-01 10:00+01:00"
        ]

    def test_a_set(self) -> None:
        rules = rrules.rruleset()
        rules.rrule(rrules.rrule(rrules.DAILY, dtstart=datetime(2025, 1, 1, 9), count=5))
        rules.rdate(datetime(2025, 1, 2, 12))
        rules.exdate(datetime(2025, 1, 3, 9))
        assert said(TaskSchedule(rrule=rules, timezone="UTC").preview(9, START)) == [
            "2025-01-01 09:00+00:00",
            "2025-01-02 09:00+00:00",
            "2025-01-02 12:00+00:00",
            "2025-01-04 09:00+00:00",
            "2025-01-05 09:00+00:00",
        ]

    def test_an_empty_one_never_runs(self) -> None:
        with pytest.raises(ValueError, match="never"):
            TaskSchedule(rrule=rrules.rruleset())

    @pytest.mark.parametrize(
        ("bound", "runs"), [("COUNT=3", 3), ("UNTIL=20250104T000000Z", 4), ("COUNT=1", 1)]
    )
    def test_ends(self, scheduler: Scheduler, clock: VirtualClock, bound: str, runs: int) -> None:
        rule = f"FREQ=DAILY;{bound}"
        task_id = scheduler.schedule("t", print, rrule=rule, start_after=START, args=())
        assert clock.run_until_idle(30 * 86_400) == runs
        assert scheduler.tasks[task_id].status == "completed"
        assert scheduler.tasks[task_id].run_count == runs

    def test_a_time_in_a_gap_is_right_after_it(self) -> None:
        schedule = TaskSchedule(
            rrule="FREQ=DAILY", start_after="2025-03-29T02:30", timezone="Europe/Berlin"
        )
        assert said(schedule.preview(3, "2025-03-29")) == [
            "2025-03-29 02:30+01:00",
            "2025-03-30 03:00+02:00",
            "2025-03-31 02:30+02:00",
        ]

    @pytest.mark.parametrize("count", [511, 512, 513, 514, 1025, 3000])
    def test_runs_beyond_what_is_computed_ahead(
        self, scheduler: Scheduler, clock: VirtualClock, count: int
    ) -> None:
        ran: list[datetime] = []
        rule = f"FREQ=MINUTELY;COUNT={count}"
        first = START + timedelta(minutes=1)
        task_id = scheduler.schedule(
            "t", lambda: ran.append(clock.now()), rrule=rule, start_after=first
        )
        clock.run_until_idle(30 * 86_400)
        assert ran == [first + timedelta(minutes=number) for number in range(count)]
        assert scheduler.tasks[task_id].status == "completed"

    def test_so_does_one_of_several(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        ran: list[datetime] = []
        schedule: dict[str, Any] = {
            "any_of": [
                TaskSchedule(rrule="FREQ=MINUTELY", start_after=START),
                TaskSchedule(cron_expression="30 * * * * *"),
            ]
        }
        scheduler.schedule("t", lambda: ran.append(clock.now()), **schedule)
        clock.advance(86_400)
        expected = TaskSchedule(**schedule).preview(3000, START)
        assert ran == [moment for moment in expected if moment <= clock.now()]
        assert len(ran) == 2 * 1440

    def test_is_foretold_beyond_that_too(self, scheduler: Scheduler) -> None:
        scheduler.schedule("t", print, rrule="FREQ=MINUTELY", start_after=START)
        assert scheduler.forecast(86_400).total == 1440

    def test_a_start_long_after_its_own(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        """More times than are computed ahead lie before it."""
        rule = rrules.rrule(rrules.DAILY, dtstart=datetime(2020, 1, 1, 9))
        schedule: dict[str, Any] = {"rrule": rule, "start_after": "2030-01-01", "timezone": "UTC"}
        expected = datetime(2030, 1, 1, 9, tzinfo=UTC)
        assert TaskSchedule(**schedule).next_after(START) == expected
        task_id = scheduler.schedule("t", clock.now, **schedule)
        assert scheduler.tasks[task_id].next_run == expected

    @pytest.mark.parametrize("misfire", ["latest", "earliest", "all", "skip"])
    def test_late_beyond_what_is_computed_ahead(
        self, scheduler: Scheduler, clock: VirtualClock, misfire: Any
    ) -> None:
        ran: list[datetime] = []
        task_id = scheduler.schedule(
            "t",
            lambda: ran.append(clock.now()),
            rrule="FREQ=MINUTELY",
            start_after=START,
            misfire=misfire,
        )
        clock.suspend(2000 * 60 + 30)
        clock.advance(30)
        info = scheduler.tasks[task_id].to_dict()
        runs = {"all": 2002, "skip": 1}.get(misfire, 2)
        assert len(ran) == info["run_count"] == runs
        assert info["missed"] == 2002 - runs
        assert info["status"] == "pending"

    def test_needs_python_dateutil(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "dateutil", None)
        with pytest.raises(UnsupportedScheduleError, match=r"num-agents-scheduler\[rrule\]"):
            TaskSchedule(rrule="FREQ=DAILY")


class Shifted(tzinfo):
    """A zone of nobody's, an hour ahead in summer."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=5, minutes=30) + self.dst(moment)

    def dst(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=int(moment is not None and 4 <= moment.month < 10))

    def tzname(self, moment: datetime | None) -> str:
        return "Shifted"


class Unhashable(Shifted):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unhashable)

    __hash__ = None  # type: ignore[assignment]  # as those of dateutil


class LikePytz(tzinfo):
    """As pytz has it: attached to a datetime as it is, it shows the local mean time of 1893."""

    zone = "Europe/Berlin"

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(minutes=53)

    def dst(self, moment: datetime | None) -> timedelta:
        return timedelta()

    def tzname(self, moment: datetime | None) -> str:
        return "LMT"

    def fromutc(self, moment: datetime) -> datetime:
        return BERLIN.fromutc(moment.replace(tzinfo=BERLIN))

    def localize(self, moment: datetime) -> NoReturn:
        raise NotImplementedError


class TestZones:
    @pytest.mark.parametrize(
        ("zone", "offsets"),
        [
            ("Europe/Berlin", (1, 2)),
            (BERLIN, (1, 2)),
            (dateutil_tz.gettz("Europe/Berlin"), (1, 2)),
            (LikePytz(), (1, 2)),
            ("Asia/Kolkata", (5.5, 5.5)),
            ("utc", (0, 0)),
            (UTC, (0, 0)),
            (dateutil_tz.UTC, (0, 0)),
            (timezone(timedelta(hours=-3, minutes=-30)), (-3.5, -3.5)),
            (timezone(timedelta(seconds=1)), (1 / 3600, 1 / 3600)),
            (dateutil_tz.tzoffset("east", 7200), (2, 2)),
            (dateutil_tz.tzstr("EST5EDT"), (-5, -4)),
            (Shifted(), (5.5, 6.5)),
            (Unhashable(), (5.5, 6.5)),
        ],
        ids=repr,
    )
    def test_of_every_kind(
        self,
        scheduler: Scheduler,
        clock: VirtualClock,
        zone: Any,
        offsets: tuple[float, float],
    ) -> None:
        schedule = TaskSchedule(cron_expression="0 9 * * *", timezone=zone)
        moments = {
            "2025-01-10T08:00": datetime(2025, 1, 10, 9, tzinfo=UTC),
            "2025-07-10T08:00": datetime(2025, 7, 10, 9, tzinfo=UTC),
        }
        for offset, (before, nine) in zip(offsets, moments.items(), strict=True):
            expected = nine - timedelta(hours=offset)
            assert schedule.next_after(before) == expected
            ran: list[datetime] = []
            clock.advance_to(expected - timedelta(hours=12))
            for word in ({"cron_expression": "0 9 * * *"}, {"run_at": nine.replace(tzinfo=None)}):
                scheduler.schedule(
                    "t", lambda ran=ran: ran.append(clock.now()), timezone=zone, max_runs=1, **word
                )
            clock.advance(86_400)
            assert ran == [expected] * 2

    def test_the_schedulers_zone_is_that_of_its_cron(self, clock: VirtualClock) -> None:
        scheduler = Scheduler(clock=clock, timezone="Asia/Tokyo")
        task_id = scheduler.schedule("t", print, cron_expression="0 9 * * *")
        assert scheduler.tasks[task_id].next_run == datetime(2025, 1, 2, tzinfo=UTC)
        there = scheduler.schedule("t", print, cron_expression="0 9 * * *", timezone="UTC")
        assert scheduler.tasks[there].next_run == datetime(2025, 1, 1, 9, tzinfo=UTC)
        part = TaskSchedule(cron_expression="0 10 * * *", timezone="Europe/Berlin")
        both = scheduler.schedule("t", print, any_of=[part, CRON])
        assert scheduler.tasks[both].next_run == datetime(2025, 1, 1, 9, tzinfo=UTC)

    def test_many_zones_are_not_kept(self) -> None:
        for minutes in range(600):
            zone = timezone(timedelta(minutes=minutes - 300))
            found = TaskSchedule(cron_expression="0 9 * * *", timezone=zone).next_after(START)
            assert found is not None
            assert (found.hour, found.minute) == (9, 0)


class TestWhatCannotBeChanged:
    """Tasks share schedules, and schedules share their words."""

    @pytest.mark.parametrize(
        ("made", "name"),
        [
            (TaskSchedule(interval=5), "interval"),
            (CalendarInterval(months=1, at="09:30", anchor="2025-01-31"), "every"),
            (Exclusions(weekdays=("sat",), dates=("2025-12-25",), hours=(1,)), "hours"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_is_neither_set_nor_deleted_and_can_be_copied(self, made: object, name: str) -> None:
        with pytest.raises(AttributeError, match="cannot be changed"):
            setattr(made, name, 7)
        with pytest.raises(AttributeError, match="cannot be changed"):
            delattr(made, name)
        assert made == copy.copy(made) == copy.deepcopy(made) == pickle.loads(pickle.dumps(made))

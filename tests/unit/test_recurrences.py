"""RFC 5545 recurrences: where they begin, where they end, and what that costs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from dateutil import rrule as rrules

from num_agents.scheduler import Exclusions, Scheduler, TaskSchedule
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FRACTIONS = ["2026-03-01T00:00:00Z", "2026-03-01T00:00:00.000001Z", "2026-03-01T00:00:00.25Z"]


def started(start: Any, zone: str = "UTC") -> tuple[VirtualClock, Scheduler, list[datetime]]:
    clock = VirtualClock(start=start, timezone=zone)
    scheduler = Scheduler(clock=clock)
    scheduler.start()
    return clock, scheduler, []


def said(rule: Any, count: int = 5, start: Any = START, **words: Any) -> list[str]:
    schedule = TaskSchedule(rrule=rule, **{"timezone": "UTC", **words})
    return [one.isoformat(" ", "minutes") for one in schedule.preview(count, start)]


class TestTheStart:
    @pytest.mark.parametrize("start", FRACTIONS)
    @pytest.mark.parametrize("rule", ["FREQ=DAILY;COUNT=3", "RRULE:FREQ=SECONDLY;COUNT=3"])
    def test_is_the_next_whole_second(self, start: str, rule: str) -> None:
        clock, scheduler, ran = started(start)
        task_id = scheduler.schedule("t", lambda: ran.append(clock.now()), rrule=rule)
        clock.advance(10 * 86_400)
        assert len(ran) == 3
        whole = START + timedelta(seconds=start != FRACTIONS[0])
        assert ran[0] == whole
        assert scheduler.tasks[task_id].status == "completed"

    @pytest.mark.parametrize("start", ["2026-03-01T09:00:00.5Z", "2026-02-01T09:00:00.5Z"])
    def test_so_is_that_of_start_after(self, start: str) -> None:
        clock, scheduler, ran = started(datetime(2026, 2, 1, tzinfo=UTC))
        scheduler.schedule(
            "t", lambda: ran.append(clock.now()), rrule="FREQ=DAILY;COUNT=3", start_after=start
        )
        clock.advance(60 * 86_400)
        first = datetime.fromisoformat(start).replace(second=1, microsecond=0)
        assert ran == [first, first + DAY, first + 2 * DAY]

    def test_once_on_the_real_clock(self) -> None:
        with Scheduler() as scheduler:
            for _ in range(3):
                task_id = scheduler.schedule("t", print, rrule="FREQ=DAILY;COUNT=1")
                scheduler.cancel_task(task_id)

    def test_in_the_second_of_two_equal_hours(self) -> None:
        clock, scheduler, ran = started("2026-11-01T06:30:00.5Z", "America/New_York")
        scheduler.schedule("t", lambda: ran.append(clock.now()), rrule="FREQ=HOURLY;COUNT=3")
        clock.advance(5 * 3600)
        assert [f"{one.astimezone(UTC):%H:%M:%S}" for one in ran] == [
            "06:30:01",
            "07:30:01",
            "08:30:01",
        ]


class TestTheEnd:
    @pytest.mark.parametrize(
        ("until", "zone", "count"),
        [
            ("20260303", "UTC", 3),
            ("20260303T090000", "UTC", 3),
            ("20260303T085959", "UTC", 2),
            ("20260303T090000Z", "UTC", 3),
            ("20260303", "America/New_York", 3),
            ("20260303T090000", "America/New_York", 3),
            ("20260303T085959", "America/New_York", 2),
            # 09:00 there is 14:00 in UTC.
            ("20260303T140000Z", "America/New_York", 3),
            ("20260303T135959Z", "America/New_York", 2),
        ],
    )
    @pytest.mark.parametrize("form", ["none", "naive", "named", "utc"])
    def test_is_read_in_the_zone_of_the_schedule(
        self, until: str, zone: str, count: int, form: str
    ) -> None:
        first = datetime(2026, 3, 1, 9, tzinfo=ZoneInfo(zone))
        rule = f"RRULE:FREQ=DAILY;UNTIL={until}"
        words: dict[str, Any] = {"timezone": zone}
        if form == "none":
            words["start_after"] = first
        elif form == "naive":
            rule = f"DTSTART:20260301T090000\n{rule}"
        elif form == "named":
            rule = f"DTSTART;TZID={zone}:20260301T090000\n{rule}"
        else:
            rule = f"DTSTART:{first.astimezone(UTC):%Y%m%dT%H%M%SZ}\n{rule}"
        expected = [(first + DAY * k).isoformat(" ", "minutes") for k in range(count)]
        assert said(rule, start=START, **words) == expected

    def test_exceptions_are_in_the_zone_of_the_rule(self) -> None:
        rule = (
            "DTSTART;TZID=America/New_York:20260301T090000\n"
            "RRULE:FREQ=DAILY;COUNT=6\n"
            "EXDATE;TZID=America/New_York:20260302T090000\n"
            "EXDATE:20260303T140000Z,20260304T140000Z\n"
            "RDATE:20260301T170000Z\n"
            "EXDATE;TZID=Europe/Paris:20260305T150000"
        )
        assert said(rule) == [
            "2026-03-01 14:00+00:00",
            "2026-03-01 17:00+00:00",
            "2026-03-06 14:00+00:00",
        ]

    def test_bad_ones_are_refused(self) -> None:
        for rule in (
            "FREQ=DAILY;UNTIL=soon",
            "FREQ=DAILY;UNTIL=20261399",
            "FREQ=NEVER",
            "",
            "DTSTART;TZID=Mars/Olympus:20260301T090000\nRRULE:FREQ=DAILY",
        ):
            with pytest.raises(ValueError, match=r"^rrule must be an RFC 5545 recurrence"):
                TaskSchedule(rrule=rule)


class TestOver:
    RULES = (
        "DTSTART:20200101T090000Z\nRRULE:FREQ=DAILY;COUNT=3",
        "DTSTART:20200101T090000Z\nRRULE:FREQ=DAILY;UNTIL=20200201",
        "DTSTART:20200101T090000\nRRULE:FREQ=MINUTELY;UNTIL=20200201",
        rrules.rrule(rrules.DAILY, count=3, dtstart=datetime(2020, 1, 1)),
    )

    @pytest.mark.parametrize("rule", RULES)
    def test_answers_none(self, rule: Any) -> None:
        for words in (
            {"rrule": rule},
            {"rrule": rule, "exclude": Exclusions(hours=[1])},
            {"any_of": [TaskSchedule(rrule=rule)]},
        ):
            schedule = TaskSchedule(timezone="UTC", **words)
            assert schedule.next_after(START) is None
            assert schedule.preview(3, start=START) == []
            assert schedule.next_after("2020-01-01T00:00Z") is not None
        both = TaskSchedule(
            any_of=[TaskSchedule(rrule=rule), TaskSchedule(cron_expression="0 9 * * *")],
            timezone="UTC",
        )
        assert len(both.preview(3, start=START)) == 3

    @pytest.mark.parametrize("rule", RULES)
    def test_is_refused_by_a_scheduler(self, rule: Any) -> None:
        _, scheduler, _ = started(START)
        with pytest.raises(ValueError, match=r"never fires|no time to come"):
            scheduler.schedule("t", print, rrule=rule)
        assert list(scheduler.tasks) == []


class TestExclusions:
    def test_hide_a_long_row_of_times(self) -> None:
        schedule = TaskSchedule(
            rrule="DTSTART:20260301T000000Z\nRRULE:FREQ=SECONDLY",
            exclude=Exclusions(hours=[0, 1]),
            timezone="UTC",
        )
        found = schedule.preview(2, START)
        assert found == [START + timedelta(hours=2), START + timedelta(hours=2, seconds=1)]
        assert schedule.next_after(START) == found[0]

    def test_of_nothing_are_described(self) -> None:
        schedule = TaskSchedule(rrule="FREQ=DAILY", exclude=Exclusions(), timezone="UTC")
        assert schedule.describe() == "by the recurrence FREQ=DAILY"

    def test_that_leave_nothing_give_none(self) -> None:
        schedule = TaskSchedule(
            rrule="FREQ=DAILY;BYHOUR=3", exclude=Exclusions(hours=[3]), timezone="UTC"
        )
        assert schedule.next_after(START) is None
        assert schedule.preview(3, START) == []


class TestCost:
    @pytest.mark.parametrize(
        ("rule", "count"),
        [
            ("DTSTART:19700101T000000Z\nRRULE:FREQ=SECONDLY", 5),
            ("DTSTART:19700101T000007Z\nRRULE:FREQ=SECONDLY;INTERVAL=7", 5),
            ("DTSTART:20200101T000000\nRRULE:FREQ=MINUTELY;INTERVAL=5", 5),
            ("DTSTART;TZID=America/New_York:19900101T000030\nRRULE:FREQ=MINUTELY", 5),
            ("DTSTART:20000101T001500Z\nRRULE:FREQ=HOURLY;INTERVAL=7", 5),
            ("DTSTART:19700101T093000Z\nRRULE:FREQ=DAILY;INTERVAL=3", 5),
            ("DTSTART:19700101T093000Z\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE", 5),
            ("DTSTART:19700101T000000Z\nRRULE:FREQ=MINUTELY;BYHOUR=9;BYDAY=MO", 5),
            ("DTSTART:19700101T000000Z\nRRULE:FREQ=HOURLY\nEXRULE:FREQ=HOURLY;INTERVAL=2", 5),
            ("DTSTART:19700101T000000Z\nRRULE:FREQ=SECONDLY;UNTIL=20990101", 5),
        ],
    )
    def test_an_old_start_costs_nothing_and_changes_nothing(self, rule: str, count: int) -> None:
        schedule = TaskSchedule(rrule=rule, timezone="UTC")
        schedule.next_after(START)
        began = time.process_time()
        found = schedule.preview(count, START)
        assert len(found) == count
        # Going through a year of minutes takes seconds.
        assert time.process_time() - began < 0.3

    @pytest.mark.parametrize(
        "rule",
        [
            "FREQ=SECONDLY;INTERVAL=97",
            "FREQ=MINUTELY;INTERVAL=11;BYHOUR=9,10",
            "FREQ=MINUTELY;INTERVAL=7;BYSECOND=5,10",
            "FREQ=HOURLY;INTERVAL=5;BYMINUTE=0,30;BYSETPOS=1",
            "FREQ=DAILY;INTERVAL=3;BYHOUR=3,4",
            "FREQ=DAILY;INTERVAL=2;BYMONTH=1,3",
            "FREQ=WEEKLY;INTERVAL=3;BYDAY=TU,SU;WKST=SU",
            "FREQ=WEEKLY;INTERVAL=3",
            "FREQ=MONTHLY;BYMONTHDAY=31",
        ],
    )
    def test_moved_starts_agree_with_dateutil(self, rule: str) -> None:
        first = datetime(2026, 1, 31, 9, 10, 11)
        theirs: Iterator[datetime] = iter(rrules.rrulestr(rule, dtstart=first))
        after = first + timedelta(days=2)
        expected = [one.replace(tzinfo=UTC) for one in islice(theirs, 20_000) if one > after][:50]
        schedule = TaskSchedule(rrule=rule, start_after=first.replace(tzinfo=UTC), timezone="UTC")
        assert schedule.preview(50, after.replace(tzinfo=UTC)) == expected
        by_object = TaskSchedule(rrule=rrules.rrulestr(rule, dtstart=first), timezone="UTC")
        assert by_object.preview(50, after.replace(tzinfo=UTC)) == expected

    def test_a_running_task_goes_on_from_an_old_start(self) -> None:
        clock, scheduler, ran = started(START)
        scheduler.schedule(
            "t",
            lambda: ran.append(clock.now()),
            rrule="DTSTART:19700101T000000Z\nRRULE:FREQ=MINUTELY",
        )
        clock.advance(1500 * 60)
        assert ran == [START + timedelta(minutes=k) for k in range(1501)]

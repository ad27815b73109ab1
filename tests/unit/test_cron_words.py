"""Words of cron expressions that crontabs of other programs use, and what is accepted with a doubt.

What they fire at is tested in the core (`rust/core/tests/calendar/expressions.rs`).
"""

from __future__ import annotations

import warnings
from datetime import datetime
from typing import Any

import pytest

from num_agents.scheduler import (
    Exclusions,
    InvalidCronError,
    Scheduler,
    ScheduleWarning,
    Task,
    TaskSchedule,
)
from num_agents.scheduler.testing import VirtualClock

#: A Friday.
START = "2026-02-20T12:00Z"


def days(expression: str, count: int, **words: Any) -> str:
    schedule = TaskSchedule(cron_expression=expression, timezone="UTC", **words)
    return " ".join(f"{one:%a%-d}" for one in schedule.preview(count, start=START))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 * * sat-sun", "Sat21 Sun22 Sat28 Sun1"),
        ("0 0 * * FRI-SUN", "Sat21 Sun22 Fri27 Sat28"),
        ("0 0 * * FRI-MON", "Sat21 Sun22 Mon23 Fri27"),
        ("0 0 * * MON-SUN", "Sat21 Sun22 Mon23 Tue24"),
        ("0 0 * * FRI-MON/2", "Sun22 Fri27 Sun1 Fri6"),
        ("0 0 1 nov-mar *", "Sun1 Sun1 Tue1 Fri1"),
        ("0 0 * * FRIL", "Fri27 Fri27 Fri24 Fri29"),
        ("0 0 * * fri#l", "Fri27 Fri27 Fri24 Fri29"),
        ("0 0 * * MONL,FRIL", "Mon23 Fri27 Fri27 Mon30"),
        ("0 0 * * thurs", "Thu26 Thu5 Thu12 Thu19"),
    ],
)
def test_words(expression: str, expected: str) -> None:
    assert days(expression, 4) == expected
    # Nothing of it is Vixie's alone.
    quartz = expression.split()
    quartz[2] = "?" if quartz[4] != "*" else quartz[2]
    quartz[4] = "?" if quartz[4] == "*" else quartz[4]
    assert days(" ".join(["0", *quartz]), 4, dialect="quartz") == expected


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 0 * * 5-1", "runs backwards"),
        ("0 0 * 11-3 *", "runs backwards"),
        ("22-6 0 * * *", "runs backwards"),
        ("0 0 * * 6-SUN", "runs backwards; at the end of a range Sunday is 7"),
        ("0 0 * * MO-FR", "names have three letters, write MON-FRI"),
        ("0 0 * * SA,SU", "names have three letters, write SAT"),
        ("0 0 * JA *", "names have three letters, write JAN"),
        ("0 0 * * fri#6", "6 is out of range 1-5"),
    ],
)
def test_what_stays_refused(expression: str, reason: str) -> None:
    with pytest.raises(InvalidCronError) as caught:
        TaskSchedule(cron_expression=expression)
    assert reason in caught.value.reason


class TestDoubts:
    @pytest.mark.parametrize(
        ("expression", "said"),
        [
            ("*/90 * * * *", "minute field, column 3: .* write `0`, or `@every 90m`"),
            ("0 */36 * * *", "hour field, column 5: .* write `0`, or `@every 36h`"),
            (
                "0 0 */40 * *",
                r"day-of-month field, .* write `1`, or use CalendarInterval\(days=40\)",
            ),
            ("*/75 * * * * *", "second field, column 3: .* write `0`, or `@every 75s`"),
        ],
    )
    def test_a_step_beyond_its_field_warns(self, expression: str, said: str) -> None:
        with pytest.warns(ScheduleWarning, match=said) as caught:
            TaskSchedule(cron_expression=expression)
        assert [one.filename for one in caught] == [__file__]

    def test_the_warning_names_the_line_of_the_caller(self) -> None:
        scheduler = Scheduler(clock=VirtualClock())
        with pytest.warns(ScheduleWarning) as caught:
            scheduler.schedule("t", print, cron_expression="*/90 * * * *")
        assert [one.filename for one in caught] == [__file__]

    def test_it_can_be_refused(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ScheduleWarning)
            with pytest.raises(ScheduleWarning):
                TaskSchedule(cron_expression="*/90 * * * *")

    def test_what_reaches_its_field_does_not_warn(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for expression in ("*/59 * * * *", "0 0 */30 * *", "5/1 * * * *", "@every 90m"):
                Task("t", print, TaskSchedule(cron_expression=expression))


def test_seconds_do_not_change_the_rule_for_daylight_saving() -> None:
    for date in ("2025-03-08T12:00Z", "2025-11-01T12:00Z"):
        for five in ("30 2 * * *", "30 1 * * *", "*/30 * * * *", "15 * * * *", "0 */2 * * *"):
            plain = TaskSchedule(cron_expression=five, timezone="America/New_York")
            expected = plain.preview(60, start=date)
            for dialect, six in (("vixie", f"0 {five}"), ("quartz", f"0 {five[:-1]}?")):
                schedule = TaskSchedule(
                    cron_expression=six,
                    timezone="America/New_York",
                    dialect=dialect,  # type: ignore[arg-type]
                )
                assert schedule.preview(60, start=date) == expected
            # A star in the seconds refines the minute.
            refined = TaskSchedule(cron_expression=f"* {five}", timezone="America/New_York")
            found = refined.preview(600, start="2025-03-09T00:00Z")
            minutes = {one.replace(second=0) for one in found}
            assert minutes <= set(plain.preview(100, start="2025-03-08T23:59Z"))


def test_names_of_days_may_be_longer_than_three_letters() -> None:
    assert Exclusions(weekdays=["thurs", "Tues"]) == Exclusions(weekdays=["thu", "tuesday"])
    with pytest.raises(ValueError, match="weekdays must be names of days"):
        Exclusions(weekdays=["th"])


def test_the_gap_is_caught_once_with_seconds() -> None:
    schedule = TaskSchedule(cron_expression="*/10 30 2 * * *", timezone="America/New_York")
    found = schedule.preview(7, start=datetime(2025, 3, 9))
    assert [str(one) for one in found[:2]] == [
        "2025-03-09 03:00:00-04:00",
        "2025-03-10 02:30:00-04:00",
    ]

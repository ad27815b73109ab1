"""Conversion of time as users say it, to nanoseconds and back."""

from __future__ import annotations

from array import array
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from num_agents.scheduler import Scheduler, Task, TaskSchedule
from num_agents.scheduler._timing import bulk, moments, spans
from num_agents.scheduler.testing import VirtualClock

SECOND = 1_000_000_000
END_OF_CALENDAR = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
FIVE_EAST = timezone(timedelta(hours=5))


class Index:
    """An integer that is no int, as NumPy's are."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class ZoneWithoutOffset(tzinfo):
    def utcoffset(self, moment: datetime | None) -> None:
        return None

    dst = utcoffset

    def tzname(self, moment: datetime | None) -> None:
        return None


class TestSpan:
    @pytest.mark.parametrize(
        ("value", "nanoseconds"),
        [
            (0, 0),
            (-0.0, 0),
            (1, SECOND),
            (1.5, 1_500_000_000),
            (0.1, 100_000_000),
            (1e-9, 1),
            (4e-10, 0),
            (Index(7), 7 * SECOND),
            (timedelta(microseconds=1), 1000),
            (timedelta(days=1), 86_400 * SECOND),
            (timedelta.max, (10**9 * 86_400 * 10**6 - 1) * 1000),
            (10**400, 10**400 * SECOND),
            (1e308, int(1e308) * SECOND),
        ],
    )
    def test_seconds_and_timedeltas(self, value: Any, nanoseconds: int) -> None:
        assert spans.span_ns(value, "delay") == nanoseconds

    @pytest.mark.parametrize("value", [5e-324, 1e-10, 4e-10])
    def test_a_positive_span_is_at_least_a_nanosecond(self, value: float) -> None:
        assert spans.span_ns(value, "interval", positive=True) == 1

    @pytest.mark.parametrize("value", [0, 0.0, -0.0, timedelta(0)])
    def test_zero_is_refused_where_it_makes_no_sense(self, value: Any) -> None:
        with pytest.raises(ValueError, match="interval must be greater than zero"):
            spans.span_ns(value, "interval", positive=True)

    @pytest.mark.parametrize("value", [True, "1", b"1", None, Fraction(1), 1j, datetime.now(UTC)])
    def test_other_types_are_refused(self, value: Any) -> None:
        with pytest.raises(TypeError, match=r"^delay must be a number of seconds"):
            spans.span_ns(value, "delay")

    @given(st.integers(0, 2**63))
    def test_whole_nanoseconds_of_a_timedelta_are_kept(self, microseconds: int) -> None:
        span = timedelta(microseconds=microseconds)
        assert spans.span_ns(span, "delay") == microseconds * 1000

    def test_a_timeout_is_never_longer_than_the_system_can_wait(self) -> None:
        assert spans.wait_s(SECOND // 2) == 0.5
        assert spans.wait_s(10**400) == spans.wait_s(10**300) < 1e11


class TestMoment:
    def test_aware_datetimes_are_exact(self) -> None:
        moment = datetime(2025, 1, 1, 5, tzinfo=FIVE_EAST)
        expected = 1_735_689_600 * SECOND
        assert moments.moment_ns(moment, "run_at", None) == expected
        assert moments.moment_ns(moment, "run_at", UTC) == expected
        assert moments.moment_ns("2025-01-01T00:00:00Z", "run_at", FIVE_EAST) == expected
        assert moments.moment_ns("2025-01-01T01:00+01:00", "run_at", None) == expected

    def test_naive_ones_are_in_the_zone_given_or_local(self) -> None:
        naive = datetime(2025, 1, 1, 12)
        ours = moments.moment_ns(naive, "run_at", FIVE_EAST)
        assert ours == moments.moment_ns(naive.replace(tzinfo=FIVE_EAST), "run_at", None)
        local = moments.moment_ns(naive, "run_at", None)
        assert local == round(naive.timestamp()) * SECOND

    def test_a_zone_that_knows_no_offset_counts_as_none(self) -> None:
        moment = datetime(2025, 1, 1, tzinfo=ZoneWithoutOffset())
        expected = moments.moment_ns("2025-01-01T00:00:00Z", "run_at", None)
        assert moments.moment_ns(moment, "run_at", UTC) == expected

    def test_the_past_begins_in_1970_and_the_future_ends_in_2554(self) -> None:
        ancient = datetime.min.replace(tzinfo=UTC)
        assert moments.moment_ns(ancient, "run_at", None) == 0
        far = moments.moment_ns(END_OF_CALENDAR, "run_at", None)
        assert far == spans.FAR_FUTURE_NS
        assert moments.to_datetime(far, UTC).year == 2554

    @given(st.datetimes(datetime(1970, 1, 2), datetime(2554, 1, 1)))
    def test_there_and_back(self, naive: datetime) -> None:
        moment = naive.replace(tzinfo=UTC)
        nanoseconds = moments.moment_ns(moment, "run_at", None)
        assert moments.to_datetime(nanoseconds, UTC) == moment

    def test_beyond_the_year_9999_is_an_overflow(self) -> None:
        now = moments.moment_ns("2025-01-01T00:00:00Z", "start", None)
        with pytest.raises(OverflowError, match=r"^delay ends beyond the year 9999"):
            spans.after_ns(now, 8000 * 366 * 86_400, "delay")
        assert spans.after_ns(now, 600 * 366 * 86_400, "delay") == spans.FAR_FUTURE_NS


class TestBulk:
    def test_a_buffer_is_passed_on_and_a_list_becomes_one(self) -> None:
        buffer = array("d", [1.0, 2.0])
        assert bulk.many_seconds(buffer, "delays") is buffer
        mixed = bulk.many_seconds([1, 2.5, timedelta(seconds=3)], "delays")
        assert list(mixed) == [1.0, 2.5, 3.0]

    def test_moments_may_be_posix_seconds(self) -> None:
        found = bulk.many_moments([1, 2.5, -3.5, -3, "1970-01-01T00:00:04Z"], "run_ats", None)
        assert list(found) == [SECOND, 2_500_000_000, 0, 0, 4 * SECOND]

    @pytest.mark.parametrize("value", [True, "x", None, float("nan"), 1e308, float("-inf")])
    def test_what_is_wrong_is_named_with_its_index(self, value: Any) -> None:
        with pytest.raises((TypeError, ValueError, OverflowError), match=r"^run_ats\[1\]"):
            bulk.many_moments([0, value], "run_ats", None)


class TestZones:
    MOMENT = "2030-01-01T00:00:00"

    def scheduled(self, scheduler: Scheduler, timezone: Any) -> datetime | None:
        task = Task("t", print, TaskSchedule(run_at=self.MOMENT, timezone=timezone))
        scheduler.schedule_task(task)
        return task.next_run

    def test_the_zone_of_the_task_goes_before_that_of_the_scheduler(self) -> None:
        scheduler = Scheduler(clock=VirtualClock(), timezone=FIVE_EAST)
        assert self.scheduled(scheduler, None) == datetime(2030, 1, 1, tzinfo=FIVE_EAST)
        assert self.scheduled(scheduler, "UTC") == datetime(2030, 1, 1, tzinfo=UTC)
        assert self.scheduled(scheduler, UTC) == datetime(2030, 1, 1, tzinfo=UTC)
        local = datetime.fromisoformat(self.MOMENT).astimezone()
        assert self.scheduled(scheduler, "local") == local

    def test_what_is_given_out_is_in_the_zone_of_the_scheduler(self) -> None:
        scheduler = Scheduler(clock=VirtualClock(), timezone=FIVE_EAST)
        assert scheduler.now().tzinfo is FIVE_EAST
        assert scheduler.now() == datetime(2025, 1, 1, tzinfo=UTC)
        default = Scheduler(clock=VirtualClock())
        assert default.now().utcoffset() == default.now().astimezone().utcoffset()

    @pytest.mark.parametrize("name", ["Asia/Kolkata", "Europe/Berlin", "Etc/GMT-5"])
    def test_by_name_as_the_object(self, name: str) -> None:
        scheduler = Scheduler(clock=VirtualClock(), timezone=FIVE_EAST)
        moment = datetime.fromisoformat(self.MOMENT).replace(tzinfo=ZoneInfo(name))
        assert self.scheduled(scheduler, name) == moment
        assert self.scheduled(scheduler, ZoneInfo(name)) == moment
        shown = Scheduler(clock=VirtualClock(), timezone=name).now()
        assert shown.tzinfo is ZoneInfo(name)

    @pytest.mark.parametrize(
        "name", ["", "Local", "Europe/Nowhere", "/etc/localtime", "../UTC", "Europe", "a\0b"]
    )
    def test_other_names_are_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"^timezone must be an IANA name, 'UTC' or 'local'"):
            Scheduler(timezone=name)
        with pytest.raises(ValueError, match=r"^timezone must be an IANA name, 'UTC' or 'local'"):
            TaskSchedule(timezone=name)

    def test_one_that_knows_no_offset_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"^timezone must know its offset"):
            Scheduler(timezone=ZoneWithoutOffset())
        with pytest.raises(ValueError, match=r"^timezone must know its offset"):
            TaskSchedule(timezone=ZoneWithoutOffset())

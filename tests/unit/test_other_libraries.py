"""Values of pendulum, NumPy and pandas, wherever a number, a span or a moment is taken.

The library knows none of them: it goes by what their classes inherit, and by protocols.
"""

from __future__ import annotations

import struct
from array import array
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import pytest

from num_agents.scheduler import (
    CalendarInterval,
    Exclusions,
    RunPolicy,
    Scheduler,
    TaskSchedule,
)
from num_agents.scheduler._timing.moments import moment_ns
from num_agents.scheduler._timing.spans import signed_span_ns, span_ns
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 3, 1, tzinfo=UTC)
PARIS_MOMENT = datetime(2027, 3, 5, 0, 2, tzinfo=UTC)


def numpy_values(name: str) -> dict[str, Any]:
    np = pytest.importorskip("numpy")
    with catch_warnings():
        # NumPy 2.5 advises against it, and still makes it.
        simplefilter("ignore", DeprecationWarning)
        without_a_unit = np.timedelta64(1)
    values: dict[str, dict[str, Any]] = {
        "spans": {
            "float64": np.float64(300),
            "float32": np.float32(300),
            "float16": np.float16(300),
            "int64": np.int64(300),
            "uint16": np.uint16(300),
            "timedelta64[m]": np.timedelta64(5, "m"),
            "timedelta64[ns]": np.timedelta64(300 * 10**9, "ns"),
            "timedelta64[ps]": np.timedelta64(300 * 10**12, "ps"),
        },
        "moments": {
            "datetime64[s]": np.datetime64("2027-03-05T00:02:00"),
            "datetime64[ns]": np.datetime64("2027-03-05T00:02:00", "ns"),
        },
        "no spans": {
            "bool": np.bool_(1),
            "nan": np.float64("nan"),
            "inf": np.float32("inf"),
            "negative": np.float64(-1),
            "negative timedelta": np.timedelta64(-1, "s"),
            "negative ns": np.timedelta64(-1, "ns"),
            "NaT": np.timedelta64("NaT", "s"),
            "months": np.timedelta64(1, "M"),
            "no unit": without_a_unit,
            "complex": np.complex128(1),
            "array": np.array([1.0, 2.0]),
            "array of one": np.array([1.0]),
            "string": np.str_("5"),
        },
        "no moments": {
            "NaT": np.datetime64("NaT", "s"),
            "number": np.float64(5),
            "array": np.array(["2027-03-05"], dtype="M8[s]"),
        },
    }
    return values[name]


def pandas_values(name: str) -> dict[str, Any]:
    pd = pytest.importorskip("pandas")
    values: dict[str, dict[str, Any]] = {
        "spans": {"Timedelta": pd.Timedelta("5min")},
        "moments": {
            "Timestamp": pd.Timestamp("2027-03-05T01:02", tz="Europe/Paris"),
            "Timestamp UTC": pd.Timestamp("2027-03-05T00:02Z"),
            "naive": pd.Timestamp("2027-03-05T00:02"),
        },
        "no spans": {
            "NaT": pd.NaT,
            "negative": pd.Timedelta("-1ns"),
            "Series": pd.Series([1.0]),
            "NA": pd.NA,
        },
        "no moments": {"NaT": pd.NaT, "Timedelta": pd.Timedelta("5min"), "NA": pd.NA},
    }
    return values[name]


def pendulum_values(name: str) -> dict[str, Any]:
    pendulum = pytest.importorskip("pendulum")
    values: dict[str, dict[str, Any]] = {
        "spans": {
            "duration": pendulum.duration(minutes=5),
            "interval": pendulum.datetime(2026, 1, 1, 0, 5) - pendulum.datetime(2026, 1, 1),
        },
        "moments": {
            "in a zone": pendulum.datetime(2027, 3, 5, 1, 2, tz="Europe/Paris"),
            "naive": pendulum.naive(2027, 3, 5, 0, 2),
            "fixed": pendulum.parse("2027-03-05T05:02+05:00"),
        },
        "no spans": {"negative": pendulum.duration(minutes=-5)},
        "no moments": {"date": pendulum.date(2027, 3, 5), "duration": pendulum.duration(days=1)},
    }
    return values[name]


LIBRARIES = (numpy_values, pandas_values, pendulum_values)


@pytest.fixture(params=LIBRARIES, ids=lambda values: values.__name__.partition("_")[0])
def values(request: pytest.FixtureRequest) -> Callable[[str], dict[str, Any]]:
    found: Callable[[str], dict[str, Any]] = request.param
    return found


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(start=START, timezone="UTC")


@pytest.fixture
def scheduler(clock: VirtualClock) -> Scheduler:
    return Scheduler(clock=clock)


class TestTaken:
    def test_spans(self, scheduler: Scheduler, values: Callable[[str], dict[str, Any]]) -> None:
        for name, span in values("spans").items():
            due = START + timedelta(minutes=5)
            task_ids = [
                scheduler.schedule("t", print, delay=span),
                scheduler.schedule("t", print, delay=span, max_runs=1, tags=["x"]),
                scheduler.schedule("t", print, interval=span, first_run="after_interval"),
                *scheduler.schedule_many("t", print, delays=[span]),
            ]
            again = scheduler.schedule("t", print, delay=1)
            scheduler.reschedule_task(again, delay=span)
            for task_id in [*task_ids, again]:
                assert scheduler.tasks[task_id].next_run == due, name
            schedule = TaskSchedule(interval=span, jitter=span, window=span)
            assert schedule.next_after(START) == due
            assert schedule == TaskSchedule(interval=span, jitter=span, window=span)
            assert "interval=" in repr(schedule)
            assert schedule.describe().startswith("every 5 minutes, up to 5 minutes later")
            assert RunPolicy(grace=span).grace is span

    def test_moments(self, scheduler: Scheduler, values: Callable[[str], dict[str, Any]]) -> None:
        for name, moment in values("moments").items():
            task_ids = [
                scheduler.schedule("t", print, run_at=moment),
                scheduler.schedule("t", print, run_at=moment, max_runs=1, tags=["x"]),
                scheduler.schedule("t", print, interval=60, start_after=moment),
                scheduler.schedule("t", print, any_of=[TaskSchedule(run_at=moment)]),
                *scheduler.schedule_many("t", print, run_ats=[moment]),
            ]
            again = scheduler.schedule("t", print, delay=1)
            scheduler.reschedule_task(again, run_at=moment)
            for task_id in [*task_ids, again]:
                assert scheduler.tasks[task_id].next_run == PARIS_MOMENT, name
            day = TaskSchedule(cron_expression="0 9 * * *", timezone="UTC", end_after=moment)
            assert day.preview(1, start=moment) == []
            day = TaskSchedule(cron_expression="0 9 * * *", timezone="UTC")
            for _ in range(2):
                assert day.next_after(moment) == PARIS_MOMENT.replace(hour=9, minute=0)
            assert TaskSchedule(run_at=moment, timezone="UTC").describe() == (
                f"once, at {moment_text(moment)}"
            )

    def test_a_clock(self, values: Callable[[str], dict[str, Any]]) -> None:
        for moment in values("moments").values():
            clock = VirtualClock(start=moment, timezone="UTC")
            assert clock.now() == PARIS_MOMENT
            for span in values("spans").values():
                before = clock.now()
                clock.advance(span)
                assert clock.now() - before == timedelta(minutes=5)


def moment_text(moment: Any) -> str:
    if getattr(moment, "tzinfo", None) is None:
        return "2027-03-05 00:02:00+00:00"
    plain = datetime.fromisoformat(moment.isoformat())
    return plain.isoformat(" ")


class TestRefused:
    def test_spans(self, scheduler: Scheduler, values: Callable[[str], dict[str, Any]]) -> None:
        for name, span in values("no spans").items():
            for argument, act in (
                ("delay", lambda span: scheduler.schedule("t", print, delay=span)),
                ("interval", lambda span: scheduler.schedule("t", print, interval=span)),
                ("jitter", lambda span: TaskSchedule(interval=1, jitter=span)),
                ("grace", lambda span: RunPolicy(grace=span)),
                ("delays", lambda span: scheduler.schedule_many("t", print, delays=[span])),
            ):
                with pytest.raises((TypeError, ValueError)) as caught:
                    act(span)
                assert argument in str(caught.value), name
        assert list(scheduler.tasks) == []

    def test_moments(self, scheduler: Scheduler, values: Callable[[str], dict[str, Any]]) -> None:
        for name, moment in values("no moments").items():
            for argument, act in (
                ("run_at", lambda moment: scheduler.schedule("t", print, run_at=moment)),
                ("start_after", lambda moment: TaskSchedule(interval=1, start_after=moment)),
                ("end_after", lambda moment: TaskSchedule(interval=1, end_after=moment)),
                ("start", lambda moment: TaskSchedule(interval=1).preview(1, start=moment)),
            ):
                with pytest.raises((TypeError, ValueError)) as caught:
                    act(moment)
                assert argument in str(caught.value), name
        assert list(scheduler.tasks) == []


def test_nanoseconds_are_kept() -> None:
    np, pd = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    assert span_ns(np.timedelta64(5, "ns"), "delay") == span_ns(pd.Timedelta("5ns"), "delay") == 5
    assert span_ns(np.timedelta64(1500, "ps"), "interval", positive=True) == 1
    with pytest.raises(ValueError, match="greater than zero"):
        span_ns(np.timedelta64(1, "ps"), "interval", positive=True)
    assert signed_span_ns(np.timedelta64(-5, "ns"), "span") == -5
    assert signed_span_ns(pd.Timedelta("-5ns"), "span") == -5
    assert signed_span_ns(np.float32(-0.5), "span") == -500_000_000
    text = "2026-03-01T00:00:00.123456789"
    expected = moment_ns("2026-03-01T00:00:00.123456Z", "run_at", None) + 789
    assert moment_ns(np.datetime64(text), "run_at", UTC) == expected
    assert moment_ns(pd.Timestamp(text), "run_at", UTC) == expected
    assert moment_ns(np.datetime64("1969-01-01", "ns"), "run_at", UTC) == 0
    assert moment_ns(np.datetime64("2026-03-01"), "run_at", UTC) == moment_ns(START, "x", UTC)


def test_long_doubles_are_numbers(scheduler: Scheduler) -> None:
    np = pytest.importorskip("numpy")
    half = np.longdouble("1.5")
    assert span_ns(half, "delay") == signed_span_ns(half, "span") == 1_500_000_000
    assert TaskSchedule(interval=half).describe() == "every 1.5 seconds"
    for word in ("delays", "run_ats"):
        words: dict[str, Any] = {word: [half]}
        (task_id,) = scheduler.schedule_many("t", print, **words)
        assert scheduler.tasks[task_id].next_run is not None
    with pytest.raises(ValueError, match="delay must be finite"):
        TaskSchedule(delay=np.longdouble("inf"))


@pytest.mark.parametrize("unit", ["Y", "D", "s"])
def test_a_moment_that_no_datetime_can_say_is_out_of_range(unit: str) -> None:
    np = pytest.importorskip("numpy")
    far = np.datetime64("10000-01-01", unit)
    with pytest.raises(OverflowError, match=r"run_at is out of range, got .*10000"):
        TaskSchedule(run_at=far)


def test_both_letters_mu_are_read() -> None:
    assert span_ns("5\u00b5s", "delay") == span_ns("5\u03bcs", "delay") == 5_000


class TestNumbers:
    def test_integers(self, scheduler: Scheduler) -> None:
        np = pytest.importorskip("numpy")
        for kind in (np.int64, np.uint8, np.int16):
            three = kind(3)
            assert RunPolicy(priority=three, catch_up_limit=three, misfire="all").priority == 3
            task_id = scheduler.schedule("t", print, priority=three)
            assert scheduler.tasks[task_id].policy.priority == 3
            assert len(TaskSchedule(interval=1, max_runs=three).preview(kind(5), START)) == 3
            assert CalendarInterval(days=three) == CalendarInterval(days=3)
            assert Exclusions(hours=np.array([1, 3], dtype=kind)) == Exclusions(hours=[1, 3])
            scheduler.schedule_many("t", print, delays=[1], priorities=[three])
        for value in (np.bool_(1), np.float64(3), np.array([1, 2])):
            with pytest.raises(TypeError, match="priority must be an integer"):
                RunPolicy(priority=value)
            with pytest.raises(TypeError, match="priority must be an integer"):
                scheduler.schedule("t", print, priority=value)
        with pytest.raises(ValueError, match="priority must be an integer from 0"):
            scheduler.schedule("t", print, priority=np.int64(256))

    def test_days_and_times_of_day(self) -> None:
        np, pendulum = pytest.importorskip("numpy"), pytest.importorskip("pendulum")
        expected = CalendarInterval(days=2, anchor=date(2026, 3, 1), at=time(9))
        for day in (np.datetime64("2026-03-01"), pendulum.date(2026, 3, 1)):
            found = CalendarInterval(days=2, anchor=day, at=pendulum.time(9))
            assert found == expected
            assert repr(found) == repr(expected)
            assert Exclusions(dates=[day]) == Exclusions(dates=["2026-03-01"])


class TestBuffers:
    HOUR = START + timedelta(hours=1)

    @pytest.mark.parametrize("order", "<>=")
    @pytest.mark.parametrize("letter", "dfhHiIqQ")
    def test_are_read_as_what_they_say(self, scheduler: Scheduler, order: str, letter: str) -> None:
        np = pytest.importorskip("numpy")
        numbers = np.frombuffer(struct.pack(f"{order}{letter}", 3600), dtype=f"{order}{letter}")
        for buffer in (numbers, memoryview(numbers)):
            if letter == "d":
                (task_id,) = scheduler.schedule_many("t", print, delays=buffer)
                assert scheduler.tasks[task_id].next_run == self.HOUR
            else:
                with pytest.raises(TypeError, match="delays must be"):
                    scheduler.schedule_many("t", print, delays=buffer)
            (task_id,) = scheduler.schedule_many("t", print, run_ats=buffer)
            assert scheduler.tasks[task_id].next_run == datetime(1970, 1, 1, 1, tzinfo=UTC)

    def test_of_this_machine_are_not_copied(self) -> None:
        from num_agents.scheduler._timing.bulk import many_seconds

        buffer = array("d", [1.0])
        assert many_seconds(buffer, "delays") is buffer

    def test_arrays_of_spans_and_moments(self, scheduler: Scheduler) -> None:
        np = pytest.importorskip("numpy")
        spans = np.array([3600, 7200], dtype="m8[s]")
        for array_of_spans in (spans, spans.astype("m8[ns]")):
            task_ids = scheduler.schedule_many("t", print, delays=array_of_spans)
            assert scheduler.tasks[task_ids[0]].next_run == self.HOUR
        moments = np.array(["2026-03-01T01:00", "2026-03-01T02:00"], dtype="M8[s]")
        for array_of_moments in (moments, moments.astype("M8[ns]")):
            task_ids = scheduler.schedule_many("t", print, run_ats=array_of_moments)
            assert scheduler.tasks[task_ids[0]].next_run == self.HOUR

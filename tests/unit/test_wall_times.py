"""Wall times that do not exist or come twice, and zones: one rule for every word that names one."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
import warnings
import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from dateutil import tz as dateutil_tz

from num_agents.scheduler import (
    CalendarInterval,
    Exclusions,
    Scheduler,
    ScheduleWarning,
    TaskSchedule,
)
from num_agents.scheduler._timing import native_zones
from num_agents.scheduler._timing.moments import aware, moment_ns
from num_agents.scheduler._timing.native_zones import CompiledZone
from num_agents.scheduler._timing.zones import zone_of
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEW_YORK = ZoneInfo("America/New_York")
#: On 8 March 2026 the clock goes from 02:00 to 03:00, on 1 November from 02:00 back to 01:00.
AFTER_GAP = datetime(2026, 3, 8, 7, tzinfo=UTC)
GAP = datetime(2026, 3, 8, 2, 30)
FOLD = datetime(2026, 11, 1, 1, 30)
FIRST_PASS = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
SECOND_PASS = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)


def nexts(start: datetime, count: int = 1, **words: Any) -> list[datetime]:
    schedule = TaskSchedule(timezone="America/New_York", **words)
    return [one.astimezone(UTC) for one in schedule.preview(count, start=start)]


def daily(at: str) -> dict[str, Any]:
    return {"calendar_interval": CalendarInterval(days=1, at=at, anchor="2026-01-01")}


class TestInAGap:
    START = datetime(2026, 3, 8, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        "words",
        [
            {"cron_expression": "30 2 * * *"},
            {"cron_expression": "0 30 2 * * *"},
            {"cron_expression": "* 30 2 * * *"},
            {"cron_expression": "*/10 30 2 * * *"},
            {"cron_expression": "0 30 2 * * ?", "dialect": "quartz"},
            daily("02:30"),
            {"rrule": "DTSTART:20260101T023000\nRRULE:FREQ=DAILY"},
            {"rrule": "DTSTART;TZID=America/New_York:20260101T023000\nRRULE:FREQ=DAILY"},
            {"run_at": GAP},
            {"run_at": GAP.replace(fold=1)},
            {"run_at": GAP.isoformat()},
            {"run_at": GAP.replace(tzinfo=NEW_YORK)},
            {"run_at": GAP.replace(tzinfo=dateutil_tz.gettz("America/New_York"))},
            {"any_of": [TaskSchedule(run_at=GAP)]},
            {"start_after": GAP},
            {"interval": 60, "start_after": GAP},
        ],
    )
    def test_it_is_right_after_the_gap(self, words: dict[str, Any]) -> None:
        assert nexts(self.START, **words) == [AFTER_GAP]

    @pytest.mark.parametrize("fold", [0, 1])
    def test_an_end_lies_right_after_the_gap(self, fold: int) -> None:
        words: dict[str, Any] = {
            "end_after": GAP.replace(fold=fold),
            "cron_expression": "* * * * *",
        }
        found = nexts(AFTER_GAP - timedelta(minutes=1), 9, **words)
        assert found == [AFTER_GAP]
        # So it holds a job of the same wall time.
        assert nexts(self.START, 9, cron_expression="30 2 * * *", end_after=GAP) == [AFTER_GAP]

    def test_exclusions_go_by_when_it_runs(self) -> None:
        job: dict[str, Any] = {"cron_expression": "30 2 * * *"}
        kept = nexts(self.START, exclude=Exclusions(hours=[2]), **job)
        dropped = nexts(self.START, exclude=Exclusions(hours=[3]), **job)
        assert kept == [AFTER_GAP]
        assert dropped == [datetime(2026, 3, 9, 6, 30, tzinfo=UTC)]

    @pytest.mark.parametrize("dst", ["skip", "wall-clock"])
    @pytest.mark.parametrize(
        "words",
        [
            {"cron_expression": "30 2 * * *"},
            {"cron_expression": "0 30 2 * * *"},
            daily("02:30"),
            {"rrule": "DTSTART:20260101T023000\nRRULE:FREQ=DAILY"},
        ],
    )
    def test_other_words_leave_it_out(self, words: dict[str, Any], dst: str) -> None:
        assert nexts(self.START, dst=dst, **words) == [datetime(2026, 3, 9, 6, 30, tzinfo=UTC)]

    @pytest.mark.parametrize("dst", ["skip", "wall-clock"])
    def test_a_moment_that_is_left_out_is_refused(self, dst: Any) -> None:
        with pytest.raises(ValueError, match=r"^run_at does not exist"):
            TaskSchedule(run_at=GAP, timezone="America/New_York", dst=dst)
        scheduler = Scheduler(timezone="America/New_York", clock=VirtualClock(start=self.START))
        with pytest.raises(ValueError, match=r"^run_at does not exist"):
            scheduler.schedule("t", print, run_at=GAP, dst=dst)
        assert list(scheduler.tasks) == []

    def test_a_moment_that_is_left_out_is_not_previewed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from num_agents.scheduler._timing import moments

        monkeypatch.setattr(moments, "local_zone", lambda: NEW_YORK)
        assert TaskSchedule(run_at=GAP).preview(1, self.START) == [AFTER_GAP]
        assert TaskSchedule(run_at=GAP, dst="skip").preview(1, self.START) == []

    def test_of_the_scheduler_too(self) -> None:
        clock = VirtualClock(start=self.START, timezone="America/New_York")
        with Scheduler(clock=clock) as scheduler:
            ran: list[datetime] = []
            scheduler.schedule("t", lambda: ran.append(clock.now()), run_at=GAP)
            scheduler.schedule_many("t", lambda: ran.append(clock.now()), run_ats=[GAP])
            clock.advance(86_400)
        assert ran == [AFTER_GAP, AFTER_GAP]


class TestSecondsInAGap:
    """A seconds field refines a minute: at the end of a gap it makes no run more."""

    @pytest.mark.parametrize(
        "words",
        [
            {"cron_expression": "17 0 2-3 * * *"},
            {"cron_expression": "17 30,0 2,3 * * *"},
            {"rrule": "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0;BYSECOND=17"},
            {"rrule": "FREQ=MINUTELY;BYHOUR=2,3;BYMINUTE=0,30;BYSECOND=17"},
            {
                "rrule": "DTSTART;TZID=America/New_York:20200101T000000\n"
                "RRULE:FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0;BYSECOND=17"
            },
        ],
    )
    def test_a_minute_that_runs_anyhow_is_not_begun_twice(self, words: dict[str, Any]) -> None:
        schedule = TaskSchedule(**words, timezone=NEW_YORK)
        (first,) = schedule.preview(1, AFTER_GAP - timedelta(minutes=1))
        assert first == AFTER_GAP + timedelta(seconds=17)

    @pytest.mark.parametrize(
        "words",
        [
            {"cron_expression": "17 1 2-3 * * *"},
            {"rrule": "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=1;BYSECOND=17"},
        ],
    )
    def test_a_minute_that_does_not_run_is_caught_up(self, words: dict[str, Any]) -> None:
        schedule = TaskSchedule(**words, timezone=NEW_YORK)
        found = schedule.preview(2, AFTER_GAP - timedelta(minutes=1))
        assert found == [AFTER_GAP, AFTER_GAP + timedelta(seconds=77)]

    def test_a_forecast_counts_the_same(self) -> None:
        clock = VirtualClock(AFTER_GAP - timedelta(hours=1), timezone=NEW_YORK)
        with Scheduler(clock=clock) as scheduler:
            scheduler.schedule("t", print, cron_expression="17,20 0 2-3 * * *")
            assert scheduler.forecast(7200, 60).total == 2

    def test_half_an_hour_of_lord_howe(self) -> None:
        zone = ZoneInfo("Australia/Lord_Howe")
        schedule = TaskSchedule(cron_expression="19 16,30 1-2 * * *", timezone=zone)
        found = schedule.preview(3, datetime(2025, 10, 5, 1, tzinfo=zone))
        assert [f"{one:%H:%M:%S}" for one in found] == ["01:16:19", "01:30:19", "02:30:19"]


class TestInAFold:
    START = datetime(2026, 11, 1, 0, tzinfo=UTC)
    DAY_AFTER = datetime(2026, 11, 2, 6, 30, tzinfo=UTC)

    @pytest.mark.parametrize(
        "words",
        [
            {"cron_expression": "30 1 * * *"},
            {"cron_expression": "0 30 1 * * *"},
            {"cron_expression": "0 30 1 * * ?", "dialect": "quartz"},
            daily("01:30"),
            {"rrule": "DTSTART:20260101T013000\nRRULE:FREQ=DAILY"},
        ],
    )
    def test_it_runs_the_first_time(self, words: dict[str, Any]) -> None:
        assert nexts(self.START, 2, **words) == [FIRST_PASS, self.DAY_AFTER]
        assert nexts(self.START, 2, dst="skip", **words) == [FIRST_PASS, self.DAY_AFTER]
        assert nexts(self.START, 2, dst="wall-clock", **words) == [FIRST_PASS, SECOND_PASS]

    @pytest.mark.parametrize("dst", ["debian", "skip", "wall-clock"])
    def test_a_moment_says_which(self, dst: str) -> None:
        assert nexts(self.START, run_at=FOLD, dst=dst) == [FIRST_PASS]
        assert nexts(self.START, run_at=FOLD.replace(fold=1), dst=dst) == [SECOND_PASS]
        inside = FOLD.replace(tzinfo=NEW_YORK, fold=1)
        assert nexts(self.START, run_at=inside, dst=dst) == [SECOND_PASS]

    @pytest.mark.parametrize(
        "words",
        [
            {"cron_expression": "*/30 * * * *"},
            {"cron_expression": "0 */30 * * * *"},
            {"rrule": "DTSTART:20260101T000000\nRRULE:FREQ=MINUTELY;INTERVAL=30"},
        ],
    )
    def test_what_goes_by_the_minute_follows_real_time(self, words: dict[str, Any]) -> None:
        found = nexts(datetime(2026, 11, 1, 4, 45, tzinfo=UTC), 6, **words)
        start = datetime(2026, 11, 1, 5, tzinfo=UTC)
        assert found == [start + timedelta(minutes=30 * step) for step in range(6)]
        found = nexts(datetime(2026, 3, 8, 5, 45, tzinfo=UTC), 6, **words)
        start = datetime(2026, 3, 8, 6, tzinfo=UTC)
        assert found == [start + timedelta(minutes=30 * step) for step in range(6)]


# ---- zones without files, and the system's -------------------------------------------------------


@pytest.fixture
def without_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that finds no zone files, and no package that has them."""

    def nothing(name: str) -> None:
        raise zoneinfo.ZoneInfoNotFoundError(name)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", nothing)


class TestWithoutZoneFiles:
    def test_zones_have_their_names(self, without_files: None) -> None:
        schedule = TaskSchedule(cron_expression="0 9 * * *", timezone="Europe/Paris")
        assert str(schedule.next_after("2026-07-01T12:00Z")) == "2026-07-02 09:00:00+02:00"
        clock = VirtualClock(start="2026-01-01T12:00", timezone="Asia/Kolkata")
        with Scheduler(clock=clock) as scheduler:
            task_id = scheduler.schedule("t", print, run_at="2026-01-01T13:00")
            assert str(scheduler.tasks[task_id].next_run) == "2026-01-01 13:00:00+05:30"
        with pytest.raises(ValueError, match="timezone must be an IANA name"):
            TaskSchedule(timezone="Europe/Atlantis")

    @pytest.mark.parametrize(
        "name", ["America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata", "UTC"]
    )
    def test_the_compiled_zone_is_the_same_as_that_of_the_files(self, name: str) -> None:
        compiled, of_files = CompiledZone(name), ZoneInfo(name)
        start = datetime(2011, 12, 1, tzinfo=UTC)
        for hours in range(0, 24 * 400, 1):
            utc = start + timedelta(hours=hours, minutes=hours % 60)
            ours, theirs = utc.astimezone(compiled), utc.astimezone(of_files)
            assert ours.replace(tzinfo=None) == theirs.replace(tzinfo=None)
            assert (ours.fold, ours.utcoffset()) == (theirs.fold, theirs.utcoffset())
            wall = theirs.replace(tzinfo=None)
            for fold in (0, 1):
                again = wall.replace(fold=fold)
                assert (
                    again.replace(tzinfo=compiled).utcoffset()
                    == again.replace(tzinfo=of_files).utcoffset()
                ), again

    def test_the_compiled_zone_can_be_pickled_and_printed(self) -> None:
        zone = CompiledZone("America/Sao_Paulo")
        assert pickle.loads(pickle.dumps(zone)) == zone
        assert len({zone, CompiledZone("America/Sao_Paulo")}) == 1
        assert str(zone) == "America/Sao_Paulo"
        assert f"{datetime(2026, 1, 1, tzinfo=zone):%Z %z}" == "-03 -0300"
        assert f"{datetime(2026, 1, 1, tzinfo=CompiledZone('Asia/Kolkata')):%Z}" == "+0530"
        assert zone.utcoffset(None) is None
        assert zone.tzname(None) == "America/Sao_Paulo"

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("Europe/Pari", "Europe/Paris"),
            ("europe/Zürich", "Europe/Zurich"),
            ("America/New York", "America/New_York"),
            ("Berlin", "Europe/Berlin"),
            ("Asia/Calcuta", "Asia/Calcutta"),
            ("Pariss", "Europe/Paris"),
            ("New York", "America/New_York"),
        ],
    )
    def test_a_mistyped_name_gets_a_hint(self, name: str, meant: str) -> None:
        with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
            zone_of(name)
        if " " not in name:
            with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
                TaskSchedule(cron_expression=f"CRON_TZ={name} 0 9 * * *")


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str | None], None]]:
    def put(name: str | None) -> None:
        if name is None:
            monkeypatch.delenv("TZ", raising=False)
        else:
            monkeypatch.setenv("TZ", name)
        time.tzset()

    yield put
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the system has no time.tzset")
class TestTheSystemsZone:
    EVENING = "2026-07-01T12:00Z"

    def local(self) -> tuple[str, str]:
        """What run_at and cron say, of the same wall time."""
        once = TaskSchedule(run_at="2026-07-02T09:00").next_after(self.EVENING)
        cron = TaskSchedule(cron_expression="0 9 * * *").next_after(self.EVENING)
        return str(once), str(cron)

    def test_follows_tzset(self, set_zone: Callable[[str | None], None]) -> None:
        old = TaskSchedule(cron_expression="0 9 * * *")
        for name, offset in (("UTC", "+00:00"), ("Asia/Tokyo", "+09:00"), ("UTC", "+00:00")):
            set_zone(name)
            assert set(self.local()) == {f"2026-07-02 09:00:00{offset}"}
            assert str(old.next_after("2026-07-01T12:00Z")).endswith(f"09:00:00{offset}")

    @pytest.mark.parametrize(
        "name",
        [
            "posix/Europe/Paris",
            "right/Europe/Paris",
            ":Europe/Paris",
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "/usr/share/zoneinfo/Europe/Paris",
        ],
    )
    def test_is_never_utc_in_silence(
        self, set_zone: Callable[[str | None], None], name: str
    ) -> None:
        set_zone(name)
        assert set(self.local()) == {"2026-07-02 09:00:00+02:00"}

    def test_a_name_without_a_file_is_of_the_compiled_database(
        self, set_zone: Callable[[str | None], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(native_zones, "_local_offset_s", lambda second: 0)
        native_zones._local_time.cache_clear()
        set_zone("Asia/Tokyo")
        assert set(self.local()) == {"2026-07-02 09:00:00+09:00"}
        native_zones._local_time.cache_clear()

    def test_a_setting_that_names_no_zone_is_said(
        self, set_zone: Callable[[str | None], None]
    ) -> None:
        set_zone("Mars/Olympus")
        native_zones._local_time.cache_clear()
        with pytest.warns(ScheduleWarning, match="TZ names no time zone.*'Mars/Olympus'"):
            TaskSchedule(cron_expression="0 9 * * *").next_after(self.EVENING)
        for name in ("UTC0", "", "UTC", "GMT", "Etc/UTC"):
            set_zone(name)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                TaskSchedule(cron_expression="0 9 * * *").next_after(self.EVENING)

    def test_moments_in_a_local_gap_and_at_the_ends(
        self, set_zone: Callable[[str | None], None]
    ) -> None:
        set_zone("America/New_York")
        for fold in (0, 1):
            assert aware(GAP.replace(fold=fold), "run_at", None) == AFTER_GAP
            assert moment_ns(GAP.replace(fold=fold), "run_at", None) == moment_ns(
                AFTER_GAP, "run_at", None
            )
        assert aware(FOLD, "run_at", None) == FIRST_PASS
        assert aware(FOLD.replace(fold=1), "run_at", None) == SECOND_PASS
        hourly = TaskSchedule(cron_expression="@hourly")
        assert hourly.next_after("9999-12-31") is None
        assert hourly.next_after("9999-12-31T23:59:59.999999") is None
        assert TaskSchedule(run_at="9999-12-31").next_after("2026-01-01") is None
        set_zone("Asia/Tokyo")
        assert hourly.next_after("0001-01-01") == datetime(1970, 1, 1, 1, tzinfo=UTC)


def test_a_process_without_zone_files_keeps_its_zone() -> None:
    """As in a slim container: neither the C library nor Python finds a file."""
    code = (
        "import sys, zoneinfo; sys.modules['tzdata'] = None; zoneinfo.reset_tzpath(to=())\n"
        "from num_agents.scheduler import TaskSchedule\n"
        "print(TaskSchedule(run_at='2026-07-02T09:00').next_after('2026-07-01T12:00Z'))\n"
        "print(TaskSchedule(cron_expression='0 9 * * *').next_after('2026-07-01T12:00Z'))\n"
    )
    environment = {**os.environ, "TZ": "Asia/Tokyo", "TZDIR": "/nowhere"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.split("\n") == ["2026-07-02 09:00:00+09:00"] * 2 + [""]

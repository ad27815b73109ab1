"""A year of a thousand schedules of every kind: each run beside what its schedule foretold."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random
from time import process_time
from typing import Any

import pytest

from num_agents.scheduler import (
    CalendarInterval,
    Exclusions,
    Scheduler,
    TaskSchedule,
    current_run,
)
from num_agents.scheduler.testing import VirtualClock

START = datetime(2025, 1, 1, tzinfo=UTC)
END = START + timedelta(days=365)
SCHEDULES = 1000
MINUTE_NS = 60_000_000_000

ZONES = [
    "UTC",
    "America/New_York",
    "Europe/London",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Antarctica/Troll",
]
TIMES = ["*/20 *", "0 9", "30 2", "30 1", "0 0", "59 23", "15 3", "*/30 2", "0 */8", "0 1-3"]
DAYS = ["* * *", "* * MON-FRI", "L * *", "15W * *", "* * 5#3", "1,15 * SUN", "31 * *", "29 2 *"]


def schedule_of(random: Random) -> dict[str, Any]:
    """A schedule of any kind, as words of `TaskSchedule`."""
    start = START + timedelta(seconds=random.randrange(1, 86_400 * 300))
    words: dict[str, Any] = {"timezone": random.choice(ZONES)}
    kind = random.choice(["cron", "cron", "cron", "calendar", "interval", "any", "once", "rrule"])
    if kind == "cron":
        words["cron_expression"] = f"{random.choice(TIMES)} {random.choice(DAYS)}"
        words["dst"] = random.choice(["debian", "skip", "wall-clock"])
    elif kind == "calendar":
        unit = random.choice(["days", "weeks", "months", "years"])
        words["calendar_interval"] = CalendarInterval(
            **{unit: random.randint(1, 3)},
            at=random.choice(["02:30", "00:00", "12:15:30"]),
            anchor=random.choice(["2024-02-29", "2025-01-31", "2025-05-05"]),
        )
    elif kind == "interval":
        words["interval"] = random.randrange(3600, 86_400 * 10) + random.random()
        words["start_after"] = start
        words["first_run"] = random.choice(["now", "after_interval", "aligned"])
    elif kind == "any":
        words["any_of"] = [
            TaskSchedule(cron_expression=f"{random.choice(TIMES)} * * {random.choice('0135')}"),
            TaskSchedule(run_at=start),
            TaskSchedule(interval=86_400 * 7 + 0.5, start_after=start),
        ]
        words["exclude"] = Exclusions(
            weekdays=random.sample(["sat", "sun", "tue"], random.randint(0, 2)),
            dates=["2025-03-30", "2025-12-25"],
            hours=random.sample(range(24), random.randint(0, 3)),
        )
    elif kind == "once":
        words["run_at"] = start
    else:
        words["rrule"] = "FREQ=WEEKLY;BYDAY=MO,TH" if random.random() < 0.5 else "FREQ=MONTHLY"
        words["start_after"] = start
    if random.random() < 0.2:
        words["jitter"] = random.randrange(1, 7200)
    if random.random() < 0.2:
        words["window"] = random.randrange(1, 7200)
    if kind != "once" and random.random() < 0.1:
        words["end_after"] = END - timedelta(seconds=random.randrange(86_400 * 100))
    if random.random() < 0.1:
        words["max_runs"] = random.randint(1, 50)
    return words


class Year:
    """The year, passed through once."""

    def __init__(self, schedules: list[dict[str, Any]]) -> None:
        self.clock = VirtualClock(START, timezone="UTC")
        #: Of each schedule its runs: nominal time, and the nanosecond on the axis.
        self.runs: list[list[tuple[datetime, int]]] = [[] for _ in schedules]
        self.digest = sha256()
        with Scheduler(clock=self.clock) as scheduler:
            for number, words in enumerate(schedules):
                scheduler.schedule(str(number), self.note, args=(number,), **words)
            self.forecast = scheduler.forecast(365 * 86_400, 86_400)
            self.clock.advance_to(END)
            self.missed = scheduler.statistics().missed

    def note(self, number: int) -> None:
        run = current_run()
        assert run is not None
        now = self.clock.native.axis_ns()
        self.runs[number].append((run.nominal_time, now))
        self.digest.update(f"{run.task_id} {run.nominal_time} {now}\n".encode())


@pytest.mark.filterwarnings("ignore:max_runs has no effect")
def test_each_run_is_one_that_was_foretold() -> None:
    random = Random(2025)
    schedules: list[dict[str, Any]] = []
    while len(schedules) < SCHEDULES:
        words = schedule_of(random)
        # One that ends before it begins, or never runs, is refused.
        with suppress(ValueError):
            if TaskSchedule(**words).preview(1, START):
                schedules.append(words)
    began = process_time()
    year = Year(schedules)
    total = 0
    for words, runs in zip(schedules, year.runs, strict=True):
        preview = TaskSchedule(**words).preview(len(runs) + 1, START)
        # In UTC: Python holds a wall time that comes twice to be equal to no other.
        expected = [moment.astimezone(UTC) for moment in preview]
        put_off = timedelta(seconds=words.get("jitter", 0) + words.get("window", 0))
        certain = [moment for moment in expected if moment <= END - put_off]
        possible = [moment for moment in expected if moment <= END]
        nominal = [moment for moment, _ in runs]
        assert nominal[: len(certain)] == certain, words
        assert nominal == possible[: len(nominal)], words
        for moment, now in runs:
            late = now - round((moment - START) / timedelta(microseconds=1)) * 1000
            late -= round(START.timestamp()) * 10**9
            # What is shown is rounded down to a microsecond.
            assert 0 <= late < put_off / timedelta(microseconds=1) * 1000 + 1000, words
        total += len(runs)
    assert year.missed == 0
    assert total > 100_000
    # Its last day ends a second before the clock does.
    assert 0 <= total - year.forecast.total <= SCHEDULES / 10
    again = Year(schedules)
    assert again.digest.digest() == year.digest.digest()
    assert again.runs == year.runs
    # CPU time: a busy machine does not change it.
    assert process_time() - began < 60

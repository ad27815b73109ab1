"""`forecast`: what a file of schedules will run, and when, without running any of it.

The schedules go into a scheduler on a virtual clock, whose forecast counts the runs but does not
say which tasks they belong to. So the clock is then moved through the time of the forecast, with
callbacks that note which schedules run in the busiest seconds.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from num_agents.scheduler.cli.arguments import add_start, count, start_of, whole_span
from num_agents.scheduler.cli.errors import CommandError, import_plot, schedule_warnings_as_notes
from num_agents.scheduler.cli.text import (
    chart,
    is_ascii_only,
    precision_of,
    table,
    wall_time,
    width_of,
)
from num_agents.scheduler.errors import ScheduleFileError, listed_faults
from num_agents.scheduler.files import parse_schedules, read_schedules
from num_agents.scheduler.forecast import LONGEST_S
from num_agents.scheduler.schedule import TaskSchedule
from num_agents.scheduler.scheduler import Scheduler
from num_agents.scheduler.task import Task
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from datetime import datetime, tzinfo

    from num_agents.scheduler.files import Entry, Schedules

STANDARD_INPUT = "-"

# The most bars of a chart.
BUCKETS_MAX = 10_000

# With more runs than this, the busiest seconds have no names: each run takes some microseconds.
RUNS_WITH_NAMES_MAX = 1_000_000

NAMES_SHOWN = 4
NAME_WIDTH = 30

SECOND = timedelta(seconds=1)
INSTANT = timedelta(microseconds=1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `forecast`."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a crontab, or, if its name ends in .toml, a list of [[schedule]] tables; - reads a"
        " crontab from standard input",
    )
    system = parser.add_mutually_exclusive_group()
    system.add_argument(
        "--system",
        action="store_true",
        default=None,
        help="the crontab names a user before each command (the default for etc/crontab and for"
        " files in cron.d)",
    )
    system.add_argument(
        "--user",
        dest="system",
        action="store_false",
        help="the crontab names no users (the default for other files)",
    )
    parser.add_argument(
        "--horizon",
        type=whole_span(at_most_s=LONGEST_S),
        default=86_400,
        metavar="SPAN",
        help="how far to look ahead: 24h (the default), 90m, 7d; a plain number is in seconds; at"
        " most 366d",
    )
    parser.add_argument(
        "--bucket",
        type=whole_span(at_most_s=LONGEST_S),
        default=3600,
        metavar="SPAN",
        help="the span of each bar, likewise (default 1h)",
    )
    add_start(parser)
    parser.add_argument(
        "--busiest",
        type=count(at_least=0, at_most=10_000),
        default=10,
        metavar="N",
        help="how many of the busiest seconds to show (default 10)",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="OUT.svg",
        help="also draw the bars; the suffix of the file gives the format",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse a file with entries that have no time to come, instead of leaving them out",
    )


def run(namespace: argparse.Namespace) -> int:
    """Run `forecast`. Arguments and files are checked before anything is scheduled.

    Returns:
        0.

    Raises:
        CommandError: The file or an argument is wrong.
    """
    if namespace.horizon / namespace.bucket > BUCKETS_MAX:
        raise CommandError(f"--bucket: more than {BUCKETS_MAX:,} bars; give a longer one")
    zone, start = start_of(namespace)
    plot = None if namespace.plot is None else import_plot(namespace.plot)
    strict = namespace.strict
    with schedule_warnings_as_notes():
        entries = read_entries(namespace.file, system=namespace.system, strict=strict)
        outlook = look_ahead(
            namespace.file,
            entries,
            zone,
            start,
            horizon=timedelta(seconds=namespace.horizon),
            bucket=timedelta(seconds=namespace.bucket),
            busiest=namespace.busiest,
            strict=strict,
        )
    if namespace.json:
        sys.stdout.write(json.dumps(outlook.as_json(), indent=2) + "\n")
    else:
        lines = outlook.as_text(ascii_only=is_ascii_only(sys.stdout), width=width_of(sys.stdout))
        sys.stdout.write("\n".join(lines) + "\n")
    if plot is not None:
        plot.draw_forecast(
            namespace.plot,
            [moment for moment, _ in outlook.buckets],
            [runs for _, runs in outlook.buckets],
            end=outlook.end,
            title=outlook.heading,
        )
    return 0


def read_entries(file: str, *, system: bool | None, strict: bool = False) -> Schedules:
    """Read a file of schedules, or standard input. Lines that are left out are reported.

    Raises:
        CommandError: It cannot be read (``FILE: reason``), lines of it are wrong
            (``FILE:LINE: reason``, one a line), or it has no schedule.
    """
    try:
        if file == STANDARD_INPUT:
            text = sys.stdin.read()
            entries = parse_schedules(text, file="<stdin>", system=system, strict=strict)
        else:
            entries = read_schedules(file, system=system, strict=strict)
    except ScheduleFileError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"<stdin>: not UTF-8: {error.reason}") from error
    report_left_out(file, entries.left_out)
    if not entries:
        name = "<stdin>" if file == STANDARD_INPUT else file
        raise CommandError(f"{name}: there is no schedule in it")
    return entries


def report_left_out(file: str, left_out: Sequence[tuple[int, str]]) -> None:
    """Say on standard error which entries are left out, and why."""
    if left_out:
        name = "<stdin>" if file == STANDARD_INPUT else file
        listed = listed_faults(name, left_out)
        sys.stderr.write(f"left out, as they have no time to come:\n{listed}\n")


@dataclass(frozen=True)
class Second:
    """One of the busiest seconds.

    Attributes:
        begin: When it begins.
        runs: How many runs fall into it.
        by_entry: The number of runs of each entry in it, in the order of the file; None if the
            forecast has too many runs to find out.
    """

    begin: datetime
    runs: int
    by_entry: Sequence[tuple[Entry, int]] | None

    def names(self) -> str:
        """The names of the entries that run in it, at most so many."""
        if self.by_entry is None:
            return "(too many runs to tell whose)"
        shown = [
            _shortened(entry.name) + (f" x{runs:,}" if runs > 1 else "")
            for entry, runs in self.by_entry[:NAMES_SHOWN]
        ]
        more = len(self.by_entry) - len(shown)
        return ", ".join(shown) + (f" and {more:,} more" if more else "")

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "second": self.begin.isoformat(),
            "runs": self.runs,
            "entries": None
            if self.by_entry is None
            else [
                {"line": entry.line, "name": entry.name, "runs": runs}
                for entry, runs in self.by_entry
            ],
        }


@dataclass(frozen=True)
class Outlook:
    """What there is to show.

    Attributes:
        title: What was looked at.
        start: From when.
        end: Until when.
        entries: How many schedules.
        total: How many runs.
        collisions: In how many seconds there is more than one.
        buckets: (start, runs) of each bucket.
        busiest: The busiest seconds, the busiest first.
    """

    title: str
    start: datetime
    end: datetime
    entries: int
    total: int
    collisions: int
    buckets: Sequence[tuple[datetime, int]]
    busiest: Sequence[Second]

    @property
    def heading(self) -> str:
        """What was looked at, and how much is in it, in a line."""
        return f"{self.title}: {_counted(self.entries, 'schedule')}, {_counted(self.total, 'run')}"

    def as_text(self, *, ascii_only: bool, width: int | None) -> list[str]:
        """Lay it out: the totals, a bar for each bucket, the busiest seconds and what runs then."""
        lines = [
            self.heading,
            f"from {wall_time(self.start)} to {wall_time(self.end)}",
            "",
            *self._chart(ascii_only=ascii_only, width=width),
        ]
        if self.busiest:
            rows = [
                [wall_time(second.begin), f"{second.runs:,}", second.names()]
                for second in self.busiest
            ]
            header = ["busiest seconds", "runs", "of"]
            lines += ["", *table(header, rows, right={1}, width=width)]
        lines += ["", f"{_counted(self.collisions, 'second')} with more than one run"]
        return lines

    def _chart(self, *, ascii_only: bool, width: int | None) -> list[str]:
        most = max((runs for _, runs in self.buckets), default=0) or 1
        precision = precision_of([moment for moment, _ in self.buckets], coarsest="minutes")
        return chart(
            [
                [wall_time(moment, precision=precision), f"{runs:,}"]
                for moment, runs in self.buckets
            ],
            [runs / most for _, runs in self.buckets],
            place=2,
            right={1},
            ascii_only=ascii_only,
            width=width,
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "title": self.title,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "schedules": self.entries,
            "total": self.total,
            "collisions": self.collisions,
            "buckets": [[moment.isoformat(), runs] for moment, runs in self.buckets],
            "busiest": [second.as_json() for second in self.busiest],
        }


def look_ahead(
    file: str,
    entries: Sequence[Entry],
    zone: tzinfo | None,
    start: datetime,
    *,
    horizon: timedelta,
    bucket: timedelta,
    busiest: int,
    strict: bool = False,
) -> Outlook:
    """Find out what schedules will run from a moment on, that moment included.

    Args:
        file: The file that they were read from.
        entries: The schedules.
        zone: The zone of those that name none; None for the system's.
        start: From when.
        horizon: For how long.
        bucket: The span of a bar.
        busiest: How many of the busiest seconds to show.
        strict: Refuse entries that are over, instead of leaving them out.

    Raises:
        CommandError: A schedule has no run to come, or the time is out of range.
    """
    try:
        # A moment earlier: what is due when it is scheduled is not due any more.
        clock = VirtualClock(start - INSTANT)
        end = (start.astimezone(UTC) + horizon).astimezone(zone)
    except (ValueError, OverflowError) as error:
        reason = str(error).partition(", got ")[0]
        raise CommandError(f"--from: {reason}, got {start.isoformat()}") from error
    runs_in: dict[datetime, Counter[int]] = {}

    def note(number: int) -> None:
        runs = runs_in.get(clock.now().replace(microsecond=0))
        if runs is not None:
            runs[number] += 1

    # Not started yet, so that nothing runs before it is counted.
    scheduler = Scheduler(clock=clock, timezone=zone, history=0)
    _schedule(scheduler, file, entries, note, clock=clock, start=start, strict=strict)
    forecast = scheduler.forecast(horizon, bucket)
    top = forecast.busiest(busiest)
    if top and forecast.total <= RUNS_WITH_NAMES_MAX:
        # In UTC: elsewhere a time that daylight saving repeats equals none of another zone.
        runs_in.update((second.astimezone(UTC), Counter()) for second, _ in top)
        with scheduler:
            clock.advance_to(max(runs_in) + SECOND)
    return Outlook(
        title="standard input" if file == STANDARD_INPUT else Path(file).name,
        start=start,
        end=end,
        entries=len(entries),
        total=forecast.total,
        collisions=forecast.collisions,
        buckets=[(moment.astimezone(zone), runs) for moment, runs in forecast.buckets],
        busiest=[
            Second(
                second.astimezone(zone),
                runs,
                None
                if (seen := runs_in.get(second.astimezone(UTC))) is None
                else [(entries[number], seen[number]) for number in sorted(seen)],
            )
            for second, runs in top
        ],
    )


def _schedule(
    scheduler: Scheduler,
    file: str,
    entries: Sequence[Entry],
    note: Callable[[int], None],
    *,
    clock: VirtualClock,
    start: datetime,
    strict: bool,
) -> None:
    """Schedule every entry, and move the clock to `start`; a run notes the number of its entry.

    Entries that are over are left out and reported.

    Raises:
        CommandError: All are over, or some are and `strict` is set; it names their lines.
    """
    faults = []

    def add(number: int, entry: Entry, schedule: TaskSchedule) -> None:
        try:
            scheduler.schedule_task(Task(entry.name, note, schedule, args=(number,)))
        except (ValueError, OverflowError) as error:
            faults.append((entry.line, str(error)))

    later = []
    for number, entry in enumerate(entries):
        if _is_anchored(entry.schedule):
            add(number, entry, entry.schedule)
        else:
            later.append((number, entry))
    clock.advance_to(start)
    for number, entry in later:
        add(number, entry, _begun(entry.schedule, start))
    if faults and (strict or len(faults) == len(entries)):
        raise CommandError(str(ScheduleFileError(file, sorted(faults))))
    report_left_out(file, sorted(faults))


def _goes_by_calendar(schedule: TaskSchedule) -> bool:
    """Whether a calendar says when, other than a recurrence, which has its start in any case."""
    return schedule.rrule is None and (
        schedule.cron_expression is not None
        or schedule.calendar_interval is not None
        or schedule.exclude is not None
        or bool(schedule.any_of)
    )


def _is_anchored(schedule: TaskSchedule) -> bool:
    """Whether a calendar has the same times whenever it is scheduled, and begins before them."""
    return _goes_by_calendar(schedule) and schedule.start_after is not None


def _begun(schedule: TaskSchedule, start: datetime) -> TaskSchedule:
    """The schedule, so that what a calendar says for `start` itself is due then."""
    if not _goes_by_calendar(schedule):
        return schedule
    return TaskSchedule(**schedule.to_dict() | {"start_after": start})


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def _shortened(name: str) -> str:
    """A name of at most `NAME_WIDTH` characters, without those that would move the cursor."""
    name = "".join(letter if letter.isprintable() else " " for letter in name)
    return name if len(name) <= NAME_WIDTH else name[: NAME_WIDTH - 3] + "..."

"""`next`: when a cron expression fires, in words and as a table of times.

The module is not called `next`: as a part of its package it would hide Python's function there.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from datetime import UTC, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from num_agents.scheduler.cli import text
from num_agents.scheduler.cli.arguments import add_start, count, start_of
from num_agents.scheduler.cli.errors import CommandError, schedule_warnings_as_notes
from num_agents.scheduler.cli.text import (
    offset,
    precision_of,
    rough_span,
    utc,
    wall_time,
    width_of,
)
from num_agents.scheduler.errors import InvalidCronError
from num_agents.scheduler.files.entries import reason_of
from num_agents.scheduler.schedule import TaskSchedule

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from datetime import datetime

COUNT_MAX = 100_000

# So much of a long expression is shown around the place that is wrong.
SHOWN_WIDTH = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `next`."""
    parser.add_argument(
        "expression",
        nargs="+",
        metavar="EXPRESSION",
        help="a cron expression: '0 9 * * MON-FRI', '@daily', '@every 5m'. In quotes, or the shell"
        " may replace each * by the names of files",
    )
    add_start(parser)
    parser.add_argument(
        "--count",
        type=count(at_least=1, at_most=COUNT_MAX),
        default=10,
        metavar="N",
        help="how many times to show (default 10)",
    )
    parser.add_argument(
        "--dialect",
        choices=("vixie", "quartz"),
        default="vixie",
        help="vixie (the default): Sunday is 0 or 7; quartz: Sunday is 1",
    )
    parser.add_argument(
        "--dst",
        choices=("debian", "skip", "wall-clock"),
        default="debian",
        help="the rule for times that daylight saving skips or repeats. debian (the default): a"
        " fixed time runs once, one with * in minute or hour follows real time; skip: a skipped"
        " time does not run; wall-clock: the same, and a repeated time runs twice",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(namespace: argparse.Namespace) -> int:
    """Run `next`.

    Returns:
        0, also if there is no time to come.

    Raises:
        CommandError: The expression or another argument is wrong.
    """
    expression = " ".join(namespace.expression)
    _, start = start_of(namespace)
    try:
        with schedule_warnings_as_notes():
            schedule = TaskSchedule(
                cron_expression=expression,
                timezone=namespace.timezone,
                dialect=namespace.dialect,
                dst=namespace.dst,
            )
    except InvalidCronError as error:
        raise CommandError(pointed_out(error) + hint(namespace.expression)) from error
    except (ValueError, OverflowError) as error:
        raise CommandError(str(error)) from error
    moments = schedule.preview(namespace.count, start)
    if namespace.json:
        report = {
            "expression": expression,
            "description": schedule.describe(),
            "from": start.isoformat(),
            "times": [moment.isoformat() for moment in moments],
        }
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
        return 0
    lines = [schedule.describe(), "", *table(moments, start, width=width_of(sys.stdout))]
    if len(moments) < namespace.count:
        lines.append(f"no time after {wall_time(moments[-1] if moments else start)}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def pointed_out(error: InvalidCronError) -> str:
    """Say what is wrong with an expression, and point at where."""
    begin = max(error.position - SHOWN_WIDTH // 2, 0)
    shown = error.expression[begin : begin + SHOWN_WIDTH]
    # Characters that move the cursor would move the caret away from its place.
    shown = "".join(letter if letter.isprintable() else " " for letter in shown)
    return f"{reason_of(error)}\n    {shown}\n    {' ' * (error.position - begin)}^"


def hint(words: Sequence[str]) -> str:
    """Say that the expression needs quotes, if the shell has replaced a part of it by files."""
    for word in words:
        # A name that is too long, or has a null character, is no file.
        with suppress(OSError, ValueError):
            if len(words) > 1 and Path(word).exists():
                return (
                    f"\n{word!r} is a file: put the expression in quotes, so that the shell does"
                    " not replace * by the names of files"
                )
    return ""


def table(moments: Sequence[datetime], start: datetime, *, width: int | None = None) -> list[str]:
    """Lay out times with their number, in UTC, and how long after `start` they are.

    A change of the offset from UTC, where daylight saving begins or ends, is marked.
    """
    if not moments:
        return []
    precision = precision_of(moments)
    rows = []
    before = offset(_beside(start, moments[0]))
    for number, moment in enumerate(moments, start=1):
        now = offset(moment)
        rows.append(
            [
                str(number),
                wall_time(moment, precision=precision),
                utc(moment, precision=precision),
                # In UTC: within one zone Python subtracts what the clock on the wall shows.
                rough_span(moment.astimezone(UTC) - start.astimezone(UTC)),
                "" if now == before else f"<- the offset was {before}",
            ]
        )
        before = now
    return text.table(["", "local time", "UTC", "in", ""], rows, right={0}, width=width)


def _beside(start: datetime, moment: datetime) -> datetime:
    """The start in the zone of a moment, with the offset that this zone has at the start."""
    zone = moment.tzinfo
    # The system's zone comes as the offset that it has at the moment, and may have had another.
    is_system = isinstance(zone, timezone) and zone != UTC
    return start.astimezone(None if is_system else zone)

"""A report as lines of text, and progress as lines. Needs nothing installed."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Literal, Self

from num_agents.scheduler.cli.bench.adapters import OURS
from num_agents.scheduler.cli.bench.summary import summary
from num_agents.scheduler.cli.bench.table import Table, caption, remarks, tables
from num_agents.scheduler.cli.text import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from num_agents.scheduler.cli.bench.report import Report, Sample

    Style = Literal["", "bold", "dim"]

# What a terminal without Unicode shows of the characters in our tables.
ASCII = str.maketrans("—µ", "-u")


class Progress:
    """A line on standard error before each sample."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, sample: Sample, done: int, total: int, left_s: float) -> None:
        """Shows which sample is next, and about how long those to come will take."""
        sys.stderr.write(f"{done + 1} of {total}, {name_of(sample)}; {about(left_s)} left\n")


def about(seconds: float) -> str:
    """A rough span: `about 20 s`, `about 5 min`, `about 1 h 20 min`."""
    minutes = round(seconds / 60)
    if minutes < 2:  # noqa: PLR2004 - the last minutes are counted in seconds
        return f"about {math.ceil(seconds / 5) * 5} s"
    hours, minutes = divmod(minutes, 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} min"


def name_of(sample: Sample) -> str:
    """Names a sample: `round 1: churn, ours`."""
    return f"round {sample.round + 1}: {sample.workload}, {sample.peer}"


def report_lines(
    report: Report, *, width: int | None, ascii_only: bool
) -> Iterator[tuple[Style, str]]:
    """Lays a report out: the machine, the tables, their notes, and remarks about peers.

    Args:
        report: The report.
        width: How many characters a line may have; None for any number.
        ascii_only: Leave out characters that are not ASCII.

    Yields:
        The style and the text of each line.
    """
    for style, line in _lines(report, width):
        yield style, line.translate(ASCII) if ascii_only else line


def _lines(report: Report, width: int | None) -> Iterator[tuple[Style, str]]:
    for line in caption(report):
        yield "", line
    for item in tables(report):
        yield from _table(item, width)
    yield from _table(summary(report), width)
    yield "", ""
    for remark in remarks(report):
        yield "dim", remark


def _table(item: Table, width: int | None) -> Iterator[tuple[Style, str]]:
    yield "", ""
    yield "bold", item.title
    right = range(1, len(item.header))
    for line in table(item.header, item.rows, right=right, width=width):
        yield "bold" if line.partition(" ")[0] == OURS else "", line
    for note in item.notes:
        yield "dim", f"  {note}"


def show(lines: Iterable[tuple[Style, str]]) -> None:
    """Prints lines without their styles."""
    for _, line in lines:
        sys.stdout.write(line + "\n")

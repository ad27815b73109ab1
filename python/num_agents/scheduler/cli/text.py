"""Plain text: bars, tables, times. Needs nothing installed.

Whatever does not fit in a narrow window becomes narrower or takes more lines. Nothing is cut off:
first the bars shrink, then each row of a table gets lines of its own.
"""

from __future__ import annotations

import os
import shutil
from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta
    from typing import TextIO

# Width of the longest bar of a histogram, in characters, where there is room for it.
BAR_WIDTH = 40

# The space between two columns.
GAP = "  "

SECONDS_PER_MINUTE = 60
SECONDS_PER_HOUR = 3_600
HOURS_PER_DAY = 24


def width_of(stream: TextIO) -> int | None:
    """How many characters a line may have: None, any number of them.

    The environment variable COLUMNS decides, and else the window if the stream is a terminal.
    """
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said):
        return int(said)
    return shutil.get_terminal_size().columns if stream.isatty() else None


def is_ascii_only(stream: TextIO) -> bool:
    """Whether a stream cannot take the characters that bars are drawn with."""
    return not (stream.encoding or "").lower().startswith("utf")


def bar(share: float, *, ascii_only: bool, width: int = BAR_WIDTH) -> str:
    """Draw `share` of the longest bar, which has `width` characters.

    A share above 0 is never drawn as nothing.
    """
    eighths = round(share * width * 8)
    if share > 0 and width:
        eighths = max(eighths, 1)
    if ascii_only:
        return "#" * -(-eighths // 8)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[rest].strip()


def columns(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """Lay rows of equal length out in columns, two spaces apart.

    Args:
        rows: The cells.
        right: The columns, from 0, that are aligned on the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        GAP.join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    width: int | None = None,
) -> list[str]:
    """Lay rows out in columns below their header, or one below the other where that is too wide.

    Args:
        header: The headings, as many as each row has cells; all empty for a table without.
        rows: The cells.
        right: The columns, from 0, that are aligned on the right.
        width: How many characters a line may have; None for any number.
    """
    if not rows:
        return []
    lines = columns([header, *rows] if any(header) else rows, right=right)
    if width is None or max(map(len, lines)) <= width:
        return lines
    lines = []
    for row in rows:
        if not any(header):
            lines += _wrapped(" ".join(filter(None, row)), width, indent="")
            continue
        lines.append(": ".join(filter(None, (header[0], row[0]))))
        cells = zip(header[1:], row[1:], strict=True)
        said = [" ".join(filter(None, pair)) for pair in cells if pair[1]]
        lines += _wrapped(", ".join(said), width, indent=GAP)
    return lines


def _wrapped(text: str, width: int, *, indent: str) -> list[str]:
    """Break a text between words, never within a figure."""
    from textwrap import wrap  # noqa: PLC0415 - slow, and rarely needed

    return wrap(
        text,
        max(width, len(indent) + 1),
        initial_indent=indent,
        subsequent_indent=indent + GAP,
        break_long_words=False,
        break_on_hyphens=False,
    )


def chart(
    rows: Sequence[Sequence[str]],
    shares: Sequence[float],
    *,
    place: int,
    right: Collection[int],
    ascii_only: bool,
    width: int | None = None,
) -> list[str]:
    """Lay rows out in columns, with a bar in each; the bars shrink to what a line has left.

    Args:
        rows: The cells without the bars.
        shares: The length of the bar in each row, from 0 to 1.
        place: The column of the bars, from 0.
        right: The columns, counted with the bars, that are aligned on the right.
        ascii_only: Draw with ASCII characters.
        width: How many characters a line may have; None for any number.
    """
    if not rows:
        return []
    longest = BAR_WIDTH
    if width is not None:
        taken = sum(max(map(len, column)) + len(GAP) for column in zip(*rows, strict=True))
        longest = max(min(longest, width - taken), 0)
    bars = [bar(share, ascii_only=ascii_only, width=longest) for share in shares]
    with_bars = [[*row[:place], one, *row[place:]] for row, one in zip(rows, bars, strict=True)]
    lines = columns(with_bars, right=right)
    # Without room for bars their column goes, with the space beside it.
    if width is None or longest:
        return lines
    left = {number - (number > place) for number in right}
    return table([""] * len(rows[0]), rows, right=left, width=width)


def offset(moment: datetime) -> str:
    """The offset of an aware moment from UTC: `+01:00`."""
    return moment.isoformat(timespec="seconds")[len("2025-01-01T00:00:00") :]


def wall_time(moment: datetime, *, precision: str = "seconds") -> str:
    """An aware moment for people: `Mon 2025-03-31 09:00:00 +02:00`.

    Args:
        moment: The moment.
        precision: As `datetime.isoformat` names it.
    """
    # Not by `strftime`: its words are those of the locale.
    weekday = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.weekday()]
    naive = moment.replace(tzinfo=None).isoformat(" ", precision)
    return f"{weekday} {naive} {offset(moment)}"


def utc(moment: datetime, *, precision: str = "seconds") -> str:
    """An aware moment in UTC, without an offset: `2025-03-31 07:00:00`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", precision)


def precision_of(moments: Sequence[datetime], *, coarsest: str = "seconds") -> str:
    """The coarsest precision, as `datetime.isoformat` names it, that tells moments apart."""
    if any(moment.microsecond for moment in moments):
        return "milliseconds"
    if any(moment.second for moment in moments):
        return "seconds"
    return coarsest


def rough_span(span: timedelta) -> str:
    """A span in its two largest units, rounded down: `3 d 13 h`."""
    seconds = span.total_seconds()
    if seconds < SECONDS_PER_MINUTE:
        return f"{seconds:g} s"
    minutes, second = divmod(int(seconds), SECONDS_PER_MINUTE)
    hours, minute = divmod(minutes, SECONDS_PER_MINUTE)
    days, hour = divmod(hours, HOURS_PER_DAY)
    parts = [(days, "d"), (hour, "h"), (minute, "min"), (second, "s")]
    while not parts[0][0]:
        del parts[0]
    return " ".join(f"{number:,} {unit}" for number, unit in parts[:2] if number)

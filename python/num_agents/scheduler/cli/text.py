"""Plain text: bars, columns, times. Needs nothing installed."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta
    from typing import TextIO

# Width of the longest bar of a histogram, in characters.
BAR_WIDTH = 40

SECONDS_PER_MINUTE = 60
SECONDS_PER_HOUR = 3_600
HOURS_PER_DAY = 24


def bar(share: float, *, ascii_only: bool) -> str:
    """Draw `share` of the longest bar; what is not nothing shows at least as a sliver."""
    eighths = round(share * BAR_WIDTH * 8)
    if share > 0:
        eighths = max(eighths, 1)
    if ascii_only:
        return "#" * -(-eighths // 8)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[rest].strip()


def is_ascii_only(stream: TextIO) -> bool:
    """Whether a stream cannot take the characters that bars are drawn with."""
    return not (stream.encoding or "").lower().startswith("utf")


def columns(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """Lay rows of equal length out in columns, two spaces apart.

    Args:
        rows: The cells.
        right: The columns, from 0, that are aligned on the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def offset(moment: datetime) -> str:
    """The offset of an aware moment to UTC: `+01:00`."""
    return moment.isoformat(timespec="seconds")[len("2025-01-01T00:00:00") :]


def wall_time(moment: datetime, *, precision: str = "seconds") -> str:
    """An aware moment for people: `Mon 2025-03-31 09:00:00 +02:00`.

    Args:
        moment: What to say.
        precision: As `datetime.isoformat` names it.
    """
    # Not by `strftime`: its words are those of the locale.
    weekday = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.weekday()]
    naive = moment.replace(tzinfo=None).isoformat(" ", precision)
    return f"{weekday} {naive} {offset(moment)}"


def utc(moment: datetime, *, precision: str = "seconds") -> str:
    """An aware moment in UTC, without saying so: `2025-03-31 07:00:00`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", precision)


def precision_of(moments: Sequence[datetime], *, coarsest: str = "seconds") -> str:
    """The coarsest precision, as `datetime.isoformat` names it, that tells moments apart."""
    if any(moment.microsecond for moment in moments):
        return "milliseconds"
    if any(moment.second for moment in moments):
        return "seconds"
    return coarsest


def rough_span(span: timedelta) -> str:
    """How long a span is, by its two greatest units, the rest left out: `3 d 13 h`."""
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

"""Argument types of the command line: each refuses what is out of bounds, and says the bounds.

Numbers may be written 1000000, 1_000_000, 1,000,000 or 1e6; spans as 90m, 1h30m, or as a number of
seconds.
"""

from __future__ import annotations

import argparse
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from num_agents.scheduler._timing.moments import aware
from num_agents.scheduler._timing.spans import parse_span_s
from num_agents.scheduler._timing.zones import zone_of
from num_agents.scheduler.cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

DAY_S = 86_400


def number(
    *, above: float | None = None, at_least: float | None = None, at_most: float | None = None
) -> Callable[[str], float]:
    """Make an argparse type: a finite number within bounds.

    Args:
        above: The number must be greater than this.
        at_least: The number must not be less than this.
        at_most: The number must not be greater than this.
    """
    bounds = [
        f"{words} {bound:,g}"
        for words, bound in (("above", above), ("at least", at_least), ("at most", at_most))
        if bound is not None
    ]
    wanted = " ".join(["a finite number", " and ".join(bounds)]).strip()

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if (
            not math.isfinite(value)
            or (above is not None and value <= above)
            or (at_least is not None and value < at_least)
            or (at_most is not None and value > at_most)
        ):
            raise argparse.ArgumentTypeError(f"must be {wanted}, not {text!r}")
        return value

    return parse


def count(*, at_least: int, at_most: int) -> Callable[[str], int]:
    """Make an argparse type: a whole number within bounds, both included.

    Args:
        at_least: The smallest number taken.
        at_most: The greatest number taken.
    """

    def parse(text: str) -> int:
        try:
            value = _whole(text)
        except (ValueError, OverflowError):
            value = at_least - 1
        if not at_least <= value <= at_most:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {at_least:,} to {at_most:,}, not {text!r}"
            )
        return value

    return parse


def _whole(text: str) -> int:
    """Read a whole number, which may have separators or an exponent.

    Raises:
        ValueError: It is none.
        OverflowError: It is infinite.
    """
    if "," in text and not re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", text.strip()):
        raise ValueError
    if "e" not in text.lower():
        return int(text.replace(",", ""))
    value = float(text)
    if not value.is_integer():
        raise ValueError
    return int(value)


def whole_span(*, at_most_s: int) -> Callable[[str], int]:
    """Make an argparse type: a span of whole seconds, as a number or with units, `24h`, `1h30m`.

    Args:
        at_most_s: The longest span taken: a number of days.
    """

    def parse(text: str) -> int:
        seconds = _seconds(text)
        if not (seconds.is_integer() and 1 <= seconds <= at_most_s):
            raise argparse.ArgumentTypeError(
                f"must be whole seconds, from 1 s to {at_most_s // DAY_S:,} days, not {text!r}"
            )
        return int(seconds)

    return parse


def _seconds(text: str) -> float:
    """Read a span."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(parse_span_s(text, "the duration"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}, or a plain number of seconds") from error


def add_start(parser: argparse.ArgumentParser) -> None:
    """Add `--timezone` and `--from`, which `start_of` reads."""
    parser.add_argument(
        "--timezone",
        metavar="ZONE",
        help="the time zone of times and schedules without a zone: an IANA name, UTC, or local"
        " (the default)",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="ISO",
        help="when to begin: a date or time in ISO-8601, in that zone unless it has an offset"
        " (default: now)",
    )


def start_of(namespace: argparse.Namespace) -> tuple[tzinfo | None, datetime]:
    """Read `--timezone` and `--from`.

    Returns:
        The zone, None for the system's, and the moment in it; by default the present second.

    Raises:
        CommandError: One of them is wrong.
    """
    try:
        zone = zone_of(namespace.timezone)
    except ValueError as error:
        raise CommandError(f"--timezone: {error}") from error
    if namespace.start is None:
        return zone, datetime.now(UTC).replace(microsecond=0).astimezone(zone)
    try:
        return zone, aware(namespace.start, "--from", zone).astimezone(zone)
    except (ValueError, OverflowError) as error:
        raise CommandError(str(error)) from error

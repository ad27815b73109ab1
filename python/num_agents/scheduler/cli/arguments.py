"""Argument types of the command line: each refuses what is out of bounds, and says the bounds."""

from __future__ import annotations

import argparse
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from num_agents.scheduler._timing.moments import aware
from num_agents.scheduler._timing.spans import parse_span_s
from num_agents.scheduler._timing.zones import zone_of
from num_agents.scheduler.cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

# The bounds of spans: a millisecond, and about 100 years.
DURATION_MIN_S = 0.001
DURATION_MAX_S = 36_525 * 86_400


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
            value = int(text)
        except ValueError:
            value = at_least - 1
        if not at_least <= value <= at_most:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {at_least:,} to {at_most:,}, not {text!r}"
            )
        return value

    return parse


def duration(text: str) -> float:
    """Take a span with units, `24h` or `1h30m`, as an argparse type; the value is seconds."""
    try:
        seconds = parse_span_s(text, "the duration")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not DURATION_MIN_S <= seconds <= DURATION_MAX_S:
        raise argparse.ArgumentTypeError(
            f"must be from 1 ms to {DURATION_MAX_S // 86_400:,} days, not {text!r}"
        )
    return seconds


def add_start(parser: argparse.ArgumentParser) -> None:
    """Add `--timezone` and `--from`, which `start_of` reads."""
    parser.add_argument(
        "--timezone",
        metavar="ZONE",
        help="an IANA name, UTC or local (the default): where nothing else says another",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="ISO",
        help="the moment to begin at, ISO-8601, in that zone unless it has an offset (default now)",
    )


def start_of(namespace: argparse.Namespace) -> tuple[tzinfo | None, datetime]:
    """Read `--timezone` and `--from`.

    Returns:
        The zone, None for the system's, and the moment in it; now is the second that goes on.

    Raises:
        CommandError: One of them is none.
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

"""Argument types of the command line: each refuses what is out of bounds, and says the bounds."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


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

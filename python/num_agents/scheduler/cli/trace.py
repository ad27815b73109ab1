"""Reading a trace of arrivals: CSV, seconds since the start in the first column.

Lines that begin with ``#`` and empty lines are skipped; one header row is allowed before the first
row. Rows need not be sorted. The whole file is read and checked before anything is scheduled, so a
malformed row never leaves a replay half done.
"""

from __future__ import annotations

import csv
import math
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The longest line accepted; without a bound a binary file might be read whole as one line.
LINE_BYTES_MAX = 65_536


@dataclass(frozen=True)
class Trace:
    """The rows of a trace, in the order of the file.

    Attributes:
        arrivals_s: Seconds since the start, finite and not negative.
        weights: The second column, finite and not negative; NaN where a row has none. Empty if the
            trace was read without it.
    """

    arrivals_s: array[float]
    weights: array[float]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.arrivals_s)


class _Rows:
    """The CSV rows of a file that are neither comments nor empty, and the line each ends on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.line = 0

    def fault(self, reason: str) -> CommandError:
        return CommandError(f"{self.path}:{max(self.line, 1)}: {reason}")

    def __iter__(self) -> Iterator[list[str]]:
        reader = csv.reader(self._lines(), strict=True)
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise self.fault(str(error)) from error
            if row is None:
                return
            yield row

    def _lines(self) -> Iterator[str]:
        with self.path.open("rb") as file:
            while line := file.readline(LINE_BYTES_MAX + 1):
                self.line += 1
                if len(line) > LINE_BYTES_MAX:
                    raise self.fault(f"longer than {LINE_BYTES_MAX:,} bytes")
                try:
                    text = line.decode("utf-8-sig" if self.line == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise self.fault(f"not UTF-8: {error.reason}") from error
                if text.strip() and not text.startswith("#"):
                    yield text


def read_trace(path: Path, *, weights: bool = False) -> Trace:
    """Read a trace.

    Args:
        path: The CSV file.
        weights: Also read the second column where there is one.

    Raises:
        CommandError: The file cannot be read (``FILE: reason``), has no rows, or a row is malformed
            (``FILE:LINE: reason``).
    """
    rows = _Rows(path)
    trace = Trace(array("d"), array("d"))
    header_allowed = True
    try:
        for row in rows:
            if not (header_allowed and _is_header(row)):
                trace.arrivals_s.append(_number(rows, "arrival", row[0]))
                if weights:
                    weight = row[1] if len(row) > 1 else ""
                    trace.weights.append(
                        _number(rows, "second column", weight) if weight.strip() else math.nan
                    )
            header_allowed = False
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    if not trace.arrivals_s:
        raise rows.fault("no rows" if rows.line else "the file is empty")
    return trace


def _is_header(row: list[str]) -> bool:
    """Whether the first row names columns: it begins with a word that is not a number."""
    word = row[0].strip()
    try:
        float(word)
    except ValueError:
        return word[:1].isalpha() or word[:1] == "_"
    return False


def _number(rows: _Rows, column: str, text: str) -> float:
    try:
        # `float` accepts Python's digit separators; in a CSV file they are more likely an error.
        value = float(text) if "_" not in text else None
    except ValueError:
        value = None
    if value is None:
        raise rows.fault(f"{column} is not a number: {text!r}")
    if not math.isfinite(value):
        raise rows.fault(f"{column} is not finite: {text!r}")
    if value < 0:
        raise rows.fault(f"{column} is negative: {text!r}")
    return value

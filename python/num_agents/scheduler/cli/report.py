"""The report of `demo` and `replay`: its figures and their arithmetic."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NS_PER_MS = 1_000_000

# Bounds of a histogram's bins: 0, then 1, 2, 5, 10, ... µs, past the greatest 64-bit number.
_BOUNDS_NS = (0, *(step * 10**decade for decade in range(3, 20) for step in (1, 2, 5)))


class EngineHistogram(Protocol):
    """The part of the engine's lateness histogram that a report reads."""

    @property
    def count(self) -> int:
        """Number of values."""
        ...

    @property
    def max_ns(self) -> int:
        """The greatest value."""
        ...

    def quantile_ns(self, quantile: float, /) -> int:
        """The value that a share `quantile` of them do not exceed."""
        ...

    def buckets(self) -> Sequence[tuple[int, int, int]]:
        """(lower, upper, count) of the buckets that are not empty, ascending."""
        ...


@dataclass(frozen=True)
class Bin:
    """One bar of a histogram: `count` values in [lower_ns, upper_ns)."""

    lower_ns: int
    upper_ns: int
    count: int


@dataclass(frozen=True)
class Lateness:
    """How late tasks started.

    Attributes:
        count: Number of starts.
        p50_ns: The median.
        p99_ns: The 99th percentile: 99 of 100 starts were no later.
        max_ns: The latest.
        bins: Histogram with bounds 1, 2, 5, 10, ... µs.
    """

    count: int
    p50_ns: int
    p99_ns: int
    max_ns: int
    bins: tuple[Bin, ...]

    @classmethod
    def of_engine(cls, histogram: EngineHistogram) -> Lateness:
        """Take it from the engine's histogram.

        Each of the engine's narrow buckets goes whole into the bin that its middle is in.
        """
        if not histogram.count:
            return cls.of_samples(())
        return cls(
            count=histogram.count,
            p50_ns=histogram.quantile_ns(0.5),
            p99_ns=histogram.quantile_ns(0.99),
            max_ns=histogram.max_ns,
            bins=to_bins(
                ((lower + upper) // 2, count) for lower, upper, count in histogram.buckets()
            ),
        )

    @classmethod
    def of_samples(cls, lateness_ns: Iterable[int]) -> Lateness:
        """Take it from single values; a negative one (an early start) counts as 0 in the bins."""
        ordered = sorted(lateness_ns)
        if not ordered:
            return cls(0, 0, 0, 0, ())
        return cls(
            count=len(ordered),
            p50_ns=quantile(ordered, 0.5),
            p99_ns=quantile(ordered, 0.99),
            max_ns=ordered[-1],
            bins=to_bins((value, 1) for value in ordered),
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {
            "count": self.count,
            "p50_ns": self.p50_ns,
            "p99_ns": self.p99_ns,
            "max_ns": self.max_ns,
            "histogram_ns": [[each.lower_ns, each.upper_ns, each.count] for each in self.bins],
        }


def quantile(ordered: Sequence[int], share: float) -> int:
    """Return the smallest value that at least `share` of them do not exceed (nearest rank).

    Args:
        ordered: Values in ascending order, at least one.
        share: Above 0, at most 1.
    """
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def to_bins(values: Iterable[tuple[int, int]]) -> tuple[Bin, ...]:
    """Sort (nanoseconds, count) pairs into bins, from the first that is not empty to the last."""
    counts: dict[int, int] = {}
    for value_ns, count in values:
        if count:
            position = _bin_position(value_ns)
            counts[position] = counts.get(position, 0) + count
    if not counts:
        return ()
    return tuple(
        Bin(_BOUNDS_NS[position], _BOUNDS_NS[position + 1], counts.get(position, 0))
        for position in range(min(counts), max(counts) + 1)
    )


def _bin_position(value_ns: int) -> int:
    return max(bisect.bisect_right(_BOUNDS_NS, value_ns) - 1, 0)


@dataclass(frozen=True)
class Promise:
    """A promise of the scheduler, and how often it was broken.

    Attributes:
        name: What must not happen: a row of the table and, with underscores, a JSON key.
        broken: How many times it happened.
        checked: What was checked, in words.
    """

    name: str
    broken: int
    checked: str


def failures(completed: int, failed: int) -> Promise:
    """Return the promise that no run failed: the commands' own callbacks raise nothing."""
    return Promise("failed", failed, f"{completed + failed:,} by the engine's count")


def miscounts(started: int, completed: int, failed: int) -> Promise:
    """Return the promise that the engine counts as many runs as the callbacks do."""
    return Promise("miscounted", abs(started - completed - failed), f"{started:,} runs")


@dataclass(frozen=True)
class Figure:
    """A measured value.

    Attributes:
        name: What was measured.
        value: The number; None if this system cannot measure it.
        unit: The unit, at the end of the JSON key.
        note: A remark for the reader.
    """

    name: str
    value: float | None
    unit: str
    note: str = ""


@dataclass(frozen=True)
class Report:
    """The results of a command.

    Attributes:
        command: The command's name.
        title: What was done, in one line.
        figures: What was measured, in the order of the table.
        promises: The promises that were checked.
        lateness: Measured by the engine for all tasks, when it hands them to a worker.
        lateness_in_callbacks: Measured by the callbacks, from the lower bound of the due time.
        warnings: Reasons why the figures may mislead.
    """

    command: str
    title: str
    figures: tuple[Figure, ...]
    promises: tuple[Promise, ...]
    lateness: Lateness
    lateness_in_callbacks: Lateness
    warnings: tuple[str, ...] = field(default=())

    @property
    def held(self) -> bool:
        """Whether every promise held."""
        return not any(promise.broken for promise in self.promises)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON types; keys end in their unit, counts have none."""
        return {
            "command": self.command,
            "title": self.title,
            "held": self.held,
            "figures": {
                "_".join([*each.name.split(), *each.unit.split()]): each.value
                for each in self.figures
            },
            "promises": {
                "_".join(each.name.split()): {"broken": each.broken, "checked": each.checked}
                for each in self.promises
            },
            "lateness": self.lateness.as_json(),
            "lateness_in_callbacks": self.lateness_in_callbacks.as_json(),
            "warnings": list(self.warnings),
        }

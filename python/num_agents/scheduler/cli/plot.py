"""`--plot`: draws lateness and arrivals of `replay`, and the runs to come of `forecast`.

The only importer of matplotlib.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from num_agents.scheduler.cli.errors import CommandError
from num_agents.scheduler.cli.report import NS_PER_MS, quantile
from num_agents.scheduler.cli.watch import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from num_agents.scheduler.cli.recorder import Findings

# Into how many windows both panels divide the time.
WINDOWS = 120

# More points than this are drawn as one bitmap: as shapes they would make an SVG of many megabytes.
POINTS_AS_SHAPES_MAX = 2_000

# The shortest time axis, for a replay whose rows all arrive at once.
WIDTH_MIN_S = 0.1

# The least that the logarithmic axis shows.
LATENESS_MIN_MS = 1e-3


def check(path: Path) -> None:
    """Make sure that a plot can be written to `path`, without leaving anything there.

    Raises:
        CommandError: It cannot; the message says why.
    """
    suffix = path.suffix.removeprefix(".").lower()
    formats = Figure().canvas.get_supported_filetypes()
    if suffix not in formats:
        raise CommandError(f"{path}: not a plot format; use one of {', '.join(sorted(formats))}")
    try:
        try:
            with path.open("xb"):
                pass
            path.unlink()
        except FileExistsError:
            with path.open("r+b"):
                pass
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


def draw(path: Path, findings: Findings, *, start_ns: int, title: str) -> None:
    """Draw the replay.

    Args:
        path: Where to; its suffix gives the format.
        findings: What the recorder found.
        start_ns: When the replay's time is 0, by the recorder's clock.
        title: What was replayed.

    Raises:
        CommandError: The file cannot be written after all.
    """
    pairs = sorted(
        ((began_ns - late_ns - start_ns) / NS_PER_S, late_ns)
        for began_ns, late_ns in zip(findings.started_ns, findings.lateness_ns, strict=True)
    )
    due_s = [due for due, _ in pairs]
    late_ms = [_ms(late_ns) for _, late_ns in pairs]
    windows = _windows(pairs)

    figure = Figure(figsize=(9, 6), layout="constrained")
    lateness, arrivals = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    lateness.set_title(title, loc="left")
    lateness.scatter(
        due_s,
        late_ms,
        s=5,
        alpha=0.3,
        linewidths=0,
        color="tab:blue",
        label="each start",
        rasterized=len(pairs) > POINTS_AS_SHAPES_MAX,
    )
    centres_s = [(window.begin_s + window.end_s) / 2 for window in windows]
    for share, colour in ((0.5, "black"), (0.99, "tab:red")):
        levels_ms = [
            _ms(quantile(window.lateness_ns, share)) if window.lateness_ns else math.nan
            for window in windows
        ]
        label = "median" if share == 0.5 else f"{share:.0%} below"  # noqa: PLR2004 - the median
        lateness.plot(centres_s, levels_ms, color=colour, linewidth=1, label=label)
    lateness.set_yscale("log")
    lateness.set_ylabel("lateness, ms")
    lateness.grid(visible=True, which="major", alpha=0.3)
    lateness.yaxis.set_major_formatter("{x:g}")
    lateness.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, markerscale=3)
    arrivals.stairs(
        [len(window.lateness_ns) / (window.end_s - window.begin_s) for window in windows],
        [windows[0].begin_s, *(window.end_s for window in windows)],
        fill=True,
        color="tab:grey",
    )
    arrivals.set_ylabel("arrivals per second")
    arrivals.yaxis.set_major_formatter("{x:,.0f}")
    arrivals.set_xlabel("seconds since the start of the replay")
    arrivals.grid(visible=True, alpha=0.3)
    _save(figure, path)


def draw_forecast(
    path: Path, starts: Sequence[datetime], counts: Sequence[int], *, end: datetime, title: str
) -> None:
    """Draw how many runs fall into each bucket.

    Args:
        path: Where to; its suffix gives the format.
        starts: When each bucket begins, in the zone of the axis; at least one.
        counts: The runs in each.
        end: When the last bucket ends.
        title: What was looked at.

    Raises:
        CommandError: The file cannot be written after all.
    """
    zone = end.tzinfo
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left")
    # matplotlib leaves the functions of its module for dates without types.
    edges = date2num([*starts, end])  # type: ignore[no-untyped-call]
    axes.stairs(counts, edges, fill=True)
    axes.margins(x=0)
    locator = AutoDateLocator(tz=zone)  # type: ignore[no-untyped-call]
    formatter = ConciseDateFormatter(locator, tz=zone)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylabel("runs")
    axes.grid(visible=True, alpha=0.3)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


@dataclass(frozen=True)
class _Window:
    """A part of the replay, and the lateness of what was due in it, in ascending order."""

    begin_s: float
    end_s: float
    lateness_ns: list[int]


def _windows(pairs: Sequence[tuple[float, int]]) -> list[_Window]:
    """Divide the replay into windows of equal length.

    Args:
        pairs: Seconds from the start to when a run was due, and its lateness in nanoseconds.
    """
    width_s = max(max((due_s for due_s, _ in pairs), default=0.0), WIDTH_MIN_S) / WINDOWS
    members: list[list[int]] = [[] for _ in range(WINDOWS)]
    for due_s, late_ns in pairs:
        # The last arrival closes the last window; rounding may put the first one before 0.
        members[min(max(int(due_s / width_s), 0), WINDOWS - 1)].append(late_ns)
    return [
        _Window(index * width_s, (index + 1) * width_s, sorted(values))
        for index, values in enumerate(members)
    ]


def _ms(value_ns: int) -> float:
    return max(value_ns / NS_PER_MS, LATENESS_MIN_MS)

"""A report as a picture: one panel a workload, one bar a peer. The only importer of matplotlib."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from num_agents.scheduler.cli.bench.adapters import OURS
from num_agents.scheduler.cli.bench.report import Report, Summary, summarize
from num_agents.scheduler.cli.bench.table import caption, count, number
from num_agents.scheduler.cli.bench.workloads import WORKLOADS, Metric, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What a reader asks first comes first; the workloads left out are variants of these.
PANELS = {
    "schedule": "Schedule",
    "cancel": "Cancel, random order",
    "fire": "Run what is due",
    "churn": "Schedule and cancel at once",
    "memory": "Memory while pending",
    "collection": "Full garbage collection",
    "lateness": "Lateness, 1,000 tasks a second",
    "recurring": "Recurring each second",
}
COLUMNS = 2
WIDTH_IN = 11.0
PANEL_HEIGHT_IN = 2.2
CAPTION_LINE_IN = 0.165
CAPTION_WIDTH = 165

OUR_COLOUR = "#0b7a75"
THEIR_COLOUR = "#b8c0c8"
INK = "#1f2933"
FAINT_INK = "#5b6770"

# Beyond this ratio the shortest bar of a linear axis is a sliver.
LINEAR_RATIO = 12.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One peer's figure in one panel."""

    peer: str
    summary: Summary
    tasks: int


def _bar(report: Report, workload: Workload, metric: Metric, peer: str) -> Bar | None:
    """The peer's figure at the largest size at which it was measured."""
    for size in reversed(report.sizes(workload.name)):
        samples = report.select(workload.name, size, peer)
        summary = summarize(samples, metric.name)
        if summary is not None:
            return Bar(peer, summary, samples[0].tasks)
    return None


def _bars(report: Report, workload: Workload, metric: Metric) -> list[Bar]:
    """Every peer's figure, the best last: the axis grows upwards."""
    found = (_bar(report, workload, metric, peer.name) for peer in report.peers)
    bars = [bar for bar in found if bar is not None and bar.summary.median > 0]
    return sorted(bars, key=lambda bar: bar.summary.median, reverse=metric.better == "lower")


def _draw_panel(axes: Any, report: Report, workload: Workload) -> None:
    metric = workload.metrics[0]
    bars = _bars(report, workload, metric)
    size = report.sizes(workload.name)[-1]
    medians = [bar.summary.median for bar in bars]
    logarithmic = bool(medians) and max(medians) > LINEAR_RATIO * min(medians)
    # Bars of a logarithmic axis have no natural foot; a common one keeps their ends comparable.
    foot = min(medians) / 4 if logarithmic else 0.0
    for position, bar in enumerate(bars):
        ours = bar.peer == OURS
        axes.barh(
            position,
            bar.summary.median - foot,
            left=foot,
            height=0.72,
            color=OUR_COLOUR if ours else THEIR_COLOUR,
        )
        axes.plot(
            [bar.summary.minimum, bar.summary.maximum], [position] * 2, color=INK, linewidth=1.1
        )
        label = number(bar.summary.median)
        if bar.tasks != size:
            label += f" (at {count(bar.tasks)})"
        axes.annotate(
            label,
            (max(bar.summary.median, bar.summary.maximum), position),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=INK,
            fontweight="bold" if ours else "normal",
        )
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(foot, max(medians) * 15)
        axes.minorticks_off()
    elif medians:
        axes.set_xlim(0, max(bar.summary.maximum for bar in bars) * 1.3)
    # After the scale: setting that puts the axis's own formatter back.
    _dress(axes, [bar.peer for bar in bars])
    scale = ", log scale" if logarithmic else ""
    axes.set_title(
        f"{PANELS[workload.name]}: {count(size)} {workload.counted}",
        loc="left",
        fontsize=10,
        fontweight="bold",
        color=INK,
        pad=16,
    )
    axes.text(
        0,
        1.02,
        f"{metric.title}, {metric.unit}; {metric.better} is better{scale}",
        transform=axes.transAxes,
        fontsize=8.5,
        color=FAINT_INK,
        va="bottom",
    )


def short(value: float) -> str:
    """The number at a tick: 0.1, 10, 10 k, 10 M."""
    return count(int(value)) if value == int(value) else f"{value:g}"


def _dress(axes: Any, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=9)
    for tick in axes.get_yticklabels():
        ours = tick.get_text() == OURS
        tick.set_color(OUR_COLOUR if ours else INK)
        tick.set_fontweight("bold" if ours else "normal")
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
    axes.tick_params(axis="x", which="both", labelsize=8, colors=FAINT_INK, length=2)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(THEIR_COLOUR)


def _caption(report: Report) -> Iterator[str]:
    for line in caption(report):
        yield from textwrap.wrap(line, CAPTION_WIDTH)
    pending = {count(size) for size in report.sizes("lateness")}
    notes = "Line on each bar: least to greatest sample."
    if pending:
        notes += f" Lateness: with {', '.join(sorted(pending))} other tasks pending."
    notes += " In colour: this project. heapq: a bare list of tuples, not a scheduler."
    yield from textwrap.wrap(notes, CAPTION_WIDTH)


def draw(report: Report, path: Path) -> None:
    """Draws the report; the suffix of `path` says the format."""
    # No date and fixed ids: the same report makes the same file.
    mpl.rcParams["svg.hashsalt"] = "versus"
    mpl.rcParams["font.family"] = "sans-serif"
    names = [name for name in PANELS if report.sizes(name)]
    rows = -(-len(names) // COLUMNS)
    lines = list(_caption(report))
    foot_in = 0.35 + CAPTION_LINE_IN * len(lines)
    height_in = PANEL_HEIGHT_IN * rows + foot_in
    # A page of the colour of paper, so that it reads the same on a dark page.
    figure = Figure(figsize=(WIDTH_IN, height_in), facecolor="white")
    grid = figure.add_gridspec(
        rows,
        COLUMNS,
        left=0.165,
        right=0.985,
        top=1 - 0.55 / height_in,
        bottom=(foot_in + 0.1) / height_in,
        hspace=0.62,
        wspace=0.47,
    )
    for index, name in enumerate(names):
        axes = figure.add_subplot(grid[index // COLUMNS, index % COLUMNS])
        _draw_panel(axes, report, WORKLOADS[name])
    figure.text(
        0.012,
        0.12 / height_in,
        "\n".join(lines),
        fontsize=8,
        color=FAINT_INK,
        va="bottom",
        linespacing=1.35,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, metadata=metadata, dpi=144)

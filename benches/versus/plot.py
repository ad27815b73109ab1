"""A report as pictures: one panel a figure, one bar a peer."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from benches.versus.style import (
    COLOURS,
    FAINT_INK,
    INK,
    OUR_COLOUR,
    THEIR_COLOUR,
    bare_axes,
    save,
    short,
)
from num_agents.scheduler.cli.bench.adapters import BEFORE, OURS
from num_agents.scheduler.cli.bench.report import Report, Summary, summarize
from num_agents.scheduler.cli.bench.table import caption, count, number
from num_agents.scheduler.cli.bench.workloads import WORKLOADS, Metric, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Panel:
    """A figure that is drawn."""

    workload_name: str
    title: str
    metric_name: str | None = None
    """None: the first of its metrics."""

    @property
    def workload(self) -> Workload:
        return WORKLOADS[self.workload_name]

    @property
    def metric(self) -> Metric:
        metrics = {metric.name: metric for metric in self.workload.metrics}
        return metrics.get(self.metric_name or "", self.workload.metrics[0])


BYTES = "bytes_per_task"
TOPICS: dict[str, tuple[Panel, ...]] = {
    # What a reader asks first comes first; the workloads left out are variants of these.
    "versus": (
        Panel("schedule", "Schedule"),
        Panel("cancel", "Cancel, random order"),
        Panel("fire", "Run what is due"),
        Panel("fire_awaited", "Run what is due, somebody waiting"),
        Panel("churn", "Schedule and cancel at once"),
        Panel("lateness", "Lateness, 1,000 tasks a second"),
        Panel("recurring", "Recurring at one moment of each second"),
        Panel("recurring_spread", "Recurring, spread over each second"),
        Panel("recurring_slack", "Recurring, spread, up to 1 ms late"),
        Panel("collection", "Full garbage collection"),
        Panel("memory", "Memory while pending"),
        Panel("memory_cancelled", "Memory left after cancelling all"),
    ),
    "options": (
        Panel("schedule_named", "Schedule, a name each"),
        Panel("schedule_method", "Schedule a bound method"),
        Panel("schedule_kwargs", "Schedule with kwargs"),
        Panel("schedule_kwargs", "Memory with kwargs", BYTES),
        Panel("schedule_tags", "Schedule with tags"),
        Panel("schedule_moment", "Schedule at a moment"),
        Panel("schedule_interval", "Schedule by interval"),
        Panel("schedule_interval", "Memory of an interval", BYTES),
        Panel("schedule_cron", "Schedule by cron"),
        Panel("schedule_cron", "Memory of a cron task", BYTES),
        Panel("schedule_all", "Schedule with all options"),
        Panel("schedule_all", "Memory with all options", BYTES),
        Panel("collection_recurring", "Full garbage collection, all options"),
        Panel("recurring_minute", "Recurring each minute, kwargs and tags", "cpu_us_per_run"),
    ),
}
COLUMNS = 2
WIDTH_IN = 11.0
PANEL_HEIGHT_IN = 2.4
CAPTION_LINE_IN = 0.165
CAPTION_WIDTH = 165

# Beyond this ratio the shortest bar of a linear axis is a sliver.
LINEAR_RATIO = 12.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One peer's figure in one panel."""

    peer: str
    summary: Summary
    tasks: int


def _bar(report: Report, panel: Panel, peer: str) -> Bar | None:
    """The peer's figure at the largest size at which it was measured."""
    for size in reversed(report.sizes(panel.workload_name)):
        samples = report.select(panel.workload_name, size, peer)
        summary = summarize(samples, panel.metric.name)
        if summary is not None:
            return Bar(peer, summary, samples[0].tasks)
    return None


def _bars(report: Report, panel: Panel) -> list[Bar]:
    """Every peer's figure, the best last: the axis grows upwards."""
    found = (_bar(report, panel, peer.name) for peer in report.peers)
    bars = [bar for bar in found if bar is not None and bar.summary.median > 0]
    return sorted(bars, key=lambda bar: bar.summary.median, reverse=panel.metric.better == "lower")


def _draw_bar(axes: Any, position: int, bar: Bar, foot: float, size: int) -> None:
    axes.barh(
        position,
        bar.summary.median - foot,
        left=foot,
        height=0.72,
        color=COLOURS.get(bar.peer, THEIR_COLOUR),
    )
    axes.plot([bar.summary.minimum, bar.summary.maximum], [position] * 2, color=INK, linewidth=1.1)
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
        fontweight="bold" if bar.peer == OURS else "normal",
    )


def _draw_panel(axes: Any, report: Report, panel: Panel) -> None:
    metric, workload = panel.metric, panel.workload
    bars = _bars(report, panel)
    unable = [
        peer.name for peer in report.peers if peer.version and panel.workload_name in peer.unable
    ]
    size = report.sizes(panel.workload_name)[-1]
    medians = [bar.summary.median for bar in bars]
    logarithmic = bool(medians) and max(medians) > LINEAR_RATIO * min(medians)
    # Bars of a logarithmic axis have no natural foot; a common one keeps their ends comparable.
    foot = min(medians) / 4 if logarithmic else 0.0
    for position in range(len(unable)):
        axes.annotate(
            "cannot",
            (foot, position),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=FAINT_INK,
            style="italic",
        )
    for position, bar in enumerate(bars, start=len(unable)):
        _draw_bar(axes, position, bar, foot, size)
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(foot, max(medians) * 15)
        axes.minorticks_off()
    elif medians:
        axes.set_xlim(0, max(bar.summary.maximum for bar in bars) * 1.3)
    # After the scale: setting that puts the axis's own formatter back.
    _dress(axes, [*unable, *(bar.peer for bar in bars)])
    scale = ", log scale" if logarithmic else ""
    axes.set_title(
        f"{panel.title}: {count(size)} {workload.counted}",
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


def _dress(axes: Any, names: list[str]) -> None:
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    for tick in axes.get_yticklabels():
        ours = tick.get_text() == OURS
        tick.set_color(OUR_COLOUR if ours else INK)
        tick.set_fontweight("bold" if ours else "normal")
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
    bare_axes(axes, ("top", "right", "left"))
    axes.tick_params(axis="y", length=0)


def _caption(report: Report) -> Iterator[str]:
    for line in caption(report):
        yield from textwrap.wrap(line, CAPTION_WIDTH)
    pending = {count(size) for size in report.sizes("lateness")}
    notes = "Line on each bar: least to greatest sample."
    if pending:
        notes += f" Lateness: with {', '.join(sorted(pending))} other tasks pending."
    notes += " In colour: this project. heapq: a bare list of tuples, not a scheduler."
    if any(peer.name == BEFORE for peer in report.peers):
        notes += " before: the version of this project before this one."
    yield from textwrap.wrap(notes, CAPTION_WIDTH)


def draw(report: Report, path: Path, topic: str = "versus") -> None:
    """Draws one topic of the report; the suffix of `path` says the format.

    Raises:
        ValueError: Nothing of the topic was measured.
    """
    panels = [panel for panel in TOPICS[topic] if report.sizes(panel.workload_name)]
    if not panels:
        msg = f"the report has no figures of {topic}"
        raise ValueError(msg)
    rows = -(-len(panels) // COLUMNS)
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
    for index, panel in enumerate(panels):
        axes = figure.add_subplot(grid[index // COLUMNS, index % COLUMNS])
        _draw_panel(axes, report, panel)
    figure.text(
        0.012,
        0.12 / height_in,
        "\n".join(lines),
        fontsize=8,
        color=FAINT_INK,
        va="bottom",
        linespacing=1.35,
    )
    save(figure, path)

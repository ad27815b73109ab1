"""Growth as a picture: one panel a workload, one line a peer, both axes logarithmic."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benches.versus.growth import cost_unit, points
from benches.versus.style import FAINT_INK, INK, LINE_COLOURS, THEIR_COLOUR, bare_axes, save, short
from num_agents.scheduler.cli.bench.adapters import BEFORE, OURS
from num_agents.scheduler.cli.bench.table import caption
from num_agents.scheduler.cli.bench.workloads import WORKLOADS, Workload

if TYPE_CHECKING:
    from pathlib import Path

    from num_agents.scheduler.cli.bench.report import Report

COLUMNS = 4
WIDTH_IN = 13.0
PANEL_HEIGHT_IN = 2.5
HEAD_IN = 0.8
CAPTION_LINE_IN = 0.165
CAPTION_WIDTH = 190


def _style(peer: str) -> dict[str, Any]:
    ours = peer == OURS
    return {
        "color": LINE_COLOURS.get(peer, THEIR_COLOUR),
        "linewidth": 2.4 if ours else 1.3,
        "linestyle": "--" if peer == BEFORE else "-",
        "marker": "o",
        "markersize": 4 if ours else 2.5,
        "zorder": 3 if ours else 2,
    }


def _draw_panel(axes: Any, report: Report, workload: Workload) -> None:
    lowest, highest = [], []
    for peer in report.peers:
        found = points(report, workload, peer.name)
        if found:
            costs = [point.cost for point in found]
            axes.plot([point.tasks for point in found], costs, **_style(peer.name))
            lowest.append(min(costs))
            highest.append(max(costs))
    axes.set_xscale("log")
    axes.set_yscale("log")
    if lowest:
        # Never less than two decades, or noise would look like growth.
        middle = (min(lowest) * max(highest)) ** 0.5
        axes.set_ylim(min(min(lowest) * 0.7, middle / 10), max(max(highest) * 1.4, middle * 10))
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
    axes.yaxis.set_major_formatter(lambda value, _: short(value))
    axes.grid(visible=True, color="#e8ecef", linewidth=0.7)
    bare_axes(axes, ("top", "right"))
    axes.tick_params(axis="y", labelsize=8, colors=FAINT_INK, length=2)
    axes.set_title(workload.name, loc="left", fontsize=9.5, fontweight="bold", color=INK, pad=13)
    metric = workload.metrics[0]
    axes.text(
        0,
        1.02,
        f"{metric.title if metric.unit == cost_unit(metric) else 'time'}, {cost_unit(metric)}",
        transform=axes.transAxes,
        fontsize=8,
        color=FAINT_INK,
        va="bottom",
    )


def draw(report: Report, path: Path) -> None:
    """Draws the report; the suffix of `path` says the format."""
    workloads = [workload for workload in WORKLOADS.values() if report.sizes(workload.name)]
    rows = -(-len(workloads) // COLUMNS)
    notes = [
        *caption(report),
        "Cost of an operation over the number of tasks, both axes logarithmic; lower is better. A"
        " line ends where a peer took too long, or at its limit. The names are those of the"
        " workloads in benches/README.md.",
    ]
    lines = [part for note in notes for part in textwrap.wrap(note, CAPTION_WIDTH)]
    foot_in = 0.35 + CAPTION_LINE_IN * len(lines)
    height_in = PANEL_HEIGHT_IN * rows + foot_in + HEAD_IN
    figure = Figure(figsize=(WIDTH_IN, height_in), facecolor="white")
    grid = figure.add_gridspec(
        rows,
        COLUMNS,
        left=0.045,
        right=0.985,
        top=1 - HEAD_IN / height_in,
        bottom=(foot_in + 0.1) / height_in,
        hspace=0.55,
        wspace=0.24,
    )
    for index, workload in enumerate(workloads):
        _draw_panel(figure.add_subplot(grid[index // COLUMNS, index % COLUMNS]), report, workload)
    measured = [peer.name for peer in report.peers if peer.version is not None]
    figure.legend(
        [Line2D([], [], **_style(name)) for name in measured],
        measured,
        loc="upper left",
        bbox_to_anchor=(0.03, 1.0),
        ncols=len(measured),
        frameon=False,
        fontsize=9,
    )
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

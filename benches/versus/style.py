"""What the pictures have in common: colours, axes, and files that are the same each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from num_agents.scheduler.cli.bench.adapters import BEFORE, OURS
from num_agents.scheduler.cli.bench.table import count

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

OUR_COLOUR = "#0b7a75"
BEFORE_COLOUR = "#7fbfb9"
THEIR_COLOUR = "#b8c0c8"
INK = "#1f2933"
FAINT_INK = "#5b6770"

COLOURS = {OURS: OUR_COLOUR, BEFORE: BEFORE_COLOUR}
"""The colours of bars; those of peers are all `THEIR_COLOUR`."""

LINE_COLOURS = {
    **COLOURS,
    "asyncio": "#d1495b",
    "uvloop": "#edae49",
    "heapq": "#8d99ae",
    "heapq-thread": "#4a5568",
    "kombu": "#7cb342",
    "sched": "#9d6b53",
    "apscheduler": "#6f4e9c",
    "rust-py-scheduler": "#3d7ea6",
}
"""The colours of lines, which cross."""


def short(value: float) -> str:
    """The number at a tick: 0.1, 10, 10 k, 10 M."""
    return count(int(value)) if value == int(value) else f"{value:g}"


def bare_axes(axes: Any, hidden: Sequence[str]) -> None:
    """Small ticks, and no frame on the sides that are hidden."""
    axes.tick_params(axis="x", which="both", labelsize=8, colors=FAINT_INK, length=2)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(side not in hidden)
        axes.spines[side].set_color(THEIR_COLOUR)


def save(figure: Figure, path: Path) -> None:
    """Writes the picture; the suffix of `path` says the format."""
    # No date and fixed ids: the same report makes the same file.
    mpl.rcParams["svg.hashsalt"] = "versus"
    mpl.rcParams["font.family"] = "sans-serif"
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, metadata=metadata, dpi=144)

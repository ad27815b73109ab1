"""Colours, and a progress bar. The only importer of rich beside that of `bench`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from num_agents.scheduler.cli.layout import report_lines
from num_agents.scheduler.cli.progress import Lines
from num_agents.scheduler.cli.text import is_ascii_only, width_of

if TYPE_CHECKING:
    from num_agents.scheduler.cli.report import Report

# A bar is redrawn at most so often.
BAR_EVERY_S = 0.1

# What the parts of the bar need: the name of a phase, the percentage, the bar, the time.
PHASE_WIDTH = 10
PERCENT_WIDTH = 5
BAR_WIDTH_MIN = 10
TIME_WIDTH = 9

STYLES = {"": "", "bold": "bold", "bar": "cyan", "good": "bold green", "bad": "bold red"}


class PipeConsole(Console):
    """A console that lets a broken pipe be a broken pipe: rich would end with code 1."""

    def on_broken_pipe(self) -> None:
        """Raise it again."""
        raise BrokenPipeError


class TerminalView:
    """Progress on standard error, the report on standard output.

    rich leaves colours out when the output is no terminal or NO_COLOR is set.
    """

    def __init__(self) -> None:
        self._console = PipeConsole(highlight=False)
        self._progress_console = PipeConsole(stderr=True, highlight=False)
        self._progress: _Bar | Lines | None = None

    def begin(self, phase: str, total: int) -> None:
        """Begin a phase of `total` tasks; the one before it, if any, is over."""
        self.close()
        if self._progress_console.is_terminal and bar_fits(self._progress_console.width, total):
            self._progress = _Bar(self._progress_console, phase, total)
        else:
            self._progress = Lines(phase, total, monotonic=time.monotonic)

    def update(self, done: int) -> None:
        """Show that `done` tasks of the phase are done."""
        if self._progress is not None:
            self._progress.update(done)

    def close(self) -> None:
        """End the last phase; harmless when there is none."""
        if self._progress is not None:
            self._progress.close()
            self._progress = None

    def show(self, report: Report) -> None:
        """Print the report: figures, promises, lateness and its histogram, verdict."""
        self.close()
        width, ascii_only = width_of(sys.stdout), is_ascii_only(sys.stdout)
        for style, line in report_lines(report, width=width, ascii_only=ascii_only):
            self._console.print(Text(line, STYLES.get(style, "yellow")), soft_wrap=True)


def bar_fits(width: int, total: int) -> bool:
    """Whether the name of a phase and its figures fit in a line."""
    return width > PHASE_WIDTH + _figures_width(total)


def _figures_width(total: int) -> int:
    return len(f" {total:,} of {total:,}")


def bar_columns(width: int, total: int) -> list[ProgressColumn]:
    """The parts of a bar that fit beside its figures, the most useful first."""
    left = width - PHASE_WIDTH - _figures_width(total)
    found: list[ProgressColumn] = [
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
    ]
    if left > PERCENT_WIDTH:
        found.append(TaskProgressColumn())
    if left > PERCENT_WIDTH + BAR_WIDTH_MIN:
        found.insert(1, BarColumn(bar_width=None))
    if left > PERCENT_WIDTH + BAR_WIDTH_MIN + TIME_WIDTH:
        found.append(TimeRemainingColumn())
    return found


class _Bar:
    """An animated bar, redrawn by the caller's thread only: a thread of its own would compete."""

    def __init__(self, console: Console, phase: str, total: int) -> None:
        self._progress = Progress(
            *bar_columns(console.width, total),
            console=console,
            auto_refresh=False,
            expand=True,
        )
        self._task: TaskID = self._progress.add_task(phase.ljust(PHASE_WIDTH - 1), total=total)
        self._progress.start()
        self._draw_at = 0.0

    def update(self, done: int) -> None:
        self._progress.update(self._task, completed=done)
        if time.monotonic() >= self._draw_at:
            self._progress.refresh()
            self._draw_at = time.monotonic() + BAR_EVERY_S

    def close(self) -> None:
        self._progress.stop()

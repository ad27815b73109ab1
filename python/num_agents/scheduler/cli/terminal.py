"""The view for people: a progress bar, then tables and a histogram. The only importer of rich."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from num_agents.scheduler.cli.report import NS_PER_MS, Figure, Lateness, Report
from num_agents.scheduler.cli.text import bar

# Without a terminal a phase prints one line at its end, and in between one so often.
LINE_EVERY_S = 2.0

# A bar is redrawn at most so often.
BAR_EVERY_S = 0.1


class TerminalView:
    """Progress on standard error, the report on standard output.

    rich leaves colours out when the output is no terminal or NO_COLOR is set.
    """

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._progress_console = Console(stderr=True, highlight=False)
        self._progress: _Bar | _Lines | None = None

    def begin(self, phase: str, total: int) -> None:
        """Begin a phase of `total` tasks; the one before it, if any, is over."""
        self.close()
        kind = _Bar if self._progress_console.is_terminal else _Lines
        self._progress = kind(self._progress_console, phase, total)

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
        show = self._console.print
        show(f"\n[bold]{report.command}[/bold]: ", Text(report.title), sep="")
        show(_figures(report))
        show(_lateness(report))
        show(_histogram(report.lateness, ascii_only=self._console.options.ascii_only))
        show(_promises(report))
        for warning in report.warnings:
            show("[yellow]note:[/yellow] ", Text(warning), sep="")
        if report.held:
            show("[bold green]every promise held[/bold green]")
        else:
            show("[bold red]a promise was broken[/bold red]")


class _Bar:
    """An animated bar, redrawn by the caller's thread only: a thread of its own would compete."""

    def __init__(self, console: Console, phase: str, total: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            expand=True,
        )
        self._task: TaskID = self._progress.add_task(phase.ljust(10), total=total)
        self._progress.start()
        self._draw_at = 0.0

    def update(self, done: int) -> None:
        self._progress.update(self._task, completed=done)
        if time.monotonic() >= self._draw_at:
            self._progress.refresh()
            self._draw_at = time.monotonic() + BAR_EVERY_S

    def close(self) -> None:
        self._progress.stop()


class _Lines:
    """A line now and then, for logs and pipes."""

    def __init__(self, console: Console, phase: str, total: int) -> None:
        self._console = console
        self._phase = phase
        self._total = total
        self._done = 0
        self._line_at = time.monotonic() + LINE_EVERY_S

    def update(self, done: int) -> None:
        self._done = done
        if time.monotonic() >= self._line_at and done < self._total:
            self._line()
            self._line_at = time.monotonic() + LINE_EVERY_S

    def close(self) -> None:
        self._line()

    def _line(self) -> None:
        self._console.print(f"{self._phase}: {self._done:,} of {self._total:,}")


def _figures(report: Report) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column("measured")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("note", style="dim")
    for figure in report.figures:
        table.add_row(figure.name, _value(figure), figure.unit, figure.note)
    return table


def _value(figure: Figure) -> str:
    if figure.value is None:
        return "unknown"
    whole = isinstance(figure.value, int) or abs(figure.value) >= 100  # noqa: PLR2004 - 3 digits
    return f"{figure.value:,.0f}" if whole else f"{figure.value:,.2f}"


def _lateness(report: Report) -> Table:
    table = Table(title="lateness, ms", title_justify="left")
    table.add_column("seen by")
    for column in ("starts", "p50", "p99", "max"):
        table.add_column(column, justify="right")
    for observer, lateness in (
        ("the engine", report.lateness),
        ("the callbacks", report.lateness_in_callbacks),
    ):
        table.add_row(
            observer,
            f"{lateness.count:,}",
            _ms(lateness.p50_ns),
            _ms(lateness.p99_ns),
            _ms(lateness.max_ns),
        )
    return table


def _ms(value_ns: int) -> str:
    return f"{value_ns / NS_PER_MS:,.3f}"


def _histogram(lateness: Lateness, *, ascii_only: bool) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column("bounds", justify="right", no_wrap=True)
    table.add_column("bar", style="cyan", no_wrap=True)
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    most = max((each.count for each in lateness.bins), default=0)
    for each in lateness.bins:
        table.add_row(
            f"{each.lower_ns / NS_PER_MS:g} to {each.upper_ns / NS_PER_MS:g} ms",
            bar(each.count / most, ascii_only=ascii_only),
            f"{each.count:,}",
            f"{each.count / lateness.count:.2%}",
        )
    return table


def _promises(report: Report) -> Table:
    table = Table(title="promises", title_justify="left")
    table.add_column("must be 0")
    table.add_column("found", justify="right")
    table.add_column("checked", style="dim")
    for promise in report.promises:
        colour = "red" if promise.broken else "green"
        table.add_row(promise.name, Text(f"{promise.broken:,}", style=colour), promise.checked)
    return table

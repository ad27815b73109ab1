"""What people see: progress, then tables. The only importer of rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from num_agents.scheduler.cli.bench.adapters import OURS
from num_agents.scheduler.cli.bench.table import caption, remarks, tables

if TYPE_CHECKING:
    from types import TracebackType

    from num_agents.scheduler.cli.bench.report import Report, Sample

FEW_COLUMNS = 6


class Progress:
    """A bar on standard error, redrawn between samples only: drawing would disturb a sample.

    Without a terminal each sample is a line.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar = Bar(
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=self._console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, sample: Sample, done: int, total: int) -> None:
        """Shows which sample is next."""
        text = f"round {sample.round + 1}: {sample.workload}, {sample.peer}"
        if not self._console.is_terminal:
            self._console.print(f"{done + 1} of {total}, {text}")
            return
        self._bar.update(self._task, description=text, completed=done, total=total)
        self._bar.refresh()


def show(report: Report) -> None:
    """Prints a report."""
    console = Console(highlight=False)
    console.print(Text("\n".join(caption(report))))
    for item in tables(report):
        grid = Table(
            title=item.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
        )
        grid.add_column(item.header[0], no_wrap=True)
        for heading in item.header[1:]:
            # In a narrow window a figure takes two lines rather than lose its end.
            grid.add_column(heading, justify="right", overflow="fold")
        # Beside the median the spreads of several figures would make the table too wide.
        several = len(item.header) > FEW_COLUMNS
        for row in item.rows:
            cells = [cell.replace(" (", "\n(") for cell in row] if several else row
            grid.add_row(*cells, style="bold" if row[0] == OURS else None)
        console.print(grid)
        for note in item.notes:
            console.print(Text(f"  {note}", style="dim"))
    for remark in remarks(report):
        console.print(Text(remark, style="dim"))

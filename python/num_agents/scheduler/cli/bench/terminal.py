"""Progress as a bar, and tables with styles. Imports rich, as the view of `demo` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.text import Text

from num_agents.scheduler.cli.bench.layout import about, name_of
from num_agents.scheduler.cli.terminal import PipeConsole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from num_agents.scheduler.cli.bench.report import Sample

# In a narrower window a line before each sample says more than a bar.
BAR_WINDOW_MIN = 80


class Progress:
    """A bar on standard error, redrawn between samples only: drawing would disturb a sample.

    Without a terminal, or in a narrow one, each sample is a line.
    """

    def __init__(self) -> None:
        self._console = PipeConsole(stderr=True, highlight=False)
        self._has_bar = self._console.is_terminal and self._console.width >= BAR_WINDOW_MIN
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
        if self._has_bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, sample: Sample, done: int, total: int, left_s: float) -> None:
        """Shows which sample is next, and about how long those to come will take."""
        text = f"{name_of(sample)}; {about(left_s)} left"
        if not self._has_bar:
            self._console.print(f"{done + 1} of {total}, {text}", soft_wrap=True)
            return
        self._bar.update(self._task, description=text, completed=done, total=total)
        self._bar.refresh()


def show(lines: Iterable[tuple[str, str]]) -> None:
    """Prints lines with their styles."""
    console = PipeConsole(highlight=False)
    for style, line in lines:
        console.print(Text(line, style), soft_wrap=True)

"""What a command shows while it works, and who shows it: JSON, rich, or plain lines."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Protocol, cast

from num_agents.scheduler.cli.errors import CommandError, import_with_extra
from num_agents.scheduler.cli.layout import report_lines
from num_agents.scheduler.cli.text import is_ascii_only, width_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.scheduler.cli.report import Report

# How often the main thread looks at the scheduler and redraws. If it did so more often, the
# callbacks would be late.
REFRESH_S = 0.2

# Where there is no bar, a phase prints one line at its end, and in between one so often.
LINE_EVERY_S = 2.0


class View(Protocol):
    """Shows how far each phase of a command is, and the report at the end."""

    def begin(self, phase: str, total: int) -> None:
        """Begin a phase of `total` tasks; the one before it, if any, is over."""

    def update(self, done: int) -> None:
        """Show that `done` tasks of the phase are done."""

    def close(self) -> None:
        """End the last phase; harmless when there is none."""

    def show(self, report: Report) -> None:
        """Show the report on standard output."""


class Lines:
    """The progress of one phase as a line now and then, on standard error.

    Args:
        phase: The name of the phase.
        total: How many tasks it has.
        monotonic: The clock.
    """

    def __init__(
        self, phase: str, total: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._phase = phase
        self._total = total
        self._done = 0
        self._monotonic = monotonic
        self._line_at = monotonic() + LINE_EVERY_S

    def update(self, done: int) -> None:
        """Show that `done` tasks are done, unless the last line was a moment ago."""
        self._done = done
        if self._monotonic() >= self._line_at and done < self._total:
            self.close()
            self._line_at = self._monotonic() + LINE_EVERY_S

    def close(self) -> None:
        """Print how many are done."""
        sys.stderr.write(f"{self._phase}: {self._done:,} of {self._total:,}\n")


class PlainView:
    """Lines of plain text. Needs nothing installed."""

    def __init__(self) -> None:
        self._progress: Lines | None = None

    def begin(self, phase: str, total: int) -> None:
        """Begin a phase of `total` tasks; the one before it, if any, is over."""
        self.close()
        self._progress = Lines(phase, total)

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
        """Print the report."""
        self.close()
        width, ascii_only = width_of(sys.stdout), is_ascii_only(sys.stdout)
        for _, line in report_lines(report, width=width, ascii_only=ascii_only):
            sys.stdout.write(line + "\n")


class JsonView:
    """No progress; the report as JSON. Needs nothing installed."""

    def begin(self, phase: str, total: int) -> None:
        """Show nothing."""

    def update(self, done: int) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing."""

    def show(self, report: Report) -> None:
        """Print the report as one JSON object."""
        sys.stdout.write(json.dumps(report.as_json(), indent=2) + "\n")


def open_view(*, as_json: bool) -> View:
    """Return the view that the user asked for: with rich if it is installed, and plain if not.

    Args:
        as_json: Print JSON on standard output instead of text.
    """
    if as_json:
        return JsonView()
    try:
        terminal = import_with_extra(
            "num_agents.scheduler.cli.terminal", package="rich", extra="cli"
        )
    except CommandError:
        return PlainView()
    return cast("Callable[[], View]", terminal.TerminalView)()

"""What a command shows while it works; what it shows with is decided here, in one place."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Protocol, cast

from num_agents.scheduler.cli.errors import import_with_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.scheduler.cli.report import Report

# How often the main thread looks at the scheduler and redraws. More often would take the
# interpreter from the callbacks, and show as lateness.
REFRESH_S = 0.2


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
    """Return the view that the user asked for.

    Args:
        as_json: Whether standard output is to be JSON instead of a table.

    Raises:
        CommandError: A table needs rich, which is not installed.
    """
    if as_json:
        return JsonView()
    terminal = import_with_extra("num_agents.scheduler.cli.terminal", package="rich", extra="cli")
    return cast("Callable[[], View]", terminal.TerminalView)()

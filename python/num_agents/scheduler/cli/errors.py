"""Why a command cannot be run, in words for the person who typed it."""

from __future__ import annotations

import importlib
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from num_agents.scheduler.errors import ScheduleWarning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType


class CommandError(Exception):
    """A command cannot be run as asked: its message goes to standard error, the exit code is 2."""


@contextmanager
def schedule_warnings_as_notes() -> Iterator[None]:
    """Print each `ScheduleWarning` of a block on standard error as a line, instead of as Python's.

    The warnings are printed as the block ends; not if it raises.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ScheduleWarning)
        yield
    for message in dict.fromkeys(str(one.message) for one in caught):
        sys.stderr.write(f"note: {message}\n")


def import_with_extra(module: str, *, package: str, extra: str) -> ModuleType:
    """Import `module` of the command line, which needs `package`.

    Args:
        module: Absolute name of a module of this package.
        package: The optional package it imports.
        extra: The extra of this distribution that installs `package`.

    Raises:
        CommandError: `package` is not installed; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise CommandError(
            f"{package} is not installed: pip install 'num-agents-scheduler[{extra}]'"
        ) from error


def import_plot(path: Path) -> ModuleType:
    """Import the module that draws, after checking that it can write to a file.

    Raises:
        CommandError: matplotlib is not installed, or the file cannot be written.
    """
    plot = import_with_extra("num_agents.scheduler.cli.plot", package="matplotlib", extra="plot")
    plot.check(path)
    return plot

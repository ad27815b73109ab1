"""The entries of a file of schedules, and what can be wrong with its lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from num_agents.scheduler._timing.bounds import NeverFiresError
from num_agents.scheduler.errors import InvalidCronError
from num_agents.scheduler.schedule import TaskSchedule

#: What the constructor of a schedule raises: an argument is wrong, or an extra is not installed.
REFUSALS = (TypeError, ValueError, OverflowError, ImportError)


@dataclass(frozen=True, slots=True)
class Entry:
    """One schedule of a file.

    Attributes:
        line: Where it begins in the file, from 1.
        name: What it is called; of a crontab the command, with its `%` signs as they are.
        schedule: When.
        user: The user that a crontab in system form names.
        environment: What the lines above it in a crontab set, by name.
    """

    line: int
    name: str
    schedule: TaskSchedule
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class Fault(NamedTuple):
    """A wrong line, from 1, and why it is wrong.

    It can be left out if the line is valid, but has no time to come.
    """

    line: int
    reason: str
    can_be_left_out: bool = False


def never_fires(error: Exception) -> bool:
    """Whether a schedule is refused only because it has no time to come: an off switch."""
    if isinstance(error, InvalidCronError):
        return error.reason.endswith("never fires")
    return isinstance(error, NeverFiresError)


def reason_of(error: Exception, column_of: Callable[[int], int] = lambda at: at + 1) -> str:
    """Why a schedule was refused, in a line.

    Args:
        error: One of `REFUSALS`.
        column_of: Of a position in a cron expression, from 0, the column to name, from 1.
    """
    if not isinstance(error, InvalidCronError):
        return " ".join(str(error).split())
    where = f"column {column_of(error.position)}"
    if error.field is not None:
        where = f"{error.field} field, {where}"
    return f"{where}: {error.reason}"


def damage_of(line: str) -> str | None:
    """Why a line is no text; None if it is.

    Args:
        line: Decoded with `surrogateescape`, so that bytes that are no UTF-8 are still there.
    """
    if "\0" in line:
        return "holds a NUL character"
    try:
        line.encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    return None

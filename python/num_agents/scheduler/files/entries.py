"""What is read from a file of schedules, and what can be wrong with a line of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from num_agents.scheduler.errors import InvalidCronError
from num_agents.scheduler.schedule import TaskSchedule

#: What making a schedule raises if it is told something wrong, or needs an extra that is missing.
REFUSALS = (TypeError, ValueError, OverflowError, ImportError)


@dataclass(frozen=True, slots=True)
class Entry:
    """One schedule of a file.

    Attributes:
        line: Where it begins in the file, from 1.
        name: What it is called; of a crontab the command, with its `%` signs as they are.
        schedule: When.
        user: Whom a crontab in system form names.
        environment: What the lines above it in a crontab set, by name.
    """

    line: int
    name: str
    schedule: TaskSchedule
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class Fault(NamedTuple):
    """A wrong line, from 1, and why it is wrong."""

    line: int
    reason: str


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

"""What can go wrong.

```
Exception
└── SchedulerError
    ├── UnknownTaskError (LookupError)   no such task, or forgotten: the id is not among the live
    │                                    tasks nor the last `history` that ended
    ├── TaskCancelledError               the result was asked for of a task that was cancelled
    ├── TaskMissedError                  the result was asked for of a task whose time was missed
    ├── InvalidCronError (ValueError)    a cron expression that is none, with field and position
    ├── UnsupportedScheduleError (ValueError)   a schedule that needs something not installed
    ├── ScheduleFileError (ValueError)   lines of a file of schedules are wrong: all of them, each
    │                                    with its number and the reason
    ├── SchedulerStoppedError            the wait cannot end: the scheduler does not run
    └── SchedulerForkedError             a scheduler was used in a forked child process
Warning
└── UserWarning
    └── ScheduleWarning                  a schedule is accepted, but probably not what was meant
```

Arguments that are wrong raise `ValueError`, `TypeError` or `OverflowError` at the call, naming the
argument and the value. Waiting raises the built-in `TimeoutError`. What a callback raises is
raised again by `Scheduler.result`, as it is.
"""

from __future__ import annotations

from collections.abc import Sequence


class SchedulerError(Exception):
    """The base of every error of the scheduler's own."""


class UnknownTaskError(SchedulerError, LookupError):
    """There is no such task, or it ended so long ago that it is forgotten."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"no task {task_id!r}: never scheduled here, or ended and forgotten")
        self.task_id = task_id


class TaskCancelledError(SchedulerError):
    """The task was cancelled, so there is no result."""


class TaskMissedError(SchedulerError):
    """The task's time was missed by more than its grace, so there is no result."""


class InvalidCronError(SchedulerError, ValueError):
    """A cron expression that cannot be read, or that never fires.

    Attributes:
        expression: What was given.
        field: The field that is wrong, such as `"minute"`; None if it is not one of them.
        position: Where, counted from 0 in characters of the expression.
        reason: What is wrong there.
    """

    def __init__(self, expression: str, field: str | None, position: int, reason: str) -> None:
        column = f"column {position + 1}"
        place = column if field is None else f"{field} field, {column}"
        shown = repr(expression)
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
        super().__init__(f"cron_expression {shown}: {place}: {reason}")
        self.expression = expression
        self.field = field
        self.position = position
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str | None, int, str]]:
        return type(self), (self.expression, self.field, self.position, self.reason)


#: Characters of an expression that a message shows.
_SHOWN = 80


class UnsupportedScheduleError(SchedulerError, ValueError):
    """The schedule is understood, but what it needs is not installed."""


#: Wrong lines of a file that a message names.
_FAULTS_SHOWN = 20


def listed_faults(file: str, faults: Sequence[tuple[int, str]]) -> str:
    """Wrong lines of a file, one a line; after the first twenty the rest is counted."""
    lines = [f"{file}:{line}: {reason}" for line, reason in faults[:_FAULTS_SHOWN]]
    more = len(faults) - len(lines)
    if more:
        lines.append(f"{file}: and {more:,} more wrong {'line' if more == 1 else 'lines'}")
    return "\n".join(lines)


class ScheduleFileError(SchedulerError, ValueError):
    """Lines of a file of schedules are wrong, so nothing of it is taken.

    The message has a line for each of the first twenty, and counts the others.

    Attributes:
        file: The file, as it was named.
        faults: (line, reason) of each wrong line, in the order of the file.
    """

    def __init__(self, file: str, faults: Sequence[tuple[int, str]]) -> None:
        super().__init__(listed_faults(file, faults))
        self.file = file
        self.faults = list(faults)


class SchedulerStoppedError(SchedulerError):
    """A task is waited for that cannot run, because the scheduler is not running.

    Start the scheduler, and wait again. The task is still there.
    """


class SchedulerForkedError(SchedulerError):
    """The scheduler belongs to the parent process.

    Its threads and its tasks did not come along with the fork. Make a new one in the child.
    """


class ScheduleWarning(UserWarning):
    """A schedule is accepted, but probably says something else than was meant.

    The message names the argument and what to write instead. `warnings.simplefilter("error",
    ScheduleWarning)` refuses such schedules.
    """

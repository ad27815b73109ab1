"""The errors of the scheduler.

```
Exception
└── SchedulerError
    ├── UnknownTaskError (LookupError)   the id is neither that of a live task, nor of one of the
    │                                    last `history` tasks that ended
    ├── TaskCancelledError               there is no result, because the task was cancelled
    ├── TaskMissedError                  there is no result, because the task missed its time
    ├── TaskTimeout                      a run took longer than its `timeout`
    ├── TaskExistsError                  another task has the `key`, and has not ended
    ├── InvalidCronError (ValueError)    a cron expression is wrong: which field, and where
    ├── UnsupportedScheduleError (ValueError)   a schedule needs a package that is not installed
    ├── ScheduleFileError (ValueError)   lines of a file of schedules are wrong: all of them, each
    │                                    with its number and the reason
    ├── SchedulerStoppedError            the wait cannot end: the scheduler does not run
    └── SchedulerForkedError             a scheduler was used in a forked child process
Warning
└── UserWarning
    └── ScheduleWarning                  a schedule is accepted, but probably not what was meant
```

A wrong argument raises `ValueError`, `TypeError` or `OverflowError` at the call, with the names of
the argument and the value. Waiting raises the built-in `TimeoutError`. `Scheduler.result` raises
what the callback raised.
"""

from __future__ import annotations

from collections.abc import Sequence


class SchedulerError(Exception):
    """The base of the scheduler's errors."""


class UnknownTaskError(SchedulerError, LookupError):
    """There is no such task, or it has ended and the scheduler has forgotten it."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"no task {task_id!r}: never scheduled here, or ended and forgotten")
        self.task_id = task_id


class TaskCancelledError(SchedulerError):
    """The task was cancelled, so there is no result."""


class TaskMissedError(SchedulerError):
    """The task's time was missed by more than its grace, so there is no result."""


class TaskTimeout(SchedulerError):  # noqa: N818 - beside the built-in TimeoutError of those who wait
    """A run took longer than its `timeout`: its error."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the run took longer than {seconds:g} s")
        self.seconds = seconds

    def __reduce__(self) -> tuple[type, tuple[float]]:
        return type(self), (self.seconds,)


class TaskExistsError(SchedulerError):
    """Another task has the key, and has not ended.

    Attributes:
        key: The key.
        task_id: The task that has it.
    """

    def __init__(self, key: str, task_id: str) -> None:
        super().__init__(
            f"task {task_id} has the key {key!r}: write if_exists='keep', 'replace' or 'move'"
        )
        self.key = key
        self.task_id = task_id

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.key, self.task_id)


class InvalidCronError(SchedulerError, ValueError):
    """A cron expression that cannot be read, or that never fires.

    Attributes:
        expression: The expression.
        field: The field that is wrong, such as `"minute"`; None if it is not a single field.
        position: The index of the character at which it is wrong, from 0.
        reason: What is wrong.
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
    """The schedule needs a package that is not installed."""


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
    """The wait would not end, because the scheduler is not running.

    Start the scheduler, and wait again. The task is still pending.
    """


class SchedulerForkedError(SchedulerError):
    """The scheduler belongs to the parent process.

    A fork copies neither its threads nor its tasks. Make a new scheduler in the child.
    """


class ScheduleWarning(UserWarning):
    """A schedule is accepted, but probably does not mean what was intended.

    The message names the argument and says what to write instead. To refuse such schedules, call
    `warnings.simplefilter("error", ScheduleWarning)`.
    """

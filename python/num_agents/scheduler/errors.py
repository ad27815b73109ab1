"""What can go wrong.

```
Exception
└── SchedulerError
    ├── UnknownTaskError (LookupError)   no such task, or forgotten: the id is not among the live
    │                                    tasks nor the last `history` that ended
    ├── TaskCancelledError               the result was asked for of a task that was cancelled
    ├── TaskMissedError                  the result was asked for of a task whose time was missed
    ├── UnsupportedScheduleError (ValueError)   a schedule that this version cannot keep
    └── SchedulerForkedError             a scheduler was used in a forked child process
```

Arguments that are wrong raise `ValueError`, `TypeError` or `OverflowError` at the call, naming the
argument and the value. Waiting raises the built-in `TimeoutError`. What a callback raises is
raised again by `Scheduler.result`, as it is.
"""


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


class UnsupportedScheduleError(SchedulerError, ValueError):
    """The schedule is understood, but this version cannot keep it."""


class SchedulerForkedError(SchedulerError):
    """The scheduler belongs to the parent process.

    Its threads and its tasks did not come along with the fork. Make a new one in the child.
    """

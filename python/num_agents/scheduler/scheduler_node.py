"""Nodes that schedule, cancel and wait for tasks from within a flow.

Each runs in any flow that calls `exec(shared)` with a store that has `get` and `set`. What `exec`
returns says what happened, under the keys `task_id`, `task_name`, `scheduled` / `cancelled` /
`completed`, `status`, `timed_out` and `error`, where they apply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from typing import Any, Literal, Protocol, Unpack

from num_agents.core import Flow, Node, SharedStore
from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.spans import Seconds, span_ns
from num_agents.scheduler.errors import UnknownTaskError
from num_agents.scheduler.outcomes import Outcome, describe
from num_agents.scheduler.policy import DEFAULT_PRIORITY
from num_agents.scheduler.scheduler import Scheduler
from num_agents.scheduler.task import (
    ScheduleOptions,
    Task,
    checked_args,
    checked_kwargs,
    checked_name,
    task_of,
)

OnFailure = Literal["raise", "continue"]


class Store(Protocol):
    """What these nodes need of a flow's shared data. `delete(key)` is used if it is there."""

    def get(self, key: str, default: Any = None) -> Any:
        """The value under a key."""

    def set(self, key: str, value: Any) -> None:
        """Puts a value under a key."""


ON_FAILURE_WORDS = ("raise", "continue")

_MISSING = object()


class ScheduleTaskNode(Node):
    """Schedules a task.

    All arguments are checked when the node is made, and used each time that it runs: a `delay`
    counts from then.

    Args:
        scheduler: The scheduler of the task.
        task_name: The task's name.
        callback: Called at each run of the task.
        delay: Run the task once, this many seconds (or a timedelta) after the node ran. With
            neither this nor another time in `options`, the task runs immediately.
        args: Positional arguments of the callback.
        priority: 0 (first) to 255 (last) among the tasks that are due.
        args_key: The key of positional arguments in the shared data, which replace `args` if there.
        kwargs_key: The key of keyword arguments in the shared data, which replace `kwargs` if
            there.
        task_id_output_key: The key under which the task's id is put into the shared data.
        name: The node's name; by default "ScheduleTask_" and the task's.
        options: Every other option of `Scheduler.schedule`: `interval`, `cron_expression`,
            `kwargs`, `tags`, `misfire`, and so on.

    Raises:
        TypeError: An argument has the wrong type, or an option does not exist.
        ValueError: An argument is out of its range, or two contradict each other.
        InvalidCronError: A ValueError that says where the cron expression is wrong.
        OverflowError: A time lies beyond the year 9999.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        task_name: str,
        callback: Callable[..., Any],
        *,
        delay: Seconds | None = None,
        args: Iterable[Any] = (),
        priority: int = DEFAULT_PRIORITY,
        args_key: str | None = None,
        kwargs_key: str | None = None,
        task_id_output_key: str = "task_id",
        name: str | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        super().__init__(name)
        self._scheduler = _checked_scheduler(scheduler)
        # A task that is never scheduled: it holds what was checked, and copies of what was given.
        self._task = _task_of(self, task_name, callback, delay, args, priority, options)
        self._args_key = None if args_key is None else _checked_key(args_key, "args_key")
        self._kwargs_key = None if kwargs_key is None else _checked_key(kwargs_key, "kwargs_key")
        self._task_id_output_key = _checked_key(task_id_output_key, "task_id_output_key")
        if name is None:
            self.name = f"ScheduleTask_{task_name}"

    def exec(self, shared: Store) -> dict[str, Any]:
        """Schedules the task and puts its id into the shared data.

        Raises:
            TypeError: The positional arguments in the shared data are neither a tuple nor a list,
                or the keyword arguments are not a mapping.
            ValueError: The task would never run, for example because its `end_after` has passed.
        """
        args: Iterable[Any] = self._task.args
        kwargs = self._task.kwargs
        if self._args_key is not None:
            args = shared.get(self._args_key, args)
        if self._kwargs_key is not None:
            kwargs = shared.get(self._kwargs_key, kwargs)
        task = _copy_of_task(self._task, args, kwargs)
        return _scheduled(self._scheduler, task, shared, self._task_id_output_key)


class CancelTaskNode(Node):
    """Cancels a task.

    Args:
        scheduler: The scheduler of the task.
        task_id_key: The key of the task's id in the shared data.
        name: The node's name; by default "CancelTask_" and the key.

    Raises:
        TypeError: An argument has the wrong type.
    """

    def __init__(
        self, scheduler: Scheduler, task_id_key: str = "task_id", *, name: str | None = None
    ) -> None:
        super().__init__(name)
        self._scheduler = _checked_scheduler(scheduler)
        self._task_id_key = _checked_key(task_id_key, "task_id_key")
        if name is None:
            self.name = f"CancelTask_{task_id_key}"

    def exec(self, shared: Store) -> dict[str, Any]:
        """Cancels the task.

        Returns:
            Under `cancelled`, whether that stopped a future run or signalled the current one; under
            `error`, why there was no task to cancel.
        """
        task_id = shared.get(self._task_id_key)
        if not isinstance(task_id, str):
            error = _no_task_id(self._task_id_key, task_id)
            return {"task_id": None, "cancelled": False, "error": error}
        task = self._scheduler.get_task(task_id)
        cancelled = self._scheduler.cancel_task(task_id)
        report: dict[str, Any] = {
            "task_id": task_id,
            "task_name": None if task is None else task.name,
            "cancelled": cancelled,
        }
        if task is None:
            report["error"] = describe(UnknownTaskError(task_id))
        return report


class WaitForTaskNode(Node):
    """Waits for a task, without polling.

    An old result under `result_key` is removed when the wait begins, so that no node takes it for
    the new one.

    Args:
        scheduler: The scheduler of the task.
        task_id_key: The key of the task's id in the shared data.
        result_key: The key under which the task's result is put into the shared data if the task
            completes. If it does not, there is nothing under it: the key is removed, or set to None
            in a store without `delete`.
        timeout: Wait at most this many seconds (or a timedelta); None waits without limit.
        on_failure: What to do if the task failed, was cancelled or missed, did not end in time, or
            is unknown. `"continue"` (default): report it; the flow continues. `"raise"`: raise an
            error, which stops the flow.
        name: The node's name; by default "WaitForTask_" and the key of the id.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `timeout` or `on_failure` is out of its range.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        task_id_key: str = "task_id",
        result_key: str = "task_result",
        timeout: Seconds | None = None,
        *,
        on_failure: OnFailure = "continue",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self._scheduler = _checked_scheduler(scheduler)
        self._task_id_key = _checked_key(task_id_key, "task_id_key")
        self._result_key = _checked_key(result_key, "result_key")
        if timeout is not None:
            span_ns(timeout, "timeout")
        self._timeout = timeout
        if on_failure not in ON_FAILURE_WORDS:
            raise ValueError(f"on_failure must be 'raise' or 'continue', got {show(on_failure)}")
        self._on_failure = on_failure
        if name is None:
            self.name = f"WaitForTask_{task_id_key}"

    def exec(self, shared: Store) -> dict[str, Any]:
        """Waits until the task has ended, or its next run if it recurs.

        Returns:
            Under `completed`, whether the task completed, and under `result` what it then returned;
            under `status`, `timed_out` and `error`, how the wait ended otherwise.

        Raises:
            BaseException: With `on_failure="raise"`, the error that `Scheduler.result` would raise.
            ValueError: With `on_failure="raise"`, there is no task id in the shared data.
        """
        _remove(shared, self._result_key)
        task_id = shared.get(self._task_id_key)
        report: dict[str, Any] = {
            "task_id": task_id if isinstance(task_id, str) else None,
            "completed": False,
            "status": "unknown",
            "timed_out": False,
            "error": None,
        }
        if not isinstance(task_id, str):
            report["error"] = _no_task_id(self._task_id_key, task_id)
            if self._on_failure == "raise":
                raise ValueError(report["error"])
            return report
        try:
            outcome = self._scheduler.wait_for_task(task_id, self._timeout)
        except (UnknownTaskError, TimeoutError) as error:
            if self._on_failure == "raise":
                raise
            report["error"] = describe(error)
            if isinstance(error, TimeoutError):
                task = self._scheduler.get_task(task_id)
                report["status"] = "unknown" if task is None else task.status.value
                report["timed_out"] = True
            return report
        return self._reported(outcome, report, shared)

    def _reported(self, outcome: Outcome, report: dict[str, Any], shared: Store) -> dict[str, Any]:
        """Adds an outcome to a report, and its result to the shared data."""
        report["task_name"] = outcome.task_name
        report["status"] = outcome.status
        if outcome.status == "completed" or self._on_failure == "raise":
            value = outcome.unwrap()
            shared.set(self._result_key, value)
            report["completed"] = True
            report["result"] = value
        elif outcome.error is not None:
            report["error"] = describe(outcome.error)
        else:
            report["error"] = f"the task was {outcome.status}"
        return report


class ScheduledFlowNode(Node):
    """Schedules a sub-flow.

    Each run works on a copy of the shared data, made when the run starts. The task's result is what
    the sub-flow's nodes returned, by node name. All arguments are checked when the node is made.

    Args:
        scheduler: The scheduler of the task.
        sub_flow_nodes: The nodes of the sub-flow, in sequence.
        delay: Run the sub-flow once, this many seconds (or a timedelta) after the node ran. With
            neither this nor another time in `options`, it runs immediately.
        priority: 0 (first) to 255 (last) among the tasks that are due.
        task_name: The task's name.
        task_id_output_key: The key under which the task's id is put into the shared data.
        name: The node's name; by default the task's.
        options: Every other option of `Scheduler.schedule` but `args` and `kwargs`: nodes read
            their input from the shared data.

    Raises:
        TypeError: An argument has the wrong type, or an option does not exist.
        ValueError: An argument is out of its range, or two contradict each other.
        InvalidCronError: A ValueError that says where the cron expression is wrong.
        OverflowError: A time lies beyond the year 9999.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        sub_flow_nodes: Iterable[Node],
        *,
        delay: Seconds | None = None,
        priority: int = DEFAULT_PRIORITY,
        task_name: str = "ScheduledFlow",
        task_id_output_key: str = "scheduled_flow_id",
        name: str | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        super().__init__(name)
        self._scheduler = _checked_scheduler(scheduler)
        self._flow = Flow(sub_flow_nodes)
        for word in ("args", "kwargs"):
            if word in options:
                raise TypeError(
                    f"ScheduledFlowNode takes no {word}: nodes read their input from the shared "
                    "data"
                )
        self._task = _task_of(self, task_name, self._run, delay, (), priority, options)
        self._task_id_output_key = _checked_key(task_id_output_key, "task_id_output_key")
        if name is None:
            self.name = task_name

    def exec(self, shared: Store) -> dict[str, Any]:
        """Schedules the sub-flow and puts the task's id into the shared data.

        Raises:
            ValueError: The task would never run, for example because its `end_after` has passed.
        """
        task = _copy_of_task(self._task, (shared,), None)
        return _scheduled(self._scheduler, task, shared, self._task_id_output_key)

    def _run(self, shared: Store) -> dict[str, Any]:
        """What the task calls."""
        return self._flow.execute(_copy_of(shared))


class _Overlay(SharedStore):
    """A copy of a store that has no method to copy it or to list its keys.

    Writes and deletions stay in the overlay; what it does not have is read from the store below.
    """

    def __init__(self, base: Store, changed: dict[str, Any] | None = None) -> None:
        super().__init__(changed)
        self._base = base

    def get(self, key: str, default: Any = None) -> Any:
        value = self._data.get(key, self)
        if value is self:
            return self._base.get(key, default)
        return default if value is _MISSING else value

    def has(self, key: str) -> bool:
        return self.get(key, _MISSING) is not _MISSING

    def delete(self, key: str) -> bool:
        had = self.has(key)
        self.set(key, _MISSING)
        return had

    def keys(self) -> list[str]:
        return [key for key, value in list(self._data.items()) if value is not _MISSING]

    def copy(self) -> SharedStore:
        return _Overlay(self._base, self._data)

    def __contains__(self, key: str) -> bool:
        return self.has(key)


def _copy_of(shared: Store) -> SharedStore:
    return shared.copy() if isinstance(shared, SharedStore) else _Overlay(shared)


def _remove(shared: Store, key: str) -> None:
    """Removes what is under a key, from a store that may not know how to delete."""
    if shared.get(key, _MISSING) is _MISSING:
        return
    delete = getattr(shared, "delete", None)
    if callable(delete):
        delete(key)
    else:
        shared.set(key, None)


def _task_of(  # noqa: PLR0917 - the arguments of `task_of`, passed on
    node: Node,
    task_name: str,
    callback: Callable[..., Any],
    delay: Seconds | None,
    args: Iterable[Any],
    priority: int,
    options: ScheduleOptions,
) -> Task:
    """What a node will schedule, checked.

    Raises:
        TypeError: An argument has the wrong type, or an option does not exist.
        ValueError: An argument is out of its range, or two contradict each other.
    """
    try:
        checked_name(task_name)
    except TypeError:
        raise TypeError(f"task_name must be a string, got {show(task_name)}") from None
    try:
        return task_of(task_name, callback, delay, args, priority, options)
    except TypeError as error:
        # An option that does not exist is one of the node's, for its caller.
        message = str(error).replace("schedule()", f"{type(node).__name__}()")
        if message == str(error):
            raise
        raise TypeError(message) from None


def _copy_of_task(task: Task, args: Iterable[Any], kwargs: Any) -> Task:
    """A task to schedule, with its arguments.

    Raises:
        TypeError: `args` is neither a tuple nor a list, or `kwargs` is not a mapping.
    """
    copied = copy(task)
    copied.args = checked_args(args)
    copied.kwargs = checked_kwargs(kwargs)
    copied.metadata = task.metadata.copy()
    return copied


def _scheduled(scheduler: Scheduler, task: Task, shared: Store, key: str) -> dict[str, Any]:
    """Schedules a task, puts its id into the shared data, and reports both."""
    task_id = scheduler.schedule_task(task)
    shared.set(key, task_id)
    return {"task_id": task_id, "task_name": task.name, "scheduled": True}


def _checked_scheduler(scheduler: Scheduler) -> Scheduler:
    """A scheduler, or what stands in for one.

    Raises:
        TypeError: It has no method `schedule_task`.
    """
    if not callable(getattr(scheduler, "schedule_task", None)):
        raise TypeError(f"scheduler must be a Scheduler, got {show(scheduler)}")
    return scheduler


def _checked_key(key: object, argument: str) -> str:
    """A key of the shared data.

    Raises:
        TypeError: It is not a string.
    """
    if not isinstance(key, str):
        raise TypeError(f"{argument} must be a string, got {show(key)}")
    return key


def _no_task_id(key: str, found: object) -> str:
    return f"no task id under {key!r} in the shared data, but {show(found)}"

"""`Task`: a callback with its arguments, and the state of the scheduled task.

Before a `Task` is scheduled, it is a description. Afterwards its status, runs and results are
looked up in the scheduler each time. The scheduler keeps no `Task` objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import Context
from datetime import datetime, tzinfo
from enum import StrEnum
from functools import partial
from threading import RLock
from types import FunctionType
from typing import Any, Protocol

from num_agents.scheduler._hints import hinted, unknown_keyword
from num_agents.scheduler._messages import show, warn
from num_agents.scheduler._options import ScheduleOptions
from num_agents.scheduler._timing.spans import Seconds
from num_agents.scheduler.errors import SchedulerForkedError, UnknownTaskError
from num_agents.scheduler.outcomes import TaskInfo
from num_agents.scheduler.policy import POLICY_WORDS, RunPolicy
from num_agents.scheduler.schedule import TaskSchedule

__all__ = ["ScheduleOptions", "Task", "TaskSchedule", "TaskStatus", "task_of"]


class TaskSource(Protocol):
    """Where a scheduled task looks up its state."""

    zone: tzinfo | None

    def info(self, task_id: str) -> TaskInfo | None:
        """What is known of a task; None if it is unknown or forgotten."""

    def nominal_ns(self, task_id: str) -> int | None:
        """The nominal time of its next run, or of its last; None if it is unknown or forgotten."""


class TaskStatus(StrEnum):
    """The states of a task. Each equals its string: `task.status == "pending"`."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    MISSED = "missed"


#: Lets one thread at a time decide whether a task is scheduled already.
_scheduling = RLock()

_FINAL = frozenset(("completed", "failed", "cancelled", "missed"))


class Task:
    """A callback with its arguments, a name and a schedule.

    Args:
        name: The task's name in logs, events and lists. It need not be unique.
        callback: Called with `args` and `kwargs` at each run.
        schedule: When it runs; immediately if None.
        args: Positional arguments of the callback.
        kwargs: Keyword arguments of the callback.
        policy: How it runs: priority, late work. The defaults if None.
        tags: Strings to group tasks by.
        metadata: Your own data about the task. The scheduler does not use it.
        context: The context variables that each run gets a copy of. By default a run begins with
            none set. No run sees what another one has set.

    Warns:
        ScheduleWarning: An option has no effect, such as `misfire` for a task that runs once.

    Raises:
        TypeError: An argument has the wrong type.

    Once it is scheduled, its properties are looked up in the scheduler, which remembers the last
    `history` tasks that ended. If it has been forgotten, and none of them was read after its end,
    they raise `UnknownTaskError`.
    """

    __slots__ = (
        "_due_ns",
        "_is_taken",
        "_last_info",
        "_schedule",
        "_source",
        "_task_id",
        "args",
        "callback",
        "context",
        "kwargs",
        "metadata",
        "name",
        "policy",
        "tags",
    )

    @hinted("Task")
    def __init__(
        self,
        name: str,
        callback: Callable[..., Any],
        schedule: TaskSchedule | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        policy: RunPolicy | None = None,
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        context: Context | None = None,
    ) -> None:
        self._describe(name, callback, schedule, args, kwargs, policy, tags, metadata, context)
        warn_without_effect(self._schedule, self.policy)

    def _describe(  # noqa: PLR0917 - the arguments of the constructor
        self,
        name: str,
        callback: Callable[..., Any],
        schedule: TaskSchedule | None,
        args: Iterable[Any],
        kwargs: Mapping[str, Any] | None,
        policy: RunPolicy | None,
        tags: Iterable[str],
        metadata: Mapping[str, Any] | None,
        context: Context | None,
    ) -> None:
        """Checks and keeps what was given."""
        self.name = checked_name(name)
        self.callback = checked_callback(callback)
        if schedule is not None and not isinstance(schedule, TaskSchedule):
            raise TypeError(f"schedule must be a TaskSchedule, got {show(schedule)}")
        if policy is not None and not isinstance(policy, RunPolicy):
            raise TypeError(f"policy must be a RunPolicy, got {show(policy)}")
        self._schedule = schedule if schedule is not None else TaskSchedule()
        self.args = checked_args(args)
        self.kwargs = checked_kwargs(kwargs)
        self.policy = policy if policy is not None else RunPolicy()
        self.tags = checked_tags(tags)
        self.metadata = checked_mapping(metadata, "metadata")
        if context is not None and not isinstance(context, Context):
            raise TypeError(f"context must be a contextvars.Context, got {show(context)}")
        self.context = context
        self._is_taken = False
        self._source: TaskSource | None = None
        self._task_id: str | None = None
        self._due_ns: int | None = None
        self._last_info: TaskInfo | None = None

    @property
    def task_id(self) -> str | None:
        """The id under which it is scheduled; None before that."""
        return self._task_id

    @property
    def schedule(self) -> TaskSchedule:
        """When it runs.

        Once the task is scheduled, its times are in the scheduler's zone. The time of a one-shot is
        the one at which it is due, also after it was rescheduled.
        """
        if self._source is None or self._task_id is None:
            return self._schedule
        due_ns = self._source.nominal_ns(self._task_id)
        return self._schedule.of_task(self._source.zone, self._due_ns if due_ns is None else due_ns)

    @property
    def status(self) -> TaskStatus:
        """The task's state; pending before it is scheduled."""
        info = self._info()
        return TaskStatus.PENDING if info is None else TaskStatus(info.status)

    @property
    def run_count(self) -> int:
        """Runs started so far, failed ones included."""
        info = self._info()
        return 0 if info is None else info.run_count

    @property
    def next_run(self) -> datetime | None:
        """When it runs next; None before it is scheduled, while it runs, and after its end."""
        info = self._info()
        return None if info is None else info.next_run

    @property
    def last_run(self) -> datetime | None:
        """When its last run started; None before the first."""
        info = self._info()
        return None if info is None else info.last_run

    @property
    def result(self) -> Any:
        """What its last run returned; None before that, or if it failed."""
        info = self._info()
        return None if info is None else info.result

    @property
    def error(self) -> BaseException | None:
        """What its last run raised; None before that, or if it completed."""
        info = self._info()
        return None if info is None else info.error

    def to_dict(self) -> dict[str, Any]:
        """The task's data and current state by name, with times as ISO-8601 strings."""
        info = self._info()
        facts: dict[str, Any] = {
            "task_id": self._task_id,
            "name": self.name,
            "status": self.status.value,
            "priority": self.policy.priority,
            "tags": sorted(self.tags),
            "metadata": dict(self.metadata),
            "run_count": 0,
            "next_run": None,
            "last_run": None,
            "result": None,
            "error": None,
        }
        if info is not None:
            facts |= info.to_dict()
        return facts

    def _schedule_once(self, source: TaskSource, schedule: Callable[[Task], str]) -> str:
        """Schedules it, if that was not done before, and binds it to the scheduled task.

        Raises:
            ValueError: It is already scheduled.
        """
        # Reentrant: a signal handler or a finalizer may schedule a task, too.
        with _scheduling:
            if self._task_id is not None or self._is_taken:
                raise ValueError(f"task is scheduled already, got {self!r}")
            self._is_taken = True
        try:
            task_id = schedule(self)
        except BaseException:
            self._is_taken = False
            raise
        self._bind(source, task_id)
        return task_id

    def _bind(self, source: TaskSource, task_id: str, due_ns: int | None = None) -> None:
        """Binds it to a scheduled task, whose last known nominal time is `due_ns`."""
        self._due_ns = due_ns
        self._source = source
        self._task_id = task_id
        self._last_info = None

    def _info(self) -> TaskInfo | None:
        if self._source is None or self._task_id is None:
            return None
        info = self._source.info(self._task_id)
        if info is not None:
            self._last_info = info
        elif self._last_info is None or self._last_info.status not in _FINAL:
            raise UnknownTaskError(self._task_id)
        return self._last_info

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Task):
            return NotImplemented
        return self is other or (self._task_id is not None and self._task_id == other._task_id)

    def __hash__(self) -> int:
        return hash(self._task_id) if self._task_id is not None else id(self)

    def __repr__(self) -> str:
        if self._task_id is None:
            return f"<Task {self.name!r}, not scheduled>"
        next_run = ""
        try:
            info = self._info()
            state = "unknown" if info is None else info.status
            if info is not None and info.next_run is not None:
                next_run = f", next run {info.next_run.isoformat(' ')}"
        except UnknownTaskError:
            state = "forgotten"
        except SchedulerForkedError:
            state = "of the parent process"
        return f"<Task {self.name!r} {state}{next_run}, {self._task_id}>"


def view_of(*description: Any) -> Task:
    """A `Task` made of what a scheduler has kept. Its options were checked before."""
    # Its constructor would warn again.
    task = object.__new__(Task)
    task._describe(*description)
    return task


def warn_without_effect(schedule: TaskSchedule, policy: RunPolicy) -> None:
    """Warns of what a policy says that has no effect on such a schedule."""
    if policy.misfire != "latest" and schedule.is_one_shot:
        warn(
            "misfire has no effect on a task that runs once, however late it is, got "
            f"{policy.misfire!r}; grace says how late it may be"
        )


def task_of(  # noqa: PLR0917 - the arguments of `Scheduler.schedule`, passed on
    name: str,
    callback: Callable[..., Any],
    delay: Seconds | None,
    args: Iterable[Any],
    priority: int,
    options: ScheduleOptions,
) -> Task:
    """The task that the arguments of `Scheduler.schedule` describe.

    Raises:
        TypeError: There is no such option, or it has the wrong type.
        ValueError: An argument is out of its range, or two contradict each other.
    """
    unknown = options.keys() - SCHEDULE_WORDS - POLICY_WORDS - _TASK_WORDS
    if unknown:
        known = SCHEDULE_WORDS | POLICY_WORDS | _TASK_WORDS | _COMMON_WORDS
        raise unknown_keyword("schedule", min(unknown), known)

    def picked(words: frozenset[str]) -> dict[str, Any]:
        return {word: value for word, value in options.items() if word in words}

    schedule = TaskSchedule(delay=delay, **picked(SCHEDULE_WORDS))
    policy = RunPolicy(priority=priority, **picked(POLICY_WORDS))
    return Task(name, callback, schedule, args, policy=policy, **picked(_TASK_WORDS))


#: What `Scheduler.schedule` passes on to a `TaskSchedule` among its options.
SCHEDULE_WORDS = frozenset(TaskSchedule.OPTIONS) - {"delay"}
_TASK_WORDS = frozenset(("kwargs", "tags", "metadata", "context"))
_COMMON_WORDS = frozenset(("name", "callback", "delay", "args", "priority", "key", "if_exists"))


def checked_name(name: object) -> str:
    """A task's name.

    Raises:
        TypeError: It is not a string.
    """
    if not isinstance(name, str):
        hint = ": the name comes first, and then the callback" if callable(name) else ""
        raise TypeError(f"name must be a string, got {show(name)}{hint}")
    return name


def checked_callback(callback: object) -> Callable[..., Any]:
    """A callable that is not an asynchronous generator function.

    Raises:
        TypeError: It cannot be called, or it is an asynchronous generator function.
    """
    if type(callback) is FunctionType and not callback.__code__.co_flags & _ASYNC_GENERATOR:
        return callback
    if not callable(callback):
        slip = "its name" if isinstance(callback, str) else "what it returns"
        raise TypeError(
            f"callback must be callable, got {show(callback)}: give the function itself, not {slip}"
        )
    if _flags(_function_of(callback)) & _ASYNC_GENERATOR:
        raise TypeError(
            f"callback must be a function or a coroutine function, got the asynchronous generator "
            f"function {show(callback)}: nobody would iterate over what it returns"
        )
    return callback


def is_coroutine_function(callback: object) -> bool:
    """Whether what a callable returns is a coroutine, as far as the callable says so.

    Functions, methods, partials of them, instances with an `async def __call__`, and what
    `inspect.markcoroutinefunction` has marked.
    """
    function = _function_of(callback)
    if hasattr(function, "_is_coroutine_marker"):
        from inspect import iscoroutinefunction  # noqa: PLC0415 - 10 ms, and it is there already

        return iscoroutinefunction(function)
    return bool(_flags(function) & _COROUTINE)


def _function_of(callback: Any) -> Any:
    """The function that calling something calls."""
    while isinstance(callback, partial):
        callback = callback.func
    if hasattr(callback, "__code__") or hasattr(callback, "_is_coroutine_marker"):
        return callback
    # An instance of a class that can be called.
    return type(callback).__call__


def _flags(function: object) -> int:
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return flags if isinstance(flags, int) else 0


#: As in `inspect`, without the 10 ms that importing it takes.
_COROUTINE, _ASYNC_GENERATOR = 0x80, 0x200


def checked_args(args: object) -> tuple[Any, ...]:
    """Positional arguments as a tuple.

    Raises:
        TypeError: They are not an iterable; or a string, whose characters are not meant.
    """
    if isinstance(args, tuple):
        return args
    if isinstance(args, dict):
        raise TypeError(f"args must be a tuple or a list, got {show(args)}: write kwargs={{...}}")
    try:
        if not isinstance(args, str | bytes):
            return tuple(args)  # type: ignore[arg-type]  # raises if it is no iterable
    except TypeError:
        pass
    hint = "" if args is None else f": write args=({show(args)},)"
    raise TypeError(f"args must be a tuple or a list, got {show(args)}{hint}")


def checked_kwargs(kwargs: object, argument: str = "kwargs") -> dict[str, Any]:
    """Keyword arguments as a new dict.

    Raises:
        TypeError: They are not a mapping, or a key is not a string.
    """
    mapping = kwargs.copy() if type(kwargs) is dict else checked_mapping(kwargs, argument)
    for key in mapping:
        if not isinstance(key, str):
            raise TypeError(f"{argument} must have strings as keys, got {show(key)}")
    return mapping


def checked_mapping(value: object, argument: str) -> dict[Any, Any]:
    """A mapping as a new dict, which is empty for None.

    Raises:
        TypeError: It is not a mapping.
    """
    if value is None:
        return {}
    try:
        return dict(value)  # type: ignore[call-overload, no-any-return]  # raises if it is none
    except (TypeError, ValueError):
        raise TypeError(f"{argument} must be a mapping, got {show(value)}") from None


def checked_tags(tags: object, argument: str = "tags") -> frozenset[str]:
    """Tags as a set.

    Raises:
        TypeError: They are not an iterable of strings, or they are a single string.
    """
    if isinstance(tags, str) or not hasattr(tags, "__iter__"):
        raise TypeError(f"{argument} must be an iterable of strings, got {show(tags)}")
    listed = list(tags)
    for tag in listed:
        if not isinstance(tag, str):
            raise TypeError(f"{argument} must be strings, got {show(tag)}")
    return frozenset(listed)

"""How a task runs: `RunPolicy`. `TaskSchedule` says when, and `Task` says what."""

from __future__ import annotations

from typing import Literal

from num_agents.scheduler._hints import hinted
from num_agents.scheduler._messages import show, warn
from num_agents.scheduler._numbers import integer
from num_agents.scheduler._timing.spans import Seconds, bounded_span_ns
from num_agents.scheduler.retry import RetryPolicy, retry_of

MisfireWord = Literal["latest", "earliest", "all", "skip"]

#: What to do if another task has the key of a new one.
IfExists = Literal["raise", "keep", "replace", "move"]

IF_EXISTS_WORDS = ("raise", "keep", "replace", "move")

MISFIRE_WORDS = ("latest", "earliest", "all", "skip")

#: The places where a task can run. Their places here are their numbers in the engine.
EXECUTOR_WORDS = ("threads", "asyncio")

#: The default priority, in the middle.
DEFAULT_PRIORITY = 128


_PRIORITY = "an integer from 0 (first) to 255 (last)"


class RunPolicy:
    """How a task runs.

    Args:
        priority: 0 (first) to 255 (last). Among tasks that are due, the lower number starts first.
        misfire: What to do if several occurrences of a recurring task are overdue. Run once, for
            the `"latest"` (default) or for the `"earliest"`; run `"all"` of them, one after
            another; or `"skip"` those later than `grace`. The others are missed, and the run is
            told how many.
        grace: Seconds or a timedelta. An occurrence that is later than this is missed. None
            (default): it runs however late it is; with `misfire="skip"`, 60 seconds.
        catch_up_limit: With `misfire="all"`, run at most this many overdue occurrences. The oldest
            are missed. None: no limit.
        pause_after_failures: Pause the task after this many failed runs in a row. None: never.
        executor: Where it runs: `"threads"`, or `"asyncio"` for the event loop, which is the only
            place for coroutine functions. A plain function must not block there. None (default): a
            coroutine function on the event loop, anything else in a thread.
        timeout: Seconds or a timedelta. A run that takes longer has failed, with `TaskTimeout`. A
            coroutine gets `asyncio.CancelledError`. A thread cannot be stopped: the run's cancel
            token is set, what it returns is dropped, and another thread takes its place meanwhile.
            On a virtual clock a callable is judged when it ends. None: no limit.
        retry: A `RetryPolicy`: whether a run that has failed is tried again. None: it is not.
        retries: Instead of that: how many more attempts to make, with the waits of
            `RetryPolicy()`.

    Warns:
        ScheduleWarning: `catch_up_limit` is given without `misfire="all"`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.
    """

    __slots__ = (
        "catch_up_limit",
        "executor",
        "grace",
        "misfire",
        "pause_after_failures",
        "priority",
        "retry",
        "timeout",
    )

    @hinted("RunPolicy")
    def __init__(
        self,
        *,
        priority: int = DEFAULT_PRIORITY,
        misfire: MisfireWord = "latest",
        grace: Seconds | None = None,
        catch_up_limit: int | None = None,
        pause_after_failures: int | None = None,
        executor: str | None = None,
        timeout: Seconds | None = None,
        retry: RetryPolicy | None = None,
        retries: int | None = None,
    ) -> None:
        priority = checked_priority(priority)
        if misfire not in MISFIRE_WORDS:
            words = ", ".join(map(repr, MISFIRE_WORDS))
            raise ValueError(f"misfire must be one of {words}, got {show(misfire)}")
        if grace is not None:
            bounded_span_ns(grace, "grace")
        self.priority = priority
        self.misfire = misfire
        self.grace = grace
        self.catch_up_limit = count(catch_up_limit, "catch_up_limit")
        if self.catch_up_limit is not None and misfire != "all":
            warn(f"catch_up_limit has no effect without misfire='all', got {catch_up_limit!r}")
        self.pause_after_failures = count(pause_after_failures, "pause_after_failures")
        self.executor = checked_executor(executor)
        self.timeout = timeout
        if timeout is not None:
            limit_ns(timeout)
        self.retry = retry_of(retry, retries)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RunPolicy):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # mutable data is no key

    def __repr__(self) -> str:
        given = {
            name: value
            for name, default in _DEFAULTS.items()
            if (value := getattr(self, name)) is not None and value != default
        }
        return f"RunPolicy({', '.join(f'{name}={value!r}' for name, value in given.items())})"


def checked_priority(value: object) -> int:
    """A priority.

    Raises:
        TypeError: It is not an integer, or it is a bool.
        ValueError: It is not in 0 to 255.
    """
    return integer(value, "priority", 0, 255, expected=_PRIORITY)


def checked_executor(value: object) -> str | None:
    """The name of an executor, or None.

    Raises:
        TypeError: It is no string.
        ValueError: There is no executor of that name.
    """
    if value is not None and not isinstance(value, str):
        raise TypeError(f"executor must be a string or None, got {show(value)}")
    if value is not None and value not in EXECUTOR_WORDS:
        words = ", ".join(map(repr, EXECUTOR_WORDS))
        raise ValueError(f"executor must be one of {words}, got {show(value)}")
    return value


def limit_ns(value: object) -> int:
    """The time limit of a run, in nanoseconds.

    Raises:
        TypeError: It is no number of seconds or timedelta.
        ValueError: It is NaN, infinite, or not above zero.
    """
    span = bounded_span_ns(value, "timeout")
    if span == 0:
        raise ValueError(f"timeout must be more than 0, got {show(value)}")
    return span


def copied(policy: RunPolicy) -> RunPolicy:
    """A copy, which is not checked again and gives no warning."""
    found = object.__new__(RunPolicy)
    for name in RunPolicy.__slots__:
        setattr(found, name, getattr(policy, name))
    return found


#: The options that a representation leaves out.
_DEFAULTS = {
    "priority": DEFAULT_PRIORITY,
    "misfire": "latest",
    "grace": None,
    "catch_up_limit": None,
    "pause_after_failures": None,
    "executor": None,
    "retry": None,
    "timeout": None,
}

#: What can be said of a policy besides the priority, in `schedule` and elsewhere.
POLICY_WORDS = frozenset(RunPolicy.__slots__) - {"priority"} | {"retries"}


def count(value: object, argument: str) -> int | None:
    """A count of at least one, or None.

    Raises:
        TypeError: It is neither an integer nor None.
        ValueError: It is less than 1, or more than 2**63 - 1.
    """
    if value is None:
        return None
    try:
        return integer(value, argument, 1, 2**63 - 1)
    except TypeError:
        raise TypeError(f"{argument} must be an integer or None, got {show(value)}") from None
    except ValueError:
        raise ValueError(
            f"{argument} must be at least 1 and below 2**63, got {show(value)}"
        ) from None

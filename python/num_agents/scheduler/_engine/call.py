"""What belongs to one task: what it calls, its options, and its recurrence."""

from __future__ import annotations

from num_agents.scheduler import _native
from num_agents.scheduler._timing.moments import moment_ns
from num_agents.scheduler._timing.spans import bounded_span_ns
from num_agents.scheduler.task import checked_callback, checked_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Context
    from datetime import tzinfo
    from typing import Any

    from num_agents.scheduler._engine.pieces import KnownTimes
    from num_agents.scheduler.policy import RunPolicy
    from num_agents.scheduler.schedule import TaskSchedule
    from num_agents.scheduler.task import Task


class TaskOptions:
    """What belongs to a task that is more than a plain one-shot.

    Attributes:
        schedule: When it runs.
        policy: How it runs.
        tags: Words to find it by.
        metadata: The user's.
        context: The context variables that each run gets a copy of; None for a new context.
        known: If its times are computed in pieces, up to when they are known.
    """

    __slots__ = ("context", "known", "metadata", "policy", "schedule", "tags")

    def __init__(self, task: Task) -> None:
        self.schedule = task.schedule
        self.policy = task.policy
        self.tags = task.tags
        self.metadata = task.metadata
        self.context: Context | None = task.context
        self.known: KnownTimes | None = None


def check_call(name: object, callback: object) -> None:
    """Checks the name and the callback of a task.

    Raises:
        TypeError: The name is no string, or the callback cannot be called.
    """
    checked_name(name)
    checked_callback(callback)


def recurrence_of(
    schedule: TaskSchedule,
    policy: RunPolicy,
    calendar: _native.Calendar | None,
    zone: tzinfo | None,
) -> _native.Recurrence | None:
    """A task's times after the first; None for a one-shot that runs however late it is."""
    if calendar is None and not (
        schedule.interval is not None
        or schedule.end_after is not None
        or schedule.max_runs is not None
        or schedule.jitter is not None
        or schedule.window is not None
        or policy.grace is not None
    ):
        return None

    def span(value: Any, argument: str) -> int:
        return 0 if value is None else bounded_span_ns(value, argument)

    start = schedule.start_after
    return _native.Recurrence(
        policy.misfire,
        interval_ns=0 if calendar is not None else span(schedule.interval, "interval"),
        fixed_delay=schedule.fixed_delay,
        start_ns=None if start is None else moment_ns(start, "start_after", schedule.zone_or(zone)),
        end_ns=schedule.end_ns(zone),
        max_runs=schedule.max_runs,
        grace_ns=None if policy.grace is None else bounded_span_ns(policy.grace, "grace"),
        catch_up_limit=policy.catch_up_limit,
        calendar=calendar,
        jitter_ns=span(schedule.jitter, "jitter"),
        window_ns=span(schedule.window, "window"),
        on_wall=schedule.run_at is not None,
    )

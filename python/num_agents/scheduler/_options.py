"""The options of `Scheduler.schedule`: for type checkers and `inspect`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import Context
from datetime import tzinfo
from typing import Any, TypedDict, Unpack  # noqa: F401 - for the hints of what it describes

from num_agents.scheduler._timing.moments import Moment
from num_agents.scheduler._timing.spans import Seconds
from num_agents.scheduler.calendar import CalendarInterval, Exclusions
from num_agents.scheduler.policy import DEFAULT_PRIORITY, IfExists, MisfireWord
from num_agents.scheduler.retry import RetryPolicy
from num_agents.scheduler.schedule import DialectWord, DstWord, FirstRun, TaskSchedule

__all__ = ["OptionsWithoutKwargs", "ScheduleOptions", "schedule_signature"]


class OptionsWithoutKwargs(TypedDict, total=False):
    """The options of `ScheduleOptions` without `kwargs`."""

    run_at: Moment | None
    interval: Seconds | None
    cron_expression: str | None
    calendar_interval: CalendarInterval | None
    rrule: Any
    any_of: Iterable[TaskSchedule]
    exclude: Exclusions | None
    max_runs: int | None
    start_after: Moment | None
    end_after: Moment | None
    timezone: tzinfo | str | None
    fixed_delay: bool
    first_run: FirstRun
    dialect: DialectWord
    dst: DstWord
    jitter: Seconds | None
    window: Seconds | None
    misfire: MisfireWord
    grace: Seconds | None
    catch_up_limit: int | None
    pause_after_failures: int | None
    executor: str | None
    timeout: Seconds | None
    retry: RetryPolicy | None
    retries: int | None
    tags: Iterable[str]
    metadata: Mapping[str, Any] | None
    context: Context | None


class ScheduleOptions(OptionsWithoutKwargs, total=False):
    """The options of `Scheduler.schedule` besides `delay`, `args` and `priority`."""

    kwargs: Mapping[str, Any] | None


def schedule_signature(
    self: object,
    name: str,
    callback: Callable[..., Any],
    *,
    delay: Seconds | None = None,
    run_at: Moment | None = None,
    interval: Seconds | None = None,
    cron_expression: str | None = None,
    calendar_interval: CalendarInterval | None = None,
    rrule: Any = None,
    any_of: Iterable[TaskSchedule] = (),
    exclude: Exclusions | None = None,
    args: Iterable[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    priority: int = DEFAULT_PRIORITY,
    max_runs: int | None = None,
    start_after: Moment | None = None,
    end_after: Moment | None = None,
    timezone: tzinfo | str | None = None,
    fixed_delay: bool = False,
    first_run: FirstRun = "now",
    dialect: DialectWord = "vixie",
    dst: DstWord = "debian",
    jitter: Seconds | None = None,
    window: Seconds | None = None,
    misfire: MisfireWord = "latest",
    grace: Seconds | None = None,
    catch_up_limit: int | None = None,
    pause_after_failures: int | None = None,
    executor: str | None = None,
    timeout: Seconds | None = None,
    retry: RetryPolicy | None = None,
    retries: int | None = None,
    tags: Iterable[str] = (),
    metadata: Mapping[str, Any] | None = None,
    context: Context | None = None,
    key: str | None = None,
    if_exists: IfExists = "raise",
) -> str:
    """What `inspect.signature`, `help` and completion show of `Scheduler.schedule`.

    The method itself takes all but the common options as `**options`: filling in 25 defaults would
    double the time of a call with a delay.
    """
    raise NotImplementedError

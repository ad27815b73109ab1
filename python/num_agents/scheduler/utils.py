"""Functions for common uses of a scheduler."""

from __future__ import annotations

from num_agents.scheduler._messages import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from num_agents.scheduler._timing.moments import Moment
    from num_agents.scheduler._timing.spans import Seconds
    from num_agents.scheduler.scheduler import Scheduler
    from num_agents.scheduler.task import Task


def schedule_one_time_task(
    scheduler: Scheduler,
    name: str,
    callback: Callable[..., Any],
    *,
    delay: Seconds | None = None,
    run_at: Moment | None = None,
    **options: Any,
) -> str:
    """Schedules a task that runs once: after a delay, at a moment, or at once. Returns its id.

    `options` are those of `Scheduler.schedule`: `args`, `kwargs`, `priority` and so on.
    """
    return scheduler.schedule(name, callback, delay=delay, run_at=run_at, **options)


def schedule_recurring_task(
    scheduler: Scheduler,
    name: str,
    callback: Callable[..., Any],
    interval: Seconds,
    *,
    max_runs: int | None = None,
    start_after: Moment | None = None,
    end_after: Moment | None = None,
    **options: Any,
) -> str:
    """Schedules a task that runs again and again, `interval` apart. Returns its id.

    `options` are those of `Scheduler.schedule`.

    Raises:
        TypeError: `interval` is None.
    """
    if interval is None:
        raise TypeError("interval must be a number of seconds or a timedelta, got None")
    return scheduler.schedule(
        name,
        callback,
        interval=interval,
        max_runs=max_runs,
        start_after=start_after,
        end_after=end_after,
        **options,
    )


def schedule_cron_task(
    scheduler: Scheduler,
    name: str,
    callback: Callable[..., Any],
    cron_expression: str,
    **options: Any,
) -> str:
    """Schedules a task by a cron expression.

    Raises:
        UnsupportedScheduleError: Always, in this version: it has no calendar.
        TypeError: `cron_expression` is no string.
    """
    if not isinstance(cron_expression, str):
        raise TypeError(f"cron_expression must be a string, got {show(cron_expression)}")
    return scheduler.schedule(name, callback, cron_expression=cron_expression, **options)


def get_task_info(scheduler: Scheduler, task_id: str) -> dict[str, Any] | None:
    """What is known of a task, as `Task.to_dict` says it; None if it is unknown or forgotten."""
    task = scheduler.get_task(task_id)
    return None if task is None else task.to_dict()


def get_all_tasks_info(scheduler: Scheduler) -> list[dict[str, Any]]:
    """What is known of each task, the live ones and those remembered."""
    return _infos(scheduler.get_all_tasks())


def get_pending_tasks_info(scheduler: Scheduler) -> list[dict[str, Any]]:
    """What is known of each pending task."""
    return _infos(scheduler.get_pending_tasks())


def get_due_tasks_info(scheduler: Scheduler) -> list[dict[str, Any]]:
    """What is known of each pending task whose time has come."""
    return _infos(scheduler.get_due_tasks())


def cancel_all_tasks(scheduler: Scheduler) -> int:
    """Cancels every task that has not ended. Returns how many that stopped or signalled."""
    return scheduler.cancel_many(scheduler.live_task_ids())


def _infos(tasks: Iterable[Task]) -> list[dict[str, Any]]:
    return [task.to_dict() for task in tasks]

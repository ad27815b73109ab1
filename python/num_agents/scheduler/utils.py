"""Functions for common uses of a scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.moments import Moment
from num_agents.scheduler._timing.spans import Seconds
from num_agents.scheduler.scheduler import Scheduler
from num_agents.scheduler.task import Task

#: Options of `Scheduler.schedule` that make a task run more than once.
_REPEATING = ("interval", "cron_expression", "calendar_interval", "rrule", "any_of")


def schedule_one_time_task(
    scheduler: Scheduler,
    name: str,
    callback: Callable[..., Any],
    *,
    delay: Seconds | None = None,
    run_at: Moment | None = None,
    **options: Any,
) -> str:
    """Schedules a task that runs once. Returns its id.

    Args:
        scheduler: The scheduler.
        name: The task's name.
        callback: Called with `args` and `kwargs` of `options`.
        delay: Run after this many seconds, or a timedelta. With neither this nor `run_at`, the task
            runs immediately.
        run_at: Run at this moment: a datetime or an ISO-8601 string.
        options: Other options of `Scheduler.schedule`: `args`, `kwargs`, `priority`, and so on.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range, or two contradict each other; or an option,
            such as `interval`, would repeat the task.
    """
    for word in _REPEATING:
        if options.get(word) not in (None, ()):
            raise ValueError(
                f"{word} would repeat the task, got {show(options[word])}: use "
                "schedule_recurring_task, schedule_cron_task or Scheduler.schedule"
            )
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
    """Schedules a task that runs repeatedly, at a fixed rate. Returns its id.

    Args:
        scheduler: The scheduler.
        name: The task's name.
        callback: Called with `args` and `kwargs` of `options` at each run.
        interval: Seconds, or a timedelta, from one run to the next.
        max_runs: Start at most this many runs; None for any number.
        start_after: Not before this moment: a datetime or an ISO-8601 string.
        end_after: Not after this moment.
        options: Other options of `Scheduler.schedule`: `args`, `kwargs`, `priority`, and so on.

    Raises:
        TypeError: An argument has the wrong type; `interval` must not be None.
        ValueError: An argument is out of its range, or two contradict each other.
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
    """Schedules a task that runs when a cron expression fires. Returns its id.

    Args:
        scheduler: The scheduler.
        name: The task's name.
        callback: Called with `args` and `kwargs` of `options` at each run.
        cron_expression: As in `TaskSchedule`: `"0 9 * * MON-FRI"`, `"@daily"`.
        options: Other options of `Scheduler.schedule`: `timezone`, `dialect`, `args`, and so on.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range, or two contradict each other.
        InvalidCronError: A ValueError that says where the cron expression is wrong.
    """
    if not isinstance(cron_expression, str):
        raise TypeError(f"cron_expression must be a string, got {show(cron_expression)}")
    return scheduler.schedule(name, callback, cron_expression=cron_expression, **options)


def get_task_info(scheduler: Scheduler, task_id: str) -> dict[str, Any] | None:
    """The task as a dict, as `Task.to_dict` returns it; None if it is unknown or forgotten."""
    task = scheduler.get_task(task_id)
    return None if task is None else task.to_dict()


def get_all_tasks_info(scheduler: Scheduler) -> list[dict[str, Any]]:
    """All tasks as dicts: those that have not ended, and those that are remembered."""
    return _infos(scheduler.get_all_tasks())


def get_pending_tasks_info(scheduler: Scheduler) -> list[dict[str, Any]]:
    """The pending tasks as dicts."""
    return _infos(scheduler.get_pending_tasks())


def get_due_tasks_info(scheduler: Scheduler) -> list[dict[str, Any]]:
    """The pending tasks that are due, as dicts."""
    return _infos(scheduler.get_due_tasks())


def cancel_all_tasks(scheduler: Scheduler) -> int:
    """Cancels every task that has not ended. Returns how many of them it stopped or signalled."""
    return scheduler.cancel_many(scheduler.live_task_ids())


def _infos(tasks: Iterable[Task]) -> list[dict[str, Any]]:
    return [task.to_dict() for task in tasks]

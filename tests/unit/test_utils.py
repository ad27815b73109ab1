"""The functions for common uses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler import (
    CalendarInterval,
    InvalidCronError,
    Scheduler,
    TaskSchedule,
    utils,
)
from num_agents.scheduler.utils import (
    cancel_all_tasks,
    get_all_tasks_info,
    get_due_tasks_info,
    get_pending_tasks_info,
    get_task_info,
    schedule_cron_task,
    schedule_one_time_task,
    schedule_recurring_task,
)

if TYPE_CHECKING:
    from num_agents.scheduler.testing import VirtualClock

START = datetime(2025, 1, 1, tzinfo=UTC)


def test_one_time(scheduler: Scheduler, clock: VirtualClock) -> None:
    at_once = schedule_one_time_task(scheduler, "t", int)
    delayed = schedule_one_time_task(scheduler, "t", max, delay=5, args=(1, 2), priority=3)
    at = schedule_one_time_task(scheduler, "t", int, run_at="2025-01-01T00:00:07Z")
    clock.advance(6)
    assert scheduler.tasks[at_once].run_count == 1
    assert scheduler.tasks[delayed].result == 2
    assert scheduler.tasks[at].next_run == START + timedelta(seconds=7)
    with pytest.raises(ValueError, match="run_at and delay"):
        schedule_one_time_task(scheduler, "t", int, delay=5, run_at="2025-01-01")
    with pytest.raises(TypeError, match="unexpected keyword argument 'delya'"):
        schedule_one_time_task(scheduler, "t", int, delya=5)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("interval", 5),
        ("cron_expression", "@daily"),
        ("calendar_interval", CalendarInterval(days=1)),
        ("rrule", "FREQ=DAILY"),
        ("any_of", [TaskSchedule(cron_expression="@daily")]),
    ],
)
def test_one_time_refuses_what_repeats(scheduler: Scheduler, word: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{word} would repeat the task"):
        schedule_one_time_task(scheduler, "t", int, **{word: value})
    assert schedule_one_time_task(scheduler, "t", int, interval=None, any_of=())
    assert len(scheduler.tasks) == 1


def test_no_function_says_that_it_always_raises() -> None:
    assert not [
        name
        for name, value in vars(utils).items()
        if callable(value) and "Always" in (value.__doc__ or "")
    ]


def test_recurring(scheduler: Scheduler, clock: VirtualClock) -> None:
    task_id = schedule_recurring_task(
        scheduler,
        "t",
        int,
        timedelta(seconds=10),
        max_runs=24,
        start_after=START + timedelta(seconds=5),
        end_after=START + timedelta(seconds=35),
        tags=["x"],
    )
    clock.advance(100)
    assert scheduler.tasks[task_id].run_count == 4
    interval: Any = None
    with pytest.raises(TypeError, match=r"^interval must be a number of seconds"):
        schedule_recurring_task(scheduler, "t", int, interval)


def test_cron(scheduler: Scheduler, clock: VirtualClock) -> None:
    ran: list[datetime] = []
    task_id = schedule_cron_task(
        scheduler,
        "t",
        lambda: ran.append(clock.now()),
        "*/5 * * * *",
        max_runs=3,
        priority=7,
        timezone="Asia/Kolkata",
    )
    task = scheduler.tasks[task_id]
    assert (task.schedule.cron_expression, task.policy.priority) == ("*/5 * * * *", 7)
    clock.advance(3600)
    assert ran == [START + timedelta(minutes=5 * run) for run in (1, 2, 3)]
    assert scheduler.tasks[task_id].status == "completed"


def test_a_wrong_cron_expression_is_refused(scheduler: Scheduler) -> None:
    with pytest.raises(InvalidCronError, match=r"^cron_expression 'x': "):
        schedule_cron_task(scheduler, "t", int, "x")
    expression: Any = None
    with pytest.raises(TypeError, match=r"^cron_expression must be a string"):
        schedule_cron_task(scheduler, "t", int, expression)
    assert len(scheduler.tasks) == 0


def test_information(scheduler: Scheduler, clock: VirtualClock) -> None:
    due = schedule_one_time_task(scheduler, "due", int)
    later = schedule_one_time_task(scheduler, "later", int, delay=9, tags=["a"])
    info = get_task_info(scheduler, later)
    assert info is not None
    assert (info["task_id"], info["name"], info["status"]) == (later, "later", "pending")
    assert info["tags"] == ["a"]
    assert datetime.fromisoformat(info["next_run"]) == START + timedelta(seconds=9)
    assert get_task_info(scheduler, "nonsense") is None
    assert [one["name"] for one in get_due_tasks_info(scheduler)] == ["due"]
    assert [one["name"] for one in get_pending_tasks_info(scheduler)] == ["due", "later"]
    clock.advance(1)
    assert {one["task_id"]: one["status"] for one in get_all_tasks_info(scheduler)} == {
        due: "completed",
        later: "pending",
    }


def test_a_failure_is_shown_as_text(scheduler: Scheduler, clock: VirtualClock) -> None:
    task_id = schedule_one_time_task(scheduler, "t", int, args=("x",))
    clock.advance(0)
    info = get_task_info(scheduler, task_id)
    assert info is not None
    assert info["status"] == "failed"
    assert info["error"].startswith("ValueError: invalid literal")


def test_cancel_all(scheduler: Scheduler, clock: VirtualClock) -> None:
    schedule_one_time_task(scheduler, "ended", int)
    clock.advance(0)
    ids = [
        schedule_one_time_task(scheduler, "one", int, delay=5),
        schedule_recurring_task(scheduler, "many", int, 5, first_run="after_interval"),
        schedule_one_time_task(scheduler, "paused", int, delay=5),
    ]
    scheduler.pause_task(ids[2])
    assert cancel_all_tasks(scheduler) == 3
    assert cancel_all_tasks(scheduler) == 0
    assert {scheduler.tasks[task_id].status.value for task_id in ids} == {"cancelled"}

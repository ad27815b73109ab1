"""What a policy says without effect is warned of: once, where it was said."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.core import SharedStore
from num_agents.scheduler import RunPolicy, Scheduler, ScheduleWarning, Task, TaskSchedule
from num_agents.scheduler.scheduler_node import ScheduleTaskNode
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    with Scheduler(clock=VirtualClock()) as scheduler:
        yield scheduler


WITHOUT_EFFECT: list[tuple[dict[str, Any], str]] = [
    ({"delay": 5, "misfire": "skip"}, "misfire has no effect on a task that runs once"),
    ({"misfire": "earliest"}, "misfire has no effect on a task that runs once"),
    ({"interval": 5, "catch_up_limit": 2}, "catch_up_limit has no effect without misfire='all'"),
    (
        {"interval": 5, "misfire": "skip", "catch_up_limit": 2},
        "catch_up_limit has no effect without misfire='all'",
    ),
]


@pytest.mark.parametrize(("options", "message"), WITHOUT_EFFECT)
def test_schedule_warns_where_it_is_called(
    scheduler: Scheduler, options: dict[str, Any], message: str
) -> None:
    with pytest.warns(ScheduleWarning, match=message) as caught:
        scheduler.schedule("t", int, **options)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(("options", "message"), WITHOUT_EFFECT)
def test_so_does_a_node_when_it_is_made(
    scheduler: Scheduler, options: dict[str, Any], message: str
) -> None:
    with pytest.warns(ScheduleWarning, match=message):
        node = ScheduleTaskNode(scheduler, "t", int, **options)
    # Warnings are errors in these tests.
    assert node.exec(SharedStore())["scheduled"]


@pytest.mark.parametrize(
    "options",
    [
        {"interval": 5, "misfire": "skip"},
        {"interval": 5, "misfire": "all", "catch_up_limit": 2, "pause_after_failures": 1},
        {"cron_expression": "@daily", "pause_after_failures": 1, "misfire": "all"},
        {"delay": 5, "grace": 1},
        # It is counted if the task is given new times.
        {"delay": 5, "pause_after_failures": 1},
        {"delay": 5, "max_runs": 1, "misfire": "latest"},
    ],
)
def test_what_has_an_effect_is_accepted(scheduler: Scheduler, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.schedule("t", int, **options)


def test_a_task_warns_when_it_is_made_and_never_again(scheduler: Scheduler) -> None:
    policy = RunPolicy(misfire="skip")
    with pytest.warns(ScheduleWarning) as caught:
        task = Task("t", int, TaskSchedule(delay=5), policy=policy)
    assert len(caught) == 1
    task_id = scheduler.schedule_task(task)
    viewed = scheduler.get_task(task_id)
    assert viewed is not None
    assert viewed.policy == policy
    assert [one.task_id for one in scheduler.get_all_tasks()] == [task_id]
    assert scheduler.tasks[task_id].schedule.describe()

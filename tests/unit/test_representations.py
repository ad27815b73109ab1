"""What things say of themselves in a terminal, a notebook or a message."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler import (
    CalendarInterval,
    Exclusions,
    RunPolicy,
    Scheduler,
    Task,
    TaskSchedule,
)
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock("2026-03-01T00:00:00Z")


@pytest.fixture
def scheduler(clock: VirtualClock) -> Iterator[Scheduler]:
    with Scheduler(clock=clock, history=2) as scheduler:
        yield scheduler


def wrong() -> None:
    raise ValueError("wrong")


class TestATask:
    def test_says_its_status_and_next_run(self, scheduler: Scheduler) -> None:
        task = Task("report", print, TaskSchedule(delay=60))
        assert repr(task) == "<Task 'report', not scheduled>"
        task_id = scheduler.schedule_task(task)
        said = f"<Task 'report' pending, next run 2026-03-01 00:01:00+00:00, {task_id}>"
        assert repr(task) == said
        scheduler.pause_task(task_id)
        assert repr(task) == said.replace("pending", "paused")

    def test_says_how_it_ended(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", wrong)
        scheduler.wait_for_task(task_id)
        assert repr(scheduler.get_task(task_id)) == f"<Task 't' failed, {task_id}>"

    def test_that_is_forgotten_says_so(self, scheduler: Scheduler) -> None:
        task = Task("t", int)
        task_id = scheduler.schedule_task(task)
        last = [scheduler.schedule("other", int) for _ in range(3)][-1]
        scheduler.wait_for_task(last)
        assert repr(task) == f"<Task 't' forgotten, {task_id}>"

    def test_in_its_own_run(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", lambda: repr(scheduler.get_all_tasks()))
        assert scheduler.result(task_id) == f"[<Task 't' running, {task_id}>]"


def test_tasks_say_how_many_there_are(scheduler: Scheduler) -> None:
    scheduler.wait_for_task(scheduler.schedule("t", int))
    scheduler.schedule_many("t", int, delays=[1, 2, 3])
    assert repr(scheduler.tasks) == "<tasks by id: 3 live, 1 ended>"


def test_statistics_leave_out_what_is_zero(scheduler: Scheduler) -> None:
    assert repr(scheduler.statistics()) == "<Statistics: 0 pending, 0 running, 0 completed>"
    scheduler.wait_for_task(scheduler.schedule("t", int))
    scheduler.wait_for_task(scheduler.schedule("t", wrong))
    scheduler.pause_task(scheduler.schedule("t", int, delay=5))
    scheduler.cancel_task(scheduler.schedule("t", int, delay=5))
    assert repr(scheduler.statistics()) == (
        "<Statistics: 0 pending, 1 paused, 0 running, 1 completed, 1 failed, 1 cancelled>"
    )


def test_an_outcome_says_what_became_of_the_run(scheduler: Scheduler) -> None:
    ended = scheduler.wait_for_task(scheduler.schedule("t", lambda: [1], delay=5))
    assert repr(ended) == f"<Outcome completed: [1] of 't' {ended.task_id}, 0.000 ms late>"
    failed = scheduler.wait_for_task(scheduler.schedule("t", wrong))
    assert "failed: ValueError: wrong of 't'" in repr(failed)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (RunPolicy(), "RunPolicy()"),
        (RunPolicy(priority=0, grace=5), "RunPolicy(priority=0, grace=5)"),
        (
            RunPolicy(misfire="all", catch_up_limit=3, pause_after_failures=2),
            "RunPolicy(misfire='all', catch_up_limit=3, pause_after_failures=2)",
        ),
        (TaskSchedule(), "TaskSchedule()"),
        (TaskSchedule(interval=5), "TaskSchedule(interval=5)"),
        (CalendarInterval(weeks=2), "CalendarInterval(weeks=2)"),
        (CalendarInterval(days=1, at="09:30"), "CalendarInterval(days=1, at='09:30:00')"),
        (Exclusions(), "Exclusions()"),
        (Exclusions(hours=[3]), "Exclusions(hours=[3])"),
        (
            Exclusions(weekdays=["sat"], dates=["2026-12-25"]),
            "Exclusions(weekdays=['saturday'], dates=['2026-12-25'])",
        ),
    ],
)
def test_descriptions_show_what_was_said(value: object, shown: str) -> None:
    assert repr(value) == shown
    assert eval(shown) == value


class TestATimeout:
    @pytest.mark.parametrize("method", ["wait_for_task", "result"])
    def test_says_what_did_not_end_and_when(self, scheduler: Scheduler, method: str) -> None:
        task_id = scheduler.schedule("t", int, delay=60)
        with pytest.raises(TimeoutError, match=rf"^task {task_id} did not end within 1.5 s$"):
            getattr(scheduler, method)(task_id, timedelta(seconds=1.5))

    def test_of_a_future_says_so_too(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", int, delay=60)
        with pytest.raises(TimeoutError, match=rf"^task {task_id} did not end within 2 s$"):
            scheduler.future(task_id).result(2)

    @pytest.mark.parametrize("timeout", [0, 0.001])
    @pytest.mark.parametrize("method", ["wait_for_task_async", "result_async"])
    def test_in_asyncio_says_so_too(self, method: str, timeout: float) -> None:
        async def main(scheduler: Scheduler) -> Any:
            task_id = scheduler.schedule("t", int, delay=60)
            await getattr(scheduler, method)(task_id, timeout)

        with Scheduler(max_workers=1) as scheduler, pytest.raises(TimeoutError) as caught:
            asyncio.run(main(scheduler))
        assert str(caught.value).endswith(f" did not end within {timeout:g} s")

"""`Task` and `TaskSchedule`: descriptions, then views."""

from __future__ import annotations

import gc
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest

from num_agents.scheduler import (
    InvalidCronError,
    RunPolicy,
    Scheduler,
    Task,
    TaskSchedule,
    TaskStatus,
    UnknownTaskError,
)

if TYPE_CHECKING:
    from num_agents.scheduler.testing import VirtualClock


class AsynchronousCallable:
    async def __call__(self) -> None: ...

    async def method(self) -> None: ...


class TestSchedule:
    def test_says_what_it_was_told(self) -> None:
        start = datetime(2030, 1, 1, tzinfo=UTC)
        schedule = TaskSchedule(interval=timedelta(minutes=5), max_runs=10, start_after=start)
        assert schedule.to_dict() == {
            "any_of": (),
            "calendar_interval": None,
            "cron_expression": None,
            "delay": None,
            "dialect": "vixie",
            "dst": "debian",
            "end_after": None,
            "exclude": None,
            "first_run": "now",
            "fixed_delay": False,
            "interval": timedelta(minutes=5),
            "jitter": None,
            "max_runs": 10,
            "rrule": None,
            "run_at": None,
            "start_after": start,
            "timezone": None,
            "window": None,
        }
        assert repr(schedule) == (
            f"TaskSchedule(interval={timedelta(minutes=5)!r}, max_runs=10, start_after={start!r})"
        )

    def test_equal_by_value_and_no_key(self) -> None:
        assert TaskSchedule(delay=1) == TaskSchedule(delay=1)
        assert TaskSchedule(delay=1) != TaskSchedule(delay=2)
        assert TaskSchedule(delay=1) != "TaskSchedule(delay=1)"
        with pytest.raises(TypeError, match="unhashable"):
            hash(TaskSchedule())

    @pytest.mark.parametrize("expression", ["", "nonsense", "60 * * * *", "* * * *", "0 0 30 2 *"])
    def test_a_wrong_cron_expression_is_refused_and_never_misread(
        self, scheduler: Scheduler, expression: str
    ) -> None:
        message = f"^cron_expression {re.escape(repr(expression))}: "
        with pytest.raises(InvalidCronError, match=message):
            TaskSchedule(cron_expression=expression)
        with pytest.raises(InvalidCronError, match=message):
            scheduler.schedule("t", print, cron_expression=expression)
        assert len(scheduler.tasks) == 0

    @pytest.mark.parametrize(
        ("times", "message"),
        [
            ({"run_at": "2030-01-01", "delay": 1}, "run_at and delay"),
            ({"interval": 1, "delay": 1}, "interval repeats"),
            ({"interval": 1, "run_at": "2030-01-01"}, "interval repeats"),
            ({"fixed_delay": True}, "fixed_delay counts"),
        ],
    )
    def test_contradictions_are_refused(self, times: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            TaskSchedule(**times)

    def test_one_that_would_never_run_is_refused_at_the_call(self, scheduler: Scheduler) -> None:
        with pytest.raises(ValueError, match=r"^end_after comes before the first run"):
            scheduler.schedule("t", print, interval=1, end_after="2024-12-31T23:59:59Z")
        assert len(scheduler.tasks) == 0

    def test_its_place_in_the_calendar_is_bounded(self, scheduler: Scheduler) -> None:
        """Spans and moments far away are kept as far away as the engine can tell."""
        schedules: list[dict[str, Any]] = [
            {"interval": 1e308},
            {"interval": timedelta.max},
            {"interval": 50 * 366 * 86_400, "first_run": "aligned", "start_after": "2550-01-01"},
            {"run_at": datetime.max.replace(tzinfo=UTC)},
            {"interval": 1, "end_after": datetime.max.replace(tzinfo=UTC)},
        ]
        for times in schedules:
            scheduler.schedule("t", print, **times)


class TestTask:
    def test_before_it_is_scheduled(self) -> None:
        task = Task("t", print)
        assert task.task_id is None
        assert task.status is TaskStatus.PENDING
        assert (task.run_count, task.next_run, task.last_run) == (0, None, None)
        assert (task.result, task.error) == (None, None)
        assert task.schedule == TaskSchedule()
        assert task.policy == RunPolicy()
        assert repr(task) == "<Task 't', not scheduled>"
        assert task == task  # noqa: PLR0124 - that is the question
        assert task != Task("t", print)

    def test_becomes_a_view_of_itself(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        task = Task("t", lambda: 7, TaskSchedule(delay=5), tags=["b", "a"], metadata={"k": 1})
        task_id = scheduler.schedule_task(task)
        assert task.task_id == task_id
        assert task.next_run == clock.now() + timedelta(seconds=5)
        clock.advance(5)
        assert isinstance(task.status, TaskStatus)
        assert task.status == "completed"
        assert task.result == 7
        assert task.run_count == 1
        assert task.last_run == clock.now()
        assert task.next_run is None
        assert task.to_dict() == {
            "task_id": task_id,
            "name": "t",
            "status": "completed",
            "priority": 128,
            "tags": ["a", "b"],
            "metadata": {"k": 1},
            "run_count": 1,
            "missed": 0,
            "skipped": 0,
            "next_run": None,
            "last_run": clock.now().isoformat(),
            "result": 7,
            "error": None,
        }

    def test_is_scheduled_once_only(self, scheduler: Scheduler) -> None:
        task = Task("t", print)
        scheduler.schedule_task(task)
        with pytest.raises(ValueError, match=r"^task is scheduled already"):
            scheduler.schedule_task(task)
        with pytest.raises(TypeError, match=r"^task must be a Task"):
            scheduler.schedule_task(print)  # type: ignore[arg-type]

    def test_stays_unscheduled_if_scheduling_fails(self, scheduler: Scheduler) -> None:
        task = Task("t", print, TaskSchedule(interval=1, end_after="2024-01-01"))
        with pytest.raises(ValueError, match="end_after"):
            scheduler.schedule_task(task)
        assert task.task_id is None

    def test_views_of_one_task_are_equal(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", print, delay=5)
        first, second = scheduler.get_task(task_id), scheduler.tasks[task_id]
        assert first == second
        assert hash(first) == hash(second)
        assert first != scheduler.get_task(scheduler.schedule("t", print, delay=5))

    def test_a_view_shows_what_was_scheduled(self, scheduler: Scheduler) -> None:
        options: dict[str, Any] = {"interval": 60, "max_runs": 3, "misfire": "all"}
        task_id = scheduler.schedule(
            "t", max, args=[1, 2], kwargs={"key": abs}, priority=3, tags={"x"}, **options
        )
        task = scheduler.tasks[task_id]
        assert (task.name, task.callback, task.args) == ("t", max, (1, 2))
        assert task.kwargs == {"key": abs}
        assert task.policy == RunPolicy(priority=3, misfire="all")
        assert task.schedule == TaskSchedule(interval=60, max_runs=3)
        assert task.tags == {"x"}
        plain = scheduler.tasks[scheduler.schedule("p", min, args=(1, 2), priority=7, delay=9)]
        assert plain.policy.priority == 7
        assert plain.args == (1, 2)

    def test_forgotten_it_still_knows_its_end_if_it_was_looked_at(
        self, clock: VirtualClock
    ) -> None:
        with Scheduler(history=1, clock=clock) as scheduler:
            seen = scheduler.tasks[scheduler.schedule("seen", lambda: 1, delay=1)]
            unseen = scheduler.tasks[scheduler.schedule("unseen", lambda: 2, delay=2)]
            clock.advance(1)
            assert seen.result == 1
            scheduler.schedule("last", print, delay=3)
            clock.advance(5)
            assert seen.status == "completed"
            with pytest.raises(UnknownTaskError, match="ended and forgotten"):
                _ = unseen.status

    def test_arguments_are_copied_from_what_is_handed_in(self, scheduler: Scheduler) -> None:
        kwargs, tags, metadata = {"a": 1}, {"x"}, {"m": 1}
        task = Task("t", dict, args=iter(()), kwargs=kwargs, tags=tags, metadata=metadata)
        kwargs["b"] = 2
        tags.add("y")
        metadata["n"] = 2
        assert (task.kwargs, task.metadata) == ({"a": 1}, {"m": 1})
        assert task.tags == {"x"}
        assert task.args == ()

    @pytest.mark.parametrize(
        "callback", [print, list, partial(print), AsynchronousCallable, "".join]
    )
    def test_whatever_else_can_be_called_is_accepted(self, callback: Any) -> None:
        assert Task("t", callback).callback is callback

    def test_arguments_are_let_go_of_at_the_end(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        class Big: ...

        ran, cancelled = Big(), Big()
        alive = [ref(ran), ref(cancelled)]
        scheduler.schedule("t", id, args=(ran,), delay=1)
        task_id = scheduler.schedule("t", id, args=(cancelled,), delay=9)
        del ran, cancelled
        clock.advance(1)
        scheduler.cancel_task(task_id)
        gc.collect()
        assert [reference() for reference in alive] == [None, None]


class TestMapping:
    def test_is_a_mapping_that_looks_up(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        ended = scheduler.schedule("a", print)
        pending = scheduler.schedule("b", print, delay=9)
        clock.advance(1)
        tasks = scheduler.tasks
        assert sorted(tasks) == sorted([ended, pending])
        assert len(tasks) == 2
        assert pending in tasks
        assert tasks[ended].name == "a"
        for key in ("nonsense", 5, None):
            assert key not in tasks
            with pytest.raises(KeyError):
                tasks[key]  # type: ignore[index]

    def test_lists(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        due = scheduler.schedule("due", print)
        later = scheduler.schedule("later", print, delay=9)
        assert {task.task_id for task in scheduler.get_pending_tasks()} == {due, later}
        assert [task.task_id for task in scheduler.get_due_tasks()] == [due]
        clock.advance(0)
        assert {task.task_id for task in scheduler.get_all_tasks()} == {due, later}
        assert [task.task_id for task in scheduler.get_pending_tasks()] == [later]
        assert list(scheduler.live_task_ids()) == [later]


class TestPolicy:
    def test_values(self) -> None:
        policy = RunPolicy(priority=0, misfire="all", grace=1.5, catch_up_limit=2)
        assert policy == RunPolicy(priority=0, misfire="all", grace=1.5, catch_up_limit=2)
        assert policy != RunPolicy()
        assert policy != 5
        assert "priority=0" in repr(policy)
        with pytest.raises(TypeError, match="unhashable"):
            hash(policy)

    def test_must_be_one(self) -> None:
        with pytest.raises(TypeError, match=r"^policy must be a RunPolicy"):
            Task("t", print, policy="fast")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^schedule must be a TaskSchedule"):
            Task("t", print, 5)  # type: ignore[arg-type]

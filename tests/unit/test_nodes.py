"""Nodes that schedule, cancel and wait for tasks from within a flow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.core import Flow, FlowError, Node, SharedStore
from num_agents.scheduler import InvalidCronError, Scheduler
from num_agents.scheduler.scheduler_node import (
    CancelTaskNode,
    ScheduledFlowNode,
    ScheduleTaskNode,
    WaitForTaskNode,
)

if TYPE_CHECKING:
    from num_agents.scheduler.testing import VirtualClock


def fail() -> None:
    raise ValueError("no")


class ForeignStore:
    """The least that a store of another flow has."""

    def __init__(self, **data: Any) -> None:
        self.data = data

    def get(self, key: str, default: Any = None) -> Any:
        return self.data.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self.data[key] = value


class TestSchedule:
    def test_puts_the_id_into_the_shared_data(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        node = ScheduleTaskNode(scheduler, "t", int, args=["7"], delay=5, priority=3)
        assert node.name == "ScheduleTask_t"
        shared = SharedStore()
        report = node.exec(shared)
        task = scheduler.tasks[shared.get("task_id")]
        assert report == {"task_id": task.task_id, "task_name": "t", "scheduled": True}
        assert task.policy.priority == 3
        clock.advance(5)
        assert task.result == 7

    def test_takes_arguments_from_the_shared_data(self, scheduler: Scheduler) -> None:
        node = ScheduleTaskNode(
            scheduler,
            "t",
            lambda *args, **kwargs: (args, kwargs),
            args=("default",),
            args_key="a",
            kwargs_key="k",
            task_id_output_key="id",
            name="node",
        )
        shared = SharedStore({"a": [1, 2], "k": {"x": 3}})
        node.exec(shared)
        assert scheduler.result(shared.get("id")) == ((1, 2), {"x": 3})
        empty = SharedStore()
        node.exec(empty)
        assert scheduler.result(empty.get("id")) == (("default",), {})

    def test_arguments_from_an_iterator_last_for_every_run(self, scheduler: Scheduler) -> None:
        node = ScheduleTaskNode(scheduler, "t", max, args=iter((1, 2)))
        for _ in range(2):
            shared = SharedStore()
            node.exec(shared)
            assert scheduler.result(shared.get("task_id")) == 2

    def test_recurring(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        shared = SharedStore()
        ScheduleTaskNode(
            scheduler, "t", print, args=("",), interval=timedelta(minutes=1), max_runs=3
        ).exec(shared)
        clock.advance(3600)
        assert scheduler.tasks[shared.get("task_id")].run_count == 3

    def test_what_is_wrong_fails_the_flow_and_names_the_node(self, scheduler: Scheduler) -> None:
        flow = Flow([ScheduleTaskNode(scheduler, "t", print, cron_expression="* * * *")])
        with pytest.raises(
            FlowError, match=r"^node 'ScheduleTask_t' failed: .*cron_expression"
        ) as e:
            flow.execute()
        assert isinstance(e.value.__cause__, InvalidCronError)
        assert len(scheduler.tasks) == 0

    def test_by_cron(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        node = ScheduleTaskNode(scheduler, "t", clock.now, cron_expression="0 9 * * *", max_runs=2)
        shared = SharedStore()
        task_id = node.exec(shared)["task_id"]
        assert shared.get("task_id") == task_id
        clock.advance(7 * 86_400)
        assert scheduler.result(task_id) == datetime(2025, 1, 2, 9, tzinfo=UTC)


class TestCancel:
    def test_says_whether_it_stopped_anything(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", print, delay=5)
        node = CancelTaskNode(scheduler)
        shared = SharedStore({"task_id": task_id})
        assert node.exec(shared) == {"task_id": task_id, "task_name": "t", "cancelled": True}
        assert node.exec(shared) == {"task_id": task_id, "task_name": "t", "cancelled": False}

    @pytest.mark.parametrize("task_id", [None, 5, ["x"]])
    def test_without_an_id(self, scheduler: Scheduler, task_id: Any) -> None:
        report = CancelTaskNode(scheduler, "key").exec(SharedStore({"key": task_id}))
        assert report["cancelled"] is False
        assert report["task_id"] is None
        assert report["error"].startswith("no task id under 'key' in the shared data")

    def test_of_an_unknown_task(self, scheduler: Scheduler) -> None:
        report = CancelTaskNode(scheduler).exec(SharedStore({"task_id": "nonsense"}))
        assert report["cancelled"] is False
        assert report["task_name"] is None
        assert report["error"].startswith("UnknownTaskError")


class TestWait:
    def wait(self, scheduler: Scheduler, task_id: Any, **options: Any) -> tuple[Any, SharedStore]:
        shared = SharedStore({"task_id": task_id})
        return WaitForTaskNode(scheduler, **options).exec(shared), shared

    def test_for_a_result(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        task_id = scheduler.schedule("t", lambda: 7, delay=5)
        report, shared = self.wait(scheduler, task_id, result_key="r")
        assert report == {
            "task_id": task_id,
            "task_name": "t",
            "completed": True,
            "status": "completed",
            "timed_out": False,
            "error": None,
            "result": 7,
        }
        assert shared.get("r") == 7

    def test_for_a_failure(self, scheduler: Scheduler) -> None:
        report, shared = self.wait(scheduler, scheduler.schedule("t", fail))
        assert (report["status"], report["completed"]) == ("failed", False)
        assert report["error"] == "ValueError: no"
        assert not shared.has("task_result")

    def test_for_what_was_cancelled(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", print, delay=1)
        scheduler.cancel_task(task_id)
        report, _ = self.wait(scheduler, task_id)
        assert (report["status"], report["completed"]) == ("cancelled", False)
        assert report["error"] == "the task was cancelled"

    def test_in_vain(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", print, delay=10)
        report, shared = self.wait(scheduler, task_id, timeout=3)
        assert report["timed_out"] is True
        assert (report["status"], report["completed"]) == ("pending", False)
        assert "did not end within 3 s" in report["error"]
        assert not shared.has("task_result")

    @pytest.mark.parametrize("task_id", [None, 5, "nonsense"])
    def test_for_nothing(self, scheduler: Scheduler, task_id: Any) -> None:
        report, _ = self.wait(scheduler, task_id)
        assert (report["status"], report["completed"]) == ("unknown", False)
        assert report["error"]


class TestScheduledFlow:
    class Count(Node):
        def exec(self, shared: Any) -> dict[str, Any]:
            shared.set("count", shared.get("count", 0) + 1)
            return {"count": shared.get("count")}

    def test_each_run_works_on_a_copy_of_the_data_of_that_moment(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        node = ScheduledFlowNode(
            scheduler, [Node("first"), self.Count("second")], interval=10, max_runs=2
        )
        assert node.name == "ScheduledFlow"
        shared = SharedStore()
        report = node.exec(shared)
        assert report["task_name"] == "ScheduledFlow"
        task_id = shared.get("scheduled_flow_id")
        assert scheduler.result(task_id) == {"first": {}, "second": {"count": 1}}
        shared.set("count", 41)
        assert scheduler.result(task_id) == {"first": {}, "second": {"count": 42}}
        assert shared.get("count") == 41

    def test_in_a_foreign_flow(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        shared = ForeignStore(count=1)
        node = ScheduledFlowNode(scheduler, [self.Count("n")], delay=1, task_id_output_key="id")
        node.exec(shared)
        assert scheduler.result(shared.get("id")) == {"n": {"count": 2}}
        assert shared.data["count"] == 1

    def test_a_node_that_raises_fails_the_task(self, scheduler: Scheduler) -> None:
        class Bad(Node):
            def exec(self, shared: Any) -> dict[str, Any]:
                raise ValueError("no")

        shared = SharedStore()
        ScheduledFlowNode(scheduler, [Bad()]).exec(shared)
        outcome = scheduler.wait_for_task(shared.get("scheduled_flow_id"))
        assert isinstance(outcome.error, FlowError)


def test_a_flow_of_all_of_them(scheduler: Scheduler) -> None:
    flow = Flow(
        [
            ScheduleTaskNode(scheduler, "work", lambda x: x * 2, args_key="input", delay=10),
            WaitForTaskNode(scheduler),
            ScheduleTaskNode(scheduler, "never", fail, delay=10, task_id_output_key="other"),
            CancelTaskNode(scheduler, "other"),
        ]
    )
    flow.shared.set("input", (21,))
    results = flow.execute()
    assert flow.shared.get("task_result") == 42
    assert results["CancelTask_other"]["cancelled"] is True

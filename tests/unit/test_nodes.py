"""Nodes that schedule, cancel and wait for tasks from within a flow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from num_agents.core import Flow, FlowError, Node, SharedStore
from num_agents.scheduler import (
    CalendarInterval,
    Exclusions,
    InvalidCronError,
    RetryPolicy,
    RunPolicy,
    Scheduler,
    TaskCancelledError,
    TaskSchedule,
    UnknownTaskError,
)
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

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"cron_expression": "* * * *"}, InvalidCronError, "cron_expression"),
            ({"delay": -1}, ValueError, "delay"),
            ({"delay": 1, "run_at": "2030-01-01"}, ValueError, "run_at and delay"),
            ({"interval": 0}, ValueError, "interval"),
            ({"priority": 256}, ValueError, "priority"),
            ({"misfire": "never"}, ValueError, "misfire"),
            ({"grace": -1}, ValueError, "grace"),
            ({"tags": "word"}, TypeError, "tags"),
            ({"metadata": 5}, TypeError, "metadata"),
            ({"every": 5}, TypeError, "every"),
            ({"name": ""}, ValueError, "name must not be empty"),
            ({"name": 5}, TypeError, "name must be a string"),
            ({"task_id_output_key": None}, TypeError, "task_id_output_key must be a string"),
        ],
    )
    def test_what_is_wrong_is_refused_when_the_node_is_made(
        self, scheduler: Scheduler, options: Any, error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            ScheduleTaskNode(scheduler, "t", print, **options)
        with pytest.raises(error, match=message):
            ScheduledFlowNode(scheduler, [], **options)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"callback": 5}, "callback must be callable"),
            ({"task_name": 5}, "task_name must be a string, got 5"),
            ({"scheduler": print}, "scheduler must be a Scheduler"),
            ({"args": "word"}, "args must be a tuple"),
            ({"args_key": 5}, "args_key must be a string"),
            ({"kwargs": [5]}, "kwargs must be a mapping"),
            ({"every": 5}, r"ScheduleTaskNode\(\)"),
        ],
    )
    def test_other_wrong_arguments(self, scheduler: Scheduler, options: Any, message: str) -> None:
        given = {"scheduler": scheduler, "task_name": "t", "callback": print} | options
        with pytest.raises(TypeError, match=message):
            ScheduleTaskNode(**given)

    def test_what_is_wrong_in_the_shared_data_fails_the_flow(self, scheduler: Scheduler) -> None:
        flow = Flow([ScheduleTaskNode(scheduler, "t", print, args_key="a")])
        flow.shared.set("a", 5)
        with pytest.raises(FlowError, match=r"^node 'ScheduleTask_t' failed: .*args must be"):
            flow.execute()
        assert len(scheduler.tasks) == 0

    #: A value for each option of `Scheduler.schedule`, and what goes with it.
    OPTIONS: ClassVar[dict[str, dict[str, Any]]] = {
        "run_at": {"run_at": "2030-01-01T00:00:00+00:00"},
        "interval": {"interval": 5},
        "cron_expression": {"cron_expression": "0 9 * * *"},
        "max_runs": {"interval": 5, "max_runs": 3},
        "start_after": {"interval": 5, "start_after": "2030-01-01T00:00:00+00:00"},
        "end_after": {"interval": 5, "end_after": "2030-01-01T00:00:00+00:00"},
        "timezone": {"cron_expression": "0 9 * * *", "timezone": "Asia/Tokyo"},
        "fixed_delay": {"interval": 5, "fixed_delay": True},
        "first_run": {"interval": 5, "first_run": "aligned"},
        "dialect": {"cron_expression": "0 0 9 ? * 2", "dialect": "quartz"},
        "dst": {"cron_expression": "0 9 * * *", "dst": "skip"},
        "jitter": {"interval": 5, "jitter": 2},
        "window": {"interval": 5, "window": 2},
        "calendar_interval": {"calendar_interval": CalendarInterval(days=2)},
        "rrule": {"rrule": "FREQ=DAILY"},
        "any_of": {"any_of": (TaskSchedule(cron_expression="0 9 * * *"),)},
        "exclude": {"cron_expression": "0 9 * * *", "exclude": Exclusions(dates=["2025-01-01"])},
        "misfire": {"interval": 5, "misfire": "skip"},
        "grace": {"interval": 5, "grace": 2},
        "catch_up_limit": {"interval": 5, "misfire": "all", "catch_up_limit": 2},
        "pause_after_failures": {"interval": 5, "pause_after_failures": 2},
        "executor": {"interval": 5, "executor": "asyncio"},
        "retry": {"interval": 5, "retry": RetryPolicy(5)},
        "timeout": {"interval": 5, "timeout": 2},
        "kwargs": {"delay": 5, "kwargs": {"end": ""}},
        "tags": {"delay": 5, "tags": frozenset(("a", "b"))},
        "metadata": {"delay": 5, "metadata": {"a": 1}},
    }

    def test_these_are_all_the_options(self) -> None:
        assert self.OPTIONS.keys() >= set(TaskSchedule.OPTIONS) - {"delay"}
        assert self.OPTIONS.keys() >= set(RunPolicy.__slots__) - {"priority"}

    @pytest.mark.parametrize("word", OPTIONS)
    def test_takes_every_option_of_schedule(self, scheduler: Scheduler, word: str) -> None:
        options: Any = self.OPTIONS[word]
        directly = scheduler.tasks[scheduler.schedule("t", print, **options)]
        nodes: list[Node] = [ScheduleTaskNode(scheduler, "t", print, **options)]
        if word != "kwargs":
            nodes.append(ScheduledFlowNode(scheduler, [], **options))
        for node in nodes:
            task = scheduler.tasks[node.exec(SharedStore())["task_id"]]
            assert task.schedule == directly.schedule
            assert task.policy == directly.policy
            assert (task.kwargs, task.tags) == (directly.kwargs, directly.tags)
            assert task.metadata == directly.metadata

    def test_options_from_iterators_last_for_every_run(self, scheduler: Scheduler) -> None:
        daily = TaskSchedule(cron_expression="0 9 * * *")
        node = ScheduleTaskNode(scheduler, "t", print, any_of=iter([daily]), tags=iter("ab"))
        for _ in range(2):
            task = scheduler.tasks[node.exec(SharedStore())["task_id"]]
            assert task.schedule.any_of == (daily,)
            assert task.tags == {"a", "b"}

    def test_each_task_has_metadata_of_its_own(self, scheduler: Scheduler) -> None:
        given = {"a": 1}
        node = ScheduleTaskNode(scheduler, "t", print, delay=5, metadata=given)
        given["a"] = 2
        first, second = (scheduler.tasks[node.exec(SharedStore())["task_id"]] for _ in range(2))
        first.metadata["a"] = 3
        assert second.metadata == {"a": 1}

    @pytest.mark.parametrize("word", ["args", "kwargs"])
    def test_a_sub_flow_has_no_arguments(self, scheduler: Scheduler, word: str) -> None:
        options: Any = {word: {}}
        with pytest.raises(TypeError, match=f"ScheduledFlowNode takes no {word}"):
            ScheduledFlowNode(scheduler, [], **options)

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

    def test_that_takes_too_long(self, scheduler: Scheduler) -> None:
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

    def failures(self, scheduler: Scheduler) -> dict[str, tuple[Any, type[Exception]]]:
        """Ids of tasks that will not complete within 3 s, and the error of each."""
        cancelled = scheduler.schedule("t", print, delay=1)
        scheduler.cancel_task(cancelled)
        return {
            "failed": (scheduler.schedule("t", fail), ValueError),
            "late": (scheduler.schedule("t", print, delay=10), TimeoutError),
            "cancelled": (cancelled, TaskCancelledError),
            "unknown": ("nonsense", UnknownTaskError),
            "none": (None, ValueError),
        }

    @pytest.mark.parametrize("how", ["failed", "late", "cancelled", "unknown", "none"])
    def test_no_old_result_is_left(self, scheduler: Scheduler, how: str) -> None:
        task_id, _ = self.failures(scheduler)[how]
        shared = SharedStore({"task_id": task_id, "r": "old"})
        report = WaitForTaskNode(scheduler, result_key="r", timeout=3).exec(shared)
        assert not report["completed"]
        assert not shared.has("r")
        foreign = ForeignStore(task_id=task_id, r="old")
        WaitForTaskNode(scheduler, result_key="r", timeout=3).exec(foreign)
        assert foreign.data["r"] is None

    @pytest.mark.parametrize("how", ["failed", "late", "cancelled", "unknown", "none"])
    def test_a_failure_can_stop_the_flow(self, scheduler: Scheduler, how: str) -> None:
        task_id, error = self.failures(scheduler)[how]
        wait = WaitForTaskNode(scheduler, timeout=3, on_failure="raise")
        flow = Flow([wait, Node("after")])
        flow.shared.set("task_id", task_id)
        flow.shared.set("task_result", "old")
        with pytest.raises(FlowError, match="node 'WaitForTask_task_id' failed") as caught:
            flow.execute()
        assert type(caught.value.__cause__) is error
        assert flow.results == {}
        assert not flow.shared.has("task_result")

    def test_completed_with_raise(self, scheduler: Scheduler) -> None:
        report, shared = self.wait(scheduler, scheduler.schedule("t", int), on_failure="raise")
        assert report["completed"] is True
        assert shared.get("task_result") == 0

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"on_failure": "stop"}, ValueError, "on_failure must be .* got 'stop'"),
            ({"on_failure": None}, ValueError, "on_failure must be .* got None"),
            ({"timeout": -1}, ValueError, "timeout"),
            ({"timeout": "5"}, TypeError, "timeout"),
            ({"result_key": None}, TypeError, "result_key must be a string, got None"),
            ({"task_id_key": 5}, TypeError, "task_id_key must be a string, got 5"),
            ({"name": ""}, ValueError, "name must not be empty"),
            ({"scheduler": None}, TypeError, "scheduler must be a Scheduler, got None"),
        ],
    )
    def test_wrong_arguments(
        self, scheduler: Scheduler, options: Any, error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            WaitForTaskNode(**{"scheduler": scheduler} | options)


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

    def test_a_copy_of_a_foreign_store(self, scheduler: Scheduler) -> None:
        """Deleting, looking and copying go through to the store below."""
        seen: list[Any] = []

        class Look(Node):
            def exec(self, shared: Any) -> dict[str, Any]:
                seen.append((shared.has("a"), "a" in shared, shared.copy().get("a")))
                seen.append((shared.delete("a"), shared.get("a", 0), shared.has("a")))
                seen.append((shared.delete("a"), shared.copy().get("a"), shared.keys()))
                shared.set("a", 2)
                seen.append((shared.get("a"), shared.copy().has("a"), shared.has("b")))
                return {}

        foreign = ForeignStore(a=1)
        ScheduledFlowNode(scheduler, [Look()]).exec(foreign)
        scheduler.wait_for_task(foreign.data["scheduled_flow_id"])
        assert seen == [
            (True, True, 1),
            (True, 0, False),
            (False, None, []),
            (2, True, False),
        ]
        assert foreign.data["a"] == 1

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


def test_nodes_of_the_same_default_name_in_one_flow(scheduler: Scheduler) -> None:
    nodes: list[Node] = []
    for number in range(2):
        nodes += [
            ScheduleTaskNode(scheduler, "work", int, args=(number,), delay=10),
            WaitForTaskNode(scheduler, result_key=f"result {number}"),
            CancelTaskNode(scheduler),
            ScheduledFlowNode(scheduler, [Node()]),
        ]
    flow = Flow(nodes)
    results = flow.execute()
    assert list(results)[3:] == [
        "ScheduledFlow",
        "ScheduleTask_work_2",
        "WaitForTask_task_id_2",
        "CancelTask_task_id_2",
        "ScheduledFlow_2",
    ]
    assert results["WaitForTask_task_id_2"]["result"] == 1
    assert (flow.shared.get("result 0"), flow.shared.get("result 1")) == (0, 1)

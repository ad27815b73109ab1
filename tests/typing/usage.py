"""How the public interface is used, and misused, for a type checker: never run.

Each `type: ignore` marks a mistake that a checker has to find: one that is not needed is an error.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, assert_type

from num_agents.core import Flow, Node, SharedStore
from num_agents.eventbus import Event, EventBus
from num_agents.scheduler import (
    Outcome,
    Run,
    RunPolicy,
    Scheduler,
    Statistics,
    StopReport,
    Task,
    TaskSchedule,
    TaskStatus,
    current_run,
)
from num_agents.scheduler.scheduler_node import ScheduledFlowNode, ScheduleTaskNode, WaitForTaskNode
from num_agents.scheduler.testing import VirtualClock
from num_agents.scheduler.types import (
    Executor,
    Moment,
    ScheduleOptions,
    Seconds,
    StopMode,
    SupportsPublish,
    Until,
)
from num_agents.scheduler.utils import get_task_info, schedule_recurring_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Future


class OwnBus:
    def publish(self, event: Event) -> None: ...


def add(first: int, second: int = 0) -> int:
    return first + second


def scheduling(
    scheduler: Scheduler,
    callback: Callable[..., Any],
    arguments: tuple[Any, ...],
    iterable: Iterable[Any],
    options: ScheduleOptions,
) -> None:
    assert_type(scheduler.schedule("t", add, args=(1, 2)), str)
    scheduler.schedule("t", add, delay=1)
    scheduler.schedule("t", add, delay=timedelta(seconds=1), args=[1], kwargs={"second": 2})
    scheduler.schedule("t", add, run_at=datetime.now(UTC), priority=0)
    scheduler.schedule("t", add, run_at="2030-01-01", tags=["a"], metadata={"any": object()})
    scheduler.schedule("t", add, interval=1.5, max_runs=3, misfire="skip", first_run="aligned")
    scheduler.schedule("t", add, interval=1, start_after="2030-01-01", end_after=None)
    scheduler.schedule("t", add, args=(1,), kwargs={"second": 2})
    scheduler.schedule("t", add, args=range(2))
    scheduler.schedule("t", lambda first=1: add(first))
    scheduler.schedule("t", partial(add, 1), args=(2,))
    # A callback whose parameters are not known, and arguments whose number is not known.
    scheduler.schedule("t", callback, args=arguments)
    scheduler.schedule("t", callback, **options)
    # What cannot be compared with the callback is named so, by giving `kwargs` as well.
    scheduler.schedule("t", callback, args=iterable, kwargs=None)
    scheduler.schedule("t", add, args=("1", 2))  # type: ignore[arg-type]
    scheduler.schedule("t", add, args=(1, 2, 3))  # type: ignore[arg-type]
    scheduler.schedule("t", add, args=())  # type: ignore[arg-type]
    scheduler.schedule("t", add, args=5)  # type: ignore[call-overload]
    scheduler.schedule("t", 5)  # type: ignore[call-overload]
    scheduler.schedule("t", add, delay=b"1")  # type: ignore[call-overload]
    scheduler.schedule("t", add, misfire="never")  # type: ignore[call-overload]
    scheduler.schedule("t", add, dealy=1)  # type: ignore[call-overload]
    scheduler.schedule("t", add, 1)  # type: ignore[call-overload]

    ids = scheduler.schedule_many("t", add, delays=[1, 2.5, timedelta(1)], args=[(1,), [2], (3,)])
    every: Sequence[str] = ids
    assert_type(ids[0], str)
    scheduler.cancel_many(ids[1:])
    scheduler.cancel_many(every)
    scheduler.schedule_many("t", add, run_ats=["2030-01-01", datetime.now(UTC), 1.5])
    scheduler.schedule_many("t", add, delays=[1], kwargs={"a": 1}, tags=["x"])
    scheduler.schedule_many("t", add, delays=[1], kwargs=[{"a": 1}], tags=[("x",), ["y"]])
    every_minute = TaskSchedule(interval=60)
    scheduler.schedule_many("t", add, args=[(1,)], schedule=every_minute, policy=RunPolicy(grace=5))
    scheduler.schedule_many("t", add, delays=[1], policy=5)  # type: ignore[arg-type]


def waiting(scheduler: Scheduler, task_id: str) -> None:
    outcome = scheduler.wait_for_task(task_id, timedelta(seconds=1), until="end")
    assert_type(outcome, Outcome)
    assert_type(outcome.started_at, datetime | None)
    assert_type(outcome.status, str)
    future: Future[Any] = scheduler.future(task_id)
    future.result(1)
    scheduler.wait_for_task(task_id, until="start")  # type: ignore[arg-type]


async def awaiting(scheduler: Scheduler, task_id: str) -> None:
    await scheduler.start_async()
    assert_type(await scheduler.wait_for_task_async(task_id, 1), Outcome)
    await scheduler.result_async(task_id)


def looking(scheduler: Scheduler, task_id: str) -> None:
    task = scheduler.get_task(task_id)
    assert_type(task, Task | None)
    tasks: Mapping[str, Task] = scheduler.tasks
    assert_type(tasks[task_id].status, TaskStatus)
    assert_type(scheduler.get_due_tasks(), list[Task])
    assert_type(scheduler.statistics(), Statistics)
    assert_type(get_task_info(scheduler, task_id), dict[str, Any] | None)
    assert_type(current_run(), Run | None)
    scheduler.tasks[task_id] = tasks[task_id]  # type: ignore[index]


def living() -> None:
    with Scheduler(event_bus=EventBus(), max_workers=4, history=0, timezone=UTC) as scheduler:
        assert_type(scheduler, Scheduler)
        assert_type(scheduler.stop("drain", timeout=1), StopReport)
    Scheduler(event_bus=OwnBus(), timezone="local", clock=VirtualClock())
    Scheduler(event_bus=5)  # type: ignore[arg-type]
    Scheduler(EventBus())  # type: ignore[call-arg]
    Scheduler().stop("softly")  # type: ignore[arg-type]


def describing(scheduler: Scheduler) -> None:
    schedule = TaskSchedule(interval=timedelta(minutes=5), max_runs=10)
    task = Task("t", add, schedule, (1, 2), policy=RunPolicy(priority=0, grace=5))
    assert_type(scheduler.schedule_task(task), str)
    assert_type(task.next_run, datetime | None)
    schedule_recurring_task(scheduler, "t", add, 60, max_runs=3)
    TaskSchedule(5)  # type: ignore[call-arg]


def flowing(scheduler: Scheduler, clock: VirtualClock) -> None:
    schedule = ScheduleTaskNode(scheduler, "t", add, delay=1, args_key="input")
    flow = Flow([schedule, WaitForTaskNode(scheduler, timeout=5), Node("End")])
    ScheduledFlowNode(scheduler, [flow_node() for _ in range(3)], interval=timedelta(hours=1))
    flow.shared = SharedStore({"input": (1,)})
    assert_type(flow.execute(), dict[str, dict[str, Any]])
    clock.advance(5)
    clock.advance_to("2030-01-01")


class OwnExecutor:
    def start(self) -> None: ...

    def drain(self, timeout: float) -> bool:
        return True

    def dismiss(self, *, cancel: bool) -> None: ...

    def join(self, timeout: float) -> bool:
        return True

    def grow(self) -> object: ...

    def shrink(self, room: object) -> None: ...


def naming(scheduler: Scheduler) -> None:
    span: Seconds = timedelta(1)
    moment: Moment = "2030-01-01"
    options: ScheduleOptions = {"run_at": moment, "grace": span, "kwargs": {"first": 1}}
    scheduler.schedule("t", add, **options)
    mode: StopMode = "drain"
    until: Until = "end"
    scheduler.wait_for_task("id", span, until=until)
    scheduler.stop(mode)
    bus: SupportsPublish = OwnBus()
    executor: Executor = OwnExecutor()
    Scheduler(event_bus=bus)
    executor.start()
    wrong: ScheduleOptions = {"intervall": 5}  # type: ignore[typeddict-unknown-key]
    scheduler.schedule("t", add, **wrong)


def flow_node() -> Node:
    return Node()

"""Nodes that schedule, cancel and wait for tasks from within a flow.

Each runs in any flow that calls `exec(shared)` with a store that has `get` and `set`. What `exec`
returns says what happened, by the keys `task_id`, `task_name`, `scheduled` / `cancelled` /
`completed`, `status`, `timed_out` and `error`, where they apply.
"""

from __future__ import annotations

from num_agents.core import Flow, Node, SharedStore
from num_agents.scheduler._messages import show
from num_agents.scheduler.errors import UnknownTaskError
from num_agents.scheduler.outcomes import describe
from num_agents.scheduler.policy import DEFAULT_PRIORITY
from num_agents.scheduler.task import checked_args

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Protocol

    from num_agents.scheduler._timing.moments import Moment
    from num_agents.scheduler._timing.spans import Seconds
    from num_agents.scheduler.scheduler import Scheduler

    class Store(Protocol):
        """What these nodes need of a flow's shared data."""

        def get(self, key: str, default: Any = None) -> Any:
            """The value under a key."""

        def set(self, key: str, value: Any) -> None:
            """Puts a value under a key."""


class ScheduleTaskNode(Node):
    """Schedules a task.

    Args:
        scheduler: Where.
        task_name: The task's name.
        callback: What it calls.
        delay: As in `Scheduler.schedule`, like the other times; without any it is due at once.
        run_at: See there.
        interval: See there.
        cron_expression: See there.
        max_runs: See there.
        start_after: See there.
        end_after: See there.
        priority: See there.
        args: Positional arguments.
        kwargs: Keyword arguments.
        args_key: Where in the shared data positional arguments are, instead of `args`.
        kwargs_key: Where in the shared data keyword arguments are, instead of `kwargs`.
        task_id_output_key: Where to put the task's id in the shared data.
        name: The node's name; by default "ScheduleTask_" and the task's.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        task_name: str,
        callback: Callable[..., Any],
        *,
        delay: Seconds | None = None,
        run_at: Moment | None = None,
        interval: Seconds | None = None,
        cron_expression: str | None = None,
        max_runs: int | None = None,
        start_after: Moment | None = None,
        end_after: Moment | None = None,
        priority: int = DEFAULT_PRIORITY,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        args_key: str | None = None,
        kwargs_key: str | None = None,
        task_id_output_key: str = "task_id",
        name: str | None = None,
    ) -> None:
        super().__init__(name or f"ScheduleTask_{task_name}")
        self._scheduler = scheduler
        self._task_name = task_name
        self._callback = callback
        self._times: dict[str, Any] = {
            "delay": delay,
            "run_at": run_at,
            "interval": interval,
            "cron_expression": cron_expression,
            "max_runs": max_runs,
            "start_after": start_after,
            "end_after": end_after,
        }
        self._priority = priority
        # A tuple: an iterator would be empty at the second run of the flow.
        self._args = checked_args(args)
        self._kwargs = kwargs
        self._args_key = args_key
        self._kwargs_key = kwargs_key
        self._task_id_output_key = task_id_output_key

    def exec(self, shared: Store) -> dict[str, Any]:
        """Schedules the task and puts its id into the shared data."""
        args: Iterable[Any] = self._args
        kwargs = self._kwargs
        if self._args_key is not None:
            args = shared.get(self._args_key, args)
        if self._kwargs_key is not None:
            kwargs = shared.get(self._kwargs_key, kwargs)
        task_id = self._scheduler.schedule(
            self._task_name,
            self._callback,
            **self._times,
            priority=self._priority,
            args=args,
            kwargs=kwargs,
        )
        shared.set(self._task_id_output_key, task_id)
        return {"task_id": task_id, "task_name": self._task_name, "scheduled": True}


class CancelTaskNode(Node):
    """Cancels a task.

    Args:
        scheduler: Where.
        task_id_key: Where in the shared data its id is.
        name: The node's name.
    """

    def __init__(
        self, scheduler: Scheduler, task_id_key: str = "task_id", *, name: str | None = None
    ) -> None:
        super().__init__(name or f"CancelTask_{task_id_key}")
        self._scheduler = scheduler
        self._task_id_key = task_id_key

    def exec(self, shared: Store) -> dict[str, Any]:
        """Cancels the task; `cancelled` says whether that stopped anything."""
        task_id = shared.get(self._task_id_key)
        if not isinstance(task_id, str):
            error = _no_task_id(self._task_id_key, task_id)
            return {"task_id": None, "cancelled": False, "error": error}
        task = self._scheduler.get_task(task_id)
        cancelled = self._scheduler.cancel_task(task_id)
        report: dict[str, Any] = {
            "task_id": task_id,
            "task_name": None if task is None else task.name,
            "cancelled": cancelled,
        }
        if task is None:
            report["error"] = describe(UnknownTaskError(task_id))
        return report


class WaitForTaskNode(Node):
    """Waits for a task, on an event and not by polling.

    Args:
        scheduler: Where.
        task_id_key: Where in the shared data the task's id is.
        result_key: Where to put what the task returned; left alone unless it completed.
        timeout: Seconds or a timedelta to wait at the most; None waits for ever.
        name: The node's name.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        task_id_key: str = "task_id",
        result_key: str = "task_result",
        timeout: Seconds | None = None,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name or f"WaitForTask_{task_id_key}")
        self._scheduler = scheduler
        self._task_id_key = task_id_key
        self._result_key = result_key
        self._timeout = timeout

    def exec(self, shared: Store) -> dict[str, Any]:
        """Waits; `completed`, `status`, `timed_out` and `error` say how that ended."""
        task_id = shared.get(self._task_id_key)
        report: dict[str, Any] = {
            "task_id": task_id if isinstance(task_id, str) else None,
            "completed": False,
            "status": "unknown",
            "timed_out": False,
            "error": None,
        }
        if not isinstance(task_id, str):
            report["error"] = _no_task_id(self._task_id_key, task_id)
            return report
        try:
            outcome = self._scheduler.wait_for_task(task_id, self._timeout)
        except UnknownTaskError as error:
            report["error"] = describe(error)
            return report
        except TimeoutError as error:
            task = self._scheduler.get_task(task_id)
            report["status"] = "unknown" if task is None else task.status.value
            report["timed_out"] = True
            report["error"] = describe(error)
            return report
        report["task_name"] = outcome.task_name
        report["status"] = outcome.status
        if outcome.status == "completed":
            shared.set(self._result_key, outcome.value)
            report["completed"] = True
            report["result"] = outcome.value
        elif outcome.error is not None:
            report["error"] = describe(outcome.error)
        else:
            report["error"] = f"the task was {outcome.status}"
        return report


class ScheduledFlowNode(Node):
    """Schedules a sub-flow.

    Each run works on a copy of the shared data as they are at that moment, and its result, that of
    the task, is what the sub-flow's nodes returned, by node name.

    Args:
        scheduler: Where.
        sub_flow_nodes: The nodes of the sub-flow, in sequence.
        delay: As in `Scheduler.schedule`, like the other times; without any it is due at once.
        run_at: See there.
        interval: See there.
        cron_expression: See there.
        max_runs: See there.
        start_after: See there.
        end_after: See there.
        priority: See there.
        task_name: The task's name.
        task_id_output_key: Where to put the task's id in the shared data.
        name: The node's name.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        sub_flow_nodes: Iterable[Node],
        *,
        delay: Seconds | None = None,
        run_at: Moment | None = None,
        interval: Seconds | None = None,
        cron_expression: str | None = None,
        max_runs: int | None = None,
        start_after: Moment | None = None,
        end_after: Moment | None = None,
        priority: int = DEFAULT_PRIORITY,
        task_name: str = "ScheduledFlow",
        task_id_output_key: str = "scheduled_flow_id",
        name: str | None = None,
    ) -> None:
        super().__init__(name or task_name)
        self._scheduler = scheduler
        self._flow = Flow(list(sub_flow_nodes))
        self._task_name = task_name
        self._times: dict[str, Any] = {
            "delay": delay,
            "run_at": run_at,
            "interval": interval,
            "cron_expression": cron_expression,
            "max_runs": max_runs,
            "start_after": start_after,
            "end_after": end_after,
        }
        self._priority = priority
        self._task_id_output_key = task_id_output_key

    def exec(self, shared: Store) -> dict[str, Any]:
        """Schedules the sub-flow and puts the task's id into the shared data."""
        flow = self._flow

        def run() -> dict[str, Any]:
            return flow.execute(_copy_of(shared))

        schedule = ScheduleTaskNode(
            self._scheduler,
            self._task_name,
            run,
            **self._times,
            priority=self._priority,
            task_id_output_key=self._task_id_output_key,
        )
        return schedule.exec(shared)


class _Overlay(SharedStore):
    """A store whose writes stay here and whose reads go through to another: for foreign stores."""

    def __init__(self, base: Store) -> None:
        super().__init__()
        self._base = base

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key) if key in self else self._base.get(key, default)


def _copy_of(shared: Store) -> SharedStore:
    return shared.copy() if isinstance(shared, SharedStore) else _Overlay(shared)


def _no_task_id(key: str, found: object) -> str:
    return f"no task id under {key!r} in the shared data, but {show(found)}"

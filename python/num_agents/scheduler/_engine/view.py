"""Queries: tasks, outcomes, figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from num_agents.scheduler import _native
from num_agents.scheduler._timing.moments import to_datetime
from num_agents.scheduler.outcomes import Outcome, TaskInfo
from num_agents.scheduler.policy import RunPolicy
from num_agents.scheduler.statistics import Statistics
from num_agents.scheduler.task import Task, view_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, tzinfo
    from typing import Any, Literal, NoReturn

    Kind = Literal["live", "pending", "due", "running", "ended"]

TaskIds = _native.TaskIds
Sequence.register(TaskIds)
transitions = _native.transitions


class View:
    """Makes tasks, outcomes and statistics from the engine's records.

    Args:
        native: The engine.
        zone: The time zone of moments.
    """

    def __init__(self, native: _native.Engine, zone: tzinfo | None) -> None:
        self._native = native
        self.zone = zone
        #: How many threads go on though the time of their run is up; set by the engine.
        self.count_held: Callable[[], int] = int

    def task(self, task_id: str) -> Task | None:
        """A view of a task, alive or remembered; None if there is none. O(1)."""
        record = self._native.record(task_id)
        if record is None:
            return None
        options = record.options
        task = view_of(
            record.name,
            record.callback or _let_go,
            None if options is None else options.schedule_of(record.nominal_ns, self.zone),
            record.arguments or (),
            record.kwargs,
            RunPolicy(priority=record.priority)
            if options is None
            else options.policy_of(record.priority),
            () if options is None else options.tags,
            None if options is None else options.metadata,
            None if options is None else options.context,
        )
        task._bind(self, task_id, record.nominal_ns)  # noqa: SLF001 - a view is made here
        return task

    def tasks(self, kind: Kind) -> Iterator[Task]:
        """Views of tasks, made one by one. O(n)."""
        views = map(self.task, self._native.task_ids(kind))
        return (task for task in views if task is not None)

    def task_ids(self, kind: Kind) -> TaskIds:
        """The ids of tasks. O(n), 8 bytes each."""
        return self._native.task_ids(kind)

    def info(self, task_id: str) -> TaskInfo | None:
        """What is known of a task; None if it is unknown or forgotten. O(1)."""
        record = self._native.record(task_id)
        if record is None:
            return None
        result: Any = None
        error: BaseException | None = None
        if record.is_live:
            result, error = record.last_value, record.last_error
        elif record.status == "failed":
            error = record.value
        else:
            result = record.value
        waits = record.status in ("pending", "paused")
        return TaskInfo(
            status=record.status,
            run_count=record.runs,
            missed=record.missed,
            skipped=record.skipped,
            next_run=self._moment(record.due_ns) if waits else None,
            last_run=None if record.started_ns is None else self._moment(record.started_ns),
            result=result,
            error=error,
        )

    def nominal_ns(self, task_id: str) -> int | None:
        """The nominal time of its next run, or of its last; None if it is unknown. O(1)."""
        record = self._native.record(task_id)
        return None if record is None else record.nominal_ns

    def outcome(self, record: _native.TaskRecord) -> Outcome:
        """The outcome that a record of an ended run or task describes."""
        return Outcome(
            task_id=record.task_id,
            task_name=record.name,
            status=record.status,
            value=record.value if record.status == "completed" else None,
            error=record.value if record.status == "failed" else None,
            nominal_ns=record.nominal_ns,
            due_ns=record.due_ns,
            started_ns=record.started_ns,
            ended_ns=record.ended_ns,
            missed=record.missed_by_run,
            run_count=record.runs,
            attempt=record.attempt,
            zone=self.zone,
        )

    def statistics(self) -> Statistics:
        """Counts of what was done, and of what is pending."""
        figures = dict(self._native.statistics()) | {"held": self.count_held()}
        return Statistics(figures, self._native.lateness())

    def _moment(self, moment_ns: int) -> datetime:
        return to_datetime(moment_ns, self.zone)


class TasksMapping(Mapping[str, Task]):
    """All live and remembered tasks by id. Look-up O(1), iteration and length O(n)."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __getitem__(self, task_id: str) -> Task:
        task = self._view.task(task_id) if isinstance(task_id, str) else None
        if task is None:
            raise KeyError(task_id)
        return task

    def __iter__(self) -> Iterator[str]:
        yield from self._view.task_ids("live")
        yield from self._view.task_ids("ended")

    def __len__(self) -> int:
        return len(self._view.task_ids("live")) + len(self._view.task_ids("ended"))

    def __repr__(self) -> str:
        live, ended = len(self._view.task_ids("live")), len(self._view.task_ids("ended"))
        return f"<tasks by id: {live} live, {ended} ended>"


def _let_go(*_args: object, **_kwargs: object) -> NoReturn:
    """Stands for the callback of a task that has ended."""
    raise RuntimeError("the task has ended: its callback and its arguments are not kept")

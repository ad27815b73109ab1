"""What a callback can learn of the run that it is in: `current_run()`."""

from __future__ import annotations

from threading import local

from num_agents.scheduler._timing.moments import to_datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler import _native
    from num_agents.scheduler._engine import Engine


class Run:
    """The run that a callback is in.

    Attributes:
        task_id: The task.
        task_name: Its name.
        nominal_time: When the run was due.
        missed: How many other occurrences were given up for this run, or before it.
    """

    __slots__ = ("_engine", "missed", "nominal_time", "task_id", "task_name")

    def __init__(self, engine: Engine, record: _native.TaskRecord) -> None:
        self._engine = engine
        self.task_id = record.task_id
        self.task_name: str = record.call.name
        self.nominal_time = to_datetime(record.nominal_ns, engine.zone)
        self.missed = record.missed_by_run

    @property
    def is_cancelled(self) -> bool:
        """The cancel token: whether the task was cancelled, or the scheduler stopped with "cancel".

        A thread cannot be killed: a callback that takes long should look here now and then.
        """
        return self._engine.is_cancelling or self._engine.native.is_stopping(self.task_id)

    def __repr__(self) -> str:
        return f"<Run of {self.task_name!r} {self.task_id} due {self.nominal_time}>"


class _Worker(local):
    """The engine that the calling thread works for."""

    engine: Engine | None = None


worker = _Worker()


def current_run() -> Run | None:
    """The run whose callback calls this; None outside of callbacks, and in threads of their own."""
    engine = worker.engine
    task_id = None if engine is None else engine.native.current()
    if engine is None or task_id is None:
        return None
    record = engine.native.record(task_id)
    return None if record is None else Run(engine, record)

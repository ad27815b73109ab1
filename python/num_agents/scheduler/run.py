"""What a callback can learn about its own run: `current_run()`."""

from __future__ import annotations

from num_agents._lazy import LazyModule
from num_agents.scheduler._engine.current import RunPlace, current, current_place
from num_agents.scheduler._timing.moments import to_datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler import _native
    from num_agents.scheduler._engine import engine as _engine
else:
    _native = LazyModule("num_agents.scheduler._native")
    _engine = LazyModule("num_agents.scheduler._engine.engine")


class Run:
    """The run of the callback that asks.

    Attributes:
        task_id: The task.
        task_name: Its name.
        nominal_time: When the run was due.
        missed: How many other occurrences were missed for this run, or before it.
        attempt: Which attempt at it this is; 1 for the first.
    """

    __slots__ = (
        "_engine",
        "_group",
        "_open_run",
        "attempt",
        "missed",
        "nominal_time",
        "task_id",
        "task_name",
    )

    def __init__(
        self,
        engine: _engine.Engine,
        group: _native.WorkerGroup | None,
        record: _native.TaskRecord,
        open_run: _native.OpenRun | None = None,
    ) -> None:
        self._engine = engine
        self._group = group
        self._open_run = open_run
        self.task_id = record.task_id
        self.task_name = record.name
        self.nominal_time = to_datetime(record.nominal_ns, engine.zone)
        self.missed = record.missed_by_run
        self.attempt = record.attempt

    @property
    def is_cancelled(self) -> bool:
        """The cancel token: whether the run is asked to end.

        Because the task was cancelled, the run has exceeded its `timeout`, or the scheduler was
        stopped with "cancel".

        A thread cannot be killed, so a callback that takes long should check this regularly. A
        coroutine gets `asyncio.CancelledError` besides.

        Raises:
            SchedulerForkedError: In a forked child process.
        """
        asked = self._group is not None and self._group.is_cancelled
        is_late = self._open_run is not None and not self._open_run.is_open
        return asked or is_late or self._engine.is_stopping(self.task_id)

    def __repr__(self) -> str:
        return f"<Run of {self.task_name!r} {self.task_id} due {self.nominal_time}>"


def current_run() -> Run | None:
    """The run whose callback calls this; None outside of callbacks, and in other threads.

    In a coroutine also in the asyncio tasks that it starts, until its run ends.

    Raises:
        SchedulerForkedError: In a child process that was forked in a callback.
    """
    place = current_place.get()
    if place is not None:
        found = place.run or run_at(place)
        if found is not None:
            place.engine.check_process()
            return found
    engine = current.engine
    record = None if engine is None else engine.current_record()
    return None if engine is None or record is None else Run(engine, current.group, record)


def run_at(place: RunPlace) -> Run | None:
    """The run of a place; None if it has been completed."""
    record = place.open_run.record()
    if record is None:
        return None
    return Run(place.engine, place.group, record, place.open_run)

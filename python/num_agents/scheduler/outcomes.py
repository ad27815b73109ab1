"""What became of runs and tasks, and those who wait to hear of it.

Nothing here is made for a task that nobody asks about: outcomes and futures are built on the first
look, from the engine's records.
"""

from __future__ import annotations

from threading import RLock

from num_agents.scheduler._log import contain
from num_agents.scheduler._timing.moments import to_datetime
from num_agents.scheduler.errors import TaskCancelledError, TaskMissedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Future
    from datetime import datetime, tzinfo
    from typing import Any


class Outcome:
    """How one run of a task ended, or how the task did without one.

    Attributes:
        task_id: The task.
        task_name: Its name.
        status: `"completed"`, `"failed"`, `"cancelled"` or `"missed"`.
        value: What the callback returned; None unless completed.
        error: What it raised, without its traceback, which the log has; None unless failed.
        nominal_time: When the run was due.
        started_at: When it started; None if it never did.
        ended_at: When it ended.
        lateness: Seconds from due time to start; None if it never started.
        missed: How many other occurrences were given up for this run, or before it.
        run_count: Runs of the task so far.
    """

    __slots__ = (
        "ended_at",
        "error",
        "lateness",
        "missed",
        "nominal_time",
        "run_count",
        "started_at",
        "status",
        "task_id",
        "task_name",
        "value",
    )

    def __init__(
        self,
        *,
        task_id: str,
        task_name: str,
        status: str,
        value: Any,
        error: BaseException | None,
        nominal_ns: int,
        started_ns: int | None,
        ended_ns: int | None,
        missed: int,
        run_count: int,
        zone: tzinfo | None,
    ) -> None:
        self.task_id = task_id
        self.task_name = task_name
        self.status = status
        self.value = value
        self.error = error
        self.nominal_time = to_datetime(nominal_ns, zone)
        self.started_at = None if started_ns is None else to_datetime(started_ns, zone)
        self.ended_at = None if ended_ns is None else to_datetime(ended_ns, zone)
        self.lateness = None if started_ns is None else (started_ns - nominal_ns) / 1e9
        self.missed = missed
        self.run_count = run_count

    def unwrap(self) -> Any:
        """The value of a completed run.

        Raises:
            BaseException: What the callback raised, if it failed.
            TaskCancelledError: The task was cancelled.
            TaskMissedError: Its time was missed.
        """
        if self.status == "completed":
            return self.value
        if self.error is not None:
            raise BaseException.with_traceback(self.error, None)
        if self.status == "cancelled":
            raise TaskCancelledError(f"task {self.task_name!r} ({self.task_id}) was cancelled")
        raise TaskMissedError(f"task {self.task_name!r} ({self.task_id}) missed its time")

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name, as they are."""
        return {name: getattr(self, name) for name in sorted(self.__slots__)}

    def __repr__(self) -> str:
        return f"<Outcome {self.status} of {self.task_name!r} {self.task_id}>"


class TaskInfo:
    """What is known of a task at the moment of asking.

    Attributes:
        status: One of the words of `TaskStatus`.
        run_count: Runs started so far.
        missed: Occurrences missed so far; of a task that has ended, those of its last run.
        skipped: Occurrences skipped so far because the last run still went on.
        next_run: When it is due next; None while it runs and after its end.
        last_run: When its last run started; None before the first.
        result: What its last run returned.
        error: What its last run raised.
    """

    __slots__ = (
        "error",
        "last_run",
        "missed",
        "next_run",
        "result",
        "run_count",
        "skipped",
        "status",
    )

    def __init__(
        self,
        *,
        status: str,
        run_count: int,
        missed: int,
        skipped: int,
        next_run: datetime | None,
        last_run: datetime | None,
        result: Any,
        error: BaseException | None,
    ) -> None:
        self.status = status
        self.run_count = run_count
        self.missed = missed
        self.skipped = skipped
        self.next_run = next_run
        self.last_run = last_run
        self.result = result
        self.error = error

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name; moments in ISO-8601, the error as text."""
        return {
            "status": self.status,
            "run_count": self.run_count,
            "missed": self.missed,
            "skipped": self.skipped,
            "next_run": None if self.next_run is None else self.next_run.isoformat(),
            "last_run": None if self.last_run is None else self.last_run.isoformat(),
            "result": self.result,
            "error": None if self.error is None else describe(self.error),
        }


def describe(error: BaseException) -> str:
    """An exception in one line, whatever its `__str__` does."""
    try:
        text = str(error)
    except BaseException:
        text = "<its __str__ raised>"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def without_frames(error: BaseException) -> BaseException:
    """The exception, and those behind it, freed of the frames that they would keep alive."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        link = pending.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        # Not by assignment: an exception that is a frozen dataclass refuses it.
        BaseException.with_traceback(link, None)
        pending += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            pending += link.exceptions
    return error


class Waiters:
    """Futures of those who wait for outcomes, made on the first wait, by task id.

    Registering and resolving race, so the order is fixed: a future is entered here before the
    engine is asked to watch the task, and the engine's outcomes are collected after a run ended.
    Collecting them and looking up who waits for them is one step under `lock`, or who comes in
    between would be given what ended before. Futures are settled without it: they call out.
    """

    __slots__ = ("futures", "lock")

    def __init__(self) -> None:
        #: By task id, with whether the last outcome is meant. Workers look whether it is empty, so
        #: it must not be so for a moment while somebody waits.
        self.futures: dict[str, list[tuple[Future[Outcome], bool]]] = {}
        # Reentrant: a signal handler or a finalizer may wait for a task, too.
        self.lock = RLock()

    def enter(self, task_id: str, *, until_end: bool) -> Future[Outcome]:
        """A future for the next outcome of a task, or for its last."""
        from concurrent.futures import Future  # noqa: PLC0415 - 8 ms, and not everybody waits

        future: Future[Outcome] = Future()
        with self.lock:
            self.futures.setdefault(task_id, []).append((future, until_end))
        return future

    def withdraw(self, task_id: str, future: Future[Outcome]) -> bool:
        """Forgets a future whose owner has stopped waiting; whether it was here."""
        with self.lock:
            entered = self.futures.get(task_id, [])
            kept = [entry for entry in entered if entry[0] is not future]
            self._keep(task_id, kept)
        return len(kept) < len(entered)

    def take(self, task_id: str, *, is_last: bool) -> list[Future[Outcome]]:
        """Takes out the futures that a task's outcome is meant for."""
        with self.lock:
            entered = self.futures.get(task_id, [])
            self._keep(task_id, [entry for entry in entered if entry[1] and not is_last])
        return [future for future, until_end in entered if is_last or not until_end]

    def _keep(self, task_id: str, entries: list[tuple[Future[Outcome], bool]]) -> None:
        if entries:
            self.futures[task_id] = entries
        else:
            self.futures.pop(task_id, None)


def settle(future: Future[Outcome], outcome: Outcome) -> None:
    """Gives an outcome to one who waits; whatever that sets off must not harm the thread."""
    try:
        # A future of asyncio's may have been cancelled: its owner has stopped waiting.
        if future.set_running_or_notify_cancel():
            future.set_result(outcome)
    except BaseException:
        contain("A callback of a future of task %r failed", outcome.task_name)

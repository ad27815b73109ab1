"""`Outcome`: how a run ended. It is built from the engine's records when somebody asks for it."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.moments import to_datetime
from num_agents.scheduler.errors import TaskCancelledError, TaskMissedError


class Outcome:
    """How a run of a task ended, or how the task ended without a run.

    Attributes:
        task_id: The task.
        task_name: Its name.
        status: `"completed"`, `"failed"`, `"cancelled"` or `"missed"`.
        value: What the callback returned; None unless completed.
        error: What it raised, without its traceback, which the log has; None unless failed.
        lateness: Seconds from the time at which it was due, jitter included, to its start; None if
            it never started.
        missed: How many other occurrences were given up for this run, or before it.
        run_count: Runs of the task so far.
        attempt: How many attempts the run took; 0 if there was no run.
    """

    __slots__ = (
        "_ended_ns",
        "_nominal_ns",
        "_started_ns",
        "_zone",
        "attempt",
        "error",
        "lateness",
        "missed",
        "run_count",
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
        due_ns: int,
        started_ns: int | None,
        ended_ns: int | None,
        missed: int,
        run_count: int,
        attempt: int,
        zone: tzinfo | None,
    ) -> None:
        self.task_id = task_id
        self.task_name = task_name
        self.status = status
        self.value = value
        self.error = error
        # Turned into datetimes when somebody looks: a zone that raises must not keep an outcome
        # from those who wait for it.
        self._nominal_ns = nominal_ns
        self._started_ns = started_ns
        self._ended_ns = ended_ns
        self._zone = zone
        self.lateness = None if started_ns is None else (started_ns - due_ns) / 1e9
        self.missed = missed
        self.run_count = run_count
        self.attempt = attempt

    @property
    def nominal_time(self) -> datetime:
        """When the run was due."""
        return to_datetime(self._nominal_ns, self._zone)

    @property
    def started_at(self) -> datetime | None:
        """When it started; None if it never did."""
        return None if self._started_ns is None else to_datetime(self._started_ns, self._zone)

    @property
    def ended_at(self) -> datetime | None:
        """When it ended."""
        return None if self._ended_ns is None else to_datetime(self._ended_ns, self._zone)

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
            raise copy_of(self.error)
        if self.status == "cancelled":
            raise TaskCancelledError(f"task {self.task_name!r} ({self.task_id}) was cancelled")
        raise TaskMissedError(f"task {self.task_name!r} ({self.task_id}) missed its time")

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name, unchanged."""
        return {name: getattr(self, name) for name in _FACTS}

    def __repr__(self) -> str:
        what = describe(self.error) if self.error is not None else show(self.value)
        late = "" if self.lateness is None else f", {self.lateness * 1e3:.3f} ms late"
        said = f": {what}" if self.status in ("completed", "failed") else ""
        return f"<Outcome {self.status}{said} of {self.task_name!r} {self.task_id}{late}>"


#: What `Outcome.to_dict` has.
_FACTS = (
    "attempt",
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


class TaskInfo:
    """The current state of a task.

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
    name = _name_of(type(error))
    try:
        text = str(error)
    except BaseException:
        text = "<its __str__ raised>"
    return f"{name}: {text}" if text else name


#: The name of a class, whatever its metaclass makes of it.
_name_of = type.__dict__["__name__"].__get__


def without_frames(error: BaseException) -> BaseException:
    """The exception, and those behind it, freed of the frames that they would keep alive.

    Nothing that an exception overrides is called: it may raise.
    """
    seen: set[int] = set()
    pending: list[object] = [error]
    while pending:
        link: Any = pending.pop()
        kind = type(link)
        if not issubclass(kind, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        # Not by assignment: an exception that is a frozen dataclass refuses it.
        BaseException.with_traceback(link, None)
        pending += [_cause_of(link), _context_of(link)]
        if issubclass(kind, BaseExceptionGroup):
            pending += _exceptions_of(link)
    return error


#: What exceptions hold, whatever a class of its own makes of the names.
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_exceptions_of = BaseExceptionGroup.__dict__["exceptions"].__get__


def copy_of(error: BaseException) -> BaseException:
    """A copy of an exception that is remembered, to be raised.

    Raising adds the frames that the exception passes to it, and they would live as long as the
    history. The exception itself is answered if it cannot be copied faithfully: its class has slots
    of its own, or refuses. No `__init__` written in Python is called a second time.
    """
    kind, arguments = type(error), _arguments_of(error)
    if any(vars(base).get("__slots__") for base in kind.__mro__):
        return error
    try:
        copied = kind.__new__(kind, *arguments)
        builtin = next(base for base in kind.__mro__ if isinstance(vars(base).get("__init__"), _C))
        vars(builtin)["__init__"](copied, *arguments)
        vars(copied).update(vars(error))
        # Not by assignment: see above.
        for name in ("__cause__", "__context__", "__suppress_context__"):
            attribute = vars(BaseException)[name]
            attribute.__set__(copied, attribute.__get__(error))
    except BaseException:
        return error
    return copied


_arguments_of = BaseException.__dict__["args"].__get__
#: The type of an `__init__` that is not written in Python.
_C = type(BaseException.__init__)

"""The Rust core. Moments are nanoseconds since 1970-01-01T00:00:00Z, spans are nanoseconds.

Private: `num_agents.scheduler._engine` is the only module that imports it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, SupportsIndex, final, overload

__all__ = [
    "Clock",
    "Engine",
    "Recurrence",
    "TaskIds",
    "TaskRecord",
    "sharpen_timers",
    "transitions",
]

@final
class Clock:
    """A source of time on an axis that never steps.

    Without an argument: the wall clock at creation, carried on by a monotonic clock. With a moment:
    it stands there until it is set.
    """

    def __new__(cls, manual_ns: int | None = None) -> Clock: ...
    @property
    def is_manual(self) -> bool: ...
    def now_ns(self) -> int: ...
    def set_ns(self, moment: int) -> bool:
        """Sets a manual clock, never backwards; whether it was a manual one."""

@final
class Recurrence:
    """When a task is due after its first time.

    `interval_ns=0` means once. `misfire` is "latest", "earliest", "all" or "skip".

    Raises:
        ValueError: `misfire` is another word.
        OverflowError: A number is negative, or does not fit into 64 bits.
    """

    def __new__(
        cls,
        misfire: str,
        *,
        interval_ns: int = 0,
        fixed_delay: bool = False,
        end_ns: int | None = None,
        max_runs: int | None = None,
        grace_ns: int | None = None,
        catch_up_limit: int | None = None,
    ) -> Recurrence: ...

@final
class TaskRecord:
    """A task, alive or remembered, at the moment of asking."""

    @property
    def task_id(self) -> str: ...
    @property
    def is_live(self) -> bool: ...
    @property
    def status(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def nominal_ns(self) -> int: ...
    @property
    def started_ns(self) -> int | None: ...
    @property
    def ended_ns(self) -> int | None: ...
    @property
    def runs(self) -> int: ...
    @property
    def missed(self) -> int: ...
    @property
    def missed_by_run(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    @property
    def call(self) -> Any: ...
    @property
    def arguments(self) -> tuple[Any, ...] | None: ...
    @property
    def value(self) -> Any: ...

@final
class TaskIds(Sequence[str]):
    """An immutable sequence of task ids, 8 bytes each, printed when looked at.

    Registered as a `collections.abc.Sequence`. Access O(1), `in` O(n).
    """

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: SupportsIndex, /) -> str: ...
    @overload
    def __getitem__(self, index: slice, /) -> TaskIds: ...
    def __contains__(self, task_id: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __reversed__(self) -> Iterator[str]: ...
    def index(self, value: Any, start: int = 0, stop: int | None = None, /) -> int: ...
    def count(self, value: Any, /) -> int: ...

@final
class Engine:
    """The timer engine and the columns of its tasks.

    All methods may be called from any thread. None blocks but `wait`.
    """

    def __new__(cls, clock: Clock, history: int, instance: int) -> Engine: ...
    @property
    def cells(self) -> list[Any]:
        """For each slot what its task calls, and after it the arguments; None without a task."""
    def schedule(self, call: object, arguments: object, delay: object, priority: object) -> str:
        """Schedules a one-shot `delay` seconds from now. O(1).

        Raises:
            TypeError: `delay` is no int or float, `priority` no int.
            ValueError: `delay` is NaN, infinite or negative; `priority` not in 0 to 255.
            OverflowError: `delay` ends beyond the year 9999.
        """
    def schedule_at(
        self,
        call: object,
        arguments: object,
        nominal_ns: int,
        priority: object,
        recurrence: Recurrence | None,
    ) -> str:
        """Schedules a task first due at a moment, at once if that has passed. O(1)."""
    def schedule_many(
        self, call: object, arguments: object, now_ns: int, delays: object, priorities: object
    ) -> TaskIds:
        """Schedules one-shots from a buffer of float64 seconds after `now_ns`.

        All are checked before any is scheduled.

        `arguments` is a tuple for all, or a list of one for each; `priorities` an int for all, or
        bytes.
        """
    def schedule_many_at(
        self, call: object, arguments: object, nominals_ns: object, priorities: object
    ) -> TaskIds:
        """Schedules one-shots from a buffer of uint64 moments."""
    def cancel(self, task_id: object) -> int:
        """0: unknown or ended; 1: it will not run; 2: it runs, and will not run again. O(1)."""
    def cancel_many(self, task_ids: Iterable[object]) -> int:
        """How many of them it stopped."""
    def pause(self, task_id: object) -> bool: ...
    def resume(self, task_id: object) -> bool: ...
    def reschedule(self, task_id: object, nominal_ns: int) -> bool: ...
    def run_now(self, task_id: object) -> bool: ...
    def wait(self) -> bool:
        """Sleeps until something is due: True, and `take_arrived` must follow; False: closed.

        Not for the main thread: it hears no signal.
        """
    def take(self) -> int:
        """The cell of the call to be run now; -1: nothing is due; -2: see `missed`."""
    def take_arrived(self) -> int:
        """As `take`, for a thread that comes from `wait`."""
    def finish(self, cell: int, value: object) -> int:
        """Ends the run of a cell's task well, and takes as `take` does."""
    def complete(self, cell: int, value: object, failed: bool) -> tuple[bool, int]:
        """Ends the run of a cell's task: did the task end with it, how many are skipped."""
    def missed(self) -> list[tuple[str, Any, int, int, bool]]:
        """Missed since the last call: id, call, nominal time of the first, number, task ended."""
    def current(self) -> str | None:
        """The task whose callback the calling thread runs for this engine."""
    def suspend(self) -> tuple[int, int] | None:
        """Forgets which callback the calling thread is in, for runs within it."""
    def restore(self, outer: tuple[int, int] | None) -> None:
        """Takes back what `suspend` answered."""
    def is_stopping(self, task_id: object) -> bool:
        """Whether a task runs and has been cancelled meanwhile."""
    def set_phase(self, phase: int) -> None:
        """Opens (2), drains (1) or closes (0) the gate that `wait` sleeps at."""
    def watch(self, task_id: object, until_end: bool) -> bool:
        """Asks for the next outcome of a live task, or its last, to be kept.

        `collect` then gives it. Returns whether there is such a task.
        """
    def collect(self) -> list[TaskRecord]:
        """The outcomes of watched tasks since the last call."""
    def record(self, task_id: object) -> TaskRecord | None:
        """What is known of a task, alive or remembered. O(1)."""
    def task_ids(self, kind: str) -> TaskIds:
        """The ids of "live", "pending", "due" or "ended" tasks. O(slots)."""
    def next_deadline(self) -> int | None:
        """When something is due next; a moment that has passed if something is due now."""
    def statistics(self) -> list[tuple[str, int]]: ...
    def lateness(self) -> tuple[int, int, list[tuple[int, int, int]]]: ...

def transitions() -> list[tuple[str, str, str]]:
    """Every lawful step in a task's life: from, by, to."""

def sharpen_timers() -> None:
    """Makes timed waits of the calling thread as exact as the system allows."""

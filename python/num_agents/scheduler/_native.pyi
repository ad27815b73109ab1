"""The Rust core. Moments are nanoseconds since 1970-01-01T00:00:00Z, spans are nanoseconds.

Private: `num_agents.scheduler._engine` and `_calendar` are the only modules that import it.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from typing import Any, SupportsIndex, final, overload

__all__ = [
    "Calendar",
    "Clock",
    "ClockWatch",
    "Engine",
    "Forecast",
    "Part",
    "Recurrence",
    "TaskIds",
    "TaskRecord",
    "Zone",
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
    @property
    def offset_ns(self) -> int:
        """What the wall shows beyond the axis, as far as is known."""
    def now_ns(self) -> int:
        """What the wall shows, as far as is known."""
    def axis_ns(self) -> int:
        """The present moment on the axis."""
    def set_ns(self, moment: int) -> bool:
        """Sets the axis of a manual clock, never backwards; whether it was a manual one."""
    def set_offset_ns(self, offset: int) -> bool:
        """Sets what a manual clock's wall shows beyond the axis; whether it was a manual one."""
    def look(self) -> tuple[int, int]:
        """By how much the wall was set since the last look, and how long the machine slept."""

@final
class ClockWatch:
    """Waits for changes of the wall clock; for one thread."""

    def __new__(cls) -> ClockWatch: ...
    def wait(self) -> bool:
        """Sleeps until the clocks are to be looked at: True; False when the watch is closed.

        Raises:
            OSError: The system cannot watch.
        """
    def close(self) -> None:
        """Ends all waits, now and later."""

@final
class Zone:
    """What wall clocks show in a place, from 1970 to 2554."""

    @staticmethod
    def named(name: str) -> Zone:
        """The zone of an IANA name.

        Raises:
            ValueError: There is no such name.
        """
    @staticmethod
    def system() -> Zone: ...
    @staticmethod
    def fixed(seconds: int) -> Zone: ...
    @staticmethod
    def from_transitions(name: str, first: int, transitions: Sequence[tuple[int, int]]) -> Zone:
        """A zone from its changes: UTC seconds, and the offset in seconds from then on."""
    @property
    def name(self) -> str: ...
    def offset_at(self, utc: int) -> int: ...

@final
class Part:
    """One of the rules whose union is a calendar."""

    @staticmethod
    def cron(expression: str, dialect: str, zone: Zone, dst: str, anchor_ns: int) -> Part:
        """A cron expression, and `@every` from an anchor on. A zone in the expression wins.

        Raises:
            ValueError: With message, field, position and reason as its arguments.
        """
    @staticmethod
    def every_ns(expression: str, dialect: str) -> int | None:
        """The span of an `@every` expression; None of any other. Raises as `cron` does."""
    @staticmethod
    def cron_warnings(expression: str, dialect: str) -> list[tuple[str | None, int, str]]:
        """What is accepted, but hardly meant: field, position and reason. Raises as `cron`."""
    @staticmethod
    def interval(
        every: int,
        unit: str,
        anchor: tuple[int, int, int],
        second: int,
        zone: Zone,
        dst: str,
    ) -> Part:
        """Every so many days, weeks, months or years from a day on, at a second of the day."""
    @staticmethod
    def grid(anchor_ns: int, interval_ns: int) -> Part:
        """A moment, and every so many nanoseconds after it; 0 for none."""
    @staticmethod
    def moments(moments_ns: Sequence[int]) -> Part: ...

@final
class Calendar:
    """The union of parts, minus days of the week (bit 0 Sunday), dates and hours.

    Raises:
        ValueError: It never fires.
    """

    def __new__(
        cls,
        parts: Sequence[Part],
        *,
        zone: Zone | None = None,
        weekdays: int = 0,
        dates: Sequence[tuple[int, int, int]] = ...,
        hours: int = 0,
    ) -> Calendar: ...
    def next_after(self, moment_ns: int) -> int | None: ...
    def last_by(self, moment_ns: int) -> int | None: ...
    def count(self, after_ns: int, by_ns: int) -> int: ...
    def preview(self, after_ns: int, count: int) -> list[int]: ...
    def datetime_after(self, moment: object, zone: tzinfo) -> datetime | None: ...
    def datetimes(
        self, after_ns: int, until_ns: int, count: int, zone: tzinfo
    ) -> list[datetime]: ...
    def describe(self) -> str: ...

@final
class Forecast:
    """Runs in each second ahead."""

    def buckets(self, width: int, first: int, count: int) -> list[int]: ...
    def total(self) -> int: ...
    def busiest(self, count: int) -> list[tuple[int, int]]: ...
    def collisions(self) -> int: ...

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
        start_ns: int | None = None,
        end_ns: int | None = None,
        max_runs: int | None = None,
        grace_ns: int | None = None,
        catch_up_limit: int | None = None,
        calendar: Calendar | None = None,
        jitter_ns: int = 0,
        window_ns: int = 0,
        on_wall: bool = False,
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
    def due_ns(self) -> int: ...
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
        on_wall: bool,
    ) -> str:
        """Schedules a task first due at a moment of the wall, at once if that has passed. O(1).

        `on_wall` is whether a task without recurrence follows when the wall clock is set.
        """
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
    def reschedule(self, task_id: object, nominal_ns: int, on_wall: bool) -> bool: ...
    def extend(self, task_id: object, recurrence: Recurrence) -> bool:
        """Replaces the calendar of a live task by that of a recurrence; whether it had one."""
    def follow_wall(self) -> int:
        """Gives tasks on the wall clock deadlines by what the wall shows now; how many changed.

        O(tasks), in slices.
        """
    def clock_moved(self) -> None:
        """Makes who sleeps until a moment look at the clock again."""
    def spread(self, span_ns: int) -> int:
        """Spreads what is overdue now over a span, in order; how many tasks that were."""
    def forecast(self, start_ns: int, seconds: int) -> Forecast:
        """Counts the runs to come in each of so many seconds from a moment of the wall on."""
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

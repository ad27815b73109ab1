"""The Rust core. Moments are nanoseconds since 1970-01-01T00:00:00Z, spans are nanoseconds.

Private: `num_agents.scheduler._engine` and `_timing` are the only packages that import it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import Context
from datetime import datetime, tzinfo
from typing import Any, SupportsIndex, final, overload

__all__ = [
    "Alarm",
    "Calendar",
    "Call",
    "Clock",
    "ClockWatch",
    "Engine",
    "Forecast",
    "OpenRun",
    "Part",
    "Recurrence",
    "Steps",
    "TaskIds",
    "TaskRecord",
    "Watch",
    "WorkerGroup",
    "Zone",
    "note_fork",
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
class Alarm:
    """Rings at the moment that it was set to last, once: wakes an executor of the engine.

    An event loop watches its file descriptor, where there is one. A thread waits for it.
    """

    def __new__(cls, clock: Clock) -> Alarm: ...
    def fileno(self) -> int | None:
        """A file descriptor that is readable while it rings; None where the system has none."""
    def stop_ringing(self) -> None: ...
    def wait(self) -> bool:
        """Sleeps until it rings, and stops ringing. False once it is closed. For one thread."""
    def ring(self) -> None:
        """Rings now."""
    def close(self) -> None:
        """Ends all waits, now and later."""

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
    """A time zone, from 1970 to 2554."""

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
        """What is accepted but probably not meant: field, position, reason. Raises as `cron`."""
    @staticmethod
    def interval(
        every: int,
        unit: str,
        anchor: tuple[int, int, int],
        second: int,
        zone: Zone,
        dst: str,
        *,
        has_start: bool = True,
    ) -> Part:
        """Every n days, weeks, months or years from a day on, at a second of the day.

        Without a start it also fires before that day.
        """
    @staticmethod
    def grid(anchor_ns: int, interval_ns: int) -> Part:
        """A moment, and every n nanoseconds after it; 0 for the moment alone."""
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
class Call:
    """What a task calls, at the moment of asking."""

    @property
    def name(self) -> str: ...
    @property
    def callback(self) -> Callable[..., Any]: ...
    @property
    def arguments(self) -> tuple[Any, ...]: ...
    @property
    def kwargs(self) -> dict[str, Any] | None: ...
    @property
    def options(self) -> Any: ...

@final
class OpenRun:
    """A run that was taken and is to be completed, once.

    If it is dropped before, it is given up: it is completed as failed.
    """

    @property
    def slot(self) -> int:
        """The slot of its task, which no other run has as long as it is open."""
    @property
    def task_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def callback(self) -> Callable[..., Any]: ...
    @property
    def arguments(self) -> tuple[Any, ...]: ...
    @property
    def kwargs(self) -> dict[str, Any] | None: ...
    @property
    def context(self) -> Context | None:
        """The context in which the task was scheduled; None if that was empty."""
    @property
    def options(self) -> Any: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def is_stopping(self) -> bool:
        """Whether its task has been cancelled meanwhile."""
    def record(self) -> TaskRecord | None:
        """The record of its task; None once it has been completed."""
    def complete(self, value: object) -> int | None:
        """Completes it with a value. Returns how many occurrences are skipped.

        None, and does nothing, if the value is one that somebody has to await.
        """
    def within(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Calls a function as if the calling thread had taken this run."""
    def end(self, function: Callable[..., Any], /, *arguments: Any) -> bool:
        """Ends it, unless it has ended, by a function which completes it or has it tried again.

        It is called as `within` does. Returns whether it was this call that has ended the run.
        """

@final
class Watch:
    """A waiter that is entered; it is taken out when nothing refers to this any more."""

@final
class WorkerGroup:
    """The workers of one start of a scheduler."""

    def __new__(cls) -> WorkerGroup: ...
    @property
    def is_dismissed(self) -> bool:
        """Whether no worker of the group may start another run."""
    @property
    def is_cancelled(self) -> bool:
        """Whether the runs of the group are asked to end: their cancel token."""
    def cancel(self) -> None:
        """Asks the runs of the group to end."""
    def add(self) -> bool:
        """Allows one more worker. Returns whether a thread must be started for it."""

@final
class Steps:
    """The calls that a worker thread makes, one after another; it sleeps in between.

    `next(filter(None, map(steps.finish, starmap(call, steps))))` makes them. `runs` is the Python
    layer's part in a run: see `_engine.worker.Runs`. If each run is announced, it runs all.
    """

    def __new__(
        cls,
        engine: Engine,
        runs: object,
        is_announced: bool,
        group: WorkerGroup,
        context: Context,
    ) -> Steps: ...
    @property
    def is_over(self) -> bool:
        """Whether the worker must end; otherwise the next run needs a new context."""
    def __iter__(self) -> Steps: ...
    def __next__(self) -> tuple[Any, ...]: ...
    def finish(self, value: object) -> None:
        """Takes what a call returned: ends the run of a plain task with it."""

@final
class TaskRecord:
    """A task, alive or remembered, at the moment of asking."""

    @property
    def task_id(self) -> str: ...
    @property
    def name(self) -> str: ...
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
    def attempt(self) -> int:
        """Which attempt is under way or to come; of an ended task or run, at how many it ended."""
    @property
    def first_started_ns(self) -> int | None:
        """When the first attempt at a live task's run started; None before that."""
    @property
    def callback(self) -> Callable[..., Any] | None:
        """What a live task calls; None of an ended one."""
    @property
    def arguments(self) -> tuple[Any, ...] | None: ...
    @property
    def kwargs(self) -> dict[str, Any] | None: ...
    @property
    def last_value(self) -> Any:
        """What the last run of a live task returned; None before the first, and if it failed."""
    @property
    def last_error(self) -> BaseException | None:
        """What the last run of a live task raised; None before the first, and if it completed."""
    @property
    def options(self) -> Any: ...
    @property
    def value(self) -> Any:
        """What an ended task or run returned, or raised."""

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

    All methods may be called from any thread. None blocks but `work`. In a forked child each raises
    `SchedulerForkedError`.
    """

    def __new__(
        cls,
        clock: Clock,
        history: int,
        instance: int,
        check_call: Callable[[object, object], bool],
        slack_ns: int = 0,
    ) -> Engine: ...
    def schedule(
        self, name: object, callback: object, arguments: object, delay: object, priority: object
    ) -> str:
        """Schedules a one-shot `delay` seconds from now, without options. O(1).

        Raises:
            TypeError: `delay` is no int or float, `priority` no int.
            ValueError: `delay` is NaN, infinite or negative; `priority` not in 0 to 255.
            OverflowError: `delay` ends beyond the year 9999.
        """
    def schedule_at(
        self,
        name: object,
        callback: object,
        arguments: object,
        kwargs: dict[str, Any] | None,
        options: object,
        is_special: bool,
        priority: object,
        recurrence: Recurrence | None,
        after_ns: int | None,
        wall_ns: int | None,
        on_grid: bool,
        follows_wall: bool,
        executor: int | None = None,
        /,
    ) -> tuple[str, int]:
        """Schedules a task first due after a span, or at a moment of the wall clock. O(1).

        `is_special`: whether the Python layer runs it. With both a span and a moment, the later of
        the two. `on_grid`: the moment is the anchor of the interval's grid,
        and the task is first due at the first point of the grid that is not before now.
        `follows_wall` is whether a task without recurrence follows when the wall clock is set.
        `executor`: the number of the one that runs it; None for that of its kind.

        Returns:
            Its id, and the nominal time of the first run as the wall clock shows it.
        """
    def schedule_many(
        self,
        name: object,
        callback: object,
        arguments: object,
        kwargs: object,
        options: object,
        is_special: bool,
        priorities: object,
        recurrence: Recurrence | None,
        now_ns: int,
        delays: object,
        executor: int | None = None,
        /,
    ) -> TaskIds:
        """Schedules tasks first due so many seconds after `now_ns`: a buffer of float64.

        All are checked before any is scheduled.

        Each of `arguments`, `kwargs` and `options` is one for all, or a list of one for each;
        `priorities` is an int for all, or bytes.
        """
    @staticmethod
    def nominals(now_ns: int, delays: object) -> list[int]:
        """The moments of the axis that `schedule_many` computes."""
    def schedule_many_at(
        self,
        name: object,
        callback: object,
        arguments: object,
        kwargs: object,
        options: object,
        is_special: bool,
        priorities: object,
        recurrence: Recurrence | None,
        nominals_ns: object,
        on_grid: bool,
        executor: int | None = None,
        /,
    ) -> TaskIds:
        """Schedules tasks first due at moments of the wall clock: a buffer of uint64.

        `on_grid` as for `schedule_at`.
        """
    def cancel(self, task_id: object) -> int:
        """0: unknown or ended; 1: it will not run; 2: it runs, and will not run again. O(1)."""
    def cancel_many(self, task_ids: Iterable[object]) -> tuple[int, TaskIds]:
        """How many of them it stopped, and those of them that run."""
    def pause(self, task_id: object) -> bool: ...
    def resume(self, task_id: object) -> bool: ...
    def forget_failures(self, task_id: object) -> None:
        """Begins to count the failed runs of a task again."""
    def reschedule(
        self, task_id: object, *, after_ns: int | None = None, wall_ns: int | None = None
    ) -> bool:
        """Gives a task another time: a span from now, or a moment of the wall clock."""
    def extend(self, task_id: object, recurrence: Recurrence) -> bool:
        """Replaces the calendar of a live task by that of a recurrence; whether it had one."""
    def run_now(self, task_id: object) -> bool: ...
    def next_wall_step(self) -> tuple[str, int]:
        """What `follow_wall` would follow now: the step, and by how many ns the wall was set back.

        "forward" is any step that is not back; "back" one by less than three hours; "reset" one by
        more, after which all calendars begin again from the new time.
        """
    def follow_wall(self) -> tuple[str, int, int]:
        """Gives tasks on the wall clock deadlines by what the wall shows now.

        Returns the step, how many tasks got another deadline, and of how many the next time was
        computed again because the clock was set back. O(tasks), in slices.
        """
    def check_process(self) -> None:
        """Refuses to be used in a child of the process that it belongs to."""

    def clock_moved(self) -> None:
        """Makes the thread that sleeps until a moment look at the clock again."""
    def spread(self, span_ns: int) -> int:
        """Spreads what is overdue now over a span, in order; how many tasks that were."""
    def forecast(self, start_ns: int, seconds: int) -> Forecast:
        """Counts future runs in each of n seconds from a moment of the wall clock on."""
    @property
    def is_foreign(self) -> bool:
        """Whether it belongs to the parent of this process: then it must not be used."""
    def leak(self) -> None:
        """Keeps it, and all that it holds, until the process ends."""
    def run_next(self, runs: object, is_announced: bool) -> bool:
        """Runs the first in order of what is due now. Returns whether there was anything.

        Raises:
            BaseException: What the Python layer lets through, after the run has been completed.
        """
    def run_batch(
        self,
        executor: int,
        runs: object,
        begin: Callable[[OpenRun], object],
        context: Context,
        is_announced: bool,
        budget_ns: int,
        room: int,
    ) -> int:
        """Runs what is due for an executor, in order, in the calling thread.

        Until nothing is, `budget_ns` have passed, or `room` coroutines have been begun. Plain
        callbacks are called; of a coroutine function's run `begin` is told, which completes it
        later. It ends as well after a callback that has set a variable in `context`, in which this
        is called.

        Returns:
            0 if nothing is due any more: the executor rests, and its alarm will ring. 1 if there
            may be more, 2 if there is no room.

        Raises:
            BaseException: What the Python layer lets through.
        """
    def add_executor(self, alarm: Alarm | None, /) -> int:
        """Adds an executor that is woken by an alarm, or asks by itself. Returns its number."""
    def running_slot(self, task_id: object) -> int | None:
        """The slot of a task that runs; None of any other."""
    def complete(self, value: object, failed: bool) -> tuple[str, bool, int]:
        """Completes the run that the calling thread has taken.

        Returns:
            Its status, whether the task ended with it, and how many occurrences are skipped.
        """
    def note_error(self, error: BaseException) -> int:
        """Notes what the open run of this thread raises. How many failed one after another."""
    def detach(self) -> OpenRun:
        """Takes the run that the calling thread has taken from it: it is a value from here on."""
    def retry(self, after_ns: int) -> int | None:
        """Has the run that the calling thread has taken tried again after a span.

        Returns:
            How many attempts have failed; None if it is to be completed instead: its task was
            cancelled or given another time meanwhile.
        """
    def open_call(self) -> Call | None:
        """What the task calls whose run the calling thread has taken; None if it is in no run."""
    def abandon_open(self) -> None:
        """Completes the run that the calling thread has taken, if any, as failed."""
    def take_missed(self) -> list[tuple[str, str, Any, int, int, bool]]:
        """Missed occurrences that are not reported yet.

        Each as id, name, options, nominal time of the first, number, and whether the task ended.
        """
    def current(self) -> str | None:
        """The task whose run the calling thread has taken from this engine."""
    def current_record(self) -> TaskRecord | None:
        """The record of that task."""
    def is_stopping(self, task_id: object) -> bool:
        """Whether a task runs and has been cancelled meanwhile."""
    def set_phase(self, phase: int) -> None:
        """Opens (2), drains (1) or closes (0) the gate that `work` sleeps at."""
    def dismiss(self, group: WorkerGroup) -> None:
        """Lets no worker of a group start another run."""
    def remove_worker(self, group: WorkerGroup) -> None:
        """Lets one worker of a group go: the first to end its run, or one that sleeps."""
    def watch(self, task_id: object, until_end: bool, waiter: object) -> Watch | None:
        """Enters a waiter for the next outcome of a live task, or for its last.

        Its `settle(record)` is called when that is there. None if there is no such task.
        """
    def unwatch_idle(self) -> list[tuple[str, Any]]:
        """Takes out the waiters for tasks that no worker runs: id and waiter."""
    @property
    def watchers(self) -> int:
        """The number of waiters."""
    def record(self, task_id: object) -> TaskRecord | None:
        """What is known of a task, alive or remembered. O(1)."""
    def is_live(self, task_id: object) -> bool:
        """Whether a task has not ended. O(1)."""
    def task_ids(self, kind: str) -> TaskIds:
        """The ids of "live", "pending", "due", "running" or "ended" tasks. O(slots)."""
    def next_deadline(self, executor: int) -> int | None:
        """When something is due next for an executor; a moment that has passed if it is due now."""
    def statistics(self) -> list[tuple[str, int]]: ...
    def lateness(self) -> tuple[int, int, list[tuple[int, int, int]]]: ...

def note_fork() -> None:
    """Notes that this process is a child that has just been forked."""

def transitions() -> list[tuple[str, str, str]]:
    """Every transition of a task: from, by, to."""

def sharpen_timers() -> None:
    """Makes timed waits of the calling thread as exact as the system allows."""

"""The Python side of the boundary: beside `_timing` the only importer of the native module.

The engine keeps when and in which order; the cells, two for each of the engine's slots, keep what
to call. A worker is a thread in `Engine.work`: it sleeps in the engine, takes the cell that is
first in order, runs the call, and says so. The loop in `Engine.run` is the hot path of the library:
what a task did not ask for is decided once, in `Call.is_plain`, and costs nothing there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from contextvars import ContextVar

from num_agents.scheduler import _native
from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.moments import to_datetime
from num_agents.scheduler._timing.spans import bounded_span_ns
from num_agents.scheduler.errors import UnknownTaskError
from num_agents.scheduler.outcomes import (
    Outcome,
    TaskInfo,
    Waiters,
    describe,
    settle,
    without_frames,
)
from num_agents.scheduler.run import worker
from num_agents.scheduler.task import checked_callback, checked_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future
    from datetime import tzinfo
    from typing import Any

    from num_agents.scheduler._timing.rrule import Lookahead as Reach
    from num_agents.scheduler.events import Publisher
    from num_agents.scheduler.policy import RunPolicy
    from num_agents.scheduler.schedule import TaskSchedule

    #: By how many seconds, "set" or "suspend", and how many tasks got another deadline.
    ClockChange = tuple[float, str, int]

Clock = _native.Clock
ClockWatch = _native.ClockWatch
TaskIds = _native.TaskIds
Sequence.register(TaskIds)
sharpen_timers = _native.sharpen_timers
transitions = _native.transitions

#: What `take` answers instead of a cell.
_NOTHING = -1
_MISSED = -2

#: The phases of the gate that workers sleep at.
CLOSED, DRAINING, OPEN = 0, 1, 2


class Call:
    """What a task calls. Plain one-shots of one callback and one name share one."""

    __slots__ = ("callback", "details", "is_plain", "kwargs", "name")

    def __init__(
        self,
        name: str,
        callback: Callable[..., Any],
        kwargs: dict[str, Any] | None = None,
        details: Details | None = None,
    ) -> None:
        self.name = name
        self.callback = callback
        self.kwargs = kwargs or {}
        self.details = details
        #: Whether the worker's loop itself runs it, and not the careful way beside it.
        self.is_plain = not self.kwargs


class Refill:
    """What is needed to compute the next piece of a calendar that is told piece by piece."""

    __slots__ = ("known_ns", "scheduled_ns")

    def __init__(self, scheduled_ns: int, known_ns: int) -> None:
        self.scheduled_ns = scheduled_ns
        #: The last time that is known.
        self.known_ns = known_ns


class Details:
    """What belongs to one task that is more than a plain one-shot."""

    __slots__ = (
        "error",
        "failures_in_a_row",
        "metadata",
        "policy",
        "refill",
        "schedule",
        "tags",
        "value",
    )

    def __init__(
        self,
        schedule: TaskSchedule,
        policy: RunPolicy,
        tags: frozenset[str],
        metadata: dict[str, Any],
    ) -> None:
        self.schedule = schedule
        self.policy = policy
        self.tags = tags
        self.metadata = metadata
        self.value: Any = None
        self.error: BaseException | None = None
        self.failures_in_a_row = 0
        self.refill: Refill | None = None

    def note(self, value: object) -> None:
        """Notes a run that ended well."""
        self.value = value
        self.error = None
        self.failures_in_a_row = 0


class Engine:
    """The native engine, its cells, and those who wait for outcomes.

    Args:
        clock: What it is told the time by.
        history: How many ended tasks it remembers.
        zone: The time zone of the moments that it shows; None for the system's.
        publisher: Where runs are announced, if anywhere.
        instance: What ids and jitter are drawn from; random if None.
        catch_up_spread_ns: Over which span overdue work is spread; 0 for not at all.
    """

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        clock: Clock,
        history: int,
        zone: tzinfo | None,
        publisher: Publisher | None,
        instance: int | None = None,
        catch_up_spread_ns: int = 0,
    ) -> None:
        self.clock = clock
        if instance is None:
            instance = int.from_bytes(os.urandom(8), "big")
        self.native = _native.Engine(clock, history, instance)
        self.catch_up_spread_ns = catch_up_spread_ns
        self.zone = zone
        self.waiters = Waiters()
        #: Set while a stop asks callbacks to end: see `Run.is_cancelled`.
        self.is_cancelling = False
        self._publisher = publisher
        self._cells = self.native.cells
        self.last_call = Call("", print)
        #: Tasks whose calendars are told piece by piece.
        self._piecewise: set[str] = set()

    # ---- scheduling --------------------------------------------------------------------------

    def new_call(self, name: str, callback: Callable[..., Any]) -> Call:
        """A call of a name and a callback, checked; the next with the same two shares it."""
        self.last_call = Call(checked_name(name), checked_callback(callback))
        return self.last_call

    def schedule(
        self, call: Call, args: tuple[Any, ...], schedule: TaskSchedule, policy: RunPolicy
    ) -> str:
        """Schedules a task in all generality. Returns its id."""
        now = self.clock.now_ns()
        calendar = schedule.calendar(self.zone, now)
        first = schedule.first_due_ns(now, self.zone, calendar)
        on_wall = schedule.run_at is not None
        recurrence = None
        if (
            calendar is not None
            or schedule.interval is not None
            or schedule.end_after is not None
            or schedule.max_runs is not None
            or policy.grace is not None
            or schedule.jitter is not None
            or schedule.window is not None
        ):
            recurrence = self._recurrence(schedule, policy, calendar)
        details = call.details
        refill = schedule.refill_ns(self.zone, now, now - 1)
        if details is not None and refill is not None:
            details.refill = Refill(now, refill)
            call.is_plain = False
        task_id = self.native.schedule_at(call, args, first, policy.priority, recurrence, on_wall)
        if refill is not None:
            self._piecewise.add(task_id)
        return task_id

    def _recurrence(
        self, schedule: TaskSchedule, policy: RunPolicy, calendar: _native.Calendar | None
    ) -> _native.Recurrence:
        def span(value: Any, argument: str) -> int:
            return 0 if value is None else bounded_span_ns(value, argument)

        return _native.Recurrence(
            policy.misfire,
            interval_ns=0 if calendar is not None else span(schedule.interval, "interval"),
            fixed_delay=schedule.fixed_delay,
            end_ns=schedule.end_ns(self.zone),
            max_runs=schedule.max_runs,
            grace_ns=None if policy.grace is None else bounded_span_ns(policy.grace, "grace"),
            catch_up_limit=policy.catch_up_limit,
            calendar=calendar,
            jitter_ns=span(schedule.jitter, "jitter"),
            window_ns=span(schedule.window, "window"),
            on_wall=schedule.run_at is not None,
        )

    # ---- calendars that are told piece by piece ----------------------------------------------

    def know_until(self, until_ns: int) -> None:
        """Computes such calendars up to a moment: before late work is judged, or foretold."""
        reach = (min(until_ns, self.clock.now_ns()), until_ns)
        for task_id in list(self._piecewise):
            found = self._piece(task_id)
            if found is None:
                self._piecewise.discard(task_id)
                continue
            details, nominal, known = found
            if known <= until_ns:
                self._refill(task_id, details, nominal, reach)

    def _refill(
        self, task_id: str, details: Details, after_ns: int, reach: Reach
    ) -> _native.Calendar | None:
        """Computes the next piece for a task: what comes after a moment; None if nothing does."""
        refill, details.refill = details.refill, None
        if refill is None:
            return None
        schedule, scheduled = details.schedule, refill.scheduled_ns
        try:
            calendar = schedule.calendar(self.zone, scheduled, after_ns, reach)
        except ValueError:
            # There is no more.
            return None
        self.native.extend(task_id, self._recurrence(schedule, details.policy, calendar))
        known = schedule.refill_ns(self.zone, scheduled, after_ns, reach)
        details.refill = None if known is None else Refill(scheduled, known)
        return calendar

    def _refill_current(self) -> None:
        """Computes the next piece for the task that is about to run."""
        task_id = self.native.current() or ""
        found = self._piece(task_id)
        if found is not None and found[1] >= found[2]:
            now = self.clock.now_ns()
            self._refill(task_id, found[0], found[1], (now, now))

    def _refill_missed(self, task_id: str) -> None:
        """Computes the next piece for a task all of whose known times have been missed."""
        found = self._piece(task_id)
        if found is None or found[1] < found[2]:
            return
        now = self.clock.now_ns()
        calendar = self._refill(task_id, found[0], now, (now, now))
        due = None if calendar is None else calendar.next_after(now)
        if due is None:
            self.cancel(task_id)
        else:
            self.native.reschedule(task_id, due, on_wall=True)

    def _piece(self, task_id: str) -> tuple[Details, int, int] | None:
        """Of such a task, if it lives: its next nominal time, and the last that is known."""
        record = self.native.record(task_id)
        if record is None or not record.is_live:
            return None
        details: Details | None = record.call.details
        if details is None or details.refill is None:
            return None
        return details, record.nominal_ns, details.refill.known_ns

    # ---- running -----------------------------------------------------------------------------

    def work(self, live: list[bool]) -> None:
        """Runs what falls due, until the gate is closed or `live` is emptied. For a worker."""
        native = self.native
        worker.engine = self
        while live and native.wait():
            self.run(native.take_arrived(), live)

    def run_due(self) -> None:
        """Runs what is due now, in order, in the calling thread."""
        outer, worker.engine = worker.engine, self
        suspended = self.native.suspend()
        try:
            self.run(self.native.take(), [True])
        finally:
            self.native.restore(suspended)
            worker.engine = outer

    def run(self, cell: int, live: list[bool]) -> None:
        """Runs the call of a cell, and whatever is due after it."""
        native = self.native
        take, finish = native.take, native.finish
        cells = self._cells
        futures, publisher = self.waiters.futures, self._publisher
        while cell != _NOTHING:
            if cell == _MISSED:
                self._report_missed()
                cell = take()
                continue
            call = cells[cell]
            if not (call.is_plain and publisher is None):
                self._run_with_care(cell, call)
                cell = take() if live else _NOTHING
                continue
            try:
                value = call.callback(*cells[cell + 1])
            except BaseException as error:
                self._fail(cell, call, error)
                cell = take() if live else _NOTHING
                continue
            details = call.details
            if details is not None:
                details.note(value)
            if not live:
                # Dismissed meanwhile: another has its place.
                self._complete(cell, call, value, failed=False)
                return
            cell = finish(cell, value)
            del value
            if futures:
                self.resolve()

    def _run_with_care(self, cell: int, call: Call) -> None:
        """Runs a task that has keyword arguments, details, or an audience."""
        publisher = self._publisher
        if publisher is not None and publisher.wants("scheduler.task_started"):
            self._publish_started(publisher, call)
        if call.details is not None and call.details.refill is not None:
            self._refill_current()
        try:
            value = call.callback(*self._cells[cell + 1], **call.kwargs)
        except BaseException as error:
            self._fail(cell, call, error)
            return
        if call.details is not None:
            call.details.note(value)
        self._complete(cell, call, value, failed=False)

    def _fail(self, cell: int, call: Call, error: BaseException) -> None:
        """Ends a run that raised: logged once, kept without its frames, published."""
        _log_failure(call.name, self.native.current(), error)
        error = without_frames(error)
        details = call.details
        if details is not None:
            details.value = None
            details.error = error
            details.failures_in_a_row += 1
            limit = details.policy.pause_after_failures
            task_id = self.native.current()
            if limit is not None and details.failures_in_a_row >= limit and task_id is not None:
                self.pause(task_id, reason=f"{limit} failed runs in a row")
        self._complete(cell, call, error, failed=True)
        if isinstance(error, KeyboardInterrupt) and _in_main_thread():
            raise error

    def _complete(self, cell: int, call: Call, value: object, *, failed: bool) -> None:
        native, publisher = self.native, self._publisher
        task_id = native.current()
        before = None if publisher is None or task_id is None else native.record(task_id)
        was_cancelled = before is not None and native.is_stopping(before.task_id)
        ended, skipped = native.complete(cell, value, failed)
        if self.waiters.futures:
            self.resolve()
        if publisher is None or before is None:
            return
        about = {
            "task_id": before.task_id,
            "task_name": call.name,
            "nominal_time": to_datetime(before.nominal_ns, self.zone),
        }
        record = native.record(before.task_id) if ended else None
        # A short history may have forgotten it already.
        if was_cancelled or (record is not None and record.status == "cancelled"):
            publisher.publish("scheduler.task_cancelled", **about, reason="cancelled while it ran")
        elif failed:
            publisher.publish("scheduler.task_failed", **about, error=value)
        else:
            publisher.publish("scheduler.task_completed", **about, result=value)
        if skipped:
            publisher.publish(
                "scheduler.task_skipped",
                **about,
                skipped=skipped,
                reason="fell due while the last run went on",
            )

    def _publish_started(self, publisher: Publisher, call: Call) -> None:
        record = self.native.record(self.native.current() or "")
        if record is None or record.started_ns is None:
            return
        publisher.publish(
            "scheduler.task_started",
            task_id=record.task_id,
            task_name=call.name,
            nominal_time=to_datetime(record.nominal_ns, self.zone),
            lateness=(record.started_ns - record.due_ns) / 1e9,
            missed=record.missed_by_run,
            attempt=1,
        )

    def _report_missed(self) -> None:
        for task_id, call, nominal_ns, missed, ended in self.native.missed():
            if not ended and call.details is not None and call.details.refill is not None:
                self._refill_missed(task_id)
            if self._publisher is not None:
                self._publisher.publish(
                    "scheduler.task_missed",
                    task_id=task_id,
                    task_name=call.name,
                    nominal_time=to_datetime(nominal_ns, self.zone),
                    missed=missed,
                    reason="too late by the task's misfire and grace",
                )
        if self.waiters.futures:
            self.resolve()

    # ---- the wall clock ----------------------------------------------------------------------

    def look_at_clock(self) -> list[ClockChange]:
        """Follows the system's wall clock, if it was set or the machine suspended."""
        set_by, suspended = self.clock.look()
        changes = []
        if set_by:
            changes.append(self.follow_wall(set_by / 1e9, "set"))
        if suspended:
            changes.append(self.follow_wall(suspended / 1e9, "suspend"))
        return changes

    def follow_wall(self, offset_s: float, reason: str) -> ClockChange:
        """Gives tasks on the wall clock new deadlines, after the clock's wall has been changed.

        Args:
            offset_s: By how much it was set, or how long the machine was suspended.
            reason: "set" or "suspend".

        Returns:
            What to announce, under no lock.
        """
        self.know_until(self.clock.now_ns())
        rekeyed = self.native.follow_wall()
        self.spread_overdue()
        self.native.clock_moved()
        return offset_s, reason, rekeyed

    def announce(self, changes: list[ClockChange]) -> None:
        """Publishes changes of the clock."""
        if self._publisher is None:
            return
        for offset_s, reason, rekeyed in changes:
            self._publisher.publish(
                "scheduler.clock_changed", offset=offset_s, reason=reason, rekeyed=rekeyed
            )

    def spread_overdue(self) -> None:
        """Spreads what is overdue, if that was asked for."""
        if self.catch_up_spread_ns:
            self.native.spread(self.catch_up_spread_ns)

    # ---- changing ----------------------------------------------------------------------------

    def cancel(self, task_id: str) -> bool:
        """Cancels a task. Whether that stopped a future run, or signalled the current one."""
        publisher = self._publisher
        before = None if publisher is None else self.native.record(task_id)
        done = self.native.cancel(task_id)
        if self.waiters.futures:
            self.resolve()
        if publisher is not None and before is not None and done == 1:
            self._publish_change("scheduler.task_cancelled", before, "cancelled before it ran")
        return done != 0

    def cancel_many(self, task_ids: Iterable[str]) -> int:
        """Cancels many tasks. How many it stopped."""
        if isinstance(task_ids, str) or not hasattr(task_ids, "__iter__"):
            raise TypeError(f"task_ids must be an iterable of task ids, got {show(task_ids)}")
        if self._publisher is not None and self._publisher.wants("scheduler.task_cancelled"):
            listed = list(task_ids)
            for task_id in listed:
                if not isinstance(task_id, str):
                    raise TypeError(f"task_ids must be task ids (str), got {show(task_id)}")
            return sum(map(self.cancel, listed))
        stopped = self.native.cancel_many(task_ids)
        if self.waiters.futures:
            self.resolve()
        return stopped

    def pause(self, task_id: str, *, reason: str = "paused by hand") -> bool:
        """Pauses a task."""
        done = self.native.pause(task_id)
        if done and self._publisher is not None:
            record = self.native.record(task_id)
            self._publish_change("scheduler.task_paused", record, reason)
        return done

    def resume(self, task_id: str) -> bool:
        """Resumes a task."""
        # What is no id at all is refused below, in words.
        if isinstance(task_id, str) and task_id in self._piecewise:
            self.know_until(self.clock.now_ns())
        done = self.native.resume(task_id)
        if done and self._publisher is not None:
            record = self.native.record(task_id)
            self._publish_change("scheduler.task_resumed", record, "resumed by hand")
        return done

    def publish_scheduled(self, task_id: str) -> None:
        """Announces a new task, if somebody listens."""
        if self._publisher is not None and self._publisher.wants("scheduler.task_scheduled"):
            self._publish_change("scheduler.task_scheduled", self.native.record(task_id), None)

    def _publish_change(
        self, event_type: str, record: _native.TaskRecord | None, reason: str | None
    ) -> None:
        if self._publisher is None or record is None:
            return
        payload = {} if reason is None else {"reason": reason}
        self._publisher.publish(
            event_type,
            task_id=record.task_id,
            task_name=record.call.name,
            nominal_time=to_datetime(record.nominal_ns, self.zone),
            **payload,
        )

    # ---- outcomes ----------------------------------------------------------------------------

    def future(self, task_id: str, *, until_end: bool) -> Future[Outcome]:
        """A future for a task's next outcome, or its last; done already if the task has ended.

        Raises:
            TypeError: The id is no string.
            UnknownTaskError: There is no such task, or it is forgotten.
        """
        if not isinstance(task_id, str):
            raise TypeError(f"task_id must be a task id (str), got {show(task_id)}")
        with self.waiters.lock:
            # A task that was watched in vain has left an outcome, which is not the next one.
            earlier = self._collected()
            future = self.waiters.enter(task_id, until_end=until_end)
        for other, outcome in earlier:
            settle(other, outcome)
        if self.native.watch(task_id, until_end):
            return future
        is_ours = self.waiters.withdraw(task_id, future)
        record = self.native.record(task_id)
        if record is not None:
            # Another one: the first may be about to be settled with what others waited for.
            ended: Future[Outcome] = type(future)()
            ended.set_result(self._outcome(record))
            return ended
        if is_ours:
            raise UnknownTaskError(task_id)
        return future

    def resolve(self) -> None:
        """Gives the outcomes of watched tasks to those who wait for them."""
        for future, outcome in self._collected():
            settle(future, outcome)

    def _collected(self) -> list[tuple[Future[Outcome], Outcome]]:
        """The outcomes of watched tasks, each with one who waits for it."""
        found: list[tuple[Future[Outcome], Outcome]] = []
        with self.waiters.lock:
            for record in self.native.collect():
                futures = self.waiters.take(record.task_id, is_last=not record.is_live)
                if futures:
                    outcome = self._outcome(record)
                    found += [(future, outcome) for future in futures]
        return found

    def _outcome(self, record: _native.TaskRecord) -> Outcome:
        failed = record.status == "failed"
        return Outcome(
            task_id=record.task_id,
            task_name=record.call.name,
            status=record.status,
            value=record.value if record.status == "completed" else None,
            error=record.value if failed else None,
            nominal_ns=record.nominal_ns,
            started_ns=record.started_ns,
            ended_ns=record.ended_ns,
            missed=record.missed_by_run,
            run_count=record.runs,
            zone=self.zone,
        )

    # ---- looking -----------------------------------------------------------------------------

    def info(self, task_id: str) -> TaskInfo | None:
        """What is known of a task; None if it is unknown or forgotten."""
        record = self.native.record(task_id)
        if record is None:
            return None
        details = record.call.details
        if not record.is_live:
            result, error = _split(record)
        elif details is not None:
            result, error = details.value, details.error
        else:
            result, error = None, None
        waits = record.status in ("pending", "paused")
        return TaskInfo(
            status=record.status,
            run_count=record.runs,
            missed=record.missed,
            skipped=record.skipped,
            next_run=to_datetime(record.nominal_ns, self.zone) if waits else None,
            last_run=None
            if record.started_ns is None
            else to_datetime(record.started_ns, self.zone),
            result=result,
            error=error,
        )


def _split(record: _native.TaskRecord) -> tuple[Any, BaseException | None]:
    """Result and error of an ended task."""
    if record.status == "failed":
        return None, record.value
    return record.value, None


def _log_failure(name: str, task_id: str | None, error: BaseException) -> None:
    from num_agents.scheduler._log import logger  # noqa: PLC0415 - only failures log

    # A broken log must not fail a worker.
    with suppress(BaseException):
        logger().error("Task %r (%s) failed: %s", name, task_id, describe(error), exc_info=error)


def _in_main_thread() -> bool:
    from threading import current_thread, main_thread  # noqa: PLC0415 - only failures ask

    return current_thread() is main_thread()


#: The clock of schedulers that are given none; None for the system's.
default_clock: ContextVar[Any] = ContextVar("num_agents.scheduler.default_clock", default=None)

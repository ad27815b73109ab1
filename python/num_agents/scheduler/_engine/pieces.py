"""Calendars whose times are computed in pieces: those of tasks with an rrule.

The extension module knows the next few hundred times of such a task. The next piece is computed
when the last known time runs, before late work is judged, and before a forecast; and computed anew
when the wall clock is set far back.
"""

from __future__ import annotations

from num_agents.scheduler._engine.control import pause
from num_agents.scheduler._engine.options import recurrence_of
from num_agents.scheduler._log import log
from num_agents.scheduler._timing.bounds import NeverFiresError
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS
from num_agents.scheduler.outcomes import describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

    from num_agents.scheduler import _native
    from num_agents.scheduler._engine.announce import Announcer
    from num_agents.scheduler._engine.options import TaskOptions
    from num_agents.scheduler._timing.rrule import Lookahead
    from num_agents.scheduler.schedule import TaskSchedule


class KnownTimes:
    """Up to when the times of a task with an rrule are known."""

    __slots__ = ("last_ns", "scheduled_ns")

    def __init__(self, scheduled_ns: int, last_ns: int) -> None:
        #: When the task was scheduled: a recurrence without a start begins then.
        self.scheduled_ns = scheduled_ns
        #: The last time that is known; `FAR_FUTURE_NS` if all are.
        self.last_ns = last_ns

    def until(self, last_ns: int | None) -> KnownTimes:
        """The same up to another time; None if all times are known."""
        return KnownTimes(self.scheduled_ns, FAR_FUTURE_NS if last_ns is None else last_ns)


def first_piece(
    schedule: TaskSchedule, zone: tzinfo | None, scheduled_ns: int
) -> tuple[_native.Calendar, KnownTimes]:
    """The first piece of the calendar of a schedule with an rrule, and up to when it is known."""
    from num_agents.scheduler._timing.calendars import piece_of  # noqa: PLC0415 - rarely needed

    piece = piece_of(schedule, zone, scheduled_ns, scheduled_ns - 1)
    return piece.calendar, KnownTimes(scheduled_ns, 0).until(piece.known_until_ns)


#: At least so many tasks are kept before those that have ended are dropped.
_LEAST_LIMIT = 64


class Pieces:
    """The tasks whose times are computed in pieces.

    Args:
        native: The engine.
        clock: Its clock.
        zone: The scheduler's time zone.
        announcer: Where it is announced that a task is paused, if anywhere.
    """

    def __init__(
        self,
        native: _native.Engine,
        clock: _native.Clock,
        zone: tzinfo | None,
        announcer: Announcer | None,
    ) -> None:
        self._native = native
        self._clock = clock
        self._zone = zone
        self._announcer = announcer
        #: Those that have not ended, and some that have.
        self._task_ids: set[str] = set()
        #: When there are so many, those that have ended are dropped.
        self._limit = _LEAST_LIMIT

    def add(self, task_id: str) -> None:
        """Adds a task that was just scheduled. Amortised O(1)."""
        self._task_ids.add(task_id)
        if len(self._task_ids) >= self._limit:
            # Of a copy, and in place: other threads add to it meanwhile.
            for known in list(self._task_ids):
                if self._record(known) is None:
                    self._task_ids.discard(known)
            self._limit = max(2 * len(self._task_ids), _LEAST_LIMIT)

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._task_ids

    def extend_all(self, until_ns: int) -> None:
        """Computes the times of all such tasks up to a moment of the wall clock."""
        lookahead = (min(until_ns, self._clock.now_ns()), until_ns)
        for task_id in list(self._task_ids):
            record = self._record(task_id)
            if record is None:
                self._task_ids.discard(task_id)
                continue
            known = record.options.known
            if known is not None and known.last_ns <= until_ns:
                self._extend(record, record.nominal_ns, lookahead)

    def begin_again(self, set_back_by_ns: int) -> None:
        """Computes the times of all such tasks again, from now: the wall clock was set far back.

        The engine then arms them again, as it does all tasks on a calendar.

        Args:
            set_back_by_ns: By how much it was set back.
        """
        now = self._clock.now_ns()
        for task_id in list(self._task_ids):
            record = self._record(task_id)
            known = None if record is None else record.options.known
            if record is None or known is None:
                continue
            if now < known.scheduled_ns:
                # By the wall as it is now, it was scheduled that much earlier.
                scheduled = max(known.scheduled_ns - set_back_by_ns, 0)
                record.options.known = KnownTimes(scheduled, known.last_ns)
            self._extend(record, now, (now, now), also_from_ns=record.nominal_ns)

    def extend_for_run(self, record: _native.TaskRecord) -> None:
        """Computes the next piece for a task that runs, if this is the last known time."""
        known = record.options.known
        if known is not None and record.nominal_ns >= known.last_ns:
            now = self._clock.now_ns()
            self._extend(record, record.nominal_ns, (now, now))

    def extend_after_miss(self, task_id: str) -> bool:
        """Computes the next piece for a task all of whose known times have been missed.

        Returns:
            False if there are no more times: the task is over.
        """
        record = self._record(task_id)
        known = None if record is None else record.options.known
        if record is None or known is None or record.nominal_ns < known.last_ns:
            return True
        now = self._clock.now_ns()
        try:
            calendar = self._next_piece(record, now, (now, now))
        except Exception as error:
            self._give_up(record, error)
            return True
        due = None if calendar is None else calendar.next_after(now)
        if due is None:
            return False
        self._native.reschedule(task_id, wall_ns=due)
        return True

    def _record(self, task_id: str) -> _native.TaskRecord | None:
        """Such a task, if it has not ended."""
        record = self._native.record(task_id)
        return record if record is not None and record.is_live else None

    def _extend(
        self,
        record: _native.TaskRecord,
        after_ns: int,
        lookahead: Lookahead,
        *,
        also_from_ns: int | None = None,
    ) -> None:
        try:
            self._next_piece(record, after_ns, lookahead, also_from_ns=also_from_ns)
        except Exception as error:
            self._give_up(record, error)

    def _next_piece(
        self,
        record: _native.TaskRecord,
        after_ns: int,
        lookahead: Lookahead,
        *,
        also_from_ns: int | None = None,
    ) -> _native.Calendar | None:
        """Computes the times after a moment; None if there are none."""
        from num_agents.scheduler._timing.calendars import piece_of  # noqa: PLC0415 - rarely needed

        options: TaskOptions = record.options
        known = options.known
        if known is None:
            return None
        try:
            piece = piece_of(
                options.schedule,
                self._zone,
                known.scheduled_ns,
                after_ns,
                lookahead=lookahead,
                also_from_ns=also_from_ns,
            )
        except NeverFiresError:
            options.known = known.until(None)
            return None
        recurrence = recurrence_of(options.schedule, options.policy, piece.calendar, self._zone)
        if recurrence is not None:
            self._native.extend(record.task_id, recurrence)
        options.known = known.until(piece.known_until_ns)
        return piece.calendar

    def _give_up(self, record: _native.TaskRecord, error: Exception) -> None:
        """Pauses a task whose next times could not be computed, and reports that."""
        log(
            "error",
            "Task %r (%s) is paused: its next times could not be computed: %s",
            record.name,
            record.task_id,
            describe(error),
            task_id=record.task_id,
            task_name=record.name,
            error=error,
        )
        reason = f"its next times could not be computed: {describe(error)}"
        pause(self._native, self._announcer, record.task_id, reason)

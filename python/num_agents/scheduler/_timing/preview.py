"""The times of a schedule that are to come, as datetimes."""

from __future__ import annotations

import sys
from datetime import datetime

from num_agents.scheduler._numbers import integer
from num_agents.scheduler._timing.bounds import NeverFiresError, end_ns, start_ns
from num_agents.scheduler._timing.first_due import first_of_interval
from num_agents.scheduler._timing.moments import moment_ns, runs_at, to_datetime, to_datetimes
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS, after_ns, bounded_span_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

    from num_agents.scheduler._timing.calendars import Calendar
    from num_agents.scheduler._timing.moments import Moment
    from num_agents.scheduler.schedule import TaskSchedule

#: How many times are computed at once: a longer preview can be interrupted.
_PIECE = 4096
#: How many pieces in a row of which everything is excluded are looked at.
_EMPTY_PIECES = 5
#: A datetime has no nanoseconds: one that was rounded down to a moment is not after that.
_REST_NS = 999


def next_after(schedule: TaskSchedule, moment: Moment) -> datetime | None:
    """See `TaskSchedule.next_after`."""
    zone = schedule.zone_or(None)
    is_plain = schedule.start_after is None and schedule.end_after is None
    if zone is not None and is_plain and type(moment) is datetime:
        known = schedule.calendar_cache.get(id(zone))
        if known is not None:
            try:
                return known[1].datetime_after(moment, zone)
            except (AttributeError, TypeError):
                # A string, a naive datetime, or nothing of the kind.
                pass
    after = moment_ns(moment, "moment", zone)
    later = min(after + _rest_ns(schedule), FAR_FUTURE_NS)
    if schedule.has_rrule:
        some = _by_pieces_ns(schedule, after, later, 1)
        return to_datetime(some[0], zone) if some else None
    found = _next_after_ns(schedule, later, _calendar_or_none(schedule, after))
    return None if found is None else to_datetime(found, zone)


def preview(schedule: TaskSchedule, count: int, start: Moment | None) -> list[datetime]:
    """See `TaskSchedule.preview`."""
    count = integer(count, "count", 0, sys.maxsize)
    from time import time_ns  # noqa: PLC0415 - only here

    zone = schedule.zone_or(None)
    after = time_ns() if start is None else moment_ns(start, "start", zone)
    if schedule.max_runs is not None:
        count = min(count, schedule.max_runs)
    if schedule.interval is None and not schedule.by_calendar:
        count = min(count, 1)
    later = min(after + _rest_ns(schedule), FAR_FUTURE_NS)
    if schedule.has_rrule:
        return to_datetimes(_by_pieces_ns(schedule, after, later, count), zone)
    calendar = _calendar_or_none(schedule, after)
    if calendar is not None and zone is not None:
        return _datetimes(schedule, calendar, later, count, zone)
    found: list[int] = []
    while len(found) < count:
        more = _some_after_ns(schedule, later, calendar, min(count - len(found), _PIECE))
        if not more:
            break
        found += more
        later = more[-1]
    return to_datetimes(found, zone)


def _by_pieces_ns(schedule: TaskSchedule, scheduled: int, after: int, count: int) -> list[int]:
    """The next nominal times of a schedule with rrules, which is computed piece by piece."""
    from num_agents.scheduler._timing.calendars import piece_of  # noqa: PLC0415 - see `schedule`

    found: list[int] = []
    empty = 0
    while len(found) < count and empty < _EMPTY_PIECES:
        missing = min(count - len(found), _PIECE)
        ahead = _PIECE if empty else missing + 1
        try:
            piece = piece_of(schedule, None, scheduled, after, ahead=ahead)
        except NeverFiresError:
            break
        known_until = FAR_FUTURE_NS if piece.known_until_ns is None else piece.known_until_ns
        some = _some_after_ns(schedule, after, piece.calendar, missing)
        some = [moment for moment in some if moment <= known_until]
        found += some
        empty = 0 if some else empty + 1
        if piece.known_until_ns is None or _is_over(schedule, known_until):
            break
        # With exclusions there may be none in a piece.
        after = known_until if len(some) < missing else some[-1]
    return found


def _is_over(schedule: TaskSchedule, moment: int) -> bool:
    end = end_ns(schedule, schedule.zone_or(None))
    return end is not None and moment > end


def _calendar_or_none(schedule: TaskSchedule, scheduled: int) -> Calendar | None:
    """The calendar of a schedule; None if it goes by none, or has no time to come."""
    try:
        return schedule.calendar(None, scheduled)
    except NeverFiresError:
        return None


def _some_after_ns(
    schedule: TaskSchedule, after: int, calendar: Calendar | None, count: int
) -> list[int]:
    """The next nominal times after a moment, at most `count`, at least one if there is any."""
    if calendar is None:
        found = _next_after_ns(schedule, after, None)
        return [] if found is None else [found]
    zone = schedule.zone_or(None)
    start = 0 if schedule.start_after is None else start_ns(schedule, zone, 0) - 1
    end = end_ns(schedule, zone)
    some = calendar.preview(max(after, start), count)
    return some if end is None else [moment for moment in some if moment <= end]


def _datetimes(
    schedule: TaskSchedule, calendar: Calendar, after: int, count: int, zone: tzinfo
) -> list[datetime]:
    """The next nominal times of a calendar that knows them all."""
    end = end_ns(schedule, zone)
    until = FAR_FUTURE_NS - 1 if end is None else end
    if schedule.start_after is not None:
        after = max(after, start_ns(schedule, zone, 0) - 1)
    found: list[datetime] = []
    while len(found) < count:
        piece = min(count - len(found), _PIECE)
        more = calendar.datetimes(after, until, piece, zone)
        found += more
        if len(more) < piece:
            break
        after = moment_ns(more[-1], "", zone) + _REST_NS
    return found


def _next_after_ns(schedule: TaskSchedule, after: int, calendar: Calendar | None) -> int | None:
    zone = schedule.zone_or(None)
    start = None if schedule.start_after is None else moment_ns(schedule.start_after, "", zone)
    due = None if schedule.by_calendar else schedule.due_ns
    if due is not None and schedule.interval is None:
        found = due if due > after else None
    elif calendar is not None:
        found = calendar.next_after(after if start is None else max(after, start - 1))
    elif schedule.by_calendar:
        found = None
    elif schedule.run_at is not None:
        if not runs_at(schedule.run_at, "run_at", zone, schedule.dst):
            return None
        run_at = max(moment_ns(schedule.run_at, "run_at", zone), start or 0)
        found = run_at if run_at > after else None
    elif schedule.delay is not None:
        found = max(after_ns(after, schedule.delay, "delay"), start or 0)
        found = found if found > after else None
    elif schedule.interval is None:
        found = start if start is not None and start > after else None
    else:
        interval = bounded_span_ns(schedule.interval, "interval", positive=True)
        if due is not None and (due > after or not schedule.fixed_delay):
            # It goes on from the run that it is due for, whatever began it.
            return _within_end(schedule, due + max((after - due) // interval + 1, 0) * interval)
        # As if the task were scheduled at the moment; what is due then is not after it.
        found = first_of_interval(schedule, after, start).nominal_ns(after)
        found += 0 if found > after else interval
    return _within_end(schedule, found)


def _within_end(schedule: TaskSchedule, found: int | None) -> int | None:
    """A nominal time, unless it comes after the end or lies beyond the axis."""
    end = end_ns(schedule, schedule.zone_or(None))
    if found is None or found >= FAR_FUTURE_NS or (end is not None and found > end):
        return None
    return found


def _rest_ns(schedule: TaskSchedule) -> int:
    """What belongs to the moment that a datetime says, unless times are counted from that."""
    counts = (
        schedule.interval is not None
        and not schedule.by_calendar
        and (schedule.start_after is None or schedule.fixed_delay)
        and schedule.first_run != "aligned"
    )
    return 0 if counts or schedule.delay is not None else _REST_NS

"""Calendars: of the extension module, shared between tasks, and made from schedules.

One of the three modules that import the extension module. Tasks of the same expressions, zones and
rules get the same calendar, and so share what it has computed last: parts are cached by their
arguments, and calendars by their parts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from num_agents.scheduler import _native
from num_agents.scheduler._timing.bounds import NeverFiresError, anchor_ns, start_ns
from num_agents.scheduler._timing.moments import check_exists, moment_ns, to_datetime
from num_agents.scheduler._timing.native_zones import native_zone
from num_agents.scheduler._timing.rrule import (
    NO_LOOKAHEAD,
    RRULE_AHEAD,
    Recurrence,
    next_moments,
)
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS, bounded_span_ns
from num_agents.scheduler._timing.zones import zone_hint
from num_agents.scheduler.errors import InvalidCronError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import date, tzinfo
    from typing import Any

    from num_agents.scheduler._timing.rrule import Lookahead
    from num_agents.scheduler.calendar import CalendarInterval, Exclusions
    from num_agents.scheduler.schedule import TaskSchedule

Calendar = _native.Calendar
Part = _native.Part

#: How many different expressions, parts and calendars are kept.
_CACHE_SIZE = 4096


@lru_cache(maxsize=_CACHE_SIZE)
def every_ns(expression: str, dialect: str) -> int | None:
    """The span of an `@every` expression; None for any other.

    Raises:
        InvalidCronError: It is not a cron expression.
    """
    try:
        return Part.every_ns(expression, dialect)
    except ValueError as error:
        raise _cron_error(expression, error) from None


@lru_cache(maxsize=_CACHE_SIZE)
def cron_warnings(expression: str, dialect: str) -> tuple[str, ...]:
    """Warnings about a cron expression that is valid but probably not meant, as messages.

    Raises:
        InvalidCronError: It is not a cron expression.
    """
    try:
        found = Part.cron_warnings(expression, dialect)
    except ValueError as error:
        raise _cron_error(expression, error) from None
    return tuple(str(InvalidCronError(expression, *one)) for one in found)


@lru_cache(maxsize=_CACHE_SIZE)
def cron_part(expression: str, dialect: str, zone: _native.Zone, dst: str) -> Part:
    """A cron expression as a part of a calendar.

    Raises:
        InvalidCronError: It is not a cron expression, or its zone is unknown.
    """
    try:
        return Part.cron(expression, dialect, zone, dst, 0)
    except ValueError as error:
        raise _cron_error(expression, error) from None


@lru_cache(maxsize=_CACHE_SIZE)
def interval_part(
    interval: CalendarInterval, day: date, zone: _native.Zone, dst: str, *, has_start: bool
) -> Part:
    """A calendar interval as a part of a calendar: from a day on, or before it as well."""
    return Part.interval(
        interval.every,
        interval.unit,
        (day.year, day.month, day.day),
        interval.second_of_day,
        zone,
        dst,
        has_start=has_start,
    )


@lru_cache(maxsize=_CACHE_SIZE)
def grid_part(anchor_ns: int, interval_ns: int) -> Part:
    """A moment, and every so many nanoseconds after it; 0 for none."""
    return Part.grid(anchor_ns, interval_ns)


@lru_cache(maxsize=_CACHE_SIZE)
def cron_calendar(expression: str, dialect: str, zone: _native.Zone, dst: str) -> Calendar:
    """The calendar of a cron expression; the same one for the same arguments.

    Raises:
        InvalidCronError: It is not a cron expression, or never fires.
    """
    part = cron_part(expression, dialect, zone, dst)
    try:
        return Calendar([part])
    except ValueError as error:
        raise InvalidCronError(expression, None, 0, str(error)) from None


def combined(parts: tuple[Part, ...], exclude: Exclusions | None, zone: _native.Zone) -> Calendar:
    """The union of parts minus exclusions.

    Raises:
        NeverFiresError: It never fires.
    """
    words: dict[str, Any] = {}
    if exclude is not None:
        words = {
            "zone": zone,
            "weekdays": sum(1 << day for day in exclude.weekdays),
            "dates": [(day.year, day.month, day.day) for day in sorted(exclude.dates)],
            "hours": sum(1 << hour for hour in exclude.hours),
        }
    try:
        return Calendar(parts, **words)
    except ValueError as error:
        raise NeverFiresError(str(error)) from None


#: The same, and the same one for the same parts; not for those of an rrule, which are no others'.
shared = lru_cache(maxsize=_CACHE_SIZE)(combined)


def _cron_error(expression: str, error: ValueError) -> ValueError:
    """What the core says of an expression, as the exception that users see."""
    if isinstance(error, UnicodeEncodeError):
        return InvalidCronError(expression, None, error.start, "this is no character")
    if len(error.args) == 4:  # noqa: PLR2004 - message, field, position, reason
        _, field, position, reason = error.args
        # The core counts bytes.
        before = expression.encode(errors="surrogatepass")[:position].decode(errors="ignore")
        if reason.startswith("unknown time zone"):
            reason += zone_hint(expression[len(before) :].split(maxsplit=1)[0])
        return InvalidCronError(expression, field, len(before), reason)
    return error


# ---- of a schedule -------------------------------------------------------------------------------


class Piece(NamedTuple):
    """A calendar of a schedule with rrules, which knows its times up to a moment only."""

    calendar: Calendar
    #: The last time that it knows; None if it knows all.
    known_until_ns: int | None


def calendar_of(schedule: TaskSchedule, zone: tzinfo | None, scheduled_ns: int) -> Calendar | None:
    """What computes a schedule's times, if it goes by a calendar; the same one for equal schedules.

    Of a schedule with rrules, the first piece: see `piece_of`.

    Args:
        schedule: Which.
        zone: The scheduler's time zone, for a schedule without one.
        scheduled_ns: The moment of scheduling.

    Raises:
        NeverFiresError: The schedule never fires, or not any more.
    """
    if not schedule.by_calendar:
        return None
    if schedule.has_rrule:
        return piece_of(schedule, zone, scheduled_ns, scheduled_ns - 1).calendar
    zone = schedule.zone_or(zone)
    native = native_zone(zone)
    # The system's zone may be another one the next time.
    key = native if zone is None else zone
    known = schedule.calendar_cache.get(id(key))
    if known is not None:
        return known[1]
    if _is_plain_cron(schedule):
        assert schedule.cron_expression is not None  # it is one
        found = cron_calendar(schedule.cron_expression, schedule.dialect, native, schedule.dst)
    else:
        parts = tuple(
            part_of(one, one.zone_or(zone), scheduled_ns) for one in schedule.any_of or (schedule,)
        )
        found = shared(parts, schedule.exclude, native)
    if schedule.is_fixed:
        schedule.calendar_cache[id(key)] = key, found
    return found


def piece_of(
    schedule: TaskSchedule,
    zone: tzinfo | None,
    scheduled_ns: int,
    after_ns: int,
    *,
    lookahead: Lookahead = NO_LOOKAHEAD,
    ahead: int = RRULE_AHEAD,
    also_from_ns: int | None = None,
) -> Piece:
    """The next piece of the calendar of a schedule that has rrules.

    Args:
        schedule: Which.
        zone: The scheduler's time zone, for a schedule without one.
        scheduled_ns: The moment of scheduling.
        after_ns: After which moment times are to be known.
        lookahead: Up to when they are to be known at least.
        ahead: How many times of an rrule are to be known beyond that.
        also_from_ns: A later moment: the first time from there on and the one after it are in the
            piece as well, though not all times in between are.

    Raises:
        NeverFiresError: There is no time after that moment.
    """
    zone = schedule.zone_or(zone)
    known_until = FAR_FUTURE_NS
    parts = []
    for one in schedule.any_of or (schedule,):
        inner = one.zone_or(zone)
        if one.rrule is None:
            parts.append(part_of(one, inner, scheduled_ns))
            continue
        start = start_ns(one, inner, scheduled_ns)
        # What comes before a start may be many, and does not count.
        after = after_ns if one.start_after is None else max(after_ns, start - 1)
        recurrence = Recurrence(one.rrule, start, inner, one.dst)
        moments, last = next_moments(recurrence, after, lookahead, ahead)
        if also_from_ns is not None:
            later, _ = next_moments(recurrence, max(after, also_from_ns - 1), NO_LOOKAHEAD, 2)
            moments = sorted({*moments, *later})
        parts.append(Part.moments(moments))
        known_until = min(known_until, last)
    calendar = combined(tuple(parts), schedule.exclude, native_zone(zone))
    return Piece(calendar, None if known_until == FAR_FUTURE_NS else known_until)


def part_of(schedule: TaskSchedule, zone: tzinfo | None, scheduled_ns: int) -> Part:
    """A schedule as a part of a calendar, in a zone that is known; not of an rrule or `any_of`."""
    start = start_ns(schedule, zone, scheduled_ns)
    # Without a start of its own it also fires before it was scheduled. That only matters if the
    # wall clock was ahead at that time and is set back later.
    has_start = schedule.start_after is not None
    interval = schedule.calendar_interval
    if interval is not None:
        day = interval.anchor or to_datetime(start, zone).date()
        has_start = has_start or interval.anchor is not None
        return interval_part(interval, day, native_zone(zone), schedule.dst, has_start=has_start)
    if schedule.cron_expression is not None:
        every = every_ns(schedule.cron_expression, schedule.dialect)
        if every is None:
            return cron_part(
                schedule.cron_expression, schedule.dialect, native_zone(zone), schedule.dst
            )
        return grid_part(start + every if has_start else start % every, every)
    if schedule.run_at is not None:
        check_exists(schedule.run_at, "run_at", zone, schedule.dst)
        return grid_part(moment_ns(schedule.run_at, "run_at", zone), 0)
    span = bounded_span_ns(schedule.interval, "interval", positive=True)
    return grid_part(anchor_ns(schedule, start, span), span)


def _is_plain_cron(schedule: TaskSchedule) -> bool:
    """Whether a cron expression says it all, and names times of the wall clock."""
    return (
        schedule.cron_expression is not None
        and schedule.exclude is None
        and every_ns(schedule.cron_expression, schedule.dialect) is None
    )

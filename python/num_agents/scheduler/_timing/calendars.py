"""Calendars: of the extension module, shared between tasks, and made from schedules.

Beside `_engine` the only module that imports the extension module. Tasks of the same expressions,
zones and rules get the same calendar, and so share what it has computed last: parts are cached by
their arguments, and calendars by their parts.
"""

from __future__ import annotations

from functools import lru_cache

from num_agents.scheduler import _native
from num_agents.scheduler._timing.bounds import anchor_ns, start_ns
from num_agents.scheduler._timing.moments import moment_ns, to_datetime
from num_agents.scheduler._timing.rrule import NO_REACH, next_moments
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS, bounded_span_ns
from num_agents.scheduler._timing.zones import fixed_offset_s, zone_changes
from num_agents.scheduler.errors import InvalidCronError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import date, tzinfo

    from num_agents.scheduler._timing.rrule import Reach
    from num_agents.scheduler.calendar import CalendarInterval, Exclusions
    from num_agents.scheduler.schedule import TaskSchedule

Calendar = _native.Calendar
Part = _native.Part

#: How many different expressions, parts and calendars are kept.
_CACHE_SIZE = 4096

#: Zones that cannot be looked up by value, as those of dateutil; by identity, and kept alive.
_unhashable: dict[int, tuple[tzinfo, _native.Zone]] = {}
_UNHASHABLE_LIMIT = 256


def native_zone(zone: tzinfo | None) -> _native.Zone:
    """A zone as the core knows it; None is the system's. The same object for the same zone.

    A zone with an IANA name is looked up by it, a fixed offset is one. Of any other tzinfo the
    changes are found by asking: see `zone_changes`.
    """
    if type(zone).__hash__ is not None:
        return _hashable_zone(zone)
    assert zone is not None  # which has a hash
    known = _unhashable.get(id(zone))
    if known is None:
        if len(_unhashable) >= _UNHASHABLE_LIMIT:
            _unhashable.clear()
        known = _unhashable[id(zone)] = zone, _new_native_zone(zone)
    return known[1]


@lru_cache(maxsize=256)
def _hashable_zone(zone: tzinfo | None) -> _native.Zone:
    return _native.Zone.system() if zone is None else _new_native_zone(zone)


def _new_native_zone(zone: tzinfo) -> _native.Zone:
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if isinstance(name, str):
        try:
            return _native.Zone.named(name)
        except ValueError:
            pass
    offset = fixed_offset_s(zone)
    if offset is not None:
        return _native.Zone.fixed(offset)
    return _native.Zone.from_transitions(str(zone), *zone_changes(zone))


@lru_cache(maxsize=_CACHE_SIZE)
def every_ns(expression: str, dialect: str) -> int | None:
    """The span of an `@every` expression; None of any other.

    Raises:
        InvalidCronError: It is no expression.
    """
    try:
        return Part.every_ns(expression, dialect)
    except ValueError as error:
        raise _cron_error(expression, error) from None


@lru_cache(maxsize=_CACHE_SIZE)
def cron_part(expression: str, dialect: str, zone: _native.Zone, dst: str) -> Part:
    """A cron expression as a part of a calendar.

    Raises:
        InvalidCronError: It is no expression, or names no zone.
    """
    try:
        return Part.cron(expression, dialect, zone, dst, 0)
    except ValueError as error:
        raise _cron_error(expression, error) from None


@lru_cache(maxsize=_CACHE_SIZE)
def interval_part(
    interval: CalendarInterval, first_day: date, zone: _native.Zone, dst: str
) -> Part:
    """A calendar interval as a part of a calendar, from its anchor on or from a day."""
    day = interval.anchor or first_day
    anchor = (day.year, day.month, day.day)
    return Part.interval(interval.every, interval.unit, anchor, interval.second_of_day, zone, dst)


@lru_cache(maxsize=_CACHE_SIZE)
def grid_part(anchor_ns: int, interval_ns: int) -> Part:
    """A moment, and every so many nanoseconds after it; 0 for none."""
    return Part.grid(anchor_ns, interval_ns)


@lru_cache(maxsize=_CACHE_SIZE)
def cron_calendar(expression: str, dialect: str, zone: _native.Zone, dst: str) -> Calendar:
    """The calendar of a cron expression; the same one for the same arguments.

    Raises:
        InvalidCronError: It is no expression, or never fires.
    """
    part = cron_part(expression, dialect, zone, dst)
    try:
        return Calendar([part])
    except ValueError as error:
        raise InvalidCronError(expression, None, 0, str(error)) from None


class NeverFiresError(ValueError):
    """A calendar has no time to come."""


def combined(parts: tuple[Part, ...], exclude: Exclusions | None, zone: _native.Zone) -> Calendar:
    """The union of parts minus exclusions.

    Raises:
        NeverFiresError: It has no times.
    """
    try:
        if exclude is None:
            return Calendar(parts)
        return Calendar(
            parts,
            zone=zone,
            weekdays=sum(1 << day for day in exclude.weekdays),
            dates=[(day.year, day.month, day.day) for day in sorted(exclude.dates)],
            hours=sum(1 << hour for hour in exclude.hours),
        )
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
        before = expression.encode(errors="surrogatepass")[:position]
        return InvalidCronError(expression, field, len(before.decode(errors="ignore")), reason)
    return error


# ---- of a schedule -------------------------------------------------------------------------------


def calendar_of(
    schedule: TaskSchedule,
    zone: tzinfo | None,
    scheduled_ns: int,
    after_ns: int | None = None,
    reach: Reach = NO_REACH,
) -> Calendar | None:
    """What computes a schedule's times, if it goes by a calendar; the same one for equal schedules.

    Args:
        schedule: Which.
        zone: The scheduler's time zone, for a schedule without one.
        scheduled_ns: The moment of scheduling.
        after_ns: After which moment times are to be known of an rrule, which is computed piece by
            piece; by default that of scheduling.
        reach: Up to when they are to be known at least.

    Raises:
        ValueError: The schedule never fires.
    """
    if not schedule.by_calendar:
        return None
    zone = schedule.zone_or(zone)
    known = schedule.calendar_cache.get(id(zone))
    if known is not None:
        return known[1]
    if schedule.cron_expression is not None and schedule.exclude is None:
        every = every_ns(schedule.cron_expression, schedule.dialect)
        if every is None:
            found = cron_calendar(
                schedule.cron_expression, schedule.dialect, native_zone(zone), schedule.dst
            )
            schedule.calendar_cache[id(zone)] = zone, found
            return found
    after_ns = scheduled_ns - 1 if after_ns is None else after_ns
    parts = tuple(parts_of(schedule, zone, scheduled_ns, after_ns, reach))
    native = native_zone(zone)
    if schedule.has_rrule:
        return combined(parts, schedule.exclude, native)
    found = shared(parts, schedule.exclude, native)
    if schedule.is_fixed:
        schedule.calendar_cache[id(zone)] = zone, found
    return found


def known_until_ns(
    schedule: TaskSchedule,
    zone: tzinfo | None,
    scheduled_ns: int,
    after_ns: int,
    reach: Reach = NO_REACH,
) -> int | None:
    """The last time that `calendar_of` knows for these arguments; None if it knows all."""
    rules = [one for one in (schedule, *schedule.any_of) if one.rrule is not None]
    if not rules:
        return None
    zone = schedule.zone_or(zone)
    known = (
        _rrule_piece(one, one.zone_or(zone), scheduled_ns, after_ns, reach)[1] for one in rules
    )
    last = min(known)
    return None if last == FAR_FUTURE_NS else last


def parts_of(
    schedule: TaskSchedule,
    zone: tzinfo | None,
    scheduled_ns: int,
    after_ns: int,
    reach: Reach = NO_REACH,
) -> list[Part]:
    """The parts of a schedule's calendar, in a zone that is known: one, or those of `any_of`."""
    if not schedule.any_of:
        return [_part_of(schedule, zone, scheduled_ns, after_ns, reach)]
    return [
        part
        for one in schedule.any_of
        for part in parts_of(one, one.zone_or(zone), scheduled_ns, after_ns, reach)
    ]


def _part_of(
    schedule: TaskSchedule, zone: tzinfo | None, scheduled_ns: int, after_ns: int, reach: Reach
) -> Part:
    if schedule.rrule is not None:
        moments, _ = _rrule_piece(schedule, zone, scheduled_ns, after_ns, reach)
        return Part.moments(moments)
    start = start_ns(schedule, zone, scheduled_ns)
    if schedule.calendar_interval is not None:
        first = to_datetime(start, zone).date()
        return interval_part(schedule.calendar_interval, first, native_zone(zone), schedule.dst)
    if schedule.cron_expression is not None:
        every = every_ns(schedule.cron_expression, schedule.dialect)
        if every is None:
            return cron_part(
                schedule.cron_expression, schedule.dialect, native_zone(zone), schedule.dst
            )
        return grid_part(start + every, every)
    if schedule.run_at is not None:
        return grid_part(moment_ns(schedule.run_at, "run_at", zone), 0)
    interval = bounded_span_ns(schedule.interval, "interval", positive=True)
    return grid_part(anchor_ns(schedule, start, interval), interval)


def _rrule_piece(
    schedule: TaskSchedule, zone: tzinfo | None, scheduled_ns: int, after_ns: int, reach: Reach
) -> tuple[list[int], int]:
    """The next times of an rrule, and the last of them if there are more."""
    start = start_ns(schedule, zone, scheduled_ns)
    if schedule.start_after is not None:
        # What comes before it may be many, and does not count.
        after_ns = max(after_ns, start - 1)
    return next_moments(schedule.rrule, start, after_ns, reach, zone)

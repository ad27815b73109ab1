"""Calendars on the Rust side of the boundary: zones, parts, and what is shared between tasks.

Beside `_engine` the only module that imports the native one. Tasks of the same expressions, zones
and rules get the same calendar, so that they also share what it has computed last: parts are found
again by their arguments, and calendars by their parts.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache

from num_agents.scheduler import _native
from num_agents.scheduler._time import (
    FAR_FUTURE_NS,
    fixed_offset_s,
    moment_ns,
    show,
    to_datetime,
    zone_changes,
)
from num_agents.scheduler.errors import InvalidCronError, UnsupportedScheduleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime, tzinfo
    from typing import Any

    from num_agents.scheduler.calendar import CalendarInterval, Exclusions, Reach

Calendar = _native.Calendar
Part = _native.Part

#: Occurrences of an RRULE that are computed ahead.
RRULE_AHEAD = 512
#: As many are kept of those that have passed: more are not counted; nor are more foretold.
RRULE_BEHIND = 10_000
#: Stands for the times of an RRULE that are not computed yet.
MORE_TO_COME_NS = FAR_FUTURE_NS - 2

#: How many different expressions, parts and calendars are kept.
_KEPT = 4096

#: Zones that cannot be looked up by value, as those of dateutil; by identity, and kept alive.
_unhashable: dict[int, tuple[tzinfo, _native.Zone]] = {}
_MOST_UNHASHABLE = 256


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
        if len(_unhashable) >= _MOST_UNHASHABLE:
            _unhashable.clear()
        known = _unhashable[id(zone)] = zone, _made_zone(zone)
    return known[1]


@lru_cache(maxsize=256)
def _hashable_zone(zone: tzinfo | None) -> _native.Zone:
    return _native.Zone.system() if zone is None else _made_zone(zone)


def _made_zone(zone: tzinfo) -> _native.Zone:
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


@lru_cache(maxsize=_KEPT)
def every_ns(expression: str, dialect: str) -> int | None:
    """The span of an `@every` expression; None of any other.

    Raises:
        InvalidCronError: It is no expression.
    """
    try:
        return Part.every_ns(expression, dialect)
    except ValueError as error:
        raise _cron_error(expression, error) from None


@lru_cache(maxsize=_KEPT)
def cron_part(expression: str, dialect: str, zone: _native.Zone, dst: str) -> Part:
    """A cron expression as a part of a calendar.

    Raises:
        InvalidCronError: It is no expression, or names no zone.
    """
    try:
        return Part.cron(expression, dialect, zone, dst, 0)
    except ValueError as error:
        raise _cron_error(expression, error) from None


@lru_cache(maxsize=_KEPT)
def interval_part(
    interval: CalendarInterval, first_day: date, zone: _native.Zone, dst: str
) -> Part:
    """A calendar interval as a part of a calendar, from its anchor on or from a day."""
    day = interval.anchor or first_day
    anchor = (day.year, day.month, day.day)
    return Part.interval(interval.every, interval.unit, anchor, interval.second_of_day, zone, dst)


@lru_cache(maxsize=_KEPT)
def grid_part(anchor_ns: int, interval_ns: int) -> Part:
    """A moment, and every so many nanoseconds after it; 0 for none."""
    return Part.grid(anchor_ns, interval_ns)


@lru_cache(maxsize=_KEPT)
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


def combined(parts: tuple[Part, ...], exclude: Exclusions | None, zone: _native.Zone) -> Calendar:
    """The union of parts minus exclusions.

    Raises:
        ValueError: It never fires.
    """
    if exclude is None:
        return Calendar(parts)
    return Calendar(
        parts,
        zone=zone,
        weekdays=sum(1 << day for day in exclude.weekdays),
        dates=[(day.year, day.month, day.day) for day in sorted(exclude.dates)],
        hours=sum(1 << hour for hour in exclude.hours),
    )


#: The same, and the same one for the same parts; not for those of an rrule, which are no others'.
shared = lru_cache(maxsize=_KEPT)(combined)


def rrule_of(value: Any, start: datetime) -> Any:
    """An RFC 5545 recurrence: an object of python-dateutil, or made by it from a string.

    Raises:
        UnsupportedScheduleError: python-dateutil is not installed.
        ValueError: The string is no recurrence.
        TypeError: It is neither.
    """
    try:
        from dateutil import rrule  # noqa: PLC0415 - an extra
    except ImportError:
        raise UnsupportedScheduleError(
            "rrule needs python-dateutil: pip install 'num-agents-scheduler[rrule]'"
        ) from None
    if isinstance(value, rrule.rrulebase):
        return value
    if not isinstance(value, str):
        raise TypeError(f"rrule must be a string or an rrule of dateutil, got {show(value)}")
    try:
        return rrule.rrulestr(value, dtstart=start.replace(microsecond=0))
    except Exception as error:
        # dateutil raises whatever it stumbles over.
        raise ValueError(
            f"rrule must be an RFC 5545 recurrence, got {show(value)}: {show(error)}"
        ) from None


def rrule_moments(rule: Any, after_ns: int, zone: tzinfo | None) -> Iterator[int]:
    """The occurrences of a recurrence after a moment.

    As RFC 5545 says, a wall time that does not exist is read with the offset before the gap.
    """
    after = to_datetime(after_ns, zone)
    # A rule without a zone lives on the wall of the schedule's.
    first = next(iter(rule), None)
    if first is None:
        return
    if first.tzinfo is None:
        after = after.replace(tzinfo=None)
    for moment in rule.xafter(after, inc=False):
        found = moment_ns(moment, "rrule", zone)
        if found >= FAR_FUTURE_NS:
            return
        if found > after_ns:
            yield found


def rrule_part(
    value: Any, start_ns: int, after_ns: int, reach: Reach, zone: tzinfo | None
) -> tuple[Part, int]:
    """The next occurrences of a recurrence as a part, and the last known of them if there are more.

    Args:
        value: What `rrule_of` takes.
        start_ns: The moment that a recurrence without a start of its own counts from.
        after_ns: After which moment.
        reach: How far at the least, if that is not more than `RRULE_BEHIND` times ahead.
        zone: Of moments without one.
    """
    rule = rrule_of(value, to_datetime(start_ns, zone))
    passed_ns, until_ns = reach
    moments: deque[int] = deque()
    for moment in rrule_moments(rule, after_ns, zone):
        moments.append(moment)
        if len(moments) > RRULE_BEHIND and moments[0] <= passed_ns:
            moments.popleft()
        if len(moments) > RRULE_AHEAD and (moment > until_ns or len(moments) > RRULE_BEHIND):
            # Not the last of them: when it has passed, the next must be known.
            return Part.moments([*moments, MORE_TO_COME_NS]), moments[-2]
    return Part.moments(list(moments)), FAR_FUTURE_NS


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

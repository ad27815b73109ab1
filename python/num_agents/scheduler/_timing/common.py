"""Spans and moments as nearly all users give them, to nanoseconds in a fraction of a microsecond.

Each function answers None for what is not of the exact types that it knows, and for what would be
refused: then `spans` and `moments` have the answer, or the error.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from num_agents.scheduler._timing.moments import (
    after_gap,
    in_zone_or_local,
    posix_ns,
    to_datetime,
)
from num_agents.scheduler._timing.spans import SECOND_NS, bounded_span_ns

#: Types whose instances cannot change, and of which equal ones are the same for all purposes.
SAME_IF_EQUAL = frozenset((str, int, float, bool, type(None), timedelta))
#: Types whose instances cannot change, but of which equal ones may differ: in zone, fold or name.
SAME_IF_IDENTICAL = frozenset((datetime, timezone))

#: A century. No moment of the engine's axis plus this much lies beyond the year 9999.
_LONGEST_NS = 100 * 366 * 86_400 * SECOND_NS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_YEAR, _LAST_YEAR = 1971, 2500
_LONGEST_S = 3e9

#: By the identity of a zone, 0 for the system's, and the hour on its clocks since the year 1: the
#: zone, and when that hour begins, in nanoseconds since 1970. Only hours in which no clock is set.
_hours: dict[tuple[int, int], tuple[object, int]] = {}
_HOURS_KEPT = 4096


def is_zone_info(kind: type) -> bool:
    """Whether a type is `zoneinfo.ZoneInfo` itself, which is not imported for that."""
    zoneinfo = sys.modules.get("zoneinfo")
    return zoneinfo is not None and kind is zoneinfo.ZoneInfo


def common_span_ns(value: object) -> int | None:
    """A span from zero to a century, as an int, a float, a timedelta or text; otherwise None."""
    kind = type(value)
    if kind is float:
        # Not the negative zero, which equals the other one and is shown differently.
        if not 0.0 < value < _LONGEST_S:  # type: ignore[operator]  # it is a float
            return None
        nanoseconds = round(value * SECOND_NS)  # type: ignore[operator]  # as above
    elif kind is int:
        nanoseconds = value * SECOND_NS  # type: ignore[operator]  # it is an int
    elif kind is timedelta or kind is str:
        try:
            nanoseconds = bounded_span_ns(value, "")
        except (TypeError, ValueError):
            return None
    else:
        return None
    return nanoseconds if 0 <= nanoseconds <= _LONGEST_NS else None


def common_moment_ns(value: object, zone: tzinfo | None) -> int | None:
    """A datetime or an ISO-8601 string of the years 1971 to 2500; otherwise None.

    Also None if its zone is of an unusual kind, or sets its clocks within that hour.

    Args:
        value: The moment.
        zone: The zone of a naive one; None for the system's.
    """
    if type(value) is not datetime:
        if type(value) is not str:
            return None
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    own = value.tzinfo
    if own is not None:
        zone = own
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        return None
    if zone is UTC:
        if own is None:
            value = value.replace(tzinfo=UTC)
        return (value - _EPOCH) // _MICROSECOND * 1000
    # `time.tzset` makes another tuple, so that what was known of local time is known no more.
    witness = time.tzname if zone is None else zone
    hour = value.toordinal() * 24 + value.hour
    known = _hours.get((0 if zone is None else id(zone), hour))
    if known is None or known[0] is not witness:
        begin = _begin_of_hour_ns(value, zone)
        if begin is None:
            return None
        if len(_hours) >= _HOURS_KEPT:
            _hours.clear()
        _hours[0 if zone is None else id(zone), hour] = witness, begin
    else:
        begin = known[1]
    return begin + (value.minute * 60 + value.second) * SECOND_NS + value.microsecond * 1000


def is_wall_time(value: object) -> bool:
    """Whether a value is a datetime without a zone."""
    return type(value) is datetime and value.tzinfo is None


def wall_time(moment_ns: int, zone: tzinfo | None) -> datetime:
    """A moment as a datetime without a zone: what clocks show in a zone, or on the system."""
    found = to_datetime(moment_ns, zone)
    first = found.replace(tzinfo=None)
    # Of the system's zone, `to_datetime` gives an offset only, and no fold.
    is_second = zone is None and first.astimezone().utcoffset() != found.utcoffset()
    return first.replace(fold=1) if is_second else first


def _begin_of_hour_ns(moment: datetime, zone: tzinfo | None) -> int | None:
    """When an hour on a zone's clocks begins; None if they are set in it, or it comes twice."""
    if zone is not None and type(zone) is not timezone and not is_zone_info(type(zone)):
        return None
    begin = moment.replace(minute=0, second=0, microsecond=0, tzinfo=None, fold=0)
    end = begin.replace(minute=59, second=59)
    found = []
    for one in (begin, begin.replace(fold=1), end, end.replace(fold=1)):
        in_zone = in_zone_or_local(one, zone)
        if after_gap(in_zone) is not None:
            return None
        found.append(posix_ns(in_zone))
    first, again, last, last_again = found
    is_plain = first == again and last == last_again and last - first == 3599 * SECOND_NS
    return first if is_plain else None

"""Time zones of the extension module: what the core goes by, and zones without zone files.

One of the three modules that import the extension module.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from os import environ

from num_agents.scheduler import _native
from num_agents.scheduler._messages import show, warn
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS, SECOND_NS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

Zone = _native.Zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_SECOND = timedelta(seconds=1)
_DAY_S = 86_400
_WEEK_S = 7 * _DAY_S

#: A rule in the environment variable TZ, such as `EST5EDT,M3.2.0,M11.1.0`, instead of a name.
_POSIX_RULE = re.compile(r"(<[^>]+>|[A-Za-z]{3,})[+-]?\d")
#: When the system's local time is compared with a zone: every 50 days until 2037.
_SAMPLES_S = range(0, 2_114_380_800, 50 * _DAY_S)

#: Zones that cannot be looked up by value, as those of dateutil; by identity, and kept alive.
_unhashable: dict[int, tuple[tzinfo, Zone]] = {}
_UNHASHABLE_LIMIT = 256


class CompiledZone(tzinfo):
    """A zone of the compiled-in database, for systems without zone files.

    It knows offsets, and neither abbreviations nor which of them are daylight saving.
    """

    def __init__(self, name: str) -> None:
        self.key = name
        self._zone = Zone.named(name)

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """See `datetime.tzinfo`; PEP 495 for wall times that come twice or not at all."""
        if moment is None:
            return None
        wall = (moment.replace(tzinfo=None, fold=0) - _NAIVE_EPOCH) // _SECOND
        offset_at = self._zone.offset_at
        before, after = offset_at(wall - _DAY_S), offset_at(wall + _DAY_S)
        is_before, is_after = offset_at(wall - before) == before, offset_at(wall - after) == after
        if is_before == is_after:
            # Twice, or not at all: the first answer goes by the offset before the change.
            return timedelta(seconds=after if moment.fold else before)
        return timedelta(seconds=before if is_before else after)

    def dst(self, _moment: datetime | None) -> timedelta | None:
        """Not known."""
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        """The offset, as the IANA database names zones without an abbreviation: "+03"."""
        offset = self.utcoffset(moment)
        if offset is None:
            return self.key
        minutes = offset // timedelta(minutes=1)
        hours, rest = divmod(abs(minutes), 60)
        return f"{'-' if minutes < 0 else '+'}{hours:02}{f'{rest:02}' if rest else ''}"

    def fromutc(self, moment: datetime) -> datetime:
        """See `datetime.tzinfo`."""
        utc = (moment.replace(tzinfo=None) - _NAIVE_EPOCH) // _SECOND
        wall = moment + timedelta(seconds=self._zone.offset_at(utc))
        first = self.utcoffset(wall.replace(fold=0))
        is_second = first is not None and wall.replace(tzinfo=None) - first != moment.replace(
            tzinfo=None
        )
        return wall.replace(fold=int(is_second))

    def __reduce__(self) -> tuple[Any, ...]:
        return CompiledZone, (self.key,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CompiledZone) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return self.key

    def __repr__(self) -> str:
        return f"<zone {self.key}>"


def native_zone(zone: tzinfo | None) -> Zone:
    """A zone as the core knows it; None is the system's. The same object for the same zone.

    A zone with an IANA name is looked up by it, a fixed offset is one. Of any other tzinfo the
    changes are found by asking: see `zone_changes`.
    """
    if zone is None:
        return local_time()[0]
    if type(zone).__hash__ is not None:
        return _hashable_zone(zone)
    known = _unhashable.get(id(zone))
    if known is None:
        if len(_unhashable) >= _UNHASHABLE_LIMIT:
            _unhashable.clear()
        known = _unhashable[id(zone)] = zone, _new_zone(zone)
    return known[1]


@lru_cache(maxsize=256)
def _hashable_zone(zone: tzinfo) -> Zone:
    return _new_zone(zone)


def _new_zone(zone: tzinfo) -> Zone:
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if isinstance(name, str):
        try:
            return Zone.named(name)
        except ValueError:
            pass
    offset = fixed_offset_s(zone)
    if offset is not None:
        return Zone.fixed(offset)
    return Zone.from_transitions(str(zone), *zone_changes(zone))


def local_time() -> tuple[Zone, tzinfo | None]:
    """The system's zone, and the tzinfo to use for it; None if Python's own local time is right.

    It follows `time.tzset`. If the environment variable TZ names a zone for which the system has
    no file, it is that zone of the compiled-in database, not UTC as the system would have it.

    Warns:
        ScheduleWarning: TZ names no zone at all, so that local time is UTC.
    """
    return _local_time(environ.get("TZ"), time.tzname, time.timezone, time.altzone)


@lru_cache(maxsize=8)
def _local_time(
    setting: str | None, _names: tuple[str, str], _offset_s: int, _other_offset_s: int
) -> tuple[Zone, tzinfo | None]:
    name = (setting or "").removeprefix(":")
    for folder in ("posix/", "right/"):
        name = name.removeprefix(folder)
    try:
        candidate = Zone.named(name) if name else Zone.system()
    except ValueError:
        candidate = None
    if candidate is not None and all(
        candidate.offset_at(second) == _local_offset_s(second) for second in _SAMPLES_S
    ):
        return candidate, None
    is_utc = all(_local_offset_s(second) == 0 for second in _SAMPLES_S)
    if not is_utc:
        return Zone.from_transitions("local time", *_changes(_local_offset_s)), None
    if candidate is not None and name:
        return candidate, CompiledZone(name)
    if name and not _POSIX_RULE.match(name) and not name.startswith("/"):
        warn(
            f"the environment variable TZ names no time zone, so that local time is UTC, got "
            f"{show(setting)}"
        )
    return Zone.named("UTC"), None


def _local_offset_s(second: int) -> int:
    return time.localtime(second).tm_gmtoff


def fixed_offset_s(zone: tzinfo) -> int | None:
    """The offset of a zone that is one, in whole seconds; None of any other."""
    offset = zone.utcoffset(None) if isinstance(zone, timezone) else None
    return None if offset is None or offset % _SECOND else offset // _SECOND


def zone_changes(zone: tzinfo) -> tuple[int, list[tuple[int, int]]]:
    """The offset of a zone in 1970, and its changes up to 2554: (UTC seconds, offset from then on).

    Found by asking for each week, some 30 ms: changes that are undone within a week are not seen.
    """

    def offset(second: int) -> int:
        moment = (_EPOCH + timedelta(seconds=second)).astimezone(zone)
        return (moment.utcoffset() or timedelta()) // _SECOND

    return _changes(offset)


def _changes(offset: Callable[[int], int]) -> tuple[int, list[tuple[int, int]]]:
    first = last = offset(0)
    changes: list[tuple[int, int]] = []
    for week in range(0, FAR_FUTURE_NS // SECOND_NS, _WEEK_S):
        now = offset(week + _WEEK_S)
        if now != last:
            before, after = week, week + _WEEK_S
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (before, middle) if offset(middle) == now else (middle, after)
            changes.append((after, now))
            last = now
    return first, changes

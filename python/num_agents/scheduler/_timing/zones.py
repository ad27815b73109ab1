"""Time zones: what a user gives as one."""

from __future__ import annotations

import time
from datetime import UTC, datetime, tzinfo

from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.native_zones import CompiledZone, local_time

UTC_ZONE = UTC

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def zone_of(value: object) -> tzinfo | None:
    """A time zone: None for the system's, a tzinfo, an IANA name, "UTC" or "local".

    Raises:
        TypeError: It is of another type.
        ValueError: It is another name, or a tzinfo that does not know its offset.
    """
    if isinstance(value, tzinfo):
        try:
            _EPOCH.astimezone(value)
        except Exception as error:
            # Found here, or it would keep outcomes from those who wait for them.
            raise ValueError(f"timezone must know its offset, got {show(value)}") from error
        return _unlike_pytz(value)
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"timezone must be a tzinfo or the name of a zone, got {show(value)}")
    if value.upper() == "UTC":
        return UTC
    if value == "local":
        return None
    return _named(value)


def local_zone() -> tzinfo | None:
    """What stands for the system's zone if Python's own local time is wrong; see `local_time`."""
    # The system takes what it does not know for UTC, and nothing else needs a stand-in.
    return None if time.timezone or time.daylight else local_time()[1]


def _named(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - 5 ms, and most have no zone

    try:
        return ZoneInfo(name)
    except Exception:
        pass
    try:
        return CompiledZone(name)
    except ValueError:
        raise ValueError(
            f"timezone must be an IANA name, 'UTC' or 'local', got {show(name)}{zone_hint(name)}"
        ) from None


def zone_hint(name: str) -> str:
    """Of a mistyped name the one that may be meant, as the end of a message; empty if none is."""
    from difflib import get_close_matches  # noqa: PLC0415 - rare
    from zoneinfo import available_timezones  # noqa: PLC0415 - rare, and slow

    word = name[:64].lower().replace(" ", "_")
    # With and without the continent, as in "Paris".
    known: dict[str, str] = {}
    for one in sorted(available_timezones()):
        known[one.lower()] = one
        known.setdefault(one.rpartition("/")[2].lower(), one)
    close = get_close_matches(word, known, n=1, cutoff=0.75)
    found = known.get(word) or (known[close[0]] if close else None)
    return "" if found is None else f": did you mean {found!r}?"


def _unlike_pytz(zone: tzinfo) -> tzinfo:
    """The zone itself; of one of pytz's, which must not be attached to datetimes, its equal."""
    name = getattr(zone, "zone", None)
    if not isinstance(name, str) or not hasattr(zone, "localize"):
        return zone
    try:
        return _named(name)
    except ValueError:
        return zone

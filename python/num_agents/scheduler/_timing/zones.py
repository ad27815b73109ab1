"""Time zones: what a user gives as one, and what the core needs to know of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo

from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS, SECOND_NS

UTC_ZONE = UTC

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_WEEK_S = 7 * 86_400


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
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - 5 ms, and most have no zone

    try:
        return ZoneInfo(value)
    except Exception:
        # Besides its own error it raises whatever the file system does.
        raise ValueError(
            f"timezone must be an IANA name, 'UTC' or 'local', got {show(value)}"
        ) from None


def _unlike_pytz(zone: tzinfo) -> tzinfo:
    """The zone itself; of one of pytz's, which must not be attached to datetimes, its equal."""
    name = getattr(zone, "zone", None)
    if not isinstance(name, str) or not hasattr(zone, "localize"):
        return zone
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - see above

    try:
        return ZoneInfo(name)
    except Exception:
        return zone


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

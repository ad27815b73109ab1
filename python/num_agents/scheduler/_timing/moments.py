"""Moments: datetimes and ISO-8601 strings to nanoseconds since 1970-01-01T00:00:00Z, and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

from num_agents.scheduler._messages import show
from num_agents.scheduler._numbers import scalar_kind
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS, FINE_UNITS_PER_NS, SECOND_NS
from num_agents.scheduler._timing.zones import local_zone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: A moment: a datetime, or a string in ISO-8601.
Moment = datetime | str

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_MOMENT = "a datetime or an ISO-8601 string"


class _Local(tzinfo):
    """The system's local time, as Python tells it."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        if moment is None:
            return None
        wall = moment.replace(tzinfo=None)
        try:
            return wall.astimezone().utcoffset()
        except (OverflowError, ValueError, OSError):
            # At the ends of what datetimes can say. The calendar repeats every 400 years.
            return wall.replace(year=2400 + wall.year % 400).astimezone().utcoffset()

    def dst(self, _moment: datetime | None) -> timedelta | None:
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, moment: datetime) -> datetime:
        return moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=self)


_LOCAL = _Local()


def aware(value: object, argument: str, zone: tzinfo | None) -> datetime:
    """A moment as an aware datetime; a naive one is in `zone`, or in the system's.

    A wall time that does not exist, because the clock is set forward over it, is the moment right
    after the gap. One that comes twice is the first, or with `fold=1` the second.

    Raises:
        TypeError: It is neither a datetime nor a string.
        ValueError: It is a string that is not ISO-8601.
        OverflowError: Its zone moves it out of the years 1 to 9999.
    """
    moment, _ = _in_zone(value, argument, zone)
    try:
        found = after_gap(moment) or moment
        return found.astimezone() if found.tzinfo is _LOCAL else found
    except (OverflowError, ValueError, OSError):
        raise OverflowError(f"{argument} is out of range, got {show(value)}") from None


def moment_ns(value: object, argument: str, zone: tzinfo | None) -> int:
    """A moment in nanoseconds; what lies before 1970 counts as 1970, it is past either way.

    See `aware` for wall times that do not exist or come twice, and for what it raises.
    """
    moment, finer_ns = _in_zone(value, argument, zone)
    exists = after_gap(moment)
    return posix_ns(moment) + finer_ns if exists is None else posix_ns(exists)


def posix_ns(moment: datetime) -> int:
    """An aware datetime in nanoseconds, within the axis of the engine."""
    nanoseconds = (moment - _EPOCH) // _MICROSECOND * 1000
    if 0 <= nanoseconds < FAR_FUTURE_NS:
        return nanoseconds
    return 0 if nanoseconds < 0 else FAR_FUTURE_NS


def runs_at(value: object, argument: str, zone: tzinfo | None, dst: str) -> bool:
    """Whether a wall time exists, or `dst` says that it runs although it does not."""
    return dst == "debian" or after_gap(_in_zone(value, argument, zone)[0]) is None


def check_exists(value: object, argument: str, zone: tzinfo | None, dst: str) -> None:
    """Refuses a wall time that does not exist, if `dst` says that such a time does not run.

    Raises:
        ValueError: It does not exist, and `dst` is not "debian".
    """
    if not runs_at(value, argument, zone, dst):
        raise ValueError(
            f"{argument} does not exist, as the clock is set forward then, and with dst={dst!r} "
            f"it would never run, got {show(value)}"
        )


def after_gap(moment: datetime) -> datetime | None:
    """The moment right after the gap of a wall time that does not exist; None if it exists."""
    zone = moment.tzinfo
    if zone is None or type(zone) is timezone:
        return None
    try:
        utc = moment.astimezone(UTC)
        if utc.astimezone(zone).replace(tzinfo=None) == moment.replace(tzinfo=None):
            return None
        # The clock is set between these two, as the offset lies between those around the gap.
        before, after = utc - _DAY, utc + _DAY
        old = before.astimezone(zone).utcoffset()
        while after - before > _SECOND:
            middle = before + (after - before) // 2
            is_old = middle.astimezone(zone).utcoffset() == old
            before, after = (middle, after) if is_old else (before, middle)
    except (OverflowError, ValueError):
        # At the ends of what datetimes can say.
        return None
    # Clocks are set at whole seconds.
    return after.replace(microsecond=0).astimezone(zone)


def in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    """A datetime as it stands, in a zone if it has none of its own."""
    if moment.tzinfo is not None:
        return moment
    zone = zone or local_zone()
    return moment.replace(tzinfo=_LOCAL if zone is None else zone)


def naive_in(text: str) -> datetime:
    """A datetime without a zone, as RFC 5545 writes it: `20260301T093000`."""
    return datetime.strptime(text, "%Y%m%dT%H%M%S")


def span_of(seconds: int) -> timedelta:
    """A number of seconds as a timedelta."""
    return timedelta(seconds=seconds)


def second_pass(moment: datetime) -> datetime | None:
    """Of a wall time that comes twice, the second time; None if it comes once."""
    again = moment.replace(fold=1)
    first, second = moment.replace(fold=0).utcoffset(), again.utcoffset()
    if first is None or second is None or first <= second:
        return None
    return again


def _in_zone(value: object, argument: str, zone: tzinfo | None) -> tuple[datetime, int]:
    """A moment as an aware datetime of the standard library, and the nanoseconds beyond that."""
    moment, finer_ns = _plain(value, argument)
    if moment.tzinfo is not None and moment.utcoffset() is not None:
        return moment, finer_ns
    return in_zone_or_local(moment.replace(tzinfo=None), zone), finer_ns


def in_zone_or_local(moment: datetime, zone: tzinfo | None) -> datetime:
    """A naive datetime as an aware one, as it stands, in a zone or in the system's."""
    zone = zone or local_zone()
    if zone is not None:
        return moment.replace(tzinfo=zone)
    try:
        found = moment.astimezone()
        if found.replace(tzinfo=None, fold=moment.fold) == moment:
            return found
    except (OverflowError, ValueError, OSError):
        # At the ends of what datetimes can say.
        pass
    return moment.replace(tzinfo=_LOCAL)


def _plain(value: object, argument: str) -> tuple[datetime, int]:
    """A moment as a datetime of the standard library, and the nanoseconds beyond that."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{argument} must be {_MOMENT}, got {show(value)}") from None
    if type(value) is datetime:
        return value, 0
    finer_ns = 0
    if scalar_kind(value) == "M":
        unit, item = value.dtype.str[4:-1], value.item()  # type: ignore[attr-defined]
        if isinstance(item, int) and unit in FINE_UNITS_PER_NS:
            # In units that a datetime lacks, since 1970.
            microseconds, finer_ns = divmod(item // FINE_UNITS_PER_NS[unit], 1000)
            item = datetime(1970, 1, 1) + timedelta(microseconds=microseconds)
        elif isinstance(item, date) and not isinstance(item, datetime):
            item = datetime(item.year, item.month, item.day)
        if item is None:
            raise ValueError(f"{argument} must be {_MOMENT}, got {show(value)}")
        if isinstance(item, int):
            # Of a year that no datetime can say.
            raise OverflowError(f"{argument} is out of range, got {show(value)}")
        value = item
    if not isinstance(value, datetime):
        raise TypeError(f"{argument} must be {_MOMENT}, got {show(value)}")
    # Classes of pendulum and pandas, with an arithmetic of their own.
    try:
        plain = datetime(
            *(value.year, value.month, value.day),
            *(value.hour, value.minute, value.second, value.microsecond),
            tzinfo=value.tzinfo,
            fold=value.fold,
        )
    except (TypeError, ValueError):
        # Not a time, in pandas.
        raise ValueError(f"{argument} must be {_MOMENT}, got {show(value)}") from None
    return plain, finer_ns or getattr(value, "nanosecond", 0)


def to_datetime(moment: int, zone: tzinfo | None = None) -> datetime:
    """A moment as an aware datetime in a zone, or in the system's; microseconds, rounded down."""
    zone = zone or local_zone()
    if zone is None:
        return (_EPOCH + timedelta(microseconds=moment // 1000)).astimezone()
    # Three times as fast as adding a timedelta, and exact for whole seconds.
    seconds, rest = divmod(moment, SECOND_NS)
    found = datetime.fromtimestamp(seconds, zone)
    return found.replace(microsecond=rest // 1000) if rest else found


def to_datetimes(moments: Iterable[int], zone: tzinfo | None) -> list[datetime]:
    """Many moments, each as `to_datetime` gives it."""
    zone = zone or local_zone()
    if zone is None:
        return [to_datetime(moment) for moment in moments]
    whole = datetime.fromtimestamp
    return [
        to_datetime(moment, zone) if moment % SECOND_NS else whole(moment // SECOND_NS, zone)
        for moment in moments
    ]


def calendar_date(value: object, argument: str) -> date:
    """A day: a date, or an ISO-8601 string.

    Raises:
        TypeError: It is neither.
        ValueError: It is a string that is not a date.
    """
    if scalar_kind(value) == "M":
        value = value.item()  # type: ignore[attr-defined]
    if isinstance(value, date) and not isinstance(value, datetime):
        return date(value.year, value.month, value.day)
    message = f"{argument} must be a date or an ISO-8601 string, got {show(value)}"
    if not isinstance(value, str):
        raise TypeError(message)
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(message) from None


def time_of_day(value: object, argument: str) -> time:
    """A time of day in whole seconds: a `datetime.time` without a zone, or "HH:MM[:SS]".

    Raises:
        TypeError: It is neither.
        ValueError: It is a string that is not a time, or has a zone or a fraction.
    """
    message = f'{argument} must be a time of day or "HH:MM[:SS]", got {show(value)}'
    if isinstance(value, str):
        try:
            # Python 3.14 takes "24:00" for midnight, of which day it cannot say.
            if value.strip().startswith("24"):
                raise ValueError(message)
            value = time.fromisoformat(value)
        except ValueError:
            raise ValueError(message) from None
    if not isinstance(value, time):
        raise TypeError(message)
    if value.tzinfo is not None or value.microsecond:
        raise ValueError(f"{argument} must be whole seconds without a zone, got {show(value)}")
    return value

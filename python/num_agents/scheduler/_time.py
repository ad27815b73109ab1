"""Time as users say it, to nanoseconds and back. No other module converts.

A moment is nanoseconds since 1970-01-01T00:00:00Z, a span is nanoseconds. Numbers are seconds.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from operator import index
from threading import TIMEOUT_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeVar

    T = TypeVar("T")
    Seconds = float | timedelta
    Moment = datetime | str

SECOND_NS = 1_000_000_000
UTC_ZONE = UTC

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3_600 * SECOND_NS,
    "d": 86_400 * SECOND_NS,
    "w": 604_800 * SECOND_NS,
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_WEEK_S = 7 * 86_400
_SPAN = "a number of seconds (int or float) or a timedelta"
_MOMENT = "a datetime or an ISO-8601 string"

#: The first moment beyond the calendars that users can write: 10000-01-01T00:00:00Z.
_END_OF_CALENDAR_NS = 253_402_300_800 * SECOND_NS
#: The last moment that the engine can tell from "never", in the year 2554.
FAR_FUTURE_NS = 2**64 - 2


def show(value: object) -> str:
    """A value as it stands in a message, whatever its `__repr__` does."""
    try:
        return repr(value)[:80]
    except Exception:
        return f"<{type(value).__name__}>"


def each(values: Iterable[T], argument: str) -> Iterable[T]:
    """What can be iterated over, and is not a string, which would be taken apart.

    Raises:
        TypeError: It is not.
    """
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise TypeError(f"{argument} must be an iterable, got {show(values)}")
    return values


def span_ns(value: object, argument: str, *, positive: bool = False) -> int:
    """A span of time in nanoseconds, rounded to the nearest.

    Args:
        value: Seconds, or a timedelta.
        argument: Its name, for the message.
        positive: Whether zero is refused.

    Raises:
        TypeError: It is of another type; a bool or a string is no number.
        ValueError: It is NaN, infinite, negative, or zero where that is refused.
    """
    if isinstance(value, timedelta):
        nanoseconds = value // _MICROSECOND * 1000
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN
            raise ValueError(f"{argument} must be finite, got {value!r}")
        # Above 2**53 each float is an integer, and 1e300 of them would overflow as a product.
        exact = abs(value) > 2**53
        nanoseconds = int(value) * SECOND_NS if exact else round(value * SECOND_NS)
        if value > 0 and positive:
            nanoseconds = max(nanoseconds, 1)
    elif isinstance(value, bool):
        raise TypeError(f"{argument} must be {_SPAN}, got {value!r}")
    else:
        try:
            nanoseconds = index(value) * SECOND_NS  # type: ignore[arg-type]  # raises if it is not
        except TypeError:
            raise TypeError(f"{argument} must be {_SPAN}, got {show(value)}") from None
    if nanoseconds < 0 or (isinstance(value, float) and value < 0):
        raise ValueError(f"{argument} must not be negative, got {show(value)}")
    if positive and nanoseconds == 0:
        raise ValueError(f"{argument} must be greater than zero, got {show(value)}")
    return nanoseconds


def spoken_span_s(text: str, argument: str) -> float:
    """A span as text, in seconds: "15m", "1h30m", "500ms", "2d". Whole seconds are an int.

    The units are those of Go's durations, and "d" for 24 hours and "w" for 7 days.

    Raises:
        ValueError: The text is none.
    """
    import re  # noqa: PLC0415 - only those who read text need it

    parts = re.findall(r"([0-9]{1,18})(?:\.([0-9]{1,9}))?(ns|us|µs|ms|s|m|h|d|w)", text)
    said = "".join(f"{whole}{'.' * bool(part)}{part}{unit}" for whole, part, unit in parts)
    if not text or said != text:
        raise ValueError(
            f"{argument} must be numbers with units (ns, us, ms, s, m, h, d, w), such as '15m' or "
            f"'1h30m', got {show(text)}"
        )
    nanoseconds: int = sum(
        int(whole + part) * _UNITS_NS[unit] // 10 ** len(part) for whole, part, unit in parts
    )
    seconds, rest = divmod(nanoseconds, SECOND_NS)
    return nanoseconds / SECOND_NS if rest else seconds


def signed_span_ns(value: object, argument: str) -> int:
    """A span in either direction. Raises as `span_ns` does, but for negative ones."""
    zero = timedelta() if isinstance(value, timedelta) else 0
    if isinstance(value, float | int | timedelta) and value < zero:  # type: ignore[operator]
        return -span_ns(-value, argument)
    return span_ns(value, argument)


def after_ns(now_ns: int, value: object, argument: str) -> int:
    """The moment a span after now.

    Raises:
        OverflowError: It lies beyond the year 9999.
    """
    moment = now_ns + span_ns(value, argument)
    if moment >= _END_OF_CALENDAR_NS:
        raise OverflowError(f"{argument} ends beyond the year 9999, got {show(value)}")
    return min(moment, FAR_FUTURE_NS)


def bounded_span_ns(value: object, argument: str, *, positive: bool = False) -> int:
    """A span as the engine keeps it: one beyond 584 years is as good as 584 years."""
    return min(span_ns(value, argument, positive=positive), FAR_FUTURE_NS)


def wait_s(span: int) -> float:
    """A span as a timeout in seconds, as long as the system can wait at the most."""
    return min(span, int(TIMEOUT_MAX) * SECOND_NS) / SECOND_NS


def aware(value: object, argument: str, zone: tzinfo | None) -> datetime:
    """A moment as an aware datetime; a naive one is in `zone`, or in the system's.

    Raises:
        TypeError: It is neither a datetime nor a string.
        ValueError: It is a string that is not ISO-8601.
        OverflowError: Its zone moves it out of the years 1 to 9999.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{argument} must be {_MOMENT}, got {show(value)}") from None
    if not isinstance(value, datetime):
        raise TypeError(f"{argument} must be {_MOMENT}, got {show(value)}")
    if value.tzinfo is None or value.utcoffset() is None:
        if zone is not None:
            return value.replace(tzinfo=zone)
        try:
            return value.astimezone()
        except (OverflowError, ValueError, OSError):
            raise OverflowError(f"{argument} is out of range, got {show(value)}") from None
    return value


def moment_ns(value: object, argument: str, zone: tzinfo | None) -> int:
    """A moment in nanoseconds; what lies before 1970 counts as 1970, it is past either way."""
    moment = aware(value, argument, zone) - _EPOCH
    nanoseconds = moment // _MICROSECOND * 1000
    if 0 <= nanoseconds < FAR_FUTURE_NS:
        return nanoseconds
    return 0 if nanoseconds < 0 else FAR_FUTURE_NS


def to_datetime(moment: int, zone: tzinfo | None = None) -> datetime:
    """A moment as an aware datetime in a zone, or in the system's; microseconds, rounded down."""
    if zone is None:
        return (_EPOCH + timedelta(microseconds=moment // 1000)).astimezone()
    # Three times as fast as adding a timedelta, and exact for whole seconds.
    seconds, rest = divmod(moment, SECOND_NS)
    found = datetime.fromtimestamp(seconds, zone)
    return found.replace(microsecond=rest // 1000) if rest else found


def to_datetimes(moments: Iterable[int], zone: tzinfo | None) -> list[datetime]:
    """Many moments, each as `to_datetime` gives it."""
    if zone is None:
        return [to_datetime(moment) for moment in moments]
    whole = datetime.fromtimestamp
    return [
        to_datetime(moment, zone) if moment % SECOND_NS else whole(moment // SECOND_NS, zone)
        for moment in moments
    ]


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


def is_buffer(value: object) -> bool:
    """Whether a value gives access to its memory, as arrays do."""
    try:
        memoryview(value).release()  # type: ignore[arg-type]  # raises if it does not
    except TypeError:
        return False
    return True


def many_seconds(values: Iterable[Any], argument: str) -> Any:
    """Spans as a buffer of float64 seconds; a buffer is passed on as it is.

    Raises:
        TypeError: One is of another type; the message names its index.
    """
    from array import array  # noqa: PLC0415 - only bulk calls need it

    if is_buffer(values):
        return values
    listed = list(each(values, argument))
    if not set(map(type, listed)) <= {int, float}:
        listed = [
            value
            if type(value) in (int, float)
            else span_ns(value, f"{argument}[{place}]") / SECOND_NS
            for place, value in enumerate(listed)
        ]
    try:
        return array("d", listed)
    except OverflowError:
        raise OverflowError(f"{argument} ends beyond the year 9999") from None


def many_moments(values: Iterable[Any], argument: str, zone: tzinfo | None) -> Any:
    """Moments as a buffer of uint64 nanoseconds; numbers, or a buffer of them, are POSIX seconds.

    Raises:
        TypeError: One is of another type; the message names its index.
    """
    from array import array  # noqa: PLC0415 - only bulk calls need it

    return array(
        "Q",
        [
            _posix_ns(value, f"{argument}[{place}]")
            if isinstance(value, float | int)
            else moment_ns(value, f"{argument}[{place}]", zone)
            for place, value in enumerate(each(values, argument))
        ],
    )


def _posix_ns(value: float, argument: str) -> int:
    """POSIX seconds in nanoseconds; what lies before 1970 counts as 1970."""
    if isinstance(value, float) and value < 0:
        value = 0.0 if value > float("-inf") else value
    return after_ns(0, max(value, 0) if type(value) is int else value, argument)


def calendar_date(value: object, argument: str) -> date:
    """A day: a date, or an ISO-8601 string.

    Raises:
        TypeError: It is neither.
        ValueError: It is a string that is no date.
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
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
        ValueError: It is a string that is no time, or has a zone or a fraction.
    """
    message = f'{argument} must be a time of day or "HH:MM[:SS]", got {show(value)}'
    if isinstance(value, str):
        try:
            value = time.fromisoformat(value)
        except ValueError:
            raise ValueError(message) from None
    if not isinstance(value, time):
        raise TypeError(message)
    if value.tzinfo is not None or value.microsecond:
        raise ValueError(f"{argument} must be whole seconds without a zone, got {show(value)}")
    return value


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

"""Moments: datetimes and ISO-8601 strings to nanoseconds since 1970-01-01T00:00:00Z, and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS, SECOND_NS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Moment = datetime | str

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOMENT = "a datetime or an ISO-8601 string"


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

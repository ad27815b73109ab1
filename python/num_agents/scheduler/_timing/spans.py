"""Spans of time, in seconds, as timedeltas or as text such as "15m", to nanoseconds."""

from __future__ import annotations

from datetime import timedelta
from operator import index
from threading import TIMEOUT_MAX

from num_agents.scheduler._messages import show
from num_agents.scheduler._numbers import scalar_kind

#: A span: a number of seconds, a timedelta, or text with units such as "5m".
Seconds = float | timedelta | str

SECOND_NS = 1_000_000_000

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    # The Greek letter, which looks the same.
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3_600 * SECOND_NS,
    "d": 86_400 * SECOND_NS,
    "w": 604_800 * SECOND_NS,
}

#: How many of NumPy's units that are finer than a timedelta make a nanosecond.
FINE_UNITS_PER_NS = {"ns": 1, "ps": 1000, "fs": 10**6, "as": 10**9}

_DAYS = timedelta.__dict__["days"]
_SECONDS = timedelta.__dict__["seconds"]
_MICROSECONDS = timedelta.__dict__["microseconds"]
_SPAN = "a number of seconds (int or float), a timedelta, or text with units such as '5m'"

#: The first moment after the year 9999, the last that a datetime can say: 10000-01-01T00:00:00Z.
_END_OF_DATETIMES_NS = 253_402_300_800 * SECOND_NS
#: The last moment that the engine can tell from "never", in the year 2554.
FAR_FUTURE_NS = 2**64 - 2


def span_ns(value: object, argument: str, *, positive: bool = False) -> int:
    """A span of time in nanoseconds, rounded to the nearest.

    Args:
        value: Seconds, or a timedelta, NumPy's and pandas' as well; or text such as "5m".
        argument: Its name, for the message.
        positive: Whether zero is refused.

    Raises:
        TypeError: It is of another type; a bool or a string is not a number.
        ValueError: It is NaN, infinite, negative, or zero where that is refused; or text that is
            not a span.
    """
    if isinstance(value, float):
        nanoseconds = _float_ns(float(value), argument)
        if value > 0 and positive:
            nanoseconds = max(nanoseconds, 1)
    elif isinstance(value, timedelta):
        nanoseconds = _timedelta_ns(value)
    elif isinstance(value, bool):
        raise TypeError(f"{argument} must be {_SPAN}, got {value!r}")
    elif isinstance(value, str) and any(map(str.isalpha, value)):
        return span_ns(parse_span_s(value, argument), argument, positive=positive)
    else:
        try:
            nanoseconds = index(value) * SECOND_NS  # type: ignore[arg-type]  # raises if it is not
        except TypeError:
            return _scalar_ns(value, argument, positive=positive)
    if nanoseconds < 0 or (isinstance(value, float) and value < 0):
        raise ValueError(f"{argument} must not be negative, got {show(value)}")
    if positive and nanoseconds == 0:
        raise ValueError(f"{argument} must be greater than zero, got {show(value)}")
    return nanoseconds


def _float_ns(value: float, argument: str) -> int:
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN
        raise ValueError(f"{argument} must be finite, got {value!r}")
    # Above 2**53 each float is an integer, and 1e300 of them would overflow as a product.
    return int(value) * SECOND_NS if abs(value) > 2**53 else round(value * SECOND_NS)


def _timedelta_ns(value: timedelta) -> int:
    """Through the fields of timedelta itself: other libraries redefine those of their classes."""
    days: int = _DAYS.__get__(value)
    seconds: int = _SECONDS.__get__(value)
    microseconds: int = _MICROSECONDS.__get__(value)
    finer = getattr(value, "nanoseconds", 0)  # pandas
    return ((days * 86_400 + seconds) * 1_000_000 + microseconds) * 1000 + index(finer)


def _scalar_ns(value: object, argument: str, *, positive: bool) -> int:
    """A scalar of NumPy's, a float of another width or a timedelta64, in nanoseconds."""
    kind = scalar_kind(value)
    if kind == "f":
        return span_ns(float(value), argument, positive=positive)  # type: ignore[arg-type]
    item = value.item() if kind == "m" else None  # type: ignore[attr-defined]
    if isinstance(item, int):
        # So it is in units that a timedelta lacks.
        scale = FINE_UNITS_PER_NS.get(value.dtype.str[4:-1])  # type: ignore[attr-defined]
        if scale is not None and item >= 0:
            return (
                span_ns(timedelta(), argument, positive=positive and item < scale) + item // scale
            )
        item = timedelta(-1) if scale is not None else None
    if item is None:
        raise TypeError(f"{argument} must be {_SPAN}, got {show(value)}")
    return span_ns(item, argument, positive=positive)


def parse_span_s(text: str, argument: str) -> float:
    """A span as text, in seconds: "15m", "1h30m", "500ms", "2d". Whole seconds are an int.

    The units are those of Go's durations, and "d" for 24 hours and "w" for 7 days.

    Raises:
        ValueError: The text is not a span.
    """
    import re  # noqa: PLC0415 - only those who read text need it

    parts = re.findall(r"([0-9]{1,18})(?:\.([0-9]{1,9}))?(ns|us|µs|μs|ms|s|m|h|d|w)", text)
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
    kind = scalar_kind(value)
    # Neither is compared with a plain 0.
    zero = value * 0 if kind == "m" or isinstance(value, timedelta) else 0  # type: ignore[operator]
    is_number = isinstance(value, float | int | timedelta) or kind is not None
    if is_number and value < zero:  # type: ignore[operator]
        return -span_ns(-value, argument)  # type: ignore[operator]
    return span_ns(value, argument)


def after_ns(now_ns: int, value: object, argument: str) -> int:
    """The moment a span after now.

    Raises:
        OverflowError: It lies beyond the year 9999.
    """
    moment = now_ns + span_ns(value, argument)
    if moment >= _END_OF_DATETIMES_NS:
        raise OverflowError(f"{argument} ends beyond the year 9999, got {show(value)}")
    return min(moment, FAR_FUTURE_NS)


def bounded_span_ns(value: object, argument: str, *, positive: bool = False) -> int:
    """A span as the engine keeps it: at most 584 years."""
    return min(span_ns(value, argument, positive=positive), FAR_FUTURE_NS)


def wait_s(span: int) -> float:
    """A span as a timeout in seconds, at most as long as the system can wait."""
    return min(span, int(TIMEOUT_MAX) * SECOND_NS) / SECOND_NS

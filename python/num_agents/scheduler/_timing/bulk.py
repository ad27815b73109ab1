"""Many spans or moments at once, as buffers of numbers."""

from __future__ import annotations

from struct import iter_unpack
from sys import byteorder

from num_agents.scheduler._messages import each
from num_agents.scheduler._numbers import scalar_kind
from num_agents.scheduler._timing.moments import moment_ns
from num_agents.scheduler._timing.spans import SECOND_NS, after_ns, span_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo
    from typing import Any


def is_buffer(value: object) -> bool:
    """Whether a value gives access to its memory, as arrays of numbers do."""
    try:
        memoryview(value).release()  # type: ignore[arg-type]  # raises if it does not
    except (TypeError, ValueError, BufferError):
        # NumPy's arrays of moments and spans have no format that others could read.
        return False
    return True


def many_seconds(values: Iterable[Any], argument: str) -> Any:
    """Spans as a buffer of float64 seconds; a buffer of these is passed on as it is.

    Raises:
        TypeError: One is of another type; the message names its index.
    """
    if is_buffer(values):
        return _doubles(values, "d")
    from array import array  # noqa: PLC0415 - only bulk calls need it

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

    if is_buffer(values):
        numbers = _doubles(values, _LETTERS)
        values = memoryview(numbers) if numbers is not values else values
    return array(
        "Q",
        [
            _posix_ns(value, f"{argument}[{place}]")
            if isinstance(value, float | int) or scalar_kind(value) in _NUMBERS
            else moment_ns(value, f"{argument}[{place}]", zone)
            for place, value in enumerate(each(values, argument))
        ],
    )


def _doubles(values: Any, letters: str) -> Any:
    """A buffer of numbers as one of float64 in this machine's order of bytes.

    It is returned as it is if it is one already, or of none of the formats.
    """
    with memoryview(values) as view:
        order, letter = view.format[:-1], view.format[-1:]
        if letter not in letters or view.ndim != 1 or len(order) > 1:
            return values
        if letter == "d" and order in _NATIVE_ORDERS:
            return values
        from array import array  # noqa: PLC0415 - only bulk calls need it

        content = view.tobytes()
        return array("d", [number for (number,) in iter_unpack(view.format, content)])


#: Of the formats of `struct`, those of numbers.
_LETTERS = "fdbBhHiIlLqQ"
_NATIVE_ORDERS = ("", "@", "=", "<" if byteorder == "little" else ">")
#: NumPy's letters for numbers.
_NUMBERS = ("f", "i", "u")


def _posix_ns(value: object, argument: str) -> int:
    """POSIX seconds in nanoseconds; what lies before 1970 counts as 1970."""
    number: float = value  # type: ignore[assignment]
    if scalar_kind(value) is not None:
        # Not `item()`, which gives a long double back as it is.
        number = float(value) if scalar_kind(value) == "f" else value.item()  # type: ignore[arg-type, attr-defined]
    if isinstance(number, float) and number < 0:
        number = 0.0 if number > float("-inf") else number
    return after_ns(0, max(number, 0) if type(number) is int else number, argument)

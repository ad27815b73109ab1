"""Many spans or moments at once, as buffers of numbers."""

from __future__ import annotations

from num_agents.scheduler._messages import each
from num_agents.scheduler._timing.moments import moment_ns
from num_agents.scheduler._timing.spans import SECOND_NS, after_ns, span_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo
    from typing import Any


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

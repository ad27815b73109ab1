"""Messages: values in the texts of errors, and warnings that name the caller's line."""

from __future__ import annotations

from threading import local

from num_agents.scheduler.errors import ScheduleWarning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeVar

    T = TypeVar("T")


def show(value: object) -> str:
    """A value for a message, even if its `__repr__` raises."""
    try:
        return repr(value)[:80]
    except Exception:
        return f"<{type(value).__name__}>"


def each(values: Iterable[T], argument: str) -> Iterable[T]:
    """An iterable that is not a string, which would be split into characters.

    Raises:
        TypeError: It is not.
    """
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise TypeError(f"{argument} must be an iterable, got {show(values)}")
    return values


class _Warnings(local):
    """What the calling thread was warned of."""

    count = 0


_warnings = _Warnings()


def warnings_given() -> int:
    """How many warnings the calling thread has given so far."""
    return _warnings.count


def warn(message: str) -> None:
    """Warns of a schedule, at the line outside of this library that made it."""
    import sys  # noqa: PLC0415 - rare
    import warnings  # noqa: PLC0415 - rare

    _warnings.count += 1

    depth = 1
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to walk up the callers
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__")):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, ScheduleWarning, stacklevel=depth + 1)


def _is_ours(module: object) -> bool:
    return isinstance(module, str) and module.startswith("num_agents.")

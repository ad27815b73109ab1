"""Values in error messages."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeVar

    T = TypeVar("T")


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

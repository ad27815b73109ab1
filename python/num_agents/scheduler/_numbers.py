"""Numbers of other libraries, by protocol: an object with `__index__` is an integer."""

from __future__ import annotations

from operator import index

from num_agents.scheduler._messages import show


def scalar_kind(value: object) -> str | None:
    """NumPy's letter for a scalar: "f" float, "i" and "u" integer, "m" span, "M" moment.

    None if it is not a NumPy scalar.
    """
    if getattr(value, "ndim", None) != 0:
        return None
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    return kind if isinstance(kind, str) else None


def integer(
    value: object, argument: str, least: int, greatest: int, *, expected: str | None = None
) -> int:
    """An integer within bounds, both included.

    Args:
        value: An int, or what `operator.index` converts to one.
        argument: Its name, for the message.
        least: The lower bound.
        greatest: The upper bound.
        expected: What the message says it must be, instead of the bounds.

    Raises:
        TypeError: It is not an integer, or it is a bool.
        ValueError: It is out of bounds.
    """
    if isinstance(value, bool):
        raise TypeError(f"{argument} must be {expected or 'an integer'}, got {show(value)}")
    try:
        number = index(value)  # type: ignore[arg-type]  # raises if it is none
    except TypeError:
        raise TypeError(
            f"{argument} must be {expected or 'an integer'}, got {show(value)}"
        ) from None
    if not least <= number <= greatest:
        bounds = expected or f"from {least:,} to {greatest:,}"
        raise ValueError(f"{argument} must be {bounds}, got {show(value)}")
    return number

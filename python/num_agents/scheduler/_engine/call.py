"""What a task calls."""

from __future__ import annotations

from num_agents.scheduler import _native
from num_agents.scheduler.task import checked_callback, checked_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from num_agents.scheduler._engine.options import AnyOptions

Call = _native.Call


def new_call(name: str, callback: Callable[..., Any]) -> Call:
    """The call of a task without options, checked.

    Raises:
        TypeError: The name is no string, or the callback cannot be called.
    """
    return Call(checked_name(name), checked_callback(callback))


def call_of(
    name: str,
    callback: Callable[..., Any],
    kwargs: dict[str, Any] | None,
    options: AnyOptions | None,
) -> Call:
    """The call of a task whose name, callback and keyword arguments have been checked."""
    is_special = options is not None and (options.context is not None or options.known is not None)
    return Call(name, callback, kwargs or None, options, is_special=is_special)

"""What a task calls."""

from __future__ import annotations

from num_agents.scheduler.task import checked_callback, checked_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler._engine.options import AnyOptions


def check_call(name: object, callback: object) -> None:
    """Checks the name and the callback of a task; called by the extension module.

    Raises:
        TypeError: The name is no string, or the callback cannot be called.
    """
    checked_name(name)
    checked_callback(callback)


def is_special(options: AnyOptions | None) -> bool:
    """Whether runs of a task need more than a call with arguments: see `Runs.run`."""
    return options is not None and (options.context is not None or options.known is not None)

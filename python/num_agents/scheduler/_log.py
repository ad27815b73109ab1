"""The library's logger, imported when there is something to log: `logging` takes 5 ms to load.

Losses are logged as WARNING, failures as ERROR, starting and stopping as INFO, and skipped
occurrences as DEBUG. A record about a task carries `task_id` and `task_name`.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logging import Logger
    from typing import Literal

    Level = Literal["debug", "info", "warning", "error"]


@cache
def logger() -> Logger:
    """The logger `num_agents.scheduler`, silent unless the program configures logging."""
    import logging  # noqa: PLC0415 - that is the point

    found = logging.getLogger("num_agents.scheduler")
    found.addHandler(logging.NullHandler())
    return found


def log(
    level: Level,
    message: str,
    *values: object,
    task_id: str | None = None,
    task_name: str | None = None,
    error: BaseException | None = None,
) -> None:
    """Logs a message. A broken handler or filter does no harm.

    Args:
        level: How much it matters.
        message: With a `%` for each value.
        values: What the message speaks of.
        task_id: The task that it is about, if any.
        task_name: Its name.
        error: What was raised.
    """
    extra = None if task_id is None else {"task_id": task_id, "task_name": task_name}
    with suppress(BaseException):
        # `getattr`, so that the level costs nothing until logging is loaded.
        getattr(logger(), level)(message, *values, extra=extra, exc_info=error)


def is_heard(level: Level) -> bool:
    """Whether any handler would get a message: for messages that may be very frequent.

    Args:
        level: Its level.
    """
    import logging  # noqa: PLC0415 - see above

    found: Logger | None = logger()
    if found is None or not found.isEnabledFor(getattr(logging, level.upper())):
        return False
    while found is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in found.handlers):
            return True
        found = found.parent if found.propagate else None
    return False


def contain(message: str, *details: object) -> None:
    """Logs the exception that is being handled, which must not end a worker.

    Raises:
        KeyboardInterrupt: It is one, and this is the main thread: it is meant for the program.
    """
    from threading import current_thread, main_thread  # noqa: PLC0415 - only failures ask

    error = sys.exception()
    # Not `isinstance`: that asks the exception, which may raise.
    is_interrupt = issubclass(type(error), KeyboardInterrupt)
    if error is not None and is_interrupt and current_thread() is main_thread():
        raise error
    log("error", message, *details, error=error)

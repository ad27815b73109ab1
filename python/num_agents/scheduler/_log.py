"""The library's logger, imported when there is something to say: logging takes 5 ms to load."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logging import Logger


@cache
def logger() -> Logger:
    """The logger `num_agents.scheduler`, silent unless the program configures logging."""
    import logging  # noqa: PLC0415 - that is the point

    found = logging.getLogger("num_agents.scheduler")
    found.addHandler(logging.NullHandler())
    return found


def contain(message: str, *details: object) -> None:
    """Logs the exception that is being handled, which must not end the thread that runs tasks.

    Raises:
        KeyboardInterrupt: That is what it is, in the main thread: there it means the program.
    """
    from threading import current_thread, main_thread  # noqa: PLC0415 - only failures ask

    error = sys.exception()
    if isinstance(error, KeyboardInterrupt) and current_thread() is main_thread():
        raise error
    # A broken log must not do the harm that is to be contained.
    with suppress(BaseException):
        logger().exception(message, *details)

"""The library's logger, imported when there is something to say: logging takes 5 ms to load."""

from __future__ import annotations

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

"""Where the command `num-agents-scheduler` begins: before everything else is imported."""

from __future__ import annotations

import os
import signal

# `typing` is slow to import, and only checkers need it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

EXIT_INTERRUPTED = 130


def main() -> int:
    """Run the command line of the scheduler; return the exit code."""
    handler = signal.getsignal(signal.SIGINT)
    # A process in the background may ignore the signal, and goes on ignoring it.
    is_python = handler is signal.default_int_handler
    if is_python:
        signal.signal(signal.SIGINT, _end)
    from num_agents.scheduler.cli import main as run  # noqa: PLC0415 - see above

    if is_python:
        signal.signal(signal.SIGINT, handler)
    return run()


def _end(*_: object) -> NoReturn:
    """End the process with one line.

    A `KeyboardInterrupt` while modules are imported would be a long traceback, or be ignored if it
    is raised in a callback of the import system.
    """
    os.write(2, b"interrupted\n")
    os._exit(EXIT_INTERRUPTED)

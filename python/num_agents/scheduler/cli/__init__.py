"""The command line: ``num-agents-scheduler`` and ``python -m num_agents.scheduler``.

A command is one line of `COMMANDS` and a module with ``add_arguments(parser)`` and
``run(namespace) -> exit code``. Only the module of the command that is run is imported.

Exit codes: 0, every promise held; 1, one did not; 2, the command could not be run as asked
(arguments, files, a missing extra); 130, interrupted from the keyboard.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import sys
from typing import TYPE_CHECKING, Protocol, cast

from num_agents.scheduler.cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "num-agents-scheduler"

EXIT_CANNOT_RUN = 2
EXIT_INTERRUPTED = 130

COMMANDS = {
    # name: (module, what `--help` says of it)
    "demo": ("demo", "schedule a million tasks, cancel some, run the rest, check every promise"),
    "replay": ("replay", "replay a trace of arrivals, one task a row, and check every row"),
    "bench": ("bench", "measure this scheduler and its peers on this machine"),
    # A module `next` in this package would hide the function of that name from the code below.
    "next": ("upcoming", "say in words and times when a cron expression fires"),
    "forecast": ("forecast", "count what a crontab or a list of schedules will run, and when"),
}


class _Command(Protocol):
    """What the module of a command offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, namespace: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments without the program's name; by default the process's own.

    Returns:
        The exit code. Wrong arguments, ``--help`` and ``--version`` leave by `SystemExit`, as
        argparse does.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    parser, command = _parser(words)
    namespace = parser.parse_args(words)
    if command is None:
        parser.error("name a command: " + ", ".join(COMMANDS))
    try:
        code = command.run(namespace)
        sys.stdout.flush()
    except CommandError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line prints
        return EXIT_CANNOT_RUN
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201 - a command line prints
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has left. Without this the interpreter complains once more when it
        # flushes standard output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser(words: Sequence[str]) -> tuple[argparse.ArgumentParser, _Command | None]:
    """Build the parser, with the arguments of the command that `words` name and no other's."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="A task scheduler for Python agents with a Rust core.",
    )
    version = importlib.metadata.version(PROGRAM)
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {version}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    # No option before the command takes a value, so the first word that is no option names it.
    chosen = next((word for word in words if not word.startswith("-")), None)
    command: _Command | None = None
    for name, (module, words_of_help) in COMMANDS.items():
        subparser = commands.add_parser(name, help=words_of_help, description=words_of_help)
        if name == chosen:
            command = cast("_Command", importlib.import_module(f"{__name__}.{module}"))
            command.add_arguments(subparser)
    return parser, command

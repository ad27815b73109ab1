"""The command line: ``num-agents-scheduler`` and ``python -m num_agents.scheduler``.

A command is one line of `COMMANDS` and a module with ``add_arguments(parser)`` and
``run(namespace) -> exit code``. Only the module of the command that is run is imported.

Exit codes: 0, the command did its work, and every promise held; 1, a promise was broken; 2, the
command could not be run as asked, or its output could not be written (arguments, files, a missing
extra, a full disk); 130, interrupted from the keyboard; 141, the reader of the output closed it, as
`head` does.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import importlib.metadata
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast

from num_agents.scheduler.cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "num-agents-scheduler"

EXIT_CANNOT_RUN = 2
EXIT_INTERRUPTED = 130
# As a shell says of a process that a broken pipe ended: 128 and the number of SIGPIPE.
EXIT_PIPE_CLOSED = 141

# What `OSError.errno` says if there is no room for what is written.
NO_ROOM = frozenset((errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)))

COMMANDS = {
    # name: (module, what `--help` says of it)
    "demo": (
        "demo",
        "schedule a million tasks, cancel some, run the rest, and check every promise",
    ),
    "replay": ("replay", "run one task for each row of a trace of arrivals, and check each"),
    "bench": ("bench", "measure this scheduler and others on this machine"),
    # A module `next` in this package would hide the function of that name from the code below.
    "next": ("upcoming", "show when a cron expression fires, in words and as times"),
    "forecast": ("forecast", "count what a crontab or a list of schedules will run, and when"),
}


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage that fills a small window."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_CANNOT_RUN, f"{self.prog}: error: {message}\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        # That of argparse ignores a full disk.
        if message:
            (sys.stderr if file is None else file).write(message)


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
    if sys.stdout is None or sys.stderr is None:
        # The parent process closed it: there is nowhere to print to.
        return _fail("standard output is closed")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A name that a terminal cannot show must not end the command.
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            return _run(list(sys.argv[1:] if argv is None else argv))
        finally:
            # Here and not at the interpreter's exit, where nobody could handle an error.
            sys.stdout.flush()
    except CommandError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        _discard_output()
        return EXIT_PIPE_CLOSED
    except OSError as error:
        _discard_output()
        problem = "cannot write the output: " if error.errno in NO_ROOM else ""
        return _fail(f"{PROGRAM}: {problem}{error.strerror or error}")


def _run(words: Sequence[str]) -> int:
    parser, command = _parser(words)
    namespace = parser.parse_args(words)
    if command is None:
        parser.error("name a command: " + ", ".join(COMMANDS))
    return command.run(namespace)


def _fail(reason: str, code: int = EXIT_CANNOT_RUN) -> int:
    """Print a line on standard error, if that is possible, and return the exit code."""
    with suppress(OSError, AttributeError):
        sys.stderr.write(reason + "\n")
        sys.stderr.flush()
    return code


def _discard_output() -> None:
    """Keep the interpreter from writing to standard output, and failing once more, at its exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser(words: Sequence[str]) -> tuple[argparse.ArgumentParser, _Command | None]:
    """Build the parser, with the arguments of the command that `words` name and of no other."""
    parser = _Parser(
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

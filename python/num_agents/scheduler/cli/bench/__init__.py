"""`num-agents-scheduler bench`: this scheduler beside others that are installed on the machine."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.arguments import count
from num_agents.scheduler.cli.bench import layout
from num_agents.scheduler.cli.bench.adapters import PEERS, load
from num_agents.scheduler.cli.bench.plan import Plan
from num_agents.scheduler.cli.bench.report import Report, Sample
from num_agents.scheduler.cli.bench.runner import run_bench
from num_agents.scheduler.cli.bench.workloads import WORKLOADS
from num_agents.scheduler.cli.errors import CommandError, import_with_extra
from num_agents.scheduler.cli.text import is_ascii_only, width_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

__all__ = [
    "Plan",
    "Report",
    "Sample",
    "add_arguments",
    "add_selection",
    "measure",
    "names_of",
    "positive",
    "quick",
    "run",
    "run_bench",
    "show",
]

# A parser of a whole number above zero, for argparse; `1_000_000` and `1e6` are accepted.
positive = count(at_least=1, at_most=100_000_000)

DEFAULT_TASKS = 100_000
DEFAULT_ROUNDS = 3
QUICK_TASKS = 2_000


def names_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    """A parser of comma-separated names out of `known`, for argparse."""
    order = list(known)

    def parse(text: str) -> list[str]:
        names = {name.strip() for name in text.split(",") if name.strip()}
        unknown = sorted(names.difference(order))
        if unknown or not names:
            msg = f"unknown: {', '.join(unknown) or repr(text)} (known: {', '.join(order)})"
            raise argparse.ArgumentTypeError(msg)
        return [name for name in order if name in names]

    return parse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that `run` reads."""
    parser.add_argument(
        "--tasks",
        type=positive,
        default=DEFAULT_TASKS,
        metavar="N",
        help=f"how many tasks are pending or due in each workload, such as 50000 or 1e6 (default"
        f" {DEFAULT_TASKS:,})",
    )
    parser.add_argument(
        "--rounds",
        type=positive,
        default=DEFAULT_ROUNDS,
        metavar="N",
        help=f"how many samples of each figure (default {DEFAULT_ROUNDS})",
    )
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="also save every sample in this file, as JSON"
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON instead of text, and no progress"
    )
    add_selection(parser)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that select peers, versions and workloads."""
    parser.add_argument(
        "--peers",
        type=names_of(PEERS),
        default=list(PEERS),
        metavar="A,B",
        help=f"which of: {', '.join(PEERS)} (default: all that are installed)",
    )
    parser.add_argument(
        "--workloads",
        type=names_of(WORKLOADS),
        default=list(WORKLOADS),
        metavar="A,B",
        help=f"which of: {', '.join(WORKLOADS)} (default: all)",
    )
    parser.add_argument(
        "--before",
        type=Path,
        metavar="PYTHON",
        help="also measure another version of this package, the one that this interpreter imports;"
        " its samples are taken in turn with ours",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round with few tasks, to see whether it works; the figures mean little",
    )


def quick(plan: Plan) -> Plan:
    """The same plan with few tasks and one round; its figures mean little."""
    return replace(
        plan,
        sizes=(min(QUICK_TASKS, *plan.sizes),),
        rounds=1,
        lateness_s=1.0,
        recurring_s=1.0,
        is_growth=False,
    )


def measure(
    plan: Plan, save_to: Path | None, *, quietly: bool = False, earlier: Report | None = None
) -> Report:
    """Measures, and saves after each sample.

    Args:
        plan: What to measure.
        save_to: The file to save to; None for none.
        quietly: Show no progress on standard error.
        earlier: An interrupted run of the same plan, which is continued.

    Raises:
        CommandError: The file cannot be written.
    """

    def after_sample(report: Report) -> None:
        if save_to is not None:
            try:
                report.save(save_to)
            except OSError as error:
                raise CommandError(f"{save_to}: {error.strerror}") from error

    if save_to is not None:
        _check_folder(save_to)
    progress = None if quietly else _view().Progress()
    with nullcontext() if progress is None else progress:
        return run_bench(
            plan,
            before_sample=None if progress is None else progress.update,
            after_sample=after_sample,
            earlier=earlier,
        )


def show(report: Report) -> None:
    """Prints the tables."""
    lines = layout.report_lines(
        report, width=width_of(sys.stdout), ascii_only=is_ascii_only(sys.stdout)
    )
    _view().show(lines)


def _check_folder(path: Path) -> None:
    """Refuses a file that cannot be written, before anything is measured.

    Raises:
        CommandError: The message says why.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


def _view() -> ModuleType:
    """What shows progress and tables: with rich if it is installed, and plainly if not."""
    try:
        return import_with_extra(f"{__name__}.terminal", package="rich", extra="cli")
    except CommandError:
        return layout


def run(namespace: argparse.Namespace) -> int:
    """Measures and prints; returns the exit status.

    Raises:
        CommandError: The file to save to cannot be written, or no selected peer is installed.
    """
    if all(load(peer) is None for peer in namespace.peers):
        raise CommandError(f"not installed: {', '.join(namespace.peers)}")
    plan = Plan(
        peers=namespace.peers,
        workloads=namespace.workloads,
        sizes=(namespace.tasks,),
        rounds=namespace.rounds,
        lateness_s=3.0,
        recurring_s=3.0,
        before=namespace.before,
    )
    if namespace.quick:
        plan = quick(plan)
    report = measure(plan, namespace.save, quietly=namespace.json)
    if namespace.json:
        sys.stdout.write(report.to_json())
    else:
        show(report)
    return 0

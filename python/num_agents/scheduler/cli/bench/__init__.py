"""`num-agents-scheduler bench`: this scheduler beside the peers installed on the machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.bench.adapters import PEERS
from num_agents.scheduler.cli.bench.report import Report, Sample
from num_agents.scheduler.cli.bench.runner import Plan, run_bench
from num_agents.scheduler.cli.bench.workloads import WORKLOADS
from num_agents.scheduler.cli.errors import import_with_extra

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


def positive(text: str) -> int:
    """A parser of a whole number above zero, for argparse; `1_000_000` is accepted."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        msg = f"not a whole number above zero: {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that `run` reads."""
    parser.add_argument(
        "--tasks",
        type=positive,
        default=DEFAULT_TASKS,
        help=f"tasks pending or due in each workload (default {DEFAULT_TASKS:,})",
    )
    parser.add_argument(
        "--rounds",
        type=positive,
        default=DEFAULT_ROUNDS,
        help=f"samples of each figure (default {DEFAULT_ROUNDS})",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also save every sample")
    add_selection(parser)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that say which peers and workloads."""
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
        "--quick",
        action="store_true",
        help="one round with few tasks: whether it works, not how fast it is",
    )


def quick(plan: Plan) -> Plan:
    """The same plan cut short; its figures are not worth keeping."""
    return Plan(
        peers=plan.peers,
        workloads=plan.workloads,
        sizes=(min(QUICK_TASKS, *plan.sizes),),
        rounds=1,
        lateness_s=1.0,
        recurring_s=1.0,
    )


def measure(plan: Plan, save_to: Path | None) -> Report:
    """Measures with progress on standard error; saves after each sample.

    Raises:
        CommandError: rich is not installed.
    """
    progress = _terminal().Progress()

    def after_sample(report: Report) -> None:
        if save_to is not None:
            report.save(save_to)

    with progress:
        return run_bench(plan, before_sample=progress.update, after_sample=after_sample)


def show(report: Report) -> None:
    """Prints the tables.

    Raises:
        CommandError: rich is not installed.
    """
    _terminal().show(report)


def _terminal() -> ModuleType:
    return import_with_extra(f"{__name__}.terminal", package="rich", extra="cli")


def run(namespace: argparse.Namespace) -> int:
    """Measures and prints; returns the exit status.

    Raises:
        CommandError: rich is not installed.
    """
    plan = Plan(
        peers=namespace.peers,
        workloads=namespace.workloads,
        sizes=(namespace.tasks,),
        rounds=namespace.rounds,
        lateness_s=3.0,
        recurring_s=3.0,
    )
    show(measure(quick(plan) if namespace.quick else plan, namespace.json))
    return 0

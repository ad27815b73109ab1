"""`python -m benches.versus run | table | plot`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from num_agents.scheduler.cli.bench import (
    Plan,
    Report,
    add_selection,
    measure,
    positive,
    quick,
    show,
)
from num_agents.scheduler.cli.bench.table import markdown
from num_agents.scheduler.cli.errors import CommandError, import_with_extra

DEFAULT_OUT = Path(__file__).parents[1] / "results" / "versus.json"


def sizes(text: str) -> list[int]:
    """A parser of comma-separated sizes."""
    return sorted({positive(part) for part in text.split(",")})


def run(namespace: argparse.Namespace) -> int:
    plan = Plan(
        peers=namespace.peers,
        workloads=namespace.workloads,
        sizes=namespace.tasks,
        rounds=namespace.rounds,
    )
    report = measure(quick(plan) if namespace.quick else plan, namespace.out)
    show(report)
    print(f"saved: {namespace.out}", file=sys.stderr)
    return 0


def table(namespace: argparse.Namespace) -> int:
    report = Report.load(namespace.file)
    if namespace.markdown:
        print(markdown(report), end="")
        return 0
    show(report)
    return 0


def plot(namespace: argparse.Namespace) -> int:
    drawing = import_with_extra("benches.versus.plot", package="matplotlib", extra="plot")
    drawing.draw(Report.load(namespace.file), namespace.image)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benches.versus", description=__doc__)
    commands = parser.add_subparsers(required=True)

    run_parser = commands.add_parser("run", help="measure, save and print")
    run_parser.add_argument("--rounds", type=positive, default=5, help="samples of each figure")
    run_parser.add_argument(
        "--tasks",
        type=sizes,
        default=[100_000, 1_000_000],
        metavar="N,M",
        help="sizes; what costs much is measured at the largest only (default 100000,1000000)",
    )
    run_parser.add_argument(
        "--out",
        type=Path,
        default=DEFAULT_OUT,
        metavar="FILE",
        help="where to save, after each sample",
    )
    add_selection(run_parser)
    run_parser.set_defaults(command=run)

    table_parser = commands.add_parser("table", help="print what was saved")
    table_parser.add_argument("file", type=Path)
    table_parser.add_argument("--markdown", action="store_true")
    table_parser.set_defaults(command=table)

    plot_parser = commands.add_parser("plot", help="draw what was saved")
    plot_parser.add_argument("file", type=Path)
    plot_parser.add_argument("image", type=Path, help="the suffix says the format: .svg, .png")
    plot_parser.set_defaults(command=plot)

    namespace = parser.parse_args()
    try:
        status: int = namespace.command(namespace)
    except CommandError as error:
        print(error, file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())

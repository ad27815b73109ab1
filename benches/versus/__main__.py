"""`python -m benches.versus run | table | plot | publish`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benches.versus import growth
from benches.versus.publish import headlines, publish
from num_agents.scheduler.cli.arguments import number
from num_agents.scheduler.cli.bench import (
    Plan,
    Report,
    add_selection,
    measure,
    positive,
    quick,
    show,
)
from num_agents.scheduler.cli.bench.adapters import BEFORE, OURS
from num_agents.scheduler.cli.bench.plan import GROWTH_SIZES, SAMPLE_TIMEOUT_S
from num_agents.scheduler.cli.bench.table import markdown, markdown_rows
from num_agents.scheduler.cli.errors import CommandError, import_with_extra
from num_agents.scheduler.cli.text import table as text_table

RESULTS = Path(__file__).parents[1] / "results"
VERSUS_OUT = RESULTS / "versus.json"
GROWTH_OUT = RESULTS / "growth.json"
VERSUS_SIZES = (100_000, 1_000_000)
VERSUS_ROUNDS = 5
# At ten million tasks a peer would take minutes a sample, and all of them together a day.
GROWTH_LIMIT_S = 120.0
GROWTH_LATENESS_S = 5.0
GROWTH_RECURRING_S = 3.0


def sizes(text: str) -> list[int]:
    """A parser of comma-separated sizes."""
    return sorted({positive(part) for part in text.split(",")})


def plan_of(namespace: argparse.Namespace) -> Plan:
    """What the arguments of `run` ask for."""
    if namespace.growth:
        plan = Plan(
            peers=namespace.peers,
            workloads=namespace.workloads,
            sizes=namespace.tasks or GROWTH_SIZES,
            rounds=namespace.rounds or 1,
            lateness_s=GROWTH_LATENESS_S,
            recurring_s=GROWTH_RECURRING_S,
            before=namespace.before,
            is_growth=True,
            sample_limit_s=namespace.limit or GROWTH_LIMIT_S,
        )
    else:
        plan = Plan(
            peers=namespace.peers,
            workloads=namespace.workloads,
            sizes=namespace.tasks or VERSUS_SIZES,
            rounds=namespace.rounds or VERSUS_ROUNDS,
            before=namespace.before,
            sample_limit_s=namespace.limit or SAMPLE_TIMEOUT_S,
        )
    return quick(plan) if namespace.quick else plan


def run(namespace: argparse.Namespace) -> int:
    out = namespace.out or (GROWTH_OUT if namespace.growth else VERSUS_OUT)
    earlier = load(out) if namespace.resume and out.exists() else None
    report = measure(plan_of(namespace), out, earlier=earlier)
    show(report)
    print(f"saved: {out}", file=sys.stderr)
    return 0


def load(path: Path) -> Report:
    """Reads a report.

    Raises:
        CommandError: The file is missing, or holds no report.
    """
    try:
        return Report.load(path)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise CommandError(f"{path}: not a report: {error}") from error


def table(namespace: argparse.Namespace) -> int:
    report = load(namespace.file)
    if namespace.growth:
        for peer in (OURS, BEFORE):
            found = growth.growth_table(report, peer)
            if found.rows:
                right = range(1, len(found.header))
                lines = (
                    markdown_rows(found)
                    if namespace.markdown
                    else text_table(found.header, found.rows, right=right)
                )
                print("\n".join([f"{found.title}.", "", *lines, ""]))
        return 0
    if namespace.markdown:
        print(markdown(report), end="")
        return 0
    show(report)
    return 0


def plot(namespace: argparse.Namespace) -> int:
    module = "growth_plot" if namespace.growth else "plot"
    drawing = import_with_extra(f"benches.versus.{module}", package="matplotlib", extra="plot")
    report = load(namespace.file)
    if namespace.growth:
        drawing.draw(report, namespace.image)
        return 0
    try:
        drawing.draw(report, namespace.image, namespace.topic)
    except ValueError as error:
        raise CommandError(f"{namespace.file}: {error}") from error
    return 0


def publish_saved(namespace: argparse.Namespace) -> int:
    versus = load(namespace.versus) if namespace.versus.exists() else None
    grown = load(namespace.growth) if namespace.growth.exists() else None
    if versus is None and grown is None:
        raise CommandError(f"neither {namespace.versus} nor {namespace.growth} is there")
    for path in publish(versus, grown):
        print(f"written: {path}")
    if versus is not None:
        print("stated in words in README.md, to be corrected by hand:")
        for line in headlines(versus):
            print(f"  {line}")
    return 0


def add_run(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `run`."""
    parser.add_argument(
        "--growth",
        action="store_true",
        help="every workload at every size, to see how costs grow; one round with a time limit",
    )
    parser.add_argument(
        "--rounds",
        type=positive,
        metavar="N",
        help=f"samples of each figure (default {VERSUS_ROUNDS}, with --growth 1)",
    )
    parser.add_argument(
        "--tasks",
        type=sizes,
        metavar="N,M",
        help="sizes; without --growth what costs much is measured at the largest only (default"
        f" {','.join(map(str, VERSUS_SIZES))}, with --growth {','.join(map(str, GROWTH_SIZES))})",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where to save, after each sample (default benches/results/versus.json, or"
        " growth.json)",
    )
    parser.add_argument(
        "--limit",
        type=number(above=0),
        metavar="SECONDS",
        help="give a sample up that takes longer, and with it that peer at larger sizes (default"
        f" {SAMPLE_TIMEOUT_S:g}, with --growth {GROWTH_LIMIT_S:g})",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="keep the samples that --out has already, and take only the others",
    )
    add_selection(parser)
    parser.set_defaults(command=run)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benches.versus", description=__doc__)
    commands = parser.add_subparsers(required=True)
    add_run(commands.add_parser("run", help="measure, save and print"))

    table_parser = commands.add_parser("table", help="print what was saved")
    table_parser.add_argument("file", type=Path)
    table_parser.add_argument("--markdown", action="store_true")
    table_parser.add_argument("--growth", action="store_true", help="costs by size, ours")
    table_parser.set_defaults(command=table)

    plot_parser = commands.add_parser("plot", help="draw what was saved")
    plot_parser.add_argument("file", type=Path)
    plot_parser.add_argument("image", type=Path, help="the suffix says the format: .svg, .png")
    plot_parser.add_argument("--growth", action="store_true", help="costs by size, all peers")
    plot_parser.add_argument(
        "--topic",
        choices=("versus", "options"),
        default="versus",
        help="plain tasks (the default), or tasks with options",
    )
    plot_parser.set_defaults(command=plot)

    publish_parser = commands.add_parser(
        "publish", help="put what was saved into README.md, benches/README.md and docs"
    )
    publish_parser.add_argument("--versus", type=Path, default=VERSUS_OUT, metavar="FILE")
    publish_parser.add_argument("--growth", type=Path, default=GROWTH_OUT, metavar="FILE")
    publish_parser.set_defaults(command=publish_saved)

    namespace = parser.parse_args()
    try:
        status: int = namespace.command(namespace)
    except CommandError as error:
        print(error, file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())

"""Puts saved figures where they are shown: the pictures in `docs`, and tables in both READMEs.

A table stands between two comments of Markdown, `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
What is between them is replaced, and nothing else.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benches.versus.growth import growth_table
from num_agents.scheduler.cli.bench.adapters import BEFORE, OURS
from num_agents.scheduler.cli.bench.report import summarize
from num_agents.scheduler.cli.bench.summary import CANNOT, cell, summary
from num_agents.scheduler.cli.bench.table import NONE, caption, count, markdown_rows, number
from num_agents.scheduler.cli.bench.workloads import WORKLOADS
from num_agents.scheduler.cli.errors import CommandError, import_with_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from num_agents.scheduler.cli.bench.report import Report

ROOT = Path(__file__).parents[2]
TEXT_WIDTH = 105


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the README's table."""

    text: str
    """What was measured; `{size}` becomes the number of tasks."""
    workload: str
    metric: str
    scale: float = 1.0
    """What the figure is multiplied by."""


ROWS = (
    Row("schedule one, {size} pending (ns)", "schedule", "ns_per_task"),
    Row("with a keyword argument (ns)", "schedule_kwargs", "ns_per_task"),
    Row("with a keyword argument, memory (bytes)", "schedule_kwargs", "bytes_per_task"),
    Row("at a moment (ns)", "schedule_moment", "ns_per_task"),
    Row("by interval (ns)", "schedule_interval", "ns_per_task"),
    Row("by cron (ns)", "schedule_cron", "ns_per_task"),
    Row("with all options (ns)", "schedule_all", "ns_per_task"),
    Row("with all options, memory (bytes)", "schedule_all", "bytes_per_task"),
    Row("schedule many, each (ns)", "schedule_many", "ns_per_task"),
    Row("schedule many with all options, each (ns)", "schedule_many_all", "ns_per_task"),
    Row("cancel one, random order (ns)", "cancel", "ns_per_task"),
    Row("run what is due (tasks a second)", "fire", "tasks_per_s"),
    Row("the same, somebody waiting (tasks a second)", "fire_awaited", "tasks_per_s"),
    Row("schedule and cancel (pairs a second)", "churn", "pairs_per_s"),
    Row("memory of a pending task (bytes)", "memory", "bytes_per_task"),
    Row("memory left by a cancelled one (bytes)", "memory_cancelled", "left_bytes_per_task"),
    Row("lateness, 1,000 tasks a second, p99 (ms)", "lateness", "p99_us", 1e-3),
    Row("recurring each second, CPU a run (µs)", "recurring", "cpu_us_per_run"),
    Row("spread over the second, CPU a run (µs)", "recurring_spread", "cpu_us_per_run"),
    Row("the same, up to 1 ms late (µs)", "recurring_slack", "cpu_us_per_run"),
    Row("full garbage collection (ms)", "collection", "pause_ms"),
    Row("the same, recurring with tags and kwargs (ms)", "collection_recurring", "pause_ms"),
)
COLUMNS = {
    OURS: "this",
    "asyncio": "asyncio",
    "uvloop": "uvloop",
    "heapq-thread": "heap and thread",
    "apscheduler": "APScheduler 3",
}


def replace_between(text: str, name: str, lines: list[str]) -> str:
    """Puts lines in the place called `name`.

    Raises:
        CommandError: The place is missing, or there twice.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise CommandError(f"the text needs {begin} and {end}, once each and in this order")
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return "\n".join([before + begin, *lines, end + after])


def _cell(report: Report, row: Row, peer: str) -> str:
    workload = WORKLOADS[row.workload]
    metric = next(one for one in workload.metrics if one.name == row.metric)
    size = report.sizes(row.workload)[-1]
    summarized = summarize(report.select(row.workload, size, peer), row.metric)
    if summarized is not None and row.scale != 1.0:
        return number(summarized.median * row.scale)
    found = cell(report, workload, metric, size, peer)
    # The text below the table says with how many tasks a peer was measured.
    return "" if found in {CANNOT, NONE} else found.partition(" (at ")[0]


def readme_lines(report: Report) -> Iterator[str]:
    """The README's table of figures, with what it was measured on."""
    facts = report.machine
    python = str(facts["python"]).rpartition(".")[0]
    rounds = report.settings["rounds"]
    text = (
        f"{facts['processor']}, {facts['cores']} cores, {python}, {facts['system']}; a shared"
        f" machine, so figures vary by a fifth. Rounds: {rounds}, of which the median is shown;"
        " each sample has a process of its own, and the peers take turns. Empty: there is no such"
        " option."
    )
    yield from textwrap.wrap(text, TEXT_WIDTH)
    yield ""
    peers = [name for name in COLUMNS if any(peer.name == name for peer in report.peers)]
    yield "| | " + " | ".join(COLUMNS[name] for name in peers) + " |"
    yield "|" + " --- |" * (len(peers) + 1)
    for row in ROWS:
        sizes = report.sizes(row.workload)
        if sizes:
            text = row.text.format(size=f"{sizes[-1]:,}")
            yield f"| {text} | " + " | ".join(_cell(report, row, name) for name in peers) + " |"


def _summary_lines(report: Report) -> list[str]:
    table = summary(report)
    return [*(f"- {line}" for line in caption(report)), "", *markdown_rows(table)]


def _growth_lines(report: Report) -> Iterator[str]:
    yield "![Cost of an operation over the number of tasks, beside the peers](../docs/growth.svg)"
    for peer in (OURS, BEFORE):
        table = growth_table(report, peer)
        if table.rows:
            yield from ("", f"{table.title}.", "", *markdown_rows(table))


def _write(path: Path, name: str, lines: list[str]) -> Path:
    text = path.read_text(encoding="utf-8")
    path.write_text(replace_between(text, name, ["", *lines, ""]), encoding="utf-8")
    return path


def publish(versus: Report | None, growth: Report | None, root: Path = ROOT) -> list[Path]:
    """Draws the pictures and writes the tables; returns the files that were written.

    Args:
        versus: A run beside the peers; None to leave its figures as they are.
        growth: A run over several sizes; None to leave its figures as they are.
        root: The folder of the project.

    Raises:
        CommandError: A README has no place for a table, or matplotlib is not installed.
    """
    written = []
    if versus is not None:
        drawing = import_with_extra("benches.versus.plot", package="matplotlib", extra="plot")
        for topic, name in (("versus", "versus.svg"), ("options", "versus-options.svg")):
            drawing.draw(versus, root / "docs" / name, topic)
            written.append(root / "docs" / name)
        options = "![Scheduling with options, beside other schedulers](docs/versus-options.svg)"
        written.append(_write(root / "README.md", "figures", [*readme_lines(versus), "", options]))
        written.append(_write(root / "benches/README.md", "versus", _summary_lines(versus)))
    if growth is not None:
        drawing = import_with_extra(
            "benches.versus.growth_plot", package="matplotlib", extra="plot"
        )
        drawing.draw(growth, root / "docs/growth.svg")
        written += [
            root / "docs/growth.svg",
            _write(root / "benches/README.md", "growth", list(_growth_lines(growth))),
        ]
    return list(dict.fromkeys(written))


def headlines(report: Report) -> Iterator[str]:
    """The figures that the README states in words: to be corrected by hand."""
    for name in ("schedule", "cancel", "fire"):
        workload = WORKLOADS[name]
        if report.sizes(name):
            size = report.sizes(name)[-1]
            metric = workload.metrics[0]
            figure = cell(report, workload, metric, size, OURS)
            yield f"{name}, {count(size)} tasks: {figure} {metric.unit}"

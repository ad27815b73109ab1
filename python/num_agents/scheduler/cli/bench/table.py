"""A report as tables of text, and those as Markdown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.bench.adapters import OURS
from num_agents.scheduler.cli.bench.report import Peer, Report, Sample, Summary, summarize
from num_agents.scheduler.cli.bench.workloads import WORKLOADS, Metric, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NONE = "—"
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Table:
    """One workload at one size, as text."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str]


def number(value: float) -> str:
    """Three significant digits, never an exponent: 0.0123, 12.3, 1,230, 123,000, 1.23 M."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) >= MILLION:
        return f"{number(value / MILLION)} M"
    decimals = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, decimals):,.{max(0, decimals)}f}"


def count(value: int) -> str:
    """A number of tasks, short where it is round: 1 M, 100 k, 1,234."""
    for factor, letter in ((MILLION, "M"), (1_000, "k")):
        if value >= factor and value % factor == 0:
            return f"{value // factor} {letter}"
    return f"{value:,}"


def spread(summary: Summary | None) -> str:
    """Median and range: `1,230 (1,200-1,310)`."""
    if summary is None:
        return NONE
    if summary.count == 1 or summary.minimum == summary.maximum:
        return number(summary.median)
    return f"{number(summary.median)} ({number(summary.minimum)}-{number(summary.maximum)})"


def ratio(metric: Metric, theirs: Summary, ours: Summary) -> float | None:
    """How many times better we are, by the medians; None if a median is not above 0."""
    if theirs.median <= 0 or ours.median <= 0:
        return None
    if metric.better == "lower":
        return theirs.median / ours.median
    return ours.median / theirs.median


def _ratio(metric: Metric, samples: Sequence[Sample], ours: Sequence[Sample]) -> str:
    theirs_summary, our_summary = summarize(samples, metric.name), summarize(ours, metric.name)
    if theirs_summary is None or our_summary is None:
        return NONE
    # Different numbers of tasks are different workloads.
    if samples[0].tasks != ours[0].tasks:
        return NONE
    value = ratio(metric, theirs_summary, our_summary)
    return NONE if value is None else f"{number(value)}x"


def _complaints(peer: Peer, samples: Sequence[Sample]) -> Iterator[str]:
    errors = {sample.error for sample in samples if sample.error is not None}
    for error in sorted(errors):
        yield f"{peer.name} failed: {error}"
    statuses = {sample.exit_status for sample in samples if sample.exit_status}
    for status in sorted(statuses):
        yield f"{peer.name}: the process ended with status {status} after the measurement"


def _table(report: Report, workload: Workload, size: int) -> Table:
    header = ["peer", workload.counted, "n"]
    header += [f"{metric.title}, {metric.unit}" for metric in workload.metrics]
    header.append("ours better")
    headline = workload.metrics[0]
    ours = report.select(workload.name, size, OURS)
    rows: list[tuple[float, list[str]]] = []
    notes: list[str] = []
    unable: dict[str, list[str]] = {}
    for peer in report.peers:
        samples = report.select(workload.name, size, peer.name)
        if peer.version is not None and workload.name in peer.unable:
            unable.setdefault(peer.unable[workload.name], []).append(peer.name)
        if not samples:
            continue
        notes.extend(_complaints(peer, samples))
        summary = summarize(samples, headline.name)
        if summary is None:
            continue
        cells = [peer.name, count(samples[0].tasks), str(summary.count)]
        cells += [spread(summarize(samples, metric.name)) for metric in workload.metrics]
        cells.append(NONE if peer.name == OURS else _ratio(headline, samples, ours))
        sign = 1 if headline.better == "lower" else -1
        rows.append((sign * summary.median, cells))
    notes += [f"{', '.join(names)}: {reason}" for reason, names in unable.items()]
    rows.sort(key=lambda row: row[0])
    title = f"{workload.title}: {count(size)} {workload.counted}"
    return Table(title, header, [cells for _, cells in rows], notes)


def tables(report: Report) -> list[Table]:
    """Every workload at every size, best peer first."""
    return [
        _table(report, workload, size)
        for workload in WORKLOADS.values()
        for size in report.sizes(workload.name)
    ]


def caption(report: Report) -> list[str]:
    """The machine, the peers and how to read the figures."""
    facts = report.machine
    gib = f", {facts['memory_bytes'] / 2**30:.0f} GiB" if facts.get("memory_bytes") else ""
    versions: dict[str, list[str]] = {}
    for peer in report.peers:
        if peer.version is not None:
            # Those of the standard library have Python's version and are named together.
            own = peer.version if peer.version.startswith("Python") else peer.name
            versions.setdefault(own, []).append(peer.name)
    known = {peer.name: peer.version for peer in report.peers}
    installed = [
        f"{', '.join(names)} of {own}" if own.startswith("Python") else f"{own} {known[own]}"
        for own, names in versions.items()
    ]
    absent = [peer.name for peer in report.peers if peer.version is None]
    lines = [
        f"{facts['processor']}, {facts['cores']} cores{gib}; "
        f"{facts['system']} {facts['kernel']}; {facts['python']}",
        "; ".join(installed),
        f"rounds: {report.settings['rounds']}; each of the n samples a process of its own, peers"
        " interleaved; median (least-greatest)",
    ]
    if absent:
        lines.append("not installed: " + ", ".join(absent))
    return lines


def remarks(report: Report) -> list[str]:
    """How the peers' uses differ."""
    return [remark for peer in report.peers if peer.version for remark in peer.remarks]


def markdown_rows(table: Table) -> list[str]:
    """The rows of a table and its header as lines of Markdown."""
    return [
        "| " + " | ".join(table.header) + " |",
        "|" + " --- |" + " ---: |" * (len(table.header) - 1),
        *("| " + " | ".join(cell.strip() for cell in row) + " |" for row in table.rows),
    ]


def markdown(report: Report) -> str:
    """The tables as Markdown."""
    lines = [*caption(report), ""]
    for table in tables(report):
        lines += [f"### {table.title}", "", *markdown_rows(table)]
        lines += ["", *(f"- {note}" for note in table.notes), ""]
    lines += [f"- {remark}" for remark in remarks(report)]
    return "\n".join(lines).rstrip() + "\n"

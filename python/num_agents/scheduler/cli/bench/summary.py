"""All workloads in one table: a row for each figure, a column for each peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from num_agents.scheduler.cli.bench.adapters import BEFORE, OURS
from num_agents.scheduler.cli.bench.report import summarize
from num_agents.scheduler.cli.bench.table import NONE, Table, count, number, ratio
from num_agents.scheduler.cli.bench.workloads import WORKLOADS

if TYPE_CHECKING:
    from num_agents.scheduler.cli.bench.report import Report
    from num_agents.scheduler.cli.bench.workloads import Metric, Workload

CANNOT = "cannot"
FAILED = "failed"
GAIN = "before / ours"


def summary(report: Report) -> Table:
    """Medians at the largest size of each workload; ours first, and the version before beside it.

    A figure that was measured with fewer tasks says with how many.
    """
    names = [peer.name for peer in report.peers if peer.version is not None]
    first = [name for name in (OURS, BEFORE) if name in names]
    names = [*first, *(name for name in names if name not in first)]
    gain = [GAIN] if first == [OURS, BEFORE] else []
    header = ["workload", "size", "unit", *first, *gain, *names[len(first) :]]
    rows: list[list[str]] = []
    for workload in WORKLOADS.values():
        sizes = report.sizes(workload.name)
        if not sizes:
            continue
        for metric in workload.metrics:
            cells = {name: cell(report, workload, metric, sizes[-1], name) for name in names}
            if gain:
                cells[GAIN] = _gain(report, workload, metric, sizes[-1])
            title = workload.name if metric is workload.metrics[0] else f"  {metric.title}"
            rows.append([title, count(sizes[-1]), metric.unit, *(cells[key] for key in header[3:])])
    return Table("All figures: medians at the largest size", header, rows, [])


def cell(report: Report, workload: Workload, metric: Metric, size: int, peer: str) -> str:
    """A peer's median, or why there is none."""
    samples = report.select(workload.name, size, peer)
    found = summarize(samples, metric.name)
    if found is not None:
        fewer = f" (at {count(samples[0].tasks)})" if samples[0].tasks != size else ""
        return number(found.median) + fewer
    if samples:
        return FAILED if any(not sample.timed_out for sample in samples) else "too slow"
    unable = next((one.unable for one in report.peers if one.name == peer), {})
    if workload.name in unable:
        return CANNOT
    # At its limit it was measured at a smaller size.
    for below in reversed([one for one in report.sizes(workload.name) if one < size]):
        smaller = summarize(report.select(workload.name, below, peer), metric.name)
        if smaller is not None:
            return f"{number(smaller.median)} (at {count(below)})"
    return NONE


def _gain(report: Report, workload: Workload, metric: Metric, size: int) -> str:
    ours, before = (
        summarize(report.select(workload.name, size, name), metric.name) for name in (OURS, BEFORE)
    )
    if ours is None or before is None:
        return NONE
    value = ratio(metric, before, ours)
    return NONE if value is None else f"{number(value)}x"

"""How the cost of an operation grows with the number of tasks: as a table and as points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.bench.report import summarize
from num_agents.scheduler.cli.bench.table import NONE, Table, count, number
from num_agents.scheduler.cli.bench.workloads import WORKLOADS

if TYPE_CHECKING:
    from num_agents.scheduler.cli.bench.report import Report
    from num_agents.scheduler.cli.bench.workloads import Metric, Workload

RATE_UNITS = {"tasks/s": "ns/task", "pairs/s": "ns/pair"}


@dataclass(frozen=True, slots=True)
class Point:
    """The cost of an operation at one size."""

    tasks: int
    cost: float


def cost_unit(metric: Metric) -> str:
    """The unit of a metric's cost: that of its inverse if it is a rate."""
    return RATE_UNITS.get(metric.unit, metric.unit)


def cost_of(metric: Metric, value: float) -> float:
    """The cost that a figure says: a rate becomes the time of one operation."""
    return 1e9 / value if metric.unit in RATE_UNITS else value


def points(report: Report, workload: Workload, peer: str) -> list[Point]:
    """A peer's costs by size, as far as it was measured; the first metric of the workload."""
    metric = workload.metrics[0]
    found = []
    for size in report.sizes(workload.name):
        samples = report.select(workload.name, size, peer)
        summary = summarize(samples, metric.name)
        if summary is not None and summary.median > 0:
            found.append(Point(samples[0].tasks, cost_of(metric, summary.median)))
    return found


def growth_table(report: Report, peer: str) -> Table:
    """A peer's costs: a row for each workload, a column for each size.

    The last column is the greatest cost over the least.
    """
    sizes = sorted({sample.size for sample in report.samples})
    header = ["workload", "unit", *map(count, sizes), "most / least"]
    rows = []
    for workload in WORKLOADS.values():
        costs = {point.tasks: point.cost for point in points(report, workload, peer)}
        if not costs:
            continue
        cells = [number(costs[size]) if size in costs else NONE for size in sizes]
        growth = number(max(costs.values()) / min(costs.values()))
        rows.append([workload.name, cost_unit(workload.metrics[0]), *cells, growth])
    return Table(f"Cost by number of tasks: {peer}", header, rows, [])

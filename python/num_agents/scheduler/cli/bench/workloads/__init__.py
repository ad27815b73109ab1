"""The workloads: what is timed, in which order, and what is left out of the time.

Each is measured in a process of its own with a fresh peer. Tasks that must not run during a
measurement are due between ten minutes and a day ahead, in random order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from num_agents.scheduler.cli.bench.workloads import (
    collecting,
    memory,
    options,
    recurring,
    running,
    scheduling,
)
from num_agents.scheduler.cli.bench.workloads.base import (
    Metric,
    Settings,
    Workload,
    no_operation,
    pending_delays,
)
from num_agents.scheduler.cli.bench.workloads.recurring import RECURRING_TASKS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "RECURRING_TASKS",
    "WORKLOADS",
    "Metric",
    "Settings",
    "Workload",
    "no_operation",
    "pending_delays",
]

WORKLOADS: Mapping[str, Workload] = {
    workload.name: workload
    for topic in (scheduling, options, running, recurring, memory, collecting)
    for workload in topic.WORKLOADS
}
"""Every workload by name, in the order in which they are shown."""

"""What to measure, in which order, and roughly how long it will take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.bench.adapters import BEFORE, OURS, PEERS, load
from num_agents.scheduler.cli.bench.report import Sample
from num_agents.scheduler.cli.bench.workloads import WORKLOADS, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from num_agents.scheduler.cli.bench.adapters import Adapter
    from num_agents.scheduler.cli.bench.report import Peer

SAMPLE_TIMEOUT_S = 600.0
GROWTH_SIZES = (10_000, 100_000, 1_000_000, 10_000_000)

# For the estimate: the start of an interpreter, and what preparing a task costs whoever the peer.
START_S = 0.3
PREPARE_US = 0.8
# The version before this one, where tasks have options, as many times as dear.
OPTIONS_FACTOR = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    peers: Sequence[str] = tuple(PEERS)
    workloads: Sequence[str] = tuple(WORKLOADS)
    sizes: Sequence[int] = (100_000,)
    rounds: int = 3
    lateness_s: float = 10.0
    recurring_s: float = 5.0
    before: Path | None = None
    """The interpreter of another version of this package, which is measured besides."""
    is_growth: bool = False
    """Whether every workload is measured at every size, instead of some at the largest only."""
    sample_limit_s: float = SAMPLE_TIMEOUT_S
    """A sample that takes longer is given up, and so is the peer at larger sizes."""

    def sizes_of(self, workload: Workload) -> list[int]:
        """The sizes of one workload, ascending."""
        if self.is_growth:
            return sorted(self.sizes)
        sizes = sorted({min(size, workload.task_limit or size) for size in self.sizes})
        return sizes if workload.sizes == "each" else sizes[-1:]

    def duration_s(self, workload: Workload) -> float:
        """How long a workload observes, in seconds, if it is one that does."""
        return self.lateness_s if workload.name == "lateness" else self.recurring_s

    def samples(self, peers: Sequence[Peer]) -> Iterator[Sample]:
        """The measurements in the order in which they are made, without values yet."""
        for round_ in range(self.rounds):
            turned = [*peers[round_ % len(peers) :], *peers[: round_ % len(peers)]]
            for name in self.workloads:
                workload = WORKLOADS[name]
                for size in self.sizes_of(workload):
                    for peer in turned:
                        adapter = load(OURS if peer.name == BEFORE else peer.name)
                        if adapter is None or peer.version is None or name in peer.unable:
                            continue
                        tasks = _limit(adapter, workload, size)
                        # Where a peer's limit is below the size before, it was measured there.
                        smaller = [below for below in self.sizes_of(workload) if below < size]
                        if smaller and tasks <= smaller[-1]:
                            continue
                        yield Sample(name, peer.name, size, tasks, round_)

    def estimated_s(self, sample: Sample) -> float:
        """Roughly how long a sample takes, in seconds, from known costs; good to a factor of 2."""
        workload = WORKLOADS[sample.workload]
        adapter = load(OURS if sample.peer == BEFORE else sample.peer)
        cost_us = PREPARE_US + (0.0 if adapter is None else adapter.cost_us)
        if sample.peer == BEFORE and workload.has_options:
            cost_us *= OPTIONS_FACTOR
        scheduling_s = cost_us * 1e-6 * sample.tasks * (1.0 + workload.passes)
        observing_s = 0.0
        if workload.observes:
            observing_s = self.duration_s(workload) + (adapter.lead_s if adapter else 0.0) + 1.0
        return min(START_S + scheduling_s + observing_s, self.sample_limit_s)


def _limit(adapter: type[Adapter], workload: Workload, size: int) -> int:
    limits = (adapter.task_limit, adapter.limits.get(workload.name))
    return min([size, *(limit for limit in limits if limit is not None)])

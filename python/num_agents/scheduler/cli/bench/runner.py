"""Measures the peers: each measurement in a process of its own, the peers interleaved.

Absolute figures drift with the machine from one minute to the next, so within a round each
workload goes through all peers before the next begins, and each round starts with another peer.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.bench import machine
from num_agents.scheduler.cli.bench.adapters import PEERS, load
from num_agents.scheduler.cli.bench.report import Peer, Report, Sample
from num_agents.scheduler.cli.bench.workloads import WORKLOADS, Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from num_agents.scheduler.cli.bench.adapters import Adapter

SAMPLE_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    peers: Sequence[str] = tuple(PEERS)
    workloads: Sequence[str] = tuple(WORKLOADS)
    sizes: Sequence[int] = (100_000,)
    rounds: int = 3
    lateness_s: float = 10.0
    recurring_s: float = 5.0

    def sizes_of(self, workload: Workload) -> list[int]:
        """The sizes of one workload, ascending."""
        sizes = sorted({min(size, workload.task_limit or size) for size in self.sizes})
        return sizes if workload.sizes == "each" else sizes[-1:]

    def duration_s(self, workload: Workload) -> float:
        """How long a workload observes, in seconds, if it is one that does."""
        return self.lateness_s if workload.name == "lateness" else self.recurring_s


def find_peers(names: Sequence[str]) -> list[Peer]:
    """The peers with their versions; one that is not installed has none."""
    return [_find_peer(name) for name in names]


def _find_peer(name: str) -> Peer:
    adapter = load(name)
    if adapter is None:
        return Peer(name, None)
    return Peer(name, adapter.version(), list(adapter.remarks), dict(adapter.unable))


def _limit(adapter: type[Adapter], workload: Workload, size: int) -> int:
    limits = [adapter.task_limit]
    if workload.name == "churn":
        limits.append(adapter.pair_limit)
    return min([size, *(limit for limit in limits if limit is not None)])


def _schedule(plan: Plan, peers: Sequence[Peer]) -> Iterator[Sample]:
    """The measurements in the order in which they are made, without values yet."""
    adapters = {peer.name: load(peer.name) for peer in peers}
    for round_ in range(plan.rounds):
        turned = [*peers[round_ % len(peers) :], *peers[: round_ % len(peers)]]
        for name in plan.workloads:
            workload = WORKLOADS[name]
            for size in plan.sizes_of(workload):
                for peer in turned:
                    adapter = adapters[peer.name]
                    if adapter is None or name in peer.unable:
                        continue
                    tasks = _limit(adapter, workload, size)
                    # Where a peer's limit is below the size before, it was measured there.
                    smaller = [below for below in plan.sizes_of(workload) if below < size]
                    if smaller and tasks <= smaller[-1]:
                        continue
                    yield Sample(name, peer.name, size, tasks, round_)


def run_sample(sample: Sample, plan: Plan) -> None:
    """Measures in a process of its own and fills in the values, or the error."""
    specification = {
        "peer": sample.peer,
        "workload": sample.workload,
        "tasks": sample.tasks,
        "seed": sample.round,
        "duration_s": plan.duration_s(WORKLOADS[sample.workload]),
    }
    command = [sys.executable, "-m", f"{__package__}.child", json.dumps(specification)]
    try:
        process = subprocess.run(
            command, capture_output=True, text=True, timeout=SAMPLE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        sample.error = f"did not end within {SAMPLE_TIMEOUT_S:.0f} s"
        return
    sample.exit_status = process.returncode
    lines = process.stdout.splitlines()
    try:
        answer = json.loads(lines[-1])
        sample.error = answer.get("error")
        sample.values = answer.get("values", {})
    except (IndexError, ValueError, AttributeError):
        complaint = process.stderr.strip().splitlines()
        sample.error = complaint[-1] if complaint else f"exit status {process.returncode}"


def run_bench(
    plan: Plan,
    *,
    before_sample: Callable[[Sample, int, int], None] | None = None,
    after_sample: Callable[[Report], None] | None = None,
) -> Report:
    """Measures as planned.

    Args:
        plan: What to measure.
        before_sample: Called with each sample to come, how many are done, and how many there are.
        after_sample: Called with the report so far.

    Returns:
        Every sample, the machine, and the peers that were found.
    """
    peers = find_peers(plan.peers)
    report = Report(
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine.describe(),
        settings={
            "rounds": plan.rounds,
            "sizes": list(plan.sizes),
            "workloads": list(plan.workloads),
            "lateness_s": plan.lateness_s,
            "recurring_s": plan.recurring_s,
        },
        peers=peers,
    )
    samples = list(_schedule(plan, peers))
    for done, sample in enumerate(samples):
        if before_sample is not None:
            before_sample(sample, done, len(samples))
        run_sample(sample, plan)
        report.samples.append(sample)
        if after_sample is not None:
            after_sample(report)
    return report

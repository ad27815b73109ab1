"""Measures the peers: each measurement in a process of its own, the peers interleaved.

Absolute figures drift with the machine from one minute to the next, so within a round each
workload goes through all peers before the next begins, and each round starts with another peer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from num_agents.scheduler.cli.bench import child, machine
from num_agents.scheduler.cli.bench.adapters import BEFORE, OURS, load
from num_agents.scheduler.cli.bench.plan import Plan
from num_agents.scheduler.cli.bench.report import Peer, Report, Sample
from num_agents.scheduler.cli.bench.workloads import WORKLOADS
from num_agents.scheduler.cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

DESCRIBE_TIMEOUT_S = 60.0


def find_peers(names: Sequence[str], before: Path | None = None) -> list[Peer]:
    """The peers with their versions; one that is not installed has none.

    Args:
        names: Their names.
        before: The interpreter of another version of this package; it comes after ours.

    Raises:
        CommandError: That interpreter cannot be run, or has no version of the package.
    """
    peers = [_find_peer(name) for name in names]
    if before is not None:
        peers.insert(1 if names[:1] == [OURS] else 0, _find_before(before))
    return peers


def _find_peer(name: str) -> Peer:
    adapter = load(name)
    if adapter is None:
        return Peer(name, None)
    return Peer(name, adapter.version(), list(adapter.remarks), dict(adapter.unable))


def _find_before(interpreter: Path) -> Peer:
    try:
        answer, status, complaint = _ask({"peer": OURS}, interpreter, DESCRIBE_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"--before: {interpreter} cannot be run: {error}") from error
    found = answer.get("peer")
    if found is None:
        reason = answer.get("error") or complaint or f"exit status {status}"
        raise CommandError(f"--before: {interpreter} has no version of this package: {reason}")
    remark = f"{BEFORE} is another version of {OURS}, in an interpreter of its own."
    return Peer(BEFORE, found["version"], [remark], found["unable"])


def _ask(
    specification: dict[str, object], interpreter: Path | None, timeout_s: float
) -> tuple[dict[str, Any], int, str]:
    """Runs a process of `child`; returns its answer, its exit status and its last complaint.

    Args:
        specification: What it is asked.
        interpreter: The Python of another version of the package; None for this one.
        timeout_s: How long it may take.
    """
    # `-P`: the folder of the child is no place to import from.
    executable = sys.executable if interpreter is None else str(interpreter)
    command = [executable, "-P", child.__file__, json.dumps(specification)]
    environment = dict(os.environ)
    if interpreter is not None:
        # What is set for this interpreter would make that one import this version.
        environment.pop("PYTHONPATH", None)
    process = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env=environment,
    )
    lines, complaints = process.stdout.splitlines(), process.stderr.strip().splitlines()
    complaint = complaints[-1] if complaints else ""
    try:
        answer = json.loads(lines[-1])
    except (IndexError, ValueError):
        answer = {}
    return (answer if isinstance(answer, dict) else {}), process.returncode, complaint


def run_sample(sample: Sample, plan: Plan) -> None:
    """Measures in a process of its own and fills in the values, or the error."""
    is_before = sample.peer == BEFORE
    specification = {
        "peer": OURS if is_before else sample.peer,
        "workload": sample.workload,
        "tasks": sample.tasks,
        "seed": sample.round,
        "duration_s": plan.duration_s(WORKLOADS[sample.workload]),
    }
    begin_s = time.monotonic()
    try:
        answer, sample.exit_status, complaint = _ask(
            specification, plan.before if is_before else None, plan.sample_limit_s
        )
    except subprocess.TimeoutExpired:
        sample.error = f"did not end within {plan.sample_limit_s:g} s"
        sample.timed_out = True
    else:
        sample.values = answer.get("values", {})
        sample.error = answer.get("error")
        if not sample.values and sample.error is None:
            sample.error = complaint or f"exit status {sample.exit_status}"
    sample.took_s = round(time.monotonic() - begin_s, 3)


def run_bench(
    plan: Plan,
    *,
    before_sample: Callable[[Sample, int, int, float], None] | None = None,
    after_sample: Callable[[Report], None] | None = None,
    earlier: Report | None = None,
) -> Report:
    """Measures as planned.

    A peer that exceeds the time limit of a sample is not measured again with that workload at this
    size or a larger one.

    Args:
        plan: What to measure.
        before_sample: Called with each sample to come, how many are done, how many there are, and
            roughly how many seconds those to come will take.
        after_sample: Called with the report so far.
        earlier: An interrupted run of the same plan, whose samples are kept.

    Returns:
        Every sample, the machine, and the peers that were found.

    Raises:
        CommandError: The interpreter of the version before cannot be used.
    """
    peers = find_peers(plan.peers, plan.before)
    report = Report(
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine.describe(),
        settings={
            "rounds": plan.rounds,
            "sizes": list(plan.sizes),
            "workloads": list(plan.workloads),
            "lateness_s": plan.lateness_s,
            "recurring_s": plan.recurring_s,
            "is_growth": plan.is_growth,
        },
        peers=peers,
    )
    samples = list(plan.samples(peers))
    given_up: dict[tuple[str, str], int] = {}
    if earlier is not None:
        report.samples.extend(earlier.samples)
        measured = {sample.place for sample in earlier.samples}
        samples = [sample for sample in samples if sample.place not in measured]
        for sample in earlier.samples:
            if sample.timed_out:
                given_up[sample.workload, sample.peer] = sample.tasks
    left_s = sum(map(plan.estimated_s, samples))
    for done, sample in enumerate(samples):
        if before_sample is not None:
            before_sample(sample, done, len(samples), left_s)
        left_s -= plan.estimated_s(sample)
        key = (sample.workload, sample.peer)
        if sample.tasks >= given_up.get(key, sample.tasks + 1):
            continue
        run_sample(sample, plan)
        if sample.timed_out:
            given_up[key] = sample.tasks
        report.samples.append(sample)
        if after_sample is not None:
            after_sample(report)
    return report

"""What `bench` measures, in which order, and how it shows that."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from num_agents.scheduler.cli import main
from num_agents.scheduler.cli.bench import child, layout, runner
from num_agents.scheduler.cli.bench.adapters import BEFORE, OURS, PEERS, load
from num_agents.scheduler.cli.bench.adapters.base import Adapter
from num_agents.scheduler.cli.bench.adapters.tasks import Batch
from num_agents.scheduler.cli.bench.plan import Plan
from num_agents.scheduler.cli.bench.report import Peer, Report, Sample
from num_agents.scheduler.cli.bench.summary import summary
from num_agents.scheduler.cli.bench.workloads import WORKLOADS, Settings, no_operation
from num_agents.scheduler.cli.bench.workloads.options import TITLES
from num_agents.scheduler.cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

MACHINE = {"processor": "x", "cores": 2, "system": "x", "kernel": "x", "python": "x"}


def report_of(peers: list[Peer], samples: list[Sample]) -> Report:
    return Report("", MACHINE, {"rounds": 1}, peers, samples)


# --- peers and workloads --------------------------------------------------------------------------


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_can_do_a_workload_or_says_why_not(peer: str) -> None:
    adapter = load(peer)
    if adapter is None:
        pytest.skip(f"{peer} is not installed")
    assert set(adapter.unable) <= set(WORKLOADS)
    assert set(adapter.limits) <= set(WORKLOADS)
    for kind in TITLES:
        # An interval can be built of `repeat`, which every peer has.
        is_own = getattr(adapter, f"schedule_{kind}") is not getattr(Adapter, f"schedule_{kind}")
        assert is_own or kind == "interval" or f"schedule_{kind}" in adapter.unable


@pytest.mark.parametrize("kind", TITLES)
def test_every_kind_schedules_each_task_of_a_batch(kind: str) -> None:
    from num_agents.scheduler.cli.bench.adapters.num_agents_scheduler import NumAgentsScheduler

    adapter = NumAgentsScheduler()
    handles = getattr(adapter, f"schedule_{kind}")(Batch.of(5, 0, no_operation))
    pending = adapter._scheduler.statistics().pending
    adapter.close()
    assert len(set(handles)) == pending == 5


@pytest.mark.parametrize("name", ["schedule", *(f"schedule_{kind}" for kind in TITLES), "churn"])
def test_a_workload_yields_what_it_says(name: str) -> None:
    adapter_type = load(OURS)
    assert adapter_type is not None
    adapter = adapter_type()
    workload = WORKLOADS[name]
    values = workload.measure(adapter, Settings(tasks=10, seed=0, duration_s=0.1))
    adapter.close()
    missing = {metric.name for metric in workload.metrics} - set(values)
    # Where the system does not tell the memory of a process.
    assert missing <= {"bytes_per_task", "bytes_per_pair"}


def test_what_a_child_imports_needs_no_other_module_of_the_command_line() -> None:
    # Another version of the package is measured with these modules, beside whatever it has.
    folder = Path(child.__file__).parent
    prefix = "num_agents.scheduler.cli"
    for path in [*folder.glob("adapters/*.py"), *folder.glob("workloads/*.py")]:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.lstrip().startswith(("from num_agents", "import num_agents")):
                named = line.split()[1]
                assert named == "num_agents.scheduler" or named.startswith(f"{prefix}.bench")


# --- the plan -------------------------------------------------------------------------------------


def test_a_plan_interleaves_the_version_before() -> None:
    plan = Plan(workloads=["schedule", "recurring_slack"], sizes=(10,), rounds=2)
    unable = {"recurring_slack": "no option"}
    peers = [Peer(OURS, "2"), Peer(BEFORE, "1", [], unable), Peer("asyncio", "3")]
    samples = list(plan.samples(peers))
    order = [sample.peer for sample in samples if sample.workload == "schedule"]
    assert order == [OURS, BEFORE, "asyncio", BEFORE, "asyncio", OURS]
    assert BEFORE not in [one.peer for one in samples if one.workload == "recurring_slack"]
    assert all(plan.estimated_s(sample) > 0 for sample in samples)


def test_growth_measures_every_workload_at_every_size() -> None:
    sizes = (10_000, 100_000, 1_000_000)
    plan = Plan(sizes=sizes, rounds=1, is_growth=True)
    samples = list(plan.samples([Peer(OURS, "2"), Peer("asyncio", "3")]))
    for name in WORKLOADS:
        assert [one.size for one in samples if (one.workload, one.peer) == (name, OURS)] == [*sizes]


def test_who_exceeds_the_limit_is_not_measured_at_larger_sizes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, int]] = []

    def measure(sample: Sample, plan: Plan) -> None:
        asked.append((sample.peer, sample.size))
        sample.timed_out = sample.peer == "asyncio" and sample.size == 20
        if not sample.timed_out:
            sample.values = {"ns_per_task": 1.0}

    monkeypatch.setattr(runner, "run_sample", measure)
    plan = Plan(["asyncio", OURS], ["schedule"], sizes=(10, 20, 30), rounds=1, is_growth=True)
    report = runner.run_bench(plan)
    assert ("asyncio", 20) in asked
    assert ("asyncio", 30) not in asked
    assert (OURS, 30) in asked
    # What was taken is kept, and what is missing is taken.
    asked.clear()
    earlier = report_of(report.peers, report.samples[:-1])
    assert len(runner.run_bench(plan, earlier=earlier).samples) == len(report.samples)
    assert asked == [(OURS, 30)]


# --- the processes --------------------------------------------------------------------------------


@pytest.mark.realtime
def test_a_child_measures_the_package_of_its_interpreter_with_the_modules_beside_it(
    tmp_path: Path,
) -> None:
    # A package of the same name, as another version would be, without any command line.
    (tmp_path / "num_agents/scheduler").mkdir(parents=True)
    (tmp_path / "num_agents/__init__.py").write_text("")
    (tmp_path / "num_agents/scheduler/__init__.py").write_text(
        "class Scheduler:\n"
        "    def __init__(self): pass\n"
        "    def start(self): pass\n"
        "    def stop(self, mode): pass\n"
        "    def schedule(self, name, callback, **options): return 'x'\n"
        "    def schedule_many(self, name, callback, *, delays): return ['x']\n"
        "class RunPolicy: pass\n"
        "class TaskSchedule: pass\n"
    )
    program = (
        f"import sys, runpy; sys.path.insert(0, {str(tmp_path)!r});"
        f"runpy.run_path({child.__file__!r}, run_name='__main__')"
    )
    specification = {
        "peer": OURS,
        "workload": "schedule",
        "tasks": 5,
        "seed": 0,
        "duration_s": 0.1,
    }
    answer = subprocess.run(
        [sys.executable, "-c", program, json.dumps(specification)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(answer.stdout)["values"]["ns_per_task"] > 0


@pytest.mark.realtime
def test_a_bench_of_two_versions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"bench --quick --peers {OURS} --workloads schedule --before {sys.executable} --json"
    assert main(words.split()) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [peer["name"] for peer in printed["peers"]] == [OURS, BEFORE]
    assert [sample["peer"] for sample in printed["samples"]] == [OURS, BEFORE]
    assert all(sample["values"]["ns_per_task"] > 0 for sample in printed["samples"])
    assert all(sample["took_s"] > 0 for sample in printed["samples"])


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder / "missing", "cannot be run"),
        (lambda folder: _program(folder / "python", "echo no package >&2; exit 1"), "no package"),
    ],
)
def test_an_interpreter_without_the_package_is_refused(
    make: Callable[[Path], Path], reason: str, tmp_path: Path
) -> None:
    if sys.platform == "win32":
        pytest.skip("scripts are not programs")
    with pytest.raises(CommandError, match=reason):
        runner.find_peers([OURS], make(tmp_path))


def _program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# --- how it is shown ------------------------------------------------------------------------------


def test_the_summary_puts_the_version_before_beside_ours() -> None:
    peers = [
        Peer("asyncio", "3", [], {"schedule_tags": "no tags"}),
        Peer(OURS, "2"),
        Peer(BEFORE, "1"),
    ]
    samples = [
        Sample("schedule_tags", OURS, 1000, 1000, 0, {"ns_per_task": 100.0, "bytes_per_task": 8.0}),
        Sample("schedule_tags", BEFORE, 1000, 1000, 0, {"ns_per_task": 250.0}),
        Sample("schedule_tags", "uvloop", 1000, 1000, 0),
    ]
    table = summary(report_of(peers, samples))
    assert table.header == ["workload", "size", "unit", OURS, BEFORE, "before / ours", "asyncio"]
    assert table.rows[0] == ["schedule_tags", "1 k", "ns/task", "100", "250", "2.50x", "cannot"]
    assert table.rows[1][3:5] == ["8.00", "failed"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "about 5 s"),
        (88, "about 90 s"),
        (300, "about 5 min"),
        (3_600, "about 1 h 0 min"),
        (7_500, "about 2 h 5 min"),
    ],
)
def test_the_time_left_in_words(seconds: float, text: str) -> None:
    assert layout.about(seconds) == text


def test_the_estimate_stands_before_the_first_sample(capsys: pytest.CaptureFixture[str]) -> None:
    with layout.Progress() as progress:
        progress.update(Sample("schedule", OURS, 10, 10, 0), 0, 7, 600.0)
    assert capsys.readouterr().err == f"1 of 7, round 1: schedule, {OURS}; about 10 min left\n"


def test_every_method_of_an_adapter_is_documented() -> None:
    for name, method in inspect.getmembers(Adapter, inspect.isfunction):
        assert method.__doc__ or name.startswith("__")

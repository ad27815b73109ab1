"""Figures of benchmarks: how costs grow, where they are written, and criterion's side by side."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benches import criterion_versus
from benches.versus import growth
from benches.versus.publish import COLUMNS, ROWS, publish, readme_lines, replace_between
from num_agents.scheduler.cli.bench.adapters import BEFORE, OURS, PEERS
from num_agents.scheduler.cli.bench.report import Peer, Report, Sample
from num_agents.scheduler.cli.bench.workloads import WORKLOADS
from num_agents.scheduler.cli.errors import CommandError

ROOT = Path(__file__).parents[1]
MACHINE = {
    "processor": "x",
    "cores": 2,
    "system": "Linux",
    "kernel": "6",
    "python": "CPython 3.11.7",
}


def report_of(sizes: tuple[int, ...]) -> Report:
    """Every workload at every size, by us, the version before and a peer that is half as good."""
    samples = [
        Sample(
            name,
            peer,
            size,
            size,
            0,
            {metric.name: factor * size for metric in workload.metrics},
        )
        for name, workload in WORKLOADS.items()
        for size in sizes
        for peer, factor in ((OURS, 1.0), (BEFORE, 3.0), ("asyncio", 2.0))
    ]
    peers = [Peer(OURS, "2"), Peer(BEFORE, "1"), Peer("asyncio", "3")]
    return Report("", MACHINE, {"rounds": 1}, peers, samples)


def test_growth_turns_rates_into_costs() -> None:
    samples = [
        Sample("fire", OURS, 10, 10, 0, {"tasks_per_s": 2e6}),
        Sample("fire", OURS, 100, 100, 0, {"tasks_per_s": 1e6}),
        Sample("fire", OURS, 1_000, 1_000, 0, timed_out=True, error="too slow"),
    ]
    report = Report("", MACHINE, {"rounds": 1}, [Peer(OURS, "2")], samples)
    points = growth.points(report, WORKLOADS["fire"], OURS)
    assert points == [growth.Point(10, 500.0), growth.Point(100, 1_000.0)]
    table = growth.growth_table(report, OURS)
    assert table.header == ["workload", "unit", "10", "100", "1 k", "most / least"]
    assert table.rows == [["fire", "ns/task", "500", "1,000", "—", "2.00"]]


def test_publishing_replaces_what_is_between_the_marks_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("README.md", "benches/README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    written = publish(report_of((100,)), report_of((100, 1_000)), tmp_path)
    assert all(path.stat().st_size for path in written)
    assert {path.name for path in written} == {
        "versus.svg",
        "versus-options.svg",
        "growth.svg",
        "README.md",
    }
    marked = re.compile(r"(<!-- (\w+): begin -->).*(<!-- \2: end -->)", re.DOTALL)
    for name in ("README.md", "benches/README.md"):
        old = (ROOT / name).read_text(encoding="utf-8")
        new = (tmp_path / name).read_text(encoding="utf-8")
        assert marked.sub(r"\1\3", new) == marked.sub(r"\1\3", old)
    figures = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| schedule one, 100 pending (ns) | 100 | 200 |" in figures
    again = publish(report_of((100,)), None, tmp_path)
    assert len(again) == 4
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == figures


@pytest.mark.parametrize("text", ["", "<!-- x: begin -->", "<!-- x: end --><!-- x: begin -->"])
def test_a_text_without_marks_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="needs <!-- x: begin --> and <!-- x: end -->"):
        replace_between(text, "x", ["new"])


def test_what_the_readme_shows_is_measured() -> None:
    assert set(COLUMNS) <= set(PEERS)
    for row in ROWS:
        assert row.metric in {metric.name for metric in WORKLOADS[row.workload].metrics}
    assert len(list(readme_lines(report_of((1_000_000,))))) > len(ROWS)


def test_the_benchmarks_readme_describes_every_workload_and_peer() -> None:
    text = (ROOT / "benches/README.md").read_text(encoding="utf-8")
    for name in (*WORKLOADS, *PEERS):
        assert f"| `{name}` |" in text, name


def test_baselines_of_criterion_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, median in (("before", 3e6), ("after", 1e6)):
        folder = tmp_path / "insert" / "ours" / "1000" / name
        folder.mkdir(parents=True)
        facts = {"full_id": "insert/ours/1000", "throughput": {"Elements": 1_000}}
        (folder / "benchmark.json").write_text(json.dumps(facts))
        interval = {"lower_bound": median - 1e5, "upper_bound": median + 1e5}
        estimates = {"median": {"point_estimate": median, "confidence_interval": interval}}
        (folder / "estimates.json").write_text(json.dumps(estimates))
    assert criterion_versus.main(["before", "after", "--root", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[-3:] == ["before", "/", "after"]
    assert lines[1].split()[0] == "insert/ours/1000"
    assert "3,000 (2,900-3,100)" in lines[1]
    assert lines[1].endswith("3.00x")
    assert criterion_versus.main(["x", "y", "--root", str(tmp_path)]) == 2

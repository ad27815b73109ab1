"""The reports of the command line: their arithmetic, their looks, and how a run is judged."""

from __future__ import annotations

import io
import itertools
import json
import math
import sys
from array import array
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from num_agents.scheduler.cli import bench
from num_agents.scheduler.cli.bench.report import Peer, Sample
from num_agents.scheduler.cli.bench.workloads import WORKLOADS
from num_agents.scheduler.cli.demo import Group, judge
from num_agents.scheduler.cli.progress import JsonView, PlainView
from num_agents.scheduler.cli.recorder import Findings, Recorder
from num_agents.scheduler.cli.replay import SLEEP_DEFAULT_S, SLEEP_MAX_S, sleep_s
from num_agents.scheduler.cli.report import (
    Bin,
    Figure,
    Lateness,
    Promise,
    Report,
    miscounts,
    quantile,
    to_bins,
)

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 5), (0.99, 10), (0.1, 1), (0.11, 2), (1.0, 10), (1e-9, 1)]
)
def test_quantile_is_the_nearest_rank(share: float, value: int) -> None:
    assert quantile(range(1, 11), share) == value


def test_quantile_of_one_value() -> None:
    assert quantile([7], 0.5) == quantile([7], 0.99) == 7


def test_bins_have_bounds_1_2_5() -> None:
    values = [(0, 1), (999, 1), (1_000, 1), (1_999, 0), (5_000, 2), (9_999, 1)]
    assert to_bins(values) == (
        Bin(0, 1_000, 2),
        Bin(1_000, 2_000, 1),
        Bin(2_000, 5_000, 0),
        Bin(5_000, 10_000, 3),
    )


def test_bins_of_the_extremes() -> None:
    assert to_bins([]) == to_bins([(5, 0)]) == ()
    assert to_bins([(-5, 1)]) == (Bin(0, 1_000, 1),)
    (last,) = to_bins([(2**64 - 1, 3)])
    assert last.lower_ns < 2**64 <= last.upper_ns
    assert last.count == 3


def test_lateness_of_samples() -> None:
    lateness = Lateness.of_samples([3 * MS, 1 * MS, 2 * MS])
    assert (lateness.count, lateness.p50_ns, lateness.p99_ns, lateness.max_ns) == (
        3,
        2 * MS,
        3 * MS,
        3 * MS,
    )
    assert sum(each.count for each in lateness.bins) == 3
    assert Lateness.of_samples([]) == Lateness(0, 0, 0, 0, ())


def test_lateness_of_the_engine_puts_a_bucket_where_its_middle_is() -> None:
    histogram = SimpleNamespace(
        count=7,
        max_ns=2_040,
        quantile_ns=lambda share: {0.5: 1_500, 0.99: 2_000}[share],
        buckets=lambda: [(980, 1_010, 3), (1_980, 2_044, 4)],
    )
    assert Lateness.of_engine(histogram) == Lateness(
        7, 1_500, 2_000, 2_040, (Bin(0, 1_000, 3), Bin(1_000, 2_000, 0), Bin(2_000, 5_000, 4))
    )


def test_lateness_of_an_engine_that_ran_nothing() -> None:
    def never(*arguments: object) -> int:
        raise AssertionError

    histogram = SimpleNamespace(count=0, max_ns=0, quantile_ns=never, buckets=never)
    assert Lateness.of_engine(histogram) == Lateness.of_samples([])


def report(*promises: Promise) -> Report:
    return Report(
        command="replay",
        title="a trace",
        figures=(Figure("rows", 3, "tasks"), Figure("schedule rate", 1.5, "tasks per second")),
        promises=promises,
        lateness=Lateness.of_samples([1_500]),
        lateness_in_callbacks=Lateness.of_samples([]),
        warnings=("slow",),
    )


def test_a_report_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    JsonView().show(report(Promise("early", 0, "all"), Promise("ran though cancelled", 2, "some")))
    assert json.loads(capsys.readouterr().out) == {
        "command": "replay",
        "title": "a trace",
        "held": False,
        "figures": {"rows_tasks": 3, "schedule_rate_tasks_per_second": 1.5},
        "promises": {
            "early": {"broken": 0, "checked": "all"},
            "ran_though_cancelled": {"broken": 2, "checked": "some"},
        },
        "lateness": {
            "count": 1,
            "p50_ns": 1_500,
            "p99_ns": 1_500,
            "max_ns": 1_500,
            "histogram_ns": [[1_000, 2_000, 1]],
        },
        "lateness_in_callbacks": {
            "count": 0,
            "p50_ns": 0,
            "p99_ns": 0,
            "max_ns": 0,
            "histogram_ns": [],
        },
        "warnings": ["slow"],
    }


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_report_in_a_pipe(encoding: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("rich")
    from num_agents.scheduler.cli.terminal import TerminalView

    path = tmp_path / "printed"
    with path.open("w", encoding=encoding) as output:
        monkeypatch.setattr(sys, "stdout", output)
        TerminalView().show(report(Promise("early", 1, "all")))
    printed = path.read_text(encoding=encoding)
    assert "a promise was broken" in printed
    assert "0.001 to 0.002 ms" in printed
    assert "\x1b" not in printed
    assert ("#" * 40 if encoding == "ascii" else "█" * 40) in printed


@pytest.mark.parametrize("view", ["rich", "plain"])
@pytest.mark.parametrize("width", [12, 40, 60, 79, 200])
def test_a_report_in_a_narrow_window(
    view: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every figure is there in full; the bars shrink."""
    monkeypatch.setenv("COLUMNS", str(width))
    if view == "rich":
        pytest.importorskip("rich")
        from num_agents.scheduler.cli.terminal import TerminalView

        TerminalView().show(long_report())
    else:
        PlainView().show(long_report())
    out = capsys.readouterr().out
    words = out.replace(",\n", "\n").replace(", ", " ").split()
    for word in ("12,345,678,901", "98,765,432.10", "7,654,321", "per", "resident", "12,345.679"):
        assert word in words or word.replace(".10", "") in words, word
    assert "…" not in out
    bars = [line for line in out.splitlines() if "█" in line]
    assert bool(bars) == (width >= 40)
    assert all(len(line) <= width for line in bars)
    assert any("█" * 40 in line for line in bars) == (width >= 79)


def long_report() -> Report:
    samples = [1_500] * 1000 + [12_345_678_901]
    return Report(
        command="demo",
        title="a trace",
        figures=(
            Figure("rows", 12_345_678_901, "tasks", "growth of the resident set"),
            Figure("schedule rate", 98_765_432.1, "tasks per second"),
        ),
        promises=(Promise("ran though cancelled", 7_654_321, "1,000 one by one, 9,000 counted"),),
        lateness=Lateness.of_samples(samples),
        lateness_in_callbacks=Lateness.of_samples([]),
    )


@pytest.mark.parametrize("total", [10, 1_000_000, 100_000_000])
def test_a_bar_in_a_narrow_window(total: int) -> None:
    """Beside the figures there is what fits: the percentage, the bar, the time."""
    rich = pytest.importorskip("rich.console")
    from rich.progress import Progress

    from num_agents.scheduler.cli import terminal

    for width in range(20, 120):
        if not terminal.bar_fits(width, total):
            continue
        console = rich.Console(file=io.StringIO(), width=width, force_terminal=True)
        progress = Progress(
            *terminal.bar_columns(width, total), console=console, auto_refresh=False, expand=True
        )
        progress.add_task("schedule".ljust(terminal.PHASE_WIDTH - 1), total=total)
        progress.update(progress.task_ids[0], completed=total - 1)
        with console.capture() as captured:
            console.print(progress.get_renderable())
        assert f"{total - 1:,} of {total:,}" in captured.get(), width
        assert "…" not in captured.get(), width


@pytest.mark.parametrize("width", [20, 50, 79, 200])
def test_a_bench_in_a_narrow_window(width: int) -> None:
    workload = next(iter(WORKLOADS.values()))
    values = {metric.name: 1234.5 for metric in workload.metrics}
    samples = [Sample(workload.name, "asyncio", 2000, 2000, number, values) for number in (0, 1)]
    report = bench.Report(
        started_at="",
        machine={"processor": "x", "cores": 2, "system": "x", "kernel": "x", "python": "x"},
        settings={"rounds": 2},
        peers=[Peer("asyncio", "3.14")],
        samples=samples,
    )
    lines = [line for _, line in bench.layout.report_lines(report, width=width, ascii_only=True)]
    assert any("1,230" in line for line in lines)
    assert "\n".join(lines).isascii()


def test_progress_in_a_pipe_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rich")
    from num_agents.scheduler.cli import terminal

    # Each reading of the clock is 0.3 s after the one before: 100 updates take half a minute.
    monkeypatch.setattr(
        terminal, "time", SimpleNamespace(monotonic=itertools.count(0, 0.3).__next__)
    )
    view = terminal.TerminalView()
    view.begin("run", 100)
    for done in range(1, 101):
        view.update(done)
    view.begin("rest", 1)
    view.close()
    view.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == ["run: 100 of 100", "rest: 0 of 1"]
    assert 10 < len(lines) < 20


# --- judging --------------------------------------------------------------------------------------


def test_the_recorder_finds_nothing_wrong() -> None:
    recorder = Recorder(3)
    for task in (2, 0, 1):
        recorder.callback(task)
    findings = recorder.judge(array("q", [1, 2, 0]))
    assert (findings.started, findings.early, findings.twice) == (3, 0, 0)
    assert not findings.never
    assert findings.overtaken == 0
    assert len(findings.lateness_ns) == 3


def test_the_recorder_finds_what_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("num_agents.scheduler.cli.recorder.clock_ns", lambda: 100)
    recorder = Recorder(5)
    for task in (0, 2, 1, 2, 3):
        recorder.callback(task)
    findings = recorder.judge(array("q", [10, 20, 90, 101, 102]))
    assert (findings.started, findings.early, findings.twice) == (5, 1, 1)
    assert list(findings.never) == [4]
    assert findings.overtaken == 1
    assert list(findings.lateness_ns) == [90, 10, 80, 10, -1]


def test_ties_keep_the_order_of_their_numbers() -> None:
    for order, overtaken in (((0, 1, 2), 0), ((1, 0, 2), 1), ((2, 0, 1), 2)):
        recorder = Recorder(3)
        for task in order:
            recorder.callback(task)
        assert recorder.judge(array("q", [5, 5, 5])).overtaken == overtaken


def test_runs_beyond_the_spare_places_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("num_agents.scheduler.cli.recorder.SPARE_PLACES", 2)
    recorder = Recorder(1)
    for _ in range(10):
        recorder.callback(0)
    findings = recorder.judge(array("q", [0]))
    assert (findings.started, findings.twice) == (10, 9)


def findings(started: int, *, early: int = 0, twice: int = 0, never: int = 0) -> Findings:
    nothing: array[int] = array("q")
    return Findings(started, early, twice, array("q", range(never)), 0, nothing, nothing)


@pytest.mark.parametrize(
    ("found", "others_ran", "picked_never", "broken"),
    [
        # 10 witnesses, 2 of them cancelled; 90 others, 8 of them cancelled.
        (findings(8, never=2), 82, 2, {}),
        (findings(8, never=2, early=1), 82, 2, {"early": 1}),
        (findings(9, never=2, twice=1), 82, 2, {"twice": 1}),
        (findings(7, never=3), 82, 2, {"lost": 1}),
        (findings(9, never=1), 82, 1, {"ran though cancelled": 1}),
        (findings(8, never=2), 84, 2, {"twice": 2}),
        (findings(8, never=2), 79, 2, {"lost": 3}),
        # One was lost and one ran though cancelled: the two must not make up for each other.
        (findings(8, never=2), 82, 1, {"lost": 1, "ran though cancelled": 1}),
    ],
)
def test_what_a_demo_finds(
    found: Findings, others_ran: int, picked_never: int, broken: dict[str, int]
) -> None:
    promises = judge(
        Group(scheduled=10, picked=2, cancelled=2),
        Group(scheduled=90, picked=8, cancelled=8),
        found,
        others_ran=others_ran,
        picked_never=picked_never,
        completed=found.started + others_ran,
        failed=0,
    )
    assert {each.name: each.broken for each in promises if each.broken} == broken


def test_a_cancellation_that_came_too_late_obliges_the_task_to_run() -> None:
    witnesses = Group(scheduled=10, picked=2, cancelled=1)
    for never, expected in ((1, 0), (2, 1)):
        promises = judge(
            witnesses,
            Group(),
            findings(10 - never, never=never),
            others_ran=0,
            picked_never=never,
            completed=10 - never,
            failed=0,
        )
        assert {each.name: each.broken for each in promises}["lost"] == expected


def test_miscounts_count_either_way() -> None:
    assert [miscounts(5, *pair).broken for pair in ((5, 0), (3, 2), (4, 0), (5, 1))] == [0, 0, 1, 1]


def test_how_long_a_row_sleeps() -> None:
    assert [sleep_s(weight) for weight in (0.0, 374.0, 1e300, math.nan)] == [
        0,
        pytest.approx(374e-6),
        SLEEP_MAX_S,
        SLEEP_DEFAULT_S,
    ]

"""How large the benchmarks are: `--bench-size`, or `NUM_AGENTS_BENCH_SIZE`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from num_agents.scheduler.cli.bench.table import number

DEFAULT_SIZE = 1_000_000
# The longest benchmark takes about a minute at the default size on a slow machine.
TIMEOUT_S = 900


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bench-size",
        type=int,
        default=int(os.environ.get("NUM_AGENTS_BENCH_SIZE", DEFAULT_SIZE)),
        metavar="TASKS",
        help=f"tasks pending or due in each benchmark (default {DEFAULT_SIZE:,})",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture
def size(request: pytest.FixtureRequest) -> int:
    """How many tasks."""
    return int(request.config.getoption("--bench-size"))


@pytest.fixture
def duration_s(size: int) -> float:
    """How long tasks are observed: 10 s at the default size, 1 s in a smoke run."""
    return min(10.0, max(1.0, size / 100_000))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the figures that pytest-benchmark's table of times has no column for."""
    session = getattr(terminalreporter.config, "_benchmarksession", None)
    benchmarks = session.benchmarks if session is not None else []
    lines = [
        f"{benchmark.name}: " + ", ".join(_figures(benchmark.extra_info))
        for benchmark in benchmarks
        if benchmark.extra_info
    ]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)


def _figures(extra_info: dict[str, float]) -> list[str]:
    return [f"{name} {number(value)}" for name, value in extra_info.items()]

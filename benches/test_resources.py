"""Memory, garbage collection, CPU time at rest, and the time to import."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benches.rounds import delays, no_operation, sample_apart
from num_agents.scheduler import Scheduler

if TYPE_CHECKING:
    from benches.rounds import Benchmark

IDLE_S = 1.0
IMPORT_ROUNDS = 10


def test_memory(benchmark: Benchmark, size: int) -> None:
    """Resident bytes a pending task, with the ids that the caller keeps."""
    sample_apart(benchmark, "memory", size)


def test_memory_unheld(benchmark: Benchmark, size: int) -> None:
    """Resident bytes a pending task, the ids forgotten."""
    sample_apart(benchmark, "memory_unheld", size)


@pytest.mark.parametrize("workload", ["memory_cancelled", "memory_cancelled_many"])
def test_memory_cancelled(benchmark: Benchmark, size: int, workload: str) -> None:
    """Resident bytes a task that stay after all were cancelled, once and over ten rounds."""
    sample_apart(benchmark, workload, size)


def test_memory_given_back(benchmark: Benchmark, size: int) -> None:
    """The engine's own memory: with tasks pending, and after all have been cancelled."""
    scheduler = Scheduler()
    before = scheduler.statistics().memory_bytes
    ids = scheduler.schedule_many("task", no_operation, delays=delays(size))
    pending = scheduler.statistics().memory_bytes
    cancelled = benchmark.pedantic(scheduler.cancel_many, args=(ids,))
    after = scheduler.statistics().memory_bytes
    scheduler.stop("now")
    assert cancelled == size
    assert before < pending
    benchmark.extra_info.update(
        tasks=size,
        engine_bytes_per_task=(pending - before) / size,
        engine_bytes_per_task_after=(after - before) / size,
    )


def test_collection(benchmark: Benchmark, size: int) -> None:
    """The pause of a full garbage collection with tasks pending: `pause_ms`."""
    sample_apart(benchmark, "collection", size)


def test_collection_recurring(benchmark: Benchmark, size: int) -> None:
    """The same with recurring tasks that have tags and keyword arguments."""
    sample_apart(benchmark, "collection_recurring", size)


def _switches() -> int | None:
    """How often the threads of this process have gone to sleep; None where it is not told."""
    statuses = list(Path("/proc/self/task").glob("*/status"))
    lines = [line for status in statuses for line in status.read_text().splitlines()]
    counts = [line.split()[1] for line in lines if line.startswith("voluntary_ctxt_switches")]
    return sum(map(int, counts)) if counts else None


def test_idle(benchmark: Benchmark, size: int) -> None:
    """CPU time and wake-ups of a second in which nothing is due."""
    spent: dict[str, float] = {}

    def rest() -> None:
        switches_before, cpu_before_ns = _switches(), time.process_time_ns()
        time.sleep(IDLE_S)
        cpu_ns, switches = time.process_time_ns() - cpu_before_ns, _switches()
        spent["cpu_us_per_s"] = cpu_ns / 1e3 / IDLE_S
        if switches is not None and switches_before is not None:
            # One is this thread's own sleep.
            spent["wake_ups_per_s"] = (switches - switches_before - 1) / IDLE_S

    with Scheduler() as scheduler:
        ids = scheduler.schedule_many("task", no_operation, delays=delays(size))
        # What the workers do on starting is over.
        time.sleep(0.2)
        benchmark.pedantic(rest)
        assert scheduler.statistics().pending == size
        assert scheduler.cancel_many(ids) == size
    benchmark.extra_info.update(spent, tasks=size)


def _run_ms(code: str) -> float:
    begin_ns = time.perf_counter_ns()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter_ns() - begin_ns) / 1e6


def test_import(benchmark: Benchmark) -> None:
    """`import num_agents.scheduler` in a new interpreter, less the interpreter: `import_ms`."""
    bare_ms: list[float] = []
    import_ms: list[float] = []

    def run() -> None:
        # In turns, so that a slow moment of the machine meets both.
        bare_ms.append(_run_ms("pass"))
        import_ms.append(_run_ms("import num_agents.scheduler"))

    benchmark.pedantic(run, rounds=IMPORT_ROUNDS, warmup_rounds=1)
    bare, with_import = statistics.median(bare_ms), statistics.median(import_ms)
    benchmark.extra_info.update(interpreter_ms=bare, import_ms=with_import - bare)

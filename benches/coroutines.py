"""Coroutines and callables on an event loop, beside asyncio itself and APScheduler.

```
python -m benches.coroutines                       # five rounds, about two minutes
python -m benches.coroutines --rounds 1 --tasks 1000 --seconds 0.2
python -m benches.coroutines --out coroutines.json
```

Each sample is a process of its own; the peers take turns. `create_task` and `call_soon` are the
bare loop: what any scheduler on it costs at least. Everything is due at once when the clock starts,
but for lateness: there tasks are spread over some seconds while a million others are pending.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from num_agents.scheduler import RetryPolicy, RunPolicy, Scheduler
from num_agents.scheduler.cli.bench import machine
from num_agents.scheduler.cli.bench.table import number

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

SAMPLE_TIMEOUT_S = 300
LOOPS = ("asyncio", "uvloop")
#: How many others are pending while lateness is measured.
OTHERS = 1_000_000
#: Tasks a second while lateness is measured.
RATE = 1000


async def no_operation() -> None:
    """The coroutine that is scheduled."""


def nothing() -> None:
    """The callable that is scheduled."""


async def create_task(tasks: int) -> float:
    """The bare loop: a reference to each task is kept until it has ended, as asyncio asks for."""
    loop, kept = asyncio.get_running_loop(), set()
    begin = time.perf_counter()
    for _ in range(tasks):
        task = loop.create_task(no_operation())
        kept.add(task)
        task.add_done_callback(kept.discard)
    while kept:
        await asyncio.sleep(0)
    return time.perf_counter() - begin


async def create_task_only(tasks: int) -> float:
    """The bare loop, with a list of all tasks, which is less than any scheduler can do."""
    loop = asyncio.get_running_loop()
    begin = time.perf_counter()
    kept = [loop.create_task(no_operation()) for _ in range(tasks)]
    await kept[-1]
    return time.perf_counter() - begin


async def call_soon(tasks: int) -> float:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    begin = time.perf_counter()
    for _ in range(tasks):
        loop.call_soon(nothing)
    loop.call_soon(done.set_result, None)
    await done
    return time.perf_counter() - begin


async def until_completed(scheduler: Scheduler, tasks: int) -> float:
    begin = time.perf_counter()
    await scheduler.start_async()
    while scheduler.statistics().completed < tasks:
        await asyncio.sleep(0.002)
    return time.perf_counter() - begin


async def scheduled(tasks: int, callback: Callable[..., Any], policy: RunPolicy) -> float:
    scheduler = Scheduler(max_concurrency=None)
    scheduler.schedule_many("t", callback, delays=[0.0] * tasks, policy=policy)
    taken = await until_completed(scheduler, tasks)
    await scheduler.stop_async("now")
    return taken


async def coroutines(tasks: int) -> float:
    return await scheduled(tasks, no_operation, RunPolicy())


async def callables(tasks: int) -> float:
    return await scheduled(tasks, nothing, RunPolicy(executor="asyncio"))


async def with_retry(tasks: int) -> float:
    """Runs that complete, of tasks that would be tried again."""
    return await scheduled(tasks, no_operation, RunPolicy(retry=RetryPolicy()))


async def with_timeout(tasks: int) -> float:
    return await scheduled(tasks, no_operation, RunPolicy(timeout=60))


async def with_key(tasks: int) -> float:
    """Scheduling and running, each task with a key of its own."""
    scheduler = Scheduler(max_concurrency=None)
    begin = time.perf_counter()
    for place in range(tasks):
        scheduler.schedule("t", no_operation, key=f"key {place}")
    taken = time.perf_counter() - begin + await until_completed(scheduler, tasks)
    await scheduler.stop_async("now")
    return taken


async def without_key(tasks: int) -> float:
    """The same without keys."""
    scheduler = Scheduler(max_concurrency=None)
    begin = time.perf_counter()
    for _ in range(tasks):
        scheduler.schedule("t", no_operation)
    taken = time.perf_counter() - begin + await until_completed(scheduler, tasks)
    await scheduler.stop_async("now")
    return taken


async def apscheduler(tasks: int) -> float:
    """APScheduler's AsyncIOScheduler, with its limits on late jobs off."""
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    count = 0

    async def work() -> None:
        nonlocal count
        count += 1

    options = {"misfire_grace_time": None, "coalesce": False, "max_instances": tasks}
    scheduler = AsyncIOScheduler(job_defaults=options)
    for _ in range(tasks):
        scheduler.add_job(work)
    begin = time.perf_counter()
    scheduler.start()
    while count < tasks:
        await asyncio.sleep(0.002)
    taken = time.perf_counter() - begin
    scheduler.shutdown(wait=False)
    return taken


async def lateness(seconds: float) -> dict[str, float]:
    """How late coroutines begin, 1,000 a second, and how often an idle loop is woken."""
    scheduler = Scheduler()
    await scheduler.start_async()
    scheduler.schedule_many("other", no_operation, delays=[3600 + one for one in range(OTHERS)])
    dice = random.Random(0)
    delays = [0.5 + seconds * dice.random() for _ in range(int(RATE * seconds))]
    scheduler.schedule_many("t", no_operation, delays=delays)
    await asyncio.sleep(seconds + 1)
    found = scheduler.statistics().lateness
    begin = _switches()
    await asyncio.sleep(1)
    idle = _switches() - begin
    await scheduler.stop_async("now")
    quantiles = {f"p{share}_us": found.quantile_ns(share / 100) / 1e3 for share in (50, 99)}
    return quantiles | {"max_us": found.max_ns / 1e3, "idle_wake_ups_per_s": idle}


def _switches() -> int:
    """How often the process gave up the processor to wait; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


PEERS: dict[str, tuple[Callable[[int], Coroutine[Any, Any, float]], int]] = {
    "create_task": (create_task, 1),
    "create_task, all kept": (create_task_only, 1),
    "coroutines": (coroutines, 1),
    "with retry": (with_retry, 1),
    "with timeout": (with_timeout, 1),
    "scheduled and run": (without_key, 1),
    "scheduled and run, with key": (with_key, 1),
    "AsyncIOScheduler": (apscheduler, 20),
    "call_soon": (call_soon, 1),
    "callables": (callables, 1),
}


def sample(peer: str, loop: str, tasks: int, seconds: float) -> dict[str, float]:
    """One measurement, in this process."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        if peer == "lateness":
            return runner.run(lateness(seconds))
        measure, share = PEERS[peer]
        count = max(tasks // share, 1)
        return {"runs_per_s": count / runner.run(measure(count))}


def apart(peer: str, loop: str, tasks: int, seconds: float) -> dict[str, float] | None:
    """One measurement in a process of its own; None if the peer is not installed."""
    given = json.dumps([peer, loop, tasks, seconds])
    command = [sys.executable, "-m", "benches.coroutines", "--sample", given]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SAMPLE_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        print(f"{peer} on {loop}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benches.coroutines", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to measure lateness")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sample", help=argparse.SUPPRESS)
    namespace = parser.parse_args(arguments)
    if namespace.sample is not None:
        print(json.dumps(sample(*json.loads(namespace.sample))))
        return 0
    samples: dict[str, dict[str, list[dict[str, float]]]] = {}
    for round_ in range(namespace.rounds):
        for loop in LOOPS:
            names = [*PEERS, "lateness"]
            for peer in [*names[round_ % len(names) :], *names[: round_ % len(names)]]:
                found = apart(peer, loop, namespace.tasks, namespace.seconds)
                if found is not None:
                    samples.setdefault(loop, {}).setdefault(peer, []).append(found)
    show(samples)
    if namespace.out is not None:
        report = {"machine": machine.describe(), "samples": samples}
        namespace.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def show(samples: dict[str, dict[str, list[dict[str, float]]]]) -> None:
    for loop, peers in samples.items():
        print(f"\n{loop}")
        for peer in PEERS:
            rates = sorted(one["runs_per_s"] for one in peers.get(peer, []))
            if rates:
                spread = f"{number(rates[0])} to {number(rates[-1])}"
                print(f"  {peer:28} {number(median(rates)):>12} a second ({spread})")
        found = peers.get("lateness", [])
        for name in found[0] if found else ():
            print(f"  {name:28} {number(median(one[name] for one in found)):>12}")


if __name__ == "__main__":
    sys.exit(main())

"""Garbage collection beside work that goes on without the interpreter."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from contextlib import contextmanager
from textwrap import dedent
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from num_agents.scheduler import Scheduler
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COUNT = 200


class Remembered:
    """A result in a cycle, which only the collector can finalise; it must not."""

    def __init__(self, finalised: list[str]) -> None:
        self.myself = self
        self.finalised = finalised

    def __del__(self) -> None:
        self.finalised.append("result")


class RememberedError(Exception):
    """An error likewise."""

    def __init__(self, finalised: list[str]) -> None:
        super().__init__("no")
        self.myself = self
        self.finalised = finalised

    def __del__(self) -> None:
        self.finalised.append("error")


def fail(finalised: list[str]) -> None:
    raise RememberedError(finalised)


def forecast(scheduler: Scheduler, clock: VirtualClock) -> None:
    del clock
    scheduler.forecast(86_400 * 20, 86_400)


def follow(scheduler: Scheduler, clock: VirtualClock) -> None:
    del scheduler
    clock.shift_wall(1)


def advance(scheduler: Scheduler, clock: VirtualClock) -> None:
    scheduler.schedule_many("t", int, delays=[0.5] * 5_000)
    clock.advance(0.6)


def spread(scheduler: Scheduler, clock: VirtualClock) -> None:
    scheduler.stop("now")
    scheduler.schedule_many("t", int, delays=[0.1] * 5_000)
    clock.suspend(1)
    scheduler.start()
    clock.advance(11)


@contextmanager
def collecting() -> Iterator[None]:
    """Collects in two threads, as often as it can, and at each allocation besides."""
    ends = threading.Event()

    def collect() -> None:
        while not ends.is_set():
            gc.collect()

    threads = [threading.Thread(target=collect) for _ in range(2)]
    threshold = gc.get_threshold()
    for thread in threads:
        thread.start()
    gc.set_threshold(50, 2, 2)
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        ends.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("work", [forecast, follow, advance, spread])
def test_what_is_remembered_is_not_finalised(
    work: Callable[[Scheduler, VirtualClock], None],
) -> None:
    finalised: list[str] = []
    clock = VirtualClock(timezone="UTC")
    scheduler = Scheduler(clock=clock, history=1_000_000, catch_up_spread=10)
    with scheduler:
        ids = [scheduler.schedule("t", Remembered, args=(finalised,)) for _ in range(COUNT)]
        failed = [scheduler.schedule("t", fail, args=(finalised,)) for _ in range(COUNT)]
        clock.advance(1)
        scheduler.schedule_many("t", int, delays=[1e6 + number for number in range(100_000)])
        moments = [clock.now().timestamp() + 1e6 + number for number in range(100_000)]
        scheduler.schedule_many("t", int, run_ats=moments)
        deadline = monotonic() + 1.5
        with collecting():
            while monotonic() < deadline:
                work(scheduler, clock)
                assert finalised == []
        assert finalised == []
        assert all(isinstance(scheduler.result(task_id), Remembered) for task_id in ids)
        errors = [scheduler.wait_for_task(task_id).error for task_id in failed]
        assert all(isinstance(error, RememberedError) for error in errors)


def test_who_waits_is_not_finalised_either() -> None:
    clock = VirtualClock(timezone="UTC")
    called: list[int] = []
    with Scheduler(clock=clock) as scheduler:
        for number in range(COUNT):
            task_id = scheduler.schedule("t", int, args=(number,), delay=1e5)
            future = scheduler.future(task_id)
            future.add_done_callback(lambda future: called.append(future.result()))
            del future
        scheduler.schedule_many("t", int, delays=[1e6 + number for number in range(20_000)])
        deadline = monotonic() + 1
        with collecting():
            while monotonic() < deadline:
                forecast(scheduler, clock)
        clock.advance(2e5)
    assert called == list(range(COUNT))


def test_a_scheduler_that_refers_to_itself_is_collected_beside_its_work() -> None:
    deadline = monotonic() + 1
    with collecting():
        while monotonic() < deadline:
            clock = VirtualClock(timezone="UTC")
            scheduler = Scheduler(clock=clock, history=10)
            scheduler.start()
            for _ in range(20):
                scheduler.schedule("t", Remembered, args=([],))
                scheduler.schedule("cycle", scheduler.stop, delay=1000)
            clock.advance(1)
            scheduler.forecast(86_400, 3600)
    del scheduler, clock
    gc.collect()


NO_PYTHON_UNDER_THE_LOCK = """
import gc, sys, threading
from num_agents.scheduler import Scheduler, current_run
from num_agents.scheduler.testing import VirtualClock
gc.set_threshold(20, 2, 2)
sys.unraisablehook = lambda unraisable: sys.exit(unraisable)
dropped = 0

class Probe:
    '''Needs the engine's lock when it is dropped, called or told: under the lock it would hang.'''
    def __del__(self):
        global dropped
        dropped += 1
        use()
    def __call__(self, *_, **__):
        use()
        return Probe()

def use():
    scheduler.statistics()
    inner = scheduler.schedule("inner", int, delay=1e6)
    scheduler.future(inner)
    scheduler.cancel_task(inner)

def fail(*_, **__):
    raise ValueError(Probe())

def values():
    return {"args": (Probe(),), "kwargs": {"a": Probe()}, "metadata": {"a": Probe()}}

for clock in (VirtualClock(), None):
    scheduler = Scheduler(clock=clock, max_workers=2, history=7)
    scheduler.start()
    def let_pass():
        if clock is None:
            scheduler.wait_for_task(scheduler.schedule("last", int, priority=255), 10)
        else:
            clock.advance(5)
    for number in range(30):
        for callback in (Probe(), fail):
            scheduler.future(scheduler.schedule("plain", callback)).add_done_callback(Probe())
            scheduler.schedule("with all", callback, **values())
            scheduler.schedule("again", callback, interval=0.001, max_runs=3, **values())
            scheduler.schedule("missed", callback, run_at="2020-01-01T00:00:00Z",
                               grace=1, **values())
            paused = scheduler.schedule("paused", callback, delay=1, **values())
            scheduler.pause_task(paused)
            far = [scheduler.schedule("far", callback, delay=1e6, **values()) for _ in range(5)]
            for task_id in far:
                scheduler.future(task_id).add_done_callback(Probe())
                scheduler.future(task_id)
            scheduler.cancel_task(far[0])
            scheduler.cancel_many(far[1:4])
            scheduler.future(far[4]).cancel()
            scheduler.cancel_many([far[4], paused])
            rule = scheduler.schedule("rule", callback, rrule="FREQ=SECONDLY;COUNT=3", **values())
            scheduler.get_task(rule)
            let_pass()
            scheduler.cancel_task(rule)
            many = scheduler.schedule_many("many", callback, delays=[0.001] * 9 + [1e6] * 300)
            let_pass()
            scheduler.cancel_many(many)
        gc.collect()
    if clock is None:
        stopping = scheduler.schedule("stopped", print, delay=1e6)
        scheduler.future(stopping).add_done_callback(Probe())
    scheduler.stop("cancel")
    gc.collect()
print(dropped > 1000)
sys.stdout.flush()
"""


def test_no_python_under_the_lock() -> None:
    """Each road on which the engine lets something go, or calls something.

    In a process of its own, for it would hang with the interpreter held.
    """
    ended = subprocess.run(
        [sys.executable, "-c", dedent(NO_PYTHON_UNDER_THE_LOCK)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "True\n"), ended.stderr[-2000:]

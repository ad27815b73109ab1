"""Stopping twice, stopping harder, and starting again."""

from __future__ import annotations

import subprocess
import sys
import threading
from textwrap import dedent
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from num_agents.scheduler import Scheduler, current_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.scheduler.testing import VirtualClock

SECONDS = 10


class Busy:
    """A callback that goes on until it is told to end, by its cancel token or by the test."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.gate = threading.Event()
        self.was_cancelled = False
        self.task_id = ""

    def __call__(self) -> None:
        run = current_run()
        assert run is not None
        self.began.set()
        while not self.gate.wait(0.001):
            if run.is_cancelled:
                self.was_cancelled = True
                return

    def begin(self, scheduler: Scheduler) -> None:
        self.task_id = scheduler.schedule("busy", self)
        assert self.began.wait(SECONDS)


@pytest.fixture
def busy() -> Busy:
    return Busy()


@pytest.mark.parametrize("first", ["wait", "drain", "now"])
def test_a_stop_that_timed_out_can_be_followed_by_a_harder_one(
    threaded: Callable[..., Scheduler], busy: Busy, first: str
) -> None:
    scheduler = threaded(2)
    busy.begin(scheduler)
    report = scheduler.stop(first, timeout=0.02)  # type: ignore[arg-type]
    assert (report.was_running, report.ended, report.running) == (True, False, 1)
    report = scheduler.stop("cancel", timeout=SECONDS)
    assert (report.was_running, report.ended, report.running) == (False, True, 0)
    assert busy.was_cancelled


def test_a_stop_that_timed_out_can_be_followed_by_a_longer_one(
    threaded: Callable[..., Scheduler], busy: Busy
) -> None:
    scheduler = threaded(1)
    busy.begin(scheduler)
    assert not scheduler.stop("wait", timeout=0.02).ended
    threading.Timer(0.05, busy.gate.set).start()
    report = scheduler.stop("wait", timeout=SECONDS)
    assert (report.ended, report.running) == (True, 0)
    assert not busy.was_cancelled


def test_a_cancel_token_is_not_taken_back_by_another_start(
    threaded: Callable[..., Scheduler],
) -> None:
    scheduler = threaded(1)
    gate, began, started_again = threading.Event(), threading.Event(), threading.Event()
    seen: list[bool] = []

    def callback() -> None:
        run = current_run()
        assert run is not None
        began.set()
        gate.wait(SECONDS)
        started_again.wait(SECONDS)
        again = current_run()
        assert again is not None
        seen.extend([run.is_cancelled, again.is_cancelled])

    task_id = scheduler.schedule("t", callback)
    assert began.wait(SECONDS)
    assert not scheduler.stop("cancel", timeout=0.01).ended
    gate.set()
    scheduler.start()
    started_again.set()
    scheduler.wait_for_task(task_id, SECONDS)
    assert seen == [True, True]
    fresh = scheduler.schedule("fresh", lambda: current_run().is_cancelled)  # type: ignore[union-attr]
    assert scheduler.result(fresh, SECONDS) is False


def test_a_cancel_token_on_a_virtual_clock(scheduler: Scheduler, clock: VirtualClock) -> None:
    seen: list[bool] = []

    def callback() -> None:
        run = current_run()
        assert run is not None
        scheduler.stop("cancel")
        scheduler.start()
        seen.append(run.is_cancelled)

    scheduler.schedule("t", callback)
    clock.advance(0)
    assert seen == [True]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_drain_from_a_callback_drains(threaded: Callable[..., Scheduler], workers: int) -> None:
    scheduler = threaded(workers)
    ran: list[int] = []
    reports = []
    ended = threading.Event()

    def stop() -> None:
        for number in range(50):
            scheduler.schedule("due", ran.append, args=(number,))
        reports.append(scheduler.stop("drain", SECONDS))
        ended.set()

    scheduler.schedule("stop", stop)
    assert ended.wait(SECONDS * 2)
    assert sorted(ran) == list(range(50))
    assert reports[0].was_running


def test_exit_waits_for_all_schedulers_together() -> None:
    program = """
        import threading, time
        from num_agents.scheduler import Scheduler
        from num_agents.scheduler._engine import lifetime
        lifetime.EXIT_TIMEOUT_S = 0.5
        schedulers = [Scheduler(max_workers=1) for _ in range(6)]
        for scheduler in schedulers:
            began = threading.Event()
            scheduler.start()
            scheduler.schedule("hung", lambda: (began.set(), time.sleep(30)))
            began.wait()
    """
    begun = monotonic()
    ended = subprocess.run([sys.executable, "-c", dedent(program)], timeout=20, check=False)
    assert ended.returncode == 0
    # Six times half a second are three.
    assert monotonic() - begun < 2.5


def test_a_scheduler_that_was_dropped_while_it_runs_is_stopped_at_exit() -> None:
    program = """
        import gc, threading
        from num_agents.scheduler import Scheduler
        began = threading.Event()
        def slow():
            began.set()
            threading.Event().wait(0.3)
            print("ended", flush=True)
        def make():
            scheduler = Scheduler(max_workers=1)
            scheduler.start()
            scheduler.schedule("slow", slow)
        make()
        gc.collect()
        began.wait()
    """
    ended = subprocess.run(
        [sys.executable, "-c", dedent(program)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ended\n", "")

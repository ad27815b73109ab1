"""Signal handlers that use schedulers, and interrupts of what schedulers do."""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import dedent

import pytest

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(os.name != "posix", reason="no such signals here"),
]

PRELUDE = """
import faulthandler, gc, signal, sys, threading, time
from num_agents.scheduler import *
from num_agents.scheduler.testing import VirtualClock
faulthandler.dump_traceback_later(15, exit=True)

def every_now_and_then(work, handler, seconds=2.0):
    '''Does some work again and again, and is interrupted at another point each time.'''
    signal.signal(signal.SIGALRM, handler)
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        signal.setitimer(signal.ITIMER_REAL, (number % 150 + 1) * 1e-5)
        work()
        number += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    time.sleep(0.02)
    return number
"""


def run(program: str) -> str:
    """What a program prints; it must end well and say nothing else."""
    ended = subprocess.run(
        [sys.executable, "-c", PRELUDE + dedent(program)],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@pytest.mark.parametrize("mode", ["now", "wait", "drain", "cancel"])
@pytest.mark.parametrize("which", ["the same", "another"])
def test_a_handler_stops_and_starts_while_one_is_started_and_stopped(which: str, mode: str) -> None:
    program = f"""
        one = Scheduler(max_workers=1)
        other = one if "{which}" == "the same" else Scheduler(max_workers=1)
        all_ended = []
        def handler(*_):
            all_ended.append(other.stop("{mode}").ended)
            other.start()
        def work():
            one.start()
            one.stop("now")
        assert every_now_and_then(work, handler) > 5
        # None waited in vain, until its time limit.
        assert all(all_ended), all_ended
        for scheduler in (one, other):
            scheduler.start()
            assert scheduler.result(scheduler.schedule("t", lambda: 7), 5) == 7
            assert scheduler.stop().ended
        end = time.monotonic() + 2
        while (left := [t.name for t in threading.enumerate() if t.name[:3] == "num"]):
            if time.monotonic() > end:
                break
            time.sleep(0.01)
        print(left)
    """
    assert run(program) == "[]\n"


def test_a_handler_uses_a_scheduler_in_the_midst_of_anything() -> None:
    """What the main thread does with a scheduler, a handler does as well, at each moment."""
    program = """
        from num_agents.eventbus import EventBus
        bus = EventBus()
        bus.subscribe(".*", lambda event: None, is_pattern=True)
        scheduler = Scheduler(max_workers=2, event_bus=bus, history=100)
        scheduler.start()
        def use():
            task = Task("t", int, TaskSchedule(interval=1000, first_run="after_interval"))
            scheduler.schedule_task(task)
            future = scheduler.future(task.task_id)
            future.add_done_callback(lambda future: None)
            scheduler.pause_task(task.task_id)
            scheduler.resume_task(task.task_id)
            scheduler.cancel_many([task.task_id])
            assert future.cancelled()
        depth = [0]
        def handler(*_):
            if depth[0] < 3:
                depth[0] += 1
                use()
                depth[0] -= 1
        assert every_now_and_then(use, handler) > 5
        assert scheduler.result(scheduler.schedule("t", lambda: 7), 5) == 7
        statistics = scheduler.statistics()
        print(statistics.pending, statistics.running, scheduler._engine.native.watchers)
        scheduler.stop()
    """
    assert run(program) == "0 0 0\n"


def test_a_finalizer_uses_a_scheduler_in_the_midst_of_anything() -> None:
    program = """
        gc.set_threshold(5, 2, 2)
        scheduler = Scheduler(max_workers=2, history=100)
        scheduler.start()
        other = Scheduler(max_workers=1)
        class Cycle:
            def __init__(self):
                self.myself = self
            def __del__(self):
                task_id = scheduler.schedule("t", int, delay=1000)
                future = scheduler.future(task_id)
                assert scheduler.cancel_task(task_id)
                assert future.cancelled()
                other.stop("now")
                other.start()
        sys.unraisablehook = lambda raised: print(raised)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            Cycle()
            task_id = scheduler.schedule("t", int, delay=0.0, kwargs={})
            other.start()
            assert scheduler.wait_for_task(task_id, 5).status == "completed"
            other.stop("now")
        gc.disable()
        print(scheduler.statistics().pending)
        scheduler.stop()
        other.stop()
    """
    assert run(program) == "0\n"


@pytest.mark.parametrize("mode", ["wait", "drain", "cancel"])
def test_an_interrupted_stop_has_stopped(mode: str) -> None:
    program = f"""
        ran = []
        scheduler = Scheduler(max_workers=1)
        scheduler.start()
        for _ in range(300):
            scheduler.schedule("t", lambda: (time.sleep(0.01), ran.append(1)))
        def handler(*_):
            raise KeyboardInterrupt
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.005 if "{mode}" != "drain" else 0.1)
        try:
            scheduler.stop("{mode}")
        except KeyboardInterrupt:
            pass
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert not scheduler.is_running
        report = scheduler.stop("wait")
        count = len(ran)
        time.sleep(0.1)
        print(report.ended, report.running, len(ran) - count)
        print([t.name for t in threading.enumerate() if t.name.startswith("num-agents")])
        scheduler.start()
        assert scheduler.result(scheduler.schedule("t", lambda: 7, priority=0), 5) == 7
        scheduler.cancel_many(scheduler.live_task_ids())
        scheduler.stop()
    """
    assert run(program) == "True 0 0\n[]\n"


def test_an_interrupted_start_leaves_it_stopped_or_started() -> None:
    program = """
        scheduler = Scheduler(max_workers=3)
        def handler(*_):
            raise KeyboardInterrupt
        def work():
            try:
                scheduler.start()
                scheduler.stop("now")
            except KeyboardInterrupt:
                pass
        def shielded():
            try:
                work()
            except KeyboardInterrupt:
                pass
        try:
            every_now_and_then(shielded, handler)
        except KeyboardInterrupt:
            pass
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        scheduler.stop()
        scheduler.start()
        assert scheduler.result(scheduler.schedule("t", lambda: 7), 5) == 7
        print(scheduler.stop().ended)
        time.sleep(0.1)
        print([t.name for t in threading.enumerate() if t.name.startswith("num-agents")])
    """
    assert run(program) == "True\n[]\n"


def test_an_interrupted_wait_leaves_nothing() -> None:
    program = """
        scheduler = Scheduler(max_workers=1)
        scheduler.start()
        far = scheduler.schedule("far", int, delay=1000)
        is_waiting = False
        def handler(*_):
            if is_waiting:
                raise KeyboardInterrupt
        signal.signal(signal.SIGALRM, handler)
        end, number = time.monotonic() + 2, 0
        while time.monotonic() < end:
            number += 1
            try:
                is_waiting = True
                # Again after a while, should an interrupt be lost in a finalizer of Python's own.
                signal.setitimer(signal.ITIMER_REAL, (number % 150 + 1) * 1e-5, 0.05)
                scheduler.result(far)
            except KeyboardInterrupt:
                pass
            except RuntimeError as error:
                # A condition of the standard library that was interrupted in its own `wait`.
                assert "release un-acquired lock" in str(error), error
            finally:
                is_waiting = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        error = None
        gc.collect()
        print(number > 100, scheduler._engine.native.watchers)
        scheduler.stop()
    """
    assert run(program) == "True 0\n"

"""How a process ends, and how it splits, while a scheduler is at work in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from textwrap import dedent
from time import monotonic

import pytest

pytestmark = pytest.mark.realtime

PRELUDE = """
import os, sys, threading, time
from num_agents.scheduler import *
YEAR = 365 * 24 * 3600
"""


def run(program: str, *, timeout: float = 30) -> tuple[str, float]:
    """What a program prints, and how many seconds it takes; it must end well and say no more."""
    start = monotonic()
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-c", PRELUDE + dedent(program)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout, monotonic() - start


def run_within(limit_s: float, program: str) -> tuple[str, float]:
    """As `run`, for a program that must end in time in one of three tries.

    A wait that is in the program is there in each of them. A busy machine is slow now and then.
    """
    tries = 3
    for _ in range(tries):
        printed, seconds = run(program)
        if seconds < limit_s:
            return printed, seconds
    raise AssertionError(f"{tries} times not within {limit_s:.2f} s, but in {seconds:.2f} s")


@pytest.fixture(scope="module")
def startup() -> float:
    """Seconds that a program takes which only imports and does nothing."""
    return min(run("")[1] for _ in range(3))


class TestExit:
    @pytest.mark.parametrize(
        "end",
        [
            "",
            "scheduler.stop()",
            "scheduler.stop('now')",
            "scheduler.stop(); scheduler.start()",
            "del scheduler; import gc; gc.collect()",
            "sys.exit(0)",
            "threading.Thread(target=time.sleep, args=(0.05,)).start()",
        ],
    )
    def test_does_not_wait_for_next_year(self, startup: float, end: str) -> None:
        program = """
            scheduler = Scheduler(max_workers=4)
            scheduler.start()
            scheduler.schedule("next year", print, delay=YEAR)
            scheduler.schedule("every year", print, interval=YEAR, first_run="after_interval")
        """
        printed, _ = run_within(startup + 1, dedent(program) + end)
        assert printed == ""

    def test_waits_for_a_callback_that_runs(self, startup: float) -> None:
        program = """
            began = threading.Event()
            def callback():
                began.set()
                time.sleep(0.2)
                print("ended")
            scheduler = Scheduler()
            scheduler.start()
            scheduler.schedule("t", callback)
            scheduler.schedule("next year", print, delay=YEAR)
            began.wait()
        """
        printed, seconds = run_within(startup + 1.5, program)
        assert printed == "ended\n"
        assert seconds > 0.2

    def test_starts_nothing_more(self) -> None:
        program = """
            began = threading.Event()
            scheduler = Scheduler(max_workers=1)
            def callback():
                began.set()
                while scheduler.is_running:
                    time.sleep(0.001)
                print("first")
            scheduler.start()
            scheduler.schedule("t", callback)
            scheduler.schedule_many("t", print, delays=[0.0] * 1000, args=[("second",)] * 1000)
            began.wait()
        """
        assert run(program)[0] == "first\n"

    def test_with_many_schedulers_and_work_that_goes_on(self, startup: float) -> None:
        program = """
            schedulers = [Scheduler(max_workers=2) for _ in range(20)]
            for scheduler in schedulers:
                scheduler.start()
                scheduler.schedule("t", int, interval=0.0001)
            time.sleep(0.05)
        """
        for _ in range(3):
            run_within(startup + 3, program)

    def test_with_an_uncaught_error_and_a_scheduler_never_stopped(self) -> None:
        program = dedent("""
            scheduler = Scheduler()
            scheduler.start()
            scheduler.schedule("next year", print, delay=YEAR)
            raise SystemExit(7)
        """)
        ended = subprocess.run([sys.executable, "-c", PRELUDE + program], timeout=30, check=False)
        assert ended.returncode == 7

    @pytest.mark.skipif(os.name != "posix", reason="no such signal here")
    def test_an_interrupt_reaches_a_program_that_waits(self) -> None:
        program = dedent("""
            import signal
            # A shell starts what it runs in the background with interrupts ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            scheduler = Scheduler()
            scheduler.start()
            task_id = scheduler.schedule("next year", print, delay=YEAR)
            try:
                print("waiting", flush=True)
                scheduler.wait_for_task(task_id)
            except KeyboardInterrupt:
                print("interrupted")
        """)
        with subprocess.Popen(
            [sys.executable, "-c", PRELUDE + program], stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "waiting\n"
                process.send_signal(signal.SIGINT)
                assert process.stdout.readline() == "interrupted\n"
                assert process.wait(10) == 0
            finally:
                process.kill()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
class TestFork:
    def test_the_child_is_told_and_the_parent_untouched(self) -> None:
        program = """
            import warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            scheduler = Scheduler(max_workers=2)
            scheduler.start()
            task_id = scheduler.schedule("t", lambda: 7, delay=0.1)
            task = scheduler.get_task(task_id)
            child = os.fork()
            if child == 0:
                uses = {
                    "schedule": lambda: scheduler.schedule("t", print),
                    "schedule_many": lambda: scheduler.schedule_many("t", print, delays=[1]),
                    "cancel_task": lambda: scheduler.cancel_task(task_id),
                    "cancel_many": lambda: scheduler.cancel_many([task_id]),
                    "pause_task": lambda: scheduler.pause_task(task_id),
                    "reschedule_task": lambda: scheduler.reschedule_task(task_id, delay=1),
                    "run_now": lambda: scheduler.run_now(task_id),
                    "result": lambda: scheduler.result(task_id, 1),
                    "get_task": lambda: scheduler.get_task(task_id),
                    "tasks": lambda: scheduler.tasks,
                    "statistics": lambda: scheduler.statistics(),
                    "now": lambda: scheduler.now(),
                    "start": lambda: scheduler.start(),
                }
                for name, use in uses.items():
                    try:
                        use()
                    except SchedulerForkedError as error:
                        assert "make a new one in the child" in str(error)
                    else:
                        print(name, "did not say so")
                assert not scheduler.is_running
                report = scheduler.stop()
                assert (report.was_running, report.pending) == (False, 0)
                assert repr(scheduler) == "<Scheduler of the parent process>"
                with Scheduler(max_workers=1) as fresh:
                    assert fresh.result(fresh.schedule("t", lambda: 8), 10) == 8
                print("child", flush=True)
                sys.exit(0)
            assert os.waitpid(child, 0)[1] == 0
            assert scheduler.is_running
            assert scheduler.result(task_id, 10) == 7
            print("parent")
        """
        assert run(program)[0] == "child\nparent\n"

    def test_while_workers_are_busy(self) -> None:
        program = """
            import warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            scheduler = Scheduler(max_workers=4)
            scheduler.start()
            for _ in range(50):
                scheduler.schedule("t", int, interval=0.00005)
            for _ in range(20):
                child = os.fork()
                if child == 0:
                    import gc
                    gc.collect()
                    del scheduler
                    gc.collect()
                    sys.exit(0)
                assert os.waitpid(child, 0)[1] == 0
            before = scheduler.statistics().completed
            while scheduler.statistics().completed == before:
                time.sleep(0.001)
        """
        assert run(program)[0] == ""

    def test_multiprocessing_with_fork(self) -> None:
        program = """
            import multiprocessing, warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            def work(number):
                with Scheduler(max_workers=1) as own:
                    return own.result(own.schedule("t", lambda: number * 2), 10)
            scheduler = Scheduler()
            scheduler.start()
            with multiprocessing.get_context("fork").Pool(2) as pool:
                print(pool.map(work, range(4)))
            print(scheduler.result(scheduler.schedule("t", lambda: 9), 10))
        """
        assert run(program)[0] == "[0, 2, 4, 6]\n9\n"

"""A program that lives in its scheduler, and ends when it is asked to."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from textwrap import dedent

import pytest

from num_agents.scheduler import Scheduler

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(sys.platform == "win32", reason="no such signals here"),
]


def started(program: str) -> subprocess.Popen[str]:
    """A program that has printed its first line."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_well_when_it_is_asked_to(number: int) -> None:
    program = """
        import signal, time
        from num_agents.scheduler import Scheduler

        def work():
            print("running")
            time.sleep(0.2)
            print("done")

        numbers = [signal.SIGINT, signal.SIGTERM]
        before = list(map(signal.getsignal, numbers))
        scheduler = Scheduler()
        scheduler.schedule("t", work)
        scheduler.schedule("later", print, delay=3600)
        print(scheduler.run_forever())
        print(list(map(signal.getsignal, numbers)) == before)
    """
    process = started(program)
    process.send_signal(number)
    said, errors = process.communicate(timeout=20)
    report = "StopReport(was_running=True, ended=True, running=0, pending=1)"
    assert (said, errors) == (f"done\n{report}\nTrue\n", "")
    assert process.returncode == 0


def test_a_second_signal_does_not_wait() -> None:
    program = """
        import time
        from num_agents.scheduler import Scheduler

        def work():
            print("running")
            time.sleep(30)

        scheduler = Scheduler()
        scheduler.schedule("t", work)
        scheduler.run_forever(timeout=30)
    """
    process = started(program)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(0.3)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM


def test_what_still_runs_is_said() -> None:
    program = """
        import logging, time
        from num_agents.scheduler import Scheduler

        def work():
            print("running")
            time.sleep(0.5)

        logging.basicConfig()
        scheduler = Scheduler()
        scheduler.schedule("slow", work)
        print(scheduler.run_forever(timeout=0.05).running)
    """
    process = started(program)
    process.send_signal(signal.SIGTERM)
    said, errors = process.communicate(timeout=20)
    assert said == "1\n"
    assert "still ran when the program was asked to end" in errors


def test_other_threads_hear_no_signals() -> None:
    found: list[str] = []

    def work() -> None:
        try:
            Scheduler().run_forever()
        except RuntimeError as error:
            found.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert found == ["run_forever must be called in the main thread, which hears signals"]

"""Memory: what happens when there is none, and that what is not needed goes back to the system.

Without memory there is a MemoryError where a task is scheduled, and the scheduler goes on.
"""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(sys.platform != "linux", reason="other systems enforce no such limit"),
]

PRELUDE = """
import array, random, resource, time
from num_agents.scheduler import *

def used():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

def limit(more):
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (more if more < 0 else used() + more, most))

def nothing():
    pass

MIB = 1 << 20
"""


def run(program: str) -> str:
    """What a program prints that ends well and says nothing else."""
    ended = subprocess.run(
        [sys.executable, "-c", PRELUDE + dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@pytest.mark.parametrize("history", ["10**8", "2**31 - 1"])
def test_a_history_that_does_not_fit(history: str) -> None:
    printed = run(
        f"""
        limit(256 * MIB)
        try:
            Scheduler(history={history})
        except MemoryError as error:
            print(error)
        limit(-1)
        with Scheduler(history=10) as scheduler:
            print(scheduler.future(scheduler.schedule("t", lambda: 7)).result(10))
        """
    )
    assert printed == "no memory for what the scheduler was asked to hold\n7\n"


def test_scheduling_until_there_is_no_memory() -> None:
    printed = run(
        """
        scheduler = Scheduler(history=1000)
        runs = []
        scheduler.schedule("before", lambda: runs.append(1), interval=0.01)
        scheduler.start()
        limit(40 * MIB)
        failed = count = 0
        while failed < 3:
            try:
                scheduler.schedule('t', nothing, delay=1000)
                count += 1
            except MemoryError:
                failed += 1
        before = len(runs)
        time.sleep(0.2)
        assert len(runs) > before, "it has stopped running"
        pending = scheduler.statistics().pending
        assert pending + scheduler.statistics().running == count + 1, (pending, count)
        limit(-1)
        assert scheduler.cancel_many(scheduler.live_task_ids()) >= count
        print(scheduler.future(scheduler.schedule("t", lambda: 7)).result(10))
        scheduler.stop()
        """
    )
    assert printed == "7\n"


def test_a_batch_that_does_not_fit_leaves_nothing() -> None:
    printed = run(
        """
        scheduler = Scheduler(history=1000)
        kept = scheduler.schedule("kept", nothing, delay=1000)
        delays = array.array("d", [1000.0]) * 5_000_000
        moments = array.array("Q", [2**62]) * 5_000_000
        limit(200 * MIB)
        for _ in range(3):
            try:
                scheduler.schedule_many("t", nothing, delays=delays)
            except MemoryError:
                print(scheduler.statistics().pending)
        ids = scheduler.schedule_many("t", nothing, delays=delays[:10_000])
        print(len(ids), scheduler.statistics().pending, scheduler.tasks[kept].status)
        limit(-1)
        ids = scheduler.schedule_many("t", nothing, delays=delays[:1_000_000])
        print(scheduler.cancel_many(ids))
        """
    )
    assert printed == "1\n1\n1\n10000 10001 pending\n1000000\n"


@pytest.mark.parametrize(("cancel", "most_bytes_a_task"), [("many", 12), ("single", 12)])
def test_cancelled_tasks_leave_the_memory_to_the_system(
    cancel: str, most_bytes_a_task: int
) -> None:
    printed = run(
        f"""
        scheduler = Scheduler(history=1000)
        dice = random.Random(1)
        count = 500_000
        delays = array.array("d", (dice.random() * 86_400 for _ in range(count)))
        order = array.array("I", range(count))
        dice.shuffle(order)
        scheduler.cancel_task(scheduler.schedule("first", nothing, delay=10))
        start = resident()
        left = []
        for _ in range(3):
            ids = scheduler.schedule_many("t", nothing, delays=delays)
            assert resident() > start + 60 * count
            if {cancel == "many"}:
                assert scheduler.cancel_many(ids) == count
            else:
                assert all(scheduler.cancel_task(ids[index]) for index in order)
            del ids
            left.append((resident() - start) / count)
        if max(left) > {most_bytes_a_task} or left[-1] > left[1] + 2:
            print(left)
        """
    )
    assert printed == ""


def test_many_small_schedulers_leave_little_memory() -> None:
    printed = run(
        """
        def once():
            with Scheduler(max_workers=2) as scheduler:
                for delay in range(20):
                    scheduler.schedule("t", nothing, delay=100 + delay)

        once()
        start = resident()
        for _ in range(600):
            once()
        left = (resident() - start) / MIB
        if left > 14:
            print(left)
        """
    )
    assert printed == ""

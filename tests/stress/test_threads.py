"""Many tasks, many threads: each task exactly once, and nothing left over."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial
from textwrap import dedent
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler import Scheduler, TaskCancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MILLION = 1_000_000


@pytest.fixture
def quick_switching() -> Iterator[None]:
    """Threads take turns as often as they can, so that races are found sooner."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def in_threads(*targets: Callable[[], Any]) -> None:
    """Runs functions at the same time; the first error of any of them is raised."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(targets))

    def run(target: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            target()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def wait_until(done: Callable[[], bool], progress: Callable[[], object] = bool) -> None:
    """Wait until something is done; fail after 60 s in which `progress` returns the same value."""
    reached = progress()
    deadline = monotonic() + 60
    while not done():
        if progress() != reached:
            reached = progress()
            deadline = monotonic() + 60
        assert monotonic() < deadline
        threading.Event().wait(0.001)


def test_a_million_due_at_once_each_run_once(threaded: Callable[..., Scheduler]) -> None:
    counts = bytearray(MILLION)

    def count(number: int) -> None:
        counts[number] += 1

    scheduler = threaded(4)
    scheduler.schedule_many(
        "t", count, delays=[0.0] * MILLION, args=[(number,) for number in range(MILLION)]
    )

    def completed() -> int:
        return scheduler.statistics().completed

    wait_until(lambda: completed() == MILLION, completed)
    assert counts == b"\1" * MILLION
    statistics = scheduler.statistics()
    assert (statistics.pending, statistics.running, statistics.failed) == (0, 0, 0)


@pytest.mark.usefixtures("quick_switching")
def test_schedulers_and_cancellers_at_the_same_time(threaded: Callable[..., Scheduler]) -> None:
    scheduler = threaded(4)
    per_thread, batch = 2000, 10
    lock = threading.Lock()
    ran: dict[int, int] = {}
    cancelled: set[int] = set()
    open_ids: list[tuple[int, str]] = []
    numbers = iter(range(10**9))

    def callback(number: int) -> None:
        with lock:
            ran[number] = ran.get(number, 0) + 1

    def schedule() -> None:
        chance = random.Random(threading.get_ident())
        for _ in range(per_thread // batch):
            with lock:
                mine = [next(numbers) for _ in range(batch)]
            delays = [chance.choice((0.0, 0.001, 0.01)) for _ in mine]
            ids = scheduler.schedule_many(
                "t", callback, delays=delays, args=[(number,) for number in mine]
            )
            with lock:
                open_ids.extend(zip(mine, ids, strict=True))

    def schedule_singly() -> None:
        for _ in range(per_thread):
            with lock:
                number = next(numbers)
            task_id = scheduler.schedule("t", callback, delay=0.002, args=(number,))
            with lock:
                open_ids.append((number, task_id))

    def cancel() -> None:
        chance = random.Random(threading.get_ident())
        for _ in range(per_thread):
            with lock:
                if not open_ids:
                    continue
                number, task_id = open_ids[chance.randrange(len(open_ids))]
            if scheduler.cancel_task(task_id):
                with lock:
                    assert number not in cancelled
                    cancelled.add(number)

    in_threads(schedule, schedule, schedule_singly, cancel, cancel)
    wait_until(lambda: scheduler.statistics().pending == scheduler.statistics().running == 0)
    assert set(ran.values()) == {1}
    # One that was told to stop while it ran has run, too, and ended as cancelled.
    for number, task_id in open_ids:
        assert (number in ran) or (number in cancelled), number
        task = scheduler.get_task(task_id)
        assert task is not None
        assert (task.status == "cancelled") == (number in cancelled)
    statistics = scheduler.statistics()
    assert statistics.scheduled == 3 * per_thread == len(open_ids)
    assert statistics.cancelled == len(cancelled)


@pytest.mark.usefixtures("quick_switching")
def test_no_waiter_loses_its_outcome(threaded: Callable[..., Scheduler]) -> None:
    """Some give up while others wait for the same task, which runs or is cancelled meanwhile."""
    scheduler = threaded(2)
    for turn in range(150):
        task_id = scheduler.schedule("t", int, delay=0.0005)

        def patient(task_id: str = task_id) -> None:
            with suppress(TaskCancelledError):
                assert scheduler.result(task_id, 20) == 0

        def impatient(task_id: str = task_id) -> None:
            for _ in range(10):
                with suppress(TimeoutError):
                    scheduler.wait_for_task(task_id, 0)

        def canceller(task_id: str = task_id, turn: int = turn) -> None:
            if turn % 3 == 0:
                scheduler.cancel_task(task_id)

        in_threads(patient, patient, impatient, impatient, canceller)
    assert scheduler._engine.native.watchers == 0


@pytest.mark.usefixtures("quick_switching")
def test_control_from_many_threads(threaded: Callable[..., Scheduler]) -> None:
    """Everything at once on the same recurring tasks: nothing breaks, and they can be stopped."""
    scheduler = threaded(3)
    at_once: dict[str, int] = {}

    def callback(name: str) -> None:
        at_once[name] = at_once.get(name, 0) + 1
        assert at_once[name] == 1
        at_once[name] -= 1

    ids = [scheduler.schedule("t", callback, interval=0.0005, args=(name,)) for name in "abcdefgh"]

    def control(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(300):
            task_id = chance.choice(ids)
            operations: list[Callable[[str], object]] = [
                scheduler.pause_task,
                scheduler.resume_task,
                scheduler.resume_task,
                scheduler.run_now,
                partial(scheduler.reschedule_task, delay=0.0003),
                lambda task_id: scheduler.tasks[task_id].to_dict(),
                lambda task_id: scheduler.get_due_tasks(),
                lambda task_id: scheduler.statistics(),
            ]
            chance.choice(operations)(task_id)

    in_threads(*[partial(control, seed) for seed in range(4)])
    for task_id in ids:
        scheduler.resume_task(task_id)
    before = scheduler.statistics().completed
    wait_until(lambda: scheduler.statistics().completed > before)
    assert scheduler.cancel_many(ids) == 8
    wait_until(lambda: scheduler.statistics().running == 0)
    statistics = scheduler.statistics()
    assert (statistics.failed, statistics.pending, statistics.paused) == (0, 0, 0)


def test_waits_in_callbacks_do_not_deadlock_a_pool_of_one(
    threaded: Callable[..., Scheduler],
) -> None:
    scheduler = threaded(1)

    def fibonacci(n: int) -> int:
        if n < 2:
            return n
        ids = [scheduler.schedule("t", fibonacci, args=(n - part,)) for part in (1, 2)]
        return sum(int(scheduler.result(task_id, 60)) for task_id in ids)

    assert scheduler.result(scheduler.schedule("t", fibonacci, args=(9,)), 60) == 34


@pytest.mark.realtime
def test_a_thousand_starts_and_stops_leave_nothing_behind() -> None:
    program = """
        import gc, os, threading
        from pathlib import Path
        from num_agents.scheduler import Scheduler

        def cycle():
            with Scheduler(max_workers=2) as scheduler:
                task_id = scheduler.schedule("t", int)
                scheduler.schedule("far", print, delay=3600, args=(bytes(1000),))
                assert scheduler.result(task_id, 10) == 0

        def resident_kib():
            status = Path("/proc/self/status")
            if not status.is_file():
                return 0
            return int(status.read_text().split("VmRSS:")[1].split()[0])

        def descriptors():
            folder = Path("/proc/self/fd")
            return len(list(folder.iterdir())) if folder.is_dir() else 0

        def held():
            gc.collect()
            return threading.active_count(), descriptors(), len(gc.get_objects()), resident_kib()

        for _ in range(200):
            cycle()
        before = held()
        for _ in range(1000):
            cycle()
        threads, files, objects, kib = (now - then for now, then in zip(held(), before))
        print(threads, files, objects <= 100, "flat" if kib <= 4096 else kib)
    """
    # In a process of its own, whose memory nothing else uses.
    ended = subprocess.run(
        [sys.executable, "-c", dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ended.stdout == "0 0 True flat\n"


@pytest.mark.realtime
def test_one_scheduler_started_and_stopped_at_once_many_times() -> None:
    scheduler = Scheduler(max_workers=4)
    far = scheduler.schedule("far", print, delay=3600)
    before = threading.active_count()
    for turn in range(500):
        scheduler.start()
        task_id = scheduler.schedule("t", int)
        scheduler.stop("now" if turn % 2 else "drain")
        assert scheduler.tasks[task_id].status in ("pending", "running", "completed")
    scheduler.start()
    wait_until(lambda: scheduler.statistics().completed == 500)
    assert scheduler.stop(timeout=10).ended
    wait_until(lambda: threading.active_count() == before)
    assert scheduler.tasks[far].status == "pending"


@pytest.mark.realtime
def test_lateness_of_an_idle_scheduler(threaded: Callable[..., Scheduler]) -> None:
    """Timers fire when they are due: a bound that only a lost wake-up or a poll would break."""
    scheduler = threaded(2)
    chance = random.Random(1)
    ids = [scheduler.schedule("t", int, delay=chance.random() / 4) for _ in range(200)]
    for task_id in ids:
        assert scheduler.result(task_id, 10) == 0
    lateness = scheduler.statistics().lateness
    assert lateness.count == 200
    limit_ns = 200_000_000 if (os.cpu_count() or 1) < 4 else 50_000_000
    assert lateness.quantile_ns(0.5) < limit_ns

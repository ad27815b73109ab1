"""Promises of docs/semantics.md that no suite of one topic checks."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
import weakref
from textwrap import dedent
from threading import Event, Thread
from threading import enumerate as enumerate_threads
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler import (
    Exclusions,
    InvalidCronError,
    Scheduler,
    SchedulerStoppedError,
    TaskSchedule,
    current_run,
)
from num_agents.scheduler._engine import lifetime

if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.scheduler.testing import VirtualClock

WAYS_TO_WAIT: list[Callable[..., Any]] = [
    lambda scheduler, task_id, **more: scheduler.wait_for_task(task_id, 5, **more).unwrap(),
    lambda scheduler, task_id, **more: scheduler.result(task_id, 5, **more),
    lambda scheduler, task_id, **more: scheduler.future(task_id, **more).result(5),
    lambda scheduler, task_id, **more: asyncio.run(
        scheduler.wait_for_task_async(task_id, 5, **more)
    ).unwrap(),
    lambda scheduler, task_id, **more: asyncio.run(scheduler.result_async(task_id, 5, **more)),
]
each_way = pytest.mark.parametrize(
    "wait", WAYS_TO_WAIT, ids=["wait", "result", "future", "wait_async", "result_async"]
)


class TestWaiting:
    @each_way
    def test_until_the_end(self, wait: Callable[..., Any], clock: VirtualClock) -> None:
        with Scheduler(clock=clock) as scheduler:
            runs = iter(range(3))
            task_id = scheduler.schedule("t", lambda: next(runs), interval=1, max_runs=3)
            assert wait(scheduler, task_id, until="run") == 0
            assert wait(scheduler, task_id, until="end") == 2

    @each_way
    def test_of_a_scheduler_that_does_not_run(self, wait: Callable[..., Any]) -> None:
        scheduler = Scheduler()
        task_id = scheduler.schedule("t", print)
        with pytest.raises(SchedulerStoppedError, match="not running"):
            wait(scheduler, task_id)

    @each_way
    def test_ends_when_it_is_stopped(
        self, wait: Callable[..., Any], threaded: Callable[..., Scheduler]
    ) -> None:
        scheduler = threaded(max_workers=1)
        task_id = scheduler.schedule("t", print, delay=3600)
        raised: list[BaseException] = []

        def waits() -> None:
            try:
                wait(scheduler, task_id)
            except BaseException as error:
                raised.append(error)

        waiter = Thread(target=waits)
        waiter.start()
        while not scheduler._engine.native.watchers:
            time.sleep(0)
        scheduler.stop()
        waiter.join(5)
        assert [type(error) for error in raised] == [SchedulerStoppedError]

    @each_way
    def test_in_a_callback_of_a_pool_of_one(
        self, wait: Callable[..., Any], threaded: Callable[..., Scheduler]
    ) -> None:
        scheduler = threaded(max_workers=1)

        def outer() -> Any:
            return wait(scheduler, scheduler.schedule("inner", lambda: 42))

        assert scheduler.result(scheduler.schedule("outer", outer), 5) == 42


class SlottedError(Exception):
    __slots__ = ("more",)


class TestErrors:
    def test_are_raised_as_copies(self, scheduler: Scheduler) -> None:
        error = ValueError("wrong", 1)

        def fails() -> None:
            raise error

        task_id = scheduler.schedule("t", fails)
        with pytest.raises(ValueError, match="wrong") as caught:
            scheduler.result(task_id)
        assert caught.value is not error
        assert caught.value.args == error.args
        assert scheduler.wait_for_task(task_id).error is error
        assert error.__traceback__ is None

    def test_but_not_if_they_have_slots(self, scheduler: Scheduler) -> None:
        error = SlottedError()

        def fails() -> None:
            raise error

        with pytest.raises(SlottedError) as caught:
            scheduler.result(scheduler.schedule("t", fails))
        assert caught.value is error


def test_an_ended_task_keeps_its_outcome_only(scheduler: Scheduler) -> None:
    class Owner:
        def method(self, argument: object) -> str:
            del argument
            return "done"

    owner, argument = Owner(), Owner()
    kept = [weakref.ref(owner), weakref.ref(argument)]
    task_id = scheduler.schedule("t", owner.method, args=(argument,), tags=("tag",))
    assert scheduler.result(task_id) == "done"
    del owner, argument
    gc.collect()
    assert [reference() for reference in kept] == [None, None]
    task = scheduler.get_task(task_id)
    assert task is not None
    assert (task.name, sorted(task.tags), task.result) == ("t", ["tag"], "done")


class TestStopping:
    def test_again_and_harder(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded(max_workers=1)
        started = Event()

        def until_cancelled() -> None:
            run = current_run()
            started.set()
            while run is not None and not run.is_cancelled:
                time.sleep(0)

        scheduler.schedule("t", until_cancelled)
        assert started.wait(5)
        report = scheduler.stop("wait", timeout=0)
        assert (report.was_running, report.ended, report.running) == (True, False, 1)
        report = scheduler.stop("cancel", timeout=5)
        assert (report.was_running, report.ended, report.running) == (False, True, 0)

    def test_at_exit_all_together(
        self, threaded: Callable[..., Scheduler], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hung = Event()
        begun = [Event() for _ in range(3)]

        def hangs(event: Event) -> None:
            event.set()
            hung.wait(30)

        running = [threaded(max_workers=1) for _ in begun]
        for scheduler, event in zip(running, begun, strict=True):
            scheduler.schedule("t", hangs, args=(event,))
        assert all(event.wait(5) for event in begun)
        waited: list[float] = []
        stop = Scheduler.stop

        def noted(scheduler: Scheduler, mode: Any = "wait", timeout: Any = 5.0) -> Any:
            if mode == "wait":
                waited.append(timeout)
            return stop(scheduler, mode, timeout)

        monkeypatch.setattr(lifetime, "_running", set(running))
        monkeypatch.setattr(lifetime, "EXIT_TIMEOUT_S", 0.2)
        monkeypatch.setattr(Scheduler, "stop", noted)
        lifetime._stop_all()
        assert len(waited) == 3
        assert max(waited) <= 0.2
        assert waited[1] == waited[2] == 0
        hung.set()

    def test_a_scheduler_that_nobody_keeps_runs_on(self) -> None:
        ran = Event()

        def schedules() -> weakref.ref[Scheduler]:
            scheduler = Scheduler(max_workers=1)
            scheduler.start()
            scheduler.schedule("t", ran.set, delay=0.05)
            return weakref.ref(scheduler)

        reference = schedules()
        gc.collect()
        assert ran.wait(5)
        scheduler = reference()
        assert scheduler is not None
        scheduler.stop()


PROGRAMS = {
    "a callback forks": """
        import os
        from num_agents.scheduler import Scheduler, SchedulerForkedError

        def forks():
            child = os.fork()
            if child == 0:
                try:
                    scheduler.schedule("child", print)
                except SchedulerForkedError:
                    return None
                os._exit(1)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        with Scheduler(max_workers=1) as scheduler:
            print(scheduler.result(scheduler.schedule("forks", forks), 10))
        """,
    "the child lets go": """
        import gc, os
        from num_agents.scheduler import Scheduler

        class Argument:
            def __del__(self):
                print("destroyed in the", "parent" if os.getpid() == parent else "child")

        parent = os.getpid()
        scheduler = Scheduler(max_workers=1)
        scheduler.schedule("far", print, delay=3600, args=(Argument(),))
        child = os.fork()
        if child == 0:
            del scheduler
            gc.collect()
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_child_ends_and_destroys_nothing(program: str) -> None:
    done = subprocess.run(
        # Newer Pythons warn of a fork beside threads, which is what is tested.
        [sys.executable, "-u", "-W", "ignore", "-c", dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # The parent's own goes at its end.
    said = done.stdout.removesuffix("destroyed in the parent\n")
    assert (done.returncode, said, done.stderr) == (0, "0\n", "")


def test_default_workers_are_daemons_and_few(
    threaded: Callable[..., Scheduler], monkeypatch: pytest.MonkeyPatch
) -> None:
    for processors, expected in ((2, 6), (64, 32)):
        monkeypatch.setattr(os, "cpu_count", lambda processors=processors: processors)
        before = set(enumerate_threads())
        scheduler = threaded(max_workers=None)
        workers = [
            thread
            for thread in set(enumerate_threads()) - before
            if thread.name.startswith("num-agents-scheduler-")
        ]
        assert len(workers) == expected
        assert all(thread.daemon for thread in workers)
        scheduler.stop()


@pytest.mark.parametrize(
    ("schedule", "missed"),
    [
        ({"cron_expression": "* * * * *"}, 28_799),
        ({"cron_expression": "* * * * *", "exclude": Exclusions(hours=[3])}, 10_000),
        ({"any_of": [TaskSchedule(cron_expression="* * * * *")] * 2}, 10_000),
    ],
)
def test_what_is_missed_is_counted_up_to_a_limit_where_that_takes_time(
    schedule: dict[str, Any], missed: int, clock: VirtualClock
) -> None:
    scheduler = Scheduler(clock=clock)
    task_id = scheduler.schedule("t", int, **schedule)
    clock.advance(20 * 86_400)
    scheduler.start()
    assert scheduler.wait_for_task(task_id, 1).missed == missed


def test_only_in_quartz_a_range_of_numbers_wraps() -> None:
    schedule = TaskSchedule(cron_expression="0 0 0 ? * 6-2", dialect="quartz", timezone="UTC")
    assert schedule.describe() == "at 00:00 on Monday and Friday to Sunday, UTC"
    with pytest.raises(InvalidCronError, match="runs backwards"):
        TaskSchedule(cron_expression="0 0 * * 5-1")


def test_a_step_from_a_number_is_at_fixed_times() -> None:
    for expression, repeats in (("*/30 1 * * *", True), ("5/30 1 * * *", False)):
        schedule = TaskSchedule(cron_expression=expression, timezone="America/New_York")
        times = schedule.preview(4, start="2025-11-02T00:00")
        assert all(one.day == 2 for one in times) == repeats

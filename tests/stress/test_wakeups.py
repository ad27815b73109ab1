"""Which threads wake when: long runs delay nobody else, and nobody wakes in vain."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler import Scheduler
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.realtime

#: A long run, in seconds, and by how much less than that others may be late on a busy machine.
LONG_S = 0.6
LIMIT_S = LONG_S / 3

TASKS = Path("/proc/self/task")
counts_wake_ups = pytest.mark.skipif(not TASKS.is_dir(), reason="no count of wake-ups here")


class Lateness:
    """Schedules tasks that note how late they start."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.noted_s: list[float] = []
        self.ids: list[str] = []

    def note(self, due: float) -> None:
        """What a task calls."""
        self.noted_s.append(monotonic() - due)

    def schedule(self, *delays: float, **options: Any) -> None:
        """Schedules a task for each delay."""
        for delay in delays:
            # Before the scheduler reads the clock, so that an early start would be seen.
            due = monotonic() + delay
            task_id = self.scheduler.schedule("t", self.note, delay=delay, args=(due,), **options)
            self.ids.append(task_id)

    def wait(self) -> list[float]:
        """Waits for all of them, and returns how late each was."""
        for task_id in self.ids:
            self.scheduler.wait_for_task(task_id, 30)
        self.ids.clear()
        noted, self.noted_s = self.noted_s, []
        assert min(noted) >= 0
        return noted


def sleep(seconds: float = LONG_S) -> None:
    threading.Event().wait(seconds)


def wake_ups() -> int:
    """How often worker threads have gone to sleep."""
    workers = [
        thread
        for thread in threading.enumerate()
        if thread.name.removeprefix("num-agents-scheduler-").isdigit()
    ]
    status = [(TASKS / str(thread.native_id) / "status").read_text() for thread in workers]
    return sum(int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0]) for text in status)


@pytest.mark.parametrize("slack", [0, 0.001])
@pytest.mark.parametrize("workers", [2, 3, 8])
def test_a_long_run_delays_no_other_task(
    threaded: Callable[..., Scheduler], workers: int, slack: float
) -> None:
    scheduler = threaded(workers, slack=slack)
    lateness = Lateness(scheduler)
    # All before were short, so nobody expects the long one.
    lateness.schedule(*(0.0005 * number for number in range(100)))
    lateness.wait()
    for _ in range(2):
        # The second time it is known to be long.
        scheduler.schedule("long", sleep, delay=0.01)
        lateness.schedule(*(0.0101 + 0.002 * number for number in range(50)))
        assert max(lateness.wait()) < LIMIT_S
        sleep()


def test_a_task_that_turns_out_long_among_runs_of_one_callback(
    threaded: Callable[..., Scheduler],
) -> None:
    scheduler = threaded(3)
    lateness = Lateness(scheduler)
    for number in range(40):
        scheduler.schedule("t", sleep, delay=0.001 * number, args=(LONG_S * (number in (11, 29)),))
    lateness.schedule(*(0.001 * number for number in range(60)))
    assert max(lateness.wait()) < LIMIT_S


def test_what_is_scheduled_during_a_long_run_is_on_time(
    threaded: Callable[..., Scheduler],
) -> None:
    scheduler = threaded(2)
    lateness = Lateness(scheduler)
    scheduler.schedule("far", print, delay=3600)

    def long_run(began: threading.Event) -> None:
        began.set()
        sleep()

    for delay in (0, 0.0005, 0.02):
        began = threading.Event()
        long = scheduler.schedule("long", long_run, args=(began,))
        assert began.wait(10)
        lateness.schedule(0.05, delay, 0.03)
        assert max(lateness.wait()) < LIMIT_S
        scheduler.wait_for_task(long, 10)


def test_a_run_that_waits_for_a_task_delays_neither_it_nor_others(
    threaded: Callable[..., Scheduler],
) -> None:
    for workers in (1, 2):
        scheduler = threaded(workers)
        lateness = Lateness(scheduler)

        def wait(scheduler: Scheduler = scheduler) -> None:
            scheduler.wait_for_task(scheduler.schedule("inner", int, delay=LONG_S), 10)

        outer = [scheduler.schedule("outer", wait, delay=0.01) for _ in range(3)]
        lateness.schedule(*(0.011 + 0.01 * number for number in range(10)))
        assert max(lateness.wait()) < LIMIT_S
        assert [scheduler.wait_for_task(one, 10).status for one in outer] == ["completed"] * 3
        # The pool has shrunk, and a worker still watches.
        lateness.schedule(0.01, 0.02)
        assert max(lateness.wait()) < LIMIT_S


def test_one_worker_runs_what_a_long_run_delayed(threaded: Callable[..., Scheduler]) -> None:
    lateness = Lateness(threaded(1))
    lateness.scheduler.schedule("long", sleep, args=(0.05,))
    lateness.schedule(0.01, 0.02, 0.1)
    assert max(lateness.wait()) < LIMIT_S


@counts_wake_ups
@pytest.mark.parametrize("slack", [0, 0.01])
def test_an_idle_scheduler_wakes_no_thread(
    threaded: Callable[..., Scheduler], slack: float
) -> None:
    scheduler = threaded(4, slack=slack)
    scheduler.schedule_many("far", print, delays=[3600.0 + number for number in range(10_000)])
    lateness = Lateness(scheduler)
    lateness.schedule(*(0.001 * number for number in range(20)))
    lateness.wait()
    # The deputy looks once more, and sees that nothing is to come.
    sleep(0.1)
    before = wake_ups()
    sleep(0.2)
    assert wake_ups() == before


@counts_wake_ups
def test_a_due_time_wakes_one_thread(threaded: Callable[..., Scheduler]) -> None:
    lateness = Lateness(threaded(8))
    sleep(0.1)
    before = wake_ups()
    lateness.schedule(*(0.1 + 0.00025 * number for number in range(1000)))
    lateness.wait()
    # If the watch were handed on before each run, it would be two wake-ups a run.
    assert wake_ups() - before < 1700


@counts_wake_ups
def test_one_wake_up_serves_what_is_due_within_the_slack(
    threaded: Callable[..., Scheduler],
) -> None:
    lateness = Lateness(threaded(8, slack=0.02))
    sleep(0.1)
    before = wake_ups()
    lateness.schedule(*(0.1 + 0.0002 * number for number in range(1000)))
    assert max(lateness.wait()) < 0.02 + LIMIT_S
    assert wake_ups() - before < 300


class TestSlack:
    """A sleeping worker may sleep past a due time, and one that is awake does not wait."""

    def test_tasks_within_it_start_together(self, threaded: Callable[..., Scheduler]) -> None:
        lateness = Lateness(threaded(2, slack=0.5))
        lateness.schedule(0.2, 0.6)
        first, second = lateness.wait()
        # In one wake-up, 0.5 s after the first was due.
        assert 0.5 <= first < 0.5 + LIMIT_S
        assert second < 0.1 + LIMIT_S

    def test_an_earlier_task_is_late_by_the_slack_at_most(
        self, threaded: Callable[..., Scheduler]
    ) -> None:
        lateness = Lateness(threaded(2, slack=timedelta(seconds=0.1)))
        lateness.scheduler.schedule("far", print, delay=3600)
        sleep(0.05)
        lateness.schedule(0.5, 0.2, 0)
        assert max(lateness.wait()) < 0.1 + LIMIT_S

    def test_a_worker_that_is_awake_does_not_wait(self, threaded: Callable[..., Scheduler]) -> None:
        lateness = Lateness(threaded(1, slack=1))
        lateness.scheduler.schedule("long", sleep, args=(0.1,))
        lateness.schedule(0.05)
        assert max(lateness.wait()) < 0.05 + LIMIT_S

    def test_a_drain_does_not_wait(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded(2, slack=1)
        task_id = scheduler.schedule("t", int, delay=0.05)
        sleep(0.1)
        began = monotonic()
        assert scheduler.stop("drain", timeout=10).ended
        assert monotonic() - began < 1 - LIMIT_S
        assert scheduler.wait_for_task(task_id, 0).status == "completed"

    def test_changes_nothing_on_a_virtual_clock(self) -> None:
        def starts(slack: float) -> list[datetime]:
            clock = VirtualClock()
            noted: list[datetime] = []
            with clock, Scheduler(clock=clock, slack=slack) as scheduler:
                for delay in (0.1, 0.1001, 0.5):
                    scheduler.schedule("t", lambda: noted.append(clock.now()), delay=delay)
                scheduler.schedule("t", lambda: noted.append(clock.now()), interval=0.3)
                clock.advance(2)
            return noted

        assert starts(1) == starts(0)

    def test_is_a_second_at_most(self) -> None:
        for slack in (0, 1, 0.0, "1ms", timedelta(seconds=1)):
            Scheduler(slack=slack)
        for too_much in (1.000000001, 2, timedelta(days=1)):
            with pytest.raises(ValueError, match="slack must be at most 1 second, got"):
                Scheduler(slack=too_much)

"""Runs that take longer than they may."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus import EventBus
from num_agents.scheduler import (
    RetryPolicy,
    RunPolicy,
    Scheduler,
    Task,
    TaskTimeout,
    current_run,
)
from num_agents.scheduler._engine.limits import TimeLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from num_agents.scheduler.testing import VirtualClock

SECONDS = 10


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Set at the end, so that no thread of a test goes on."""
    event = threading.Event()
    yield event
    event.set()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


# ---- coroutines --------------------------------------------------------------------------------


def test_a_coroutine_is_cancelled_and_its_run_has_failed(
    clock: VirtualClock, scheduler: Scheduler
) -> None:
    seen: list[object] = []

    async def work() -> None:
        run = current_run()
        assert run is not None
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            # Asked for again it is still there.
            seen.extend([clock.now() - start, run.is_cancelled, current_run() is not None])
            raise

    start = clock.now()
    task_id = scheduler.schedule("t", work, timeout=5)
    outcome = scheduler.wait_for_task(task_id)
    assert (outcome.status, type(outcome.error)) == ("failed", TaskTimeout)
    assert str(outcome.error) == "the run took longer than 5 s"
    assert seen == [timedelta(seconds=5), True, True]
    with pytest.raises(TaskTimeout):
        scheduler.result(task_id)
    assert scheduler.statistics().failed == 1


def test_its_run_is_over_though_it_cleans_up(clock: VirtualClock, scheduler: Scheduler) -> None:
    starts: list[float] = []
    ends: list[float] = []
    start = clock.now()

    def now() -> float:
        return (clock.now() - start).total_seconds()

    async def work() -> None:
        starts.append(now())
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(25)
            ends.append(now())

    scheduler.schedule("t", work, interval=10, timeout=5, max_runs=4)
    clock.advance(100)
    # Its place in the overlap rule is free at the limit.
    assert starts == [0, 10, 20, 30]
    assert ends == [30, 40, 50, 60]
    assert scheduler.statistics().skipped == 0


def test_one_that_swallows_the_cancellation_has_failed_all_the_same(
    clock: VirtualClock, scheduler: Scheduler
) -> None:
    async def work() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(10)
        return "late"

    outcome = scheduler.wait_for_task(scheduler.schedule("t", work, timeout=5))
    assert (outcome.status, type(outcome.error)) == ("failed", TaskTimeout)
    clock.advance(60)
    assert (scheduler.statistics().completed, scheduler.statistics().failed) == (0, 1)


@pytest.mark.parametrize("timeout", [5, 5.0, timedelta(seconds=5), 3600])
def test_one_that_ends_in_time_is_as_any_other(scheduler: Scheduler, timeout: Any) -> None:
    task_id = scheduler.schedule("t", asyncio.sleep, args=(4.9, "done"), timeout=timeout)
    assert scheduler.result(task_id) == "done"


def test_it_has_the_context_of_its_caller(scheduler: Scheduler) -> None:
    from contextvars import ContextVar

    colour = ContextVar("colour", default="none")

    async def ask() -> str:
        return colour.get()

    colour.set("red")
    assert scheduler.result(scheduler.schedule("t", ask, timeout=5)) == "red"
    many = scheduler.schedule_many("t", ask, delays=[0], policy=RunPolicy(timeout=5))
    assert scheduler.result(many[0]) == "red"


def test_it_is_tried_again_if_asked(clock: VirtualClock, scheduler: Scheduler) -> None:
    attempts: list[int] = []

    async def work() -> str:
        run = current_run()
        assert run is not None
        attempts.append(run.attempt)
        try:
            await asyncio.sleep(60 if run.attempt < 3 else 1)
        finally:
            await asyncio.sleep(3)
        return "done"

    policy = RetryPolicy(5, wait_initial=1, wait_exp_base=1, wait_jitter=0)
    task_id = scheduler.schedule("t", work, timeout=5, retry=policy)
    outcome = scheduler.wait_for_task(task_id)
    assert (outcome.value, outcome.attempt, attempts) == ("done", 3, [1, 2, 3])
    clock.advance(60)
    assert scheduler.statistics().running == 0


def test_it_takes_room_until_it_has_ended(clock: VirtualClock) -> None:
    under_way = most = 0

    async def work() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(10)
            under_way -= 1

    with Scheduler(clock=clock, max_concurrency=2) as scheduler:
        for _ in range(6):
            scheduler.schedule("t", work, timeout=1)
        clock.advance(60)
        assert (most, under_way, scheduler.statistics().failed) == (2, 0, 6)


@pytest.mark.realtime
def test_on_a_real_loop() -> None:
    async def main() -> None:
        async with Scheduler() as scheduler:
            task_id = scheduler.schedule("t", asyncio.sleep, args=(3600,), timeout=0.02)
            outcome = await scheduler.wait_for_task_async(task_id, SECONDS)
            assert type(outcome.error) is TaskTimeout
            assert await scheduler.result_async(scheduler.schedule("t", int, timeout=5)) == 0

    asyncio.run(main())


# ---- threads -----------------------------------------------------------------------------------


@pytest.mark.realtime
def test_a_thread_goes_on_and_another_takes_its_place(
    threaded: Callable[..., Scheduler], release: threading.Event
) -> None:
    scheduler = threaded(max_workers=1)
    seen: list[object] = []

    def work() -> str:
        run = current_run()
        assert run is not None
        release.wait(SECONDS)
        seen.extend([run.is_cancelled, current_run() is not None])
        return "late"

    task_id = scheduler.schedule("t", work, timeout=0.02)
    outcome = scheduler.wait_for_task(task_id, SECONDS)
    assert (outcome.status, type(outcome.error)) == ("failed", TaskTimeout)
    assert scheduler.statistics().running == 0
    # The only worker is held, and others run all the same.
    assert scheduler.result(scheduler.schedule("t", int), SECONDS) == 0
    assert scheduler.statistics().held == 1
    assert "1 held" in repr(scheduler.statistics())
    release.set()
    wait_until(lambda: scheduler.statistics().held == 0)
    assert seen == [True, True]
    # What it has returned is dropped.
    assert scheduler.tasks[task_id].status == "failed"
    assert scheduler.statistics().completed == 1
    assert scheduler.result(scheduler.schedule("t", int), SECONDS) == 0


@pytest.mark.realtime
def test_what_a_held_thread_raises_is_dropped(
    threaded: Callable[..., Scheduler],
    release: threading.Event,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scheduler = threaded()

    def work() -> None:
        release.wait(SECONDS)
        raise LookupError("late")

    task_id = scheduler.schedule("t", work, timeout=0.02)
    assert type(scheduler.wait_for_task(task_id, SECONDS).error) is TaskTimeout
    release.set()
    wait_until(lambda: scheduler.statistics().held == 0)
    assert scheduler.statistics().failed == 1
    assert "late" not in caplog.text


@pytest.mark.realtime
def test_one_that_ends_in_time_is_not_disturbed(threaded: Callable[..., Scheduler]) -> None:
    bus, seen = EventBus(), []
    bus.subscribe("scheduler.task_.*", lambda event: seen.append(event.event_type), is_pattern=True)
    scheduler = threaded(event_bus=bus)

    def work(value: int) -> int:
        run = current_run()
        assert run is not None
        assert not run.is_cancelled
        return 2 * value

    for options in ({}, {"kwargs": {"value": 21}}, {"interval": 3600}):
        given: dict[str, Any] = options if "kwargs" in options else options | {"args": (21,)}
        assert scheduler.result(scheduler.schedule("t", work, timeout=5, **given), SECONDS) == 42
    task = Task("t", work, args=(21,), policy=RunPolicy(timeout=5))
    assert scheduler.result(scheduler.schedule_task(task), SECONDS) == 42
    many = scheduler.schedule_many(
        "t", work, delays=[0, 0], args=[(1,), (2,)], policy=RunPolicy(timeout=5)
    )
    assert [scheduler.result(one, SECONDS) for one in many] == [2, 4]

    def fail() -> None:
        raise LookupError("wrong")

    outcome = scheduler.wait_for_task(scheduler.schedule("t", fail, timeout=5), SECONDS)
    assert type(outcome.error) is LookupError
    assert scheduler.statistics().held == 0
    wait_until(lambda: seen.count("scheduler.task_completed") == 6)
    assert seen.count("scheduler.task_failed") == 1


@pytest.mark.realtime
def test_a_held_thread_does_not_keep_the_others_of_its_task(
    threaded: Callable[..., Scheduler], release: threading.Event
) -> None:
    scheduler = threaded(max_workers=1)
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        release.wait(SECONDS)

    scheduler.schedule("t", work, interval=0.03, timeout=0.01, max_runs=3)
    wait_until(lambda: scheduler.statistics().failed == 3)
    assert (len(calls), scheduler.statistics().held) == (3, 3)
    release.set()
    wait_until(lambda: scheduler.statistics().held == 0)


@pytest.mark.realtime
def test_many_are_given_up_while_many_end(threaded: Callable[..., Scheduler]) -> None:
    scheduler = threaded(max_workers=4)
    ids = scheduler.schedule_many(
        "t",
        time.sleep,
        delays=[0] * 400,
        args=[(number % 4 * 0.0005,) for number in range(400)],
        policy=RunPolicy(timeout=0.001),
    )
    statuses = [scheduler.wait_for_task(one, SECONDS).status for one in ids]
    statistics = scheduler.statistics()
    assert (statistics.completed, statistics.failed) == (
        statuses.count("completed"),
        statuses.count("failed"),
    )
    assert statistics.completed + statistics.failed == 400
    wait_until(lambda: scheduler.statistics().held == 0)
    assert scheduler.statistics().running == 0


def test_on_a_virtual_clock_a_callable_is_judged_when_it_ends(
    clock: VirtualClock, scheduler: Scheduler
) -> None:
    def work(seconds: float) -> str:
        clock.advance(seconds)
        return "done"

    assert scheduler.result(scheduler.schedule("t", work, args=(5,), timeout=5)) == "done"
    late = scheduler.schedule("t", work, args=(5.001,), timeout=5)
    assert type(scheduler.wait_for_task(late).error) is TaskTimeout
    assert scheduler.statistics().held == 0


@pytest.mark.realtime
def test_the_thread_for_limits_ends_when_there_are_none() -> None:
    def threads() -> list[threading.Thread]:
        names = [one for one in threading.enumerate() if one.name.endswith("scheduler-limits")]
        return [one for one in names if one not in before]

    before: list[threading.Thread] = []
    before = threads()
    limits, expired = TimeLimits(), threading.Event()
    withdrawn: list[int] = []
    limits.add(0.03, lambda: withdrawn.append(1)).withdraw()
    limits.add(0.01, expired.set)
    assert expired.wait(SECONDS)
    assert len(threads()) == 1
    wait_until(lambda: threads() == [])
    assert withdrawn == []
    again = threading.Event()
    limits.add(0.01, again.set)
    assert again.wait(SECONDS)


def test_a_limit_that_takes_long_delays_no_other(release: threading.Event) -> None:
    limits, expired = TimeLimits(), threading.Event()
    limits.add(0.001, lambda: release.wait(SECONDS))
    limits.add(0.002, lambda: release.wait(SECONDS))
    limits.add(0.003, expired.set)
    assert expired.wait(SECONDS)


def test_a_limit_that_raises_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise LookupError("wrong")

    limits, expired = TimeLimits(), threading.Event()
    limits.add(0.001, fail)
    limits.add(0.002, expired.set)
    assert expired.wait(SECONDS)
    wait_until(lambda: "A time limit of a run could not be applied" in caplog.text)


# ---- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "timeout", [0, 0.0, -1, float("nan"), float("inf"), "soon", [], True, timedelta(0)]
)
def test_a_bad_limit_is_refused(scheduler: Scheduler, timeout: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^timeout must"):
        scheduler.schedule("t", print, timeout=timeout)
    with pytest.raises((TypeError, ValueError), match=r"^timeout must"):
        RunPolicy(timeout=timeout)
    assert len(scheduler.tasks) == 0

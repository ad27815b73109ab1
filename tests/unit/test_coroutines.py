"""Coroutine functions: where they run, in which context, and how their runs end."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import warnings
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus import EventBus
from num_agents.scheduler import (
    RunPolicy,
    Scheduler,
    SchedulerStoppedError,
    Task,
    TaskSchedule,
    current_run,
)
from num_agents.scheduler.executors.loop import AlarmThread, LoopSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from num_agents.scheduler.testing import VirtualClock

SECONDS = 10

colour: ContextVar[str] = ContextVar("colour", default="none")


async def double(value: int) -> int:
    await asyncio.sleep(0)
    return 2 * value


async def fail() -> None:
    await asyncio.sleep(0)
    raise LookupError("wrong")


async def sleep_long() -> None:
    await asyncio.sleep(3600)


class AsynchronousCallable:
    async def __call__(self, value: int) -> int:
        return await double(value)

    async def method(self, value: int) -> int:
        return await double(value)


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop run until a condition holds."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


def loops() -> list[str]:
    """The names of threads that run event loops of schedulers."""
    return [one.name for one in threading.enumerate() if one.name.endswith("scheduler-loop")]


# ---- what is a coroutine function --------------------------------------------------------------

CALLBACKS: dict[str, Callable[..., Any]] = {
    "function": double,
    "partial": partial(double),
    "partial of a partial": partial(partial(double)),
    "method": AsynchronousCallable().method,
    "instance": AsynchronousCallable(),
    "partial of an instance": partial(AsynchronousCallable()),
}


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize("options", [{}, {"grace": 60}, {"interval": 60, "max_runs": 1}])
def test_is_awaited_like_any_other_callback_is_called(
    scheduler: Scheduler, name: str, options: dict[str, Any]
) -> None:
    task_id = scheduler.schedule("t", CALLBACKS[name], args=(21,), **options)
    assert scheduler.result(task_id) == 42


@pytest.mark.parametrize("how", [{"args": (21,)}, {"kwargs": {"value": 21}}])
def test_gets_its_arguments(scheduler: Scheduler, how: dict[str, Any]) -> None:
    task_id = scheduler.schedule("t", double, delay=1, **how)
    task = scheduler.tasks[task_id]
    assert (task.args, task.kwargs) == (how.get("args", ()), how.get("kwargs", {}))
    assert scheduler.result(task_id) == 42


def test_a_task_object_and_a_bulk_call_take_it(scheduler: Scheduler) -> None:
    task_id = scheduler.schedule_task(Task("t", double, TaskSchedule(delay=1), (1,)))
    many = scheduler.schedule_many("m", double, delays=[1, 2], args=[(2,), (3,)])
    with_options = scheduler.schedule_many(
        "o", double, delays=[1, 2], kwargs=[{"value": 4}, {"value": 5}], tags=["x"]
    )
    ids = [task_id, *many, *with_options]
    assert [scheduler.result(one) for one in ids] == [2, 4, 6, 8, 10]


def test_an_asynchronous_generator_function_is_refused(scheduler: Scheduler) -> None:
    async def generator() -> AsyncIterator[int]:
        yield 1

    for callback in (generator, partial(generator)):
        with pytest.raises(
            TypeError, match=r"^callback must be a function or a coroutine function"
        ):
            scheduler.schedule("t", callback)
    assert len(scheduler.tasks) == 0


def test_what_it_returns_must_not_be_awaited_again(scheduler: Scheduler) -> None:
    async def twice() -> Any:
        return double(1)

    outcome = scheduler.wait_for_task(scheduler.schedule("t", twice))
    assert str(outcome.error) == "the callback of task 't' returned a coroutine that nobody awaits"


def test_one_that_is_marked_is_known(scheduler: Scheduler) -> None:
    import inspect

    if not hasattr(inspect, "markcoroutinefunction"):
        pytest.skip("Python 3.12 and later")

    def plain(value: int) -> Coroutine[Any, Any, int]:
        return double(value)

    marked = inspect.markcoroutinefunction(plain)
    assert scheduler.result(scheduler.schedule("t", marked, args=(21,))) == 42


# ---- where they run ----------------------------------------------------------------------------


def test_the_running_loop_is_used() -> None:
    async def which() -> tuple[object, int]:
        return asyncio.get_running_loop(), threading.get_ident()

    async def main() -> None:
        async with Scheduler() as scheduler:
            here = asyncio.get_running_loop(), threading.get_ident()
            assert await scheduler.result_async(scheduler.schedule("t", which)) == here
            # Others go on in threads.
            task_id = scheduler.schedule("t", threading.get_ident)
            assert await scheduler.result_async(task_id) != threading.get_ident()
        assert loops() == []

    asyncio.run(main())


def test_start_async_and_stop_async_use_it_too() -> None:
    async def main() -> None:
        scheduler = Scheduler()
        await scheduler.start_async()
        assert await scheduler.result_async(scheduler.schedule("t", double, args=(1,))) == 2
        report = await scheduler.stop_async()
        assert (report.ended, report.running) == (True, 0)
        # In the next loop it can be started again.
        task_id = scheduler.schedule("t", double, args=(2,))
        await asyncio.sleep(0.01)
        assert scheduler.tasks[task_id].status == "pending"

        async def other() -> int:
            async with scheduler:
                return int(await scheduler.result_async(task_id))

        assert await asyncio.to_thread(asyncio.run, other()) == 4

    asyncio.run(main())


def test_without_a_running_loop_there_is_a_private_one() -> None:
    with Scheduler() as scheduler:
        assert scheduler.result(scheduler.schedule("t", int)) == 0
        assert loops() == []
        assert scheduler.result(scheduler.schedule("t", double, args=(1,)), SECONDS) == 2
        assert loops() == ["num-agents-scheduler-loop"]
    assert loops() == []


def test_one_that_was_scheduled_before_the_start_runs() -> None:
    scheduler = Scheduler()
    task_id = scheduler.schedule("t", double, args=(1,))
    with scheduler:
        assert scheduler.result(task_id, SECONDS) == 2


def test_another_loop_can_be_named() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def which() -> object:
        return asyncio.get_running_loop()

    try:
        with Scheduler(loop=loop) as scheduler:
            assert scheduler.result(scheduler.schedule("t", which), SECONDS) is loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize("loop", [5, "loop", asyncio, asyncio.new_event_loop])
def test_a_loop_that_is_none_is_refused(loop: Any) -> None:
    with pytest.raises(TypeError, match=r"^loop must be an event loop of asyncio or None, got"):
        Scheduler(loop=loop)


def test_a_closed_loop_is_replaced_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    with Scheduler(loop=loop) as scheduler:
        assert scheduler.result(scheduler.schedule("t", double, args=(1,)), SECONDS) == 2
    assert "The event loop of the scheduler is closed" in caplog.text


def test_callables_run_on_the_loop_if_asked() -> None:
    async def main() -> None:
        async with Scheduler() as scheduler:
            for options in ({"delay": 0}, {"interval": 60}, {"delay": 0, "tags": ["x"]}):
                task_id = scheduler.schedule(
                    "t", threading.get_ident, executor="asyncio", **options
                )
                assert await scheduler.result_async(task_id) == threading.get_ident()
            policy = RunPolicy(executor="asyncio")
            many = scheduler.schedule_many("m", threading.get_ident, delays=[0], policy=policy)
            assert await scheduler.result_async(many[0]) == threading.get_ident()
            task_id = scheduler.schedule("t", threading.get_ident, executor="threads")
            assert await scheduler.result_async(task_id) != threading.get_ident()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("executor", "error", "match"),
    [
        ("cpu", ValueError, "^executor must be one of 'threads', 'asyncio', got 'cpu'"),
        ("", ValueError, "^executor must be one of"),
        (5, TypeError, "^executor must be a string or None, got 5"),
    ],
)
def test_an_unknown_executor_is_refused(
    scheduler: Scheduler, executor: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        scheduler.schedule("t", int, executor=executor)
    with pytest.raises(error, match=match):
        RunPolicy(executor=executor)
    assert len(scheduler.tasks) == 0


def test_a_coroutine_function_cannot_run_in_threads(scheduler: Scheduler) -> None:
    with pytest.raises(ValueError, match=r"^executor must be 'asyncio' for a coroutine function"):
        scheduler.schedule("t", double, args=(1,), executor="threads")
    assert len(scheduler.tasks) == 0


def test_a_loop_that_does_not_run_holds_up_no_stop() -> None:
    loop = asyncio.new_event_loop()
    scheduler = Scheduler(loop=loop)
    scheduler.start()
    task_id = scheduler.schedule("t", double, args=(1,))
    start = time.monotonic()
    assert scheduler.stop().ended
    assert time.monotonic() - start < 4
    assert scheduler.tasks[task_id].status == "pending"
    loop.close()


def test_after_the_loop_was_closed_another_one_is_found(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = Scheduler()
    asyncio.run(scheduler.start_async())

    async def triple(value: int) -> int:
        return 3 * value

    # The program has forgotten to stop it, and goes on elsewhere.
    assert scheduler.result(scheduler.schedule("t", triple, args=(2,)), SECONDS) == 6
    assert scheduler.stop().ended


# ---- contexts ----------------------------------------------------------------------------------


def test_the_context_is_that_of_the_caller(scheduler: Scheduler) -> None:
    async def ask() -> str:
        before = colour.get()
        colour.set("changed by a run")
        return before

    token = colour.set("red")
    red = scheduler.schedule("t", ask, delay=1)
    every = scheduler.schedule("t", ask, interval=60, delay=None)
    many = scheduler.schedule_many("t", ask, delays=[1, 1])
    colour.reset(token)
    none = scheduler.schedule("t", ask, delay=1)
    assert [scheduler.result(one) for one in (red, none, *many)] == ["red", "none", "red", "red"]
    # Each run has a copy of its own.
    assert [scheduler.result(every), scheduler.result(every)] == ["red", "red"]


def test_another_context_can_be_given(scheduler: Scheduler) -> None:
    from contextvars import copy_context

    async def ask() -> str:
        return colour.get()

    token = colour.set("green")
    context = copy_context()
    colour.reset(token)
    assert scheduler.result(scheduler.schedule("t", ask, context=context)) == "green"


def test_callables_on_the_loop_do_not_see_each_others_variables() -> None:
    def ask(value: str) -> str:
        before = colour.get()
        colour.set(value)
        return before

    async def main() -> None:
        async with Scheduler() as scheduler:
            ids = [
                scheduler.schedule("t", ask, args=(str(number),), executor="asyncio")
                for number in range(3)
            ]
            assert [await scheduler.result_async(one) for one in ids] == ["none"] * 3
            assert colour.get() == "none"

    asyncio.run(main())


def test_current_run_is_right_in_coroutines_that_interleave(scheduler: Scheduler) -> None:
    async def ask(number: int) -> list[str]:
        found = []
        for _ in range(3):
            run = current_run()
            assert run is not None
            found.append(run.task_name)
            await asyncio.sleep(number)

        async def child() -> None:
            run = current_run()
            assert run is not None
            found.append(run.task_name)

        await asyncio.gather(child(), asyncio.create_task(child()))
        return found

    ids = [scheduler.schedule(f"t{number}", ask, args=(number,)) for number in range(5)]
    for number, task_id in enumerate(ids):
        assert scheduler.result(task_id) == [f"t{number}"] * 5
    assert current_run() is None


def test_current_run_is_over_for_a_task_that_outlives_the_run() -> None:
    async def main() -> None:
        left: list[asyncio.Task[Any]] = []
        release = asyncio.Event()

        async def child() -> object:
            await release.wait()
            return current_run()

        async def parent() -> None:
            left.append(asyncio.create_task(child()))

        async with Scheduler() as scheduler:
            await scheduler.result_async(scheduler.schedule("t", parent))
            release.set()
            assert await left[0] is None

    asyncio.run(main())


# ---- order, turns and room ---------------------------------------------------------------------


def test_begin_in_the_guaranteed_order(clock: VirtualClock, scheduler: Scheduler) -> None:
    began: list[str] = []

    async def note(name: str) -> None:
        began.append(name)
        await asyncio.sleep(1)

    scheduler.schedule("t", note, args=("late",), delay=2)
    scheduler.schedule("t", note, args=("first",), delay=2, priority=0)
    scheduler.schedule("t", note, args=("early",), delay=1)
    clock.suspend(5)
    assert began == ["first", "early", "late"]


def test_what_is_due_does_not_keep_the_loop_from_other_work() -> None:
    async def main() -> None:
        turns = 0

        def count() -> None:
            nonlocal turns
            turns += 1
            if not done:
                loop.call_soon(count)

        loop = asyncio.get_running_loop()
        done: list[int] = []
        async with Scheduler() as scheduler:
            ids = scheduler.schedule_many(
                "t",
                time.sleep,
                delays=[0] * 200,
                args=[(0.0002,)] * 200,
                policy=RunPolicy(executor="asyncio"),
            )
            loop.call_soon(count)
            await scheduler.wait_for_task_async(ids[-1])
            done.append(1)
        # 40 ms of work in turns of a millisecond, with other callbacks in between.
        assert turns >= 10

    asyncio.run(main())


def test_a_bound_on_what_is_under_way_holds_and_nothing_is_lost(clock: VirtualClock) -> None:
    under_way = most = 0
    order: list[int] = []

    async def work(number: int) -> None:
        nonlocal under_way, most
        order.append(number)
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(1)
        under_way -= 1

    with Scheduler(clock=clock, max_concurrency=3) as scheduler:
        for number in range(20):
            scheduler.schedule("t", work, args=(number,))
        waiting = scheduler.schedule("t", work, args=(100,))
        urgent = scheduler.schedule("t", work, args=(-1,), delay=0.5, priority=0)
        clock.advance(0.9)
        assert (under_way, scheduler.statistics().pending) == (3, 19)
        # What is over the bound is still in the engine: it can be cancelled, and overtaken.
        assert scheduler.cancel_task(waiting)
        clock.advance(20)
        assert (most, scheduler.statistics().completed) == (3, 21)
        assert scheduler.tasks[urgent].status == "completed"
    assert order == [0, 1, 2, -1, *range(3, 20)]


def test_one_that_waits_for_another_makes_room_for_it(clock: VirtualClock) -> None:
    async def inner(value: int) -> int:
        await asyncio.sleep(1)
        return value

    async def outer(value: int, how: str) -> int:
        task_id = scheduler.schedule("inner", inner, args=(value,))
        if how == "result":
            return int(await scheduler.result_async(task_id))
        if how == "future":
            return int(await scheduler.future(task_id))
        return int((await scheduler.wait_for_task_async(task_id, 60)).unwrap())

    with Scheduler(clock=clock, max_concurrency=2) as scheduler:
        hows = ["result", "future", "wait"] * 3
        ids = [
            scheduler.schedule("outer", outer, args=(number, how))
            for number, how in enumerate(hows)
        ]
        assert [scheduler.result(one) for one in ids] == list(range(9))


@pytest.mark.parametrize("bad", [0, -1, True, 1.5, "3"])
def test_a_bad_bound_is_refused(bad: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^max_concurrency must be"):
        Scheduler(max_concurrency=bad)


def test_any_number_is_under_way_without_a_bound(clock: VirtualClock) -> None:
    with Scheduler(clock=clock, max_concurrency=None) as scheduler:
        scheduler.schedule_many("t", sleep_long, delays=[0] * 5000)
        clock.advance(1)
        assert scheduler.statistics().running == 5000
        clock.advance(3600)
        assert scheduler.statistics().completed == 5000


# ---- how runs end ------------------------------------------------------------------------------


def test_one_that_fails_is_failed_and_logged_once(
    scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = scheduler.wait_for_task(scheduler.schedule("broken", fail))
    assert (outcome.status, str(outcome.error)) == ("failed", "wrong")
    assert [record.levelname for record in caplog.records if "broken" in record.message] == [
        "ERROR"
    ]
    assert outcome.error is not None
    assert outcome.error.__traceback__ is None


def test_one_that_raises_anything_harms_nobody(scheduler: Scheduler) -> None:
    class Odd(BaseException):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    async def odd(error: BaseException) -> None:
        await asyncio.sleep(0)
        raise error

    errors = [Odd(), SystemExit(3), GeneratorExit(), asyncio.CancelledError(), KeyError("x")]
    for error in errors:
        outcome = scheduler.wait_for_task(scheduler.schedule("t", odd, args=(error,)))
        assert outcome.status == "failed"
        assert type(outcome.error) is type(error)
    assert scheduler.result(scheduler.schedule("t", double, args=(1,))) == 2


def test_a_recurring_one_goes_on_after_a_failure(clock: VirtualClock, scheduler: Scheduler) -> None:
    task_id = scheduler.schedule("t", fail, interval=10, pause_after_failures=3)
    clock.advance(100)
    assert scheduler.tasks[task_id].status == "paused"
    assert scheduler.statistics().failed == 3


def test_what_falls_due_during_a_run_is_skipped(clock: VirtualClock, scheduler: Scheduler) -> None:
    async def slow() -> None:
        await asyncio.sleep(25)

    scheduler.schedule("t", slow, interval=10)
    clock.advance(100)
    statistics = scheduler.statistics()
    assert (statistics.completed, statistics.skipped) == (3, 6)


def test_cancelling_one_that_runs_arrives_as_cancelled_error(
    clock: VirtualClock, scheduler: Scheduler
) -> None:
    seen: list[object] = []

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            run = current_run()
            assert run is not None
            seen.append(run.is_cancelled)
            raise
        finally:
            await asyncio.sleep(5)
            seen.append(clock.now())

    one = scheduler.schedule("t", work)
    many = [scheduler.schedule("t", work), scheduler.schedule("t", work, interval=7200)]
    clock.advance(1)
    assert scheduler.cancel_task(one)
    assert not scheduler.cancel_task(one)
    assert scheduler.cancel_many(many) == 2
    clock.advance(1)
    assert seen == [True] * 3
    assert scheduler.tasks[one].status == "running"
    clock.advance(10)
    assert [scheduler.tasks[task_id].status for task_id in (one, *many)] == ["cancelled"] * 3
    assert scheduler.statistics().failed == scheduler.statistics().cancelled == 3


def test_one_that_is_cancelled_before_its_first_step_ends_as_cancelled() -> None:
    async def main() -> None:
        async with Scheduler() as scheduler:
            ran: list[int] = []

            async def work() -> None:
                ran.append(1)

            def cancel() -> bool:
                return scheduler.cancel_task(task_id)

            # Both in one turn: the coroutine is begun, and has had no step, when it is cancelled.
            task_id = scheduler.schedule("t", work, delay=0.01)
            cancelling = scheduler.schedule("t", cancel, delay=0.01, executor="asyncio")
            assert await scheduler.result_async(cancelling)
            outcome = await scheduler.wait_for_task_async(task_id)
            assert (outcome.status, ran) == ("cancelled", [])
            gc.collect()
            assert scheduler.statistics().running == 0

    asyncio.run(main())


def test_one_that_swallows_the_cancellation_ends_as_cancelled(
    clock: VirtualClock, scheduler: Scheduler
) -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return "done"

    task_id = scheduler.schedule("t", stubborn)
    clock.advance(1)
    scheduler.cancel_task(task_id)
    clock.advance(2)
    assert scheduler.tasks[task_id].status == "cancelled"


def test_its_events_are_those_of_any_task(clock: VirtualClock) -> None:
    bus, seen = EventBus(), []
    bus.subscribe("scheduler.*", lambda event: seen.append(event.event_type), is_pattern=True)
    with Scheduler(clock=clock, event_bus=bus) as scheduler:
        scheduler.schedule("t", double, args=(1,))
        scheduler.schedule("t", fail, delay=1)
        clock.advance(2)
    assert [one.removeprefix("scheduler.") for one in seen] == [
        *("started", "task_scheduled", "task_scheduled"),
        *("task_started", "task_completed", "task_started", "task_failed", "stopped"),
    ]


def test_waiters_get_their_outcome(scheduler: Scheduler) -> None:
    task_id = scheduler.schedule("t", double, args=(1,), delay=1)
    future = scheduler.future(task_id)
    assert scheduler.result(task_id) == 2
    assert future.result(0) == 2


def test_an_rrule_goes_on(clock: VirtualClock, scheduler: Scheduler) -> None:
    task_id = scheduler.schedule("t", double, args=(1,), rrule="FREQ=HOURLY;COUNT=3")
    clock.advance(4 * 3600)
    assert scheduler.tasks[task_id].run_count == 3


def test_one_that_never_ends_is_given_up_with_its_loop(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = Scheduler()

    async def main() -> str:
        await scheduler.start_async()
        task_id = scheduler.schedule("t", sleep_long)
        await until(lambda: scheduler.statistics().running == 1)
        return task_id

    # The loop is closed and the scheduler was not stopped.
    task_id = asyncio.run(main())
    assert scheduler.tasks[task_id].status == "failed"
    assert scheduler.stop().ended


def test_a_factory_of_eager_tasks_may_be_set() -> None:
    factory: Any = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("Python 3.12 and later")

    async def at_once(value: int) -> int:
        return value

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        async with Scheduler(max_concurrency=2) as scheduler:
            ids = [scheduler.schedule("t", at_once, args=(number,)) for number in range(20)]
            ids += [scheduler.schedule("t", double, args=(number,)) for number in range(20)]
            found = [await scheduler.result_async(one, SECONDS) for one in ids]
            assert found == [*range(20), *(2 * number for number in range(20))]

    asyncio.run(main())


# ---- stopping ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["wait", "drain"])
def test_a_stop_waits_for_what_is_under_way(mode: Any) -> None:
    async def work() -> str:
        await asyncio.sleep(0.05)
        return "done"

    async def main() -> None:
        scheduler = Scheduler()
        await scheduler.start_async()
        task_id = scheduler.schedule("t", work)
        await until(lambda: scheduler.statistics().running == 1)
        due = scheduler.schedule("t", double, args=(1,))
        report = await scheduler.stop_async(mode)
        assert (report.ended, report.running) == (True, 0)
        assert scheduler.tasks[task_id].status == "completed"
        if mode == "drain":
            assert scheduler.tasks[due].status == "completed"

    asyncio.run(main())


def test_a_stop_gives_up_in_time_and_can_be_repeated() -> None:
    async def main() -> None:
        scheduler = Scheduler()
        await scheduler.start_async()
        release = asyncio.Event()
        task_id = scheduler.schedule("t", release.wait)
        await until(lambda: scheduler.statistics().running == 1)
        report = await scheduler.stop_async(timeout=0.02)
        assert (report.ended, report.running) == (False, 1)
        release.set()
        assert (await scheduler.stop_async()).ended
        assert scheduler.tasks[task_id].result is True

    asyncio.run(main())


def test_cancelling_all_waits_for_what_they_do_in_finally() -> None:
    async def main() -> None:
        cleaned: list[int] = []

        async def work() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(0.02)
                cleaned.append(1)

        scheduler = Scheduler()
        await scheduler.start_async()
        ids = [scheduler.schedule("t", work, interval=interval) for interval in (None, 7200)]
        await until(lambda: scheduler.statistics().running == 2)
        report = await scheduler.stop_async("cancel")
        assert (report.ended, cleaned) == (True, [1, 1])
        # The recurring one goes on after the next start.
        assert [scheduler.tasks[one].status for one in ids] == ["failed", "pending"]

    asyncio.run(main())


def test_a_private_loop_is_stopped_with_what_its_coroutines_have_started() -> None:
    ended: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("child")

    async def parent() -> None:
        asyncio.get_running_loop().kept = asyncio.create_task(child())  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    with Scheduler() as scheduler:
        scheduler.result(scheduler.schedule("t", parent), SECONDS)
    deadline = time.monotonic() + SECONDS
    while loops() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert (loops(), ended) == ([], ["child"])


def test_a_coroutine_may_stop_its_scheduler() -> None:
    async def main() -> None:
        scheduler = Scheduler()
        reports: list[Any] = []

        async def stop() -> None:
            start = time.monotonic()
            reports.append(await scheduler.stop_async("cancel"))
            reports.append(time.monotonic() - start < 4)

        await scheduler.start_async()
        task_id = scheduler.schedule("t", stop)
        await until(lambda: len(reports) == 2)
        assert (reports[0].ended, reports[1]) == (True, True)
        await until(lambda: scheduler.tasks[task_id].status == "completed")

    asyncio.run(main())


def test_a_stop_in_the_loops_own_thread_does_not_block_it() -> None:
    async def main() -> None:
        scheduler = Scheduler()
        scheduler.start()
        task_id = scheduler.schedule("t", asyncio.sleep, args=(0.05, "done"))
        await until(lambda: scheduler.statistics().running == 1)
        start = time.monotonic()
        report = scheduler.stop()
        assert time.monotonic() - start < 0.04
        assert (report.ended, report.running) == (False, 1)
        await until(lambda: scheduler.tasks[task_id].status == "completed")

    asyncio.run(main())


def test_who_waits_when_it_is_stopped_is_told() -> None:
    async def main() -> None:
        scheduler = Scheduler()
        await scheduler.start_async()
        task_id = scheduler.schedule("t", double, args=(1,), delay=3600)
        waiting = asyncio.create_task(scheduler.result_async(task_id))
        await asyncio.sleep(0.01)
        await scheduler.stop_async()
        with pytest.raises(SchedulerStoppedError):
            await waiting

    asyncio.run(main())


# ---- other loops, debug mode, idleness ---------------------------------------------------------


async def life() -> None:
    """What is to work on every loop."""
    async with Scheduler() as scheduler:
        ids = [scheduler.schedule("t", double, args=(number,)) for number in range(100)]
        ids += [scheduler.schedule("t", double, args=(number,), delay=0.01) for number in range(9)]
        found = [await scheduler.result_async(one) for one in ids]
        assert found == [2 * number for number in (*range(100), *range(9))]
        running = scheduler.schedule("t", sleep_long)
        await until(lambda: scheduler.statistics().running == 1)
        assert scheduler.cancel_task(running)
        assert (await scheduler.wait_for_task_async(running)).status == "cancelled"


def test_works_on_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(life())


def test_works_under_anyio() -> None:
    anyio = pytest.importorskip("anyio")
    anyio.run(life)


def test_debug_mode_has_nothing_to_say(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        asyncio.run(life(), debug=True)
        gc.collect()
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == []


def test_where_the_loop_watches_no_descriptor_a_thread_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def add_reader(*_: object) -> None:
        raise NotImplementedError

    def waiters() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if isinstance(one, AlarmThread)]

    async def main() -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", add_reader, raising=False)
        await life()
        await until(lambda: not waiters())

    asyncio.run(main())


def test_nothing_wakes_the_loop_while_nothing_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    turn = LoopSession._turn

    def counted(session: LoopSession) -> None:
        turns.append(1)
        turn(session)

    async def main() -> None:
        async with Scheduler() as scheduler:
            ids = scheduler.schedule_many("t", double, delays=[3600] * 1000, args=[(1,)] * 1000)
            await scheduler.result_async(scheduler.schedule("t", double, args=(1,)))
            before = len(turns)
            await asyncio.sleep(0.1)
            assert len(turns) == before
            # And one turn is enough for many.
            scheduler.schedule_many("t", double, delays=[0.01] * 100, args=[(1,)] * 100)
            await until(lambda: scheduler.statistics().completed == 101)
            assert len(turns) - before <= 20
            assert scheduler.cancel_many(ids) == 1000

    monkeypatch.setattr(LoopSession, "_turn", counted)
    asyncio.run(main())


def test_none_starts_early() -> None:
    async def main() -> None:
        async with Scheduler() as scheduler:
            for _ in range(20):
                task_id = scheduler.schedule("t", double, args=(1,), delay=0.002)
                outcome = await scheduler.wait_for_task_async(task_id)
                assert outcome.lateness is not None
                assert 0 <= outcome.lateness < SECONDS

    asyncio.run(main())


def test_a_reference_is_kept_to_what_runs() -> None:
    async def main() -> None:
        async with Scheduler() as scheduler:

            async def work() -> str:
                # Nothing but the loop's weak reference would keep this task.
                future = asyncio.get_running_loop().create_future()
                asyncio.get_running_loop().call_later(0.02, future.set_result, "kept")
                return str(await future)

            task_id = scheduler.schedule("t", work)
            await until(lambda: scheduler.statistics().running == 1)
            gc.collect()
            assert await scheduler.result_async(task_id) == "kept"

    asyncio.run(main())


def test_many_threads_schedule_and_cancel() -> None:
    async def main() -> None:
        async with Scheduler(max_concurrency=50) as scheduler:

            def work() -> tuple[int, int]:
                ids = [
                    scheduler.schedule("t", asyncio.sleep, args=(number % 3 * 0.001,))
                    for number in range(200)
                ]
                return len(ids), sum(map(scheduler.cancel_task, ids[::2]))

            async with asyncio.timeout(SECONDS):
                done = await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))
            scheduled = sum(count for count, _ in done)
            await until(lambda: scheduler.statistics().pending == 0)
            await until(lambda: scheduler.statistics().running == 0)
            statistics = scheduler.statistics()
            ended: list[str] = [scheduler.tasks[one].status for one in scheduler.tasks]
            assert len(ended) == scheduled
            assert ended.count("cancelled") == statistics.cancelled
            assert set(ended) <= {"completed", "cancelled"}

    asyncio.run(main())

"""A callback that returns something to be awaited fails its run, which nobody else would notice."""

from __future__ import annotations

import asyncio
import gc
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus import EventBus
from num_agents.scheduler import Scheduler
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

SECONDS = 10


async def coroutine(value: int = 1) -> int:
    return value


async def generator() -> AsyncIterator[int]:
    yield 1


class Awaitable:
    def __await__(self) -> Generator[None, None, int]:
        yield
        return 1


class Callback:
    def __call__(self, value: int = 1) -> Any:
        return coroutine(value)

    def method(self, value: int = 1) -> Any:
        return coroutine(value)


def future() -> Any:
    loop = asyncio.new_event_loop()
    loop.close()
    return asyncio.Future(loop=loop)


def plain(value: int = 1) -> Any:
    return coroutine(value)


#: Callback, further arguments of `schedule`, and what it returns.
CALLBACKS: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    "plain": (plain, {}, "coroutine"),
    "args": (plain, {"args": (2,)}, "coroutine"),
    "kwargs": (plain, {"kwargs": {"value": 2}}, "coroutine"),
    "partial": (partial(plain, 2), {}, "coroutine"),
    "partial of a partial": (partial(partial(plain), value=2), {}, "coroutine"),
    "lambda": (lambda: coroutine(), {}, "coroutine"),  # noqa: PLW0108 - the usual mistake
    "method": (Callback().method, {}, "coroutine"),
    "instance": (Callback(), {}, "coroutine"),
    "asynchronous generator": (lambda: generator(), {}, "async_generator"),  # noqa: PLW0108 - so too
    "future": (future, {}, "Future"),
    "own awaitable": (Awaitable, {}, "Awaitable"),
    "recurring": (plain, {"interval": 60, "max_runs": 1}, "coroutine"),
}


#: Both ways to schedule: without and with options.
OPTIONS: tuple[dict[str, Any], ...] = ({}, {"interval": 60, "max_runs": 1})


@pytest.fixture(params=["threads", "threads, bus", "virtual clock", "virtual clock, bus"])
def scheduler(request: pytest.FixtureRequest) -> Iterator[Scheduler]:
    kind, _, bus = request.param.partition(", ")
    options: dict[str, Any] = {"event_bus": EventBus()} if bus else {}
    if kind == "virtual clock":
        options["clock"] = VirtualClock()
    with Scheduler(max_workers=1, **options) as scheduler:
        yield scheduler


@pytest.mark.parametrize("name", CALLBACKS)
def test_fails_its_run_and_says_so(scheduler: Scheduler, name: str) -> None:
    callback, options, kind = CALLBACKS[name]
    outcome = scheduler.wait_for_task(scheduler.schedule("t", callback, **options), SECONDS)
    assert outcome.status == "failed"
    assert isinstance(outcome.error, TypeError)
    assert str(outcome.error) == f"the callback of task 't' returned a {kind} that nobody awaits"
    # Python would warn of a coroutine that was never awaited, and warnings are errors here.
    gc.collect()


@pytest.mark.parametrize("value", [iter([1]), (one for one in "a"), object(), coroutine, Awaitable])
def test_other_values_are_results(scheduler: Scheduler, value: object) -> None:
    for options in OPTIONS:
        task_id = scheduler.schedule("t", lambda: value, **options)
        assert scheduler.result(task_id, SECONDS) is value

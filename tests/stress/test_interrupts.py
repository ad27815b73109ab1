"""Whatever is raised around a run, it ends: exceptions injected at any point of its life."""

from __future__ import annotations

import ctypes
import random
import signal
import sys
import threading
from contextvars import copy_context
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus import EventBus
from num_agents.scheduler import Scheduler, current_run
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from types import FrameType

SECONDS = 20
#: Where exceptions are injected: whatever is Python's in the life of a run, and in being told of it.
PLACES = ("num_agents/scheduler/_engine/", "concurrent/futures/_base.py")

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class InjectedError(BaseException):
    """What is injected."""


def nothing(*_: object, **__: object) -> None: ...


def fail(*_: object, **__: object) -> None:
    raise ValueError("no")


async def coroutine() -> None: ...


def return_an_awaitable() -> object:
    return coroutine()


def cancel_oneself(scheduler: Scheduler) -> None:
    run = current_run()
    if run is not None:
        scheduler.cancel_task(run.task_id)


def wait_for_another(scheduler: Scheduler) -> None:
    scheduler.wait_for_task(scheduler.schedule("inner", nothing), SECONDS)


def schedule_one(name: str, scheduler: Scheduler) -> str:  # noqa: PLR0911 - one line each
    schedule = scheduler.schedule
    match name:
        case "kwargs":
            return schedule(name, nothing, args=(1,), kwargs={"a": 1})
        case "context":
            return schedule(name, nothing, context=copy_context())
        case "failing":
            return schedule(name, fail)
        case "failing with kwargs":
            return schedule(name, fail, kwargs={"a": 1})
        case "paused after a failure":
            return schedule(name, fail, interval=0.001, pause_after_failures=1)
        case "recurring":
            return schedule(name, nothing, interval=0.001, max_runs=3)
        case "fixed delay":
            return schedule(name, nothing, interval=0.001, fixed_delay=True, max_runs=2)
        case "rrule":
            return schedule(name, nothing, rrule="FREQ=SECONDLY;COUNT=2")
        case "awaitable":
            return schedule(name, return_an_awaitable)
        case "cancelled":
            return schedule(name, cancel_oneself, args=(scheduler,), interval=0.001)
        case "waiting":
            return schedule(name, wait_for_another, args=(scheduler,))
        case "late":
            return schedule(name, nothing, run_at="2020-01-01T00:00:00Z", kwargs={"a": 1})
        case "missed":
            return schedule(
                name, nothing, run_at="2020-01-01T00:00:00Z", misfire="skip", grace=1
            )
        case _:
            return schedule(name, nothing)


SCENARIOS = [
    "plain",
    "kwargs",
    "context",
    "failing",
    "failing with kwargs",
    "paused after a failure",
    "recurring",
    "fixed delay",
    "rrule",
    "awaitable",
    "cancelled",
    "waiting",
    "late",
    "missed",
]


class Injector:
    """Raises at the n-th line, of those that are of interest, that a thread comes to."""

    def __init__(self, number: int, error: type[BaseException]) -> None:
        self.left = number
        self.error = error
        self.is_armed = False
        self.place: str | None = None

    def trace(self, frame: FrameType, event: str, argument: object) -> Any:
        del event, argument
        name = frame.f_code.co_filename
        return self.step if any(place in name for place in PLACES) else None

    def step(self, frame: FrameType, event: str, argument: object) -> Any:
        del argument
        if event == "line" and self.is_armed:
            self.left -= 1
            if self.left == 0:
                self.is_armed = False
                self.place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                raise self.error(self.place)
        return self.step


class Told:
    """A scheduler with one task and all kinds of waiters for it."""

    def __init__(self, scheduler: Scheduler, scenario: str) -> None:
        self.scheduler = scheduler
        self.called: list[int] = []
        self.task_id = schedule_one(scenario, scheduler)
        futures = [
            scheduler.future(self.task_id),
            scheduler.future(self.task_id),
            scheduler.future(self.task_id, until="end"),
        ]
        self.futures: list[Future[Any]] = futures
        for number, future in enumerate(futures):
            future.add_done_callback(lambda _, number=number: self.called.append(number))

    def check(self, place: str | None, let_pass: Callable[[Scheduler], object]) -> None:
        """Asserts that all is well, after the injection and what followed."""
        scheduler = self.scheduler
        let_pass(scheduler)
        scheduler.cancel_task(self.task_id)
        after = scheduler.schedule("after", lambda: 7)
        assert scheduler.result(after, SECONDS) == 7, place
        let_pass(scheduler)
        assert scheduler.statistics().running == 0, place
        task = scheduler.get_task(self.task_id)
        assert task is not None
        assert task.status not in ("running", "pending"), place
        for number, future in enumerate(self.futures):
            assert future.done(), (place, number)
        assert current_run() is None


def make_bus(*, with_bus: bool) -> EventBus | None:
    if not with_bus:
        return None
    bus = EventBus()
    bus.subscribe(r"scheduler\..*", nothing, is_pattern=True)
    return bus


@pytest.mark.parametrize("error", [InjectedError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("with_bus", [False, True])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_at_any_line_on_a_virtual_clock(
    scenario: str, error: type[BaseException], *, with_bus: bool
) -> None:
    number = 0
    while True:
        number += 1
        injector = Injector(number, error)
        clock = VirtualClock(timezone="UTC")
        with Scheduler(clock=clock, event_bus=make_bus(with_bus=with_bus)) as scheduler:
            told = Told(scheduler, scenario)
            tracing = sys.gettrace()
            sys.settrace(injector.trace)
            injector.is_armed = True
            try:
                clock.advance(5)
            except error:
                pass
            finally:
                injector.is_armed = False
                sys.settrace(tracing)
            told.check(injector.place, lambda _, clock=clock: clock.advance(5))
        if injector.place is None:
            break
    assert number > 5


@pytest.mark.parametrize("with_bus", [False, True])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_at_any_line_of_a_worker(scenario: str, *, with_bus: bool) -> None:
    number = 0
    while True:
        number += 1
        injector = Injector(number, InjectedError)
        threading.settrace(injector.trace)
        try:
            scheduler = Scheduler(max_workers=1, event_bus=make_bus(with_bus=with_bus))
            scheduler.start()
        finally:
            threading.settrace(None)  # type: ignore[arg-type]
        try:
            scheduler.wait_for_task(scheduler.schedule("before", nothing), SECONDS)
            injector.is_armed = True
            told = Told(scheduler, scenario)
            let_end(scheduler)
            injector.is_armed = False
            told.check(injector.place, let_end)
        finally:
            injector.is_armed = False
            scheduler.stop("cancel", 1)
        if injector.place is None:
            break
    assert number > 5 or (scenario == "plain" and not with_bus)


def let_end(scheduler: Scheduler) -> None:
    """Waits until nothing runs and nothing is due, for a second at most."""
    deadline = monotonic() + 1
    idle = 0
    while idle < 3 and monotonic() < deadline:
        is_busy = scheduler.statistics().running or scheduler.get_due_tasks()
        idle = 0 if is_busy else idle + 1
        threading.Event().wait(0.0005)

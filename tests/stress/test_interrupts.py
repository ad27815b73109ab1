"""Whatever is raised around a run, it ends: exceptions injected at any point of its life."""

from __future__ import annotations

import ctypes
import gc
import linecache
import logging
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus import EventBus
from num_agents.scheduler import Scheduler, current_run
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import FrameType

SECONDS = 20
#: Where exceptions are injected: what is Python's in the life of a run, and in telling of it.
PLACES = ("num_agents/scheduler/_engine/", "concurrent/futures/_base.py")

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    # The last exception of all can hit a worker that has come to its end.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


@pytest.fixture(autouse=True)
def unlogged(caplog: pytest.LogCaptureFixture) -> None:
    """Keeps out of logging's locks: it acquires them where an exception can come in between."""
    caplog.set_level(logging.CRITICAL + 1, "num_agents.scheduler")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        # Remembered from now on, and looked up without a lock.
        assert not logging.getLogger("num_agents.scheduler").isEnabledFor(level)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collects what an exception left, such as a coroutine that was not closed, within its test."""
    yield
    gc.collect()


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


PAST = "2020-01-01T00:00:00Z"
#: By name: what is called, whether it is given the scheduler, and the options.
SCENARIOS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "plain": (nothing, {}),
    "kwargs": (nothing, {"args": (1,), "kwargs": {"a": 1}}),
    "context": (nothing, {"context": copy_context()}),
    "failing": (fail, {}),
    "failing with kwargs": (fail, {"kwargs": {"a": 1}}),
    "paused after a failure": (fail, {"interval": 0.001, "pause_after_failures": 1}),
    "recurring": (nothing, {"interval": 0.001, "max_runs": 3}),
    "fixed delay": (nothing, {"interval": 0.001, "fixed_delay": True, "max_runs": 2}),
    "rrule": (nothing, {"rrule": "FREQ=SECONDLY;COUNT=2"}),
    "awaitable": (return_an_awaitable, {}),
    "cancelled": (cancel_oneself, {"interval": 0.001}),
    "waiting": (wait_for_another, {}),
    "late": (nothing, {"run_at": PAST, "kwargs": {"a": 1}}),
    "missed": (nothing, {"run_at": PAST, "grace": 1}),
}


def schedule_one(name: str, scheduler: Scheduler) -> str:
    callback, options = SCENARIOS[name]
    if callback in (cancel_oneself, wait_for_another):
        options = {**options, "args": (scheduler,)}
    return scheduler.schedule(name, callback, **options)


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
        # Not where a lock is released: a trace function that raises there skips that.
        name, line = frame.f_code.co_filename, frame.f_lineno
        is_with = linecache.getline(name, line).lstrip().startswith("with ")
        if event == "line" and self.is_armed and not is_with:
            self.left -= 1
            if self.left == 0:
                self.is_armed = False
                self.place = f"{name}:{line}"
                raise self.error(self.place)
        return self.step


class Told:
    """A scheduler with one task and all kinds of waiters for it."""

    def __init__(self, scheduler: Scheduler, scenario: str) -> None:
        self.scheduler = scheduler
        self.called: list[Future[Any]] = []
        self.task_id = schedule_one(scenario, scheduler)
        self.futures: list[Future[Any]] = [
            scheduler.future(self.task_id),
            scheduler.future(self.task_id),
            scheduler.future(self.task_id, until="end"),
        ]
        for future in self.futures:
            future.add_done_callback(self.called.append)

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


def advance_apart(clock: VirtualClock) -> Iterator[None]:
    """Advances a clock, and lets no exception be "handled" for good.

    Where a tracer raises at the end of an `except` clause, Python goes on to handle its exception.
    A generator takes that along when it ends, so that the tests that follow are not affected.
    """
    clock.advance(5)
    yield


@pytest.mark.parametrize("error", [InjectedError, KeyboardInterrupt])
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
                next(advance_apart(clock))
            except error:
                pass
            finally:
                injector.is_armed = False
                sys.settrace(tracing)
            told.check(injector.place, partial(let_pass, clock))
        if injector.place is None:
            break
    assert number > 5


@pytest.mark.parametrize("with_bus", [False, True])
@pytest.mark.parametrize("scenario", ["kwargs", "failing", "cancelled", "waiting", "missed"])
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
            threading.settrace(None)
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
    assert number > 5


def let_pass(clock: VirtualClock, scheduler: Scheduler) -> None:
    """Moves the clock on."""
    del scheduler
    clock.advance(5)


def let_end(scheduler: Scheduler) -> None:
    """Waits until nothing runs and nothing is due, for a second at most."""
    deadline = monotonic() + 1
    idle = 0
    while idle < 3 and monotonic() < deadline:
        is_busy = scheduler.statistics().running or scheduler.get_due_tasks()
        idle = 0 if is_busy else idle + 1
        threading.Event().wait(0.0005)


@pytest.fixture
def quick_switching() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


# Not among those that always run: an exception that hits a lock of the standard library in between
# acquiring and guarding it leaves the lock taken, whatever we do.
@pytest.mark.long
@pytest.mark.usefixtures("quick_switching")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("with_bus", [False, True])
def test_from_another_thread_at_any_moment(
    monkeypatch: pytest.MonkeyPatch, seed: int, *, with_bus: bool
) -> None:
    """What a debugger or a time limit does: an asynchronous exception in a worker."""
    # That of pytest is written in Python, and can be hit as well.
    monkeypatch.setattr(sys, "unraisablehook", nothing)
    rolled = random.Random(seed)
    with Scheduler(max_workers=2, event_bus=make_bus(with_bus=with_bus)) as scheduler:
        workers = [
            thread
            for thread in threading.enumerate()
            if thread.name.startswith("num-agents-scheduler-")
        ]
        scheduler.wait_for_task(scheduler.schedule("before", nothing), SECONDS)
        told = []
        # Who waits has another worker started, and the workers would not be the same any more.
        names = [name for name in SCENARIOS if name not in ("rrule", "waiting", "awaitable")]
        deadline = monotonic() + 1
        while monotonic() < deadline:
            told.append(Told(scheduler, rolled.choice(names)))
            thread = rolled.choice(workers)
            assert thread.ident is not None
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(InjectedError)
            )
            threading.Event().wait(rolled.uniform(0, 0.001))
            if rolled.random() < 0.1:
                let_end(scheduler)
        let_end(scheduler)
        # The last exception may still be on its way: it hits one of these.
        for _ in range(20):
            scheduler.wait_for_task(scheduler.schedule("between", nothing, tags=["a"]), SECONDS)
        for one in told:
            scheduler.cancel_task(one.task_id)
        let_end(scheduler)
        assert scheduler.statistics().running == 0
        # Not by `done`: an exception inside of `Condition.__enter__` leaves the lock taken.
        states = {future._state for one in told for future in one.futures}
        assert states <= {"FINISHED", "CANCELLED_AND_NOTIFIED"}
        assert all(thread.is_alive() for thread in workers)
        assert scheduler.result(scheduler.schedule("after", lambda: 7), SECONDS) == 7


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such signal here")
@pytest.mark.parametrize("error", [InjectedError, KeyboardInterrupt])
@pytest.mark.parametrize("with_bus", [False, True])
def test_from_a_signal_handler_while_a_virtual_clock_runs_callbacks(
    error: type[BaseException], *, with_bus: bool
) -> None:
    seed = 20251125
    rolled = random.Random(seed)
    is_armed = False

    def handler(number: int, frame: object) -> None:
        del number, frame
        if is_armed:
            raise error

    previous = signal.signal(signal.SIGALRM, handler)
    hits = 0
    try:
        for _ in range(150):
            clock = VirtualClock(timezone="UTC")
            with Scheduler(clock=clock, event_bus=make_bus(with_bus=with_bus)) as scheduler:
                told = [Told(scheduler, name) for name in SCENARIOS]
                signal.setitimer(signal.ITIMER_REAL, rolled.uniform(1e-5, 3e-3))
                try:
                    is_armed = True
                    clock.advance(5)
                    is_armed = False
                except error:
                    is_armed = False
                    hits += 1
                signal.setitimer(signal.ITIMER_REAL, 0)
                for one in told:
                    one.check(None, partial(let_pass, clock))
    finally:
        is_armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert hits > 0

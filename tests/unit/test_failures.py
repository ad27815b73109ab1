"""Whatever a callback or a subscriber raises ends its own run, and nothing else."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from num_agents.eventbus import Event, EventBus
from num_agents.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.scheduler.testing import VirtualClock


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class LeavingError(Exception):
    """Its text ends the program, if it is asked for."""

    def __str__(self) -> str:
        raise SystemExit(3)


@dataclass(frozen=True)
class FrozenError(Exception):
    """Refuses all assignments to its attributes."""

    code: int


class ImmutableError(Exception):
    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise TypeError("immutable")

    def with_traceback(self, traceback: object) -> NoReturn:
        raise TypeError("immutable")


def recursing() -> None:
    recursing()


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def callback(*args: object) -> NoReturn:
        raise error

    return callback


def ring() -> BaseException:
    """Two errors, each the cause of the other."""
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    return first


ERRORS: list[tuple[str, Callable[[], BaseException]]] = [
    ("Exception", lambda: ValueError("no")),
    ("SystemExit", lambda: SystemExit(3)),
    ("KeyboardInterrupt", KeyboardInterrupt),
    ("GeneratorExit", GeneratorExit),
    ("CancelledError", asyncio.CancelledError),
    ("StopIteration", lambda: StopIteration(3)),
    ("MemoryError", MemoryError),
    ("unprintable", UnprintableError),
    ("leaving when printed", LeavingError),
    ("frozen", lambda: FrozenError(3)),
    ("immutable", ImmutableError),
    ("a group", lambda: BaseExceptionGroup("g", [SystemExit(1), UnprintableError()])),
    ("a ring of causes", ring),
]
each_error = pytest.mark.parametrize(
    "make", [make for _, make in ERRORS], ids=[name for name, _ in ERRORS]
)


class TestOnWorkers:
    @each_error
    def test_it_fails_its_run_and_the_worker_goes_on(
        self, threaded: Callable[..., Scheduler], make: Callable[[], BaseException]
    ) -> None:
        scheduler = threaded(1)
        error = make()
        failing = [
            scheduler.schedule("plain", raising(error)),
            scheduler.schedule("with options", raising(error), kwargs={}, tags=["x"]),
        ]
        for task_id in failing:
            outcome = scheduler.wait_for_task(task_id, 5)
            assert (outcome.status, outcome.error) == ("failed", error)
            shown = scheduler.tasks[task_id].to_dict()["error"]
            assert shown.startswith(type(error).__name__)
        assert scheduler.result(scheduler.schedule("next", lambda: "well"), 5) == "well"
        assert scheduler.statistics().failed == 2
        assert scheduler.statistics().running == 0

    @each_error
    def test_it_comes_out_of_result(
        self, threaded: Callable[..., Scheduler], make: Callable[[], BaseException]
    ) -> None:
        scheduler = threaded(1)
        error = make()
        task_id = scheduler.schedule("t", raising(error))
        with pytest.raises(type(error)) as caught:
            scheduler.result(task_id, 5)
        # A copy: what is raised keeps the frames that it passes.
        assert type(caught.value) is type(error)
        assert caught.value.args == error.args
        assert caught.value.__cause__ is error.__cause__
        kept = scheduler.wait_for_task(task_id).error
        assert kept is error
        assert kept.__traceback__ is None
        assert type(scheduler.future(task_id).exception(5)) is type(error)

    def test_endless_recursion(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded(1)
        outcome = scheduler.wait_for_task(scheduler.schedule("t", recursing), 10)
        assert isinstance(outcome.error, RecursionError)
        assert scheduler.result(scheduler.schedule("next", lambda: "well"), 5) == "well"

    def test_wrong_arguments_are_a_failure(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded(1)
        task_id = scheduler.schedule("t", lambda: None, args=[1, 2])
        assert isinstance(scheduler.wait_for_task(task_id, 5).error, TypeError)

    def test_a_recurring_task_goes_on(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded(1)
        task_id = scheduler.schedule("t", raising(SystemExit(1)), interval=0.001, max_runs=5)
        outcome = scheduler.wait_for_task(task_id, 5, until="end")
        assert (outcome.status, outcome.run_count) == ("failed", 5)

    def test_a_result_whose_destructor_raises(self, threaded: Callable[..., Scheduler]) -> None:
        class Awkward:
            def __del__(self) -> None:
                seen.append(1)
                raise SystemExit(1)

        seen: list[int] = []
        scheduler = threaded(1, history=0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "unraisablehook", lambda unraisable: None)
            for _ in range(3):
                scheduler.wait_for_task(scheduler.schedule("t", Awkward), 5)
            assert scheduler.result(scheduler.schedule("next", lambda: "well"), 5) == "well"
        assert len(seen) >= 2


class TestInline:
    def test_an_interrupt_in_the_main_thread_means_the_program(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        task_id = scheduler.schedule("t", raising(KeyboardInterrupt()), delay=1)
        other = scheduler.schedule("other", lambda: "well", delay=1)
        with pytest.raises(KeyboardInterrupt):
            clock.advance(1)
        assert scheduler.tasks[task_id].status == "failed"
        clock.advance(0)
        assert scheduler.tasks[other].result == "well"

    @pytest.mark.parametrize("error", [SystemExit(1), GeneratorExit()])
    def test_all_else_is_the_task_s_own(
        self, scheduler: Scheduler, clock: VirtualClock, error: BaseException
    ) -> None:
        task_id = scheduler.schedule("t", raising(error))
        clock.advance(1)
        assert scheduler.tasks[task_id].error is error


class TestLogging:
    def test_a_failure_is_logged_once_with_its_traceback(
        self, scheduler: Scheduler, clock: VirtualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        task_id = scheduler.schedule("t", raising(ValueError("no")))
        clock.advance(0)
        (record,) = caplog.records
        assert record.name == "num_agents.scheduler"
        assert record.getMessage() == f"Task 't' ({task_id}) failed: ValueError: no"
        assert "raise error" in caplog.text

    @pytest.mark.parametrize("error", [ValueError("broken log"), SystemExit(1)])
    def test_a_broken_log_harms_nobody(
        self, threaded: Callable[..., Scheduler], error: BaseException
    ) -> None:
        scheduler = threaded(1)
        logger = logging.getLogger("num_agents.scheduler")
        broken = raising(error)
        logger.addFilter(broken)
        try:
            task_id = scheduler.schedule("t", raising(ValueError("no")))
            assert scheduler.wait_for_task(task_id, 5).status == "failed"
            assert scheduler.result(scheduler.schedule("next", lambda: "well"), 5) == "well"
        finally:
            logger.removeFilter(broken)


class ForeignBus:
    """A bus that is not ours, and fails in every way."""

    def __init__(self, error: BaseException, *, when_asked: bool) -> None:
        self.error = error
        self.when_asked = when_asked
        self.types: list[str] = []

    def has_subscribers(self, event_type: str) -> bool:
        if self.when_asked:
            raise self.error
        return True

    def publish(self, event: Event) -> None:
        self.types.append(event.event_type)
        raise self.error


class TestSubscribers:
    @each_error
    def test_one_that_raises_fails_nothing(
        self, threaded: Callable[..., Scheduler], make: Callable[[], BaseException]
    ) -> None:
        bus = EventBus()
        seen: list[str] = []
        done = threading.Event()
        bus.subscribe(r"scheduler\.task_.*", raising(make()), is_pattern=True)
        bus.subscribe(
            r"scheduler\.task_(started|completed)",
            lambda event: seen.append(event.event_type),
            is_pattern=True,
        )
        bus.subscribe("scheduler.task_completed", lambda event: done.set())
        scheduler = threaded(1, event_bus=bus)
        # In this thread an interrupt would be meant for the program: schedule in another.
        ids: list[str] = []
        thread = threading.Thread(
            target=lambda: ids.append(scheduler.schedule("t", lambda: "well", delay=0.001))
        )
        thread.start()
        thread.join()
        assert scheduler.result(ids[0], 5) == "well"
        assert done.wait(5)
        assert seen == ["scheduler.task_started", "scheduler.task_completed"]

    @pytest.mark.parametrize("when_asked", [False, True])
    @pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt()])
    def test_a_foreign_bus_that_raises_fails_nothing(
        self, clock: VirtualClock, error: BaseException, *, when_asked: bool
    ) -> None:
        bus = ForeignBus(error, when_asked=when_asked)
        results: list[Any] = []

        def program() -> None:
            scheduler = Scheduler(max_workers=1, event_bus=bus)
            scheduler.start()
            ids = [scheduler.schedule("t", lambda: "well") for _ in range(3)]
            results.extend(scheduler.result(task_id, 5) for task_id in ids)
            scheduler.stop()

        thread = threading.Thread(target=program)
        thread.start()
        thread.join()
        assert results == ["well"] * 3
        assert ("scheduler.task_completed" in bus.types) is not when_asked


class TestFutures:
    @pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt()])
    def test_a_callback_of_a_future_that_raises_harms_nobody(
        self, threaded: Callable[..., Scheduler], error: BaseException
    ) -> None:
        scheduler = threaded(1)
        gate = threading.Event()
        task_id = scheduler.schedule("t", gate.wait, args=(5,))
        future = scheduler.future(task_id)
        future.add_done_callback(raising(error))
        gate.set()
        assert future.result(5) is True
        assert scheduler.result(scheduler.schedule("next", lambda: "well"), 5) == "well"

    def test_nor_the_one_who_cancels(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded(1)
        task_id = scheduler.schedule("t", print, delay=3600)
        scheduler.future(task_id).add_done_callback(raising(SystemExit(1)))
        assert scheduler.cancel_task(task_id)

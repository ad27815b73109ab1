"""Each run has a context of its own."""

from __future__ import annotations

import decimal
import threading
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus import Event, EventBus
from num_agents.scheduler import Scheduler, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.scheduler.testing import VirtualClock

SECONDS = 10
variable: ContextVar[object] = ContextVar("variable", default="untouched")


@pytest.fixture(params=["threads", "virtual"])
def any_scheduler(
    request: pytest.FixtureRequest, threaded: Callable[..., Scheduler]
) -> Callable[..., Scheduler]:
    """Makes started schedulers of one worker, on each kind of executor."""

    def make(**options: Any) -> Scheduler:
        if request.param == "threads":
            return threaded(1, **options)
        scheduler = Scheduler(clock=request.getfixturevalue("clock"), **options)
        scheduler.start()
        return scheduler

    return make


def closed_gate(scheduler: Scheduler) -> threading.Event:
    """Keeps the only worker busy until the event is set; a virtual clock stands still anyhow."""
    gate = threading.Event()
    if scheduler._virtual_clock is None:
        scheduler.schedule("gate", lambda: gate.wait(SECONDS) and None, priority=0)
    return gate


def look(*_: object, **__: object) -> object:
    return variable.get()


def set_it(*_: object, **__: object) -> None:
    variable.set("left behind")


def look_and_set() -> object:
    seen = variable.get()
    variable.set("left behind")
    return seen


def set_it_and_fail(*_: object, **__: object) -> None:
    variable.set("left behind")
    raise ValueError("no")


SETTERS: list[tuple[Callable[..., object], dict[str, Any]]] = [
    (set_it, {}),
    (set_it, {"kwargs": {"a": 1}}),
    (set_it, {"tags": ["a"]}),
    (set_it_and_fail, {}),
    (set_it_and_fail, {"kwargs": {"a": 1}}),
]


@pytest.mark.parametrize("number", range(len(SETTERS)))
@pytest.mark.parametrize("with_bus", [False, True])
def test_what_one_run_sets_the_next_does_not_see(
    any_scheduler: Callable[..., Scheduler], number: int, *, with_bus: bool
) -> None:
    bus = EventBus()
    seen_by_handlers: list[object] = []
    bus.subscribe("scheduler.task_started", lambda event: seen_by_handlers.append(variable.get()))
    scheduler = any_scheduler(event_bus=bus if with_bus else None)
    setter, options = SETTERS[number]
    for _ in range(3):
        scheduler.wait_for_task(scheduler.schedule("set", setter, **options), SECONDS)
        for kwargs in ({}, {"a": 1}):
            task_id = scheduler.schedule("look", look, kwargs=kwargs)
            assert scheduler.result(task_id, SECONDS) == "untouched"
        assert scheduler.result(scheduler.schedule("look", look), SECONDS) == "untouched"
    assert set(seen_by_handlers) <= {"untouched"}
    assert variable.get() == "untouched"


def test_nor_does_the_same_task_the_next_time(any_scheduler: Callable[..., Scheduler]) -> None:
    seen: list[object] = []

    def callback() -> None:
        seen.append(variable.get())
        variable.set(len(seen))

    scheduler = any_scheduler()
    task_id = scheduler.schedule("t", callback, interval=0.001, max_runs=5)
    scheduler.wait_for_task(task_id, SECONDS, until="end")
    assert set(seen) == {"untouched"}


def test_a_decimal_context_is_a_run_s_own(any_scheduler: Callable[..., Scheduler]) -> None:
    scheduler = any_scheduler()
    before = decimal.getcontext().prec

    def change() -> None:
        decimal.getcontext().prec = 3

    scheduler.wait_for_task(scheduler.schedule("change", change), SECONDS)
    precision = scheduler.schedule("look", lambda: decimal.getcontext().prec)
    assert scheduler.result(precision, SECONDS) == decimal.DefaultContext.prec
    assert decimal.getcontext().prec == before


def test_what_a_done_callback_sets(any_scheduler: Callable[..., Scheduler]) -> None:
    scheduler = any_scheduler()
    gate = closed_gate(scheduler)
    task_id = scheduler.schedule("set", int)
    scheduler.future(task_id).add_done_callback(set_it)
    seen = scheduler.schedule("look", look)
    gate.set()
    assert scheduler.result(seen, SECONDS) == "untouched"


def test_what_a_destructor_sets(any_scheduler: Callable[..., Scheduler]) -> None:
    class Thing:
        def __del__(self) -> None:
            variable.set("left behind")

    scheduler = any_scheduler(history=0)
    gate = closed_gate(scheduler)
    scheduler.schedule("set", lambda thing: None, args=(Thing(),))
    scheduler.schedule("set", Thing)
    future = scheduler.future(scheduler.schedule("look", look))
    gate.set()
    assert future.result(SECONDS) == "untouched"


def test_what_is_told_of_a_miss_sets(
    any_scheduler: Callable[..., Scheduler],
) -> None:
    """A missed occurrence is no run, but it can set off as much."""
    scheduler = any_scheduler()
    scheduler.stop()
    missed = scheduler.schedule("m", int, run_at="2020-01-01T00:00:00Z", grace=1, priority=1)
    scheduler.future(missed).add_done_callback(set_it)
    seen = scheduler.future(scheduler.schedule("look", look, priority=2))
    scheduler.start()
    assert seen.result(SECONDS) == "untouched"
    assert scheduler.wait_for_task(missed, SECONDS).status == "missed"


@pytest.mark.parametrize("event_type", ["task_started", "task_completed", "task_scheduled"])
def test_what_a_handler_sets(any_scheduler: Callable[..., Scheduler], event_type: str) -> None:
    bus = EventBus()
    scheduler = any_scheduler(event_bus=bus)

    def set_for_some(event: Event) -> None:
        if event.payload["task_name"] == "set":
            variable.set("left behind")

    token = variable.set("untouched")
    bus.subscribe(f"scheduler.{event_type}", set_for_some)
    scheduler.wait_for_task(scheduler.schedule("set", int), SECONDS)
    variable.reset(token)
    assert scheduler.result(scheduler.schedule("look", look), SECONDS) == "untouched"


def test_the_caller_s_context_is_not_the_run_s(any_scheduler: Callable[..., Scheduler]) -> None:
    scheduler = any_scheduler()
    token = variable.set("the caller's")
    try:
        assert scheduler.result(scheduler.schedule("look", look), SECONDS) == "untouched"
    finally:
        variable.reset(token)


def test_waiting_in_a_run_does_not_mix_contexts(any_scheduler: Callable[..., Scheduler]) -> None:
    scheduler = any_scheduler()

    def outer() -> tuple[object, object]:
        variable.set("outer")
        inner = scheduler.schedule("inner", look_and_set)
        return scheduler.result(inner, SECONDS), variable.get()

    assert scheduler.result(scheduler.schedule("outer", outer), SECONDS) == ("untouched", "outer")


class TestHandedOver:
    """`context=`."""

    @staticmethod
    def context_with(value: object) -> Context:
        context = copy_context()
        context.run(variable.set, value)
        return context

    @pytest.mark.parametrize("with_bus", [False, True])
    @pytest.mark.parametrize("options", [{}, {"kwargs": {"a": 1}}, {"interval": 0.001}])
    def test_a_run_sees_it(
        self,
        any_scheduler: Callable[..., Scheduler],
        options: dict[str, Any],
        *,
        with_bus: bool,
    ) -> None:
        bus = EventBus()
        bus.subscribe(".*", lambda event: None, is_pattern=True)
        scheduler = any_scheduler(event_bus=bus if with_bus else None)
        context = self.context_with("handed over")
        task_id = scheduler.schedule("look", look, context=context, **options)
        assert scheduler.result(task_id, SECONDS) == "handed over"
        assert scheduler.result(scheduler.schedule("look", look), SECONDS) == "untouched"

    def test_of_a_task_made_before(self, any_scheduler: Callable[..., Scheduler]) -> None:
        scheduler = any_scheduler()
        task = Task("look", look, context=self.context_with("handed over"))
        assert scheduler.result(scheduler.schedule_task(task), SECONDS) == "handed over"

    def test_runs_of_a_recurring_task_do_not_see_each_other(
        self, any_scheduler: Callable[..., Scheduler]
    ) -> None:
        scheduler = any_scheduler()
        context = self.context_with("handed over")
        seen: list[object] = []

        def callback() -> None:
            seen.append(variable.get())
            variable.set("left behind")

        task_id = scheduler.schedule("t", callback, interval=0.001, max_runs=4, context=context)
        scheduler.wait_for_task(task_id, SECONDS, until="end")
        assert seen == ["handed over"] * 4
        assert context[variable] == "handed over"

    def test_one_context_for_tasks_that_run_at_once(
        self, threaded: Callable[..., Scheduler]
    ) -> None:
        """A context can be entered once at a time, which is no concern of who hands it over."""
        scheduler = threaded(4)
        context = self.context_with("handed over")
        together = threading.Barrier(4)

        def callback() -> object:
            together.wait(SECONDS)
            return variable.get()

        ids = [scheduler.schedule("t", callback, context=context) for _ in range(4)]
        assert {scheduler.result(task_id, SECONDS) for task_id in ids} == {"handed over"}

    def test_one_that_the_caller_is_in(self, clock: VirtualClock) -> None:
        def inside() -> object:
            variable.set("handed over")
            with Scheduler(clock=clock) as scheduler:
                return scheduler.result(scheduler.schedule("look", look, context=entered), SECONDS)

        entered = copy_context()
        assert entered.run(inside) == "handed over"

    def test_a_view_shows_it(self, any_scheduler: Callable[..., Scheduler]) -> None:
        scheduler = any_scheduler()
        context = self.context_with("handed over")
        task_id = scheduler.schedule("look", look, delay=100, context=context)
        task = scheduler.get_task(task_id)
        assert task is not None
        assert task.context is context

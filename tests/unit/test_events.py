"""What the scheduler tells the event bus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus import Event, EventBus
from num_agents.scheduler import Scheduler, current_run
from num_agents.scheduler.events import SOURCE

if TYPE_CHECKING:
    from num_agents.scheduler.testing import VirtualClock

START = datetime(2025, 1, 1, tzinfo=UTC)


class Heard:
    """All events of a scheduler."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.events: list[Event] = []
        self.bus = EventBus()
        self.bus.subscribe(r"scheduler\..*", self.events.append, is_pattern=True)
        self.scheduler = Scheduler(clock=clock, event_bus=self.bus)
        self.scheduler.start()

    def types(self) -> list[str]:
        """Since the last time, without the prefix."""
        types = [event.event_type.removeprefix("scheduler.") for event in self.events]
        self.events.clear()
        return types

    def last(self, event_type: str) -> dict[str, Any]:
        """The payload of the last of a type."""
        name = f"scheduler.{event_type}"
        return [event.payload for event in self.events if event.event_type == name][-1]


@pytest.fixture
def heard(clock: VirtualClock) -> Heard:
    heard = Heard(clock)
    assert heard.types() == ["started"]
    return heard


def fail() -> None:
    raise ValueError("no")


def test_of_a_life_that_goes_well(heard: Heard) -> None:
    task_id = heard.scheduler.schedule("t", lambda: 7, delay=1)
    heard.clock.advance(1)
    about = {"task_id": task_id, "task_name": "t", "nominal_time": START + timedelta(seconds=1)}
    assert [event.source for event in heard.events] == [SOURCE] * 3
    assert heard.last("task_scheduled") == about
    assert heard.last("task_started") == {**about, "lateness": 0.0, "missed": 0, "attempt": 1}
    assert heard.last("task_completed") == {**about, "result": 7}
    assert heard.types() == ["task_scheduled", "task_started", "task_completed"]


def test_of_a_failure(heard: Heard) -> None:
    heard.scheduler.schedule("t", fail)
    heard.clock.advance(0)
    assert isinstance(heard.last("task_failed")["error"], ValueError)
    assert heard.types() == ["task_scheduled", "task_started", "task_failed"]


def test_of_a_cancellation_before_and_during_the_run(heard: Heard) -> None:
    task_id = heard.scheduler.schedule("t", print, delay=1)
    heard.scheduler.cancel_task(task_id)
    heard.scheduler.cancel_task(task_id)
    assert heard.last("task_cancelled")["reason"] == "cancelled before it ran"
    assert heard.types() == ["task_scheduled", "task_cancelled"]

    def callback() -> None:
        run = current_run()
        assert run is not None
        heard.scheduler.cancel_task(run.task_id)

    heard.scheduler.schedule("t", callback, interval=1)
    heard.clock.advance(5)
    assert heard.last("task_cancelled")["reason"] == "cancelled while it ran"
    assert heard.types() == ["task_scheduled", "task_started", "task_cancelled"]


@pytest.mark.parametrize("history", [0, 1])
def test_of_a_cancelled_run_that_nobody_remembers(clock: VirtualClock, history: int) -> None:
    seen: list[str] = []
    bus = EventBus()
    bus.subscribe(".*", lambda event: seen.append(event.event_type), is_pattern=True)
    with Scheduler(clock=clock, event_bus=bus, history=history) as scheduler:

        def callback() -> None:
            run = current_run()
            assert run is not None
            scheduler.cancel_task(run.task_id)

        scheduler.schedule("t", callback)
        clock.advance(0)
    assert "scheduler.task_cancelled" in seen
    assert "scheduler.task_completed" not in seen


def test_of_many_cancellations(heard: Heard) -> None:
    ids = heard.scheduler.schedule_many("t", print, delays=[1, 2, 3])
    assert heard.scheduler.cancel_many(ids) == 3
    assert heard.types() == ["task_scheduled"] * 3 + ["task_cancelled"] * 3


def test_of_late_work(heard: Heard) -> None:
    heard.scheduler.schedule("t", print, interval=10, misfire="skip", args=("",))
    heard.scheduler.stop()
    heard.clock.advance(35)
    heard.scheduler.start()
    heard.clock.advance(0)
    missed = heard.last("task_missed")
    assert missed["nominal_time"] == START
    assert missed["missed"] == 4
    assert missed["reason"]
    assert heard.types() == ["task_scheduled", "stopped", "started", "task_missed"]


def test_of_occurrences_that_overlap(heard: Heard) -> None:
    native = heard.clock.native

    def slow() -> None:
        native.set_ns(native.now_ns() + 25_000_000_000)

    heard.scheduler.schedule("t", slow, interval=10, max_runs=2)
    heard.clock.advance(5)
    assert heard.last("task_skipped")["skipped"] == 2
    assert heard.types() == ["task_scheduled", "task_started", "task_completed", "task_skipped"]


def test_of_a_run_that_moves_the_clock(heard: Heard) -> None:
    heard.scheduler.schedule("t", heard.clock.advance, args=(25,))
    heard.clock.advance(5)
    assert heard.types() == ["task_scheduled", "task_started", "task_completed"]


def test_of_a_late_start(heard: Heard) -> None:
    heard.scheduler.schedule("t", print, run_at=START - timedelta(seconds=9), args=("",))
    heard.clock.advance(0)
    assert heard.last("task_started")["lateness"] == 9


def test_of_a_pause_and_a_resume(heard: Heard) -> None:
    task_id = heard.scheduler.schedule("t", fail, interval=1, pause_after_failures=1)
    heard.clock.advance(5)
    assert heard.last("task_paused")["reason"] == "1 failed runs in a row"
    heard.scheduler.resume_task(task_id)
    heard.scheduler.resume_task(task_id)
    heard.scheduler.pause_task(task_id)
    heard.scheduler.pause_task(task_id)
    assert heard.types() == [
        "task_scheduled",
        "task_started",
        "task_paused",
        "task_failed",
        "task_resumed",
        "task_paused",
    ]


def test_of_start_and_stop(heard: Heard) -> None:
    heard.scheduler.start()
    heard.scheduler.stop("drain")
    heard.scheduler.stop()
    assert heard.events[0].payload == {"mode": "drain"}
    assert heard.types() == ["stopped"]


def test_comes_after_the_change(heard: Heard) -> None:
    scheduler = heard.scheduler
    seen: list[tuple[str, str]] = []

    def note(event: Event) -> None:
        task = scheduler.get_task(event.payload["task_id"])
        assert task is not None
        seen.append((event.event_type.removeprefix("scheduler.task_"), task.status.value))

    heard.bus.subscribe(r"scheduler\.task_.*", note, is_pattern=True)
    scheduler.schedule("t", lambda: None)
    heard.clock.advance(0)
    task_id = scheduler.schedule("t", print, delay=1)
    scheduler.pause_task(task_id)
    scheduler.resume_task(task_id)
    scheduler.cancel_task(task_id)
    assert seen == [
        ("scheduled", "pending"),
        ("started", "running"),
        ("completed", "completed"),
        ("scheduled", "pending"),
        ("paused", "paused"),
        ("resumed", "pending"),
        ("cancelled", "cancelled"),
    ]


def test_a_subscriber_may_use_the_scheduler(heard: Heard) -> None:
    scheduler = heard.scheduler

    def react(event: Event) -> None:
        if event.payload["task_name"] == "first":
            scheduler.schedule("second", lambda: 2, delay=1)

    heard.bus.subscribe("scheduler.task_completed", react)
    heard.bus.subscribe("scheduler.stopped", lambda event: scheduler.start())
    scheduler.schedule("first", lambda: 1)
    heard.clock.advance(5)
    assert [task.name for task in scheduler.get_all_tasks()] == ["first", "second"]
    scheduler.stop()
    assert scheduler.is_running


def test_nothing_is_built_for_an_event_that_nobody_reads(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    import num_agents.eventbus.eventbus as module

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("an event was built")

    bus = EventBus()
    bus.subscribe("another.event", print)
    monkeypatch.setattr(module, "Event", refuse)
    with Scheduler(clock=clock, event_bus=bus) as scheduler:
        scheduler.schedule("t", print, delay=1, args=("",))
        scheduler.cancel_task(scheduler.schedule("t", print))
        clock.advance(2)


def test_anything_that_publishes_is_a_bus(clock: VirtualClock) -> None:
    class Minimal:
        def __init__(self) -> None:
            self.types: list[str] = []

        def publish(self, event: Event) -> None:
            self.types.append(event.event_type)

    bus = Minimal()
    with Scheduler(clock=clock, event_bus=bus) as scheduler:
        scheduler.result(scheduler.schedule("t", lambda: None))
    assert bus.types == [
        "scheduler.started",
        "scheduler.task_scheduled",
        "scheduler.task_started",
        "scheduler.task_completed",
        "scheduler.stopped",
    ]
    with pytest.raises(TypeError, match=r"^event_bus must have a publish\(event\) method"):
        Scheduler(event_bus=5)  # type: ignore[arg-type]


def test_of_a_run_that_waits_for_another(heard: Heard) -> None:
    inner = heard.scheduler.schedule("inner", lambda: 1, delay=1)
    heard.scheduler.schedule("outer", heard.scheduler.result, args=(inner,))
    heard.types()
    heard.clock.advance(5)
    names = [(event.event_type, event.payload["task_name"]) for event in heard.events]
    assert names == [
        ("scheduler.task_started", "outer"),
        ("scheduler.task_started", "inner"),
        ("scheduler.task_completed", "inner"),
        ("scheduler.task_completed", "outer"),
    ]

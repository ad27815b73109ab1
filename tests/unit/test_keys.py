"""Keys: names that a task has to itself until it ends."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus import EventBus
from num_agents.scheduler import Scheduler, TaskExistsError
from num_agents.scheduler._engine.keys import _FEW

if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.scheduler.testing import VirtualClock


def test_one_task_has_a_key(scheduler: Scheduler) -> None:
    task_id = scheduler.schedule("t", print, delay=5, key="report")
    assert scheduler.keys["report"] == task_id
    assert dict(scheduler.keys) == {"report": task_id}
    assert ("report" in scheduler.keys, "other" in scheduler.keys) == (True, False)
    with pytest.raises(KeyError):
        scheduler.keys["other"]
    with pytest.raises(TaskExistsError, match="has the key 'report'") as caught:
        scheduler.schedule("t", print, delay=5, key="report")
    assert (caught.value.key, caught.value.task_id) == ("report", task_id)
    assert scheduler.statistics().scheduled == 1


@pytest.mark.parametrize("if_exists", ["raise", "keep", "replace", "move"])
def test_a_key_is_free_when_its_task_has_ended(
    clock: VirtualClock, scheduler: Scheduler, if_exists: Any
) -> None:
    def again(**options: Any) -> str:
        return scheduler.schedule("t", int, key="k", if_exists=if_exists, **options)

    first = again(delay=5)
    clock.advance(5)
    assert "k" not in scheduler.keys
    second = again(delay=5)
    scheduler.cancel_task(second)
    third = again(interval=5, max_runs=2)
    assert len({first, second, third}) == 3
    clock.advance(5)
    assert dict(scheduler.keys) == {}


def test_it_is_kept(scheduler: Scheduler) -> None:
    first = scheduler.schedule("t", print, interval=60, key="k")
    again = scheduler.schedule("t", print, interval=99, key="k", if_exists="keep")
    assert again == first
    assert scheduler.tasks[first].schedule.interval == 60


def test_it_is_replaced(clock: VirtualClock, scheduler: Scheduler) -> None:
    first = scheduler.schedule("t", print, interval=60, key="k")
    second = scheduler.schedule("t", int, delay=9, key="k", if_exists="replace")
    assert (scheduler.tasks[first].status, scheduler.keys["k"]) == ("cancelled", second)
    clock.advance(9)
    assert scheduler.tasks[second].result == 0


def test_a_running_one_that_is_replaced_ends_its_run(
    clock: VirtualClock, scheduler: Scheduler
) -> None:
    ids: list[str] = []

    def work() -> str:
        ids.append(scheduler.schedule("t", int, delay=1, key="k", if_exists="replace"))
        return "done"

    first = scheduler.schedule("t", work, interval=60, key="k")
    clock.advance(0)
    assert scheduler.tasks[first].status == "cancelled"
    assert scheduler.keys["k"] == ids[0]
    clock.advance(1)
    assert scheduler.tasks[ids[0]].status == "completed"


def test_it_is_moved(clock: VirtualClock, scheduler: Scheduler) -> None:
    calls: list[int] = []
    task_id = scheduler.schedule("t", calls.append, args=(1,), delay=10, key="k")
    for _ in range(5):
        clock.advance(9)
        again = scheduler.schedule(
            "t", calls.append, args=(2,), delay=10, key="k", if_exists="move"
        )
        assert again == task_id
    assert calls == []
    clock.advance(10)
    # Only its time is another one.
    assert calls == [1]
    at = scheduler.schedule("t", int, delay=5, key="k")
    moment = clock.now() + timedelta(hours=1)
    assert scheduler.schedule("t", int, run_at=moment, key="k", if_exists="move") == at
    assert scheduler.tasks[at].next_run == moment


def test_it_is_moved_to_a_time_only(scheduler: Scheduler) -> None:
    scheduler.schedule("t", print, delay=10, key="k")
    with pytest.raises(ValueError, match=r"^if_exists='move' takes a delay or run_at, and no int"):
        scheduler.schedule("t", print, interval=10, key="k", if_exists="move")
    with pytest.raises(ValueError, match=r"^delay must not be negative"):
        scheduler.schedule("t", print, delay=-1, key="k", if_exists="move")


@pytest.mark.parametrize(
    "options", [{}, {"interval": 60}, {"tags": ["a"]}, {"kwargs": {"end": ""}}]
)
def test_with_every_option(scheduler: Scheduler, options: dict[str, Any]) -> None:
    task_id = scheduler.schedule("t", print, key="k", **options)
    assert scheduler.keys["k"] == task_id


def test_what_cannot_be_scheduled_leaves_the_key_free(scheduler: Scheduler) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^interval must"):
            scheduler.schedule("t", print, interval=-1, key="k")
    assert scheduler.schedule("t", print, delay=5, key="k") == scheduler.keys["k"]


def test_a_handler_of_the_event_may_use_keys(clock: VirtualClock) -> None:
    bus = EventBus()
    found: list[object] = []

    def handle(event: Any) -> None:
        if event.payload["task_name"] == "first":
            found.append("k" in scheduler.keys)
            found.append(scheduler.schedule("second", int, delay=5, key="other"))
            try:
                scheduler.schedule("third", int, delay=5, key="k", if_exists="keep")
            except RuntimeError as error:
                found.append(str(error))

    bus.subscribe("scheduler.task_scheduled", handle)
    with Scheduler(clock=clock, event_bus=bus) as scheduler:
        scheduler.schedule("first", int, delay=5, key="k")
        assert found == [
            False,
            scheduler.keys["other"],
            "the task of key 'k' is being scheduled by the caller",
        ]


def test_of_many_threads_one_schedules_it() -> None:
    scheduler = Scheduler()
    barrier = threading.Barrier(8)

    def work(number: int) -> list[str]:
        barrier.wait(10)
        return [
            scheduler.schedule("t", print, delay=60, key=f"k{one}", if_exists="keep")
            for one in range(200)
        ]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    assert all(ids == found[0] for ids in found)
    assert scheduler.statistics().scheduled == len(scheduler.keys) == 200


def test_of_many_threads_that_replace_it_one_is_left() -> None:
    scheduler = Scheduler()
    barrier = threading.Barrier(8)

    def work(_: int) -> None:
        barrier.wait(10)
        for _ in range(200):
            scheduler.schedule("t", print, delay=60, key="k", if_exists="replace")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    statistics = scheduler.statistics()
    assert (statistics.scheduled, statistics.cancelled, statistics.pending) == (1600, 1599, 1)


def test_keys_that_are_free_take_no_memory(scheduler: Scheduler) -> None:
    keys = scheduler._engine.keys
    for number in range(10 * _FEW):
        task_id = scheduler.schedule("t", print, delay=5, key=f"k{number}")
        scheduler.cancel_task(task_id)
    assert len(keys._ids) <= _FEW
    assert len(keys._keys) <= _FEW
    kept = [scheduler.schedule("t", print, delay=5, key=f"kept{one}") for one in range(3 * _FEW)]
    assert len(scheduler.keys) == len(kept)
    assert keys.key_of(kept[5]) == "kept5"
    scheduler.cancel_many(kept)
    assert len(scheduler.keys) == 0
    assert keys.key_of(kept[5]) is None


@pytest.mark.parametrize("key", [5, b"k", ["k"], True, object()])
def test_what_is_no_key_is_refused(scheduler: Scheduler, key: Any) -> None:
    with pytest.raises(TypeError, match=r"^key must be a string, got"):
        scheduler.schedule("t", print, key=key)
    assert len(scheduler.tasks) == 0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda schedule: schedule(key=""), r"^key must not be empty"),
        (lambda schedule: schedule(key="k", if_exists="ignore"), r"^if_exists must be one of"),
        (lambda schedule: schedule(key="k", if_exists=None), r"^if_exists must be one of"),
        (lambda schedule: schedule(if_exists="keep"), r"^if_exists needs a key, got 'keep'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    scheduler: Scheduler, call: Callable[[Any], str], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        call(lambda **options: scheduler.schedule("t", print, **options))
    assert len(scheduler.tasks) == 0

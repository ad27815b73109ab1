"""What tasks share: one record of what they call, and memory that is given back."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from contextvars import copy_context
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler import Scheduler
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS = 3_000


class Agent:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def act(self, *args: Any, **kwargs: Any) -> None:
        self.seen.append((args, kwargs))


def callback(*_args: Any, **_kwargs: Any) -> None:
    pass


def memory_of(schedule: Callable[[Scheduler, int], object]) -> int:
    """The engine's memory with so many tasks pending, all due at one moment."""
    scheduler = Scheduler(clock=VirtualClock())
    for number in range(TASKS):
        schedule(scheduler, number)
    return scheduler.statistics().memory_bytes


def test_equal_names_and_bound_methods_cost_no_memory() -> None:
    agent = Agent()
    plain = memory_of(lambda s, _: s.schedule("task 1", callback, delay=9))
    equal = memory_of(lambda s, number: s.schedule(f"task {number // TASKS}", callback, delay=9))
    bound = memory_of(lambda s, _: s.schedule("task 1", agent.act, delay=9))
    kwargs = memory_of(lambda s, n: s.schedule("t", callback, delay=9, kwargs={"user": n}))
    other = memory_of(lambda s, number: s.schedule(f"task {number}", callback, delay=9))
    assert plain == equal == bound == kwargs
    assert other > plain + 50 * TASKS


def test_tasks_that_share_a_record_have_what_is_their_own() -> None:
    clock, agent, other = VirtualClock(), Agent(), Agent()
    scheduler = Scheduler(clock=clock)
    scheduler.start()
    for number in range(3):
        scheduler.schedule("t", agent.act, delay=1, args=(number,), kwargs={"user": -number})
        scheduler.schedule("t", other.act, delay=1, kwargs={"user": number, "room": 7})
        scheduler.schedule("t", agent.act, delay=1, kwargs={"room": number})
    clock.advance(2)
    mine = [((n,), {"user": -n}) for n in range(3)] + [((), {"room": n}) for n in range(3)]
    assert sorted(agent.seen, key=repr) == sorted(mine, key=repr)
    assert other.seen == [((), {"user": n, "room": 7}) for n in range(3)]
    scheduler.stop()


def test_kwargs_and_args_are_seen_apart() -> None:
    scheduler = Scheduler()
    task_id = scheduler.schedule("t", callback, delay=9, args=(1, 2), kwargs={"b": 3, "a": 4})
    task = scheduler.get_task(task_id)
    assert task is not None
    assert (task.args, task.kwargs, list(task.kwargs)) == ((1, 2), {"b": 3, "a": 4}, ["b", "a"])


@pytest.mark.parametrize("workers", ["threads", "virtual"])
def test_names_of_keyword_arguments_that_are_no_identifiers(workers: str) -> None:
    agent = Agent()
    clock = VirtualClock() if workers == "virtual" else None
    with Scheduler(clock=clock) as scheduler:
        task_id = scheduler.schedule("t", agent.act, kwargs={"not a name": 1, "self_": 2, "é": 3})
        scheduler.result(task_id, 10)
    assert agent.seen == [((), {"not a name": 1, "self_": 2, "é": 3})]


def test_the_last_run_belongs_to_the_task_and_not_to_what_it_calls() -> None:
    clock, count = VirtualClock(), iter(range(100))
    scheduler = Scheduler(clock=clock)
    scheduler.start()

    def work(fails: object = False) -> int:  # noqa: FBT002 - a plain callback
        if fails:
            raise ValueError(f"run {next(count)}")
        return next(count)

    good, better = (scheduler.schedule("t", work, interval=1) for _ in range(2))
    bad = scheduler.schedule("t", work, interval=1, args=(True,), pause_after_failures=3)
    also_bad = scheduler.schedule("t", work, interval=1, args=(True,), pause_after_failures=3)
    clock.advance(1)
    results = [scheduler.tasks[task_id].result for task_id in (good, better, bad, also_bad)]
    assert results == [4, 5, None, None]
    errors = [str(scheduler.tasks[task_id].error) for task_id in (good, bad, also_bad)]
    assert errors == ["None", "run 6", "run 7"]
    scheduler.pause_task(bad)
    scheduler.resume_task(bad)
    clock.advance(1)
    statuses = [scheduler.tasks[task_id].status for task_id in (bad, also_bad)]
    assert statuses == ["pending", "paused"]
    scheduler.stop()


def test_single_cancels_give_memory_back() -> None:
    scheduler = Scheduler(history=0)
    empty = scheduler.statistics().memory_bytes
    ids = [scheduler.schedule(f"t{n}", callback, delay=n % 977 + 1) for n in range(200_000)]
    full = scheduler.statistics().memory_bytes
    for task_id in ids:
        scheduler.cancel_task(task_id)
    left = scheduler.statistics().memory_bytes
    # One segment of each kind is kept for the next task.
    assert full - empty > 20_000_000
    assert left - empty < 8_000_000


@pytest.mark.parametrize(
    "schedule",
    [
        lambda s, a: s.schedule("t", a.act, delay=9),
        lambda s, a: s.schedule("t", callback, delay=9, args=(1, a)),
        lambda s, a: s.schedule("t", callback, delay=9, kwargs={"agent": a}),
        lambda s, a: s.schedule("t", callback, delay=9, args=(1,), kwargs={"n": 2, "a": [a]}),
        lambda s, a: s.schedule("t", callback, interval=9, metadata={"agent": a}),
        lambda s, a: s.schedule_many("t", callback, delays=[9, 9], args=[(1,), (a,)]),
    ],
)
def test_a_cycle_through_a_task_is_collected(
    schedule: Callable[[Scheduler, Agent], object],
) -> None:
    scheduler, agent = Scheduler(), Agent()
    agent.seen.append(scheduler)
    for _ in range(3):
        scheduler.schedule("t", callback, delay=9, args=(1, "two", 3.0, None, b"4", True))
        schedule(scheduler, agent)
    gone = weakref.ref(agent)
    del scheduler, agent
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("schedule_many", [False, True])
def test_a_name_that_is_no_text_is_compared_without_making_an_error(*, schedule_many: bool) -> None:
    # An error would be made under the core's lock, and could start a garbage collection, which asks
    # for the lock.
    program = f"""
        import gc
        from num_agents.scheduler import Scheduler

        scheduler = Scheduler()

        def schedule(name):
            if {schedule_many}:
                scheduler.schedule_many(name, print, delays=[100])
            else:
                scheduler.schedule(name, print, delay=100)

        schedule("\\udce9.txt")
        gc.set_threshold(1, 1, 1)
        for _ in range(20):
            schedule("other")
            schedule("\\udce9.txt")
            schedule("\\udce9"  + ".txt"[:])
        print(scheduler.statistics().pending)
    """
    ended = subprocess.run(
        [sys.executable, "-c", dedent(program)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert ended.stdout == "61\n"


class Key(str):
    """A string that can be used as a key only as long as that is allowed."""

    __slots__ = ()
    is_allowed = True

    def __hash__(self) -> int:
        assert self.is_allowed
        return str.__hash__(self)


def test_no_code_of_the_keys_of_kwargs_is_called_for_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, agent = VirtualClock(), Agent()
    scheduler = Scheduler(clock=clock)
    scheduler.start()
    task_id = scheduler.schedule("t", agent.act, delay=1, kwargs={Key("user"): 7})
    monkeypatch.setattr(Key, "is_allowed", False)
    clock.advance(1)
    assert agent.seen == [((), {"user": 7})]
    assert scheduler.tasks[task_id].status == "completed"


def test_a_recurring_run_ends_by_the_wall_clock() -> None:
    clock = VirtualClock()
    with Scheduler(clock=clock) as scheduler:
        clock.shift_wall(7200)
        task_id = scheduler.schedule("t", int, interval=10, first_run="after_interval")
        outcome = scheduler.wait_for_task(task_id, 20)
        assert outcome.ended_at == outcome.started_at == clock.now()
        assert outcome.lateness == 0


def test_what_a_one_shot_returned_is_shown_after_it_was_run_by_hand() -> None:
    clock = VirtualClock()
    scheduler = Scheduler(clock=clock)
    scheduler.start()
    task_id = scheduler.schedule("t", lambda: 7, delay=100)
    failing = scheduler.schedule("t", lambda: 1 / 0, delay=100)
    assert scheduler.run_now(task_id)
    assert scheduler.run_now(failing)
    clock.advance(0)
    assert scheduler.tasks[task_id].result == 7
    assert isinstance(scheduler.tasks[failing].error, ZeroDivisionError)
    scheduler.stop()


@pytest.mark.parametrize("kind", ["plain", "context", "name"])
def test_a_cycle_through_the_frame_of_a_run_is_collected(kind: str) -> None:
    class Name(str):
        agent: Agent

    clock, agent = VirtualClock(), Agent()
    scheduler = Scheduler(clock=clock)
    scheduler.start()
    name = Name("t")
    if kind == "name":
        name.agent = agent
    scheduler.schedule(
        name,
        lambda one: one.seen.append(sys._getframe()),
        delay=1,
        args=(agent,),
        context=copy_context() if kind == "context" else None,
    )
    agent.seen.append(scheduler)
    clock.advance(2)
    scheduler.stop()
    gone = weakref.ref(agent)
    del scheduler, agent, name, clock
    gc.collect()
    assert gone() is None

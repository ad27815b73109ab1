"""Waiting: in pools of one, for schedulers that do not run, and what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from concurrent import futures
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest

from num_agents.eventbus import EventBus
from num_agents.scheduler import Scheduler, SchedulerStoppedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from num_agents.scheduler.testing import VirtualClock

SECONDS = 10


@pytest.fixture(autouse=True)
def unlogged(caplog: pytest.LogCaptureFixture) -> None:
    """Keeps errors out of the log that pytest keeps, and with it the errors."""
    caplog.set_level(logging.CRITICAL, "num_agents.scheduler")


class Thing:
    """What can be referred to weakly."""

    def method(self, *_: object) -> None: ...


def fail() -> None:
    raise ValueError("no")


# ---- in pools of one -----------------------------------------------------------------------------


WAYS: dict[str, Callable[[Scheduler, str], Any]] = {
    "result": lambda scheduler, task_id: scheduler.result(task_id, 2),
    "result without a limit": lambda scheduler, task_id: scheduler.result(task_id),
    "wait_for_task": lambda scheduler, task_id: scheduler.wait_for_task(task_id, 2).value,
    "wait until the end": lambda scheduler, task_id: scheduler.result(task_id, 2, until="end"),
    "future": lambda scheduler, task_id: scheduler.future(task_id).result(2),
    "exception": lambda scheduler, task_id: no_error(scheduler.future(task_id).exception(2)),
    "result_async": lambda scheduler, task_id: asyncio.run(scheduler.result_async(task_id, 2)),
    "wait_for_task_async": lambda scheduler, task_id: (
        asyncio.run(scheduler.wait_for_task_async(task_id, 2)).value
    ),
    "concurrent.futures.wait": lambda scheduler, task_id: (
        futures.wait([scheduler.future(task_id)], 2).done.pop().result(0)
    ),
    "as_completed": lambda scheduler, task_id: next(
        futures.as_completed([scheduler.future(task_id)], 2)
    ).result(0),
    "wrap_future": lambda scheduler, task_id: asyncio.run(wrapped(scheduler, task_id)),
    "several at once": lambda scheduler, task_id: asyncio.run(several(scheduler, task_id)),
}


def no_error(error: BaseException | None) -> int:
    """7 as all others, if there was no error."""
    if error is not None:
        raise error
    return 7


async def wrapped(scheduler: Scheduler, task_id: str) -> object:
    return await asyncio.wait_for(asyncio.wrap_future(scheduler.future(task_id)), 2)


async def several(scheduler: Scheduler, task_id: str) -> object:
    others = [scheduler.schedule("other", int) for _ in range(3)]
    waits = [scheduler.result_async(one, 2) for one in (task_id, *others)]
    return (await asyncio.gather(*waits))[0]


@pytest.mark.parametrize("way", WAYS)
class TestAPoolOfOne:
    def test_a_callback_waits_for_another(
        self, threaded: Callable[..., Scheduler], way: str
    ) -> None:
        scheduler = threaded(1)

        def callback() -> object:
            return WAYS[way](scheduler, scheduler.schedule("other", lambda: 7))

        assert scheduler.result(scheduler.schedule("t", callback), SECONDS) == 7

    def test_for_another_scheduler_and_back(
        self, threaded: Callable[..., Scheduler], way: str
    ) -> None:
        one, other = threaded(1), threaded(1)

        def there() -> object:
            return WAYS[way](one, one.schedule("back", lambda: 7))

        def here() -> object:
            return WAYS[way](other, other.schedule("there", there))

        assert one.result(one.schedule("here", here), SECONDS) == 7

    @pytest.mark.parametrize("event_type", ["task_started", "task_completed"])
    def test_an_event_handler_waits(
        self, threaded: Callable[..., Scheduler], way: str, event_type: str
    ) -> None:
        bus = EventBus()
        scheduler = threaded(1, event_bus=bus)
        told: list[object] = []
        ended = threading.Event()

        def handler(event: Any) -> None:
            if event.payload["task_name"] == "first":
                told.append(WAYS[way](scheduler, scheduler.schedule("other", lambda: 7)))
                ended.set()

        bus.subscribe(f"scheduler.{event_type}", handler)
        scheduler.schedule("first", int)
        assert ended.wait(SECONDS)
        assert told == [7]

    def test_a_done_callback_waits(self, threaded: Callable[..., Scheduler], way: str) -> None:
        scheduler = threaded(1)
        told: list[object] = []
        ended = threading.Event()

        def callback(_: Future[Any]) -> None:
            told.append(WAYS[way](scheduler, scheduler.schedule("other", lambda: 7)))
            ended.set()

        first = scheduler.schedule("first", int, delay=0.05)
        scheduler.future(first).add_done_callback(callback)
        assert ended.wait(SECONDS)
        assert told == [7]


class Crowd:
    """How many are inside at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = self.most = 0

    def visit(self, seconds: float = 0.01) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        threading.Event().wait(seconds)
        with self.lock:
            self.inside -= 1


class TestTheSizeOfThePool:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_look_is_no_wait(self, threaded: Callable[..., Scheduler], workers: int) -> None:
        scheduler = threaded(workers)
        far = scheduler.schedule("far", int, delay=1000)
        future = scheduler.future(far)
        crowd = Crowd()

        def look() -> None:
            with pytest.raises(TimeoutError):
                scheduler.wait_for_task(far, timeout=0)
            with pytest.raises(TimeoutError):
                future.result(0)
            with pytest.raises(TimeoutError):
                asyncio.run(scheduler.result_async(far, timeout=0))
            crowd.visit()

        for task_id in [scheduler.schedule("look", look) for _ in range(20)]:
            assert scheduler.wait_for_task(task_id, SECONDS).status == "completed"
        assert crowd.most == workers

    @pytest.mark.parametrize("way", WAYS)
    def test_after_a_wait_the_surplus_worker_goes(
        self, threaded: Callable[..., Scheduler], way: str
    ) -> None:
        scheduler = threaded(1)
        crowd = Crowd()

        def callback() -> None:
            WAYS[way](scheduler, scheduler.schedule("quick", lambda: 7, priority=0))
            crowd.visit()

        ids = [scheduler.schedule("t", callback) for _ in range(10)]
        for task_id in ids:
            assert scheduler.wait_for_task(task_id, SECONDS).status == "completed"
        crowd.most = 0
        for task_id in [scheduler.schedule("t", crowd.visit) for _ in range(10)]:
            scheduler.wait_for_task(task_id, SECONDS)
        assert crowd.most == 1

    def test_after_waits_that_ran_out(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded(1)
        far = scheduler.schedule("far", int, delay=1000)
        crowd = Crowd()

        def callback() -> None:
            with pytest.raises(TimeoutError):
                scheduler.wait_for_task(far, timeout=0.002)

        for task_id in [scheduler.schedule("t", callback) for _ in range(20)]:
            assert scheduler.wait_for_task(task_id, SECONDS).status == "completed"
        # Those that were to leave do so at the next call.
        for task_id in [scheduler.schedule("t", int) for _ in range(20)]:
            scheduler.wait_for_task(task_id, SECONDS)
        for task_id in [scheduler.schedule("t", crowd.visit) for _ in range(10)]:
            scheduler.wait_for_task(task_id, SECONDS)
        assert crowd.most == 1


# ---- a scheduler that does not run ---------------------------------------------------------------


NOT_OURS = ("several at once", "concurrent.futures.wait", "as_completed", "wrap_future")
STOPPED: dict[str, Callable[[Scheduler, str], Any]] = {
    # What belongs to the standard library cannot know that the scheduler does not run.
    **{name: way for name, way in WAYS.items() if name not in NOT_OURS},
    "future without a limit": lambda scheduler, task_id: scheduler.future(task_id).result(),
}


@pytest.mark.parametrize("on_virtual_clock", [False, True])
@pytest.mark.parametrize("way", STOPPED)
class TestASchedulerThatDoesNotRun:
    @staticmethod
    def make(request: pytest.FixtureRequest, *, on_virtual_clock: bool) -> Scheduler:
        clock = request.getfixturevalue("clock") if on_virtual_clock else None
        return Scheduler(clock=clock, max_workers=1)

    def test_was_never_started(
        self, request: pytest.FixtureRequest, way: str, *, on_virtual_clock: bool
    ) -> None:
        scheduler = self.make(request, on_virtual_clock=on_virtual_clock)
        for delay in (0, 1000):
            task_id = scheduler.schedule("t", int, delay=delay)
            begun = monotonic()
            with pytest.raises(SchedulerStoppedError, match=task_id):
                STOPPED[way](scheduler, task_id)
            assert monotonic() - begun < 1

    def test_was_stopped(
        self, request: pytest.FixtureRequest, way: str, *, on_virtual_clock: bool
    ) -> None:
        scheduler = self.make(request, on_virtual_clock=on_virtual_clock)
        scheduler.start()
        ended = scheduler.schedule("ended", lambda: 7)
        assert scheduler.result(ended, SECONDS) == 7
        task_id = scheduler.schedule("t", int, interval=1000, first_run="after_interval")
        scheduler.stop()
        with pytest.raises(SchedulerStoppedError, match=task_id):
            STOPPED[way](scheduler, task_id)
        # What has ended can be asked for.
        assert STOPPED[way](scheduler, ended) == 7


@pytest.mark.parametrize("way", STOPPED)
def test_is_stopped_while_somebody_waits(threaded: Callable[..., Scheduler], way: str) -> None:
    scheduler = threaded(1)
    task_id = scheduler.schedule("t", int, delay=1000)
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            STOPPED[way](scheduler, task_id)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not scheduler._engine.native.watchers:
        threading.Event().wait(0.001)
    scheduler.stop()
    thread.join(1.5)
    assert not thread.is_alive()
    assert [type(error) for error in raised] == [SchedulerStoppedError]
    assert scheduler.get_task(task_id).status == "pending"  # type: ignore[union-attr]


def test_a_look_at_a_stopped_scheduler_is_a_look(clock: VirtualClock) -> None:
    scheduler = Scheduler(clock=clock)
    task_id = scheduler.schedule("t", int)
    with pytest.raises(TimeoutError):
        scheduler.wait_for_task(task_id, timeout=0)
    with pytest.raises(TimeoutError):
        asyncio.run(scheduler.result_async(task_id, timeout=0))


def test_a_run_that_outlives_the_stop_still_tells(threaded: Callable[..., Scheduler]) -> None:
    scheduler = threaded(1)
    gate, began = threading.Event(), threading.Event()

    def callback() -> int:
        began.set()
        gate.wait(SECONDS)
        return 7

    task_id = scheduler.schedule("t", callback)
    future = scheduler.future(task_id)
    assert began.wait(SECONDS)
    assert not scheduler.stop("now").ended
    assert not future.done()
    later = scheduler.future(task_id)
    gate.set()
    assert (future.result(SECONDS), later.result(SECONDS)) == (7, 7)


@pytest.mark.parametrize("mode", ["wait", "drain", "now", "cancel"])
def test_all_who_wait_are_told_of_a_stop(scheduler: Scheduler, mode: Any) -> None:
    pending = scheduler.schedule("t", int, delay=1000)
    paused = scheduler.schedule("t", int, delay=1000)
    scheduler.pause_task(paused)
    futures = [scheduler.future(one) for one in (pending, paused, pending)]
    scheduler.stop(mode)
    for future in futures:
        with pytest.raises(SchedulerStoppedError):
            future.result(0)
    scheduler.start()
    assert scheduler.result(pending) == 0


# ---- interrupts and reentrancy -------------------------------------------------------------------


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class TestAnInterruptInADoneCallback:
    @pytest.fixture
    def futures(self, scheduler: Scheduler) -> list[tuple[str, Future[Any]]]:
        ids = [scheduler.schedule("t", int, delay=1) for _ in range(3)]
        called: list[Future[Any]] = []
        futures: list[tuple[str, Future[Any]]] = [
            (task_id, scheduler.future(task_id)) for task_id in ids for _ in range(3)
        ]
        for _, future in futures[::2]:
            future.add_done_callback(interrupt)
            future.add_done_callback(called.append)
        self.called = called
        return futures

    def test_of_a_bulk_cancellation(
        self, scheduler: Scheduler, futures: list[tuple[str, Future[Any]]]
    ) -> None:
        with pytest.raises(KeyboardInterrupt):
            scheduler.cancel_many({task_id for task_id, _ in futures})
        assert all(future.cancelled() for _, future in futures)
        assert len(self.called) == len(futures[::2])
        assert scheduler.statistics().pending == 0

    def test_of_cancellations(
        self, scheduler: Scheduler, futures: list[tuple[str, Future[Any]]]
    ) -> None:
        for task_id in {task_id for task_id, _ in futures}:
            with pytest.raises(KeyboardInterrupt):
                scheduler.cancel_task(task_id)
        assert all(future.cancelled() for _, future in futures)
        assert len(self.called) == len(futures[::2])

    def test_of_runs(
        self,
        scheduler: Scheduler,
        clock: VirtualClock,
        futures: list[tuple[str, Future[Any]]],
    ) -> None:
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                clock.advance(1)
        clock.advance(1)
        assert [future.result(0) for _, future in futures] == [0] * len(futures)
        assert len(self.called) == len(futures[::2])
        assert scheduler.statistics().running == 0

    def test_of_a_stop(self, scheduler: Scheduler, futures: list[tuple[str, Future[Any]]]) -> None:
        with pytest.raises(KeyboardInterrupt):
            scheduler.stop()
        scheduler.stop()
        assert not scheduler.is_running
        assert all(future.done() for _, future in futures)


def test_a_future_taken_while_another_is_told(scheduler: Scheduler, clock: VirtualClock) -> None:
    """Of the same task, in a done-callback: for the next run, or done already."""
    task_id = scheduler.schedule("t", int, interval=1, max_runs=3)
    taken: list[Future[Any]] = []

    def take(_: Future[Any]) -> None:
        future = scheduler.future(task_id)
        taken.append(future)
        if len(taken) < 5:
            future.add_done_callback(take)

    scheduler.future(task_id).add_done_callback(take)
    clock.advance(10)
    assert all(future.done() for future in taken)


def test_one_who_enters_a_slot_in_between_is_not_told_of_the_task_before(
    scheduler: Scheduler, clock: VirtualClock
) -> None:
    """A destructor schedules a task, which gets the slot that is just being left, and waits."""
    futures: list[Future[Any]] = []

    class Successor:
        def __del__(self) -> None:
            futures.append(scheduler.future(scheduler.schedule("new", lambda: 2, delay=5)))

    def run(_: object) -> int:
        return 1

    old = [scheduler.schedule("old", run, args=(Successor(),), delay=1) for _ in range(5)]
    waited = [scheduler.future(task_id) for task_id in old]
    scheduler.cancel_many(old[:2])
    clock.advance(2)
    assert [future.cancelled() for future in waited[:2]] == [True, True]
    assert [future.result(0) for future in waited[2:]] == [1, 1, 1]
    gc.collect()
    assert len(futures) == 5
    assert not any(future.done() for future in futures)
    clock.advance(5)
    assert [future.result(0) for future in futures] == [2] * 5


def test_a_future_taken_in_a_destructor_of_another(
    scheduler: Scheduler, clock: VirtualClock
) -> None:
    task_id = scheduler.schedule("t", lambda: 7, delay=1)
    taken: list[Future[Any]] = []

    class Taker:
        def __del__(self) -> None:
            taken.append(scheduler.future(task_id))

    for _ in range(5):
        abandoned = scheduler.future(task_id)
        abandoned.attachment = Taker()  # type: ignore[attr-defined]
        del abandoned
    clock.advance(2)
    assert [future.result(0) for future in taken] == [7] * 5


# ---- what is kept --------------------------------------------------------------------------------


ASKED: dict[str, Callable[[Scheduler, str], Any]] = {
    "result": lambda scheduler, task_id: scheduler.result(task_id),
    "future": lambda scheduler, task_id: scheduler.future(task_id).result(),
    "result_async": lambda scheduler, task_id: asyncio.run(scheduler.result_async(task_id)),
}


@pytest.mark.parametrize("way", ASKED)
def test_the_caller_s_frames_are_not_pinned(scheduler: Scheduler, way: str) -> None:
    task_id = scheduler.schedule("t", fail)

    def ask() -> ref[Thing]:
        thing = Thing()
        with pytest.raises(ValueError, match="no"):
            ASKED[way](scheduler, task_id)
        return ref(thing)

    references = [ask() for _ in range(3)]
    gc.collect()
    assert [reference() for reference in references] == [None] * 3
    error = scheduler.wait_for_task(task_id).error
    assert error is not None
    assert error.__traceback__ is None


def poll(scheduler: Scheduler, task_id: str) -> None:
    with pytest.raises(TimeoutError):
        scheduler.wait_for_task(task_id, timeout=0)


def poll_async(scheduler: Scheduler, task_id: str) -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(scheduler.wait_for_task_async(task_id, timeout=0))


def abandon(scheduler: Scheduler, task_id: str) -> None:
    scheduler.future(task_id)


def give_up(scheduler: Scheduler, task_id: str) -> None:
    assert scheduler.future(task_id).cancel()


@pytest.mark.parametrize("wait", [poll, poll_async, abandon, give_up])
def test_outcomes_that_nobody_wants_any_more_are_not_kept(
    clock: VirtualClock, wait: Callable[[Scheduler, str], None]
) -> None:
    made: list[ref[Thing]] = []

    def make() -> Thing:
        thing = Thing()
        made.append(ref(thing))
        return thing

    with Scheduler(clock=clock, history=10) as scheduler:
        for _ in range(200):
            wait(scheduler, scheduler.schedule("t", make, delay=1))
        clock.advance(2)
        gc.collect()
        assert sum(reference() is not None for reference in made) == 10


@pytest.mark.parametrize("how", ["cancelled", "abandoned"])
def test_futures_of_a_far_task_that_nobody_wants_are_let_go(scheduler: Scheduler, how: str) -> None:
    far = scheduler.schedule("far", int, delay=1e6)
    references = []
    for _ in range(100):
        future = scheduler.future(far)
        references.append(ref(future))
        if how == "cancelled":
            future.cancel()
        del future
    assert [reference() for reference in references] == [None] * 100


@pytest.mark.parametrize("history", [0, 10])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kwargs": {"a": 1}},
        {"tags": ["a"]},
        {"interval": 1, "max_runs": 2},
        {"rrule": "FREQ=SECONDLY;COUNT=2"},
    ],
)
@pytest.mark.parametrize("end", ["run", "cancel", "cancel many", "fail"])
def test_of_an_ended_task_the_outcome_alone_is_kept(
    clock: VirtualClock, end: str, options: dict[str, Any], history: int
) -> None:
    class Owner(Thing):
        def work(self, *_: object, **__: object) -> None:
            if end == "fail":
                raise ValueError("no")

    owner, argument = Owner(), Thing()
    references: list[ref[Any]] = [ref(owner), ref(argument)]
    with Scheduler(clock=clock, history=history) as scheduler:
        task_id = scheduler.schedule("t", owner.work, args=(argument,), **options)
        if end == "cancel":
            assert scheduler.cancel_task(task_id)
        elif end == "cancel many":
            assert scheduler.cancel_many([task_id]) == 1
        clock.advance(5)
        del owner, argument
        gc.collect()
        assert [reference() for reference in references] == [None, None]


@pytest.mark.parametrize("many", [False, True])
def test_the_last_callback_and_the_last_result_are_not_kept(
    clock: VirtualClock, *, many: bool
) -> None:
    with Scheduler(clock=clock, history=0) as scheduler:
        made: list[ref[Thing]] = []

        class Owner(Thing):
            def make(self) -> Thing:
                thing = Thing()
                made.append(ref(thing))
                return thing

        owner = Owner()
        made.append(ref(owner))
        callback: Any = owner.make
        if many:
            scheduler.schedule_many("t", callback, delays=[1.0] * 3)
        else:
            for _ in range(3):
                scheduler.schedule("t", callback, delay=1)
        del owner, callback
        clock.advance(2)
        gc.collect()
        assert len(made) == 4
        assert [reference() for reference in made] == [None] * 4


def test_a_future_whose_making_was_interrupted_is_collected_in_silence(
    virtual_clock: VirtualClock,
) -> None:
    scheduler = Scheduler(clock=virtual_clock)
    kind = type(scheduler.future(scheduler.schedule("t", int, delay=1)))
    unmade = kind.__new__(kind)
    del unmade  # pytest fails a test whose finalizers fail
    gc.collect()

"""The life of a run: nothing foreign between taking and calling, and every run ends."""

from __future__ import annotations

import logging
import sys
import threading
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus import Event, EventBus
from num_agents.scheduler import Scheduler, Task, TaskSchedule, current_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.scheduler import Outcome
    from num_agents.scheduler.testing import VirtualClock

SECONDS = 10


class Tripwire:
    """Calls something when it is dropped."""

    def __init__(self, action: Callable[[], object]) -> None:
        self.action = action

    def __del__(self) -> None:
        self.action()


def behind_a_gate(scheduler: Scheduler) -> threading.Event:
    """Keeps the only worker busy until the event is set, so that what follows is due at once."""
    gate, began = threading.Event(), threading.Event()

    def wait() -> None:
        began.set()
        gate.wait(SECONDS)

    scheduler.schedule("gate", wait, priority=0)
    assert began.wait(SECONDS)
    return gate


def in_a_done_callback(scheduler: Scheduler, action: Callable[[], object]) -> str:
    task_id = scheduler.schedule("a", int)
    scheduler.future(task_id).add_done_callback(lambda future: action())
    return task_id


def in_the_end_of_an_argument(scheduler: Scheduler, action: Callable[[], object]) -> str:
    return scheduler.schedule("a", lambda wire: None, args=(Tripwire(action),))


def in_the_end_of_a_keyword(scheduler: Scheduler, action: Callable[[], object]) -> str:
    return scheduler.schedule("a", lambda wire: None, kwargs={"wire": Tripwire(action)})


def in_the_end_of_a_result(scheduler: Scheduler, action: Callable[[], object]) -> str:
    return scheduler.schedule("a", Tripwire, args=(action,))


def in_the_end_of_a_callback(scheduler: Scheduler, action: Callable[[], object]) -> str:
    wire = Tripwire(action)
    return scheduler.schedule("a", lambda wire=wire: None)


def in_the_end_of_an_error(scheduler: Scheduler, action: Callable[[], object]) -> str:
    def fail() -> None:
        raise ValueError(Tripwire(action))

    return scheduler.schedule("a", fail)


AFTER_A_RUN = [
    in_a_done_callback,
    in_the_end_of_an_argument,
    in_the_end_of_a_keyword,
    in_the_end_of_a_result,
    in_the_end_of_a_callback,
    in_the_end_of_an_error,
]


@pytest.fixture
def unlogged(caplog: pytest.LogCaptureFixture) -> None:
    """Keeps errors out of the log that pytest keeps, and with it the errors."""
    caplog.set_level(logging.CRITICAL, "num_agents.scheduler")


@pytest.mark.usefixtures("unlogged")
@pytest.mark.parametrize("make", AFTER_A_RUN)
class TestWhatFollowsARun:
    """What a run sets off when it ends comes before the next task is taken."""

    def test_a_cancellation_holds(
        self, threaded: Callable[..., Scheduler], make: Callable[..., str]
    ) -> None:
        scheduler = threaded(1, history=0)
        gate = behind_a_gate(scheduler)
        started: list[str] = []
        answers: list[bool] = []
        ended = threading.Event()
        ids: list[str] = []

        def cancel() -> None:
            answers.append(scheduler.cancel_task(ids[0]))
            ended.set()

        make(scheduler, cancel)
        ids.append(scheduler.schedule("b", started.append, args=("b",)))
        last = scheduler.schedule("last", int)
        future = scheduler.future(last)
        del last
        gate.set()
        future.result(SECONDS)
        assert ended.wait(SECONDS)
        assert (answers, started) == ([True], [])

    def test_nothing_starts_after_a_stop(
        self, threaded: Callable[..., Scheduler], make: Callable[..., str]
    ) -> None:
        scheduler = threaded(1, history=0)
        gate = behind_a_gate(scheduler)
        started: list[str] = []
        ended = threading.Event()

        def stop() -> None:
            scheduler.stop("wait", 1)
            ended.set()

        make(scheduler, stop)
        scheduler.schedule("b", started.append, args=("b",))
        gate.set()
        assert ended.wait(SECONDS)
        scheduler.stop("wait")
        assert started == []
        assert scheduler.statistics().pending == 1

    def test_a_wait_for_the_next_task_is_possible(
        self, threaded: Callable[..., Scheduler], make: Callable[..., str]
    ) -> None:
        scheduler = threaded(1, history=0)
        gate = behind_a_gate(scheduler)
        told: list[object] = []
        ended = threading.Event()
        futures: list[Any] = []

        def wait() -> None:
            try:
                told.append(futures[0].result(SECONDS / 2))
            except TimeoutError:
                told.append("timeout")
            ended.set()

        make(scheduler, wait)
        futures.append(scheduler.future(scheduler.schedule("b", lambda: 7)))
        gate.set()
        assert ended.wait(SECONDS)
        assert told == [7]

    def test_an_idle_worker_takes_the_next_task_meanwhile(
        self, threaded: Callable[..., Scheduler], make: Callable[..., str]
    ) -> None:
        scheduler = threaded(2, history=0)
        gates = [behind_a_gate(scheduler), behind_a_gate(scheduler)]
        let_go, ended = threading.Event(), threading.Event()
        told: list[bool] = []

        def hold_up() -> None:
            told.append(let_go.wait(SECONDS))
            ended.set()

        make(scheduler, hold_up)
        for _ in range(3):
            scheduler.schedule("b", int)
        future = scheduler.future(scheduler.schedule("last", let_go.set, priority=255))
        for gate in gates:
            gate.set()
        future.result(SECONDS)
        assert ended.wait(SECONDS)
        assert told == [True]

    def test_no_run_is_current(
        self, threaded: Callable[..., Scheduler], make: Callable[..., str]
    ) -> None:
        scheduler = threaded(1, history=0)
        gate = behind_a_gate(scheduler)
        seen: list[object] = []
        ended = threading.Event()

        def look() -> None:
            seen.append(current_run())
            ended.set()

        make(scheduler, look)
        scheduler.schedule("b", int)
        gate.set()
        assert ended.wait(SECONDS)
        assert seen == [None]

    def test_on_a_virtual_clock(self, clock: VirtualClock, make: Callable[..., str]) -> None:
        started: list[str] = []
        answers: list[bool] = []
        ids: list[str] = []
        with Scheduler(clock=clock, history=0) as scheduler:
            make(scheduler, lambda: answers.append(scheduler.cancel_task(ids[0])))
            ids.append(scheduler.schedule("b", started.append, args=("b",)))
            clock.advance(0)
        assert (answers, started) == ([True], [])


@pytest.mark.parametrize("event_type", ["task_completed", "task_failed", "task_missed"])
def test_a_handler_may_cancel_the_next_task(
    threaded: Callable[..., Scheduler], event_type: str
) -> None:
    bus = EventBus()
    scheduler = threaded(1, event_bus=bus)
    gate = behind_a_gate(scheduler)
    started: list[str] = []
    answers: list[object] = []
    if event_type == "task_missed":
        scheduler.schedule("a", int, run_at="2020-01-01T00:00:00Z", grace=1, priority=1)
    else:
        scheduler.schedule("a", int if event_type == "task_completed" else fail)
    victim = scheduler.schedule("b", started.append, args=("b",))

    def cancel(event: Event) -> None:
        if event.payload["task_name"] == "a":
            answers.extend([scheduler.cancel_task(victim), current_run()])

    bus.subscribe(f"scheduler.{event_type}", cancel)
    last = scheduler.schedule("last", int)
    gate.set()
    scheduler.wait_for_task(last, SECONDS)
    assert (answers, started) == ([True, None], [])


def fail() -> None:
    raise ValueError("no")


# ---- whatever was taken is completed -------------------------------------------------------------


class Zone(tzinfo):
    """A table that ends: it raises when it is told to."""

    is_broken = False

    def utcoffset(self, moment: datetime | None) -> timedelta:
        if self.is_broken:
            raise LookupError("the table ends")
        return timedelta(0)

    def dst(self, moment: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, moment: datetime | None) -> str:
        return "Z"


class Bus:
    """A bus that raises whatever it is given."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.raises = False

    def publish(self, event: Event) -> None:
        if self.raises:
            raise self.error

    def has_subscribers(self, event_type: str) -> bool:
        if self.raises:
            raise self.error
        return True


class LazyBus(Bus):
    def has_subscribers(self, event_type: str) -> bool:
        return True


def assert_all_ended(scheduler: Scheduler, *task_ids: str) -> list[Outcome]:
    outcomes = [scheduler.wait_for_task(task_id, SECONDS) for task_id in task_ids]
    assert scheduler.result(scheduler.schedule("after", lambda: 7), SECONDS) == 7
    assert scheduler.statistics().running == 0
    return outcomes


class TestATakenRunEnds:
    @pytest.mark.parametrize("with_bus", [False, True])
    @pytest.mark.parametrize("workers", [1, 3])
    def test_when_the_zone_raises(
        self, threaded: Callable[..., Scheduler], workers: int, *, with_bus: bool
    ) -> None:
        zone = Zone()
        bus = EventBus()
        bus.subscribe("scheduler.task_started", lambda event: None)
        scheduler = threaded(workers, timezone=zone, event_bus=bus if with_bus else None)
        ids = [scheduler.schedule("t", int, delay=0.05) for _ in range(5)]
        ids += [scheduler.schedule("t", fail, delay=0.05) for _ in range(5)]
        ids += [scheduler.schedule("t", dict, kwargs={"a": 1}, delay=0.05) for _ in range(5)]
        futures = [scheduler.future(task_id) for task_id in ids]
        zone.is_broken = True
        for future in futures:
            future.exception(SECONDS)
        zone.is_broken = False
        outcomes = assert_all_ended(scheduler, *ids)
        assert [outcome.status for outcome in outcomes] == (
            ["completed"] * 5 + ["failed"] * 5 + ["completed"] * 5
        )

    def test_when_the_zone_raises_on_a_virtual_clock(self, clock: VirtualClock) -> None:
        zone = Zone()
        bus = EventBus()
        bus.subscribe(r".*", lambda event: None, is_pattern=True)
        with Scheduler(clock=clock, timezone=zone, event_bus=bus) as scheduler:
            ids = [
                scheduler.schedule("t", callback, delay=1, **options)
                for callback in (int, fail)
                for options in ({}, {"tags": ["a"]}, {"jitter": 0.5})
            ]
            zone.is_broken = True
            clock.advance(2)
            zone.is_broken = False
            assert_all_ended(scheduler, *ids)

    @pytest.mark.parametrize("kind", [Bus, LazyBus])
    @pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), GeneratorExit()], ids=repr)
    def test_when_the_bus_raises(
        self, threaded: Callable[..., Scheduler], error: BaseException, kind: type[Bus]
    ) -> None:
        bus = kind(error)
        scheduler = threaded(1, event_bus=bus)
        bus.raises = True
        ids = [scheduler.schedule("t", callback) for callback in (int, fail, dict)]
        outcomes = assert_all_ended(scheduler, *ids)
        assert [one.status for one in outcomes] == ["completed", "failed", "completed"]
        bus.raises = False

    def test_when_the_next_piece_of_a_recurrence_cannot_be_computed(
        self, clock: VirtualClock
    ) -> None:
        zone = Zone()
        with Scheduler(clock=clock, timezone=zone) as scheduler:
            rule = "FREQ=SECONDLY;INTERVAL=1"
            task_id = scheduler.schedule("t", int, rrule=rule)
            clock.advance(10)
            zone.is_broken = True
            clock.advance(3000)
            zone.is_broken = False
            assert scheduler.statistics().running == 0
            task = scheduler.get_task(task_id)
            assert task is not None
            assert task.status in ("paused", "failed", "pending")
            assert scheduler.result(scheduler.schedule("after", lambda: 7)) == 7

    def test_when_the_value_defends_itself(self, threaded: Callable[..., Scheduler]) -> None:
        class Meta(type):
            def __getattr__(cls, name: str) -> Any:
                raise RuntimeError(name)

        class Value(metaclass=Meta):
            def __getattribute__(self, name: str) -> Any:
                raise RuntimeError(name)

            def __repr__(self) -> str:
                raise RuntimeError("repr")

            def __eq__(self, other: object) -> bool:
                raise RuntimeError("eq")

            __hash__ = None  # type: ignore[assignment]

        def make(**options: object) -> object:
            return Value()

        scheduler = threaded(1)
        ids = [
            scheduler.schedule("t", make),
            scheduler.schedule("t", make, kwargs={"a": 1}),
            scheduler.schedule("t", make, tags=["a"]),
            scheduler.schedule("t", make, interval=0.001, max_runs=3),
        ]
        outcomes = assert_all_ended(scheduler, *ids)
        assert [outcome.status for outcome in outcomes] == ["completed"] * 4

    def test_when_what_is_returned_refuses_to_be_closed(
        self, threaded: Callable[..., Scheduler]
    ) -> None:
        class Awaitable:
            def __await__(self) -> Any:
                yield

            def close(self) -> None:
                raise SystemExit("close")

        scheduler = threaded(1)
        ids = [
            scheduler.schedule("t", Awaitable),
            scheduler.schedule("t", Awaitable, tags=["a"]),
            scheduler.schedule("t", lambda **_: Awaitable(), kwargs={"a": 1}),
        ]
        assert [one.status for one in assert_all_ended(scheduler, *ids)] == ["failed"] * 3


def _raises(*_: object) -> Any:
    raise RuntimeError("not to be had")


class CauseRaisesError(Exception):
    __cause__ = property(_raises)


class ContextRaisesError(Exception):
    __context__ = property(_raises)


class CauseIsTextError(Exception):
    __cause__ = "disk full"  # type: ignore[assignment]


class TracebackRaisesError(Exception):
    __traceback__ = property(_raises)
    with_traceback = _raises


class MembersRaiseError(ExceptionGroup[Exception]):
    exceptions = property(_raises)


class MembersAreNoneError(ExceptionGroup[Exception]):
    exceptions = None  # type: ignore[assignment]


class NothingIsToBeHadError(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class ClassRaisesError(Exception):
    __class__ = property(_raises)


class NoTextError(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt

    __repr__ = __str__


class FrozenError(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("frozen")


def cycle() -> Exception:
    one, other = ValueError("a"), KeyError("b")
    one.__cause__, other.__cause__ = other, one
    return one


def deep_chain() -> Exception:
    error = ValueError(0)
    for number in range(5_000):
        next_error = ValueError(number)
        next_error.__context__ = error
        error = next_error
    return error


def deep_group() -> Exception:
    error: Exception = ValueError(1)
    for _ in range(300):
        error = ExceptionGroup("g", [error])
    return error


EVIL: list[Callable[[], BaseException]] = [
    lambda: CauseRaisesError("x"),
    lambda: ContextRaisesError("x"),
    lambda: CauseIsTextError("x"),
    lambda: TracebackRaisesError("x"),
    lambda: MembersRaiseError("g", [ValueError(1)]),
    lambda: MembersAreNoneError("g", [ValueError(1)]),
    lambda: NothingIsToBeHadError("x"),
    lambda: ClassRaisesError("x"),
    lambda: NoTextError("x"),
    lambda: FrozenError("x"),
    cycle,
    deep_chain,
    deep_group,
]


# It has no effect on a one-shot, but it is asked about.
@pytest.mark.filterwarnings("ignore:pause_after_failures has no effect")
@pytest.mark.parametrize("place", ["alone", "cause", "context", "group"])
@pytest.mark.parametrize("number", range(len(EVIL)))
@pytest.mark.parametrize("options", [{}, {"tags": ["a"]}, {"pause_after_failures": 2}])
def test_an_exception_that_defends_itself_fails_its_run(
    scheduler: Scheduler, number: int, place: str, options: dict[str, Any]
) -> None:
    error = EVIL[number]()

    def evil() -> None:
        if place == "cause":
            raise ValueError("outer") from error
        if place == "context":
            try:
                raise error
            except BaseException:
                raise ValueError("outer")  # noqa: B904 - the context is the point
        if place == "group":
            raise BaseExceptionGroup("outer", [error])
        raise error

    task_id = scheduler.schedule("t", evil, **options)
    future = scheduler.future(task_id)
    outcome = scheduler.wait_for_task(task_id, 1)
    assert outcome.status == "failed"
    assert future.done()
    assert scheduler.statistics().running == 0
    assert scheduler.result(scheduler.schedule("after", lambda: 7)) == 7


def test_an_interrupt_of_the_moving_thread_ends_the_run(
    scheduler: Scheduler, clock: VirtualClock
) -> None:
    """Ctrl-C in a callback on a virtual clock: the run has failed, and the next goes on."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    ids = [
        scheduler.schedule("t", interrupt, interval=1),
        scheduler.schedule("t", interrupt),
        scheduler.schedule("t", lambda **_: interrupt(), kwargs={"a": 1}),
    ]
    futures = [scheduler.future(task_id) for task_id in ids]
    for _ in ids:
        with pytest.raises(KeyboardInterrupt):
            clock.advance(0)
    clock.advance(0)
    assert all(future.done() for future in futures)
    assert scheduler.statistics().running == 0
    assert scheduler.get_task(ids[0]).status == "pending"  # type: ignore[union-attr]


# ---- current_run, tasks, and the order of events -------------------------------------------------


def test_the_run_that_is_current_is_the_one_of_the_event(
    threaded: Callable[..., Scheduler],
) -> None:
    bus = EventBus()
    seen: dict[str, list[object]] = {}

    def look(event: Event) -> None:
        run = current_run()
        said = None if run is None else run.task_id == event.payload["task_id"]
        seen.setdefault(event.event_type.removeprefix("scheduler."), []).append(said)

    for event_type in ("task_started", "task_completed", "task_failed"):
        bus.subscribe(f"scheduler.{event_type}", look)
    scheduler = threaded(1, event_bus=bus)
    gate = behind_a_gate(scheduler)
    seen.clear()
    ids = [scheduler.schedule("t", callback) for callback in (int, fail, int, fail, int)]
    gate.set()
    for task_id in ids:
        scheduler.wait_for_task(task_id, SECONDS)
    assert scheduler.stop("wait").ended
    assert seen == {
        "task_started": [True] * 5,
        # The gate's own end is the first.
        "task_completed": [None] * 4,
        "task_failed": [None] * 2,
    }


def test_a_run_on_a_virtual_clock_is_current_again_after_those_inside_it(
    scheduler: Scheduler, clock: VirtualClock
) -> None:
    names: list[str | None] = []

    def name() -> None:
        run = current_run()
        names.append(None if run is None else run.task_name)

    def outer() -> None:
        name()
        clock.advance(2)
        name()

    scheduler.schedule("inner", name, delay=1)
    scheduler.schedule("outer", outer)
    clock.advance(0)
    name()
    assert names == ["outer", "inner", "outer", None]


def test_a_run_inside_another_of_a_second_scheduler(clock: VirtualClock) -> None:
    with Scheduler(clock=clock) as one, Scheduler(clock=clock) as other:
        inner = other.schedule("inner", lambda: current_run().task_name, delay=1)  # type: ignore[union-attr]

        def outer() -> tuple[object, str]:
            return other.result(inner), current_run().task_name  # type: ignore[union-attr]

        assert one.result(one.schedule("outer", outer)) == ("inner", "outer")


def test_a_task_is_scheduled_once_however_many_try(threaded: Callable[..., Scheduler]) -> None:
    schedulers = [threaded(1), threaded(1)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(200):
            task = Task("t", print, TaskSchedule(delay=1000))
            scheduled: list[str] = []
            refused: list[str] = []
            barrier = threading.Barrier(4)

            def attempt(
                number: int,
                task: Task = task,
                barrier: threading.Barrier = barrier,
                scheduled: list[str] = scheduled,
                refused: list[str] = refused,
            ) -> None:
                barrier.wait()
                try:
                    scheduled.append(schedulers[number % 2].schedule_task(task))
                except ValueError as error:
                    refused.append(str(error))

            threads = [threading.Thread(target=attempt, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert (len(scheduled), len(refused)) == (1, 3)
            assert task.task_id == scheduled[0]
    finally:
        sys.setswitchinterval(interval)
    assert sum(one.statistics().pending for one in schedulers) == 200


@pytest.mark.parametrize("history", [0, 3, 10_000])
@pytest.mark.parametrize("many", [False, True])
def test_each_task_is_told_of_first_when_it_is_scheduled(
    threaded: Callable[..., Scheduler], history: int, *, many: bool
) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    bus = EventBus()
    told: list[tuple[str, str]] = []
    bus.subscribe(
        r"scheduler\.task_.*",
        lambda event: told.append((event.payload["task_id"], event.event_type[15:])),
        is_pattern=True,
    )
    scheduler = threaded(2, event_bus=bus, history=history)
    try:
        count = 600
        if many:
            for _ in range(count // 20):
                scheduler.schedule_many("t", int, delays=[0.0] * 20)
        else:
            for _ in range(count // 3):
                scheduler.schedule("t", int)
                scheduler.schedule("t", dict, kwargs={"a": 1})
                scheduler.schedule_task(Task("t", fail))
    finally:
        sys.setswitchinterval(interval)
    assert scheduler.stop("drain", 30).ended
    of_task: dict[str, list[str]] = {}
    for task_id, what in told:
        of_task.setdefault(task_id, []).append(what)
    lives = {tuple(events) for events in of_task.values()}
    assert lives <= {("scheduled", "started", "completed"), ("scheduled", "started", "failed")}
    assert len(of_task) == count

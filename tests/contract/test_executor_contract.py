"""What every executor keeps to: one suite, and a class for each executor.

A new executor is done when a class of a few lines here says how it is made, and passes.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

import pytest

from num_agents.scheduler import RunPolicy, Task, TaskSchedule
from num_agents.scheduler._engine.clock import Clock
from num_agents.scheduler._engine.current import current
from num_agents.scheduler._engine.engine import Engine
from num_agents.scheduler.executors.inline import InlineExecutor
from num_agents.scheduler.executors.loop import LoopExecutor
from num_agents.scheduler.executors.threads import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from num_agents.scheduler.executors.base import Executor

HOUR = 3600.0


class ExecutorContract:
    """The suite. Subclasses say how an executor is made, and how what is due comes to run."""

    #: Whether a callback that blocks leaves the test's thread to carry on.
    is_concurrent: bool
    #: Whether a callback that waits lets others run meanwhile.
    makes_room: bool
    #: Says where tasks run.
    policy = RunPolicy()

    engine: Engine
    executor: Executor

    def make_engine(self) -> Engine:
        raise NotImplementedError

    def make_executor(self, engine: Engine) -> Executor:
        raise NotImplementedError

    def let_run(self, done: Callable[[], bool]) -> None:
        """Lets what is due run until a condition holds, for 10 s at the most."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def made(self) -> Iterator[None]:
        self.engine = self.make_engine()
        self.executor = self.make_executor(self.engine)
        yield
        self.stop(drain=False, timeout=5)

    def schedule(
        self, callback: Callable[..., Any], *args: Any, delay: float = 0, priority: int = 128
    ) -> str:
        policy = RunPolicy(priority=priority, executor=self.policy.executor)
        return self.engine.schedule(
            Task("t", callback, TaskSchedule(delay=delay), args, policy=policy)
        )

    def stop(self, *, drain: bool, timeout: float) -> bool:
        """Stops as a scheduler does; whether all runs ended in time."""
        drained = not drain or self.executor.drain(timeout)
        self.executor.dismiss(cancel=False)
        return self.executor.join(timeout) and drained

    def status(self, task_id: str) -> str:
        info = self.engine.view.info(task_id)
        assert info is not None
        return info.status

    def let_end(self, *task_ids: str) -> None:
        self.let_run(lambda: all(self.status(one) in ("completed", "failed") for one in task_ids))
        assert {self.status(one) for one in task_ids} <= {"completed", "failed"}

    def test_nothing_runs_before_the_start(self) -> None:
        task_id = self.schedule(int)
        self.let_run(lambda: True)
        assert self.status(task_id) == "pending"
        self.executor.start()
        self.let_end(task_id)

    def test_nothing_runs_after_the_stop(self) -> None:
        self.executor.start()
        self.let_end(self.schedule(int))
        assert self.stop(drain=False, timeout=5)
        task_id = self.schedule(int)
        self.let_run(lambda: True)
        assert self.status(task_id) == "pending"

    def test_goes_on_after_another_start(self) -> None:
        for _ in range(3):
            task_id = self.schedule(int)
            self.executor.start()
            self.let_end(task_id)
            assert self.stop(drain=False, timeout=5)

    def test_a_drain_runs_what_is_due_and_no_more(self) -> None:
        self.executor.start()
        due = [self.schedule(int) for _ in range(200)]
        later = self.schedule(int, delay=HOUR)
        assert self.stop(drain=True, timeout=10)
        assert {self.status(one) for one in due} == {"completed"}
        assert self.status(later) == "pending"

    def test_a_stop_before_any_start_is_nothing(self) -> None:
        assert self.stop(drain=False, timeout=5)
        assert self.stop(drain=False, timeout=0)

    def test_each_runs_once(self) -> None:
        ran: list[int] = []
        ids = [self.schedule(ran.append, number) for number in range(2000)]
        self.executor.start()
        self.let_end(*ids)
        assert sorted(ran) == list(range(2000))

    def test_what_fails_harms_nobody(self) -> None:
        def fail() -> None:
            raise SystemExit(1)

        self.executor.start()
        failing = [self.schedule(fail) for _ in range(50)]
        well = self.schedule(int)
        self.let_end(*failing, well)
        assert {self.status(one) for one in failing} == {"failed"}
        assert self.status(well) == "completed"

    def test_a_callback_may_stop_it(self) -> None:
        answers: list[bool] = []
        self.executor.start()
        start = monotonic()
        self.schedule(lambda: answers.append(self.stop(drain=False, timeout=5)))
        self.let_run(lambda: bool(answers))
        assert answers == [True]
        assert monotonic() - start < 5
        task_id = self.schedule(int)
        self.let_run(lambda: True)
        assert self.status(task_id) == "pending"

    def test_room_made_for_a_wait_is_taken_back(self) -> None:
        def callback() -> None:
            for _ in range(3):
                self.executor.shrink(self.executor.grow())

        self.executor.start()
        self.let_end(*[self.schedule(callback) for _ in range(20)])
        self.let_end(self.schedule(int))
        assert self.stop(drain=False, timeout=5)

    def test_a_drain_from_a_callback_runs_the_others(self) -> None:
        self.executor.start()
        ran: list[int] = []
        drained: list[bool] = []

        def callback() -> None:
            for number in range(20):
                self.schedule(ran.append, number)
            drained.append(self.executor.drain(5))

        self.schedule(callback)
        self.let_run(lambda: bool(drained))
        assert drained == [True]
        assert ran == list(range(20))

    def test_a_cancelled_group_stays_cancelled_after_another_start(self) -> None:
        groups: list[Any] = []
        for cancel in (True, False):
            self.executor.start()
            self.let_end(self.schedule(lambda: groups.append(current.group)))
            self.executor.dismiss(cancel=cancel)
        assert [group.is_cancelled for group in groups] == [True, False]

    def test_a_stop_gives_up_in_time(self) -> None:
        if not self.is_concurrent:
            pytest.skip("runs in the calling thread: there is nothing to wait for")
        began, release = threading.Event(), threading.Event()

        def callback() -> None:
            began.set()
            release.wait(10)

        self.executor.start()
        task_id = self.schedule(callback)
        assert began.wait(5)
        start = monotonic()
        assert not self.stop(drain=False, timeout=0.01)
        assert monotonic() - start < 2
        release.set()
        self.let_end(task_id)

    def test_a_wait_in_a_callback_lets_the_others_run(self) -> None:
        if not self.makes_room:
            pytest.skip("runs all in one thread: who waits there has to run the others itself")
        done = threading.Event()

        def outer() -> bool:
            room = self.executor.grow()
            try:
                return done.wait(5)
            finally:
                self.executor.shrink(room)

        waiting = [self.schedule(outer) for _ in range(5)]
        setting = self.schedule(done.set, priority=255)
        self.executor.start()
        self.let_end(*waiting, setting)
        results = [self.engine.view.info(one) for one in waiting]
        assert [info.result for info in results if info is not None] == [True] * 5


class TestThreadPool(ExecutorContract):
    is_concurrent = makes_room = True
    workers = 4

    def make_engine(self) -> Engine:
        return Engine(Clock(), history=10_000)

    def make_executor(self, engine: Engine) -> Executor:
        return ThreadPool(engine, self.workers)

    def let_run(self, done: Callable[[], bool]) -> None:
        deadline = monotonic() + 10
        while not done() and monotonic() < deadline:
            threading.Event().wait(0.001)


class TestThreadPoolOfOne(TestThreadPool):
    workers = 1


class TestLoop(TestThreadPool):
    """Callables on an event loop in a thread of its own."""

    makes_room = False
    policy = RunPolicy(executor="asyncio")

    def make_executor(self, engine: Engine) -> Executor:
        engine.call_check.prepare_loop = WeakMethod(self.is_prepared)
        return LoopExecutor(engine, None, None)

    def is_prepared(self) -> None:
        """There is a loop from the beginning."""


class TestInline(ExecutorContract):
    is_concurrent = makes_room = False

    def make_engine(self) -> Engine:
        return Engine(Clock(1_000_000_000), history=10_000)

    def make_executor(self, engine: Engine) -> Executor:
        return InlineExecutor(engine)

    def let_run(self, done: Callable[[], bool]) -> None:
        assert isinstance(self.executor, InlineExecutor)
        self.executor.run_due()

"""Waits for outcomes.

A future is made on the first wait, and entered behind the engine's lock. So a future that was
entered before a run ended gets the outcome of that run, and one that is cancelled or dropped is
taken out at once.
"""

from __future__ import annotations

from contextlib import suppress

from num_agents.scheduler._engine.current import coroutine_waits
from num_agents.scheduler._log import contain
from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.spans import wait_s
from num_agents.scheduler.errors import SchedulerStoppedError, UnknownTaskError
from num_agents.scheduler.outcomes import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from num_agents.scheduler import _native
    from num_agents.scheduler._engine.futures import TaskFuture
    from num_agents.scheduler._engine.view import View
    from num_agents.scheduler.testing import VirtualClock

    #: Moves a virtual clock until a condition holds, at most this many nanoseconds.
    RunUntil = Callable[[Callable[[], bool], int | None], None]


class Waiting:
    """Makes futures of outcomes, and waits for them.

    Args:
        native: The engine.
        view: What makes outcomes of its records.
        virtual: The virtual clock, if the scheduler runs on one.
    """

    def __init__(self, native: _native.Engine, view: View, virtual: VirtualClock | None) -> None:
        self._native = native
        self._view = view
        self._virtual = virtual
        #: Whether due tasks are run; set by the scheduler.
        self.is_running = False

    def future(
        self, task_id: str, *, until_end: bool = False, of_value: bool = False
    ) -> TaskFuture:
        """A future for a task's next outcome, or its last; done already if the task has ended.

        Args:
            task_id: The task.
            until_end: Whether only the last outcome is meant.
            of_value: Whether the future is for what the callback returns, and not for the outcome.

        Raises:
            TypeError: The id is no string.
            UnknownTaskError: There is no such task, or it is forgotten.
        """
        from num_agents.scheduler._engine.futures import TaskFuture  # noqa: PLC0415 - 8 ms

        if not isinstance(task_id, str):
            raise TypeError(f"task_id must be a task id (str), got {show(task_id)}")
        future = TaskFuture(self, task_id, of_value=of_value)
        future.watch = self._native.watch(task_id, until_end, future.waiter)
        if future.watch is None:
            record = self._native.record(task_id)
            if record is None or record.is_live:
                raise UnknownTaskError(task_id)
            settle_future(future, self._view.outcome(record))
        return future

    def wait(self, future: TaskFuture, limit_ns: int | None) -> None:
        """Waits until a future is done, on the scheduler's clock.

        Args:
            future: One of `future`.
            limit_ns: How long; None for as long as it takes.

        Raises:
            TimeoutError: Time ran out.
            SchedulerStoppedError: The scheduler does not run, so that the wait could not end.
            SchedulerForkedError: This is a child process, where nothing would end the wait.
        """
        # First: another thread may have held the future's lock at the moment of the fork.
        self._native.check_process()
        if not future.done() and limit_ns != 0:
            self.check_running(future)
            if self._virtual is not None:
                self._virtual.run_until(future.done, limit_ns)
            else:
                future.block(None if limit_ns is None else wait_s(limit_ns))
        if not future.done():
            span = wait_s(limit_ns or 0)
            raise TimeoutError(f"task {future.task_id} did not end within {span:g} s")

    async def wait_async(self, future: TaskFuture, limit_ns: int | None) -> None:
        """As `wait`, without blocking the event loop of the caller."""
        self._native.check_process()
        if future.done():
            # Wrapped, it would be done a turn of the loop later, too late for a limit of 0.
            return
        if limit_ns == 0 or (self._virtual is not None and not self._virtual.runs_caller()):
            self.wait(future, limit_ns)
            return
        from asyncio import wait_for, wrap_future  # noqa: PLC0415 - 40 ms, and asyncio users have it

        self.check_running(future)
        # The loop may be one of a worker's own, which then is busy with it.
        future.make_room()
        try:
            with coroutine_waits():
                await wait_for(wrap_future(future), None if limit_ns is None else wait_s(limit_ns))
        finally:
            future.give_back_room()

    async def result_async(self, future: TaskFuture) -> Any:
        """What a future has when it is done."""
        await self.wait_async(future, None)
        return future.result(0)

    def check_running(self, future: TaskFuture) -> None:
        """Raises an error if a wait cannot end.

        Raises:
            SchedulerStoppedError: The scheduler is not running, and nor is the task.
        """
        if self.is_running or future.done():
            return
        record = self._native.record(future.task_id)
        if record is None or record.status != "running":
            raise SchedulerStoppedError(
                f"task {future.task_id} cannot end: the scheduler is not running"
            )

    def tell_stopped(self) -> None:
        """Ends the waits for tasks that no worker runs: the scheduler has been stopped.

        Raises:
            KeyboardInterrupt: In the main thread, when all have been told.
        """
        interrupt: BaseException | None = None
        for task_id, waiter in self._native.unwatch_idle():
            future = waiter.future
            if future is None:
                continue
            future.watch = None
            error = SchedulerStoppedError(f"the scheduler was stopped before task {task_id} ran")
            try:
                settle_future(future, error)
            except KeyboardInterrupt as raised:
                interrupt = raised
        if interrupt is not None:
            raise interrupt

    def settle(self, future: TaskFuture, record: _native.TaskRecord) -> None:
        """Gives a future an outcome; does nothing the second time."""
        if future.done():
            return
        future.watch = None
        settle_future(future, self._view.outcome(record))


#: How often a future is told again if exceptions come in between.
_TRIES = 3


def settle_future(future: TaskFuture, outcome: Outcome | SchedulerStoppedError) -> None:
    """Gives a future the outcome of its task. Done-callbacks must not harm the thread.

    Raises:
        KeyboardInterrupt: In the main thread, when all callbacks of the future have been called.
    """
    try:
        _settle(future, outcome)
    except BaseException:
        # The exception may have come before anything was done, or half-way.
        for _ in range(_TRIES):
            with suppress(BaseException):
                _settle(future, outcome)
                break
        contain("A future of task %s could not be settled at once", future.task_id)


def _settle(future: TaskFuture, outcome: Outcome | SchedulerStoppedError) -> None:
    # First: a worker that waits for it goes on, and its replacement must leave.
    future.give_back_room()
    future.waiter.let_go()
    if future.done():
        future.tell_again()
        return
    if future.of_value and isinstance(outcome, Outcome) and outcome.status == "cancelled":
        future.cancel()
    # It may have been cancelled: then its owner has stopped waiting.
    if not future.running() and not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, SchedulerStoppedError):
        future.set_exception(outcome)
    elif not future.of_value:
        future.set_result(outcome)
    else:
        _settle_with_value(future, outcome)


def _settle_with_value(future: TaskFuture, outcome: Outcome) -> None:
    try:
        value = outcome.unwrap()
    except BaseException as error:
        future.set_exception(BaseException.with_traceback(error, None))
    else:
        future.set_result(value)

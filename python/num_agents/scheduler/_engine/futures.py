"""Futures of outcomes. Loaded with the first wait, or before there are worker threads: 8 ms."""

from __future__ import annotations

import sys
from concurrent.futures import CancelledError, Future
from weakref import ref

from num_agents.scheduler._engine.current import current
from num_agents.scheduler._log import contain
from num_agents.scheduler._timing.spans import span_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from num_agents.scheduler._engine.current import Room
    from num_agents.scheduler._engine.waiting import Waiting
    from num_agents.scheduler._native import TaskRecord, Watch


class Waiter:
    """Stands for a future in the engine.

    It does not keep the future alive, unless the future has done-callbacks: otherwise a future that
    the program has dropped would stay.
    """

    __slots__ = ("_future", "_kept")

    def __init__(self, future: TaskFuture) -> None:
        self._future = ref(future)
        self._kept: TaskFuture | None = None

    def settle(self, record: TaskRecord) -> None:
        """Tells the future of an outcome: called by the extension module."""
        future = self._future()
        if future is not None:
            future.waiting.settle(future, record)

    @property
    def future(self) -> TaskFuture | None:
        """The future; None if it has been dropped."""
        return self._future()

    def keep(self) -> None:
        """Keeps the future alive."""
        self._kept = self._future()

    def let_go(self) -> None:
        """Keeps the future alive no longer."""
        self._kept = None


class Watchers(list["Any"]):
    """Those who wait by `concurrent.futures.wait` and `as_completed`, which ask for no result.

    They enter here before they block, and leave here afterwards.
    """

    def __init__(self, future: TaskFuture) -> None:
        super().__init__()
        self._future = ref(future)

    def append(self, watcher: Any) -> None:
        """Enters one, and makes room for another worker if the calling thread is one."""
        future = self._future()
        if future is not None:
            future.make_room()
        super().append(watcher)

    def remove(self, watcher: Any) -> None:
        """Lets one leave, and takes the room back."""
        super().remove(watcher)
        future = self._future()
        if future is not None:
            future.give_back_room()


class TaskFuture(Future["Any"]):
    """What will become of a task.

    A wait for it in a callback makes room for another worker meanwhile, and on a virtual clock it
    moves the time. Cancelling it, or dropping it, leaves the task alone.

    Args:
        waiting: What settles it.
        task_id: The task.
        of_value: Whether it is for what the callback returns, and not for the outcome.
    """

    def __init__(self, waiting: Waiting, task_id: str, *, of_value: bool) -> None:
        super().__init__()
        self.task_id = task_id
        self.of_value = of_value
        self.waiter = Waiter(self)
        #: Has the waiter taken out of the engine when the future is dropped; None if it is out.
        self.watch: Watch | None = None
        self.waiting = waiting
        #: Rooms that workers have made while they wait for it.
        self._rooms: list[Room] = []
        self._waiters = Watchers(self)

    def result(self, timeout: float | None = None) -> Any:
        """What the callback returned; see `concurrent.futures.Future.result`."""
        self._wait(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the callback raised; see `concurrent.futures.Future.exception`."""
        self._wait(timeout)
        return super().exception(0)

    def cancel(self) -> bool:
        """Stops waiting. Returns whether it was in time. The task is not cancelled."""
        done = super().cancel()
        if done:
            self.give_back_room()
            self.waiter.let_go()
            self.watch = None
        return done

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """Calls something when it is done, even if nothing else refers to it."""
        self.waiter.keep()
        if current.room is not None and _runs_event_loop():
            # It is awaited in a callback, on an event loop of the callback's own.
            self.make_room()
        super().add_done_callback(fn)

    def __await__(self) -> Generator[Any, None, Any]:
        """Waits without blocking the event loop: `await scheduler.future(task_id)`."""
        return self.waiting.result_async(self).__await__()

    def make_room(self) -> None:
        """Makes room for another worker, if the calling thread is one, until it is done."""
        room = current.room
        if room is None or self.done():
            return
        # Before it is entered: the replacement may settle the future at once.
        self._rooms.append(room)
        room.enter()
        if self.done():
            self.give_back_room()

    def give_back_room(self) -> None:
        """Takes back the room that was made; does nothing the second time."""
        while self._rooms:
            try:
                room = self._rooms.pop()
            except IndexError:
                return
            room.leave()

    def block(self, timeout: float | None) -> None:
        """Waits in the calling thread, until it is done or time runs out."""
        self.make_room()
        try:
            super().exception(timeout)
        except (CancelledError, TimeoutError):
            # Which of the two is seen afterwards.
            pass
        finally:
            self.give_back_room()

    def _wait(self, timeout: float | None) -> None:
        if not self.done():
            limit_ns = None if timeout is None else span_ns(max(timeout, 0), "timeout")
            self.waiting.wait(self, limit_ns)

    def tell_again(self) -> None:
        """Wakes all who wait, and calls what has not been called: after an interrupt of that."""
        if self._state == "CANCELLED":
            self.set_running_or_notify_cancel()
        with self._condition:
            self._condition.notify_all()
        self._invoke_callbacks()

    def _invoke_callbacks(self) -> None:
        """As inherited, but an interrupt in one callback does not take the others their call."""
        interrupt: BaseException | None = None
        callbacks: list[Callable[[Future[Any]], object]]
        callbacks = self._done_callbacks  # type: ignore[attr-defined]  # of the base class
        while callbacks:
            # Taken out, so that none is called twice.
            callback = callbacks.pop(0)
            try:
                callback(self)
            except BaseException as error:
                try:
                    contain("A done-callback of a future of task %s failed", self.task_id)
                except KeyboardInterrupt:
                    interrupt = error
        if interrupt is not None:
            raise interrupt


def _runs_event_loop() -> bool:
    """Whether an event loop runs in the calling thread."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001 - no error

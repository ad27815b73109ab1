"""The executors of a scheduler, as one."""

from __future__ import annotations

import sys
from threading import RLock
from time import monotonic

from num_agents.scheduler.executors.threads import ThreadPool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from num_agents.scheduler._engine.engine import Engine
    from num_agents.scheduler.executors.base import Executor
    from num_agents.scheduler.executors.loop import LoopExecutor
    from num_agents.scheduler.testing import VirtualClock


class ExecutorGroup:
    """Starts and stops the executors of a scheduler together.

    The one for coroutines is made when the first coroutine function is scheduled: a program without
    any does not load asyncio.

    Args:
        first: The one for plain callables.
        make_loop: Makes the one for coroutines.
    """

    def __init__(self, first: Executor, make_loop: Callable[[], LoopExecutor]) -> None:
        self._first = first
        self._make_loop = make_loop
        # Reentrant: a signal handler may schedule, or stop the scheduler while it is being started.
        self._lock = RLock()
        self._loop: LoopExecutor | None = None
        self._is_started = False
        #: The event loop that ran in the thread that has started them.
        self._loop_of_start: AbstractEventLoop | None = None

    def prepare_loop(self) -> None:
        """Makes sure that coroutines can be scheduled, and are run if the executors are started."""
        with self._lock:
            if self._loop is None:
                self._loop = self._make_loop()
            if self._is_started:
                self._loop.start_on(self._loop_of_start)

    def start(self) -> None:
        """Starts running what is due."""
        asyncio = sys.modules.get("asyncio")
        with self._lock:
            self._is_started = True
            self._loop_of_start = None if asyncio is None else asyncio._get_running_loop()  # noqa: SLF001 - no error
            self._first.start()
            if self._loop is not None:
                self._loop.start_on(self._loop_of_start)

    def drain(self, timeout: float) -> bool:
        """Runs what is due now; whether all of it was run within so many seconds."""
        deadline = monotonic() + timeout
        done = self._first.drain(timeout)
        if self._loop is not None:
            done &= self._loop.drain(max(deadline - monotonic(), 0.0))
        return done

    def dismiss(self, *, cancel: bool) -> None:
        """Starts no more runs."""
        with self._lock:
            self._is_started = False
            self._first.dismiss(cancel=cancel)
            if self._loop is not None:
                self._loop.dismiss(cancel=cancel)

    def join(self, timeout: float) -> bool:
        """Waits for the runs under way; whether all ended within so many seconds."""
        deadline = monotonic() + timeout
        done = self._first.join(timeout)
        if self._loop is not None:
            done &= self._loop.join(max(deadline - monotonic(), 0.0))
        return done

    async def end_async(self, timeout: float) -> None:
        """Runs what is due on the loop of a virtual clock, and waits for what is under way."""
        if self._loop is not None:
            await self._loop.end_async(timeout)

    def interrupt(self, slot: int) -> None:
        """Cancels the coroutine of a task that was cancelled while it ran."""
        if self._loop is not None:
            self._loop.interrupt(slot)


def executors_of(
    engine: Engine,
    virtual: VirtualClock | None,
    *,
    max_workers: int | None,
    loop: AbstractEventLoop | None,
    max_concurrency: int | None,
) -> ExecutorGroup:
    """The executors of a scheduler: for coroutines a loop, for others threads, or a virtual clock.

    Raises:
        TypeError: `max_workers` is not an int.
        ValueError: It is out of its range.
    """
    threads = ThreadPool(engine, max_workers)
    if virtual is None:

        def make_loop() -> LoopExecutor:
            from num_agents.scheduler.executors.loop import LoopExecutor  # noqa: PLC0415 - 40 ms

            return LoopExecutor(engine, loop, max_concurrency)

        return ExecutorGroup(threads, make_loop)
    from num_agents.scheduler.executors.inline import InlineExecutor  # noqa: PLC0415 - rare

    inline = InlineExecutor(engine)
    virtual.attach(inline)

    def make_inline_loop() -> LoopExecutor:
        from num_agents.scheduler.executors.inline_loop import (  # noqa: PLC0415 - 40 ms
            InlineLoopExecutor,
        )

        inline.loop = InlineLoopExecutor(engine, virtual.loop(), max_concurrency, virtual.run_until)
        return inline.loop

    return ExecutorGroup(inline, make_inline_loop)

"""An event loop whose time is that of a virtual clock."""

from __future__ import annotations

import asyncio
import math
import selectors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from num_agents.scheduler.testing.clock import VirtualClock


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is that of a virtual clock.

    It runs in two ways: driven by the clock until it has nothing to do, or by itself, and then
    moves the clock whenever it has nothing to do (`VirtualClock.run`). Functions for
    `run_in_executor` and `asyncio.to_thread` are called at once, in the same thread.

    Args:
        clock: The clock.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        # Relative to the start: fractions of a second are exact for longer.
        self._start_ns = clock.native.axis_ns()
        #: Whether nothing is ready, and `timer_ns` says when something will be.
        self._is_idle = False
        self._timer_ns: int | None = None
        super().__init__(_Selector(self._nothing_is_ready))

    def time(self) -> float:
        """Seconds since it was made, on the clock."""
        return (self._clock.native.axis_ns() - self._start_ns) / 1e9

    @property
    def next_ns(self) -> int | None:
        """When it has something to do, on the clock's axis; None if nothing is to come."""
        if not self._is_idle:
            return self._clock.native.axis_ns()
        return self._timer_ns

    def is_here(self) -> bool:
        """Whether it runs in the calling thread, and below the caller."""
        return asyncio._get_running_loop() is self  # noqa: SLF001 - raises no error

    def drive(self) -> bool:
        """Runs it until it has nothing to do; whether it had. Does nothing if it runs already."""
        next_ns = self.next_ns
        if next_ns is None or next_ns > self._clock.native.axis_ns() or self.is_running():
            return False
        # It may be driven in the midst of another loop.
        outer = asyncio._get_running_loop()  # noqa: SLF001 - raises no error
        swap = getattr(asyncio.tasks, "_swap_current_task", None)
        task = swap(outer, None) if swap is not None and outer is not None else None
        asyncio._set_running_loop(None)  # noqa: SLF001 - for implementations of loops
        try:
            self.run_forever()
        finally:
            asyncio._set_running_loop(outer)  # noqa: SLF001 - as above
            if swap is not None and outer is not None:
                swap(outer, task)
        return True

    def end(self) -> None:
        """Cancels what is left on it, lets that end, and closes it."""
        if self.is_closed() or self.is_running():
            return
        for task in asyncio.all_tasks(self):
            task.cancel()
        self.drive()
        self.close()

    def _nothing_is_ready(self, timeout: float | None) -> None:
        self._is_idle = True
        self._timer_ns = None
        if timeout is not None:
            when = self.time() + timeout
            # What is due within it is due: after 100 days a nanosecond more makes no other number.
            self._clock_resolution = max(1e-9, 2 * math.ulp(when))
            after = math.ceil(when * 1e9)
            self._timer_ns = self._start_ns + after + (after / 1e9 < when)
        if not self._clock.move_for(self):
            self.stop()

    # Whatever gives it something to do ends its idleness.

    def call_soon(self, *args: Any, **kwargs: Any) -> asyncio.Handle:  # type: ignore[override]
        """As of any loop."""
        self._is_idle = False
        return super().call_soon(*args, **kwargs)

    def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> asyncio.Handle:  # type: ignore[override]
        """As of any loop."""
        self._is_idle = False
        return super().call_soon_threadsafe(*args, **kwargs)

    def call_at(self, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:  # type: ignore[override]
        """As of any loop."""
        self._is_idle = False
        return super().call_at(*args, **kwargs)

    def run_in_executor(  # type: ignore[override]  # says less than it might
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Calls a function at once."""
        del executor
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def __del__(self) -> None:
        # Nobody has to close it: it belongs to the clock.
        if not self.is_closed() and not self.is_running():
            self.close()


class _Selector(selectors.DefaultSelector):
    """Never waits: says instead that nothing is ready."""

    def __init__(self, nothing_is_ready: Callable[[float | None], None]) -> None:
        super().__init__()
        self._nothing_is_ready = nothing_is_ready

    def select(self, timeout: float | None = None) -> Any:
        """What is ready now."""
        events = super().select(0)
        if not events and (timeout is None or timeout > 0):
            self._nothing_is_ready(timeout)
        return events

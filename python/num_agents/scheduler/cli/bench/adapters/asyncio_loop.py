"""asyncio: `call_later` of the standard event loop."""

# ruff: noqa: D102 - `Adapter` documents the methods.

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from num_agents.scheduler.cli.bench.adapters.base import Adapter, Burst

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class AsyncioLoop(Adapter):
    """Tasks run one after the other in the thread of the loop."""

    name = "asyncio"
    unable: ClassVar[Mapping[str, str]] = {
        "schedule_many": "no bulk call",
        "cancel_many": "no bulk call",
    }

    def __init__(self) -> None:
        self._loop = self.new_loop()

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop()

    def schedule_each(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> list[Any]:
        call_later = self._loop.call_later
        return [call_later(delay_s, callback, *args) for delay_s in delays_s]

    def cancel_each(self, handles: Sequence[Any]) -> None:
        for handle in handles:
            handle.cancel()

    def churn(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        call_later = self._loop.call_later
        for delay_s in delays_s:
            call_later(delay_s, callback, *args).cancel()

    def repeat(
        self, first_delays_s: Sequence[float], interval_s: float, callback: Callable[[], object]
    ) -> None:
        call_at = self._loop.call_at

        def run(due_s: float) -> None:
            callback()
            due_s += interval_s
            call_at(due_s, run, due_s)

        now_s = self._loop.time()
        for delay_s in first_delays_s:
            call_at(now_s + delay_s, run, now_s + delay_s)

    def turn(self) -> None:
        self._loop.call_soon(self._loop.stop)
        self._loop.run_forever()

    def run_for(self, duration_s: float) -> None:
        self._loop.call_later(duration_s, self._loop.stop)
        self._loop.run_forever()

    def run_burst(self, burst: Burst) -> None:
        burst.on_end = self._loop.stop
        self._loop.run_forever()

    def close(self) -> None:
        self._loop.close()


PEER = AsyncioLoop

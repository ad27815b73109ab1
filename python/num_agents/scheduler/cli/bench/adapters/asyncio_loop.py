"""asyncio: `call_later` of the standard event loop."""

# ruff: noqa: D102 - `Adapter` documents the methods.

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING, Any, ClassVar

from num_agents.scheduler.cli.bench.adapters.base import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from num_agents.scheduler.cli.bench.adapters.tasks import Batch, Burst


class AsyncioLoop(Adapter):
    """Tasks run one after the other in the thread of the loop."""

    name = "asyncio"
    unable: ClassVar[Mapping[str, str]] = {
        "schedule_many": "no bulk call",
        "schedule_many_all": "no bulk call",
        "cancel_many": "no bulk call",
        "cancel_native": "no bulk call",
        "memory_cancelled_many": "no bulk call",
        "schedule_named": "tasks have no names",
        "schedule_tags": "no tags",
        "schedule_cron": "no cron",
        "schedule_all": "no tags, no grace time, no priority",
        "schedule_all_own": "no names, no tags, no grace time, no priority",
        "collection_recurring": "no tags",
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
        self,
        first_delays_s: Sequence[float],
        interval_s: float,
        callback: Callable[..., object],
        *,
        options: bool = False,
    ) -> None:
        call_at = self._loop.call_at

        def run(due_s: float, task: Callable[[], object]) -> None:
            task()
            due_s += interval_s
            call_at(due_s, run, due_s, task)

        now_s = self._loop.time()
        for number, delay_s in enumerate(first_delays_s):
            task = functools.partial(callback, number=number) if options else callback
            call_at(now_s + delay_s, run, now_s + delay_s, task)

    def schedule_method(self, batch: Batch) -> list[Any]:
        call_later, owner = self._loop.call_later, batch.owner
        return [call_later(delay_s, owner.work) for delay_s in batch.delays_s]

    def schedule_kwargs(self, batch: Batch) -> list[Any]:
        call_later, callback, partial = self._loop.call_later, batch.callback, functools.partial
        return [
            call_later(delay_s, partial(callback, number=number))
            for number, delay_s in enumerate(batch.delays_s)
        ]

    def schedule_moment(self, batch: Batch) -> list[Any]:
        call_at, callback = self._loop.call_at, batch.callback
        epoch_s = self._loop.time() - time.time()
        return [call_at(epoch_s + moment.timestamp(), callback) for moment in batch.moments]

    def await_another(self) -> object:
        future = self._loop.create_future()
        handle = self._loop.call_later(86_400, future.set_result, None)

        async def wait() -> None:
            await future

        return handle, self._loop.create_task(wait())

    def set_slack(self, slack_s: float) -> None:
        """Nothing: the loop waits for whole milliseconds anyway."""

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
        # Whoever waits for a task still is let go, or the interpreter complains of it.
        waiting = asyncio.all_tasks(self._loop)
        for task in waiting:
            task.cancel()
        if waiting:
            self._loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))
        self._loop.close()


PEER = AsyncioLoop

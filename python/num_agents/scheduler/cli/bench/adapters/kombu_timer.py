"""kombu: the timer of Celery's event loop, a heap of entries."""

# ruff: noqa: D102 - `Adapter` documents the methods.

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from kombu.asynchronous.timer import Timer

from num_agents.scheduler.cli.bench.adapters.bare_heapq import BareHeapq
from num_agents.scheduler.cli.bench.adapters.base import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from num_agents.scheduler.cli.bench.adapters.tasks import Batch, Burst


class KombuTimer(Adapter):
    """Whoever iterates over the timer is its thread; a cancelled entry stays until it is due."""

    name = "kombu"
    distribution = "kombu"
    unable: ClassVar[Mapping[str, str]] = BareHeapq.unable
    limits: ClassVar[Mapping[str, int]] = BareHeapq.limits
    remarks = ("kombu's timer has no lock and no thread; Celery's event loop drives it.",)

    def __init__(self) -> None:
        # It is not typed.
        make: Any = Timer
        self._timer = make()

    def schedule_each(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> list[Any]:
        call_after = self._timer.call_after
        return [call_after(delay_s, callback, args) for delay_s in delays_s]

    def cancel_each(self, handles: Sequence[Any]) -> None:
        for entry in handles:
            entry.cancel()

    def churn(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        call_after = self._timer.call_after
        for delay_s in delays_s:
            call_after(delay_s, callback, args).cancel()

    def repeat(
        self,
        first_delays_s: Sequence[float],
        interval_s: float,
        callback: Callable[..., object],
        *,
        options: bool = False,
    ) -> None:
        # `call_repeatedly` cannot place the first run, and drifts.
        call_at = self._timer.call_at

        def run(due_s: float, **kwargs: int) -> None:
            callback(**kwargs)
            due_s += interval_s
            call_at(due_s, run, (due_s,), kwargs)

        now_s = time.monotonic()
        for number, delay_s in enumerate(first_delays_s):
            kwargs = {"number": number} if options else None
            call_at(now_s + delay_s, run, (now_s + delay_s,), kwargs)

    def schedule_method(self, batch: Batch) -> list[Any]:
        call_after, owner = self._timer.call_after, batch.owner
        return [call_after(delay_s, owner.work) for delay_s in batch.delays_s]

    def schedule_kwargs(self, batch: Batch) -> list[Any]:
        call_after, callback = self._timer.call_after, batch.callback
        return [
            call_after(delay_s, callback, (), {"number": number})
            for number, delay_s in enumerate(batch.delays_s)
        ]

    def schedule_moment(self, batch: Batch) -> list[Any]:
        call_at, callback = self._timer.call_at, batch.callback
        return [call_at(moment, callback) for moment in batch.moments]

    def run_for(self, duration_s: float) -> None:
        timer, end_s = self._timer, time.monotonic() + duration_s
        for wait_s, entry in timer:
            if entry is not None:
                timer.apply_entry(entry)
                continue
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(left_s if wait_s is None else min(wait_s, left_s))

    def run_burst(self, burst: Burst) -> None:
        timer = self._timer
        for _, entry in timer:
            if entry is not None:
                timer.apply_entry(entry)
            elif burst.ended.is_set():
                return

    def close(self) -> None:
        self._timer.clear()


PEER = KombuTimer

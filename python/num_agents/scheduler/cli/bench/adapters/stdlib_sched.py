"""sched: the event scheduler of the standard library."""

# ruff: noqa: D102 - `Adapter` documents the methods.

from __future__ import annotations

import sched
import time
from typing import TYPE_CHECKING, Any, ClassVar

from num_agents.scheduler.cli.bench.adapters.base import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from num_agents.scheduler.cli.bench.adapters.tasks import Batch, Burst


def _sleep(duration_s: float) -> None:
    if duration_s > 0:
        time.sleep(duration_s)


class StandardSched(Adapter):
    """A heap behind a lock; whoever calls `run` is its thread."""

    name = "sched"
    limits: ClassVar[Mapping[str, int]] = {"churn": 50_000}
    cancel_limit = 100
    unable: ClassVar[Mapping[str, str]] = {
        "schedule_many": "no bulk call",
        "schedule_many_all": "no bulk call",
        "cancel_many": "no bulk call",
        "cancel_native": "no bulk call",
        "memory_cancelled_many": "no bulk call",
        "schedule_named": "tasks have no names",
        "schedule_tags": "no tags",
        "schedule_cron": "no cron",
        "schedule_all": "no tags, no grace time",
        "schedule_all_own": "no names, no tags, no grace time",
        "collection_recurring": "no tags",
        "fire_awaited": "no outcomes",
        "recurring_slack": "no slack",
        "memory_cancelled": "a cancel is linear in the pending tasks",
    }
    remarks = (
        "sched.cancel is linear in the pending tasks: only 100 cancels are timed a sample.",
        "sched is given a delay function that returns at once from the sleep of zero seconds that"
        " it asks for after each task; with time.sleep it is 20 times slower.",
    )

    def __init__(self) -> None:
        self._scheduler = sched.scheduler(time.monotonic, _sleep)

    def schedule_each(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> list[Any]:
        enter = self._scheduler.enter
        return [enter(delay_s, 0, callback, args) for delay_s in delays_s]

    def cancel_each(self, handles: Sequence[Any]) -> None:
        cancel = self._scheduler.cancel
        for handle in handles:
            cancel(handle)

    def churn(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        enter, cancel = self._scheduler.enter, self._scheduler.cancel
        for delay_s in delays_s:
            cancel(enter(delay_s, 0, callback, args))

    def repeat(
        self,
        first_delays_s: Sequence[float],
        interval_s: float,
        callback: Callable[..., object],
        *,
        options: bool = False,
    ) -> None:
        enter = self._scheduler.enterabs

        def run(due_s: float, **kwargs: int) -> None:
            callback(**kwargs)
            due_s += interval_s
            enter(due_s, 0, run, (due_s,), kwargs)

        now_s = time.monotonic()
        for number, delay_s in enumerate(first_delays_s):
            kwargs = {"number": number} if options else {}
            enter(now_s + delay_s, 0, run, (now_s + delay_s,), kwargs)

    def schedule_method(self, batch: Batch) -> list[Any]:
        enter, owner = self._scheduler.enter, batch.owner
        return [enter(delay_s, 0, owner.work) for delay_s in batch.delays_s]

    def schedule_kwargs(self, batch: Batch) -> list[Any]:
        enter, callback = self._scheduler.enter, batch.callback
        return [
            enter(delay_s, 0, callback, (), {"number": number})
            for number, delay_s in enumerate(batch.delays_s)
        ]

    def schedule_moment(self, batch: Batch) -> list[Any]:
        enter, callback = self._scheduler.enterabs, batch.callback
        epoch_s = time.monotonic() - time.time()
        return [enter(epoch_s + moment.timestamp(), 0, callback) for moment in batch.moments]

    def run_for(self, duration_s: float) -> None:
        end_s = time.monotonic() + duration_s
        while (now_s := time.monotonic()) < end_s:
            # `run(blocking=True)` would stay until the last pending task.
            wait_s = self._scheduler.run(blocking=False)
            left_s = end_s - now_s
            time.sleep(max(0.0, left_s if wait_s is None else min(wait_s, left_s)))

    def run_burst(self, burst: Burst) -> None:
        while not burst.ended.is_set():
            self._scheduler.run(blocking=False)


PEER = StandardSched

"""rust-py-scheduler: interval jobs on threads, the core in Rust."""

# ruff: noqa: D102 - `Adapter` documents the methods.

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, ClassVar

from rust_py_scheduler import Scheduler

from num_agents.scheduler.cli.bench.adapters.base import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from num_agents.scheduler.cli.bench.adapters.tasks import Batch

# More than the ten seconds for which probes fall due, so that no job runs a second time meanwhile.
PROBE_INTERVAL_S = 12


class RustPyScheduler(Adapter):
    """It has no one-shot tasks and takes no arguments: each task is an interval job."""

    name = "rust-py-scheduler"
    distribution = "rust-py-scheduler"
    task_limit = 100_000
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
        "schedule_moment": "a job's first run cannot be placed",
        "recurring_minute": "a job's first run cannot be placed",
        "recurring_spread": "a job's first run cannot be placed",
    }
    # Their runs cannot be spread over a longer interval.
    limits: ClassVar[Mapping[str, int]] = {"recurring": 10_000, "memory_cancelled": 20_000}
    cost_us = 20.0
    remarks = (
        "rust-py-scheduler has no one-shot tasks and takes whole seconds: each task is an interval"
        " job, of which only the first run counts.",
    )
    # An interval long enough that no job falls due again before the burst has ended.
    burst_window_s = (10.0, 10.0)
    lead_s = PROBE_INTERVAL_S + 1.0

    def __init__(self) -> None:
        self._scheduler = Scheduler()

    def schedule_each(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> list[Any]:
        every = self._scheduler.every
        bound = functools.partial(callback, *args) if args else callback
        return [every(f"{int(delay_s)}s", bound) for delay_s in delays_s]

    def cancel_each(self, handles: Sequence[Any]) -> None:
        cancel = self._scheduler.remove_job
        for handle in handles:
            cancel(handle)

    def churn(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        every, cancel = self._scheduler.every, self._scheduler.remove_job
        bound = functools.partial(callback, *args) if args else callback
        for delay_s in delays_s:
            cancel(every(f"{int(delay_s)}s", bound))

    def repeat(
        self,
        first_delays_s: Sequence[float],
        interval_s: float,
        callback: Callable[..., object],
        *,
        options: bool = False,
    ) -> None:
        every = self._scheduler.every
        for number in range(len(first_delays_s)):
            task = functools.partial(callback, number=number) if options else callback
            every(f"{int(interval_s)}s", task)

    def schedule_method(self, batch: Batch) -> list[Any]:
        every, owner = self._scheduler.every, batch.owner
        return [every(f"{int(delay_s)}s", owner.work) for delay_s in batch.delays_s]

    def schedule_kwargs(self, batch: Batch) -> list[Any]:
        every, callback, partial = self._scheduler.every, batch.callback, functools.partial
        return [
            every(f"{int(delay_s)}s", partial(callback, number=number))
            for number, delay_s in enumerate(batch.delays_s)
        ]

    def probe(self, delay_s: float, callback: Callable[[int], object], index: int) -> float:
        # Only whole seconds can be asked for, so the moment to ask is waited for.
        time.sleep(max(0.0, delay_s - PROBE_INTERVAL_S))
        due_s = self.clock() + PROBE_INTERVAL_S
        self._scheduler.every(f"{PROBE_INTERVAL_S}s", functools.partial(callback, index))
        return due_s

    def start(self) -> None:
        self._scheduler.start_background()

    def close(self) -> None:
        self._scheduler.shutdown()


PEER = RustPyScheduler

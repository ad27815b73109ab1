"""A bare heap: tuples in a list, lazy deletion, no lock, no thread.

The least that can be called a scheduler in Python; what a careful program writes by hand.
"""

# ruff: noqa: D102 - `Adapter` documents the methods.

from __future__ import annotations

import itertools
import time
from functools import partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, ClassVar

from num_agents.scheduler.cli.bench.adapters.base import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from num_agents.scheduler.cli.bench.adapters.tasks import Batch, Burst


class BareHeapq(Adapter):
    """A cancelled task stays in the heap until its time comes."""

    name = "heapq"
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
    }
    # What is cancelled stays: ten rounds of a million would take gigabytes.
    limits: ClassVar[Mapping[str, int]] = {"memory_cancelled": 100_000}
    cost_us = 1.0
    remarks = ("heapq has no lock, no thread and no interface: a lower bound, not a scheduler.",)

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._cancelled: set[int] = set()
        self._sequence = itertools.count()

    def schedule_each(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> list[Any]:
        heap, clock = self._heap, time.monotonic
        handles = []
        for delay_s, sequence in zip(delays_s, self._sequence, strict=False):
            heappush(heap, (clock() + delay_s, sequence, callback, args))
            handles.append(sequence)
        return handles

    def cancel_each(self, handles: Sequence[Any]) -> None:
        cancel = self._cancelled.add
        for handle in handles:
            cancel(handle)

    def churn(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        heap, clock, cancel = self._heap, time.monotonic, self._cancelled.add
        for delay_s, sequence in zip(delays_s, self._sequence, strict=False):
            heappush(heap, (clock() + delay_s, sequence, callback, args))
            cancel(sequence)

    def repeat(
        self,
        first_delays_s: Sequence[float],
        interval_s: float,
        callback: Callable[..., object],
        *,
        options: bool = False,
    ) -> None:
        heap, sequence = self._heap, self._sequence

        def run(due_s: float, task: Callable[[], object]) -> None:
            task()
            due_s += interval_s
            heappush(heap, (due_s, next(sequence), run, (due_s, task)))

        now_s = time.monotonic()
        for number, delay_s in enumerate(first_delays_s):
            task = partial(callback, number=number) if options else callback
            heappush(heap, (now_s + delay_s, next(sequence), run, (now_s + delay_s, task)))

    def schedule_method(self, batch: Batch) -> list[Any]:
        heap, clock, owner = self._heap, time.monotonic, batch.owner
        handles = []
        for delay_s, sequence in zip(batch.delays_s, self._sequence, strict=False):
            heappush(heap, (clock() + delay_s, sequence, owner.work, ()))
            handles.append(sequence)
        return handles

    def schedule_kwargs(self, batch: Batch) -> list[Any]:
        heap, clock, callback = self._heap, time.monotonic, batch.callback
        handles = []
        for delay_s, sequence in zip(batch.delays_s, self._sequence, strict=False):
            task: Callable[..., object] = partial(callback, number=sequence)
            heappush(heap, (clock() + delay_s, sequence, task, ()))
            handles.append(sequence)
        return handles

    def schedule_moment(self, batch: Batch) -> list[Any]:
        heap, callback = self._heap, batch.callback
        epoch_s = time.monotonic() - time.time()
        handles = []
        for moment, sequence in zip(batch.moments, self._sequence, strict=False):
            heappush(heap, (epoch_s + moment.timestamp(), sequence, callback, ()))
            handles.append(sequence)
        return handles

    def _run_due(self) -> None:
        heap, cancelled = self._heap, self._cancelled
        now_s = time.monotonic()
        while heap and heap[0][0] <= now_s:
            _, sequence, callback, args = heappop(heap)
            if sequence in cancelled:
                cancelled.discard(sequence)
            else:
                callback(*args)

    def run_for(self, duration_s: float) -> None:
        end_s = time.monotonic() + duration_s
        while (now_s := time.monotonic()) < end_s:
            next_s = min(self._heap[0][0], end_s) if self._heap else end_s
            if next_s > now_s:
                time.sleep(next_s - now_s)
            self._run_due()

    def run_burst(self, burst: Burst) -> None:
        while not burst.ended.is_set():
            self._run_due()


PEER = BareHeapq

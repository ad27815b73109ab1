"""A bare heap with a lock and a thread: the scheduler that a careful program writes by hand.

Tuples in a list, lazy deletion, and a thread that waits on a condition for the earliest of them.
"""

# ruff: noqa: D102 - `Adapter` documents the methods.

from __future__ import annotations

import itertools
import threading
import time
from functools import partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, ClassVar

from num_agents.scheduler.cli.bench.adapters.bare_heapq import BareHeapq
from num_agents.scheduler.cli.bench.adapters.base import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from num_agents.scheduler.cli.bench.adapters.tasks import Batch


class HeapThread(Adapter):
    """One thread sleeps until the earliest task is due, and runs it outside the lock."""

    name = "heapq-thread"
    unable: ClassVar[Mapping[str, str]] = BareHeapq.unable
    limits: ClassVar[Mapping[str, int]] = BareHeapq.limits
    cost_us = 2.0

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._cancelled: set[int] = set()
        self._sequence = itertools.count()
        self._changed = threading.Condition(threading.Lock())
        self._stopped = False
        self._thread: threading.Thread | None = None

    def _push(self, due_s: float, callback: Callable[..., object], args: tuple[Any, ...]) -> int:
        """Schedules one task; wakes the thread if it is now the earliest."""
        with self._changed:
            sequence = next(self._sequence)
            heappush(self._heap, (due_s, sequence, callback, args))
            if self._heap[0][1] == sequence:
                self._changed.notify()
        return sequence

    def _cancel(self, sequence: int) -> None:
        with self._changed:
            self._cancelled.add(sequence)

    def schedule_each(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> list[Any]:
        push, clock = self._push, time.monotonic
        return [push(clock() + delay_s, callback, args) for delay_s in delays_s]

    def cancel_each(self, handles: Iterable[Any]) -> None:
        cancel = self._cancel
        for handle in handles:
            cancel(handle)

    def churn(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        push, clock, cancel = self._push, time.monotonic, self._cancel
        for delay_s in delays_s:
            cancel(push(clock() + delay_s, callback, args))

    def repeat(
        self,
        first_delays_s: Sequence[float],
        interval_s: float,
        callback: Callable[..., object],
        *,
        options: bool = False,
    ) -> None:
        push = self._push

        def run(due_s: float, task: Callable[[], object]) -> None:
            task()
            due_s += interval_s
            push(due_s, run, (due_s, task))

        now_s = time.monotonic()
        for number, delay_s in enumerate(first_delays_s):
            task = partial(callback, number=number) if options else callback
            push(now_s + delay_s, run, (now_s + delay_s, task))

    def schedule_method(self, batch: Batch) -> list[Any]:
        push, clock, owner = self._push, time.monotonic, batch.owner
        return [push(clock() + delay_s, owner.work, ()) for delay_s in batch.delays_s]

    def schedule_kwargs(self, batch: Batch) -> list[Any]:
        push, clock, callback = self._push, time.monotonic, batch.callback
        return [
            push(clock() + delay_s, partial(callback, number=number), ())
            for number, delay_s in enumerate(batch.delays_s)
        ]

    def schedule_moment(self, batch: Batch) -> list[Any]:
        push, callback = self._push, batch.callback
        epoch_s = time.monotonic() - time.time()
        return [push(epoch_s + moment.timestamp(), callback, ()) for moment in batch.moments]

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        heap, cancelled, changed, clock = self._heap, self._cancelled, self._changed, time.monotonic
        while True:
            with changed:
                while not heap or heap[0][0] > clock():
                    if self._stopped:
                        return
                    changed.wait(max(0.0, heap[0][0] - clock()) if heap else None)
                _, sequence, callback, args = heappop(heap)
                if sequence in cancelled:
                    cancelled.discard(sequence)
                    continue
            callback(*args)

    def close(self) -> None:
        with self._changed:
            self._stopped = True
            self._heap.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()


PEER = HeapThread

"""sched: the event scheduler of the standard library."""

# ruff: noqa: D102 - `Adapter` documents the methods.

from __future__ import annotations

import sched
import time
from typing import TYPE_CHECKING, Any, ClassVar

from num_agents.scheduler.cli.bench.adapters.base import Adapter, Burst

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def _sleep(duration_s: float) -> None:
    if duration_s > 0:
        time.sleep(duration_s)


class StandardSched(Adapter):
    """A heap behind a lock; whoever calls `run` is its thread."""

    name = "sched"
    pair_limit = 50_000
    cancel_limit = 100
    unable: ClassVar[Mapping[str, str]] = {
        "schedule_many": "no bulk call",
        "cancel_many": "no bulk call",
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
        self, first_delays_s: Sequence[float], interval_s: float, callback: Callable[[], object]
    ) -> None:
        enter = self._scheduler.enterabs

        def run(due_s: float) -> None:
            callback()
            due_s += interval_s
            enter(due_s, 0, run, (due_s,))

        now_s = time.monotonic()
        for delay_s in first_delays_s:
            enter(now_s + delay_s, 0, run, (now_s + delay_s,))

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

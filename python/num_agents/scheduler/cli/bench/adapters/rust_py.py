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

# More than the ten seconds for which probes fall due, so that no job runs a second time meanwhile.
PROBE_INTERVAL_S = 12


class RustPyScheduler(Adapter):
    """It has no one-shot tasks and takes no arguments: each task is an interval job."""

    name = "rust-py-scheduler"
    distribution = "rust-py-scheduler"
    task_limit = 100_000
    unable: ClassVar[Mapping[str, str]] = {
        "schedule_many": "no bulk call",
        "cancel_many": "no bulk call",
        "recurring_spread": "a job's first run cannot be placed",
    }
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
        self, first_delays_s: Sequence[float], interval_s: float, callback: Callable[[], object]
    ) -> None:
        for _ in first_delays_s:
            self._scheduler.every(f"{int(interval_s)}s", callback)

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

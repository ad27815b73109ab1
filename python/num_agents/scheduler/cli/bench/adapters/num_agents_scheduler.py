"""num-agents-scheduler: this project, with its thread-pool executor."""

# ruff: noqa: D102 - `Adapter` documents the methods.

from __future__ import annotations

from array import array
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from num_agents.scheduler import Scheduler
from num_agents.scheduler.cli.bench.adapters.base import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence


class NumAgentsScheduler(Adapter):
    """Every option at its default."""

    name = "num-agents-scheduler"
    distribution = "num-agents-scheduler"

    def __init__(self) -> None:
        self._scheduler = Scheduler()

    def schedule_each(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> list[Any]:
        schedule = self._scheduler.schedule
        return [schedule("task", callback, delay=delay_s, args=args) for delay_s in delays_s]

    def cancel_each(self, handles: Sequence[Any]) -> None:
        cancel_task = self._scheduler.cancel_task
        for handle in handles:
            cancel_task(handle)

    def churn(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        schedule, cancel_task = self._scheduler.schedule, self._scheduler.cancel_task
        for delay_s in delays_s:
            cancel_task(schedule("task", callback, delay=delay_s, args=args))

    def repeat(
        self, first_delays_s: Sequence[float], interval_s: float, callback: Callable[[], object]
    ) -> None:
        now = datetime.now(UTC)
        for delay_s in first_delays_s:
            start_after = now + timedelta(seconds=delay_s)
            self._scheduler.schedule("task", callback, interval=interval_s, start_after=start_after)

    def schedule_batch(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> Collection[Any]:
        delays = array("d", delays_s)
        each_args = [args] * len(delays)
        return self._scheduler.schedule_many("task", callback, delays=delays, args=each_args)

    def cancel_batch(self, handles: Collection[Any]) -> None:
        self._scheduler.cancel_many(handles)

    def start(self) -> None:
        self._scheduler.start()

    def close(self) -> None:
        self._scheduler.stop("now")


PEER = NumAgentsScheduler

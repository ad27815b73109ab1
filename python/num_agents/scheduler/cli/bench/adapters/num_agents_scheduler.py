"""num-agents-scheduler: this project, with its thread-pool executor."""

# ruff: noqa: D102 - `Adapter` documents the methods.

from __future__ import annotations

import inspect
from array import array
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from num_agents.scheduler import RunPolicy, Scheduler, TaskSchedule
from num_agents.scheduler.cli.bench.adapters.base import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from num_agents.scheduler.cli.bench.adapters.tasks import Batch

FIRST_RUN: Literal["after_interval"] = "after_interval"
HAS_BULK_OPTIONS = "schedule" in inspect.signature(Scheduler.schedule_many).parameters


def _unable() -> dict[str, str]:
    """What the installed version has no means for: it may be an older one."""
    unable = {}
    if "slack" not in inspect.signature(Scheduler).parameters:
        unable["recurring_slack"] = "no option `slack`"
    if not HAS_BULK_OPTIONS:
        unable["schedule_many_all"] = "no options in the bulk call"
    return unable


class NumAgentsScheduler(Adapter):
    """Every option at its default."""

    name = "num-agents-scheduler"
    distribution = "num-agents-scheduler"
    cost_us = 1.0
    unable: ClassVar[Mapping[str, str]] = _unable()

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
        self,
        first_delays_s: Sequence[float],
        interval_s: float,
        callback: Callable[..., object],
        *,
        options: bool = False,
    ) -> None:
        schedule, now = self._scheduler.schedule, datetime.now(UTC)
        if options and HAS_BULK_OPTIONS:
            self._repeat_many(first_delays_s, interval_s, callback)
            return
        if options:
            for number, delay_s in enumerate(first_delays_s):
                schedule(
                    "task",
                    callback,
                    interval=interval_s,
                    start_after=now + timedelta(seconds=delay_s),
                    kwargs={"number": number},
                    tags=("agent", "mail"),
                )
            return
        for delay_s in first_delays_s:
            start_after = now + timedelta(seconds=delay_s)
            schedule("task", callback, interval=interval_s, start_after=start_after)

    def _repeat_many(
        self, first_delays_s: Sequence[float], interval_s: float, callback: Callable[..., object]
    ) -> Collection[str]:
        return self._scheduler.schedule_many(
            "task",
            callback,
            delays=first_delays_s,
            schedule=TaskSchedule(interval=interval_s),
            kwargs=[{"number": number} for number in range(len(first_delays_s))],
            tags=("agent", "mail"),
        )

    def schedule_named(self, batch: Batch) -> list[Any]:
        schedule, callback = self._scheduler.schedule, batch.callback
        return [
            schedule(f"task {number}", callback, delay=delay_s)
            for number, delay_s in enumerate(batch.delays_s)
        ]

    def schedule_method(self, batch: Batch) -> list[Any]:
        schedule, owner = self._scheduler.schedule, batch.owner
        return [schedule("task", owner.work, delay=delay_s) for delay_s in batch.delays_s]

    def schedule_kwargs(self, batch: Batch) -> list[Any]:
        schedule, callback = self._scheduler.schedule, batch.callback
        return [
            schedule("task", callback, delay=delay_s, kwargs={"number": number})
            for number, delay_s in enumerate(batch.delays_s)
        ]

    def schedule_tags(self, batch: Batch) -> list[Any]:
        schedule, callback, tags = self._scheduler.schedule, batch.callback, batch.tags
        return [schedule("task", callback, delay=delay_s, tags=tags) for delay_s in batch.delays_s]

    def schedule_moment(self, batch: Batch) -> list[Any]:
        schedule, callback = self._scheduler.schedule, batch.callback
        return [schedule("task", callback, run_at=moment) for moment in batch.moments]

    def schedule_interval(self, batch: Batch) -> list[Any]:
        schedule, callback = self._scheduler.schedule, batch.callback
        interval_s = batch.interval_s
        return [
            schedule("task", callback, interval=interval_s, first_run=FIRST_RUN)
            for _ in batch.delays_s
        ]

    def schedule_cron(self, batch: Batch) -> list[Any]:
        schedule, callback = self._scheduler.schedule, batch.callback
        expression = batch.cron_expression
        return [
            schedule("task", callback, cron_expression=expression, timezone="UTC")
            for _ in batch.delays_s
        ]

    def schedule_all(self, batch: Batch) -> list[Any]:
        schedule, callback = self._scheduler.schedule, batch.callback
        interval_s, grace_s, tags = batch.interval_s, batch.grace_s, batch.tags
        priority = batch.priority
        return [
            schedule(
                "task",
                callback,
                interval=interval_s,
                first_run=FIRST_RUN,
                kwargs={"number": number},
                tags=tags,
                grace=grace_s,
                priority=priority,
            )
            for number in range(len(batch.delays_s))
        ]

    def schedule_all_own(self, batch: Batch) -> list[Any]:
        schedule, callback = self._scheduler.schedule, batch.callback
        return [
            schedule(
                f"task {number}",
                callback,
                interval=interval_s,
                first_run=FIRST_RUN,
                kwargs={"number": number},
                tags=(f"user {number}", "mail"),
                grace=interval_s / 2,
                priority=number % 256,
            )
            for number, interval_s in enumerate(batch.intervals_s)
        ]

    def schedule_many_all(self, batch: Batch) -> Collection[Any]:
        count = len(batch.delays_s)
        return self._scheduler.schedule_many(
            "task",
            batch.callback,
            delays=batch.delays_s,
            schedule=TaskSchedule(interval=batch.interval_s),
            policy=RunPolicy(priority=batch.priority, grace=batch.grace_s),
            kwargs=[{"number": number} for number in range(count)],
            tags=batch.tags,
        )

    def schedule_batch(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> Collection[Any]:
        delays = array("d", delays_s)
        each_args = [args] * len(delays)
        return self._scheduler.schedule_many("task", callback, delays=delays, args=each_args)

    def cancel_batch(self, handles: Collection[Any]) -> None:
        self._scheduler.cancel_many(handles)

    def await_another(self) -> object:
        return self._scheduler.future(self._scheduler.schedule("another", print, delay=86_400))

    def set_slack(self, slack_s: float) -> None:
        self._scheduler.stop("now")
        # The version before this one has no such option; `unable` says so.
        make: Callable[..., Scheduler] = Scheduler
        self._scheduler = make(slack=slack_s)

    def start(self) -> None:
        self._scheduler.start()

    def close(self) -> None:
        self._scheduler.stop("now")


PEER = NumAgentsScheduler

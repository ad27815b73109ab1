"""APScheduler 3: `BackgroundScheduler`, its memory store and its thread pool."""

# ruff: noqa: D102 - `Adapter` documents the methods.

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from num_agents.scheduler.cli.bench.adapters.base import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from num_agents.scheduler.cli.bench.adapters.tasks import Batch


class ApschedulerBackground(Adapter):
    """The defaults, but for the grace time, with which it would drop most of a burst."""

    name = "apscheduler"
    distribution = "apscheduler"
    task_limit = 100_000
    unable: ClassVar[Mapping[str, str]] = {
        "schedule_many": "no bulk call",
        "schedule_many_all": "no bulk call",
        "cancel_many": "no bulk call",
        "cancel_native": "no bulk call",
        "memory_cancelled_many": "no bulk call",
        "schedule_tags": "no tags",
        "fire_awaited": "no outcomes to wait for",
        "recurring_slack": "no slack",
    }
    remarks = (
        "apscheduler is set to misfire_grace_time=None: by default it drops what is 1 s late.",
        "apscheduler has no tags and no priorities: where a workload asks for all options, it is"
        " measured without these.",
    )
    # Variants of what is measured with `task_limit`.
    limits: ClassVar[Mapping[str, int]] = {
        "schedule_named": 20_000,
        "schedule_method": 20_000,
        "schedule_kwargs": 20_000,
        "schedule_moment": 20_000,
        "schedule_interval": 20_000,
        "schedule_cron": 20_000,
        "schedule_all": 20_000,
        "schedule_all_own": 20_000,
        "fire_at_once": 20_000,
        "recurring_minute": 20_000,
        "memory_cancelled": 20_000,
        "collection_recurring": 20_000,
    }
    cost_us = 100.0
    lead_s = 4.0

    def __init__(self) -> None:
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None}
        )
        # Before `start` jobs are only noted; a paused scheduler stores them but runs none.
        self._scheduler.start(paused=True)

    def schedule_each(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> list[Any]:
        add_job, now = self._scheduler.add_job, datetime.now
        return [
            add_job(callback, "date", args, run_date=now(UTC) + timedelta(seconds=delay_s))
            for delay_s in delays_s
        ]

    def cancel_each(self, handles: Sequence[Any]) -> None:
        for job in handles:
            job.remove()

    def churn(
        self, delays_s: Sequence[float], callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        add_job, now = self._scheduler.add_job, datetime.now
        for delay_s in delays_s:
            run_date = now(UTC) + timedelta(seconds=delay_s)
            add_job(callback, "date", args, run_date=run_date).remove()

    def repeat(
        self,
        first_delays_s: Sequence[float],
        interval_s: float,
        callback: Callable[..., object],
        *,
        options: bool = False,
    ) -> None:
        add_job, now = self._scheduler.add_job, datetime.now(UTC)
        for number, delay_s in enumerate(first_delays_s):
            add_job(
                callback,
                "interval",
                kwargs={"number": number} if options else None,
                seconds=interval_s,
                start_date=now + timedelta(seconds=delay_s),
            )

    def schedule_named(self, batch: Batch) -> list[Any]:
        add_job, callback, now = self._scheduler.add_job, batch.callback, datetime.now
        return [
            add_job(
                callback,
                "date",
                name=f"task {number}",
                run_date=now(UTC) + timedelta(seconds=delay_s),
            )
            for number, delay_s in enumerate(batch.delays_s)
        ]

    def schedule_method(self, batch: Batch) -> list[Any]:
        add_job, owner, now = self._scheduler.add_job, batch.owner, datetime.now
        return [
            add_job(owner.work, "date", run_date=now(UTC) + timedelta(seconds=delay_s))
            for delay_s in batch.delays_s
        ]

    def schedule_kwargs(self, batch: Batch) -> list[Any]:
        add_job, callback, now = self._scheduler.add_job, batch.callback, datetime.now
        return [
            add_job(
                callback,
                "date",
                kwargs={"number": number},
                run_date=now(UTC) + timedelta(seconds=delay_s),
            )
            for number, delay_s in enumerate(batch.delays_s)
        ]

    def schedule_moment(self, batch: Batch) -> list[Any]:
        add_job, callback = self._scheduler.add_job, batch.callback
        return [add_job(callback, "date", run_date=moment) for moment in batch.moments]

    def schedule_interval(self, batch: Batch) -> list[Any]:
        add_job, callback = self._scheduler.add_job, batch.callback
        return [add_job(callback, "interval", seconds=batch.interval_s) for _ in batch.delays_s]

    def schedule_cron(self, batch: Batch) -> list[Any]:
        add_job, callback, expression = (
            self._scheduler.add_job,
            batch.callback,
            batch.cron_expression,
        )
        return [
            add_job(callback, CronTrigger.from_crontab(expression, UTC)) for _ in batch.delays_s
        ]

    def schedule_all(self, batch: Batch) -> list[Any]:
        add_job, callback = self._scheduler.add_job, batch.callback
        # It takes whole seconds.
        grace_s = int(batch.grace_s)
        return [
            add_job(
                callback,
                "interval",
                seconds=batch.interval_s,
                kwargs={"number": number},
                misfire_grace_time=grace_s,
            )
            for number in range(len(batch.delays_s))
        ]

    def schedule_all_own(self, batch: Batch) -> list[Any]:
        add_job, callback = self._scheduler.add_job, batch.callback
        return [
            add_job(
                callback,
                "interval",
                name=f"task {number}",
                seconds=interval_s,
                kwargs={"number": number},
                misfire_grace_time=int(interval_s / 2),
            )
            for number, interval_s in enumerate(batch.intervals_s)
        ]

    def clock(self) -> float:
        return datetime.now(UTC).timestamp()

    def probe(self, delay_s: float, callback: Callable[[int], object], index: int) -> float:
        run_date = datetime.now(UTC) + timedelta(seconds=delay_s)
        self._scheduler.add_job(callback, "date", (index,), run_date=run_date)
        return run_date.timestamp()

    def start(self) -> None:
        self._scheduler.resume()

    def close(self) -> None:
        self._scheduler.shutdown(wait=False)


PEER = ApschedulerBackground

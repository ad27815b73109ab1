"""APScheduler 3: `BackgroundScheduler`, its memory store and its thread pool."""

# ruff: noqa: D102 - `Adapter` documents the methods.

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from apscheduler.schedulers.background import BackgroundScheduler

from num_agents.scheduler.cli.bench.adapters.base import Adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class ApschedulerBackground(Adapter):
    """The defaults, but for the grace time, with which it would drop most of a burst."""

    name = "apscheduler"
    distribution = "apscheduler"
    task_limit = 100_000
    unable: ClassVar[Mapping[str, str]] = {
        "schedule_many": "no bulk call",
        "cancel_many": "no bulk call",
    }
    remarks = (
        "apscheduler is set to misfire_grace_time=None: by default it drops what is 1 s late.",
    )
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
        self, first_delays_s: Sequence[float], interval_s: float, callback: Callable[[], object]
    ) -> None:
        now = datetime.now(UTC)
        for delay_s in first_delays_s:
            start_date = now + timedelta(seconds=delay_s)
            self._scheduler.add_job(callback, "interval", seconds=interval_s, start_date=start_date)

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

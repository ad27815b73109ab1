"""Figures: counters, gauges and the histogram of lateness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from num_agents.scheduler import LatenessHistogram, Scheduler, StopReport

if TYPE_CHECKING:
    from num_agents.scheduler.testing import VirtualClock


def fail() -> None:
    raise ValueError("no")


def test_everything_is_counted(scheduler: Scheduler, clock: VirtualClock) -> None:
    figures = scheduler.statistics().to_dict()
    index_of_history = figures.pop("memory_bytes")
    assert 0 < index_of_history < 110_000
    assert set(figures.values()) == {0}
    running: list[int] = []
    scheduler.schedule("well", lambda: running.append(scheduler.statistics().running))
    scheduler.schedule("badly", fail)
    scheduler.cancel_task(scheduler.schedule("cancelled", print))
    scheduler.pause_task(scheduler.schedule("paused", print, delay=9))
    scheduler.schedule("pending", print, delay=9)
    scheduler.schedule_many("many", print, delays=[9.0] * 5)
    clock.advance(1)
    figures = scheduler.statistics().to_dict()
    memory = figures.pop("memory_bytes")
    assert memory > index_of_history
    assert figures == {
        "scheduled": 10,
        "cancelled": 1,
        "started": 2,
        "completed": 1,
        "failed": 1,
        "retried": 0,
        "missed": 0,
        "skipped": 0,
        "clock_changes": 0,
        "rekeyed": 0,
        "deferred": 0,
        "pending": 6,
        "due": 0,
        "running": 0,
        "held": 0,
        "paused": 1,
    }
    assert running == [1]
    assert "1 completed" in repr(scheduler.statistics())


def test_memory_is_given_back(scheduler: Scheduler, clock: VirtualClock) -> None:
    def cycle() -> int:
        ids = scheduler.schedule_many("t", print, delays=[3600.0] * 100_000)
        assert scheduler.statistics().memory_bytes < 200 * 100_000
        assert scheduler.cancel_many(ids) == 100_000
        return scheduler.statistics().memory_bytes

    first = cycle()
    assert [cycle() <= first * 1.1 for _ in range(5)] == [True] * 5


def test_lateness(scheduler: Scheduler, clock: VirtualClock) -> None:
    scheduler.stop()
    scheduler.schedule_many("t", int, delays=[0.0] * 98 + [9.0] * 2)
    clock.advance(10)
    scheduler.start()
    clock.advance(0)
    lateness = scheduler.statistics().lateness
    assert lateness.count == 100
    assert lateness.max_ns == 10_000_000_000
    assert sum(count for _, _, count in lateness.buckets()) == 100
    assert lateness.quantile_ns(0) == lateness.quantile_ns(0.02) >= 1_000_000_000
    assert lateness.quantile_ns(0.02) < 1.04e9
    assert 10_000_000_000 <= lateness.quantile_ns(0.5) < 1.04e10
    for least, greatest, count in lateness.buckets():
        assert least <= greatest
        assert count > 0
    assert "100 runs, at most 10000.000 ms" in repr(lateness)


@pytest.mark.parametrize("quantile", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_quantile_is_a_share(quantile: float) -> None:
    with pytest.raises(ValueError, match=r"^quantile must be from 0 to 1"):
        LatenessHistogram(0, 0, []).quantile_ns(quantile)
    assert LatenessHistogram(0, 0, []).quantile_ns(0.5) == 0


def test_stop_report(scheduler: Scheduler) -> None:
    scheduler.schedule("t", print, delay=1)
    report = scheduler.stop()
    assert isinstance(report, StopReport)
    assert repr(report) == "StopReport(was_running=True, ended=True, running=0, pending=1)"
    assert repr(scheduler.stop()) == (
        "StopReport(was_running=False, ended=True, running=0, pending=1)"
    )
    assert repr(scheduler) == "<Scheduler stopped, 1 pending>"

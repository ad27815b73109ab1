"""`Scheduler.forecast`: what it counts, and what it says of it."""

from __future__ import annotations

import json
import signal
import threading
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

if TYPE_CHECKING:
    from num_agents.scheduler import Scheduler
    from num_agents.scheduler.forecast import Forecast
    from num_agents.scheduler.testing import VirtualClock

START = datetime(2025, 1, 1, tzinfo=UTC)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


class TestWhatItSays:
    def test_of_nothing(self, scheduler: Scheduler) -> None:
        forecast = scheduler.forecast(3600, 1800)
        assert forecast.buckets == [(START, 0), (at(1800), 0)]
        assert (forecast.total, forecast.collisions) == (0, 0)
        assert forecast.busiest() == []
        assert (forecast.start, forecast.horizon, forecast.bucket) == (START, 3600, 1800)
        assert repr(forecast) == "<Forecast of 0 runs in 3600 s from 2025-01-01T00:00:00+00:00>"

    def test_buckets_total_busiest_and_collisions(self, scheduler: Scheduler) -> None:
        for second in (5, 5, 5, 100, 100, 250):
            scheduler.schedule("t", int, delay=second + 0.5)
        scheduler.schedule("beyond", int, delay=300)
        forecast = scheduler.forecast(300, 120)
        assert forecast.buckets == [(START, 5), (at(120), 0), (at(240), 1)]
        assert (forecast.total, forecast.collisions) == (6, 2)
        assert forecast.busiest(2) == [(at(5), 3), (at(100), 2)]
        assert forecast.busiest(99) == [(at(5), 3), (at(100), 2), (at(250), 1)]
        assert forecast.busiest(0) == []

    def test_as_data(self, scheduler: Scheduler) -> None:
        scheduler.schedule("t", int, interval=60)
        data = scheduler.forecast(timedelta(minutes=2), timedelta(minutes=1)).to_dict()
        assert data == {
            "start": "2025-01-01T00:00:00+00:00",
            "horizon": 120,
            "bucket": 60,
            "buckets": [("2025-01-01T00:00:00+00:00", 1), ("2025-01-01T00:01:00+00:00", 1)],
            "total": 2,
            "busiest": [("2025-01-01T00:00:00+00:00", 1), ("2025-01-01T00:01:00+00:00", 1)],
            "collisions": 0,
        }
        assert json.loads(json.dumps(data))["total"] == 2

    def test_a_day_in_hours_unless_told(self, scheduler: Scheduler) -> None:
        scheduler.schedule("t", int, cron_expression="30 * * * *")
        forecast = scheduler.forecast()
        assert [runs for _, runs in forecast.buckets] == [1] * 24

    def test_in_the_schedulers_zone(self, clock: VirtualClock) -> None:
        from num_agents.scheduler import Scheduler

        forecast = Scheduler(clock=clock, timezone="Asia/Tokyo").forecast(60, 60)
        assert forecast.start.isoformat() == "2025-01-01T09:00:00+09:00"

    @pytest.mark.parametrize("bucket", [1, 7, 3600, 10_000])
    def test_of_any_bucket_the_sum_is_the_same(self, scheduler: Scheduler, bucket: int) -> None:
        scheduler.schedule("t", int, interval=13)
        forecast = scheduler.forecast(1000, bucket)
        assert sum(runs for _, runs in forecast.buckets) == forecast.total == 77
        assert len(forecast.buckets) == -(-1000 // bucket)

    @pytest.mark.parametrize("count", [-1, 1.5, None, "3", True])
    def test_bad_counts_of_the_busiest(self, scheduler: Scheduler, count: Any) -> None:
        with pytest.raises((TypeError, ValueError), match=r"^count must"):
            scheduler.forecast(60, 60).busiest(count)

    def test_it_changes_nothing(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        scheduler.schedule("t", int, interval=5, jitter=2)
        before = scheduler.statistics().to_dict(), clock.now()
        first = scheduler.forecast(3600, 60).to_dict()
        assert scheduler.forecast(3600, 60).to_dict() == first
        assert (scheduler.statistics().to_dict(), clock.now()) == before


class TestBuckets:
    """They are made when they are looked at, and otherwise a sequence like any."""

    @pytest.fixture
    def forecast(self, scheduler: Scheduler) -> Forecast:
        scheduler.schedule("t", int, interval=4)
        return scheduler.forecast(11, 2)

    ITEMS: ClassVar = [(at(2 * number), runs) for number, runs in enumerate([1, 0, 1, 0, 1, 0])]

    def test_are_a_sequence(self, forecast: Forecast) -> None:
        buckets = forecast.buckets
        assert (len(buckets), list(buckets)) == (6, self.ITEMS)
        assert list(reversed(buckets)) == self.ITEMS[::-1]
        assert [buckets[number] for number in range(-6, 6)] == self.ITEMS * 2
        for piece in (slice(2), slice(4, 99), slice(None, None, -2), slice(3, 3)):
            assert buckets[piece] == self.ITEMS[piece]
        assert self.ITEMS[3] in buckets
        assert (buckets.index(self.ITEMS[3]), buckets.count(self.ITEMS[3])) == (3, 1)
        assert 5 not in buckets

    @pytest.mark.parametrize("index", [6, -7])
    def test_beyond_the_end(self, forecast: Forecast, index: int) -> None:
        with pytest.raises(IndexError):
            forecast.buckets[index]

    def test_what_is_not_in_there(self, forecast: Forecast) -> None:
        with pytest.raises(ValueError, match="5 is not in the buckets"):
            forecast.buckets.index(5)

    def test_equal_what_has_the_same_items(self, forecast: Forecast, scheduler: Scheduler) -> None:
        assert forecast.buckets == self.ITEMS
        assert forecast.buckets == scheduler.forecast(11, 2).buckets
        assert forecast.buckets != self.ITEMS[:-1]
        assert forecast.buckets != [*self.ITEMS[:-1], (at(10), 1)]
        assert forecast.buckets != 5

    def test_say_what_they_are(self, forecast: Forecast) -> None:
        assert repr(forecast.buckets) == (
            "<6 buckets of 2 s: [(2025-01-01T00:00:00+00:00, 1), (2025-01-01T00:00:02+00:00, 0), "
            "(2025-01-01T00:00:04+00:00, 1), ...]>"
        )

    def test_more_of_them_than_are_made_at_once(self, scheduler: Scheduler) -> None:
        scheduler.schedule("t", int, interval=1000)
        buckets = scheduler.forecast(10_000, 1).buckets
        assert [number for number, (_, runs) in enumerate(buckets) if runs] == list(
            range(0, 10_000, 1000)
        )

    def test_by_the_second_of_a_month_take_no_memory(self, scheduler: Scheduler) -> None:
        scheduler.schedule("t", int, cron_expression="* * * * *")
        tracemalloc.start()
        try:
            forecast = scheduler.forecast(36 * 86_400, 1)
            assert forecast.total == 36 * 1440 - 1
            assert forecast.buckets[60] == (at(60), 1)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 2_000_000

    def test_ctrl_c_is_heard_while_runs_are_counted(self, scheduler: Scheduler) -> None:
        # Too many to count in this century; no two are counted together.
        for number in range(200):
            scheduler.schedule("t", int, interval=0.5, start_after=at(number / 1000))
        started = threading.Event()

        class HandlerError(Exception):
            pass

        def interrupt(*_: object) -> None:
            raise HandlerError

        def send() -> None:
            started.wait()
            signal.raise_signal(signal.SIGINT)

        before = signal.signal(signal.SIGINT, interrupt)
        sender = threading.Thread(target=send)
        sender.start()
        try:
            with pytest.raises(HandlerError):  # noqa: PT012 - the signal may come at once
                started.set()
                scheduler.forecast(366 * 86_400, 86_400)
        finally:
            sender.join()
            signal.signal(signal.SIGINT, before)


class TestWhatItCounts:
    def test_what_is_due_at_its_start_but_not_at_its_end(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        """Forecasts that follow each other count nothing twice and miss nothing."""
        scheduler.stop()
        scheduler.schedule("t", int, run_at=START)
        scheduler.schedule("t", int, cron_expression="0 0 * * *", start_after=START)
        scheduler.schedule("t", int, cron_expression="* * * * *", start_after=START)
        forecast = scheduler.forecast(86_400, 86_400)
        assert forecast.buckets == [(START, 1 + 1 + 1440)]
        scheduler.schedule("t", int, delay=86_400)
        assert scheduler.forecast(86_400).total == forecast.total
        assert scheduler.forecast(86_401).total == forecast.total + 3

    @pytest.mark.parametrize(
        ("schedule", "runs"),
        [
            ({}, 1),
            ({"delay": 599.9}, 1),
            ({"delay": 600}, 0),
            ({"run_at": START - timedelta(days=1)}, 1),
            ({"interval": 60}, 10),
            ({"interval": 60, "max_runs": 4}, 4),
            ({"interval": 60, "end_after": at(120)}, 3),
            ({"interval": 60, "fixed_delay": True}, 10),
            ({"interval": 60, "first_run": "after_interval"}, 9),
            ({"interval": 60, "start_after": at(301)}, 5),
            ({"interval": 0.25}, 2400),
            ({"interval": 0.25, "max_runs": 1000}, 1000),
            ({"interval": 0.25, "end_after": at(1.1)}, 5),
            ({"interval": 1e-6}, 600 * 10**6),
            ({"interval": 1e-6, "max_runs": 7}, 7),
            ({"cron_expression": "* * * * *"}, 9),
            ({"cron_expression": "*/7 * * * * *"}, 9 * 9 + 8),
            ({"cron_expression": "@every 90s"}, 6),
            ({"cron_expression": "* * * * *", "jitter": 59}, None),
            ({"cron_expression": "* * * * *", "window": 59}, None),
            ({"rrule": "FREQ=SECONDLY", "start_after": at(1)}, 599),
        ],
        ids=str,
    )
    def test_of_one_task(
        self, scheduler: Scheduler, clock: VirtualClock, schedule: dict[str, Any], runs: int | None
    ) -> None:
        scheduler.schedule("t", int, **schedule)
        forecast = scheduler.forecast(600, 60)
        if runs is not None:
            assert forecast.total == runs
        if forecast.total < 10_000:
            clock.advance(599.999999)
            assert scheduler.statistics().started == forecast.total

    def test_looking_far_ahead_takes_nothing_from_a_recurrence(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        pytest.importorskip("dateutil")
        scheduler.schedule("t", int, rrule="FREQ=MINUTELY")
        assert 10_000 <= scheduler.forecast(30 * 86_400, 86_400).total < 10_010
        clock.advance(599)
        assert scheduler.statistics().started == 10

    def test_paused_cancelled_and_ended_ones_are_left_out(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        scheduler.pause_task(scheduler.schedule("t", int, interval=1))
        scheduler.cancel_task(scheduler.schedule("t", int, interval=1))
        scheduler.schedule("t", int, delay=1)
        clock.advance(2)
        assert scheduler.forecast(60, 60).total == 0

    def test_what_runs_now_is_not_to_come(self, scheduler: Scheduler) -> None:
        seen: list[int] = []
        scheduler.schedule("t", lambda: seen.append(scheduler.forecast(60, 60).total))
        scheduler.schedule(
            "t", lambda: seen.append(scheduler.forecast(60, 60).total), interval=30, max_runs=2
        )
        clock = scheduler._virtual_clock
        assert clock is not None
        clock.advance(100)
        # The other is still to come; then one more of its own; then nothing.
        assert seen == [2, 1, 0]

    def test_late_work_comes_once(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        scheduler.schedule("t", int, interval=10)
        scheduler.schedule("t", int, delay=5)
        scheduler.schedule("t", int, cron_expression="*/10 * * * * *")
        scheduler.stop()
        clock.advance(1005)
        forecast = scheduler.forecast(30, 1)
        assert forecast.buckets[0] == (at(1005), 3)
        assert forecast.total == 3 + 2 * 3
        scheduler.start()
        clock.advance(29.999)
        assert scheduler.statistics().started == forecast.total

    def test_the_wall_as_it_is(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        scheduler.schedule("t", int, run_at=at(100))
        scheduler.schedule("t", int, delay=100)
        clock.shift_wall(50)
        assert scheduler.forecast(120, 120).busiest() == [(at(100), 1), (at(150), 1)]

    def test_a_window_a_year_ahead(self, scheduler: Scheduler) -> None:
        scheduler.schedule("t", int, cron_expression="0 9 * * *")
        forecast = scheduler.forecast(366 * 86_400, 86_400)
        assert forecast.total == len(forecast.buckets) == 366

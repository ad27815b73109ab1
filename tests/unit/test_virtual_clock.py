"""The clock that a test moves."""

from __future__ import annotations

import gc
import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from num_agents.scheduler import Scheduler
from num_agents.scheduler.testing import VirtualClock

START = datetime(2025, 1, 1, tzinfo=UTC)


class TestStart:
    def test_stands_at_a_fixed_moment_unless_told(self) -> None:
        assert VirtualClock().now() == START
        assert repr(VirtualClock()) == "<VirtualClock at 2025-01-01T00:00:00+00:00>"

    @pytest.mark.parametrize(
        ("start", "moment"),
        [
            (datetime(2030, 5, 1, tzinfo=UTC), datetime(2030, 5, 1, tzinfo=UTC)),
            ("2030-05-01T00:00:00+02:00", datetime(2030, 4, 30, 22, tzinfo=UTC)),
            (datetime(2030, 5, 1), datetime(2030, 5, 1).astimezone(UTC)),
            ("1970-01-01T00:00:01Z", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ],
    )
    def test_at_a_moment(self, start: Any, moment: datetime) -> None:
        assert VirtualClock(start=start).now() == moment

    def test_stands_still(self, clock: VirtualClock) -> None:
        assert [clock.now() for _ in range(3)] == [START] * 3


class TestMoving:
    def test_by_a_span_and_to_a_moment(self, clock: VirtualClock) -> None:
        clock.advance(1.5)
        clock.advance(timedelta(seconds=2))
        clock.advance(0)
        assert clock.now() == START + timedelta(seconds=3.5)
        clock.advance_to("2025-01-01T01:00:00Z")
        clock.advance_to(START.replace(hour=1).astimezone(timezone(timedelta(hours=3))))
        assert clock.now() == START.replace(hour=1)

    def test_never_backwards(self, clock: VirtualClock) -> None:
        clock.advance(10)
        with pytest.raises(ValueError, match=r"^moment must not lie before"):
            clock.advance_to(START)
        with pytest.raises(ValueError, match=r"^duration must not be negative"):
            clock.advance(-1)
        assert clock.now() == START + timedelta(seconds=10)

    def test_a_callback_may_move_it(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        seen: list[datetime] = []

        def callback() -> None:
            clock.advance(60)
            seen.append(clock.now())

        scheduler.schedule("slow", callback, delay=1)
        scheduler.schedule("other", lambda: seen.append(clock.now()), delay=30)
        clock.advance(10)
        assert seen == [START + timedelta(seconds=30), START + timedelta(seconds=61)]
        assert clock.now() == START + timedelta(seconds=61)

    def test_to_the_end_of_time(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        scheduler.schedule("t", int, run_at="9999-12-31T00:00:00Z")
        clock.advance_to("9999-12-31T00:00:00Z")
        assert clock.now().year == 2554
        with pytest.raises(OverflowError, match=r"^duration ends beyond the year 9999"):
            clock.advance(1e300)

    def test_from_several_threads(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        ran: list[int] = []
        scheduler.schedule("t", ran.append, interval=1, args=(1,), first_run="after_interval")

        def move() -> None:
            for _ in range(25):
                clock.advance(1)

        threads = [threading.Thread(target=move) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Where two threads add a second to the same moment, it is one second.
        assert len(ran) == (clock.now() - START).total_seconds()

    def test_runs_in_the_thread_that_moves_it(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        task_id = scheduler.schedule("t", threading.get_ident)
        assert scheduler.result(task_id) == threading.get_ident()
        assert threading.active_count() == 1


class TestSchedulers:
    def test_only_those_that_run(self, clock: VirtualClock) -> None:
        ran: list[str] = []
        stopped, running = Scheduler(clock=clock), Scheduler(clock=clock)
        stopped.schedule("t", ran.append, delay=1, args=("stopped",))
        running.schedule("t", ran.append, delay=1, args=("running",))
        running.start()
        clock.advance(5)
        assert ran == ["running"]

    def test_it_keeps_none_alive(self, clock: VirtualClock) -> None:
        for _ in range(10):
            Scheduler(clock=clock).start()
        gc.collect()
        clock.advance(1)
        Scheduler(clock=clock)
        assert len(clock._schedulers) == 1

    def test_waiting_moves_it_no_further_than_needed(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        scheduler.schedule("later", print, delay=100)
        assert scheduler.result(scheduler.schedule("t", lambda: 7, delay=10)) == 7
        assert clock.now() == START + timedelta(seconds=10)

    def test_a_task_of_a_stopped_scheduler_cannot_be_waited_for(self, clock: VirtualClock) -> None:
        scheduler = Scheduler(clock=clock)
        task_id = scheduler.schedule("t", print)
        with pytest.raises(RuntimeError, match="would never end"):
            scheduler.wait_for_task(task_id)
        with pytest.raises(TimeoutError):
            scheduler.wait_for_task(task_id, 5)


class TestDefault:
    def test_becomes_the_clock_of_schedulers_made_inside(self) -> None:
        with VirtualClock() as clock:
            assert Scheduler().now() == START
        assert Scheduler().now() != START
        assert clock.now() == START

    def test_the_one_given_goes_first(self) -> None:
        with VirtualClock(start="2030-01-01T00:00:00Z"):
            assert Scheduler(clock=VirtualClock()).now() == START

    def test_nested(self) -> None:
        outer, inner = VirtualClock(), VirtualClock(start="2030-01-01T00:00:00Z")
        with outer:
            with inner, inner:
                assert Scheduler().now() == inner.now()
            with outer:
                assert Scheduler().now() == START
            assert Scheduler().now() == START
        assert Scheduler().now() != START

    def test_ends_with_an_exception_too(self) -> None:
        def leave() -> None:
            with VirtualClock():
                raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            leave()
        assert Scheduler().now() != START


def test_two_programs_on_two_clocks() -> None:
    first, second = VirtualClock(), VirtualClock()
    with Scheduler(clock=first) as one, Scheduler(clock=second) as other:
        one.schedule("t", int, delay=1)
        other.schedule("t", int, delay=1)
        first.advance(5)
        assert (one.statistics().completed, other.statistics().completed) == (1, 0)

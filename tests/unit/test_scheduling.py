"""When tasks run, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler import Scheduler, current_run
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def log(clock: VirtualClock) -> Log:
    return Log(clock)


class Log:
    """What ran when, in seconds since the start."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.entries: list[tuple[str, float]] = []

    def __call__(self, name: str = "") -> None:
        self.entries.append((name, self.seconds()))

    def taking(self, duration: float) -> Callable[..., None]:
        """A callback that takes its time."""

        def callback(name: str = "") -> None:
            self(name)
            self.clock.advance(duration)

        return callback

    def seconds(self) -> float:
        return (self.clock.now() - START).total_seconds()

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.entries]

    @property
    def times(self) -> list[float]:
        return [moment for _, moment in self.entries]


def nominal_second() -> float:
    run = current_run()
    assert run is not None
    return (run.nominal_time - START).total_seconds()


class TestOnce:
    def test_without_a_time_it_is_due_at_once(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        scheduler.schedule("t", log)
        assert log.entries == []
        clock.advance(0)
        assert log.times == [0]

    @pytest.mark.parametrize("delay", [2, 2.0, timedelta(seconds=2)])
    def test_after_a_delay_and_never_early(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log, delay: Any
    ) -> None:
        scheduler.schedule("t", log, delay=delay)
        clock.native.set_ns(clock.native.now_ns() + 2_000_000_000 - 1)
        clock.advance(0)
        assert log.times == []
        clock.advance(1)
        assert log.times == [2]
        clock.advance(100)
        assert log.times == [2]

    @pytest.mark.parametrize(
        "moment",
        [START + timedelta(seconds=7), "2025-01-01T00:00:07Z", "2025-01-01T02:00:07+02:00"],
    )
    def test_at_a_moment(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log, moment: Any
    ) -> None:
        scheduler.schedule("t", log, run_at=moment)
        clock.advance(10)
        assert log.times == [7]

    def test_at_a_moment_that_has_passed_it_is_due_now_and_known_to_be_late(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        task_id = scheduler.schedule("t", nominal_second, run_at="2024-12-31T23:59:00Z")
        assert [task.task_id for task in scheduler.get_due_tasks()] == [task_id]
        outcome = scheduler.wait_for_task(task_id)
        assert outcome.value == -60
        assert outcome.lateness == 60
        assert outcome.started_at == START

    def test_start_after_holds_a_one_shot_back(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        after = START + timedelta(seconds=50)
        held: list[dict[str, Any]] = [{"run_at": START}, {"run_at": "2024-01-01"}, {"delay": 3}, {}]
        for times in held:
            scheduler.schedule("t", log, start_after=after, **times)
        scheduler.schedule("t", log, start_after=after, delay=70)
        clock.advance(100)
        assert log.times == [50, 50, 50, 50, 70]

    def test_the_end_is_inclusive(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        end = START + timedelta(seconds=5)
        scheduler.schedule("t", log, delay=5, end_after=end)
        with pytest.raises(ValueError, match="end_after"):
            scheduler.schedule("t", log, delay=5.000001, end_after=end)
        clock.advance(10)
        assert log.times == [5]

    def test_scheduled_before_the_start_and_while_stopped(
        self, clock: VirtualClock, log: Log
    ) -> None:
        scheduler = Scheduler(clock=clock)
        scheduler.schedule("early", log, delay=1, args=["early"])
        clock.advance(5)
        assert log.entries == []
        scheduler.start()
        clock.advance(0)
        assert log.entries == [("early", 5)]

    def test_arguments(self, scheduler: Scheduler) -> None:
        def callback(*args: Any, **kwargs: Any) -> Any:
            return args, kwargs

        generator = (number for number in (1, 2))
        task_id = scheduler.schedule("t", callback, args=generator, kwargs={"key": 3})
        assert scheduler.result(task_id) == ((1, 2), {"key": 3})
        assert scheduler.result(scheduler.schedule("t", callback, args=[4])) == ((4,), {})


class TestOrder:
    def test_by_priority_then_due_time_then_scheduling(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        scheduler.stop()
        for name, delay, priority in [
            ("late", 3, 128),
            ("first", 2, 128),
            ("second", 2, 128),
            ("early", 1, 128),
            ("last", 0, 255),
            ("urgent", 3, 0),
            ("pressing", 3, 127),
        ]:
            scheduler.schedule(name, log, delay=delay, priority=priority, args=[name])
        clock.advance(5)
        scheduler.start()
        clock.advance(0)
        assert log.names == ["urgent", "pressing", "early", "first", "second", "late", "last"]

    def test_each_runs_at_its_own_moment(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        for delay in (3, 1, 2, 2.5):
            scheduler.schedule("t", log, delay=delay, priority=int(delay))
        clock.advance(10)
        assert log.times == [1, 2, 2.5, 3]

    def test_what_is_past_is_in_order_of_scheduling(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        """Their due time is now: a moment that has passed does not overtake what is due."""
        for name, moment in [("a", "2024-12-31"), ("b", "2023-01-01"), ("c", None)]:
            scheduler.schedule(name, log, run_at=moment, args=[name])
        clock.advance(0)
        assert log.names == ["a", "b", "c"]

    def test_a_task_scheduled_by_a_callback_runs_in_the_same_move(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        def chain(depth: int) -> None:
            log(str(depth))
            if depth:
                scheduler.schedule("t", chain, delay=1, args=[depth - 1])

        scheduler.schedule("t", chain, args=[3])
        clock.advance(10)
        assert log.entries == [("3", 0), ("2", 1), ("1", 2), ("0", 3)]

    def test_two_schedulers_on_one_clock_share_its_time(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        with Scheduler(clock=clock) as other:
            scheduler.schedule("t", log, delay=1, args=["a1"])
            other.schedule("t", log, delay=2, args=["b2"])
            scheduler.schedule("t", log, delay=3, args=["a3"])
            clock.advance(5)
        assert log.entries == [("a1", 1), ("b2", 2), ("a3", 3)]


class TestRecurring:
    def test_a_fixed_rate_from_now_on(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        task_id = scheduler.schedule("t", log, interval=10)
        clock.advance(35)
        assert log.times == [0, 10, 20, 30]
        task = scheduler.tasks[task_id]
        assert task.status == "pending"
        assert task.next_run == START + timedelta(seconds=40)
        assert task.run_count == 4

    def test_the_grid_does_not_drift(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        third = 0.333_333_333
        times: list[int] = []
        scheduler.schedule("t", lambda: times.append(clock.native.now_ns()), interval=third)
        clock.advance(1000)
        first = times[0]
        assert times == [first + number * 333_333_333 for number in range(len(times))]
        assert len(times) == 3001

    def test_a_late_run_does_not_move_the_grid(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        scheduler.schedule("slow", log.taking(7), interval=10)
        clock.advance(29)
        assert log.times == [0, 10, 20]

    def test_a_fixed_delay_counts_from_completion(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        scheduler.schedule("slow", log.taking(7), interval=10, fixed_delay=True)
        clock.advance(60)
        assert log.times == [0, 17, 34, 51]

    @pytest.mark.parametrize(
        ("word", "times"),
        [("now", [0, 60, 120]), ("after_interval", [60, 120]), ("aligned", [0, 60, 120])],
    )
    def test_first_run_words(
        self,
        scheduler: Scheduler,
        clock: VirtualClock,
        log: Log,
        word: Any,
        times: list[float],
    ) -> None:
        scheduler.schedule("t", log, interval=60, first_run=word)
        clock.advance(130)
        assert log.times == times

    def test_aligned_means_multiples_of_the_interval_since_1970(self) -> None:
        clock = VirtualClock(start="2025-01-01T00:07:31Z")
        log = Log(clock)
        with Scheduler(clock=clock) as scheduler:
            scheduler.schedule("t", log, interval=timedelta(minutes=5), first_run="aligned")
            clock.advance(600)
        assert log.times == [600, 900]

    @pytest.mark.parametrize(
        ("word", "times"),
        [("now", [15, 25, 35]), ("after_interval", [25, 35]), ("aligned", [20, 30])],
    )
    def test_first_run_words_count_from_a_start_in_the_future(
        self,
        scheduler: Scheduler,
        clock: VirtualClock,
        log: Log,
        word: Any,
        times: list[float],
    ) -> None:
        start = START + timedelta(seconds=15)
        scheduler.schedule("t", log, interval=10, start_after=start, first_run=word)
        clock.advance(39)
        assert log.times == times

    def test_a_start_in_the_past_anchors_the_grid(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        scheduler.schedule("t", log, interval=10, start_after="2020-01-01T00:00:03Z")
        clock.advance(15)
        assert log.times == [3, 13]

    def test_the_end_is_inclusive_and_ends_the_task_completed(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        task_id = scheduler.schedule("t", log, interval=10, end_after="2025-01-01T00:00:30Z")
        clock.advance(100)
        assert log.times == [0, 10, 20, 30]
        assert scheduler.tasks[task_id].status == "completed"

    def test_the_end_is_judged_by_the_due_time(self, clock: VirtualClock, log: Log) -> None:
        scheduler = Scheduler(clock=clock)
        scheduler.schedule("t", log, delay=5, end_after="2025-01-01T00:00:06Z")
        clock.advance(50)
        scheduler.start()
        clock.advance(0)
        assert log.times == [50]

    @pytest.mark.parametrize("max_runs", [1, 2, 5])
    def test_at_most_so_many_runs(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log, max_runs: int
    ) -> None:
        task_id = scheduler.schedule("t", log, interval=1, max_runs=max_runs)
        clock.advance(100)
        assert len(log.times) == max_runs
        assert scheduler.tasks[task_id].status == "completed"
        assert scheduler.statistics().pending == 0

    def test_failed_runs_count(self, scheduler: Scheduler, clock: VirtualClock, log: Log) -> None:
        def fail() -> None:
            log()
            raise ValueError("no")

        task_id = scheduler.schedule("t", fail, interval=1, max_runs=2)
        clock.advance(1)
        clock.advance(100)
        assert log.times == [0, 1]
        task = scheduler.tasks[task_id]
        assert task.status == "failed"
        assert task.run_count == 2

    def test_a_failed_run_does_not_stop_the_next(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        def fail_at_first() -> str:
            log()
            if len(log.times) == 1:
                raise ValueError("no")
            return "well"

        task = scheduler.tasks[scheduler.schedule("t", fail_at_first, interval=1)]
        clock.advance(0)
        assert repr(task.error) == "ValueError('no')"
        assert (task.status, task.result) == ("pending", None)
        clock.advance(1)
        assert (task.error, task.result) == (None, "well")

    @pytest.mark.filterwarnings("ignore:max_runs has no effect")
    def test_max_runs_of_a_one_shot(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        scheduler.schedule("t", log, delay=1, max_runs=3)
        clock.advance(10)
        assert log.times == [1]

    def test_many_tasks_of_one_interval_keep_the_order_of_scheduling(
        self, scheduler: Scheduler, clock: VirtualClock, log: Log
    ) -> None:
        for name in "abc":
            scheduler.schedule(name, log, interval=1, args=[name])
        clock.advance(2)
        assert log.names == list("abc" * 3)

    def test_pauses_after_so_many_failures_in_a_row(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        results = iter([1, 0, 1, 0, 0, 1])

        def sometimes() -> None:
            if not next(results):
                raise ValueError("no")

        task_id = scheduler.schedule("t", sometimes, interval=1, pause_after_failures=2)
        clock.advance(100)
        task = scheduler.tasks[task_id]
        assert task.status == "paused"
        assert task.run_count == 5
        assert scheduler.resume_task(task_id)
        clock.advance(0)
        assert task.run_count == 6


class TestCurrentRun:
    def test_tells_a_callback_of_its_run(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        seen: list[Any] = []

        def callback() -> None:
            run = current_run()
            assert run is not None
            seen.append((run.task_id, run.task_name, run.nominal_time, run.missed))
            assert not run.is_cancelled
            assert "Run of 't'" in repr(run)

        task_id = scheduler.schedule("t", callback, delay=3)
        clock.advance(5)
        assert seen == [(task_id, "t", START + timedelta(seconds=3), 0)]

    def test_there_is_none_outside(self, scheduler: Scheduler) -> None:
        assert current_run() is None
        scheduler.result(scheduler.schedule("t", print))
        assert current_run() is None

    def test_is_still_there_after_a_wait_inside_of_it(self, scheduler: Scheduler) -> None:
        inner = scheduler.schedule("inner", lambda: 1, delay=1)

        def outer() -> str | None:
            scheduler.wait_for_task(inner)
            run = current_run()
            return None if run is None else run.task_name

        assert scheduler.result(scheduler.schedule("outer", outer)) == "outer"

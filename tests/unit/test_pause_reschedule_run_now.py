"""Changing a task's time by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler import Scheduler, current_run

if TYPE_CHECKING:
    from num_agents.scheduler.testing import VirtualClock

START = datetime(2025, 1, 1, tzinfo=UTC)


class Times:
    """A callback that notes the second it runs at."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.seconds: list[float] = []

    def __call__(self) -> None:
        self.seconds.append((self.clock.now() - START).total_seconds())


@pytest.fixture
def times(clock: VirtualClock) -> Times:
    return Times(clock)


class TestPause:
    def test_keeps_a_one_shot_until_resumed(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        task_id = scheduler.schedule("t", times, delay=5)
        assert scheduler.pause_task(task_id)
        assert not scheduler.pause_task(task_id)
        task = scheduler.tasks[task_id]
        assert task.status == "paused"
        assert task.next_run == START + timedelta(seconds=5)
        clock.advance(10)
        assert times.seconds == []
        assert scheduler.resume_task(task_id)
        assert not scheduler.resume_task(task_id)
        clock.advance(0)
        assert times.seconds == [10]

    def test_resumed_in_time_it_runs_in_time(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        task_id = scheduler.schedule("t", times, delay=5)
        scheduler.pause_task(task_id)
        clock.advance(3)
        scheduler.resume_task(task_id)
        clock.advance(10)
        assert times.seconds == [5]

    def test_a_resume_releases_no_burst_and_keeps_the_grid(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        task_id = scheduler.schedule("t", times, interval=10)
        clock.advance(15)
        scheduler.pause_task(task_id)
        clock.advance(42)
        scheduler.resume_task(task_id)
        clock.advance(13)
        assert times.seconds == [0, 10, 57, 60, 70]
        assert scheduler.tasks[task_id].to_dict()["missed"] == 3

    def test_a_due_task_is_paused_too(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        second = scheduler.schedule("second", times, delay=1)
        scheduler.schedule("first", lambda: scheduler.pause_task(second), delay=1, priority=0)
        clock.advance(5)
        assert times.seconds == []
        assert scheduler.tasks[second].status == "paused"

    def test_while_it_runs_it_is_paused_afterwards(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        answers: list[Any] = []

        def callback() -> None:
            run = current_run()
            assert run is not None
            answers.append(scheduler.pause_task(run.task_id))
            answers.append(scheduler.tasks[run.task_id].status.value)

        task_id = scheduler.schedule("t", callback, interval=10)
        clock.advance(100)
        assert answers == [True, "running"]
        task = scheduler.tasks[task_id]
        assert (task.status, task.run_count) == ("paused", 1)
        assert scheduler.statistics().paused == 1

    def test_paused_and_resumed_while_it_runs_it_goes_on(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        runs: list[int] = []

        def callback() -> None:
            run = current_run()
            assert run is not None
            runs.append(1)
            assert scheduler.pause_task(run.task_id)
            assert scheduler.resume_task(run.task_id)

        scheduler.schedule("t", callback, interval=10)
        clock.advance(20)
        assert len(runs) == 3

    def test_a_one_shot_paused_while_it_runs_just_ends(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        def callback() -> None:
            run = current_run()
            assert run is not None
            scheduler.pause_task(run.task_id)

        task_id = scheduler.schedule("t", callback)
        clock.advance(1)
        assert scheduler.tasks[task_id].status == "completed"
        assert scheduler.statistics().paused == 0

    def test_of_an_ended_task_is_false(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        task_id = scheduler.schedule("t", print)
        clock.advance(0)
        assert not scheduler.pause_task(task_id)
        assert not scheduler.resume_task(task_id)
        pending = scheduler.schedule("t", print, delay=1)
        assert not scheduler.resume_task(pending)


class TestReschedule:
    @pytest.mark.parametrize("to", [{"delay": 7}, {"run_at": "2025-01-01T00:00:07Z"}])
    def test_gives_another_time_and_keeps_the_id(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times, to: dict[str, Any]
    ) -> None:
        task_id = scheduler.schedule("t", times, delay=3)
        assert scheduler.reschedule_task(task_id, **to)
        assert scheduler.tasks[task_id].next_run == START + timedelta(seconds=7)
        clock.advance(20)
        assert times.seconds == [7]
        assert scheduler.tasks[task_id].status == "completed"

    def test_to_an_earlier_time(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        task_id = scheduler.schedule("t", times, delay=30)
        scheduler.reschedule_task(task_id, delay=2)
        clock.advance(100)
        assert times.seconds == [2]

    def test_to_the_past_is_now_and_late(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", print, delay=30)
        scheduler.reschedule_task(task_id, run_at="2024-12-31T23:59:50Z")
        outcome = scheduler.wait_for_task(task_id)
        assert outcome.lateness == 10
        assert outcome.started_at == START

    def test_a_recurring_task_goes_on_from_there(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        task_id = scheduler.schedule("t", times, interval=10)
        clock.advance(5)
        scheduler.reschedule_task(task_id, delay=1)
        clock.advance(25)
        assert times.seconds == [0, 6, 16, 26]

    def test_wins_over_the_next_occurrence_of_a_running_task(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        def callback() -> None:
            times()
            run = current_run()
            if run is not None and len(times.seconds) == 1:
                assert scheduler.reschedule_task(run.task_id, delay=3)

        scheduler.schedule("t", callback, interval=10)
        clock.advance(25)
        assert times.seconds == [0, 3, 13, 23]

    def test_a_running_one_shot_runs_again(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        def callback() -> None:
            times()
            run = current_run()
            if run is not None and len(times.seconds) < 3:
                scheduler.reschedule_task(run.task_id, delay=2)

        task_id = scheduler.schedule("t", callback)
        clock.advance(100)
        assert times.seconds == [0, 2, 4]
        assert scheduler.tasks[task_id].run_count == 3

    def test_a_paused_task_stays_paused(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        task_id = scheduler.schedule("t", times, delay=3)
        scheduler.pause_task(task_id)
        assert scheduler.reschedule_task(task_id, delay=7)
        clock.advance(5)
        assert scheduler.tasks[task_id].status == "paused"
        scheduler.resume_task(task_id)
        clock.advance(5)
        assert times.seconds == [7]

    def test_changes_the_place_in_the_order(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        order: list[str] = []
        ids = [scheduler.schedule(name, order.append, delay=5, args=[name]) for name in "abc"]
        scheduler.reschedule_task(ids[0], delay=5)
        clock.advance(5)
        assert order == ["b", "c", "a"]

    def test_of_an_ended_task_is_false(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        task_id = scheduler.schedule("t", print)
        clock.advance(0)
        assert not scheduler.reschedule_task(task_id, delay=1)
        assert not scheduler.reschedule_task("nonsense", delay=1)

    def test_wants_one_time(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", print, delay=1)
        with pytest.raises(ValueError, match=r"^give either delay or run_at"):
            scheduler.reschedule_task(task_id)
        with pytest.raises(ValueError, match=r"^give either delay or run_at"):
            scheduler.reschedule_task(task_id, delay=1, run_at="2030-01-01")
        assert scheduler.tasks[task_id].next_run == START + timedelta(seconds=1)


class TestRunNow:
    def test_runs_a_one_shot_and_again_at_its_time(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        task_id = scheduler.schedule("t", times, delay=5)
        assert scheduler.run_now(task_id)
        clock.advance(10)
        assert times.seconds == [0, 5]
        assert scheduler.tasks[task_id].run_count == 1

    def test_does_not_move_the_grid_and_is_not_counted(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        task_id = scheduler.schedule("t", times, interval=10, max_runs=3)
        clock.advance(5)
        assert scheduler.run_now(task_id)
        clock.advance(100)
        assert times.seconds == [0, 5, 10, 20]
        assert scheduler.tasks[task_id].run_count == 3

    def test_twice_before_it_runs_is_once(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        task_id = scheduler.schedule("t", times, delay=5)
        assert scheduler.run_now(task_id)
        assert not scheduler.run_now(task_id)
        clock.advance(0)
        assert scheduler.run_now(task_id)
        clock.advance(0)
        assert times.seconds == [0, 0]

    def test_of_a_paused_task_runs_once_and_leaves_it_paused(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        every: dict[str, Any] = {"interval": 10, "first_run": "after_interval"}
        for options in (every, {"delay": 3}, {"cron_expression": "* * * * *"}):
            times.seconds.clear()
            task_id = scheduler.schedule("t", times, **options)
            scheduler.pause_task(task_id)
            next_run = scheduler.tasks[task_id].next_run
            assert scheduler.run_now(task_id)
            clock.advance(0)
            assert len(times.seconds) == 1
            task = scheduler.tasks[task_id]
            assert (task.status, task.next_run, task.run_count) == ("paused", next_run, 0)
            clock.advance(100)
            assert len(times.seconds) == 1
            scheduler.resume_task(task_id)
            clock.advance(0)
            assert len(times.seconds) == 2
            scheduler.cancel_task(task_id)

    def test_of_a_task_that_runs_or_has_ended_is_false(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        answers: list[bool] = []

        def callback() -> None:
            run = current_run()
            assert run is not None
            answers.append(scheduler.run_now(run.task_id))

        ended = scheduler.schedule("t", callback)
        clock.advance(0)
        assert answers == [False]
        assert not scheduler.run_now(ended)

    def test_before_the_next_time_passes_that_is_late_work(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        task_id = scheduler.schedule("t", times, interval=10)
        clock.advance(5)
        scheduler.stop()
        scheduler.run_now(task_id)
        clock.advance(20)
        scheduler.start()
        clock.advance(10)
        # The run by hand, then the latest of those due at 10 and 20, then 30.
        assert times.seconds == [0, 25, 25, 30]

    def test_reschedule_and_cancel_apply_to_it(
        self, scheduler: Scheduler, clock: VirtualClock, times: Times
    ) -> None:
        scheduler.stop()
        moved = scheduler.schedule("t", times, delay=5)
        scheduler.run_now(moved)
        assert scheduler.reschedule_task(moved, delay=8)
        cancelled = scheduler.schedule("t", times, delay=5)
        scheduler.run_now(cancelled)
        assert scheduler.cancel_task(cancelled)
        scheduler.start()
        clock.advance(20)
        assert times.seconds == [8]


class TestRunNowOfAPausedTask:
    """It runs once, and stays paused."""

    @pytest.mark.parametrize(
        "options", [{"delay": 5}, {"interval": 10}, {"cron_expression": "* * * * *"}]
    )
    def test_runs_it_once(
        self,
        scheduler: Scheduler,
        clock: VirtualClock,
        times: Times,
        options: dict[str, Any],
    ) -> None:
        clock.advance(1)
        task_id = scheduler.schedule("t", times, **options)
        scheduler.pause_task(task_id)
        before = scheduler.get_task(task_id)
        assert before is not None
        assert scheduler.run_now(task_id)
        clock.advance(1000)
        assert times.seconds == [1]
        task = scheduler.get_task(task_id)
        assert task is not None
        assert (task.status, task.run_count) == ("paused", before.run_count)
        # And once more.
        assert scheduler.run_now(task_id)
        clock.advance(1000)
        assert times.seconds == [1, 1001]
        assert scheduler.resume_task(task_id)
        clock.advance(100)
        assert len(times.seconds) > 2

    def test_that_fails_or_is_waited_for(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        def fail() -> None:
            raise ValueError("no")

        task_id = scheduler.schedule("t", fail, interval=10, first_run="after_interval")
        scheduler.pause_task(task_id)
        assert scheduler.run_now(task_id)
        assert scheduler.wait_for_task(task_id).status == "failed"
        clock.advance(100)
        task = scheduler.get_task(task_id)
        assert task is not None
        assert task.status == "paused"


class TestPauseAfterFailures:
    @pytest.mark.parametrize("kwargs", [{}, {"a": 1}])
    def test_a_resume_begins_to_count_anew(
        self, scheduler: Scheduler, clock: VirtualClock, kwargs: dict[str, int]
    ) -> None:
        runs: list[int] = []

        def fail(**_: int) -> None:
            runs.append(1)
            raise ValueError("no")

        task_id = scheduler.schedule("t", fail, interval=1, pause_after_failures=3, kwargs=kwargs)
        for resumed in range(1, 4):
            clock.advance(10)
            task = scheduler.get_task(task_id)
            assert task is not None
            assert (task.status, len(runs)) == ("paused", 3 * resumed)
            assert scheduler.resume_task(task_id)

    def test_a_pause_by_hand_in_between(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        runs: list[int] = []

        def fail() -> None:
            runs.append(1)
            raise ValueError("no")

        task_id = scheduler.schedule("t", fail, interval=1, pause_after_failures=3)
        clock.advance(1)
        assert len(runs) == 2
        scheduler.pause_task(task_id)
        scheduler.resume_task(task_id)
        clock.advance(1.5)
        assert len(runs) == 3
        assert scheduler.get_task(task_id).status == "pending"  # type: ignore[union-attr]


class TestJitter:
    def test_next_run_is_not_past_while_a_run_waits_for_its_jitter(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        ids = [scheduler.schedule("t", int, interval=60, jitter=50) for _ in range(20)]
        waited = 0
        for _ in range(200):
            clock.advance(1)
            for task_id in ids:
                task = scheduler.get_task(task_id)
                assert task is not None
                assert task.next_run is not None
                assert task.next_run > clock.now()
                waited += (clock.now() - START).total_seconds() % 60 < 50
        assert waited > 0

    @pytest.mark.parametrize(
        "options", [{"interval": 60}, {"delay": 60}, {"cron_expression": "* * * * *"}]
    )
    def test_lateness_does_not_count_it(
        self, scheduler: Scheduler, clock: VirtualClock, options: dict[str, Any]
    ) -> None:
        ids = [scheduler.schedule("t", int, jitter=50, **options) for _ in range(10)]
        shown = {}
        for task_id in ids:
            task = scheduler.get_task(task_id)
            assert task is not None
            shown[task_id] = task.next_run
        outcomes = [scheduler.wait_for_task(task_id) for task_id in ids]
        assert {outcome.lateness for outcome in outcomes} == {0.0}
        delays = set()
        for task_id, outcome in zip(ids, outcomes, strict=True):
            assert outcome.started_at is not None
            # Waiting for one has run the others before: theirs is a later run.
            if outcome.run_count == 1:
                assert outcome.started_at == shown[task_id]
            delays.add((outcome.started_at - outcome.nominal_time).total_seconds())
        assert len(delays) > 5
        assert all(0 <= delay <= 50 for delay in delays)
        del clock

    def test_real_lateness_counts(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        task_id = scheduler.schedule("t", int, delay=10, jitter=5)
        task = scheduler.get_task(task_id)
        assert task is not None
        assert task.next_run is not None
        late = 20 - (task.next_run - START).total_seconds()
        clock.suspend(20)
        assert scheduler.wait_for_task(task_id).lateness == pytest.approx(late)

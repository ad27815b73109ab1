"""Cancelling: before, while and after a task runs, one or many, by good ids and bad."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus import EventBus
from num_agents.scheduler import Scheduler, TaskCancelledError, current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from num_agents.scheduler.testing import VirtualClock


def unexpected() -> None:
    raise AssertionError("a cancelled task has run")


class TestBefore:
    def test_a_pending_task(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        task_id = scheduler.schedule("t", unexpected, delay=1)
        assert scheduler.cancel_task(task_id)
        assert not scheduler.cancel_task(task_id)
        clock.advance(10)
        task = scheduler.tasks[task_id]
        assert (task.status, task.run_count, task.error) == ("cancelled", 0, None)
        assert scheduler.statistics().cancelled == 1
        assert scheduler.statistics().pending == 0

    def test_a_due_task(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        second = scheduler.schedule("second", unexpected, delay=1)
        first = scheduler.schedule(
            "first", lambda: scheduler.cancel_task(second), delay=1, priority=0
        )
        clock.advance(1)
        assert scheduler.result(first) is True
        assert scheduler.tasks[second].status == "cancelled"

    def test_a_paused_task(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        task_id = scheduler.schedule("t", unexpected, delay=1)
        scheduler.pause_task(task_id)
        assert scheduler.cancel_task(task_id)
        assert not scheduler.resume_task(task_id)
        clock.advance(5)
        assert scheduler.statistics().paused == 0

    def test_a_recurring_task_between_runs(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        ran: list[int] = []
        task_id = scheduler.schedule("t", ran.append, args=(1,), interval=1)
        clock.advance(2)
        assert scheduler.cancel_task(task_id)
        clock.advance(10)
        assert len(ran) == 3
        assert scheduler.tasks[task_id].status == "cancelled"
        assert scheduler.tasks[task_id].run_count == 3

    def test_while_stopped(self, clock: VirtualClock) -> None:
        scheduler = Scheduler(clock=clock)
        task_id = scheduler.schedule("t", unexpected)
        assert scheduler.cancel_task(task_id)
        scheduler.start()
        clock.advance(1)


class TestWhile:
    def test_a_run_is_told_and_ends_as_cancelled(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        seen: list[bool] = []

        def callback() -> str:
            run = current_run()
            assert run is not None
            seen.append(run.is_cancelled)
            seen.append(scheduler.cancel_task(run.task_id))
            seen.append(run.is_cancelled)
            seen.append(scheduler.cancel_task(run.task_id))
            return "value"

        task_id = scheduler.schedule("t", callback)
        clock.advance(0)
        assert seen == [False, True, True, False]
        assert scheduler.tasks[task_id].status == "cancelled"
        with pytest.raises(TaskCancelledError, match="was cancelled"):
            scheduler.result(task_id)

    def test_a_recurring_one_does_not_come_back(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        ran: list[str] = []

        def callback() -> None:
            run = current_run()
            assert run is not None
            ran.append(run.task_id)
            if len(ran) == 3:
                scheduler.cancel_task(run.task_id)

        task_id = scheduler.schedule("t", callback, interval=1)
        clock.advance(100)
        assert ran == [task_id] * 3
        assert scheduler.tasks[task_id].status == "cancelled"
        assert scheduler.statistics().pending == 0

    def test_neither_a_reschedule_nor_a_pause_brings_it_back(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        answers: list[bool] = []

        def callback() -> None:
            run = current_run()
            assert run is not None
            answers.append(scheduler.reschedule_task(run.task_id, delay=5))
            answers.append(scheduler.cancel_task(run.task_id))
            answers.append(scheduler.reschedule_task(run.task_id, delay=1))
            answers.append(scheduler.pause_task(run.task_id))
            answers.append(scheduler.run_now(run.task_id))

        task_id = scheduler.schedule("t", callback, interval=1)
        clock.advance(100)
        assert answers == [True, True, False, False, False]
        assert scheduler.tasks[task_id].status == "cancelled"

    def test_one_that_fails_after_that_is_still_cancelled(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        def callback() -> None:
            run = current_run()
            assert run is not None
            scheduler.cancel_task(run.task_id)
            raise ValueError("gave up")

        task_id = scheduler.schedule("t", callback)
        clock.advance(0)
        assert scheduler.tasks[task_id].status == "cancelled"

    def test_from_another_thread(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded()
        began, told = threading.Event(), threading.Event()

        def callback() -> None:
            run = current_run()
            assert run is not None
            began.set()
            while not run.is_cancelled:
                pass
            told.set()

        task_id = scheduler.schedule("t", callback)
        assert began.wait(5)
        assert scheduler.cancel_task(task_id)
        assert told.wait(5)
        assert scheduler.wait_for_task(task_id).status == "cancelled"


class TestIds:
    def test_of_a_finished_task(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        task_id = scheduler.schedule("t", print)
        clock.advance(0)
        assert not scheduler.cancel_task(task_id)
        assert scheduler.tasks[task_id].status == "completed"

    def test_a_stale_one_never_touches_the_next_task_in_its_slot(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        stale = [scheduler.schedule("t", print) for _ in range(100)]
        clock.advance(0)
        fresh = [scheduler.schedule("t", print, delay=1) for _ in range(100)]
        assert not set(stale) & set(fresh)
        assert not any(map(scheduler.cancel_task, stale))
        assert scheduler.cancel_many(stale) == 0
        assert scheduler.statistics().pending == 100

    def test_of_another_scheduler(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        other = Scheduler(clock=clock)
        foreign = other.schedule("t", print, delay=1)
        scheduler.schedule("t", print, delay=1)
        assert not scheduler.cancel_task(foreign)
        assert scheduler.get_task(foreign) is None
        assert not scheduler.pause_task(foreign)
        assert not scheduler.reschedule_task(foreign, delay=1)
        assert not scheduler.run_now(foreign)
        assert other.cancel_task(foreign)

    def test_malformed_ones_are_unknown(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", print, delay=1)
        malformed = [
            "",
            "x",
            task_id[:-1],
            task_id + "0",
            task_id.upper(),
            task_id.replace("-", ""),
            task_id.replace("-", "_"),
            f"{{{task_id}}}",
            f" {task_id}",
            task_id[:-1] + "g",
            task_id[:-1] + "é",
            "\ud800" + task_id[1:],
            "\0" * 36,
            "0" * 36,
            "ffffffff-ffff-8fff-bfff-ffffffffffff",
        ]
        for one in malformed:
            if one == task_id:
                continue
            assert not scheduler.cancel_task(one), one
            assert scheduler.get_task(one) is None
        assert scheduler.cancel_many(malformed) <= 1
        assert scheduler.cancel_task(task_id) or task_id.upper() == task_id

    def test_an_id_with_any_one_digit_changed_is_unknown(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", print, delay=1)
        for place, digit in enumerate(task_id):
            for other in "0123456789abcdef-":
                if other != digit:
                    changed = task_id[:place] + other + task_id[place + 1 :]
                    assert not scheduler.cancel_task(changed), (place, other)
        assert scheduler.cancel_task(task_id)

    def test_is_a_uuid_of_version_8(self, scheduler: Scheduler) -> None:
        from uuid import RFC_4122, UUID

        for task_id in [scheduler.schedule("t", print) for _ in range(100)]:
            parsed = UUID(task_id)
            assert (parsed.version, parsed.variant) == (8, RFC_4122)
            assert str(parsed) == task_id

    @pytest.mark.parametrize("task_id", [None, 5, b"x", ["x"], object()])
    def test_other_types_are_refused(self, scheduler: Scheduler, task_id: Any) -> None:
        for method in (
            scheduler.cancel_task,
            scheduler.get_task,
            scheduler.pause_task,
            scheduler.resume_task,
            scheduler.run_now,
            scheduler.wait_for_task,
        ):
            with pytest.raises(TypeError, match=r"^task_id must be a task id"):
                method(task_id)


class TestMany:
    @pytest.mark.parametrize(
        "form", [list, tuple, iter, set, lambda ids: (task_id for task_id in ids)]
    )
    def test_in_any_iterable(self, scheduler: Scheduler, form: Callable[[list[str]], Any]) -> None:
        ids = [scheduler.schedule("t", unexpected, delay=1) for _ in range(1500)]
        assert scheduler.cancel_many(form(ids)) == 1500
        assert scheduler.cancel_many(form(ids)) == 0
        assert scheduler.statistics().pending == 0

    def test_the_ids_of_a_bulk_call(self, scheduler: Scheduler) -> None:
        ids = scheduler.schedule_many("t", unexpected, delays=[1.0] * 2000)
        assert scheduler.cancel_many(ids[:500]) == 500
        assert scheduler.cancel_many(ids) == 1500
        assert scheduler.cancel_many(ids) == 0

    def test_the_ids_of_another_scheduler(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        other = Scheduler(clock=clock)
        foreign = other.schedule_many("t", print, delays=[1.0] * 10)
        scheduler.schedule_many("t", print, delays=[1.0] * 10)
        assert scheduler.cancel_many(foreign) == 0
        assert scheduler.statistics().pending == 10
        assert other.cancel_many(foreign) == 10

    def test_twice_the_same_counts_once(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", unexpected, delay=1)
        assert scheduler.cancel_many([task_id, "nonsense", task_id]) == 1

    @pytest.mark.parametrize("has_bus", [False, True])
    @pytest.mark.parametrize("bad", [None, 5, b"x"])
    def test_if_one_is_no_string_nothing_is_cancelled(
        self, clock: VirtualClock, bad: Any, *, has_bus: bool
    ) -> None:
        bus = EventBus()
        bus.subscribe("scheduler.task_cancelled", lambda event: None)
        scheduler = Scheduler(clock=clock, event_bus=bus if has_bus else None)
        ids: list[Any] = [scheduler.schedule("t", print, delay=1) for _ in range(3)]
        with pytest.raises(TypeError, match="task_id"):
            scheduler.cancel_many([*ids, bad])
        assert scheduler.statistics().pending == 3

    @pytest.mark.parametrize("bad", [None, 5, "an id", object()])
    def test_what_is_no_collection_of_ids_is_refused(self, scheduler: Scheduler, bad: Any) -> None:
        with pytest.raises(TypeError, match=r"^task_ids must be an iterable of task ids"):
            scheduler.cancel_many(bad)

    def test_an_iterable_that_raises(self, scheduler: Scheduler) -> None:
        ids = [scheduler.schedule("t", print, delay=1) for _ in range(3)]

        def broken() -> Iterator[str]:
            yield from ids
            raise OSError("gone")

        with pytest.raises(OSError, match="gone"):
            scheduler.cancel_many(broken())
        assert scheduler.statistics().pending == 3

    def test_running_ones_are_signalled(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        answers: list[int] = []

        def callback() -> None:
            answers.append(scheduler.cancel_many(scheduler.live_task_ids()))

        task_id = scheduler.schedule("t", callback, interval=1)
        scheduler.schedule("other", unexpected, delay=1)
        clock.advance(10)
        assert answers == [2]
        assert scheduler.tasks[task_id].status == "cancelled"

    def test_destructors_may_schedule(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        ran: list[int] = []

        class Argument:
            def __del__(self) -> None:
                scheduler.schedule("new", ran.append, args=(1,), delay=1)

        ids = [scheduler.schedule("t", id, args=(Argument(),), delay=9) for _ in range(10)]
        scheduler.cancel_many(ids)
        gc.collect()
        clock.advance(2)
        assert len(ran) == 10


def test_exactly_one_of_many_cancellers_is_told_so(threaded: Callable[..., Scheduler]) -> None:
    scheduler = threaded()
    ids = [scheduler.schedule("t", unexpected, delay=3600) for _ in range(2000)]
    wins: list[int] = []
    barrier = threading.Barrier(4)

    def canceller() -> None:
        barrier.wait()
        wins.append(sum(map(scheduler.cancel_task, ids)))

    threads = [threading.Thread(target=canceller) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(wins) == 2000

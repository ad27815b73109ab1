"""Results, and waiting for them: with timeouts, futures, asyncio, and a short memory."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from concurrent.futures import CancelledError
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest

from num_agents.scheduler import (
    Scheduler,
    Task,
    TaskCancelledError,
    UnknownTaskError,
    current_run,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.scheduler.testing import VirtualClock


class CallerError(Exception):
    """What a callback raises here."""


def fail() -> None:
    raise CallerError("no")


def counter() -> Callable[[], int]:
    numbers = iter(range(1, 1000))
    return lambda: next(numbers)


class TestOutcome:
    def test_of_a_run(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        def callback() -> str:
            clock.advance(2)
            return "value"

        start = clock.now()
        task_id = scheduler.schedule("t", callback, delay=3)
        outcome = scheduler.wait_for_task(task_id)
        assert outcome.to_dict() == {
            "task_id": task_id,
            "task_name": "t",
            "status": "completed",
            "value": "value",
            "error": None,
            "nominal_time": start + timedelta(seconds=3),
            "started_at": start + timedelta(seconds=3),
            "ended_at": start + timedelta(seconds=5),
            "lateness": 0.0,
            "missed": 0,
            "run_count": 1,
            "attempt": 1,
        }
        assert outcome.unwrap() == "value"
        assert repr(outcome) == f"<Outcome completed: 'value' of 't' {task_id}, 0.000 ms late>"

    def test_is_the_same_when_asked_for_again(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", lambda: 5, delay=3)
        first = scheduler.wait_for_task(task_id)
        assert scheduler.wait_for_task(task_id, 0).to_dict() == first.to_dict()

    def test_a_failure_is_raised_again(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", fail)
        outcome = scheduler.wait_for_task(task_id)
        assert outcome.status == "failed"
        assert outcome.value is None
        for _ in range(2):
            with pytest.raises(CallerError, match="no") as caught:
                scheduler.result(task_id)
            assert caught.value.args == ("no",)
            assert outcome.error is not None
            assert outcome.error.__traceback__ is None

    def test_a_callback_may_raise_a_timeout_error_or_a_cancelled_error(
        self, scheduler: Scheduler
    ) -> None:
        def time_out() -> None:
            raise TimeoutError("mine")

        def cancel() -> None:
            raise CancelledError

        with pytest.raises(TimeoutError, match=r"^mine$"):
            scheduler.result(scheduler.schedule("t", time_out), timeout=9)
        assert scheduler.wait_for_task(scheduler.schedule("t", time_out)).status == "failed"
        with pytest.raises(CancelledError):
            scheduler.result(scheduler.schedule("t", cancel))

    def test_none_is_a_result(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", lambda: None)
        assert scheduler.result(task_id) is None
        assert scheduler.tasks[task_id].status == "completed"

    def test_an_exception_that_is_returned_is_a_result(self, scheduler: Scheduler) -> None:
        error = CallerError()
        assert scheduler.result(scheduler.schedule("t", lambda: error)) is error


class TestTimeouts:
    def test_zero_only_looks(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        task_id = scheduler.schedule("t", lambda: 1, delay=5)
        start = clock.now()
        with pytest.raises(TimeoutError, match=f"^task {task_id} did not end within 0 s"):
            scheduler.wait_for_task(task_id, 0)
        assert clock.now() == start

    def test_waiting_in_vain_takes_the_whole_time(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        task_id = scheduler.schedule("t", lambda: 1, delay=5)
        start = clock.now()
        with pytest.raises(TimeoutError):
            scheduler.result(task_id, timedelta(seconds=4))
        assert clock.now() - start == timedelta(seconds=4)
        assert scheduler.result(task_id, 1) == 1

    def test_none_waits_as_long_as_something_can_happen(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        task_id = scheduler.schedule("t", lambda: 1, delay=5)
        scheduler.pause_task(task_id)
        scheduler.schedule("resume", scheduler.resume_task, delay=50, args=(task_id,))
        assert scheduler.result(task_id) == 1
        paused = scheduler.schedule("t", print, delay=5)
        scheduler.pause_task(paused)
        with pytest.raises(RuntimeError, match="would never end"):
            scheduler.result(paused)

    @pytest.mark.parametrize("timeout", [1e300, 10**300, timedelta.max, 1e10])
    def test_a_huge_one_is_as_good_as_none(
        self, scheduler: Scheduler, threaded: Callable[..., Scheduler], timeout: Any
    ) -> None:
        assert scheduler.result(scheduler.schedule("t", lambda: 1, delay=9), timeout) == 1
        real = threaded()
        assert real.result(real.schedule("t", lambda: 2, delay=0.001), timeout) == 2

        async def wait() -> Any:
            return await real.result_async(real.schedule("t", lambda: 3, delay=0.001), timeout)

        assert asyncio.run(wait()) == 3
        assert real.stop(timeout=timeout).ended

    @pytest.mark.parametrize("timeout", [float("nan"), float("inf"), -1, -1e-300, True, "1"])
    def test_what_is_no_span_is_refused_and_leaves_no_trace(
        self, scheduler: Scheduler, timeout: Any
    ) -> None:
        task_id = scheduler.schedule("t", print, delay=1)
        for method in (scheduler.wait_for_task, scheduler.result):
            with pytest.raises((TypeError, ValueError), match=r"^timeout"):
                method(task_id, timeout)
        with pytest.raises((TypeError, ValueError), match=r"^timeout"):
            asyncio.run(scheduler.wait_for_task_async(task_id, timeout))
        with pytest.raises((TypeError, ValueError), match=r"^timeout"):
            scheduler.stop(timeout=timeout)
        assert scheduler.is_running
        assert scheduler._engine.native.watchers == 0

    @pytest.mark.realtime
    def test_in_real_time(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded()
        task_id = scheduler.schedule("t", print, delay=3600)
        for timeout in (0, 0.01, timedelta(milliseconds=10)):
            with pytest.raises(TimeoutError):
                scheduler.wait_for_task(task_id, timeout)
        assert scheduler._engine.native.watchers == 0


class TestRecurring:
    def test_waiting_means_the_next_run_that_ends(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", counter(), interval=1)
        assert [scheduler.result(task_id) for _ in range(3)] == [1, 2, 3]

    def test_a_wait_that_ran_out_leaves_nothing_for_the_next(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        task_id = scheduler.schedule("t", counter(), interval=1, first_run="after_interval")
        with pytest.raises(TimeoutError):
            scheduler.wait_for_task(task_id, 0)
        clock.advance(3)
        assert scheduler.result(task_id) == 4

    def test_until_its_end(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        task_id = scheduler.schedule("t", counter(), interval=1, max_runs=5)
        outcome = scheduler.wait_for_task(task_id, until="end")
        assert (outcome.value, outcome.run_count) == (5, 5)
        with pytest.raises(ValueError, match=r"^until must be 'run' or 'end'"):
            scheduler.wait_for_task(task_id, until="over")  # type: ignore[arg-type]

    def test_until_its_end_in_every_way_of_waiting(
        self, threaded: Callable[..., Scheduler]
    ) -> None:
        scheduler = threaded()

        def schedule() -> str:
            return scheduler.schedule("t", counter(), interval=0.001, max_runs=3)

        assert scheduler.wait_for_task(schedule(), 5, until="end").value == 3
        assert scheduler.result(schedule(), 5, until="end") == 3
        assert scheduler.future(schedule(), until="end").result(5) == 3
        assert asyncio.run(scheduler.result_async(schedule(), 5, until="end")) == 3
        outcome = asyncio.run(scheduler.wait_for_task_async(schedule(), 5, until="end"))
        assert (outcome.value, outcome.run_count) == (3, 3)
        for wait in (scheduler.result, scheduler.future):
            with pytest.raises(ValueError, match=r"^until must be 'run' or 'end'"):
                wait(schedule(), until="over")  # type: ignore[arg-type]

    def test_both_at_once(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded()
        gate = threading.Event()

        def callback() -> int:
            gate.wait(5)
            return number()

        number = counter()
        task_id = scheduler.schedule("t", callback, interval=0.001, max_runs=3)
        outcomes: dict[str, Any] = {}
        threads = [
            threading.Thread(
                target=lambda until=until: outcomes.update(
                    {until: scheduler.wait_for_task(task_id, 5, until=until).value}
                )
            )
            for until in ("run", "end")
        ]
        for thread in threads:
            thread.start()
        while scheduler._engine.native.watchers < 2:
            pass
        gate.set()
        for thread in threads:
            thread.join()
        assert outcomes["end"] == 3
        assert outcomes["run"] in (1, 2)

    def test_a_failed_run_is_an_outcome_too(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", fail, interval=1)
        with pytest.raises(CallerError):
            scheduler.result(task_id)
        assert scheduler.tasks[task_id].status == "pending"


class TestEndsWithoutARun:
    def test_cancelled_while_somebody_waits(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        task_id = scheduler.schedule("t", print, delay=9)
        scheduler.schedule("cancel", scheduler.cancel_task, delay=1, args=(task_id,))
        outcome = scheduler.wait_for_task(task_id)
        assert (outcome.status, outcome.started_at, outcome.run_count) == ("cancelled", None, 0)
        with pytest.raises(TaskCancelledError, match=f"^task 't' \\({task_id}\\) was cancelled"):
            scheduler.result(task_id)

    def test_cancelled_with_many_others(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", print, delay=9)
        scheduler.schedule("cancel", scheduler.cancel_many, delay=1, args=([task_id],))
        assert scheduler.wait_for_task(task_id).status == "cancelled"

    def test_missed_while_somebody_waits(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        task_id = scheduler.schedule("t", print, delay=1, grace=1)
        scheduler.stop()
        future = scheduler.future(task_id)
        clock.advance(9)
        scheduler.start()
        clock.advance(0)
        assert scheduler.wait_for_task(task_id).status == "missed"
        assert type(future.exception(0)).__name__ == "TaskMissedError"


class TestMemory:
    def test_the_last_so_many_are_remembered(self, clock: VirtualClock) -> None:
        with Scheduler(clock=clock, history=3) as scheduler:
            ids = [scheduler.schedule("t", int, args=(number,)) for number in range(5)]
            clock.advance(0)
            assert [scheduler.get_task(task_id) is not None for task_id in ids] == [
                False,
                False,
                True,
                True,
                True,
            ]
            assert list(scheduler.tasks) == ids[2:]
            assert scheduler.result(ids[4], 0) == 4
            with pytest.raises(UnknownTaskError, match="ended and forgotten") as caught:
                scheduler.result(ids[0])
            assert caught.value.task_id == ids[0]
            assert isinstance(caught.value, LookupError)

    @pytest.mark.parametrize("history", [0, 1])
    def test_a_waiter_never_loses_its_outcome(self, clock: VirtualClock, history: int) -> None:
        with Scheduler(clock=clock, history=history) as scheduler:
            ids = [scheduler.schedule("t", int, args=(n,), delay=n) for n in range(20)]
            futures = [scheduler.future(task_id) for task_id in ids]
            cancelled = scheduler.schedule("t", print, delay=1)
            futures.append(scheduler.future(cancelled))
            scheduler.cancel_task(cancelled)
            clock.advance(100)
            assert [future.result(0) for future in futures[:20]] == list(range(20))
            assert futures[20].cancelled()
            assert len(scheduler.tasks) == history

    def test_without_a_history_a_wait_still_works(self, clock: VirtualClock) -> None:
        with Scheduler(clock=clock, history=0) as scheduler:
            task_id = scheduler.schedule("t", lambda: 7, delay=1)
            assert scheduler.result(task_id) == 7
            with pytest.raises(UnknownTaskError):
                scheduler.result(task_id)

    @pytest.mark.parametrize("task_id", ["", "nonsense", "0" * 36])
    def test_nonsense_is_unknown(self, scheduler: Scheduler, task_id: str) -> None:
        with pytest.raises(UnknownTaskError):
            scheduler.wait_for_task(task_id)
        with pytest.raises(UnknownTaskError):
            scheduler.future(task_id)
        assert scheduler._engine.native.watchers == 0

    def test_results_are_forgotten_with_the_task(self, clock: VirtualClock) -> None:
        class Big: ...

        with Scheduler(clock=clock, history=2) as scheduler:
            task_id = scheduler.schedule("t", Big)
            alive = ref(scheduler.result(task_id))
            assert alive() is not None
            scheduler.schedule_many("t", int, delays=[0, 0])
            clock.advance(0)
            gc.collect()
            assert alive() is None

    def test_a_kept_error_pins_no_frames(
        self, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The log has the traceback, and the records that pytest captures keep it.
        monkeypatch.setattr(logging.getLogger("num_agents.scheduler"), "disabled", True)

        class Big: ...

        alive: list[ref[Big]] = []

        def inner() -> None:
            local = Big()
            alive.append(ref(local))
            raise CallerError("inner")

        def callback() -> None:
            local = Big()
            alive.append(ref(local))
            try:
                inner()
            except CallerError as error:
                group = ExceptionGroup("several", [error, ValueError("other")])
                raise KeyError("outer") from group

        task_id = scheduler.schedule("t", callback)
        error = scheduler.wait_for_task(task_id).error
        gc.collect()
        assert [reference() for reference in alive] == [None, None]
        assert isinstance(error, KeyError)
        assert error.__traceback__ is None
        assert isinstance(error.__cause__, ExceptionGroup)


class TestFutures:
    def test_gives_the_result(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        future = scheduler.future(scheduler.schedule("t", lambda: 7, delay=1))
        assert not future.done()
        clock.advance(1)
        assert future.result(0) == 7

    def test_gives_the_error(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        future = scheduler.future(scheduler.schedule("t", fail, delay=1))
        clock.advance(1)
        with pytest.raises(CallerError):
            future.result(0)

    def test_of_an_ended_task_is_done(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        task_id = scheduler.schedule("t", lambda: 7)
        clock.advance(0)
        assert scheduler.future(task_id).result(0) == 7

    def test_cancelling_it_does_not_cancel_the_task(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        task_id = scheduler.schedule("t", lambda: 7, delay=1)
        future = scheduler.future(task_id)
        assert future.cancel()
        clock.advance(1)
        assert scheduler.result(task_id) == 7

    def test_cancelling_both(self, scheduler: Scheduler) -> None:
        task_id = scheduler.schedule("t", print, delay=1)
        future = scheduler.future(task_id)
        future.cancel()
        scheduler.cancel_task(task_id)
        assert future.cancelled()

    def test_several_of_one_task(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        task_id = scheduler.schedule("t", lambda: 7, delay=1)
        futures = [scheduler.future(task_id) for _ in range(5)]
        with pytest.raises(TimeoutError):
            scheduler.wait_for_task(task_id, 0)
        clock.advance(1)
        assert [future.result(0) for future in futures] == [7] * 5

    def test_it_calls_back(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        seen: list[Any] = []
        future = scheduler.future(scheduler.schedule("t", lambda: 7, delay=1))
        future.add_done_callback(lambda done: seen.append(done.result()))
        clock.advance(1)
        assert seen == [7]


class TestRaces:
    """Interleavings that threads come to once in a million times, brought about on purpose."""

    def test_a_wait_that_begins_after_the_task_has_ended_is_told_at_once(
        self, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task_id = scheduler.schedule("t", print, delay=1)
        engine = scheduler._engine
        native = engine.native

        class Late:
            """The native engine, with somebody who cancels just before a wait is entered."""

            def watch(self, *args: Any) -> Any:
                native.cancel(task_id)
                return native.watch(*args)

            def __getattr__(self, name: str) -> Any:
                return getattr(native, name)

        monkeypatch.setattr(engine.waiting, "_native", Late())
        assert scheduler.future(task_id).cancelled()
        assert native.watchers == 0

    def test_one_that_gives_up_does_not_hide_the_others(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        task_id = scheduler.schedule("t", lambda: 7, delay=1)
        futures = [scheduler.future(task_id) for _ in range(4)]
        assert futures[0].cancel()
        assert futures[2].cancel()
        assert scheduler._engine.native.watchers == 2
        clock.advance(1)
        assert [futures[index].result(0) for index in (1, 3)] == [7, 7]

    def test_an_outcome_for_one_who_has_given_up(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        waiting = scheduler._engine.waiting
        task_id = scheduler.schedule("t", int, delay=1)
        future = waiting.future(task_id)
        # Cancelled, but still entered: the run has been completed at this very moment.
        waiting.future(task_id).add_done_callback(lambda _: future.cancel())
        future.watch, watch = None, future.watch
        assert future.cancel()
        clock.advance(1)
        assert future.cancelled()
        assert watch is not None


class TestAsyncio:
    def test_waits_without_blocking_the_loop(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded()
        gate = threading.Event()

        async def main() -> tuple[Any, Any]:
            first = asyncio.create_task(
                scheduler.result_async(scheduler.schedule("t", gate.wait, args=(5,)))
            )
            second = asyncio.create_task(
                scheduler.wait_for_task_async(scheduler.schedule("t", fail), 5)
            )
            await asyncio.sleep(0)
            gate.set()
            return await first, (await second).status

        assert asyncio.run(main()) == (True, "failed")

    def test_time_runs_out(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded()
        task_id = scheduler.schedule("t", print, delay=3600)

        async def main() -> None:
            for timeout in (0, 0.001):
                with pytest.raises(TimeoutError):
                    await scheduler.result_async(task_id, timeout)

        asyncio.run(main())
        assert scheduler._engine.native.watchers == 0

    def test_zero_only_looks(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded()
        task_id = scheduler.schedule("t", lambda: 7)
        scheduler.wait_for_task(task_id)
        assert asyncio.run(scheduler.result_async(task_id, 0)) == 7

    def test_given_up_it_harms_nobody(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded(1)
        gate = threading.Event()
        task_id = scheduler.schedule("t", gate.wait, args=(5,))

        async def main() -> None:
            waiting = asyncio.create_task(scheduler.result_async(task_id))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

        asyncio.run(main())
        gate.set()
        assert scheduler.result(task_id, 5) is True
        assert scheduler.result(scheduler.schedule("t", lambda: 8), 5) == 8

    def test_on_a_virtual_clock_waiting_moves_the_time(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        start = clock.now()
        task_id = scheduler.schedule("t", lambda: 7, delay=3600)
        assert asyncio.run(scheduler.result_async(task_id, 7200)) == 7
        assert clock.now() - start == timedelta(hours=1)
        with pytest.raises(UnknownTaskError):
            asyncio.run(scheduler.result_async("nonsense"))

    def test_starts(self, clock: VirtualClock) -> None:
        scheduler = Scheduler(clock=clock)
        asyncio.run(scheduler.start_async())
        assert scheduler.is_running
        scheduler.stop()


class TestFromCallbacks:
    def test_waiting_for_another_task(self, scheduler: Scheduler) -> None:
        inner = scheduler.schedule("inner", lambda: 7, delay=10)
        outer = scheduler.schedule("outer", lambda: scheduler.result(inner), delay=1)
        assert scheduler.result(outer) == 7

    def test_waiting_for_oneself_would_never_end(self, scheduler: Scheduler) -> None:
        def callback() -> None:
            run = current_run()
            assert run is not None
            scheduler.wait_for_task(run.task_id, timeout=5)

        with pytest.raises(TimeoutError):
            scheduler.result(scheduler.schedule("t", callback))

    def test_a_task_scheduled_by_hand_has_its_result(self, scheduler: Scheduler) -> None:
        task = Task("t", lambda: 7)
        assert scheduler.result(scheduler.schedule_task(task)) == 7
        assert task.result == 7

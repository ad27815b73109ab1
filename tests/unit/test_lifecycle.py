"""Starting and stopping, in every mode and from everywhere."""

from __future__ import annotations

import gc
import signal
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest

from num_agents.scheduler import Scheduler, StopReport, current_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.scheduler.testing import VirtualClock


class Blocked:
    """A callback that runs until it is let go."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.release = threading.Event()
        self.was_cancelled: bool | None = None

    def __call__(self) -> str:
        run = current_run()
        assert run is not None
        self.began.set()
        self.release.wait(10)
        self.was_cancelled = run.is_cancelled
        return "released"


@pytest.fixture
def blocked() -> Blocked:
    return Blocked()


def released_by_token(seen: list[str]) -> None:
    run = current_run()
    assert run is not None
    seen.append("began")
    while not run.is_cancelled:
        pass
    seen.append("told")


class TestStart:
    def test_twice_is_once(self, threaded: Callable[..., Scheduler]) -> None:
        before = threading.active_count()
        scheduler = threaded(3)
        scheduler.start()
        # Three workers, and one that watches the wall clock.
        assert threading.active_count() == before + 3 + 1
        assert scheduler.is_running
        assert repr(scheduler) == "<Scheduler running, 0 pending>"

    def test_as_a_context_manager(self) -> None:
        with Scheduler(max_workers=1) as scheduler:
            assert scheduler.is_running
            assert scheduler.result(scheduler.schedule("t", lambda: 7), 5) == 7
        assert not scheduler.is_running

    def test_again_after_a_stop_and_pending_tasks_are_still_there(self) -> None:
        scheduler = Scheduler(max_workers=1)
        waiting = scheduler.schedule("t", lambda: 1)
        far = scheduler.schedule("far", print, delay=3600)
        for _ in range(3):
            scheduler.start()
            scheduler.result(waiting, 5)
            waiting = scheduler.schedule("t", lambda: 1, delay=0.001)
            report = scheduler.stop("now")
            assert report.was_running
            assert scheduler.tasks[far].status == "pending"
        scheduler.start()
        assert scheduler.result(waiting, 5) == 1
        scheduler.stop()

    def test_a_thread_that_cannot_be_started_leaves_it_stopped(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        starts = iter([True, True, False])
        original = threading.Thread.start

        def start(thread: threading.Thread) -> None:
            if not next(starts):
                raise RuntimeError("can't start new thread")
            original(thread)

        before = threading.active_count()
        scheduler = Scheduler(max_workers=3)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                scheduler.start()
        assert not scheduler.is_running
        deadline = monotonic() + 5
        while threading.active_count() > before and monotonic() < deadline:
            pass
        assert threading.active_count() == before
        scheduler.start()
        assert scheduler.result(scheduler.schedule("t", lambda: 7), 5) == 7
        scheduler.stop()


class TestStop:
    def test_twice_is_once(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded()
        assert scheduler.stop().was_running
        assert not scheduler.stop().was_running
        assert not Scheduler().stop().was_running

    def test_waits_for_what_runs_and_starts_nothing_more(
        self, threaded: Callable[..., Scheduler], blocked: Blocked
    ) -> None:
        scheduler = threaded(1)
        running = scheduler.schedule("t", blocked)
        waiting = scheduler.schedule("next", lambda: 1)
        assert blocked.began.wait(5)
        threading.Timer(0.01, blocked.release.set).start()
        report = scheduler.stop("wait", 5)
        assert (report.ended, report.running, report.pending) == (True, 0, 1)
        assert scheduler.tasks[running].result == "released"
        assert scheduler.tasks[waiting].status == "pending"
        assert blocked.was_cancelled is False

    @pytest.mark.parametrize("mode", ["wait", "drain", "cancel"])
    def test_returns_within_its_timeout(
        self, threaded: Callable[..., Scheduler], blocked: Blocked, mode: Any
    ) -> None:
        scheduler = threaded(1)
        task_id = scheduler.schedule("t", blocked)
        assert blocked.began.wait(5)
        start = monotonic()
        report = scheduler.stop(mode, 0.02)
        assert 0.02 <= monotonic() - start < 2
        assert (report.was_running, report.ended, report.running) == (True, False, 1)
        blocked.release.set()
        assert scheduler.result(task_id, 5) == "released"
        assert blocked.was_cancelled is (mode == "cancel")

    def test_now_returns_at_once(
        self, threaded: Callable[..., Scheduler], blocked: Blocked
    ) -> None:
        scheduler = threaded(1)
        scheduler.schedule("t", blocked)
        assert blocked.began.wait(5)
        start = monotonic()
        report = scheduler.stop("now", 60)
        assert monotonic() - start < 2
        assert (report.ended, report.running) == (False, 1)
        blocked.release.set()

    def test_now_with_nothing_to_do_has_ended(self, threaded: Callable[..., Scheduler]) -> None:
        assert threaded(4).stop("now").ended

    def test_cancel_tells_what_runs(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded(2)
        seen: list[str] = []
        for _ in range(2):
            scheduler.schedule("t", released_by_token, args=(seen,))
        while seen.count("began") < 2:
            pass
        report = scheduler.stop("cancel", 5)
        assert report.ended
        assert seen.count("told") == 2
        # The token belongs to that stop: it is not set for what runs later.
        scheduler.start()
        fresh = scheduler.schedule("t", _is_cancelled)
        assert scheduler.result(fresh, 5) is False

    def test_drain_runs_what_is_due(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded(1)
        gate = threading.Event()
        scheduler.schedule("first", gate.wait, args=(5,))
        due = scheduler.schedule_many("t", int, delays=[0.0] * 500)
        later = scheduler.schedule("later", int, delay=3600)
        threading.Timer(0.01, gate.set).start()
        report = scheduler.stop("drain", 5)
        assert (report.ended, report.running, report.pending) == (True, 0, 1)
        assert {scheduler.tasks[one].status.value for one in due} == {"completed"}
        assert scheduler.tasks[later].status == "pending"

    def test_drain_of_a_task_that_waits_for_another(
        self, threaded: Callable[..., Scheduler]
    ) -> None:
        scheduler = threaded(1)
        gate = threading.Event()
        inner: list[str] = []

        def outer() -> Any:
            gate.wait(5)
            return scheduler.result(inner[0], 5)

        task_id = scheduler.schedule("outer", outer)
        inner.append(scheduler.schedule("inner", lambda: 7))
        threading.Timer(0.01, gate.set).start()
        assert scheduler.stop("drain", 5).ended
        assert scheduler.result(task_id, 0) == 7

    def test_drain_of_what_never_ends_ends_in_time(
        self, threaded: Callable[..., Scheduler]
    ) -> None:
        scheduler = threaded(2)

        def again() -> None:
            scheduler.schedule("t", again)

        again()
        start = monotonic()
        scheduler.stop("drain", 0.05)
        assert monotonic() - start < 2
        figures = scheduler.statistics()
        # The one that runs may have scheduled the next already.
        assert 1 <= figures.pending + figures.running <= 2

    @pytest.mark.parametrize("mode", ["", "WAIT", None, 5, ["wait"]])
    def test_another_mode_is_refused(self, scheduler: Scheduler, mode: Any) -> None:
        with pytest.raises(
            ValueError, match=r"^mode must be one of 'wait', 'drain', 'now', 'cancel'"
        ):
            scheduler.stop(mode)
        assert scheduler.is_running


def _is_cancelled() -> bool:
    run = current_run()
    assert run is not None
    return run.is_cancelled


class TestFromACallback:
    @pytest.mark.parametrize("mode", ["wait", "drain", "now", "cancel"])
    def test_does_not_wait_for_itself(self, threaded: Callable[..., Scheduler], mode: Any) -> None:
        scheduler = threaded(2)
        reports: list[StopReport] = []
        done = threading.Event()

        def callback() -> None:
            reports.append(scheduler.stop(mode, 5))
            done.set()

        start = monotonic()
        scheduler.schedule("t", callback)
        assert done.wait(10)
        assert monotonic() - start < 4
        assert reports[0].was_running
        assert not scheduler.is_running

    def test_while_another_stop_waits_for_it(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded(1)
        began, stopping = threading.Event(), threading.Event()
        seconds: list[float] = []

        def callback() -> None:
            began.set()
            stopping.wait(5)
            while scheduler.is_running:
                pass
            start = monotonic()
            scheduler.stop()
            seconds.append(monotonic() - start)

        scheduler.schedule("t", callback)
        assert began.wait(5)
        stopping.set()
        start = monotonic()
        assert scheduler.stop("wait", 10).ended
        assert monotonic() - start < 5
        assert seconds[0] < 2

    def test_a_restart(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded(2)
        done = threading.Event()

        def callback() -> None:
            scheduler.stop("now")
            scheduler.start()
            done.set()

        scheduler.schedule("t", callback)
        assert done.wait(5)
        assert scheduler.is_running
        assert scheduler.result(scheduler.schedule("next", lambda: 7), 5) == 7

    def test_on_a_virtual_clock(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        ran: list[str] = []
        scheduler.schedule("stop", scheduler.stop, delay=1, priority=0)
        scheduler.schedule("same moment", ran.append, delay=1, args=("x",))
        clock.advance(10)
        assert ran == []
        scheduler.start()
        clock.advance(0)
        assert ran == ["x"]

    def test_draining_a_virtual_clock(self, clock: VirtualClock) -> None:
        scheduler = Scheduler(clock=clock)
        scheduler.start()
        due = scheduler.schedule("due", lambda: 7)
        later = scheduler.schedule("later", print, delay=1)
        report = scheduler.stop("drain")
        assert (report.ended, report.pending) == (True, 1)
        assert scheduler.tasks[due].result == 7
        assert scheduler.tasks[later].status == "pending"


class TestWorkers:
    def test_one_runs_one_at_a_time_even_after_waits_in_callbacks(
        self, threaded: Callable[..., Scheduler]
    ) -> None:
        scheduler = threaded(1)
        for _ in range(3):
            inner = scheduler.schedule("inner", lambda: 1, delay=0.001)
            outer = scheduler.schedule(
                "outer", lambda one: [scheduler.result(one, 5) for _ in range(3)], args=(inner,)
            )
            assert scheduler.result(outer, 5) == [1, 1, 1]
        at_once: list[int] = []
        peak: list[int] = []
        lock = threading.Lock()

        def callback() -> None:
            with lock:
                at_once.append(1)
                peak.append(len(at_once))
            threading.Event().wait(0.002)
            with lock:
                at_once.pop()

        for one in scheduler.schedule_many("t", callback, delays=[0.0] * 20):
            scheduler.wait_for_task(one, 5)
        assert max(peak) == 1

    def test_one_runs_one_at_a_time_as_soon_as_a_wait_has_ended(
        self, threaded: Callable[..., Scheduler]
    ) -> None:
        scheduler = threaded(1)
        at_once: list[int] = []
        peak: list[int] = []
        ids: list[str] = []

        def callback() -> None:
            at_once.append(1)
            peak.append(len(at_once))
            threading.Event().wait(0.01)
            at_once.pop()

        def outer() -> None:
            scheduler.wait_for_task(inner, 5)
            ids.extend(scheduler.schedule_many("t", callback, delays=[0.0] * 5))

        inner = scheduler.schedule("inner", int, delay=0.001)
        scheduler.wait_for_task(scheduler.schedule("outer", outer), 5)
        for one in ids:
            scheduler.wait_for_task(one, 5)
        assert max(peak) == 1

    def test_one_waits_for_a_chain_of_others(self, threaded: Callable[..., Scheduler]) -> None:
        scheduler = threaded(1)

        def chain(depth: int) -> int:
            if depth == 0:
                return 0
            return 1 + int(scheduler.result(scheduler.schedule("t", chain, args=(depth - 1,)), 5))

        assert scheduler.result(scheduler.schedule("t", chain, args=(20,)), 10) == 20

    def test_none_waits_behind_a_slow_one_while_another_is_idle(
        self, threaded: Callable[..., Scheduler], blocked: Blocked
    ) -> None:
        scheduler = threaded(2)
        scheduler.schedule("slow", blocked)
        assert blocked.began.wait(5)
        ids = scheduler.schedule_many("quick", int, delays=[0.0] * 100)
        for one in ids:
            assert scheduler.result(one, 5) == 0
        blocked.release.set()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to a thread here")
def test_a_signal_handler_may_stop_it(threaded: Callable[..., Scheduler]) -> None:
    main_thread = threading.main_thread().ident
    assert main_thread == threading.get_ident()
    scheduler = threaded(2)
    task_id = scheduler.schedule("never", print, delay=3600)
    previous = signal.signal(signal.SIGINT, lambda number, frame: scheduler.cancel_task(task_id))
    try:
        threading.Timer(0.02, signal.pthread_kill, args=(main_thread, signal.SIGINT)).start()
        # The wait is in the main thread, and hears the signal.
        assert scheduler.wait_for_task(task_id, 10).status == "cancelled"
        signal.signal(signal.SIGINT, lambda number, frame: scheduler.stop())
        signal.raise_signal(signal.SIGINT)
        assert not scheduler.is_running
    finally:
        signal.signal(signal.SIGINT, previous)


def test_a_stopped_scheduler_is_freed(clock: VirtualClock) -> None:
    class Thing: ...

    references: list[ref[Any]] = []
    for options in ({"clock": clock}, {}):
        scheduler = Scheduler(**options)  # type: ignore[arg-type]
        thing = Thing()
        with scheduler:
            scheduler.schedule("t", lambda thing=thing: None)
            # A cycle through the engine: a task that refers to its scheduler.
            scheduler.schedule("cycle", scheduler.stop, args=[thing], delay=3600)
        references += [ref(scheduler), ref(thing), ref(scheduler._engine.native)]
        del scheduler, thing
    gc.collect()
    assert [reference() for reference in references] == [None] * 6

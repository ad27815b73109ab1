"""The machine's clocks, as they are: who watches them, a wall that is set, a process that stops.

No test sets the machine's clock: a child process is shown another by libfaketime, where that is
installed (Debian has it as `faketime`; LIBFAKETIME may say where it is).
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus.eventbus import EventBus
from num_agents.scheduler import Scheduler
from num_agents.scheduler._engine import clock_watch
from num_agents.scheduler._engine.clock import Clock, WallClock
from num_agents.scheduler._native import ClockWatch
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.eventbus.eventbus import Event
    from num_agents.scheduler._engine.clock import ClockChange

pytestmark = pytest.mark.realtime

WATCH = "num-agents-clock-watch"
PRELUDE = """
import json, os, signal, sys, threading, time
from datetime import datetime, timedelta, UTC
from num_agents.eventbus.eventbus import EventBus
from num_agents.scheduler import *
"""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
with_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def watchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == WATCH]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Waits for what another thread does."""
    limit = monotonic() + seconds
    while not condition():
        assert monotonic() < limit, "it does not come about"
        sleep(0.001)


def child(program: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", PRELUDE + dedent(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def said(process: subprocess.Popen[str], timeout: float = 60) -> str:
    """What a program printed; it must end well and say no more."""
    printed, complaints = process.communicate(timeout=timeout)
    assert (process.returncode, complaints) == (0, "")
    return printed


class TestWatch:
    def test_one_thread_for_all_as_long_as_one_runs(
        self, threaded: Callable[..., Scheduler]
    ) -> None:
        assert watchers() == []
        first, second = threaded(1), threaded(1)
        (thread,) = watchers()
        assert thread.daemon
        first.stop()
        assert watchers() == [thread]
        first.start()
        second.stop()
        assert watchers() == [thread]
        first.stop()
        assert watchers() == []
        first.start()
        assert len(watchers()) == 1

    def test_none_for_a_virtual_clock(self) -> None:
        with Scheduler(clock=VirtualClock()):
            assert watchers() == []

    @on_linux
    def test_leaves_no_descriptor_and_no_thread_behind(self) -> None:
        scheduler = Scheduler(max_workers=1)
        with scheduler:
            pass
        gc.collect()
        before, threads = descriptors(), threading.active_count()
        for _ in range(200):
            scheduler.start()
            scheduler.stop()
        assert threading.active_count() == threads
        # The last is closed by who drops it last.
        until(lambda: gc.collect() >= 0 and descriptors() <= before)

    def test_many_threads_that_start_and_stop(self) -> None:
        def cycle() -> None:
            for _ in range(25):
                with Scheduler(max_workers=1):
                    pass

        threads = [threading.Thread(target=cycle) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: watchers() == [])
        assert len(clock_watch._watching) == 0

    def test_a_scheduler_may_be_dropped_while_it_runs(self) -> None:
        scheduler = Scheduler(max_workers=1)
        scheduler.start()
        scheduler.stop("now")
        del scheduler
        gc.collect()
        assert len(clock_watch._watching) == 0

    def test_closing_ends_every_wait(self) -> None:
        watch = ClockWatch()
        answers: list[bool] = []
        threads = [
            threading.Thread(target=lambda: answers.append(watch.wait()), daemon=True)
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        sleep(0.05)
        watch.close()
        for thread in threads:
            thread.join(5)
        assert answers == [False] * 3
        assert watch.wait() is False
        watch.close()

    def test_a_scheduler_that_fails_to_follow_does_not_harm_others(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looked: list[WallClock] = []
        failing, other = Scheduler()._engine, Scheduler()._engine

        def look(wall: WallClock) -> list[ClockChange]:
            looked.append(wall)
            if wall is failing.wall:
                raise ValueError("no")
            return []

        class Watch:
            rings = iter([True, True])

            def wait(self) -> bool:
                return next(self.rings, False)

        monkeypatch.setattr(WallClock, "look", look)
        monkeypatch.setattr(clock_watch, "_watching", {failing, other})
        watch: Any = Watch()
        clock_watch._look_out(watch)
        assert looked.count(other.wall) == looked.count(failing.wall) == 2

    @with_fork
    def test_a_child_has_its_own(self) -> None:
        program = """
            def watchers():
                return [one for one in threading.enumerate() if "clock-watch" in one.name]
            parent = Scheduler(max_workers=1)
            parent.start()
            import warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
            if pid == 0:
                assert watchers() == []
                before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self") else 0
                for _ in range(20):
                    with Scheduler(max_workers=1) as own:
                        assert len(watchers()) == 1
                        task_id = own.schedule("t", lambda: 7)
                        assert own.result(task_id, 10) == 7
                assert watchers() == []
                after = len(os.listdir("/proc/self/fd")) if before else 0
                assert after <= before, (before, after)
                print("child")
                sys.stdout.flush()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            assert len(watchers()) == 1
            parent.stop()
            assert watchers() == []
            print("parent")
        """
        assert said(child(program)) == "child\nparent\n"

    def test_keeps_no_process_alive(self) -> None:
        program = """
            scheduler = Scheduler()
            scheduler.start()
            scheduler.schedule("next year", print, run_at=datetime.now(UTC) + timedelta(days=365))
        """
        began = monotonic()
        assert said(child(program)) == ""
        assert monotonic() - began < 10


class TestSetWhileThreadsSleep:
    """The path that a change takes, with the change injected: the engine's own clock is manual."""

    @pytest.fixture
    def manual(
        self, monkeypatch: pytest.MonkeyPatch, threaded: Callable[..., Scheduler]
    ) -> tuple[Scheduler, Callable[[float], None], list[Event]]:
        """A threaded scheduler whose wall is set by a function."""
        clock = Clock(1_735_689_600 * 10**9)
        monkeypatch.setattr("num_agents.scheduler.scheduler.Clock", lambda: clock)
        events: list[Event] = []
        bus = EventBus()
        bus.subscribe("scheduler.clock_changed", events.append)
        made = threaded(2, event_bus=bus, timezone="UTC")

        def shift(seconds: float) -> None:
            clock.set_offset_ns(clock.offset_ns + round(seconds * 1e9))
            wall = made._engine.wall
            wall.announce([wall.follow(seconds, "set")])

        return made, shift, events

    def test_who_sleeps_until_a_moment_is_woken(
        self, manual: tuple[Scheduler, Callable[[float], None], list[Event]]
    ) -> None:
        scheduler, shift, events = manual
        start = datetime(2025, 1, 1, tzinfo=UTC)
        at = scheduler.schedule("at", lambda: "at", run_at=start + timedelta(hours=1))
        cron = scheduler.schedule("cron", lambda: "cron", cron_expression="0 1 * * *", max_runs=1)
        delayed = scheduler.schedule("delay", print, delay=3600)
        # They have gone to sleep.
        sleep(0.05)
        shift(3600)
        assert scheduler.result(at, 10) == "at"
        assert scheduler.result(cron, 10) == "cron"
        assert scheduler.tasks[delayed].status == "pending"
        assert scheduler.wait_for_task(at).started_at == start + timedelta(hours=1)
        assert [event.payload["offset"] for event in events] == [3600.0]

    def test_while_others_schedule(
        self, manual: tuple[Scheduler, Callable[[float], None], list[Event]]
    ) -> None:
        """Nothing is lost, whatever is between the change and the last new deadline."""
        scheduler, shift, _ = manual
        start = datetime(2025, 1, 1, tzinfo=UTC)
        ran: list[int] = []
        ids: list[str] = []
        stop = threading.Event()

        def schedule() -> None:
            number = 0
            while not stop.is_set():
                moment = start + timedelta(seconds=number % 200)
                ids.append(scheduler.schedule("t", ran.append, run_at=moment, args=(number,)))
                number += 1

        thread = threading.Thread(target=schedule)
        thread.start()
        for seconds in (50, -20, 100, -130, 70, 30):
            shift(seconds)
            sleep(0.02)
        stop.set()
        thread.join()
        shift(1000)
        until(lambda: len(ran) == len(ids), 30)
        assert sorted(ran) == list(range(len(ids)))


def libfaketime() -> str | None:
    """Where libfaketime is, if it is installed."""
    known = os.environ.get("LIBFAKETIME")
    if known:
        return known
    places = [*Path("/usr/lib").glob("*/faketime"), *Path("/usr/lib64").glob("faketime")]
    places += [Path("/usr/lib/faketime"), Path("/usr/local/lib/faketime")]
    found = [place / "libfaketime.so.1" for place in places]
    return next((str(path) for path in found if path.is_file()), None)


@pytest.mark.skipif(
    libfaketime() is None, reason="libfaketime is not installed (Debian: apt install faketime)"
)
class TestFakedWall:
    """A running process to which the system shows another wall clock from some moment on."""

    @pytest.mark.parametrize("hours", [1, -1])
    def test_is_followed(self, tmp_path: Path, hours: int) -> None:
        file = tmp_path / "offset"
        file.write_text("+0")
        program = f"""
            # Its time.sleep fails: libfaketime cannot wait until a moment of the monotonic clock.
            pause = threading.Event().wait
            heard = []
            bus = EventBus()
            bus.subscribe("scheduler.clock_changed", heard.append)
            ran = []
            def note(name):
                ran.append(name)
            scheduler = Scheduler(event_bus=bus, timezone="UTC")
            scheduler.start()
            now = datetime.now(UTC)
            ahead = now + timedelta(minutes=30)
            scheduler.schedule("ahead", note, run_at=ahead, args=("ahead",))
            scheduler.schedule("soon", note, run_at=now + timedelta(seconds=1.5), args=("soon",))
            scheduler.schedule("delay", note, delay=1.5, args=("delay",))
            scheduler.schedule("interval", note, interval=60, args=("interval",))
            pause(0.3)
            with open({str(file)!r}, "w") as offset:
                offset.write("{hours:+d}h")
            # The kernel does not know of it, so nobody is called: look.
            deadline = time.monotonic() + 20
            while not heard and time.monotonic() < deadline:
                scheduler._look_at_clock()
                pause(0.01)
            shown = (scheduler.now() - now).total_seconds()
            pause(2)
            statistics = scheduler.statistics()
            scheduler.stop()
            print(json.dumps(
                [heard[0].payload, len(heard), shown, ran, statistics.missed]
            ))
        """
        environment = {
            **os.environ,
            "LD_PRELOAD": libfaketime() or "",
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        payload, heard, shown, ran, missed = json.loads(said(child(program, env=environment)))
        assert payload["offset"] == pytest.approx(3600 * hours, abs=0.1)
        assert (payload["reason"], heard, missed) == ("set", 1, 0)
        assert shown == pytest.approx(3600 * hours, abs=10)
        if hours > 0:
            assert ran == ["interval", "soon", "ahead", "delay"]
        else:
            # What was to come in a second comes in an hour and a second.
            assert ran == ["interval", "delay"]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_a_process_that_was_stopped_runs_what_was_due_once() -> None:
    program = """
        count, every = 3000, 20
        runs, ticks = [], {number: [] for number in range(every)}
        def note(number):
            runs.append((number, time.time_ns()))
        def tick(number):
            run = current_run()
            ticks[number].append((run.nominal_time.timestamp(), run.missed, time.time()))
        scheduler = Scheduler(max_workers=4)
        scheduler.start()
        base = time.time_ns()
        delays = [number % 1500 / 1000 for number in range(count)]
        ids = scheduler.schedule_many(
            "t", note, delays=delays, args=[(number,) for number in range(count)]
        )
        for number in range(every):
            scheduler.schedule("tick", tick, interval=0.05, args=(number,), max_runs=100)
        print("ready", flush=True)
        sys.stdin.readline()
        limit = time.monotonic() + 30
        while len(runs) < count and time.monotonic() < limit:
            time.sleep(0.01)
        time.sleep(0.3)
        statistics = scheduler.statistics()
        scheduler.stop()
        print(json.dumps([base, delays, runs, list(ticks.values()), statistics.to_dict()]))
    """
    process = child(program)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    sleep(0.4)
    # A suspended machine is more, but nothing else that stops all threads at once is at hand.
    os.kill(process.pid, signal.SIGSTOP)
    sleep(2)
    os.kill(process.pid, signal.SIGCONT)
    process.stdin.write("\n")
    process.stdin.flush()
    base, delays, runs, ticks, statistics = json.loads(said(process))
    assert sorted(number for number, _ in runs) == list(range(len(delays)))
    assert [number for number, ran in runs if ran < base + delays[number] * 1e9 - 2000] == []
    # Some ran before, some were late, and those that were not due yet came after.
    stopped = [ran for number, ran in runs if ran - base - delays[number] * 1e9 > 3e8]
    assert 300 < len(stopped) < len(delays)
    skipped = 0
    for one in ticks:
        nominal = [due for due, _, _ in one]
        assert nominal == sorted(set(nominal))
        # One run for all that were missed while it stood, on the grid.
        steps = [round((later - due) / 0.05) for due, later in pairwise(nominal)]
        assert max(steps) >= 35
        unseen = sum(steps) + 1 - len(one) - sum(missed for _, missed, _ in one[1:])
        assert unseen >= 0
        skipped += unseen
        assert all(ran >= due - 2e-6 for due, _, ran in one)
    # One that comes due while the run before it is held up is skipped, which runs are not told of.
    assert skipped <= statistics["skipped"]
    assert statistics["failed"] == 0
    assert statistics["missed"] > 20 * 30

"""The clock that a test moves."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus.eventbus import EventBus
from num_agents.scheduler import Scheduler, SchedulerStoppedError, current_run
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from num_agents.eventbus.eventbus import Event

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
        before = set(threading.enumerate())
        task_id = scheduler.schedule("t", threading.get_ident)
        assert scheduler.result(task_id) == threading.get_ident()
        assert set(threading.enumerate()) <= before


class TestThreads:
    def test_several_may_move_it_at_once(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        ran: list[datetime] = []
        scheduler.schedule("t", lambda: ran.append(clock.now()), interval=1, max_runs=40)

        def move() -> None:
            for _ in range(10):
                clock.advance(1)

        threads = [threading.Thread(target=move) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert clock.now() == START + timedelta(seconds=40)
        assert ran == [START + timedelta(seconds=second) for second in range(40)]


class TestFarAhead:
    """Beyond 2554 a task never fires, and moving the clock must not look for it for ever."""

    YEARS_600 = 600 * 366 * 86_400

    def test_until_idle_ends(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        scheduler.schedule("never", print, run_at="3000-01-01T00:00:00Z")
        scheduler.schedule("soon", int, delay=1)
        assert clock.run_until_idle(self.YEARS_600) == 1

    def test_moving_to_the_end_of_time(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        never = scheduler.schedule("never", print, delay=self.YEARS_600)
        clock.advance(self.YEARS_600)
        assert clock.now().year == 2554
        assert scheduler.tasks[never].status == "pending"

    def test_waiting_for_it(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        never = scheduler.schedule("never", print, run_at="3000-01-01T00:00:00Z")
        with pytest.raises(RuntimeError, match="would never end"):
            scheduler.result(never)
        with pytest.raises(TimeoutError):
            scheduler.result(never, self.YEARS_600)


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
        assert len(clock._executors) == 1

    def test_waiting_moves_it_no_further_than_needed(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        scheduler.schedule("later", print, delay=100)
        assert scheduler.result(scheduler.schedule("t", lambda: 7, delay=10)) == 7
        assert clock.now() == START + timedelta(seconds=10)

    def test_a_task_of_a_stopped_scheduler_cannot_be_waited_for(self, clock: VirtualClock) -> None:
        scheduler = Scheduler(clock=clock)
        task_id = scheduler.schedule("t", print)
        for timeout in (None, 5):
            with pytest.raises(SchedulerStoppedError, match="the scheduler is not running"):
                scheduler.wait_for_task(task_id, timeout)
        with pytest.raises(TimeoutError):
            scheduler.wait_for_task(task_id, 0)


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

    def test_the_innermost_counts_however_often_it_was_entered(self) -> None:
        outer, inner = VirtualClock(), VirtualClock(start="2030-01-01T00:00:00Z")
        with outer, inner:
            with outer:
                assert Scheduler().now() == outer.now()
            assert Scheduler().now() == inner.now()

    def test_of_schedulers_made_in_other_threads_and_in_callbacks(self) -> None:
        moments: list[datetime] = []

        def make() -> None:
            moments.append(Scheduler().now())

        with VirtualClock() as clock:
            thread = threading.Thread(target=make)
            thread.start()
            thread.join()
            with Scheduler(clock=clock) as scheduler:
                scheduler.schedule("make", make, delay=3600)
                clock.advance(3600)
        assert moments == [START, START + timedelta(hours=1)]

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


class TestUntilIdle:
    def test_runs_all_there_is_and_stands_at_the_last(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        ran: list[float] = []
        for delay in (5, 3600, 60):
            scheduler.schedule("t", ran.append, delay=delay, args=(delay,))
        assert clock.run_until_idle() == 3
        assert ran == [5, 60, 3600]
        assert clock.now() == START + timedelta(hours=1)
        assert clock.run_until_idle() == 0
        assert clock.now() == START + timedelta(hours=1)

    def test_what_callbacks_schedule_counts_too(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        def again(left: int) -> None:
            if left:
                scheduler.schedule("t", again, delay=10, args=(left - 1,))

        scheduler.schedule("t", again, args=(4,))
        assert clock.run_until_idle() == 5
        assert clock.now() == START + timedelta(seconds=40)

    @pytest.mark.parametrize(
        ("limit", "runs", "second"),
        [(0, 1, 0), (25, 3, 25), (30, 4, 30), (timedelta(minutes=1), 7, 60), (0.5, 1, 0.5)],
    )
    def test_no_further_than_the_limit(
        self, scheduler: Scheduler, clock: VirtualClock, limit: Any, runs: int, second: float
    ) -> None:
        scheduler.schedule("t", int, interval=10)
        assert clock.run_until_idle(limit) == runs
        assert clock.now() == START + timedelta(seconds=second)

    def test_a_day_unless_told(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        scheduler.schedule("t", int, cron_expression="@hourly")
        assert clock.run_until_idle() == 24

    def test_of_all_schedulers_that_run(self, clock: VirtualClock) -> None:
        with Scheduler(clock=clock) as one, Scheduler(clock=clock) as other:
            stopped = Scheduler(clock=clock)
            for scheduler in (one, other, stopped):
                scheduler.schedule("t", int, delay=1)
            assert clock.run_until_idle() == 2

    def test_paused_tasks_are_idle(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        scheduler.pause_task(scheduler.schedule("t", int, delay=1))
        scheduler.cancel_task(scheduler.schedule("t", int, delay=1))
        assert clock.run_until_idle() == 0
        assert clock.now() == START

    def test_missed_ones_are_no_runs(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        scheduler.schedule("t", int, run_at="2024-01-01", grace=1)
        assert clock.run_until_idle() == 0
        assert scheduler.statistics().missed == 1


class TestZone:
    def test_is_that_of_naive_moments_and_of_what_is_shown(self) -> None:
        clock = VirtualClock("2025-07-01T12:00:00", timezone="America/New_York")
        assert clock.now().isoformat() == "2025-07-01T12:00:00-04:00"
        clock.advance_to("2025-07-01T13:00:00")
        assert clock.now() == datetime(2025, 7, 1, 17, tzinfo=UTC)
        clock.set_wall("2025-12-01T00:00:00")
        assert clock.now().isoformat() == "2025-12-01T00:00:00-05:00"
        assert repr(clock) == "<VirtualClock at 2025-12-01T00:00:00-05:00>"

    def test_is_that_of_schedulers_without_one(self) -> None:
        clock = VirtualClock("2025-07-01", timezone="America/New_York")
        assert Scheduler(clock=clock).now().isoformat() == "2025-07-01T00:00:00-04:00"
        there = Scheduler(clock=clock, timezone="Asia/Tokyo")
        assert there.now().isoformat() == "2025-07-01T13:00:00+09:00"
        with Scheduler(clock=clock) as scheduler:
            task_id = scheduler.schedule("t", int, cron_expression="0 9 * * *")
            expected = "2025-07-01T09:00:00-04:00"
            assert scheduler.tasks[task_id].to_dict()["next_run"] == expected


class TestCallbacks:
    """They do to scheduler and clock what they like, while the clock moves."""

    def test_see_its_time_in_everything(self, clock: VirtualClock) -> None:
        seen: list[Any] = []
        bus = EventBus()
        bus.subscribe(r"scheduler\..*", seen.append, is_pattern=True)
        with Scheduler(clock=clock, event_bus=bus) as scheduler:

            def callback() -> datetime:
                run = current_run()
                assert run is not None
                seen.append((run.nominal_time, scheduler.now(), clock.now()))
                clock.advance(2)
                return scheduler.now()

            task_id = scheduler.schedule("t", callback, delay=5)
            clock.advance(10)
            outcome = scheduler.wait_for_task(task_id)
            task = scheduler.tasks[task_id]
        at = START + timedelta(seconds=5)
        assert (outcome.nominal_time, outcome.started_at) == (at, at)
        assert outcome.ended_at == outcome.value == at + timedelta(seconds=2)
        assert (task.last_run, outcome.lateness) == (at, 0)
        (moments,) = [one for one in seen if isinstance(one, tuple)]
        assert moments == (at, at, at)
        events = [one for one in seen if not isinstance(one, tuple)]
        assert [(event.event_type.partition(".")[2], event.timestamp) for event in events] == [
            ("started", START),
            ("task_scheduled", START),
            ("task_started", at),
            ("task_completed", at + timedelta(seconds=2)),
            ("stopped", START + timedelta(seconds=10)),
        ]
        ids = [event.event_id for event in events]
        assert ids == [f"virtual-event-{number}" for number in range(1, 6)]

    def test_schedule_what_is_due_on_the_way(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        ran: list[tuple[str, float]] = []

        def note(name: str) -> None:
            ran.append((name, (clock.now() - START).total_seconds()))

        def first() -> None:
            note("first")
            scheduler.schedule("t", note, args=("at once",))
            scheduler.schedule("t", note, delay=3, args=("soon",))
            scheduler.schedule("t", note, delay=30, args=("beyond",))
            scheduler.schedule("t", note, run_at=START, args=("past",))

        scheduler.schedule("t", first, delay=5)
        scheduler.schedule("t", note, delay=6, args=("between",))
        clock.advance(10)
        assert ran == [("first", 5), ("at once", 5), ("past", 5), ("between", 6), ("soon", 8)]
        assert clock.now() == START + timedelta(seconds=10)

    def test_cancel_pause_and_reschedule_what_is_due_next(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        ran: list[str] = []
        cancelled = scheduler.schedule("t", ran.append, delay=5, args=("cancelled",), priority=9)
        paused = scheduler.schedule("t", ran.append, delay=5, args=("paused",))
        later = scheduler.schedule("t", ran.append, delay=5, args=("later",))

        def callback() -> None:
            assert scheduler.cancel_task(cancelled)
            assert scheduler.pause_task(paused)
            assert scheduler.reschedule_task(later, delay=2)

        scheduler.schedule("t", callback, delay=5, priority=0)
        clock.advance(6)
        assert ran == []
        clock.advance(6)
        assert ran == ["later"]
        scheduler.resume_task(paused)
        clock.advance(0)
        assert ran == ["later", "paused"]

    def test_move_it_within_one_another(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        ran: list[tuple[str, float, float]] = []

        def callback(name: str, seconds: float) -> None:
            began = (clock.now() - START).total_seconds()
            clock.advance(seconds)
            ran.append((name, began, (clock.now() - START).total_seconds()))

        scheduler.schedule("t", callback, delay=1, args=("outer", 10))
        scheduler.schedule("t", callback, delay=5, args=("inner", 10))
        scheduler.schedule("t", callback, delay=12, args=("innermost", 1))
        clock.advance(2)
        assert ran == [("innermost", 12, 13), ("inner", 5, 15), ("outer", 1, 15)]

    def test_wait_for_one_another(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        later = scheduler.schedule("t", clock.now, delay=100)
        waiting = scheduler.schedule("t", lambda: scheduler.result(later), delay=5)
        assert scheduler.result(waiting) == START + timedelta(seconds=100)

    def test_jump_to_an_idle_end(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        scheduler.schedule("t", int, delay=50)
        task_id = scheduler.schedule("t", clock.run_until_idle, delay=1)
        # Itself, and the other.
        assert clock.run_until_idle() == 2
        assert scheduler.result(task_id) == 1

    def test_fail_and_the_clock_goes_on(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        scheduler.schedule("t", lambda: 1 / 0, interval=10, max_runs=3)
        clock.advance(100)
        assert scheduler.statistics().failed == 3
        assert clock.now() == START + timedelta(seconds=100)


def program() -> str:
    """A program of everything whose outcome could differ from run to run; what it did."""
    trace: list[Any] = []
    clock = VirtualClock(timezone="Europe/Berlin")
    bus = EventBus()

    def heard(event: Event) -> None:
        trace.append(event.to_dict())

    bus.subscribe(r"scheduler\..*", heard, is_pattern=True)
    random = Random(7)
    with clock, Scheduler(event_bus=bus, catch_up_spread=30) as scheduler:
        ids: list[str] = []

        def callback(name: str) -> str:
            run = current_run()
            assert run is not None
            trace.append((name, run.task_id, str(run.nominal_time), str(clock.now()), run.missed))
            choice = random.random()
            if choice < 0.1:
                ids.append(scheduler.schedule(f"{name}+", callback, args=(f"{name}+",), delay=7))
            elif choice < 0.15:
                scheduler.cancel_task(random.choice(ids))
            elif choice < 0.2:
                clock.advance(random.uniform(0, 90))
            elif choice < 0.25:
                raise ValueError(name)
            return name

        for number in range(40):
            when: dict[str, Any] = random.choice(
                [
                    {"delay": random.uniform(0, 9000)},
                    {"interval": random.uniform(60, 900), "jitter": 30},
                    {"cron_expression": "*/7 * * * *", "window": 300},
                    {"cron_expression": "@every 11m", "misfire": "all"},
                    {"rrule": "FREQ=MINUTELY;INTERVAL=13"},
                    {"run_at": clock.now() + timedelta(seconds=random.uniform(0, 9000))},
                ]
            )
            name = f"task {number}"
            priority = random.randrange(256)
            ids.append(scheduler.schedule(name, callback, args=(name,), priority=priority, **when))
        for _ in range(20):
            clock.advance(random.uniform(0, 600))
            clock.shift_wall(random.uniform(-300, 300))
            clock.suspend(random.uniform(0, 600))
        trace.append(scheduler.forecast(3600, 60).to_dict())
        trace.append(scheduler.statistics().to_dict())
        trace += [task.to_dict() for task in scheduler.get_all_tasks()]
    return repr(trace)


def test_the_same_program_does_the_same_byte_for_byte() -> None:
    with LogOff():
        first, second = program(), program()
    assert first == second
    assert len(first) > 100_000
    # Nothing of it is told apart by where it is in memory.
    assert " at 0x" not in first


class LogOff:
    """Failures are part of the program."""

    def __enter__(self) -> None:
        logging.disable()

    def __exit__(self, *error: object) -> None:
        logging.disable(logging.NOTSET)


def test_so_it_does_in_another_process() -> None:
    """With other addresses and another seed of hashes."""
    code = (
        f"import sys, hashlib; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_virtual_clock import LogOff, program\n"
        "with LogOff(): print(hashlib.sha256(program().encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


class TestInstances:
    def test_ids_and_jitter_differ_between_schedulers_of_a_clock(self) -> None:
        clock = VirtualClock()
        schedulers = [Scheduler(clock=clock) for _ in range(3)]
        assert len({scheduler.schedule("t", int) for scheduler in schedulers}) == 3

    def test_and_are_the_same_on_another(self) -> None:
        def ids() -> list[str]:
            clock = VirtualClock()
            return [Scheduler(clock=clock).schedule("t", int) for _ in range(3)]

        assert ids() == ids()
        # On the system's they never are.
        assert Scheduler().schedule("t", int) != Scheduler().schedule("t", int)


PLUGIN_TESTS = """
from datetime import datetime, UTC
from num_agents.scheduler import Scheduler

def test_scheduler(scheduler, virtual_clock):
    assert virtual_clock.now() == datetime(2025, 1, 1, tzinfo=UTC)
    assert scheduler.is_running
    task_id = scheduler.schedule("report", lambda: "done", delay=3600)
    virtual_clock.advance(3600)
    assert scheduler.result(task_id, timeout=0) == "done"

def test_starts_anew(scheduler, virtual_clock):
    assert virtual_clock.now() == datetime(2025, 1, 1, tzinfo=UTC)
    assert scheduler.get_all_tasks() == []

def test_clock_alone(virtual_clock):
    made = Scheduler()
    assert made.now() == virtual_clock.now()
    assert str(made.now()) == "2025-01-01 00:00:00+00:00"
    virtual_clock.advance(5)
    assert made.now() == virtual_clock.now()

def test_without():
    assert Scheduler().now() > datetime(2025, 6, 1, tzinfo=UTC)

kept = []

def test_is_stopped_afterwards_1(scheduler):
    kept.append(scheduler)

def test_is_stopped_afterwards_2():
    assert not kept[0].is_running
"""


def test_the_plugin_is_found_by_pytest(tmp_path: Path) -> None:
    """In a project with no configuration at all."""
    (tmp_path / "test_theirs.py").write_text(PLUGIN_TESTS)
    options = ["-q", "-p", "no:cacheprovider", "-W", "error", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert "6 passed" in done.stdout, done.stdout + done.stderr
    fixtures = subprocess.run(
        [sys.executable, "-m", "pytest", "--fixtures", "-q", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    ).stdout
    assert "virtual_clock" in fixtures
    assert "A scheduler on the virtual clock, started, and stopped after the test." in fixtures

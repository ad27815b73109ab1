"""A process that forks: the child gets nothing of the parent's, and is told so."""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import dedent

import pytest

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
]

PRELUDE = """
import faulthandler, gc, os, signal, sys, tempfile, threading, time, warnings
from num_agents.eventbus import EventBus
from num_agents.scheduler import *
from num_agents.scheduler.testing import VirtualClock
warnings.simplefilter("ignore", DeprecationWarning)
LOG = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
PARENT = os.getpid()

def note(*_, **__):
    os.write(LOG, f"{os.getpid()}\\n".encode())

def who():
    with open(sys.argv[1]) as log:
        return {"parent" if int(line) == PARENT else "child" for line in log}

def code_of(child, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"

def child_of(use):
    child = os.fork()
    if child == 0:
        signal.alarm(8)
        try:
            use()
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    return code_of(child)

def refused(uses):
    for name, use in uses.items():
        try:
            said = use()
        except SchedulerForkedError as error:
            assert "parent process" in str(error), error
        else:
            print(name, "answered", said, flush=True)
"""


def run(program: str, log: object) -> str:
    """What a program prints; it must end well and say nothing else."""
    ended = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", PRELUDE + dedent(program), str(log)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@pytest.fixture
def log(tmp_path: object) -> str:
    return f"{tmp_path}/log"


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("options", ["", "tags=['a']", "kwargs={'a': 1}", "timeout=5"])
@pytest.mark.parametrize(
    ("leave", "code"), [("return 5", 0), ("sys.exit(3)", 3), ("sys.exit()", 0), ("os._exit(4)", 4)]
)
def test_a_callback_that_forks(log: str, leave: str, code: int, options: str, workers: int) -> None:
    program = f"""
        scheduler = Scheduler(max_workers={workers})
        scheduler.start()
        ticking = scheduler.schedule("tick", note, interval=0.01)
        children = []
        def fork(**_):
            child = os.fork()
            if child == 0:
                {leave}
            children.append(child)
            return 7
        task_id = scheduler.schedule("fork", fork, {options})
        assert scheduler.result(task_id, 10) == 7
        scheduler.wait_for_task(ticking, 10)
        time.sleep(0.05)
        print(code_of(children[0]), who(), scheduler.is_running)
        assert scheduler.result(scheduler.schedule("after", lambda: 8), 10) == 8
    """
    assert run(program, log) == f"{code} {{'parent'}} True\n"


@pytest.mark.parametrize("options", ["", "timeout=5"])
@pytest.mark.parametrize(("leave", "code"), [("return 5", 0), ("sys.exit(3)", 3)])
def test_a_coroutine_that_forks(log: str, leave: str, code: int, options: str) -> None:
    program = f"""
        scheduler = Scheduler(max_workers=1)
        scheduler.start()
        ticking = scheduler.schedule("tick", note, interval=0.01)
        children = []
        async def fork():
            child = os.fork()
            if child == 0:
                {leave}
            children.append(child)
            return 7
        task_id = scheduler.schedule("fork", fork, {options})
        assert scheduler.result(task_id, 10) == 7
        scheduler.wait_for_task(ticking, 10)
        time.sleep(0.05)
        print(code_of(children[0]), who(), scheduler.is_running)
        async def after():
            return 8
        assert scheduler.result(scheduler.schedule("after", after), 10) == 8
    """
    assert run(program, log) == f"{code} {{'parent'}} True\n"


def test_a_callback_that_forks_and_raises_in_the_child(log: str) -> None:
    program = """
        scheduler = Scheduler(max_workers=1)
        scheduler.start()
        children = []
        def fork():
            child = os.fork()
            if child == 0:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                raise ValueError("in the child")
            children.append(child)
        scheduler.wait_for_task(scheduler.schedule("fork", fork), 10)
        scheduler.wait_for_task(scheduler.schedule("note", note), 10)
        print(code_of(children[0]), who())
    """
    assert run(program, log) == "1 {'parent'}\n"


@pytest.mark.parametrize("event_type", ["task_started", "task_completed", "task_scheduled"])
def test_a_handler_that_forks(log: str, event_type: str) -> None:
    program = f"""
        bus = EventBus()
        children = []
        def fork(event):
            if event.payload["task_name"] == "fork" and not children:
                children.append(os.fork())
                if children[0] == 0 and "{event_type}" == "task_scheduled":
                    os._exit(0)
        bus.subscribe("scheduler.{event_type}", fork)
        scheduler = Scheduler(max_workers=1, event_bus=bus)
        scheduler.start()
        scheduler.wait_for_task(scheduler.schedule("fork", note), 10)
        scheduler.wait_for_task(scheduler.schedule("note", note), 10)
        print(code_of(children[0]), who())
    """
    assert run(program, log) == "0 {'parent'}\n"


def test_a_done_callback_and_a_destructor_that_fork(log: str) -> None:
    program = """
        scheduler = Scheduler(max_workers=1, history=0)
        scheduler.start()
        children = []
        def fork(*_):
            child = os.fork()
            if child:
                children.append(child)
        class Thing:
            __del__ = fork
        gate = threading.Event()
        scheduler.schedule("gate", gate.wait)
        task_id = scheduler.schedule("a", note)
        scheduler.future(task_id).add_done_callback(fork)
        scheduler.schedule("b", lambda thing: None, args=(Thing(),))
        last = scheduler.future(scheduler.schedule("last", note))
        gate.set()
        last.result(10)
        print([code_of(child) for child in children], who())
    """
    assert run(program, log) == "[0, 0] {'parent'}\n"


def test_a_callback_on_a_virtual_clock_that_forks(log: str) -> None:
    program = """
        clock = VirtualClock()
        scheduler = Scheduler(clock=clock)
        scheduler.start()
        children = []
        def fork():
            children.append(os.fork())
        scheduler.schedule("fork", fork)
        scheduler.schedule("note", note, delay=1)
        try:
            clock.advance(2)
        except SchedulerForkedError:
            os._exit(5)
        print(code_of(children[0]), who(), scheduler.statistics().completed)
    """
    assert run(program, log) == "5 {'parent'} 2\n"


def test_every_road_ends_in_an_error(log: str) -> None:
    program = """
        bus = EventBus()
        bus.subscribe(".*", lambda event: None, is_pattern=True)
        for options in ({}, {"event_bus": bus}):
            scheduler = Scheduler(max_workers=2, **options)
            scheduler.start()
            def callback():
                runs.append(current_run())
                return 7
            runs = []
            task_id = scheduler.schedule("t", callback, interval=1000, tags=["a"])
            scheduler.wait_for_task(task_id, 10)
            view = scheduler.get_task(task_id)
            tasks = scheduler.tasks
            future, last = scheduler.future(task_id), scheduler.future(task_id, until="end")
            made = Task("made", print)
            async def result():
                return await scheduler.result_async(task_id, 5)
            import asyncio
            def use():
                refused({
                    "cancel unknown": lambda: scheduler.cancel_task("x"),
                    "cancel": lambda: scheduler.cancel_task(task_id),
                    "cancel_many": lambda: scheduler.cancel_many([task_id]),
                    "future": lambda: scheduler.future(task_id),
                    "future unknown": lambda: scheduler.future("x"),
                    "resume": lambda: scheduler.resume_task(task_id),
                    "pause": lambda: scheduler.pause_task("x"),
                    "run_now": lambda: scheduler.run_now("x"),
                    "get_task unknown": lambda: scheduler.get_task("x"),
                    "lists": lambda: scheduler.get_all_tasks(),
                    "pending": lambda: scheduler.get_pending_tasks(),
                    "due": lambda: scheduler.get_due_tasks(),
                    "live": lambda: scheduler.live_task_ids(),
                    "forecast": lambda: scheduler.forecast(),
                    "tasks": lambda: scheduler.tasks,
                    "len(tasks)": lambda: len(tasks),
                    "list(tasks)": lambda: list(tasks),
                    "tasks[id]": lambda: tasks[task_id],
                    "in tasks": lambda: task_id in tasks,
                    "Task.status": lambda: view.status,
                    "Task.next_run": lambda: view.next_run,
                    "Task.last_run": lambda: view.last_run,
                    "Task.run_count": lambda: view.run_count,
                    "Task.result": lambda: view.result,
                    "Run.is_cancelled": lambda: runs[0].is_cancelled,
                    "Future.result": lambda: future.result(5),
                    "Future.exception": lambda: future.exception(5),
                    "Future.result until the end": lambda: last.result(),
                    "schedule": lambda: scheduler.schedule("t", print),
                    "schedule with options": lambda: scheduler.schedule("t", print, interval=1),
                    "schedule an rrule": lambda: scheduler.schedule("t", print, rrule="FREQ=DAILY"),
                    "schedule_many": lambda: scheduler.schedule_many("t", print, delays=[1]),
                    "schedule_task": lambda: scheduler.schedule_task(made),
                    "result_async": lambda: asyncio.run(result()),
                    "start": lambda: scheduler.start(),
                })
                assert not scheduler.is_running
                assert repr(scheduler) == "<Scheduler of the parent process>"
                assert not scheduler.stop("drain", 1).was_running
            print(child_of(use))
            assert scheduler.get_task(task_id).status == "pending"
            scheduler.stop()
    """
    assert run(program, log) == "0\n0\n"


def test_current_run_in_the_child_of_a_callback(log: str) -> None:
    program = """
        scheduler = Scheduler(max_workers=1)
        scheduler.start()
        def fork():
            run = current_run()
            return child_of(lambda: refused({
                "current_run": current_run, "Run.is_cancelled": lambda: run.is_cancelled
            }))
        print(scheduler.result(scheduler.schedule("fork", fork), 20))
    """
    assert run(program, log) == "0\n"


def test_with_every_lock_held_by_other_threads(log: str) -> None:
    """Python's locks can be held for long: by a thread that has been suspended in its midst."""
    program = """
        bus = EventBus()
        bus.subscribe(".*", lambda event: None, is_pattern=True)
        scheduler = Scheduler(max_workers=1, event_bus=bus)
        scheduler.start()
        task_id = scheduler.schedule("t", print, delay=1000)
        future = scheduler.future(task_id)
        held = threading.Barrier(2)
        def hold():
            with scheduler._lifecycle, scheduler._announcer._lock, scheduler._executor._lock:
                held.wait()
                time.sleep(20)
        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        def use():
            refused({
                "schedule": lambda: scheduler.schedule("t", print),
                "schedule_many": lambda: scheduler.schedule_many("t", print, delays=[1]),
                "schedule an interval": lambda: scheduler.schedule("t", print, interval=1),
                "cancel": lambda: scheduler.cancel_task(task_id),
                "result": lambda: future.result(),
                "start": scheduler.start,
            })
            assert not scheduler.stop().was_running
            with Scheduler(max_workers=1) as own:
                assert own.result(own.schedule("t", lambda: 7), 5) == 7
        print(child_of(use), flush=True)
        os._exit(0)
    """
    assert run(program, log) == "0\n"


def test_while_other_threads_hold_the_engine_s_lock(log: str) -> None:
    program = """
        sys.setswitchinterval(1e-5)
        scheduler = Scheduler(max_workers=2, history=100)
        scheduler.start()
        scheduler.schedule_many("t", print, delays=[1e6 + n for n in range(50_000)])
        view = scheduler.get_task(scheduler.schedule("t", print, delay=1000))
        ends = threading.Event()
        def forecast():
            while not ends.is_set():
                scheduler.forecast(86400 * 30, 86400)
        def follow():
            while not ends.is_set():
                scheduler._engine.native.follow_wall()
        for target in (forecast, follow):
            threading.Thread(target=target, daemon=True).start()
        for _ in range(20):
            code = child_of(lambda: (refused({
                "status": lambda: view.status,
                "statistics": scheduler.statistics,
                "schedule": lambda: scheduler.schedule("t", print),
            }), gc.collect()))
            assert code == 0, code
        ends.set()
        print("all told")
        sys.stdout.flush()
        os._exit(0)
    """
    assert run(program, log) == "all told\n"


def test_a_virtual_clock_of_the_parent(log: str) -> None:
    program = """
        clock = VirtualClock()
        scheduler = Scheduler(clock=clock)
        scheduler.start()
        task_id = scheduler.schedule("t", note, delay=1)
        def use():
            refused({
                "advance": lambda: clock.advance(2),
                "advance_to": lambda: clock.advance_to("2030-01-01T00:00:00Z"),
                "run_until_idle": lambda: clock.run_until_idle(),
                "set_wall": lambda: clock.set_wall("2030-01-01T00:00:00Z"),
                "shift_wall": lambda: clock.shift_wall(5),
                "suspend": lambda: clock.suspend(5),
                "result": lambda: scheduler.result(task_id),
            })
            own_clock = VirtualClock()
            with Scheduler(clock=own_clock) as own:
                assert own.result(own.schedule("t", lambda: 7, delay=5)) == 7
        print(child_of(use))
        clock.advance(2)
        print(who(), scheduler.get_task(task_id).status)
    """
    assert run(program, log) == "0\n{'parent'} completed\n"


@pytest.mark.parametrize(
    "leave",
    ["sys.exit(0)", "os._exit(0)", "gc.collect(); del scheduler; gc.collect(); sys.exit(0)"],
)
def test_what_the_parent_owns_is_not_destroyed_in_the_child(log: str, leave: str) -> None:
    """Pending, running and remembered: arguments, keywords, callbacks, results, waiters."""
    program = f"""
        class Owned:
            def __del__(self):
                note()
        def busy(thing):
            began.set()
            gate.wait(20)
        began, gate = threading.Event(), threading.Event()
        scheduler = Scheduler(max_workers=1)
        scheduler.start()
        remembered = scheduler.schedule("remembered", Owned)
        scheduler.wait_for_task(remembered, 10)
        failed = scheduler.schedule("failed", lambda: [][Owned()])
        scheduler.wait_for_task(failed, 10)
        scheduler.schedule("args", print, args=(Owned(),), delay=1000)
        scheduler.schedule("kwargs", print, kwargs={{"a": Owned()}}, delay=1000)
        scheduler.schedule("metadata", print, metadata={{"a": Owned()}}, interval=1000, delay=None)
        scheduler.schedule("callback", lambda thing=Owned(): None, delay=1000)
        scheduler.schedule("busy", busy, args=(Owned(),))
        began.wait()
        child = os.fork()
        if child == 0:
            {leave}
        print(code_of(child), "child" in (who() if os.path.exists(sys.argv[1]) else set()))
        sys.stdout.flush()
        os._exit(0)
    """
    assert run(program.replace(", interval=1000, delay=None", ", delay=1000"), log) == "0 False\n"


def test_a_directory_that_a_pending_task_owns_survives_the_child(log: str) -> None:
    program = """
        scheduler = Scheduler(max_workers=1)
        scheduler.start()
        directory = tempfile.TemporaryDirectory()
        name = directory.name
        task_id = scheduler.schedule("t", lambda it: os.path.exists(it.name), args=(directory,),
                                     delay=1000)
        del directory
        codes = []
        def fork():
            child = os.fork()
            if child:
                codes.append(code_of(child))
        scheduler.wait_for_task(scheduler.schedule("fork", fork), 20)
        def collect():
            global scheduler
            gc.collect()
            del scheduler
            gc.collect()
        codes.append(child_of(collect))
        print(codes, os.path.exists(name))
        scheduler.reschedule_task(task_id, delay=0)
        print(scheduler.result(task_id, 10))
    """
    assert run(program, log) == "[0, 0] True\nTrue\n"


def test_a_fork_during_the_first_wait(log: str) -> None:
    """What a first wait imports is imported before: the child could never import it."""
    program = """
        scheduler = Scheduler(max_workers=1)
        scheduler.start()
        def child():
            with Scheduler(max_workers=1) as own:
                assert own.result(own.schedule("t", lambda: 7), 5) == 7
        task_id = scheduler.schedule("fork", lambda: child_of(child))
        print(scheduler.result(task_id, 20))
    """
    for _ in range(3):
        assert run(program, log) == "0\n"

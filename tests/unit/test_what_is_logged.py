"""What is lost or cut is logged as a WARNING, what starts and stops as an INFO, skips as a DEBUG.

A record about a task carries its id and its name.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler import Scheduler
from num_agents.scheduler._engine import lifetime
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 10


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "num_agents.scheduler")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def scheduler(clock: VirtualClock) -> Scheduler:
    return Scheduler(clock=clock)


def about(caplog: pytest.LogCaptureFixture, task_id: str) -> list[tuple[str, str]]:
    """Level and message of each record about a task, which must name it in its attributes."""
    found = []
    for record in caplog.records:
        if task_id in record.getMessage():
            attributes = vars(record)
            assert attributes["task_id"] == task_id
            assert repr(attributes["task_name"]) in record.getMessage()
            found.append((record.levelname, record.getMessage()))
    return found


class TestALoss:
    def test_a_one_shot_that_is_later_than_its_grace(
        self, scheduler: Scheduler, clock: VirtualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        task_id = scheduler.schedule("late", int, delay=5, grace=1)
        clock.advance(60)
        with scheduler:
            clock.advance(1)
        assert scheduler.tasks[task_id].status == "missed"
        assert about(caplog, task_id) == [
            ("WARNING", f"Task 'late' ({task_id}) missed 1 occurrences")
        ]

    def test_occurrences_that_are_missed(
        self, scheduler: Scheduler, clock: VirtualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        task_id = scheduler.schedule("skipping", int, interval=10, misfire="skip", grace=1)
        clock.advance(45)
        with scheduler:
            clock.advance(1)
        assert about(caplog, task_id) == [
            ("WARNING", f"Task 'skipping' ({task_id}) missed 5 occurrences")
        ]

    @pytest.mark.parametrize(
        ("options", "lost"),
        [
            ({}, 4),
            ({"misfire": "earliest"}, 4),
            ({"misfire": "all", "catch_up_limit": 3}, 2),
            ({"misfire": "all"}, 0),
        ],
    )
    def test_occurrences_that_are_given_up_for_a_run(
        self,
        scheduler: Scheduler,
        clock: VirtualClock,
        caplog: pytest.LogCaptureFixture,
        options: dict[str, Any],
        lost: int,
    ) -> None:
        task_id = scheduler.schedule("often", int, interval=10, **options)
        clock.advance(45)
        with scheduler:
            clock.advance(1)
        said = about(caplog, task_id)
        assert len(said) == (lost > 0)
        for level, message in said:
            assert level == "WARNING"
            assert f"gave up {lost} occurrences" in message

    @pytest.mark.realtime
    def test_runs_that_go_on_at_the_end_of_a_with_block(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        started, over = Event(), Event()

        def run() -> None:
            started.set()
            over.wait(SECONDS)

        scheduler = Scheduler(max_workers=1)
        stop = scheduler.stop
        scheduler.stop = lambda: stop(timeout=0.01)  # type: ignore[method-assign,assignment,misc]
        with scheduler:
            task_id = scheduler.schedule("slow", run)
            scheduler.schedule("pending", run, delay=60)
            assert started.wait(SECONDS)
        over.set()
        assert about(caplog, task_id) == [
            (
                "WARNING",
                f"Task 'slow' ({task_id}) still ran when the with block of its scheduler ended",
            )
        ]
        assert ("INFO", "The scheduler has been stopped: 1 tasks still run, 1 are pending") in [
            (record.levelname, record.getMessage()) for record in caplog.records
        ]

    @pytest.mark.realtime
    def test_runs_that_are_cut_at_exit(self) -> None:
        program = """
import logging, threading
from num_agents.scheduler import Scheduler
from num_agents.scheduler._engine import lifetime

format = "%(levelname)s %(message)s"
logging.basicConfig(level="INFO", format=format)
lifetime.EXIT_TIMEOUT_S = 0.05
started = threading.Event()
logging.getLogger().handlers[0].addFilter(
    lambda record: print(record.levelname, getattr(record, "task_name", None), flush=True) or True
)

def hang():
    started.set()
    threading.Event().wait()

scheduler = Scheduler(max_workers=1)
scheduler.schedule("hung", hang)
scheduler.schedule("next year", print, delay=86_400 * 365)
scheduler.start()
started.wait()
"""
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
        )
        lines = ended.stderr.splitlines()
        assert lines[0] == "INFO The scheduler has been started"
        assert "INFO The scheduler has been stopped: 1 tasks still run, 1 are pending" in lines
        assert lines[-1].startswith("WARNING Task 'hung' (")
        assert lines[-1].endswith(") was cut off at exit")
        assert ended.stdout.splitlines() == ["INFO None", "INFO None", "WARNING hung"]


class TestTheRest:
    def test_starting_and_stopping(
        self, scheduler: Scheduler, caplog: pytest.LogCaptureFixture
    ) -> None:
        scheduler.schedule("pending", int, delay=60)
        with scheduler:
            pass
        scheduler.stop()
        assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
            ("INFO", "The scheduler has been started"),
            ("INFO", "The scheduler has been stopped: 0 tasks still run, 1 are pending"),
        ]

    def test_occurrences_that_fall_due_during_a_run(
        self, scheduler: Scheduler, clock: VirtualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        task_id = scheduler.schedule("long", lambda: clock.advance(35), interval=10, max_runs=1)
        with scheduler:
            scheduler.wait_for_task(task_id)
        task_id = scheduler.schedule("longer", lambda: clock.advance(35), interval=10, max_runs=2)
        with scheduler:
            scheduler.wait_for_task(task_id, until="end")
        assert {level for level, _ in about(caplog, task_id)} == {"DEBUG"}
        assert "skipped 3 occurrences that fell due while it ran" in about(caplog, task_id)[0][1]

    def test_a_run_that_went_well_says_nothing(
        self, scheduler: Scheduler, caplog: pytest.LogCaptureFixture
    ) -> None:
        with scheduler:
            task_id = scheduler.schedule("well", int)
            scheduler.wait_for_task(task_id)
            scheduler.cancel_task(scheduler.schedule("cancelled", int, delay=60))
        assert {record.levelname for record in caplog.records} == {"INFO"}


@pytest.mark.realtime
class TestAStopThatBlocksAnEventLoop:
    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setattr(lifetime, "LOOP_BLOCKED_S", 0.02)
        return  # type: ignore[return-value]

    async def stopped(self, stop: Callable[[Scheduler], Any]) -> None:
        """Stops a scheduler one of whose callbacks waits for the loop."""
        loop, started = asyncio.get_running_loop(), asyncio.Event()

        def run() -> None:
            loop.call_soon_threadsafe(started.set)
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0.1), loop).result(SECONDS)

        scheduler = Scheduler(max_workers=1)
        scheduler.start()
        task_id = scheduler.schedule("needs the loop", run)
        await started.wait()
        ended = stop(scheduler)
        if asyncio.iscoroutine(ended):
            await ended
        await scheduler.wait_for_task_async(task_id, SECONDS)

    @pytest.mark.parametrize("mode", ["wait", "drain", "cancel"])
    def test_warns_while_callbacks_run(self, mode: Any, caplog: pytest.LogCaptureFixture) -> None:
        asyncio.run(self.stopped(lambda scheduler: scheduler.stop(mode, timeout=0.2)))
        said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert said == [
            "stop() blocks the event loop of its thread while 1 callbacks run, and those that wait "
            "for that loop cannot end: write `await asyncio.to_thread(scheduler.stop)`"
        ]

    @pytest.mark.parametrize(
        "stop",
        [
            lambda scheduler: asyncio.to_thread(scheduler.stop),
            lambda scheduler: scheduler.stop("now"),
            lambda scheduler: scheduler.stop(timeout=0),
        ],
        ids=["in a thread", "now", "without a wait"],
    )
    def test_one_that_does_not_block_says_nothing(
        self, stop: Callable[[Scheduler], Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        asyncio.run(self.stopped(stop))
        assert [record for record in caplog.records if record.levelname == "WARNING"] == []

    def test_one_without_callbacks_says_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        async def main() -> None:
            with Scheduler(max_workers=1) as scheduler:
                await scheduler.result_async(scheduler.schedule("t", int), SECONDS)

        asyncio.run(main())
        assert {record.levelname for record in caplog.records} == {"INFO"}

    def test_one_outside_of_a_loop_says_nothing(
        self, threaded: Callable[..., Scheduler], caplog: pytest.LogCaptureFixture
    ) -> None:
        started, over = Event(), Event()

        def run() -> None:
            started.set()
            over.wait(SECONDS)

        scheduler = threaded(1)
        scheduler.schedule("slow", run)
        assert started.wait(SECONDS)
        assert scheduler.stop(timeout=0.1).running == 1
        over.set()
        assert {record.levelname for record in caplog.records} == {"INFO"}

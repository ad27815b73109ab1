"""The event loop of a virtual clock: coroutines in no time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from num_agents.scheduler import Scheduler
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from datetime import datetime


class TestDriven:
    """The clock is moved, and the loop with it."""

    def test_sleeps_end_at_their_moment(self, clock: VirtualClock, scheduler: Scheduler) -> None:
        woken: list[datetime] = []

        async def work(seconds: float) -> None:
            await asyncio.sleep(seconds)
            woken.append(clock.now())

        start = clock.now()
        for seconds in (3600, 0.25, 100_000, 0.1):
            scheduler.schedule("t", work, args=(seconds,), delay=1)
        clock.run_until_idle(limit=timedelta(days=3))
        assert [(moment - start).total_seconds() for moment in woken] == [
            *(1.1, 1.25, 3601, 100_001),
        ]

    def test_coroutines_and_callables_take_turns(
        self, clock: VirtualClock, scheduler: Scheduler
    ) -> None:
        seen: list[str] = []

        async def work() -> None:
            for number in range(3):
                scheduler.schedule("t", seen.append, args=(f"callable {number}",))
                await asyncio.sleep(0)
                seen.append(f"coroutine {number}")
                await asyncio.sleep(1)

        scheduler.schedule("t", work)
        clock.advance(10)
        assert sorted(seen) == sorted(
            f"{kind} {number}" for kind in ("callable", "coroutine") for number in range(3)
        )
        assert clock.now() == clock.now()

    def test_the_same_operations_have_the_same_results(self) -> None:
        def trace() -> list[tuple[str, str]]:
            clock, seen = VirtualClock(), []

            async def work(number: int) -> None:
                for turn in range(5):
                    seen.append((f"{number}.{turn}", clock.now().isoformat()))
                    await asyncio.sleep(number / 7)

            with Scheduler(clock=clock) as scheduler:
                for number in range(20):
                    scheduler.schedule("t", work, args=(number,), interval=5, jitter=2, max_runs=3)
                clock.advance(60)
            return seen

        assert trace() == trace()

    def test_time_limits_are_on_the_clock(self, clock: VirtualClock, scheduler: Scheduler) -> None:
        async def work() -> str:
            try:
                async with asyncio.timeout(60):
                    await asyncio.sleep(3600)
            except TimeoutError:
                return clock.now().isoformat()
            return "never"

        assert scheduler.result(scheduler.schedule("t", work)) == "2025-01-01T00:01:00+00:00"

    def test_two_schedulers_share_the_loop(self, clock: VirtualClock) -> None:
        async def ask(other: Scheduler) -> object:
            task_id = other.schedule("t", asyncio.sleep, args=(5, "answer"))
            return await other.result_async(task_id)

        with Scheduler(clock=clock) as one, Scheduler(clock=clock) as other:
            assert one.result(one.schedule("t", ask, args=(other,))) == "answer"

    def test_within_another_running_loop(self, clock: VirtualClock) -> None:
        async def main() -> None:
            here = asyncio.current_task()
            async with Scheduler(clock=clock) as scheduler:
                task_id = scheduler.schedule("t", asyncio.sleep, args=(3600, "done"))
                assert await scheduler.result_async(task_id) == "done"
                assert asyncio.current_task() is here
                clock.advance(10)
                await asyncio.sleep(0)

        asyncio.run(main())

    def test_functions_for_threads_are_called_at_once(
        self, clock: VirtualClock, scheduler: Scheduler
    ) -> None:
        async def work() -> int:
            return await asyncio.to_thread(int, "42")

        before = clock.now()
        assert scheduler.result(scheduler.schedule("t", work)) == 42
        assert clock.now() == before

    def test_a_wait_that_would_block_its_own_loop_is_an_error(
        self, clock: VirtualClock, scheduler: Scheduler
    ) -> None:
        async def work() -> object:
            return scheduler.result(scheduler.schedule("t", asyncio.sleep, args=(1,)))

        with pytest.raises(RuntimeError, match="would never end"):
            scheduler.result(scheduler.schedule("t", work))

    def test_a_stop_gives_coroutines_time_to_end(self, clock: VirtualClock) -> None:
        ended: list[datetime] = []

        async def work(seconds: float) -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(seconds)
                ended.append(clock.now())

        scheduler = Scheduler(clock=clock)
        scheduler.start()
        scheduler.schedule("t", work, args=(2,))
        scheduler.schedule("t", work, args=(20,))
        clock.advance(1)
        start = clock.now()
        report = scheduler.stop("cancel", timeout=5)
        assert (report.ended, report.running) == (False, 1)
        assert ended == [start + timedelta(seconds=2)]
        # Less what the stop itself has taken.
        assert timedelta(seconds=4.9) < clock.now() - start <= timedelta(seconds=5)
        clock.advance(60)
        assert scheduler.stop().ended
        assert len(ended) == 2


class TestRun:
    """The test is a coroutine itself."""

    def test_takes_no_time(self, clock: VirtualClock) -> None:
        async def main() -> float:
            begin = asyncio.get_running_loop().time()
            await asyncio.sleep(86_400 * 365)
            return asyncio.get_running_loop().time() - begin

        assert clock.run(main()) == 86_400 * 365
        assert clock.now().isoformat() == "2026-01-01T00:00:00+00:00"

    def test_a_service_lives_a_day_of_its_own(self, clock: VirtualClock) -> None:
        beats: list[str] = []

        async def beat() -> None:
            await asyncio.sleep(0.5)
            beats.append(clock.now().isoformat())

        async def main() -> None:
            async with Scheduler(clock=clock) as scheduler:
                scheduler.schedule("beat", beat, interval=3600)
                scheduler.schedule("tick", int, cron_expression="0 * * * *", timezone="UTC")
                await asyncio.sleep(86_400)
                assert scheduler.statistics().completed == 48
                report = await scheduler.stop_async("drain")
                assert report.ended

        clock.run(main())
        assert len(beats) == 25
        assert beats[1] == "2025-01-01T01:00:00.500000+00:00"

    def test_waits_and_their_limits(self, clock: VirtualClock) -> None:
        async def main() -> None:
            async with Scheduler(clock=clock) as scheduler:
                start = clock.now()
                task_id = scheduler.schedule("t", asyncio.sleep, args=(100, "late"))
                with pytest.raises(TimeoutError):
                    await scheduler.result_async(task_id, timeout=10)
                assert clock.now() - start == timedelta(seconds=10)
                assert await scheduler.future(task_id) == "late"
                assert clock.now() - start == timedelta(seconds=100)
                # A callable that is not a coroutine runs on the way.
                assert await scheduler.result_async(scheduler.schedule("t", int, delay=5)) == 0

        clock.run(main())

    def test_a_stop_waits_on_the_clock(self, clock: VirtualClock) -> None:
        async def main() -> None:
            scheduler = Scheduler(clock=clock)
            await scheduler.start_async()
            scheduler.schedule("t", asyncio.sleep, args=(3,))
            await asyncio.sleep(1)
            start = clock.now()
            report = await scheduler.stop_async()
            assert (report.was_running, report.ended, report.running) == (True, True, 0)
            assert clock.now() - start == timedelta(seconds=2)

        clock.run(main())

    def test_what_would_wait_for_ever_is_an_error(self, clock: VirtualClock) -> None:
        async def main() -> None:
            await asyncio.Event().wait()

        with pytest.raises(RuntimeError, match="would never end"):
            clock.run(main())

    def test_what_it_raises_is_raised(self, clock: VirtualClock) -> None:
        async def main() -> None:
            await asyncio.sleep(1)
            raise LookupError("wrong")

        with pytest.raises(LookupError, match="wrong"):
            clock.run(main())
        assert clock.run(asyncio.sleep(1, "again")) == "again"

    def test_can_be_gone_on_with(self, clock: VirtualClock) -> None:
        with Scheduler(clock=clock) as scheduler:
            task_id = scheduler.schedule("t", asyncio.sleep, args=(10, "done"))
            clock.run(asyncio.sleep(5))
            assert scheduler.tasks[task_id].status == "running"
            clock.advance(5)
            assert scheduler.tasks[task_id].result == "done"

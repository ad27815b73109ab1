"""Scheduling many one-shots at once."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from num_agents.scheduler import Scheduler
    from num_agents.scheduler.testing import VirtualClock

START = datetime(2025, 1, 1, tzinfo=UTC)


class TestTimes:
    @pytest.mark.parametrize(
        "delays",
        [
            [3, 1.0, timedelta(seconds=2)],
            (3, 1, 2),
            iter([3, 1, 2]),
            array("d", [3, 1, 2]),
            memoryview(array("d", [3, 1, 2])),
            range(3, 0, -1),
        ],
    )
    def test_delays(self, scheduler: Scheduler, clock: VirtualClock, delays: Any) -> None:
        ids = scheduler.schedule_many("t", clock.now, delays=delays)
        clock.advance(10)
        seconds = sorted((scheduler.result(one) - START).total_seconds() for one in ids)
        assert seconds == [1, 2, 3]

    @pytest.mark.parametrize(
        "run_ats",
        [
            ["2025-01-01T00:00:03Z", START + timedelta(seconds=1), (START.timestamp() + 2)],
            array("d", [START.timestamp() + number for number in (1, 2, 3)]),
            [int(START.timestamp()) + number for number in (1, 2, 3)],
        ],
    )
    def test_moments(self, scheduler: Scheduler, clock: VirtualClock, run_ats: Any) -> None:
        ids = scheduler.schedule_many("t", clock.now, run_ats=run_ats)
        clock.advance(10)
        seconds = sorted((scheduler.result(one) - START).total_seconds() for one in ids)
        assert seconds == [1, 2, 3]

    def test_moments_that_have_passed_are_due_now(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        ids = scheduler.schedule_many("t", int, run_ats=[0, -1e9, "1066-10-14", START])
        clock.advance(0)
        assert {scheduler.tasks[one].run_count for one in ids} == {1}
        assert scheduler.wait_for_task(ids[0]).lateness == START.timestamp()

    def test_delays_count_from_the_call(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        def slowly() -> Any:
            for number in range(3):
                clock.native.set_ns(clock.native.now_ns() + 1_000_000_000)
                yield number

        (first, *_) = scheduler.schedule_many("t", int, delays=slowly())
        assert scheduler.tasks[first].next_run == START

    def test_none_at_all(self, scheduler: Scheduler) -> None:
        ids = scheduler.schedule_many("t", int, delays=[])
        assert (len(ids), list(ids)) == (0, [])
        assert len(scheduler.schedule_many("t", int, run_ats=[])) == 0
        assert len(scheduler.schedule_many("t", int, delays=[], args=[], priorities=[])) == 0

    def test_one_kind_of_time(self, scheduler: Scheduler) -> None:
        with pytest.raises(ValueError, match=r"^give either delays or run_ats"):
            scheduler.schedule_many("t", int)
        with pytest.raises(ValueError, match=r"^give either delays or run_ats"):
            scheduler.schedule_many("t", int, delays=[1], run_ats=[1])


class TestOptions:
    def test_arguments_and_priorities(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        order: list[Any] = []

        def note(*args: Any) -> None:
            order.append(args)

        scheduler.stop()
        for priorities in ([200, 0, 128, 0], bytes([200, 0, 128, 0]), iter([200, 0, 128, 0])):
            order.clear()
            scheduler.schedule_many(
                "t",
                note,
                delays=[0, 2, 0, 1],
                args=[(0,), [1, "b"], (), iter([3])],
                priorities=priorities,
            )
            clock.advance(5)
            scheduler.start()
            clock.advance(0)
            scheduler.stop()
            assert order == [(3,), (1, "b"), (), (0,)]

    @pytest.mark.parametrize("count", [0, 1, 3])
    @pytest.mark.parametrize("argument", ["args", "priorities"])
    def test_as_many_as_there_are_tasks(
        self, scheduler: Scheduler, argument: str, count: int
    ) -> None:
        options: Any = {argument: [()] * count if argument == "args" else [1] * count}
        with pytest.raises(ValueError, match=f"^{argument} must have 2 items.* got {count}$"):
            scheduler.schedule_many("t", int, delays=[1, 2], **options)
        assert scheduler.statistics().pending == 0

    def test_all_is_checked_before_any_is_scheduled(self, scheduler: Scheduler) -> None:
        good = [1.0] * 5000
        for bad in (float("nan"), -1.0, float("inf"), 1e300):
            with pytest.raises((ValueError, OverflowError), match=r"^delays\[5000\]"):
                scheduler.schedule_many("t", int, delays=[*good, bad])
        with pytest.raises(TypeError, match=r"^priorities\[1\]"):
            scheduler.schedule_many("t", int, delays=[1, 2], priorities=[1, True])
        with pytest.raises(ValueError, match=r"^priorities\[1\]"):
            scheduler.schedule_many("t", int, delays=[1, 2], priorities=[1, 256])
        with pytest.raises(TypeError, match=r"^args must be a tuple or a list"):
            scheduler.schedule_many("t", int, delays=[1, 2], args=[(), "no"])
        assert scheduler.statistics().scheduled == 0

    @pytest.mark.parametrize(
        "delays", [array("f", [1]), array("q", [1]), b"12345678", bytearray(8)]
    )
    def test_a_buffer_of_another_type_is_refused(self, scheduler: Scheduler, delays: Any) -> None:
        with pytest.raises(TypeError, match=r"^delays must be numbers of seconds, or a buffer"):
            scheduler.schedule_many("t", int, delays=delays)

    def test_in_order_across_slices(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        order: list[int] = []
        count = 3000
        scheduler.schedule_many(
            "t", order.append, delays=[1.0] * count, args=[(number,) for number in range(count)]
        )
        clock.advance(1)
        assert order == list(range(count))

    def test_a_destructor_that_schedules_in_the_middle(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        """A slot is never filled twice, whoever comes in between."""
        ran: list[Any] = []

        class Awkward:
            def __del__(self) -> None:
                scheduler.schedule("nested", ran.append, args=("nested",))

        for _ in range(3):
            scheduler.schedule_many(
                "t", lambda thing: ran.append(1), delays=[0.0] * 600, args=[(Awkward(),)] * 600
            )
            clock.advance(1)
        clock.advance(1)
        assert (ran.count(1), ran.count("nested")) == (1800, 3)


class TestIds:
    def test_are_a_sequence(self, scheduler: Scheduler) -> None:
        ids = scheduler.schedule_many("t", int, delays=[1.0] * 10)
        listed = list(ids)
        assert isinstance(ids, Sequence)
        assert len(ids) == len(set(listed)) == 10
        assert ids[0] == listed[0]
        assert ids[-1] == listed[-1]
        assert list(ids[2:5]) == listed[2:5]
        assert list(ids[::-3]) == listed[::-3]
        assert list(ids[7:2]) == []
        assert list(reversed(ids)) == listed[::-1]
        assert listed[3] in ids
        assert ids.index(listed[3]) == 3
        assert (ids.count(listed[3]), ids.count("nonsense")) == (1, 0)
        assert repr(ids) == "<TaskIds: 10>"
        assert bool(ids)
        assert not ids[:0]

    @pytest.mark.parametrize(
        "index",
        [
            10,
            -11,
            2**100,
        ],
    )
    def test_end_somewhere(self, scheduler: Scheduler, index: int) -> None:
        ids = scheduler.schedule_many("t", int, delays=[1.0] * 10)
        with pytest.raises(IndexError):
            ids[index]

    def test_nonsense_is_not_in_them(self, scheduler: Scheduler) -> None:
        ids = scheduler.schedule_many("t", int, delays=[1.0] * 10)
        for nonsense in (5, None, "", object(), [], scheduler.schedule("t", int)):
            assert nonsense not in ids
            with pytest.raises(ValueError, match="not in the sequence"):
                ids.index(nonsense)
        with pytest.raises(TypeError):
            ids["0"]  # type: ignore[call-overload]

    def test_take_eight_bytes_each(self, scheduler: Scheduler) -> None:
        ids = scheduler.schedule_many("t", int, delays=[1.0] * 100_000)
        assert len(ids) == 100_000
        assert scheduler.statistics().memory_bytes < 100 * 100_000

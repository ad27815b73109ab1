"""Scheduling many one-shots at once."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus import EventBus
from num_agents.scheduler import RunPolicy, Scheduler, ScheduleWarning, Task, TaskSchedule

if TYPE_CHECKING:
    from num_agents.scheduler.testing import VirtualClock

START = datetime(2025, 1, 1, tzinfo=UTC)
END = START + timedelta(seconds=50)


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


class TestKwargs:
    def test_one_for_all_or_one_each(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        for kwargs in ({"n": 7}, [{"n": 7}, {}, {"n": 8}], iter([{"n": 7}] * 3)):
            ids = scheduler.schedule_many(
                "t", lambda n=0: n, delays=[1, 2, 3], kwargs=kwargs, tags=["a"]
            )
            clock.advance(5)
            expected = [7, 0, 8] if isinstance(kwargs, list) else [7, 7, 7]
            assert [scheduler.result(one) for one in ids] == expected

    def test_are_copied(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        kwargs = {"n": 1}
        ids = [
            *scheduler.schedule_many("t", lambda n: n, delays=[1], kwargs=kwargs),
            *scheduler.schedule_many("t", lambda n: n, delays=[1], kwargs=[kwargs]),
        ]
        kwargs["n"] = 2
        clock.advance(1)
        assert [scheduler.result(one) for one in ids] == [1, 1]

    @pytest.mark.parametrize(
        ("kwargs", "said"),
        [
            (5, r"^kwargs must be an iterable, got 5"),
            ("no", r"^kwargs must be an iterable"),
            ({1: 2}, r"^kwargs must have strings as keys, got 1"),
            ([{}, {1: 2}], r"^kwargs\[1\] must have strings as keys, got 1"),
            ([{}, 3], r"^kwargs\[1\] must be a mapping, got 3"),
        ],
    )
    def test_others_are_refused(self, scheduler: Scheduler, kwargs: Any, said: str) -> None:
        with pytest.raises(TypeError, match=said):
            scheduler.schedule_many("t", int, delays=[1, 2], kwargs=kwargs)
        assert scheduler.statistics().scheduled == 0

    @pytest.mark.parametrize("argument", ["kwargs", "tags"])
    def test_as_many_as_there_are_tasks(self, scheduler: Scheduler, argument: str) -> None:
        each: Any = {argument: [{}] * 3 if argument == "kwargs" else [("a",)] * 3}
        with pytest.raises(ValueError, match=rf"^{argument} must have 2 items.* got 3$"):
            scheduler.schedule_many("t", int, delays=[1, 2], **each)
        assert scheduler.statistics().pending == 0


class TestTags:
    def test_for_all_or_of_each(self, scheduler: Scheduler) -> None:
        cases: list[tuple[Any, list[set[str]]]] = [
            (["a", "b"], [{"a", "b"}] * 2),
            (["a"], [{"a"}] * 2),
            ((), [set(), set()]),
            ([("a",), ["b", "c"]], [{"a"}, {"b", "c"}]),
            ([("a",), ()], [{"a"}, set()]),
        ]
        for tags, expected in cases:
            ids = scheduler.schedule_many("t", int, delays=[1, 2], tags=tags)
            assert [scheduler.tasks[one].tags for one in ids] == expected

    def test_tasks_with_the_same_share_them(self, scheduler: Scheduler) -> None:
        tags = [(f"user{number % 2}",) for number in range(100)]
        ids = scheduler.schedule_many("t", int, delays=[1] * 100, tags=tags)
        found = {id(scheduler._engine.native.record(one).options) for one in ids}  # type: ignore[union-attr]
        assert len(found) == 2

    @pytest.mark.parametrize(
        ("tags", "said"),
        [
            ("no", r"^tags must be an iterable of strings"),
            (5, r"^tags must be an iterable of strings, got 5"),
            (["a", 5], r"^tags\[0\] must be an iterable of strings, got 'a'"),
            ([("a",), 5], r"^tags\[1\] must be an iterable of strings, got 5"),
            ([("a",), (5,)], r"^tags\[1\] must be strings, got 5"),
        ],
    )
    def test_others_are_refused(self, scheduler: Scheduler, tags: Any, said: str) -> None:
        with pytest.raises(TypeError, match=said):
            scheduler.schedule_many("t", int, delays=[1, 2], tags=tags)
        assert scheduler.statistics().scheduled == 0


class TestSchedule:
    """One schedule and one policy for all."""

    def ran(self, clock: VirtualClock, ids: Any, scheduler: Scheduler, seconds: float) -> list[int]:
        clock.advance(seconds)
        return [scheduler.tasks[one].run_count for one in ids]

    def test_an_interval_begins_with_each_delay(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        ids = scheduler.schedule_many(
            "t", int, delays=[0, 30, 90], schedule=TaskSchedule(interval=60, max_runs=2)
        )
        assert self.ran(clock, ids, scheduler, 45) == [1, 1, 0]
        assert scheduler.tasks[ids[1]].next_run == START + timedelta(seconds=90)
        assert self.ran(clock, ids, scheduler, 600) == [2, 2, 2]
        assert scheduler.statistics().pending == 0

    def test_an_interval_begins_with_each_moment(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        ids = scheduler.schedule_many(
            "t",
            int,
            run_ats=[START + timedelta(seconds=30), "2025-01-01T00:01:30Z"],
            schedule=TaskSchedule(interval=60),
        )
        assert self.ran(clock, ids, scheduler, 91) == [2, 1]

    @pytest.mark.parametrize(
        ("schedule", "first"),
        [
            (TaskSchedule(interval=3600), 0),
            (TaskSchedule(interval=3600, first_run="after_interval"), 3600),
            (TaskSchedule(interval=3600, first_run="aligned"), 1800),
            (TaskSchedule(interval=3600, start_after=START), 1800),
            (TaskSchedule(interval=3600, start_after=START + timedelta(days=1)), 84600),
            (TaskSchedule(cron_expression="0 * * * *"), 1800),
            (TaskSchedule(cron_expression="@every 10m"), 600),
        ],
    )
    def test_a_schedule_alone_says_when(
        self, scheduler: Scheduler, clock: VirtualClock, schedule: TaskSchedule, first: int
    ) -> None:
        clock.advance(1800)
        due = clock.now() + timedelta(seconds=first)
        directly = scheduler.schedule_task(Task("t", int, schedule))
        ids = scheduler.schedule_many("t", int, args=[()] * 300, schedule=schedule, tags=["x"])
        assert len(ids) == 300
        for one in (directly, ids[0], ids[-1]):
            task = scheduler.tasks[one]
            assert (task.next_run, task.schedule) == (due, scheduler.tasks[directly].schedule)
        clock.advance(4 * 86_400)
        counts = {scheduler.tasks[one].run_count for one in (directly, *ids)}
        assert len(counts) == 1
        assert counts > {0} or counts.pop() > 1

    @pytest.mark.parametrize(
        "each",
        [
            {"kwargs": [{}] * 3},
            {"tags": [("a",)] * 3},
            {"priorities": [1, 2, 3]},
            {"args": iter([()] * 3), "kwargs": {"base": 10}},
        ],
    )
    def test_how_many_is_said_by_what_is_of_each(
        self, scheduler: Scheduler, each: dict[str, Any]
    ) -> None:
        assert (
            len(scheduler.schedule_many("t", int, schedule=TaskSchedule(interval=5), **each)) == 3
        )

    def test_a_policy_for_all(self, scheduler: Scheduler, clock: VirtualClock) -> None:
        policy = RunPolicy(grace=5, priority=7)
        moments = [START + timedelta(seconds=number) for number in range(1, 21)]
        ids = [
            *scheduler.schedule_many("t", int, delays=range(1, 21), policy=policy),
            *scheduler.schedule_many("t", int, run_ats=moments, policy=policy),
        ]
        assert {scheduler.tasks[one].policy.priority for one in ids} == {7}
        assert scheduler.tasks[ids[0]].policy == policy
        scheduler.stop()
        clock.advance(20)
        scheduler.start()
        clock.advance(0)
        statuses = [scheduler.tasks[one].status for one in ids]
        assert statuses == (["missed"] * 14 + ["completed"] * 6) * 2

    def test_a_policy_that_has_no_effect_is_warned_of(self, scheduler: Scheduler) -> None:
        with pytest.warns(ScheduleWarning, match="misfire has no effect"):
            scheduler.schedule_many("t", int, delays=[1], policy=RunPolicy(misfire="all"))

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ({"delays": [1], "schedule": TaskSchedule(delay=5)}, "schedule must repeat"),
            ({"args": [()], "schedule": TaskSchedule(run_at=START)}, "schedule must repeat"),
            ({"args": [()], "schedule": TaskSchedule(rrule="FREQ=DAILY")}, "schedule must repeat"),
            (
                {"delays": [1], "schedule": TaskSchedule(cron_expression="* * * * *")},
                "delays and a schedule by a calendar each say when",
            ),
            (
                {"delays": [1], "schedule": TaskSchedule(interval=5, first_run="aligned")},
                "delays say when each task begins",
            ),
            (
                {"run_ats": [START], "schedule": TaskSchedule(interval=5, start_after=START)},
                "run_ats say when each task begins",
            ),
            ({"schedule": TaskSchedule(interval=5)}, "give delays or run_ats, or args"),
            ({"schedule": TaskSchedule(interval=5), "args": [()], "tags": [()] * 2}, "tags must"),
            (
                {"delays": [1, 99], "schedule": TaskSchedule(interval=5, end_after=END)},
                r"end_after comes before the first run of delays\[1\]",
            ),
            ({"delays": [1], "run_ats": [1], "schedule": TaskSchedule(interval=5)}, "give either"),
        ],
    )
    def test_contradictions_are_refused(
        self, scheduler: Scheduler, words: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(ValueError, match=f"^{said}"):
            scheduler.schedule_many("t", int, **words)
        assert scheduler.statistics().scheduled == 0

    @pytest.mark.parametrize("word", ["schedule", "policy"])
    def test_other_types_are_refused(self, scheduler: Scheduler, word: str) -> None:
        with pytest.raises(TypeError, match=f"^{word} must be a "):
            scheduler.schedule_many("t", int, delays=[1], **{word: 5})  # type: ignore[arg-type]

    def test_are_announced(self, clock: VirtualClock) -> None:
        bus, heard = EventBus(), list[Any]()
        bus.subscribe("scheduler.task_scheduled", heard.append)
        scheduler = Scheduler(clock=clock, event_bus=bus)
        every = TaskSchedule(interval=60, first_run="aligned")
        clock.advance(30)
        scheduler.schedule_many("t", int, args=[(), ()], schedule=every)
        scheduler.schedule_many("t", int, delays=[5], schedule=TaskSchedule(interval=60))
        assert [one.payload["nominal_time"] for one in heard] == [
            START + timedelta(seconds=seconds) for seconds in (60, 60, 35)
        ]


@pytest.mark.parametrize("empty", ["args", "kwargs", "tags"])
def test_an_empty_list_is_not_one_of_each(scheduler: Scheduler, empty: str) -> None:
    lists: dict[str, Any] = {empty: []}
    if empty == "tags":
        # No tags for all.
        assert len(scheduler.schedule_many("t", print, delays=[1, 2, 3], **lists)) == 3
        return
    with pytest.raises(ValueError, match=f"{empty} must have 3 items"):
        scheduler.schedule_many("t", print, delays=[1, 2, 3], **lists)
    assert scheduler.statistics().pending == 0

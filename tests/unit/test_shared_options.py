"""Tasks share options that say the same, and nothing else."""

from __future__ import annotations

import time
import warnings
from contextvars import copy_context
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from num_agents.scheduler import (
    RunPolicy,
    Scheduler,
    ScheduleWarning,
    Task,
    TaskSchedule,
)
from num_agents.scheduler._engine import options as options_module
from num_agents.scheduler._engine.options import NO_TIME, SharedOptions, SharedWords
from num_agents.scheduler._timing.common import wall_time
from num_agents.scheduler.calendar import CalendarInterval, Exclusions

if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.scheduler.testing import VirtualClock

START = datetime(2025, 1, 1, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
AFTER_INTERVAL: dict[str, Any] = {"first_run": "after_interval"}


def options_of(scheduler: Scheduler, **words: Any) -> Any:
    """The options object of a new task."""
    record = scheduler._engine.native.record(scheduler.schedule("t", print, **words))
    assert record is not None
    return record.options


class Priority(IntEnum):
    HIGH = 3


class TestAreShared:
    @pytest.mark.parametrize(
        "words",
        [
            {"kwargs": {"end": ""}},
            {"delay": 5, "tags": ("a", "b")},
            {"delay": 5, "tags": ["a"], "grace": 5},
            {"run_at": START + timedelta(hours=1)},
            {"run_at": datetime(2025, 1, 1, 12)},
            {"run_at": START + timedelta(hours=1), "timezone": "Europe/Paris", "grace": "5m"},
            {"interval": 60},
            {"interval": timedelta(minutes=1), "max_runs": 3, "jitter": 0.5, **AFTER_INTERVAL},
            {"interval": "1h", "misfire": "all", "catch_up_limit": 3, "window": 60},
            {"interval": 60, "fixed_delay": True, "pause_after_failures": 3, "grace": None},
            {"interval": 60, "first_run": "aligned"},
            {"interval": 60, "start_after": "2025-01-01T00:00:30"},
            {"interval": 60, "end_after": START + timedelta(days=1)},
            {"cron_expression": "0 9 * * MON-FRI", "tags": ("x",)},
            {"cron_expression": "@every 5m"},
            {"cron_expression": "0 9 * * *", "timezone": PARIS},
            {"cron_expression": "0 9 * * *", "timezone": timezone(timedelta(hours=1))},
            {"calendar_interval": CalendarInterval(days=2)},
            {"cron_expression": "0 9 * * *", "exclude": Exclusions(dates=["2025-01-01"])},
        ],
    )
    def test_if_the_words_are_equal(self, scheduler: Scheduler, words: dict[str, Any]) -> None:
        first = options_of(scheduler, **words)
        assert isinstance(first, SharedOptions)
        assert options_of(scheduler, **words) is first

    def test_whatever_belongs_to_one_task(self, scheduler: Scheduler) -> None:
        first = options_of(scheduler, delay=5, tags=("a",), kwargs={"end": ""})
        other = options_of(scheduler, delay=7, tags=["a"], kwargs={"sep": ""}, priority=3)
        assert other is first
        moments = [START + timedelta(days=days) for days in (1, 2)]
        assert len({id(options_of(scheduler, run_at=moment)) for moment in moments}) == 1

    def test_metadata_and_context_are_of_one_task(self, scheduler: Scheduler) -> None:
        ids = [
            scheduler.schedule("t", print, delay=5, tags=("a",), metadata={"n": number})
            for number in range(2)
        ]
        assert [scheduler.tasks[one].metadata for one in ids] == [{"n": 0}, {"n": 1}]
        assert [scheduler.tasks[one].tags for one in ids] == [{"a"}, {"a"}]
        context = copy_context()
        view = scheduler.tasks[scheduler.schedule("t", print, interval=5, context=context)]
        assert (view.context, view.schedule) == (context, TaskSchedule(interval=5))


class TestAreNotShared:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"grace": 1}, {"grace": 1.0}),
            ({"grace": 60}, {"grace": timedelta(minutes=1)}),
            ({"grace": 0}, {"grace": 0.0}),
            ({"grace": 0.0}, {"grace": -0.0}),
            ({"tags": ("a", "b")}, {"tags": ("a",)}),
            ({"max_runs": 1, "grace": 5}, {"max_runs": 1, "jitter": 5}),
            ({"delay": 5, "grace": 5}, {"run_at": START + timedelta(days=1), "grace": 5}),
            ({"interval": 60}, {"interval": 60, "first_run": "after_interval"}),
            (
                {"cron_expression": "0 9 * * *", "timezone": timezone(timedelta(hours=1), "A")},
                {"cron_expression": "0 9 * * *", "timezone": timezone(timedelta(hours=1), "B")},
            ),
            (
                # Equal as moments, and each shown as it was given.
                {"interval": 60, "end_after": datetime(2026, 1, 1, tzinfo=UTC)},
                {"interval": 60, "end_after": datetime(2026, 1, 1, 1, tzinfo=PARIS)},
            ),
        ],
    )
    def test_if_they_differ(
        self, scheduler: Scheduler, one: dict[str, Any], other: dict[str, Any]
    ) -> None:
        first = options_of(scheduler, **one)
        assert options_of(scheduler, **other) is not first
        for words in (one, other):
            view = scheduler.tasks[scheduler.schedule("t", print, **words)]
            shown = view.schedule.to_dict() | {"grace": view.policy.grace, "tags": view.tags}
            for word, value in words.items():
                if word not in ("delay", "tags"):
                    assert repr(shown[word]) == repr(value)

    def test_a_bool_is_no_number(self, scheduler: Scheduler) -> None:
        for word in ("grace", "max_runs", "interval", "jitter"):
            words: dict[str, Any] = {"interval": 5, word: 1}
            scheduler.schedule("t", print, **words)
            words[word] = True
            for _ in range(2):
                with pytest.raises(TypeError, match=f"^{word} must be"):
                    scheduler.schedule("t", print, **words)
        scheduler.schedule("t", print, interval=5, fixed_delay=True)
        with pytest.raises(TypeError, match=r"^fixed_delay must be a bool"):
            scheduler.schedule("t", print, interval=5, fixed_delay=1)  # type: ignore[call-overload]

    def test_a_list_that_changes_is_read_each_time(self, scheduler: Scheduler) -> None:
        tags = ["a"]
        first = scheduler.schedule("t", print, delay=5, tags=tags)
        tags.append("b")
        second = scheduler.schedule("t", print, delay=5, tags=tags)
        assert [scheduler.tasks[one].tags for one in (first, second)] == [{"a"}, {"a", "b"}]

    def test_kwargs_are_copied(self, scheduler: Scheduler) -> None:
        kwargs = {"end": "1"}
        task_id = scheduler.schedule("t", print, delay=5, kwargs=kwargs)
        kwargs["end"] = "2"
        assert scheduler.tasks[task_id].kwargs == {"end": "1"}

    def test_no_method_of_another_class_is_called_to_compare(self, scheduler: Scheduler) -> None:
        class Word(str):
            __slots__ = ()

            def __eq__(self, other: object) -> bool:
                raise AssertionError("compared")

            def __hash__(self) -> int:
                raise AssertionError("hashed")

        class Number(int):
            def __eq__(self, other: object) -> bool:
                raise AssertionError("compared")

            def __hash__(self) -> int:
                raise AssertionError("hashed")

        options_of(scheduler, delay=5, grace=5)
        for _ in range(2):
            assert options_of(scheduler, delay=5, grace=Number(5)).policy.grace is not None
        words = SharedWords()
        assert words.find({}, (Word("a"),), NO_TIME) is None
        assert words.find({}, Word("a"), NO_TIME) is None
        assert words.find({"grace": Number(5)}, (), NO_TIME) is None
        assert len(words) == 0

    def test_one_of_another_class_is_not_taken_for_another(self, scheduler: Scheduler) -> None:
        class Liar(float):
            def __eq__(self, other: object) -> bool:
                return True

            def __hash__(self) -> int:
                return hash(60)

        scheduler.schedule("t", print, interval=60.0, **AFTER_INTERVAL)
        task_id = scheduler.schedule("t", print, interval=Liar(5), **AFTER_INTERVAL)
        assert scheduler.tasks[task_id].next_run == START + timedelta(seconds=5)

    def test_a_policy_that_is_changed_in_a_view_is_that_of_no_other(
        self, scheduler: Scheduler
    ) -> None:
        words: dict[str, Any] = {"interval": 5, "grace": 5}
        first, second = (scheduler.schedule("t", print, **words) for _ in range(2))
        scheduler.tasks[first].policy.grace = 7
        assert scheduler.tasks[second].policy == RunPolicy(grace=5)
        assert options_of(scheduler, **words).policy == RunPolicy(grace=5)

    def test_each_task_shows_its_own_priority(self, scheduler: Scheduler) -> None:
        for priority in (3, 7):
            task_id = scheduler.schedule("t", print, interval=5, priority=priority)
            assert scheduler.tasks[task_id].policy == RunPolicy(priority=priority)

    def test_an_rrule_is_of_one_task(self, scheduler: Scheduler) -> None:
        words: dict[str, Any] = {"rrule": "FREQ=DAILY"}
        assert options_of(scheduler, **words) is not options_of(scheduler, **words)


class TestEachTime:
    @pytest.mark.parametrize(
        "words",
        [
            {"delay": 5, "max_runs": 3},
            {"delay": 5, "misfire": "all"},
            {"interval": 5, "catch_up_limit": 3},
            {"max_runs": 3},
            {"cron_expression": "@daily", "first_run": "aligned"},
            {"cron_expression": "*/90 * * * *"},
        ],
    )
    def test_a_warning_is_given(self, scheduler: Scheduler, words: dict[str, Any]) -> None:
        for _ in range(3):
            with pytest.warns(ScheduleWarning) as caught:
                scheduler.schedule("t", print, **words)
            assert [one.filename for one in caught] == [__file__]

    @pytest.mark.parametrize(
        "words",
        [
            {"grace": -1},
            {"interval": 0},
            {"interval": 5, "delay": 5},
            {"interval": 5, "cron_expression": "* * * * *"},
            {"delay": 5, "run_at": START},
            {"delay": 5, "fixed_delay": True},
            {"interval": 5, "first_run": "later"},
            {"timezone": "Nowhere"},
            {"interval": 5, "end_after": START - timedelta(days=1)},
        ],
    )
    def test_an_error_is_raised(self, scheduler: Scheduler, words: dict[str, Any]) -> None:
        said = set()
        for _ in range(3):
            with pytest.raises(ValueError, match=r".") as caught:
                scheduler.schedule("t", print, **words)
            said.add(str(caught.value))
        assert len(said) == 1
        assert scheduler.statistics().pending == 0

    @pytest.mark.parametrize(
        ("words", "first"),
        [
            ({"interval": 3600}, 0),
            ({"interval": 3600, "first_run": "after_interval"}, 3600),
            ({"interval": 3600, "first_run": "aligned"}, 1200),
            ({"interval": 3600, "start_after": "2025-01-01T00:10:00Z"}, 1800),
            ({"cron_expression": "@every 1h"}, 3600),
            ({"cron_expression": "@EVERY 1h"}, 3600),
            ({"cron_expression": "@Every 1h", "timezone": "UTC"}, 3600),
            ({"cron_expression": "CRON_TZ=Asia/Tokyo @every 1h"}, 3600),
            ({"cron_expression": "0 * * * *"}, 1200),
        ],
    )
    def test_the_first_time_is_that_of_the_moment(
        self, scheduler: Scheduler, clock: VirtualClock, words: dict[str, Any], first: int
    ) -> None:
        scheduler.schedule("t", int, **words)
        clock.advance(2400)
        for _ in range(2):
            task_id = scheduler.schedule("t", int, **words)
            assert scheduler.tasks[task_id].next_run == clock.now() + timedelta(seconds=first)

    def test_a_moment_that_has_passed_in_the_zone_is_warned_of(self, clock: VirtualClock) -> None:
        scheduler = Scheduler(clock=clock, timezone="Asia/Tokyo")
        local = START.astimezone().replace(tzinfo=None)
        if START.astimezone().utcoffset() == timedelta(hours=9):
            pytest.skip("the system is in that zone")
        for _ in range(2):
            with pytest.warns(ScheduleWarning, match="run_at has passed"):
                scheduler.schedule("t", print, run_at=local)


class TestViews:
    @pytest.mark.parametrize(
        "run_at",
        [
            START + timedelta(hours=30, microseconds=7),
            datetime(2025, 7, 1, 12, 30, tzinfo=PARIS),
            datetime(2025, 3, 30, 2, 30, tzinfo=PARIS),
            datetime(2025, 7, 1, 12, 30),
            "2025-07-01T12:30",
        ],
    )
    def test_show_the_moment_that_was_given(self, scheduler: Scheduler, run_at: Any) -> None:
        for zone in (None, "America/New_York"):
            task_id = scheduler.schedule("t", print, run_at=run_at, timezone=zone, tags=("a",))
            said = TaskSchedule(run_at=run_at, timezone=zone)
            assert scheduler.tasks[task_id].schedule == said

    @pytest.mark.parametrize(
        "words",
        [
            {"delay": 5, "tags": ("a",)},
            {"run_at": START + timedelta(hours=1), "grace": 5},
            {"interval": 5, "max_runs": 3, "grace": "5m", "misfire": "all", "catch_up_limit": 2},
            {"interval": 1.5, "fixed_delay": True, "pause_after_failures": 2},
            {"cron_expression": "0 9 * * *", "timezone": "Asia/Tokyo", "grace": 5},
        ],
    )
    def test_are_those_of_a_task_of_its_own(
        self, scheduler: Scheduler, words: dict[str, Any]
    ) -> None:
        policy = {word: words[word] for word in words if hasattr(RunPolicy(), word)}
        tags = words.get("tags", ())
        rest = {word: words[word] for word in words if word not in policy and word != "tags"}
        task = Task("t", print, TaskSchedule(**rest), policy=RunPolicy(**policy), tags=tags)
        other = scheduler.tasks[scheduler.schedule_task(task)]
        view = scheduler.tasks[scheduler.schedule("t", print, **words)]
        assert view.schedule == other.schedule
        assert (view.policy, view.tags) == (other.policy, other.tags)
        assert view.next_run == other.next_run


class TestTheMemo:
    def test_is_bounded(self, scheduler: Scheduler) -> None:
        words = SharedWords()
        for number in range(5000):
            assert words.find({"interval": number + 1}, (), NO_TIME) is not None
            assert len(words) <= 1024
        assert len(words) >= 512

    def test_keeps_what_is_asked_for(self) -> None:
        words = SharedWords()
        kept = words.find({"grace": 5}, (), NO_TIME)
        for number in range(5000):
            words.find({"interval": number + 1}, (), NO_TIME)
            if number % 100 == 0:
                assert words.find({"grace": 5}, (), NO_TIME) is kept
        for number in range(2000):
            words.find({"interval": number + 1}, (), NO_TIME)
        assert words.find({"grace": 5}, (), NO_TIME) is not kept

    def test_keeps_alive_what_is_compared_by_identity(self) -> None:
        words = SharedWords()
        said: dict[str, Any] = {"timezone": timezone(timedelta(hours=1)), "grace": 5}
        known = id(said["timezone"])
        found = words.find(dict(said), (), NO_TIME)
        del said
        others = [timezone(timedelta(hours=1)) for _ in range(1000)]
        assert known not in map(id, others)
        assert found is not None

    @pytest.mark.parametrize(
        "words",
        [
            {"interval": 90, "grace": 30.5, "misfire": "all", "catch_up_limit": 4},
            {"interval": timedelta(seconds=90), "first_run": "after_interval", "max_runs": 3},
            {"interval": 90.25, "fixed_delay": True, "grace": 0.5},
            {"interval": "2m", "jitter": 60, "misfire": "skip"},
            {"interval": 120, "window": 60, "misfire": "earliest"},
            {"delay": 100, "grace": 50, "jitter": 5},
            {"delay": timedelta(seconds=100), "max_runs": 1},
            {"run_at": START + timedelta(seconds=100), "grace": 50},
        ],
    )
    def test_common_words_do_what_they_do_one_by_one(
        self, monkeypatch: pytest.MonkeyPatch, words: dict[str, Any]
    ) -> None:
        from num_agents.scheduler import current_run
        from num_agents.scheduler.testing import VirtualClock

        def story() -> list[Any]:
            seen: list[Any] = []
            clock = VirtualClock(start=START)
            scheduler = Scheduler(clock=clock)

            def note() -> None:
                run = current_run()
                assert run is not None
                seen.append((clock.now(), run.nominal_time, run.missed))

            task_id = scheduler.schedule("t", note, **words)
            with scheduler:
                clock.advance(500)
                scheduler.stop()
                clock.advance(433)
                scheduler.start()
                clock.advance(500)
            seen.append(scheduler.tasks[task_id].to_dict()["status"])
            return seen

        quick = story()
        monkeypatch.setattr(options_module, "_common_options", lambda *_arguments: None)
        assert story() == quick
        assert quick

    def test_no_warning_where_there_was_none(self, scheduler: Scheduler) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(2):
                scheduler.schedule("t", print, interval=5, misfire="all", catch_up_limit=3)
                scheduler.schedule("t", print, delay=5, max_runs=1, misfire="latest")


class TestBesideThem:
    """What tasks with shared options do not share, and what must not go wrong because of them."""

    def test_a_priority_of_another_integer_type(self, scheduler: Scheduler) -> None:
        plain = options_of(scheduler, interval=60)
        assert options_of(scheduler, interval=60, priority=Priority.HIGH) is plain
        assert options_of(scheduler, interval=60) is plain
        task_id = scheduler.schedule("t", print, interval=60, priority=Priority.HIGH)
        assert scheduler.tasks[task_id].policy.priority == 3

    def test_a_moment_that_has_passed_is_warned_of_once(self, clock: VirtualClock) -> None:
        scheduler = Scheduler(clock=clock, timezone="Asia/Tokyo")
        local = START.astimezone().replace(tzinfo=None)
        if START.astimezone().utcoffset() == timedelta(hours=9):
            pytest.skip("the system is in that zone")
        for priority in (3, Priority.HIGH):
            with pytest.warns(ScheduleWarning, match="run_at has passed") as given:
                scheduler.schedule("t", print, run_at=local, priority=priority)
            assert len(given) == 1
        wrong: dict[str, Any] = {"run_at": local, "metadata": 3}
        with pytest.raises(TypeError, match="metadata"):
            scheduler.schedule("t", print, **wrong)

    @pytest.mark.parametrize("word", ["pause_after_failures", "catch_up_limit"])
    def test_a_policy_that_was_spoilt_is_refused_at_the_call(
        self, scheduler: Scheduler, word: str
    ) -> None:
        policy = RunPolicy()
        setattr(policy, word, 0)
        with pytest.raises(ValueError, match=word):
            scheduler.schedule_many("t", print, delays=[1], policy=policy)
        assert scheduler.statistics().pending == 0

    def test_a_policy_that_is_spoilt_later_changes_no_task(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        policy = RunPolicy(pause_after_failures=1)
        (task_id,) = scheduler.schedule_many("t", fail, delays=[1], policy=policy)
        policy.pause_after_failures = "many"  # type: ignore[assignment]
        scheduler.start()
        clock.advance(1)
        assert scheduler.tasks[task_id].status == "failed"
        assert scheduler.tasks[task_id].policy.pause_after_failures == 1

    def test_views_of_a_policy_that_warned_do_not_warn_again(
        self, scheduler: Scheduler, clock: VirtualClock
    ) -> None:
        with pytest.warns(ScheduleWarning):
            policy = RunPolicy(catch_up_limit=3)
        (task_id,) = scheduler.schedule_many("t", fail, delays=[1], policy=policy)
        scheduler.start()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            clock.advance(1)
            assert scheduler.tasks[task_id].policy.catch_up_limit == 3

    def test_the_policy_of_a_view_is_a_copy(self, scheduler: Scheduler) -> None:
        kinds: list[dict[str, Any]] = [
            {"interval": 5},
            {"delay": 5, "end_after": START + timedelta(days=1)},
        ]
        for words in kinds:
            task_id = scheduler.schedule("t", print, **words)
            scheduler.tasks[task_id].policy.pause_after_failures = 99
            assert scheduler.tasks[task_id].policy.pause_after_failures is None

    def test_equal_names_of_other_types_stay_what_they_are(self, scheduler: Scheduler) -> None:
        class Name(str):
            __slots__ = ()

        names = ["a", Name("a"), "a", Name("a")]
        ids = [scheduler.schedule(name, print, delay=5) for name in names]
        assert [type(scheduler.tasks[task_id].name) for task_id in ids] == [str, Name, str, Name]

    def test_a_coroutine_function_at_the_address_of_another_callback(
        self, scheduler: Scheduler
    ) -> None:
        def plain() -> Any:
            return lambda: None

        def asynchronous() -> Any:
            async def work() -> None: ...

            return work

        for _ in range(50):
            callback = plain()
            scheduler.cancel_task(scheduler.schedule("t", callback, delay=5))
            del callback
            # A plain function would fail for what it returns.
            assert scheduler.result(scheduler.schedule("t", asynchronous())) is None

    def test_the_second_pass_of_an_hour_is_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TZ", "Europe/Paris")
        time.tzset()
        try:
            for fold in (0, 1):
                moment = datetime(2030, 10, 27, 1 + fold - 1, 30, tzinfo=UTC)
                shown = wall_time(int(moment.timestamp()) * 10**9, None)
                assert (shown.hour, shown.minute, shown.fold) == (2, 30, fold)
                assert shown.astimezone(UTC) == moment
        finally:
            monkeypatch.undo()
            time.tzset()


def fail() -> None:
    raise ValueError("mine")


def test_a_policy_of_which_anything_became_stops_no_worker(
    scheduler: Scheduler, clock: VirtualClock
) -> None:
    task = Task("t", fail, TaskSchedule(interval=1))
    scheduler.schedule_task(task)
    task.policy.pause_after_failures = "many"  # type: ignore[assignment]
    ran: list[int] = []
    scheduler.schedule("other", lambda: ran.append(1), interval=1)
    scheduler.start()
    clock.advance(3)
    assert (task.run_count, task.status, len(ran)) == (4, "pending", 4)


@pytest.mark.realtime
def test_nor_does_it_stop_a_thread(threaded: Callable[..., Scheduler]) -> None:
    scheduler = threaded(1)
    task = Task("t", fail)
    task.policy.pause_after_failures = "many"  # type: ignore[assignment]
    scheduler.schedule_task(task)
    assert scheduler.result(scheduler.schedule("other", lambda: 7), 10) == 7
    assert task.status == "failed"


def test_tasks_whose_times_come_in_pieces_may_be_added_during_a_sweep(
    scheduler: Scheduler,
) -> None:
    pieces = scheduler._engine.pieces
    record = pieces._record

    def record_and_add(task_id: str) -> Any:
        pieces._task_ids.add(f"of another thread, beside {task_id}")
        return record(task_id)

    ids = [scheduler.schedule("t", print, rrule="FREQ=DAILY") for _ in range(63)]
    for task_id in ids[:40]:
        scheduler.cancel_task(task_id)
    pieces._record = record_and_add  # type: ignore[method-assign]
    ids.append(scheduler.schedule("t", print, rrule="FREQ=DAILY"))
    assert all(task_id in pieces for task_id in ids[40:])
    assert not any(task_id in pieces for task_id in ids[:40])
    assert f"of another thread, beside {ids[-1]}" in pieces

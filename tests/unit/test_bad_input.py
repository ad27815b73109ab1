"""One table of everything that is wrong with an argument.

Each case raises a TypeError, ValueError or OverflowError that names the argument, and leaves the
scheduler as it was.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from num_agents.scheduler import (
    CalendarInterval,
    Exclusions,
    RunPolicy,
    Scheduler,
    Task,
    TaskSchedule,
)
from num_agents.scheduler.scheduler_node import ScheduleTaskNode
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Unprintable:
    def __repr__(self) -> NoReturn:
        raise ValueError("no text")


class Leaving:
    """Its text ends the program, if it is asked for."""

    def __repr__(self) -> NoReturn:
        raise SystemExit(3)


async def asynchronous_generator() -> Any:
    yield 1


NAN, INFINITY = float("nan"), float("inf")
HUGE = 10**400
#: So huge that it cannot even be printed.
UNPRINTABLE_INT = 10**5000
OBJECT = Unprintable()

#: No numbers of seconds, and no timedeltas.
NO_SPANS: list[Any] = [True, "1", b"1", Decimal(1), 1j, [1], {}, date(2025, 1, 1), OBJECT]
BAD_SPANS: list[Any] = [
    *NO_SPANS,
    NAN,
    INFINITY,
    -INFINITY,
    -1,
    -1e-9,
    -5e-324,
    -HUGE,
    -UNPRINTABLE_INT,
    timedelta(seconds=-1),
    timedelta.min,
]
ENDLESS_SPANS: list[Any] = [HUGE, UNPRINTABLE_INT, 1e300, 1e308, timedelta.max, 9000 * 366 * 86400]
BAD_MOMENTS: list[Any] = [
    0,
    1.5,
    NAN,
    True,
    "",
    "soon",
    "2025-13-01",
    "2025-01-01T25:00:00",
    "2025-01-01T00:00:00+25:00",
    "\ud800",
    b"2025-01-01",
    date(2025, 1, 1),
    time(12),
    timedelta(1),
    [],
    OBJECT,
]
BAD_DATES: list[Any] = [
    5,
    1.5,
    True,
    "",
    "soon",
    "2025-02-29",
    "2025-13-01",
    "2025-01-01T00:00:00",
    b"2025-01-01",
    datetime(2025, 1, 1),
    time(12),
    OBJECT,
]
BAD_TIMES: list[Any] = [
    9,
    9.5,
    True,
    "",
    "noon",
    "24:00",
    "09:60",
    "09:30:00.5",
    "09:30+02:00",
    b"09:30",
    time(9, tzinfo=UTC),
    time(9, 0, 0, 1),
    datetime(2025, 1, 1),
    OBJECT,
]
BAD_DAYS: list[Any] = [5, True, None, "", "s", "mond", "samstag", b"sat", OBJECT]
NO_RULES: list[Any] = [5, True, {}, ["FREQ=DAILY"], timedelta(1), b"FREQ=DAILY", OBJECT]
BAD_EXPRESSIONS: list[Any] = [
    5,
    True,
    b"* * * * *",
    ["*"] * 5,
    OBJECT,
    "",
    " ",
    "nonsense",
    "* * * *",
    "* * * * * * * *",
    "60 * * * *",
    "* * * * MONDAI",
    "*/0 * * * *",
    "5-1 * * * *",
    "0 0 30 2 *",
    "@often",
    "@every",
    "@every 0s",
    "@every -1h",
    "CRON_TZ=Nowhere/Land * * * * *",
    "CRON_TZ=UTC",
    "\ud800 * * * *",
    "* * * * *\0",
    "9" * 5000 + " * * * *",
    ", " * 5000,
]
BAD_HORIZONS: list[Any] = [
    *BAD_SPANS,
    0,
    0.5,
    1.5,
    366 * 86_400 + 1,
    HUGE,
    1e300,
    timedelta.max,
    timedelta(microseconds=1),
    None,
]
NO_INTEGERS: list[Any] = [True, 1.0, NAN, "1", b"1", Decimal(1), [], OBJECT]
BAD_COUNTS: list[Any] = [*NO_INTEGERS, 0, -1, 2**63, HUGE, UNPRINTABLE_INT, -UNPRINTABLE_INT]
BAD_PRIORITIES: list[Any] = [*NO_INTEGERS, -1, 256, HUGE, UNPRINTABLE_INT, None]
BAD_WORDS: list[Any] = ["", "LATEST", "later", 5, True, b"latest", [], OBJECT, None]
BAD_NAMES: list[Any] = [None, 5, b"name", ["name"], True, OBJECT]
BAD_CALLBACKS: list[Any] = [
    None,
    5,
    "print",
    [],
    OBJECT,
    asynchronous_generator,
]
BAD_ARGS: list[Any] = [5, "ab", b"ab", {"a": 1}, None, True, OBJECT]
BAD_MAPPINGS: list[Any] = [5, "ab", [1], [(1, 2, 3)], True, OBJECT]
FREE = Exclusions(hours=[1])
BAD_ZONES: list[Any] = [
    *(5, True, b"UTC", [], OBJECT),
    *("", "Europe/Nowhere", "../UTC", "+01:00", "a\0b", "\ud800"),
]

Call = tuple[str, "Callable[[Scheduler, Any], object]", list[Any]]


def scheduling(argument: str, **others: Any) -> Callable[[Scheduler, Any], object]:
    """A call of `schedule` with an argument that is wrong."""

    def call(scheduler: Scheduler, value: Any) -> object:
        arguments = {"name": "t", "callback": print, **others, argument: value}
        return scheduler.schedule(**arguments)

    return call


def scheduling_many(argument: str, **others: Any) -> Callable[[Scheduler, Any], object]:
    def call(scheduler: Scheduler, value: Any) -> object:
        arguments = {"name": "t", "callback": print, **others, argument: value}
        return scheduler.schedule_many(**arguments)

    return call


def in_list(values: list[Any]) -> list[Any]:
    return [[1, value] for value in values]


def existing(method: str, argument: str) -> Callable[[Scheduler, Any], object]:
    """A call of a method on a task that is there."""

    def call(scheduler: Scheduler, value: Any) -> object:
        (task_id, *_) = scheduler.live_task_ids()
        return getattr(scheduler, method)(task_id, **{argument: value})

    return call


def made_by(method: str, argument: str) -> Callable[[Scheduler, Any], object]:
    return lambda scheduler, value: getattr(scheduler, method)(**{argument: value})


def made(
    argument: str, make: Callable[..., Any], *others: Any
) -> Callable[[Scheduler, Any], object]:
    return lambda scheduler, value: make(*others, **{argument: value})


CALLS: list[Call] = [
    # How it is called.
    ("name", scheduling("name"), BAD_NAMES),
    ("name", scheduling("name", kwargs={}), BAD_NAMES),
    ("name", scheduling_many("name", delays=[1]), BAD_NAMES),
    ("callback", scheduling("callback"), BAD_CALLBACKS),
    ("callback", scheduling("callback", interval=1), BAD_CALLBACKS),
    ("callback", scheduling_many("callback", delays=[1]), BAD_CALLBACKS),
    ("args", scheduling("args"), BAD_ARGS),
    ("args", scheduling("args", interval=1), BAD_ARGS),
    ("args", scheduling_many("args", delays=[1, 2]), [5, "ab", True, OBJECT, [(), 5], [(), "ab"]]),
    (
        "args",
        lambda scheduler, value: ScheduleTaskNode(scheduler, "t", print, args=value),
        BAD_ARGS,
    ),
    ("kwargs", scheduling("kwargs"), [*BAD_MAPPINGS, {1: 2}, {OBJECT: 1}]),
    ("metadata", scheduling("metadata"), BAD_MAPPINGS),
    ("tags", scheduling("tags"), [5, "ab", None, True, [5], [None], [OBJECT], OBJECT]),
    # When.
    ("delay", scheduling("delay"), BAD_SPANS + ENDLESS_SPANS),
    ("delay", scheduling("delay", max_runs=1), BAD_SPANS + ENDLESS_SPANS),
    ("delay", made("delay", TaskSchedule), BAD_SPANS + ENDLESS_SPANS),
    ("delay", existing("reschedule_task", "delay"), BAD_SPANS + ENDLESS_SPANS),
    ("delays", scheduling_many("delays"), [5, "ab", True, OBJECT, b"ab", *in_list(NO_SPANS)]),
    ("delays", scheduling_many("delays"), in_list([NAN, INFINITY, -1, None, *ENDLESS_SPANS])),
    ("run_at", scheduling("run_at"), BAD_MOMENTS),
    ("run_at", existing("reschedule_task", "run_at"), BAD_MOMENTS),
    ("run_ats", scheduling_many("run_ats"), [5, "ab", True, OBJECT]),
    ("run_ats", scheduling_many("run_ats"), in_list(BAD_MOMENTS[2:])),
    ("run_ats", scheduling_many("run_ats"), in_list([INFINITY, -INFINITY, HUGE, 1e308, None])),
    ("interval", scheduling("interval"), [*BAD_SPANS, 0, 0.0, -0.0, timedelta(0)]),
    ("interval", made("interval", TaskSchedule), [*BAD_SPANS, 0, 0.0, timedelta(0)]),
    ("interval", scheduling("interval", first_run="after_interval"), ENDLESS_SPANS),
    ("start_after", scheduling("start_after"), BAD_MOMENTS),
    (
        "end_after",
        scheduling("end_after"),
        [*BAD_MOMENTS, "2024-12-31", datetime.min.replace(tzinfo=UTC)],
    ),
    ("max_runs", scheduling("max_runs", interval=1), BAD_COUNTS),
    ("fixed_delay", scheduling("fixed_delay", interval=1), [0, 1, None, "yes", OBJECT]),
    ("fixed_delay", scheduling("fixed_delay"), [True]),
    ("first_run", scheduling("first_run", interval=1), BAD_WORDS),
    ("timezone", scheduling("timezone"), BAD_ZONES),
    ("timezone", made("timezone", Scheduler), BAD_ZONES),
    ("cron_expression", scheduling("cron_expression"), BAD_EXPRESSIONS),
    ("cron_expression", made("cron_expression", TaskSchedule), BAD_EXPRESSIONS),
    ("dialect", scheduling("dialect", cron_expression="0 9 * * *"), BAD_WORDS),
    ("dst", scheduling("dst", cron_expression="0 9 * * *"), BAD_WORDS),
    ("jitter", scheduling("jitter", interval=60), BAD_SPANS),
    ("jitter", made("jitter", TaskSchedule), BAD_SPANS),
    ("window", scheduling("window", cron_expression="@hourly"), BAD_SPANS),
    ("window", made("window", TaskSchedule), BAD_SPANS),
    (
        "calendar_interval",
        scheduling("calendar_interval"),
        [5, True, "1 day", {"days": 1}, (1,), timedelta(1), CalendarInterval, OBJECT],
    ),
    *(
        (unit, made(unit, CalendarInterval), [*BAD_COUNTS, INFINITY, 1_000_001])
        for unit in ("days", "weeks", "months", "years")
    ),
    ("at", made("at", lambda **said: CalendarInterval(days=1, **said)), BAD_TIMES),
    ("anchor", made("anchor", lambda **said: CalendarInterval(days=1, **said)), BAD_DATES),
    (
        "rrule",
        scheduling("rrule"),
        ["", "FREQ=", "FREQ=OFTEN", "FREQ=DAILY;BYDAY=XX", "nonsense", *NO_RULES],
    ),
    ("any_of", scheduling("any_of"), [5, "ab", True, TaskSchedule(delay=1), OBJECT]),
    ("any_of", scheduling("any_of"), [[value] for value in [5, "ab", None, {}, OBJECT]]),
    (
        "any_of",
        scheduling("any_of"),
        [
            [TaskSchedule()],
            [TaskSchedule(delay=1)],
            [TaskSchedule(interval=1)],
            [TaskSchedule(interval=1, fixed_delay=True, first_run="aligned")],
            [TaskSchedule(run_at="2030-01-01", jitter=1)],
            [TaskSchedule(cron_expression="@daily", window=1)],
            [TaskSchedule(cron_expression="@daily", max_runs=1)],
            [TaskSchedule(cron_expression="@daily", end_after="2030-01-01")],
            [TaskSchedule(cron_expression="@daily", exclude=Exclusions(hours=[1]))],
            [TaskSchedule(any_of=[TaskSchedule(cron_expression="@daily")])],
        ],
    ),
    (
        "exclude",
        scheduling("exclude", cron_expression="@hourly"),
        [5, True, "sat", ["sat"], {"hours": [1]}, Exclusions, OBJECT],
    ),
    ("exclude", lambda scheduler, value: scheduling("delay", exclude=value)(scheduler, 1), [FREE]),
    ("exclude", scheduling("exclude", run_at="2030-01-01"), [FREE]),
    ("exclude", scheduling("exclude", interval=1), [FREE]),
    ("weekdays", made("weekdays", Exclusions), [5, "sat", None, True, *in_list(BAD_DAYS)]),
    ("dates", made("dates", Exclusions), [5, "2025-12-25", None, *in_list(BAD_DATES)]),
    (
        "hours",
        made("hours", Exclusions),
        [5, "1", None, range(24), *in_list([*NO_INTEGERS, -1, 24, HUGE, UNPRINTABLE_INT, None])],
    ),
    # How.
    ("priority", scheduling("priority"), BAD_PRIORITIES),
    ("priority", scheduling("priority", interval=1), BAD_PRIORITIES),
    ("priority", made("priority", RunPolicy), BAD_PRIORITIES),
    (
        "priorities",
        scheduling_many("priorities", delays=[1, 2]),
        [5, "ab", True, OBJECT, *in_list(BAD_PRIORITIES), b"\1", [1]],
    ),
    ("misfire", scheduling("misfire", interval=1), BAD_WORDS),
    ("grace", scheduling("grace", interval=1), BAD_SPANS),
    ("grace", scheduling("grace"), BAD_SPANS),
    ("catch_up_limit", scheduling("catch_up_limit", interval=1), BAD_COUNTS),
    ("pause_after_failures", scheduling("pause_after_failures", interval=1), BAD_COUNTS),
    # What is to come.
    ("horizon", made_by("forecast", "horizon"), BAD_HORIZONS),
    ("bucket", made_by("forecast", "bucket"), BAD_HORIZONS),
    (
        "moment",
        lambda scheduler, value: TaskSchedule(interval=1).next_after(value),
        [*BAD_MOMENTS, None],
    ),
    ("count", lambda scheduler, value: TaskSchedule().preview(value), [*NO_INTEGERS, -1, None]),
    (
        "start",
        lambda scheduler, value: TaskSchedule(interval=1).preview(1, value),
        BAD_MOMENTS,
    ),
    # The scheduler and its clock.
    ("catch_up_spread", made("catch_up_spread", Scheduler), BAD_SPANS),
    ("slack", made("slack", Scheduler), [*BAD_SPANS, *ENDLESS_SPANS, None, 1.5]),
    ("timezone", made("timezone", VirtualClock), BAD_ZONES),
    (
        "limit",
        lambda scheduler, value: _clock(scheduler).run_until_idle(value),
        [*BAD_SPANS, *ENDLESS_SPANS, None],
    ),
    (
        "moment",
        lambda scheduler, value: _clock(scheduler).set_wall(value),
        [*BAD_MOMENTS, "1970-01-01T00:00:00Z", "2500-01-01T00:00:00Z", None],
    ),
    (
        "duration",
        lambda scheduler, value: _clock(scheduler).shift_wall(value),
        [*NO_SPANS, NAN, INFINITY, -INFINITY, HUGE, -HUGE, 1e300, timedelta.max, None],
    ),
    (
        "duration",
        lambda scheduler, value: _clock(scheduler).shift_wall(value),
        [-56 * 366 * 86400, 476 * 366 * 86400, timedelta.min],
    ),
    (
        "duration",
        lambda scheduler, value: _clock(scheduler).suspend(value),
        [*BAD_SPANS, *ENDLESS_SPANS, None],
    ),
    ("max_workers", made("max_workers", Scheduler), [*NO_INTEGERS, 0, -1, HUGE, UNPRINTABLE_INT]),
    ("history", made("history", Scheduler), [*NO_INTEGERS, -1, 2**31, HUGE, UNPRINTABLE_INT, None]),
    ("clock", made("clock", Scheduler), [5, "now", True, VirtualClock, OBJECT]),
    ("event_bus", made("event_bus", Scheduler), [5, "bus", True, OBJECT]),
    ("start", made("start", VirtualClock), [*BAD_MOMENTS, datetime.min, datetime.max]),
    (
        "start",
        made("start", VirtualClock),
        ["1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "2500-01-01T00:00:00Z", "9999-12-31"],
    ),
    (
        "duration",
        lambda scheduler, value: _clock(scheduler).advance(value),
        [*BAD_SPANS, *ENDLESS_SPANS],
    ),
    (
        "moment",
        lambda scheduler, value: _clock(scheduler).advance_to(value),
        [*BAD_MOMENTS, "2024-01-01"],
    ),
    # What is there.
    ("timeout", existing("wait_for_task", "timeout"), BAD_SPANS),
    ("timeout", existing("result", "timeout"), BAD_SPANS),
    ("until", existing("wait_for_task", "until"), ["", "END", None, 5, OBJECT]),
    ("timeout", lambda scheduler, value: scheduler.stop(timeout=value), [*BAD_SPANS, None]),
    ("mode", lambda scheduler, value: scheduler.stop(value), ["", "WAIT", None, 5, OBJECT]),
    ("task_id", lambda scheduler, value: scheduler.cancel_task(value), [None, 5, b"x", OBJECT]),
    ("task_id", lambda scheduler, value: scheduler.wait_for_task(value), [None, 5, [], OBJECT]),
    ("task_ids", lambda scheduler, value: scheduler.cancel_many(value), [None, 5, "x", OBJECT]),
    ("task_id", lambda scheduler, value: scheduler.cancel_many([value]), [None, 5, b"x", OBJECT]),
    (
        "task",
        lambda scheduler, value: scheduler.schedule_task(value),
        [None, 5, print, Task, OBJECT],
    ),
    ("schedule", lambda scheduler, value: Task("t", print, value), [5, "now", {}, OBJECT]),
    ("policy", lambda scheduler, value: Task("t", print, policy=value), [5, "now", {}, OBJECT]),
]


def _clock(scheduler: Scheduler) -> VirtualClock:
    clock = scheduler._virtual_clock
    assert clock is not None
    return clock


def cases() -> Iterator[Any]:
    for number, (argument, call, values) in enumerate(CALLS):
        for place, value in enumerate(values):
            yield pytest.param(argument, call, value, id=f"{number}-{argument}-{place}")


@pytest.mark.parametrize(("argument", "call", "value"), list(cases()))
def test_is_refused_by_name_and_changes_nothing(
    scheduler: Scheduler, argument: str, call: Callable[[Scheduler, Any], object], value: Any
) -> None:
    task_id = scheduler.schedule("there", print, delay=5)
    before = scheduler.statistics().to_dict()
    moment = scheduler.now()
    with pytest.raises((TypeError, ValueError, OverflowError)) as caught:
        call(scheduler, value)
    message = str(caught.value)
    assert message.startswith((f"{argument} ", f"{argument}[", f"{argument}:")), message
    assert len(message) < 300
    assert scheduler.statistics().to_dict() == before
    assert (scheduler.now(), scheduler.is_running) == (moment, True)
    assert scheduler.tasks[task_id].status == "pending"
    assert scheduler._engine.native.watchers == 0


def test_a_value_whose_text_ends_the_program_is_at_least_not_scheduled(
    scheduler: Scheduler,
) -> None:
    for call in (scheduling("delay"), scheduling("name"), scheduling("args")):
        with pytest.raises((TypeError, SystemExit)):
            call(scheduler, Leaving())
    assert len(scheduler.tasks) == 0


def test_an_unknown_option_is_named(scheduler: Scheduler) -> None:
    for unknown in ("dealy", "overlap", "jiter", "retrys", "timeuot", "zone"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{unknown}'"):
            scheduling(unknown)(scheduler, 5)
    assert len(scheduler.tasks) == 0


def test_a_zone_that_raises_does_so_at_the_call(scheduler: Scheduler) -> None:
    class Broken(tzinfo):
        def utcoffset(self, moment: datetime | None) -> NoReturn:
            raise RuntimeError("no zone")

        dst = tzname = utcoffset

    with pytest.raises(RuntimeError, match="no zone"):
        scheduler.schedule("t", print, run_at=datetime(2030, 1, 1, tzinfo=Broken()))
    assert len(scheduler.tasks) == 0


@pytest.mark.parametrize("method", ["get_task", "pause_task", "resume_task", "run_now", "future"])
@pytest.mark.parametrize("task_id", [None, 5, b"x", [], OBJECT], ids=range(5))
def test_ids_of_another_type(scheduler: Scheduler, method: str, task_id: Any) -> None:
    with pytest.raises(TypeError, match=r"^task_id must be a task id \(str\), got"):
        getattr(scheduler, method)(task_id)

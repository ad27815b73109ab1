"""Errors that know the words of other libraries, and say in one line what to write."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler import RetryPolicy, RunPolicy, Scheduler, Task, TaskSchedule
from num_agents.scheduler._hints import ARGUMENTS
from num_agents.scheduler.scheduler_node import ScheduleTaskNode
from num_agents.scheduler.utils import schedule_recurring_task

if TYPE_CHECKING:
    from collections.abc import Callable

#: A keyword of another library, and what the error has to say.
OTHER_WORDS = {
    "cron": "write cron_expression=",
    "crontab": "write cron_expression=",
    "day_of_week": "write cron_expression=",
    "minute": "write cron_expression=",
    "every": "write interval=",
    "seconds": "interval=timedelta(seconds=...) to repeat, or delay=timedelta(seconds=...) to run",
    "minutes": "interval=timedelta(minutes=...) to repeat",
    "hours": "delay=timedelta(hours=...) to run once",
    "days": "interval=timedelta(days=...)",
    "id": "the scheduler makes the id and returns it; the name is the first argument",
    "coalesce": "write misfire='all' for coalesce=False",
    "misfire_grace_time": "write grace=",
    "max_instances": "a task never runs twice at once",
    "trigger": "write interval=, cron_expression=, run_at= or delay=",
    "func": "the callback is the second argument: schedule(name, callback)",
    "countdown": "write delay=",
    "eta": "write run_at=",
    "run_date": "write run_at=",
    "start_date": "write start_after=",
    "end_date": "write end_after=",
    "tz": "write timezone=",
    "times": "write max_runs=",
    "max_retries": "write retries=",
    "attempts": "it is an argument of RetryPolicy",
    "replace_existing": "write key=... and if_exists='replace'",
    "jobstore": "tasks are kept in memory only",
    "executors": "write executor='threads' or executor='asyncio'",
    # Mistyped, or in another style.
    "dealy": "did you mean 'delay'?",
    "intervall": "did you mean 'interval'?",
    "runAt": "did you mean 'run_at'?",
    "cron_expresion": "did you mean 'cron_expression'?",
    "Interval": "did you mean 'interval'?",
    "time_zone": "write timezone=",
    "misfires": "did you mean 'misfire'?",
    "max_run": "did you mean 'max_runs'?",
    "metdata": "did you mean 'metadata'?",
    # Of another class, or the callback's.
    "history": "it is an argument of Scheduler",
    "customer_number": "for an argument of the callback, write kwargs={'customer_number': ...}",
}

SCHEDULER_WORDS = {
    "threads": "write max_workers=",
    "max_threads": "write max_workers=",
    "workers": "write max_workers=",
    "executors": "the scheduler makes its own pool of threads, whose size is max_workers=",
    "tz": "write timezone=",
    "jobstores": "tasks are kept in memory only",
    "job_defaults": "give each task its options",
    "bus": "write event_bus=",
    "daemon": "leave it out",
    "timezon": "did you mean 'timezone'?",
    "misfire": "it is an argument of schedule()",
    "interval": "it is an argument of schedule()",
}

CLASSES: dict[str, type[Any]] = {
    "Scheduler": Scheduler,
    "Task": Task,
    "RunPolicy": RunPolicy,
    "RetryPolicy": RetryPolicy,
    "TaskSchedule": TaskSchedule,
}


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler()


def message_of(call: Callable[..., object], *args: object, **keywords: object) -> str:
    with pytest.raises(TypeError) as caught:
        call(*args, **keywords)
    assert caught.value.__context__ is None or isinstance(caught.value.__context__, TypeError)
    return str(caught.value)


def begins(function: str, word: str) -> str:
    return f"{function}() got an unexpected keyword argument {word!r}: "


@pytest.mark.parametrize(("word", "hint"), OTHER_WORDS.items(), ids=OTHER_WORDS)
def test_schedule_says_what_to_write(scheduler: Scheduler, word: str, hint: str) -> None:
    message = message_of(scheduler.schedule, "t", print, **{word: 5})
    assert message.startswith(begins("schedule", word))
    assert hint in message
    assert "\n" not in message
    assert len(message) < 200
    assert len(scheduler.tasks) == 0


@pytest.mark.parametrize(("word", "hint"), SCHEDULER_WORDS.items(), ids=SCHEDULER_WORDS)
def test_so_does_the_scheduler(word: str, hint: str) -> None:
    message = message_of(Scheduler, **{word: 5})
    assert message.startswith(begins("Scheduler", word))
    assert hint in message


@pytest.mark.parametrize(
    ("owner", "word", "hint"),
    [
        ("TaskSchedule", "cron", "write cron_expression="),
        ("TaskSchedule", "every", "write interval="),
        ("TaskSchedule", "seconds", "interval=timedelta(seconds=...)"),
        ("TaskSchedule", "misfire", "it is an argument of RunPolicy"),
        ("TaskSchedule", "tags", "it is an argument of Task"),
        ("TaskSchedule", "intervall", "did you mean 'interval'?"),
        ("RunPolicy", "misfire_grace_time", "write grace="),
        ("RunPolicy", "coalesce", "write misfire='all'"),
        ("RunPolicy", "max_instances", "a task never runs twice at once"),
        ("RunPolicy", "interval", "it is an argument of TaskSchedule"),
        ("RunPolicy", "misfre", "did you mean 'misfire'?"),
        ("Task", "interval", "it is an argument of TaskSchedule"),
        ("Task", "priority", "it is an argument of RunPolicy"),
        ("Task", "func", "the callback is the second argument"),
        ("Task", "callbak", "did you mean 'callback'?"),
    ],
)
def test_so_do_the_descriptions(owner: str, word: str, hint: str) -> None:
    message = message_of(CLASSES[owner], **{word: 5})
    assert message.startswith(begins(owner, word))
    assert hint in message


def test_an_unlikely_keyword_is_refused_without_a_guess() -> None:
    message = message_of(RunPolicy, xyzzy=1)
    assert message == "RunPolicy() got an unexpected keyword argument 'xyzzy'"


def test_other_mistakes_are_told_as_python_does() -> None:
    assert "positional argument" in message_of(TaskSchedule, 5)
    assert "missing 2 required positional arguments" in message_of(Task)


def test_functions_that_pass_options_on_say_so_too(scheduler: Scheduler) -> None:
    node = message_of(ScheduleTaskNode, scheduler, "t", print, seconds=5)
    assert "interval=timedelta(seconds=...)" in node
    utility = message_of(schedule_recurring_task, scheduler, "t", print, 5, tz="UTC")
    assert utility.endswith("write timezone=")


@pytest.mark.parametrize("owner", ARGUMENTS)
def test_the_arguments_of_each_class_are_known(owner: str) -> None:
    elsewhere = {"schedule", "policy", "timezone"} - ({"timezone"} & {owner})
    listed = set(ARGUMENTS[owner])
    taken = set(inspect.signature(CLASSES[owner]).parameters)
    # `timezone` is the schedule's for others, and every class knows its own first.
    assert taken - listed <= elsewhere
    assert listed <= taken


class TestTheFirstArguments:
    def test_a_callback_where_the_name_belongs(self, scheduler: Scheduler) -> None:
        for call in (
            lambda: scheduler.schedule(print, "t"),  # type: ignore[call-overload]
            lambda: scheduler.schedule(print, "t", interval=5),  # type: ignore[call-overload]
            lambda: scheduler.schedule_many(print, "t", delays=[1]),  # type: ignore[arg-type]
            lambda: Task(print, "t"),  # type: ignore[arg-type]
        ):
            assert message_of(call) == (
                "name must be a string, got <built-in function print>: the name comes first, "
                "and then the callback"
            )
        assert len(scheduler.tasks) == 0

    @pytest.mark.parametrize(
        ("callback", "slip"),
        [(None, "what it returns"), (5, "what it returns"), ("module:function", "its name")],
    )
    def test_no_callback(self, scheduler: Scheduler, callback: Any, slip: str) -> None:
        for options in ({}, {"interval": 5}):
            message = message_of(scheduler.schedule, "t", callback, **options)
            assert message == (
                f"callback must be callable, got {callback!r}: give the function itself, not {slip}"
            )

    def test_arguments_that_are_no_tuple(self, scheduler: Scheduler) -> None:
        shown = "args must be a tuple or a list, got "
        schedule = scheduler.schedule
        assert message_of(schedule, "t", print, args=5) == f"{shown}5: write args=(5,)"
        assert message_of(schedule, "t", print, args="x") == f"{shown}'x': write args=('x',)"
        assert message_of(schedule, "t", print, args=None) == f"{shown}None"
        assert message_of(schedule, "t", print, args={"a": 1}).endswith(": write kwargs={...}")

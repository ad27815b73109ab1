"""What to write instead of a keyword that does not exist.

Users come from other libraries and bring their words; others mistype ours. The error says in one
line what to write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

#: Which class takes which arguments.
ARGUMENTS = {
    "Scheduler": (
        "catch_up_spread",
        "clock",
        "event_bus",
        "history",
        "loop",
        "max_concurrency",
        "max_workers",
        "slack",
    ),
    "Task": ("args", "callback", "context", "kwargs", "metadata", "name", "tags"),
    "RunPolicy": (
        "catch_up_limit",
        "executor",
        "grace",
        "misfire",
        "pause_after_failures",
        "priority",
        "retries",
        "retry",
        "timeout",
    ),
    "RetryPolicy": (
        "attempts",
        "on",
        "until",
        "wait_exp_base",
        "wait_initial",
        "wait_jitter",
        "wait_max",
    ),
    "TaskSchedule": (
        "any_of",
        "calendar_interval",
        "cron_expression",
        "delay",
        "dialect",
        "dst",
        "end_after",
        "exclude",
        "first_run",
        "fixed_delay",
        "interval",
        "jitter",
        "max_runs",
        "rrule",
        "run_at",
        "start_after",
        "timezone",
        "window",
    ),
}

_CRON = "write cron_expression='0 9 * * MON-FRI'"
_REPEAT = "write interval=, in seconds or as a timedelta"
_UNITS = (
    "write interval=timedelta({word}=...) to repeat, or delay=timedelta({word}=...) to run once"
)
_MOMENT = "write run_at=, a datetime or an ISO-8601 string"
_DELAY = "write delay=, in seconds or as a timedelta"
_ID = "the scheduler makes the id and returns it; the name is the first argument"
_CALLBACK = "the callback is the second argument: schedule(name, callback)"
_ARGS = "write args=(...), a tuple of positional arguments"
_KWARGS = "write kwargs={...}"
_RUNS = "write max_runs="
_START = "write start_after="
_END = "write end_after="
_POOL = "write executor='threads' or executor='asyncio'"
_RETRY = "write retries=, how many more attempts, or retry=RetryPolicy(attempts=...)"
_STORE = "tasks are kept in memory only"

#: Words of other libraries, and what to write for them in `Scheduler.schedule` and in the
#: constructors of `TaskSchedule`, `RunPolicy` and `Task`. `{word}` is the word itself.
_OTHER_WORDS = {
    **dict.fromkeys(("cron", "crontab", "cron_expr", "cronexpr", "expression", "expr"), _CRON),
    **dict.fromkeys(("second", "minute", "hour", "day", "month", "year", "day_of_week"), _CRON),
    **dict.fromkeys(("every", "period", "repeat_every", "run_every", "interval_seconds"), _REPEAT),
    **dict.fromkeys(("milliseconds", "seconds", "minutes", "hours", "days", "weeks"), _UNITS),
    **dict.fromkeys(
        ("at", "when", "run_date", "run_time", "next_run_time", "eta", "date"), _MOMENT
    ),
    **dict.fromkeys(("countdown", "after", "delay_seconds", "wait"), _DELAY),
    **dict.fromkeys(("id", "task_id", "job_id"), _ID),
    **dict.fromkeys(("func", "function", "fn", "target", "action", "job", "task"), _CALLBACK),
    **dict.fromkeys(("argument", "arguments", "params", "parameters"), _ARGS),
    **dict.fromkeys(("kwds", "kw", "keyword_arguments", "named_arguments"), _KWARGS),
    **dict.fromkeys(("repeat", "count", "times", "max_executions", "limit", "runs"), _RUNS),
    **dict.fromkeys(("start_date", "start_time", "start", "start_at"), _START),
    **dict.fromkeys(("end_date", "end_time", "end", "end_at", "until"), _END),
    **dict.fromkeys(("executors", "queue", "thread_pool", "alias"), _POOL),
    **dict.fromkeys(("max_retries", "max_attempts", "autoretry_for"), _RETRY),
    **dict.fromkeys(("jobstore", "store", "persist"), _STORE),
    "replace_existing": "write key=... and if_exists='replace'",
    **dict.fromkeys(("tz", "zone", "tzinfo", "time_zone"), "write timezone="),
    "trigger": "write interval=, cron_expression=, run_at= or delay=",
    "coalesce": "leave it out for coalesce=True, and write misfire='all' for coalesce=False",
    "misfire_grace_time": "write grace=, in seconds or as a timedelta",
    "expires": "write grace=, how late it may start, in seconds or as a timedelta",
    "max_instances": "leave it out; a task never runs twice at once",
    "time_limit": "write timeout=",
    "tag": "write tags=(...), a tuple of strings",
    "meta": "write metadata={...}",
    "description": "write metadata={'description': ...}",
}

#: Likewise, in the constructor of `Scheduler`.
_SCHEDULER_WORDS = {
    **dict.fromkeys(
        ("threads", "max_threads", "num_threads", "workers", "n_workers", "num_workers"),
        "write max_workers=",
    ),
    "pool_size": "write max_workers=",
    "concurrency": "write max_workers= for threads, max_concurrency= for coroutines",
    **dict.fromkeys(
        ("executor", "executors", "pool", "thread_pool"),
        "the scheduler makes its own pool of threads, whose size is max_workers=",
    ),
    **dict.fromkeys(("tz", "zone", "tzinfo", "time_zone"), "write timezone="),
    **dict.fromkeys(("bus", "events", "listener", "listeners"), "write event_bus="),
    **dict.fromkeys(("jobstores", "jobstore", "store", "stores"), _STORE),
    **dict.fromkeys(("max_history", "history_size", "keep_results"), "write history="),
    "job_defaults": "give each task its options, such as misfire= and grace=",
    "daemon": "leave it out; a process that ends does not wait for pending tasks",
    "event_loop": "write loop=",
    "timefunc": "write clock=VirtualClock(), of num_agents.scheduler.testing",
    "delayfunc": "write clock=VirtualClock(), of num_agents.scheduler.testing",
}

#: How similar a mistyped word is to what was meant: 0 to 1.
_SIMILAR = 0.7
#: Characters of a keyword that are compared and shown.
_SHOWN = 64


def unknown_keyword(function: str, word: str, known: Iterable[str]) -> TypeError:
    """The error for a keyword that a function does not have, with what to write instead.

    Args:
        function: The function, as the user writes it.
        word: The keyword.
        known: The keywords that it has.
    """
    shown = word[:_SHOWN]
    message = f"{function}() got an unexpected keyword argument {shown!r}"
    hint = _hint(function, shown, sorted(known))
    return TypeError(f"{message}: {hint}" if hint else message)


def _hint(function: str, word: str, known: list[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - rare

    folded = word.lower()
    if folded in known:
        return f"did you mean {folded!r}?"
    for owner, words in ARGUMENTS.items():
        if folded in words:
            return f"it is an argument of {owner if function != 'Scheduler' else 'schedule()'}"
    others = _SCHEDULER_WORDS if function == "Scheduler" else _OTHER_WORDS
    if folded in others:
        return others[folded].format(word=folded)
    close = get_close_matches(folded, known, n=1, cutoff=_SIMILAR)
    if close:
        return f"did you mean {close[0]!r}?"
    if function == "schedule":
        return f"for an argument of the callback, write kwargs={{{word!r}: ...}}"
    return ""


def hinted(function: str) -> Callable[[Function], Function]:
    """Lets a method say what to write instead of a keyword that it does not have.

    Args:
        function: What the user calls.
    """

    def decorate(method: Function) -> Function:
        code = method.__code__
        known = frozenset(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount])

        @wraps(method)
        def checked(*args: Any, **keywords: Any) -> Any:
            try:
                return method(*args, **keywords)
            except TypeError:
                unknown = keywords.keys() - known
                if not unknown:
                    raise
            raise unknown_keyword(function, min(unknown), known)

        return checked  # type: ignore[return-value]  # it has the signature of the method

    return decorate

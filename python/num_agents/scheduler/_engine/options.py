"""The options of tasks, and how tasks share them.

Some belong to one task: its arguments, its priority, its metadata, its context, and the time of a
one-shot. All others say the same for many tasks: `SharedWords` finds one `SharedOptions` for equal
words, which is checked and built once.
"""

from __future__ import annotations

import time

from num_agents.scheduler import _native
from num_agents.scheduler._timing.common import (
    SAME_IF_EQUAL,
    SAME_IF_IDENTICAL,
    common_span_ns,
    is_wall_time,
    is_zone_info,
    wall_time,
)
from num_agents.scheduler._timing.moments import moment_ns, to_datetime
from num_agents.scheduler._timing.spans import bounded_span_ns
from num_agents.scheduler._timing.zones import zone_of
from num_agents.scheduler.calendar import CalendarInterval, Exclusions
from num_agents.scheduler.policy import (
    EXECUTOR_WORDS,
    MISFIRE_WORDS,
    POLICY_WORDS,
    RunPolicy,
    checked_executor,
    copied,
    count,
    limit_ns,
)
from num_agents.scheduler.retry import RetryPolicy, retry_of
from num_agents.scheduler.schedule import TaskSchedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context
    from datetime import tzinfo
    from typing import Any

    from num_agents.scheduler._engine.pieces import KnownTimes
    from num_agents.scheduler._timing.spans import Seconds
    from num_agents.scheduler.task import Task

#: How a task is told when it runs first, besides the words that it shares: not at all, by `delay`,
#: or by `run_at`, as a datetime without a zone or as anything else.
NO_TIME, BY_DELAY, BY_MOMENT, BY_WALL_TIME, CONTRADICTING = range(5)
_AT_MOMENTS = (BY_MOMENT, BY_WALL_TIME)

#: Not given out, and so never changed.
_DEFAULT_POLICY = RunPolicy()
_IDENTICAL = SAME_IF_IDENTICAL | {CalendarInterval, Exclusions, RetryPolicy}
_ONLY_STRINGS = frozenset((str,))
#: The empty tuple, of which there is one.
_NO_TAGS: tuple[str, ...] = ()
#: Half of the number of entries that are kept.
_HALF = 512


def way_of(delay: object, run_at: object) -> int:
    """How a task is told when it runs first."""
    if run_at is None:
        return NO_TIME if delay is None else BY_DELAY
    if delay is not None:
        return CONTRADICTING
    return BY_WALL_TIME if is_wall_time(run_at) else BY_MOMENT


class TaskOptions:
    """The options of one task.

    Attributes:
        schedule: When it runs.
        policy: How it runs.
        tags: Strings to find it by.
        metadata: The user's.
        context: The context variables that each run gets a copy of; None for a new context.
        known: If its times are computed in pieces, up to when they are known.
    """

    __slots__ = ("context", "known", "metadata", "policy", "schedule", "tags")

    def __init__(self, task: Task) -> None:
        self.schedule = task.schedule
        self.policy = task.policy
        self.tags = task.tags
        self.metadata = task.metadata
        self.context: Context | None = task.context
        self.known: KnownTimes | None = None

    def schedule_of(self, _nominal_ns: int, _zone: tzinfo | None) -> TaskSchedule:
        """The schedule that a view shows: without a delay, since it is past."""
        return self.schedule if self.schedule.delay is None else self.schedule.with_time(None)

    @property
    def pause_after_failures(self) -> int | None:
        """After how many failed runs in a row the task is paused; None for never."""
        return self.policy.pause_after_failures

    @property
    def executor(self) -> str | None:
        """Where the task runs; None for where tasks of its kind do."""
        return self.policy.executor

    @property
    def retry(self) -> RetryPolicy | None:
        """Whether a run that has failed is tried again; None for not."""
        return self.policy.retry

    @property
    def timeout(self) -> Seconds | None:
        """How long a run may take; None for any time."""
        return self.policy.timeout

    def policy_of(self, _priority: int) -> RunPolicy:
        """The policy that a view shows: a copy."""
        return copied(self.policy)


class SharedOptions:
    """Options that any number of tasks share; not changed once they are made.

    Attributes:
        tags: Strings to find the tasks by.
        recurrence: Their times after the first, if `is_common`; None for one-shots.
        span_ns: They are due first this long after they are scheduled; None if each has a time of
            its own, or `calendar` says when.
        calendar: What says when they are due first; it is right while `local_time` is
            `time.tzname`, or if that is None.
        zone: The zone of a naive `run_at`, if `has_zone`; otherwise it is the scheduler's.
        has_zone: Whether a zone was named.
        policy: How they run; with the default priority, whatever that of a task is.
        pause_after_failures: After how many failed runs in a row a task is paused; None for never.
        executor: Where they run; None for where tasks of their kind do.
        retry: Whether a run that has failed is tried again; None for not.
        timeout: How long a run may take; None for any time.
        is_common: Whether all this is known. If not, it is computed from the schedule each time.
    """

    __slots__ = (
        "_schedule",
        "_way",
        "_words",
        "calendar",
        "executor",
        "has_zone",
        "is_common",
        "local_time",
        "pause_after_failures",
        "policy",
        "recurrence",
        "retry",
        "span_ns",
        "tags",
        "timeout",
        "zone",
    )

    #: What belongs to one task: see `OwnOptions` and `TaskOptions`.
    metadata = None
    context = None
    known = None

    def __init__(
        self, words: dict[str, Any], tags: frozenset[str], way: int, policy: RunPolicy
    ) -> None:
        #: What was said. It also keeps alive what is compared by its identity.
        self._words = words
        self._way = way
        self._schedule: TaskSchedule | None = None
        self.tags = tags
        self.policy = policy
        self.pause_after_failures = policy.pause_after_failures
        self.executor = policy.executor
        self.retry = policy.retry
        self.timeout = policy.timeout
        self.recurrence: _native.Recurrence | None = None
        self.span_ns: int | None = None
        self.calendar: _native.Calendar | None = None
        self.local_time: object = None
        self.zone: tzinfo | None = None
        self.has_zone = False
        self.is_common = False

    @property
    def schedule(self) -> TaskSchedule:
        """When they run, apart from the times of their own."""
        found = self._schedule
        if found is None:
            words = {word: one for word, one in self._words.items() if word not in POLICY_WORDS}
            found = self._schedule = TaskSchedule(**words)
        return found

    def schedule_of(self, nominal_ns: int, zone: tzinfo | None) -> TaskSchedule:
        """The schedule that the view of a task shows: with its nominal time, if that was given."""
        if self._way == BY_WALL_TIME:
            zone = self.zone if self.has_zone else zone
            return self.schedule.with_time(wall_time(nominal_ns, zone))
        if self._way == BY_MOMENT:
            return self.schedule.with_time(to_datetime(nominal_ns, zone))
        return self.schedule

    def policy_of(self, priority: int) -> RunPolicy:
        """The policy that the view of a task shows: a copy."""
        found = copied(self.policy)
        found.priority = priority
        return found


class OwnOptions:
    """Shared options, with metadata or a context of one task. Attributes as of `TaskOptions`.

    Args:
        shared: What is shared.
        metadata: The user's.
        context: The context variables of each run.
        run_at: The text that was given as `run_at`.
    """

    __slots__ = ("_run_at", "_shared", "context", "metadata")

    known = None

    def __init__(
        self,
        shared: SharedOptions,
        metadata: dict[Any, Any] | None = None,
        context: Context | None = None,
        run_at: str | None = None,
    ) -> None:
        self._shared = shared
        self._run_at = run_at
        self.metadata = metadata
        self.context = context

    @property
    def schedule(self) -> TaskSchedule:
        """As of `SharedOptions`."""
        return self._shared.schedule

    @property
    def policy(self) -> RunPolicy:
        """As of `SharedOptions`."""
        return self._shared.policy

    @property
    def tags(self) -> frozenset[str]:
        """As of `SharedOptions`."""
        return self._shared.tags

    @property
    def pause_after_failures(self) -> int | None:
        """As of `SharedOptions`."""
        return self._shared.pause_after_failures

    @property
    def executor(self) -> str | None:
        """As of `SharedOptions`."""
        return self._shared.executor

    @property
    def retry(self) -> RetryPolicy | None:
        """As of `SharedOptions`."""
        return self._shared.retry

    @property
    def timeout(self) -> Seconds | None:
        """As of `SharedOptions`."""
        return self._shared.timeout

    def schedule_of(self, nominal_ns: int, zone: tzinfo | None) -> TaskSchedule:
        """As of `SharedOptions`, but with the text that was given."""
        if self._run_at is not None:
            return self._shared.schedule.with_time(self._run_at)
        return self._shared.schedule_of(nominal_ns, zone)

    def policy_of(self, priority: int) -> RunPolicy:
        """As of `SharedOptions`."""
        return self._shared.policy_of(priority)


AnyOptions = TaskOptions | SharedOptions | OwnOptions


class SharedWords:
    """Finds the options that were made of the same words before.

    At most 1,024 are kept, in two halves: the young, which new ones enter, and the old. An old one
    that is asked for becomes young. When the young half is full, the old ones are dropped, and the
    young become the old. So what is asked for again within 512 new ones stays, at O(1) each.

    Words are the same if they are equal and of the same type, which is str, int, float, bool, None
    or timedelta; tags if they are strings, in the same order. Datetimes and zones must be the same
    objects. No method of any other type is called: such options are not shared.
    """

    __slots__ = ("_old", "_young")

    def __init__(self) -> None:
        self._young: dict[Any, SharedOptions] = {}
        self._old: dict[Any, SharedOptions] = {}

    def find(self, words: dict[str, Any], tags: object, way: int) -> SharedOptions | None:
        """The options that such words make.

        Returns:
            None if they are not known, and have to be checked first.
        """
        key = None if way == CONTRADICTING else _key_of(words, tags, way)
        if key is None:
            return None
        found = self._young.get(key)
        if found is not None:
            return found
        found = self._old.get(key) or _common_options(words, key[0], way)
        if found is not None:
            self._keep(key, found)
        return found

    def add(
        self, words: dict[str, Any], tags: object, schedule: TaskSchedule, zone: tzinfo | None
    ) -> SharedOptions | None:
        """Keeps what `find` did not know, once it has been checked.

        Args:
            words: The words.
            tags: The tags.
            schedule: The schedule that was made of the words. They gave no warning.
            zone: The scheduler's time zone.

        Returns:
            The options; None if tasks cannot share them.
        """
        key = _key_of(words, tags, NO_TIME)
        known = None if key is None else self._young.get(key)
        if known is not None:
            return known
        # The negative zero equals the other one and is shown differently.
        if key is None or schedule.has_rrule or any(_is_zero_float(one) for one in words.values()):
            return None
        options = SharedOptions(words, frozenset(key[0]), NO_TIME, _policy_of(words))
        options._schedule = schedule  # noqa: SLF001 - a part of making it
        if (
            schedule.by_calendar
            and schedule.is_fixed
            and schedule.start_after is None
            and schedule.end_after is None
        ):
            zone = schedule.zone_or(zone)
            options.local_time = time.tzname if zone is None else None
            options.calendar = schedule.calendar(zone, 0)
            options.recurrence = recurrence_of(schedule, options.policy, options.calendar, zone)
            options.is_common = True
        self._keep(key, options)
        return options

    def _keep(self, key: Any, options: SharedOptions) -> None:
        if len(self._young) >= _HALF:
            self._old = self._young
            self._young = {}
        self._young[key] = options

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())


def options_of(schedule: TaskSchedule, policy: RunPolicy, tags: frozenset[str]) -> SharedOptions:
    """The options of the tasks of one bulk call.

    Raises:
        TypeError: Somebody has put a value of the wrong type into the policy.
        ValueError: Or one out of its range.
    """
    count(policy.catch_up_limit, "catch_up_limit")
    count(policy.pause_after_failures, "pause_after_failures")
    checked_executor(policy.executor)
    retry_of(policy.retry, None)
    if policy.timeout is not None:
        limit_ns(policy.timeout)
    # A copy: the user may change it afterwards.
    options = SharedOptions({}, tags, NO_TIME, copied(policy))
    options._schedule = schedule  # noqa: SLF001 - a part of making it
    return options


def _policy_of(words: dict[str, Any]) -> RunPolicy:
    """The policy of words that were checked."""
    said = words.keys() & POLICY_WORDS
    if not said:
        return _DEFAULT_POLICY
    policy = copied(_DEFAULT_POLICY)
    for word in said - _RETRY_WORDS:
        setattr(policy, word, words[word])
    policy.retry = retry_of(words.get("retry"), words.get("retries"))
    return policy


_RETRY_WORDS = frozenset(("retry", "retries"))


def _key_of(words: dict[str, Any], tags: Any, way: int) -> tuple[Any, ...] | None:
    """What equal words have in common; None for words whose values may change or deceive."""
    if tags is not _NO_TAGS:
        kind = type(tags)
        if kind is list or kind is set or kind is frozenset:
            tags = tuple(tags)
        elif kind is not tuple:
            return None
        if not _ONLY_STRINGS.issuperset(map(type, tags)):
            return None
    if not words:
        return tags, way
    values = tuple(words.values())
    kinds = tuple(map(type, values))
    if not SAME_IF_EQUAL.issuperset(kinds):
        values = tuple(map(_part, values, kinds))
        if None in values:
            return None
    return tags, way, tuple(words), values, kinds


def _part(value: object, kind: type) -> object:
    """What stands for a value: the value, or its identity; None if it may change or deceive."""
    if kind in SAME_IF_EQUAL:
        # None itself is of a kind that it is not mixed up with.
        return value if value is not None else 0
    return id(value) if kind in _IDENTICAL or is_zone_info(kind) else None


def _is_zero_float(value: object) -> bool:
    return type(value) is float and value == 0


def _count(value: object) -> int | None:
    return value if type(value) is int and 1 <= value < 2**63 else None


def _limit(value: object) -> int | None:
    return common_span_ns(value) or None


def _retry(value: object) -> RetryPolicy | None:
    return value if type(value) is RetryPolicy else None


def _retries(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 2**31 - 1 else None


def _flag(value: object) -> bool | None:
    return value if type(value) is bool else None


def _one_of(*known: str) -> Callable[[object], object]:
    return lambda value: value if type(value) is str and value in known else None


def _zone(value: object) -> tuple[tzinfo | None] | None:
    try:
        return (zone_of(value),)
    except (TypeError, ValueError):
        return None


#: Of common words: what the recurrence calls them, and what reads a value. A reader answers None
#: for what is refused, and for what it does not know.
_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "interval": ("interval_ns", common_span_ns),
    "grace": ("grace_ns", common_span_ns),
    "jitter": ("jitter_ns", common_span_ns),
    "window": ("window_ns", common_span_ns),
    "max_runs": ("max_runs", _count),
    "catch_up_limit": ("catch_up_limit", _count),
    "pause_after_failures": ("pause_after_failures", _count),
    "executor": ("executor", _one_of(*EXECUTOR_WORDS)),
    "timeout": ("timeout", _limit),
    "retry": ("retry", _retry),
    "retries": ("retries", _retries),
    "first_run": ("first_run", _one_of("now", "after_interval")),
    "misfire": ("misfire", _one_of(*MISFIRE_WORDS)),
    "fixed_delay": ("fixed_delay", _flag),
    "timezone": ("zone", _zone),
}
#: Those for which None says the same as nothing.
_MAY_BE_NONE = _READERS.keys() - {"first_run", "misfire", "fixed_delay"}


def _common_options(words: dict[str, Any], tags: tuple[str, ...], way: int) -> SharedOptions | None:
    """The options that common words make: those of one-shots and of intervals.

    Args:
        words: Words, with values of types that never change.
        tags: The tags.
        way: Which time the task has of its own.

    Returns:
        None if there is anything else about them, or anything that is refused or warned of: then
        they must be checked one by one.
    """
    facts: dict[str, Any] = {}
    for word, value in words.items():
        if value is None and word in _MAY_BE_NONE:
            continue
        known = _READERS.get(word)
        fact = None if known is None else known[1](value)
        if known is None or fact is None:
            return None
        facts[known[0]] = fact
    options = SharedOptions(words, frozenset(tags), way, _policy_of(words))
    if "zone" in facts:
        (options.zone,) = facts.pop("zone")
        options.has_zone = True
    facts.pop("pause_after_failures", None)
    facts.pop("executor", None)
    facts.pop("timeout", None)
    if facts.pop("retry", None) is not None and "retries" in facts:
        return None
    facts.pop("retries", None)
    first_run, misfire = facts.pop("first_run", None), facts.pop("misfire", "latest")
    interval = facts.get("interval_ns")
    if interval is None:
        repeats = facts.pop("fixed_delay", False) or facts.get("max_runs", 1) != 1
        if repeats or first_run is not None or misfire != "latest":
            return None
        options.span_ns = 0 if way == NO_TIME else None
    elif way != NO_TIME or interval == 0:
        return None
    else:
        options.span_ns = interval if first_run == "after_interval" else 0
    if "catch_up_limit" in facts and misfire != "all":
        return None
    if facts:
        if way in _AT_MOMENTS:
            facts["on_wall"] = True
        options.recurrence = _native.Recurrence(misfire, **facts)
    options.is_common = True
    return options


def recurrence_of(
    schedule: TaskSchedule,
    policy: RunPolicy,
    calendar: _native.Calendar | None,
    zone: tzinfo | None,
    *,
    is_at_moment: bool = False,
) -> _native.Recurrence | None:
    """A task's times after the first; None for a one-shot that runs however late it is.

    Args:
        schedule: When it runs.
        policy: How it runs.
        calendar: What computes its times, if it goes by a calendar.
        zone: The scheduler's time zone.
        is_at_moment: Whether it runs once, at a moment that the schedule does not know.
    """
    if calendar is None and not (
        schedule.interval is not None
        or schedule.end_after is not None
        or schedule.max_runs is not None
        or schedule.jitter is not None
        or schedule.window is not None
        or policy.grace is not None
    ):
        return None

    def span(value: Any, argument: str) -> int:
        return 0 if value is None else bounded_span_ns(value, argument)

    start = schedule.start_after
    return _native.Recurrence(
        policy.misfire,
        interval_ns=0 if calendar is not None else span(schedule.interval, "interval"),
        fixed_delay=schedule.fixed_delay,
        start_ns=None if start is None else moment_ns(start, "start_after", schedule.zone_or(zone)),
        end_ns=schedule.end_ns(zone),
        max_runs=schedule.max_runs,
        grace_ns=None if policy.grace is None else bounded_span_ns(policy.grace, "grace"),
        catch_up_limit=policy.catch_up_limit,
        calendar=calendar,
        jitter_ns=span(schedule.jitter, "jitter"),
        window_ns=span(schedule.window, "window"),
        on_wall=is_at_moment or schedule.run_at is not None,
    )

"""Many tasks in one call: what each of them has, and what they share."""

from __future__ import annotations

from array import array
from itertools import chain

from num_agents.scheduler._engine.options import options_of, recurrence_of
from num_agents.scheduler._messages import each, show
from num_agents.scheduler._numbers import integer
from num_agents.scheduler._timing.bulk import many_moments, many_seconds
from num_agents.scheduler._timing.first_due import first_due
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS, SECOND_NS
from num_agents.scheduler.policy import RunPolicy
from num_agents.scheduler.schedule import TaskSchedule
from num_agents.scheduler.task import (
    checked_args,
    checked_kwargs,
    checked_tags,
    warn_without_effect,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from num_agents.scheduler import _native
    from num_agents.scheduler._engine.engine import Engine
    from num_agents.scheduler._engine.options import SharedOptions

_ONLY_DICTS = frozenset((dict,))
_ONLY_STRINGS = frozenset((str,))
_ONLY_TUPLES = frozenset((tuple,))


class Many:
    """What was given to `Scheduler.schedule_many`, checked.

    Args:
        engine: Where the tasks are scheduled.
        args: The positional arguments of each task; None for none.
        priorities: The priority of each task; None for that of the policy.
        kwargs: The keyword arguments of all tasks, or an iterable of those of each.
        tags: The tags of all tasks, or an iterable of those of each.
        schedule: When they repeat; None for one-shots.
        policy: How they run.

    Raises:
        TypeError: An argument has the wrong type; the message names the index.
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        args: Any,
        priorities: Any,
        kwargs: Any,
        tags: Any,
        schedule: TaskSchedule | None,
        policy: RunPolicy | None,
    ) -> None:
        if schedule is not None and not isinstance(schedule, TaskSchedule):
            raise TypeError(f"schedule must be a TaskSchedule, got {show(schedule)}")
        if policy is not None and not isinstance(policy, RunPolicy):
            raise TypeError(f"policy must be a RunPolicy, got {show(policy)}")
        if schedule is not None and (schedule.is_one_shot or schedule.has_rrule):
            raise ValueError(
                "schedule must repeat, by an interval or by a calendar without an rrule: "
                f"give delays or run_ats for tasks that run once, got {show(schedule)}"
            )
        self._engine = engine
        self._schedule = schedule
        self._said = TaskSchedule() if schedule is None else schedule
        self._policy = RunPolicy() if policy is None else policy
        warn_without_effect(self._said, self._policy)
        self._args = () if args is None else [checked_args(one) for one in each(args, "args")]
        self._kwargs = None if kwargs is None else _kwargs_of(kwargs)
        self._tags = _tags_of(tags)
        self._lanes = self._policy.priority if priorities is None else _lanes(priorities)
        self._has_options = bool(
            schedule is not None or policy is not None or self._kwargs is not None or self._tags
        )

    def after(
        self, name: str, callback: Callable[..., Any], now_ns: int, delays: Iterable[Any]
    ) -> _native.TaskIds:
        """Schedules them, each this many seconds after a moment of the axis."""
        engine = self._engine
        self._check_begins("delays")
        seconds = many_seconds(delays, "delays")

        def nominals() -> list[int]:
            offset = engine.clock.offset_ns
            return [moment + offset for moment in engine.native.nominals(now_ns, seconds)]

        self._check_end("delays", nominals)
        return self._after(name, callback, now_ns, seconds, nominals)

    def at(
        self, name: str, callback: Callable[..., Any], run_ats: Iterable[Any]
    ) -> _native.TaskIds:
        """Schedules them, each at a moment of the wall clock."""
        self._check_begins("run_ats")
        moments = many_moments(run_ats, "run_ats", self._engine.zone)
        self._check_end("run_ats", lambda: moments)
        return self._at(name, callback, moments, lambda: moments, on_grid=False)

    def as_scheduled(self, name: str, callback: Callable[..., Any], now_ns: int) -> _native.TaskIds:
        """Schedules them, each first when the schedule says."""
        engine, count = self._engine, self._count()
        wall_ns = engine.clock.now_ns()
        calendar = self._said.calendar(engine.zone, wall_ns)
        due = first_due(self._said, wall_ns, engine.zone, calendar)

        def nominals() -> list[int]:
            return [due.nominal_ns(wall_ns)] * count

        if due.span_ns is not None:
            seconds = array("d", [due.span_ns / SECOND_NS]) * count
            return self._after(name, callback, now_ns, seconds, nominals)
        on_grid = due.anchor_wall_ns is not None
        first = due.anchor_wall_ns if due.anchor_wall_ns is not None else due.wall_ns
        assert first is not None  # one of the three is not
        moments = array("Q", [min(first, FAR_FUTURE_NS)]) * count
        return self._at(name, callback, moments, nominals, on_grid=on_grid)

    # ---- checks ------------------------------------------------------------------------------

    def _check_begins(self, argument: str) -> None:
        """Whether first times agree with the schedule."""
        said = self._said
        if said.by_calendar:
            raise ValueError(
                f"{argument} and a schedule by a calendar each say when to run: give one of them"
            )
        if said.start_after is not None or said.first_run != "now":
            raise ValueError(
                f"{argument} say when each task begins, and so do start_after and first_run: give "
                f"one of them, got {show(said)}"
            )

    def _check_end(self, argument: str, nominals: Callable[[], Iterable[int]]) -> None:
        """Whether each begins before the end."""
        end = self._said.end_ns(self._engine.zone)
        if end is None:
            return
        for place, moment in enumerate(nominals()):
            if moment > end:
                raise ValueError(
                    f"end_after comes before the first run of {argument}[{place}], got "
                    f"{show(self._said.end_after)}: the task would never run"
                )

    def _count(self) -> int:
        """How many tasks there are, if no times say so."""
        for one in (self._args, self._kwargs, self._tags, self._lanes):
            if isinstance(one, list | bytes):
                return len(one)
        raise ValueError(
            "give delays or run_ats, or args, kwargs, tags or priorities of each task: they say "
            "how many tasks there are"
        )

    # ---- to the extension module -------------------------------------------------------------

    def _after(
        self,
        name: str,
        callback: Callable[..., Any],
        now_ns: int,
        seconds: Any,
        nominals: Callable[[], Iterable[int]],
    ) -> _native.TaskIds:
        options, recurrence = self._options(), self._recurrence(is_at_moment=False)
        executor = self._executor(options)

        def arm() -> _native.TaskIds:
            return self._engine.native.schedule_many(
                *(
                    name,
                    callback,
                    self._args,
                    self._kwargs,
                    options,
                    self._policy.timeout is not None,
                ),
                *(self._lanes, recurrence, now_ns, seconds, executor),
            )

        return self._engine.announced_many(name, arm, nominals)

    def _at(
        self,
        name: str,
        callback: Callable[..., Any],
        moments: Any,
        nominals: Callable[[], Iterable[int]],
        *,
        on_grid: bool,
    ) -> _native.TaskIds:
        options = self._options()
        recurrence = self._recurrence(is_at_moment=self._schedule is None)
        executor = self._executor(options)

        def arm() -> _native.TaskIds:
            return self._engine.native.schedule_many_at(
                *(
                    name,
                    callback,
                    self._args,
                    self._kwargs,
                    options,
                    self._policy.timeout is not None,
                ),
                *(self._lanes, recurrence, moments, on_grid, executor),
            )

        return self._engine.announced_many(name, arm, nominals)

    def _recurrence(self, *, is_at_moment: bool) -> _native.Recurrence | None:
        zone = self._engine.zone
        calendar = self._said.calendar(zone, self._engine.clock.now_ns())
        return recurrence_of(self._said, self._policy, calendar, zone, is_at_moment=is_at_moment)

    def _executor(self, options: SharedOptions | list[SharedOptions] | None) -> int | None:
        """The number of the executor that runs them; None for that of their kind."""
        # The policy is that of all.
        one = (options[0] if options else None) if isinstance(options, list) else options
        return self._engine.executor_of(one)

    def _options(self) -> SharedOptions | list[SharedOptions] | None:
        """The options of all, or of each."""
        if not self._has_options:
            return None
        made: dict[Any, SharedOptions] = {}

        def with_tags(tags: tuple[str, ...]) -> SharedOptions:
            found = made.get(tags)
            if found is None:
                found = made[tags] = options_of(self._said, self._policy, frozenset(tags))
            return found

        if isinstance(self._tags, list):
            return list(map(with_tags, self._tags))
        return with_tags(self._tags)


def _kwargs_of(kwargs: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """Keyword arguments of all tasks, or those of each, copied."""
    if hasattr(kwargs, "keys"):
        return checked_kwargs(kwargs)
    listed = list(each(kwargs, "kwargs"))
    if _ONLY_DICTS.issuperset(map(type, listed)):
        copies = list(map(dict.copy, listed))
        if _ONLY_STRINGS.issuperset(map(type, chain.from_iterable(copies))):
            return copies
    return [checked_kwargs(one, f"kwargs[{place}]") for place, one in enumerate(listed)]


def _tags_of(tags: Any) -> tuple[str, ...] | list[tuple[str, ...]]:
    """Tags of all tasks, or those of each."""
    if isinstance(tags, str) or not hasattr(tags, "__iter__"):
        raise TypeError(f"tags must be an iterable of strings, got {show(tags)}")
    listed = list(tags)
    if all(isinstance(one, str) for one in listed):
        return tuple(listed)
    if _ONLY_TUPLES.issuperset(map(type, listed)) and _ONLY_STRINGS.issuperset(
        map(type, chain.from_iterable(listed))
    ):
        return listed
    return [tuple(checked_tags(one, f"tags[{place}]")) for place, one in enumerate(listed)]


def _lanes(priorities: Iterable[int]) -> bytes:
    """Priorities as the engine takes them.

    Raises:
        TypeError: One is no int.
        ValueError: One is not in 0 to 255.
    """
    if isinstance(priorities, bytes):
        return priorities
    listed = list(each(priorities, "priorities"))
    return bytes(
        integer(priority, f"priorities[{place}]", 0, 255) for place, priority in enumerate(listed)
    )

"""When a task runs: `TaskSchedule`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Any, ClassVar, Literal, NoReturn

from num_agents._lazy import LazyModule
from num_agents.scheduler._hints import hinted
from num_agents.scheduler._messages import show, warn
from num_agents.scheduler._timing import preview
from num_agents.scheduler._timing.bounds import end_ns
from num_agents.scheduler._timing.moments import Moment, aware, check_exists
from num_agents.scheduler._timing.spans import Seconds, after_ns, span_ns
from num_agents.scheduler._timing.zones import UTC_ZONE, zone_of
from num_agents.scheduler.calendar import (
    DIALECTS,
    DST_VALUES,
    CalendarInterval,
    Exclusions,
)
from num_agents.scheduler.policy import count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler._timing import calendars as _calendars
else:
    _calendars = LazyModule("num_agents.scheduler._timing.calendars")

FirstRun = Literal["now", "after_interval", "aligned"]
DialectWord = Literal["vixie", "quartz"]
DstWord = Literal["debian", "skip", "wall-clock"]

FIRST_RUN_VALUES = ("now", "after_interval", "aligned")

#: The ways to say when, of which a schedule has one.
_WAYS = ("run_at", "delay", "interval", "cron_expression", "calendar_interval", "rrule", "any_of")
#: The empty tuple, of which there is one.
_NO_SCHEDULES: tuple[TaskSchedule, ...] = ()
#: Stands for a zone that was not given: None is the system's.
_UNSAID_ZONE = object()
#: Those that go by a calendar.
_BY_CALENDAR = frozenset(("cron_expression", "calendar_interval", "rrule", "any_of"))
#: What belongs to the whole, and not to one of several schedules in it.
_OF_THE_WHOLE = ("max_runs", "end_after", "jitter", "window", "exclude")


class TaskSchedule:
    """When a task runs. It cannot be changed, so tasks can share it.

    Numbers are seconds. A span may also be a timedelta or text such as "1h30m", and a moment an
    ISO-8601 string. With no `run_at`, `delay`, `interval` or calendar, the task runs immediately.

    A wall time that does not exist, because the clock is set forward over it, is the moment right
    after the gap. One that comes twice is the first, or with `fold=1` the second. `dst` changes
    that for times that run.

    Args:
        interval: Run repeatedly, this long apart, at a fixed rate: run k is due at exactly
            first + k * interval, and a late run does not move the later ones. It is elapsed time:
            setting the wall clock changes nothing.
        max_runs: Start at most this many runs, failed ones included.
        start_after: Not before this moment. It anchors the grid of an interval, also if it has
            passed: the first run is the first of start_after + k * interval that is not before now.
        end_after: Not after this moment, which is itself allowed; judged by the nominal time.
        run_at: Run once, at this moment of the wall clock; immediately if it has passed.
        delay: Run once, this long after it is scheduled.
        cron_expression: Run as this says: 5 fields, 6 with leading seconds, 7 with a trailing year;
            names, `? L W LW L-3 5L FRIL 5#3`; `@hourly` and similar, `@every 5m`; an optional
            `CRON_TZ=Zone ` before it.
        timezone: The zone of naive datetimes and calendars here: a tzinfo, an IANA name, "UTC" or
            "local". By default the scheduler's.
        fixed_delay: Count the interval from the end of each run, not from its nominal time.
        first_run: The first run of an interval: `"now"`, or at `start_after` if there is one;
            `"after_interval"`, one interval later than that; or `"aligned"` to multiples of the
            interval since 1970.
        dialect: Of the cron expression. `"vixie"`: Sunday is 0 or 7, and day-of-month OR
            day-of-week must match when neither begins with `*`. `"quartz"`: Sunday is 1, and both
            must match.
        dst: What a fixed wall time does when the clock is set. `"debian"`: one that does not exist
            runs right after the gap, one that comes twice runs the first time; cron expressions
            with `*` in minute or hour, and hourly or shorter rrules, follow real time. `"skip"`:
            one that does not exist does not run. `"wall-clock"`: the same, and one that comes twice
            runs twice.
        jitter: Delay each run by a random amount of up to this much, drawn from the task's id and
            the nominal time. It never reaches the next occurrence or passes the end.
        window: Delay all runs by one amount of up to this much, so that they fall where the fewest
            recurring tasks are due. It is chosen when the task is scheduled, and kept.
        calendar_interval: Run every so many days, weeks, months or years.
        rrule: Run as this RFC 5545 recurrence says: a string, or an `rrule` or `rruleset` of
            python-dateutil, which the extra `rrule` installs. Without DTSTART it begins at
            `start_after`, or when it is scheduled, at the next whole second. UNTIL without a zone
            is in the schedule's zone; a date includes that day.
        any_of: Run whenever one of these schedules does: cron expressions, calendar intervals,
            rrules, moments, and intervals with a `start_after` or `first_run="aligned"`.
        exclude: Times at which it does not run.

    Warns:
        ScheduleWarning: An option has no effect, or a step of the cron expression is longer than
            its field.

    Raises:
        TypeError: An argument is of another type.
        ValueError: An argument is out of its range, or two contradict each other.
        InvalidCronError: A ValueError that says where the cron expression is wrong.
        OverflowError: A time lies beyond the year 9999.
        UnsupportedScheduleError: An rrule without python-dateutil.
    """

    #: The names of its options.
    OPTIONS: ClassVar[tuple[str, ...]] = (
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
    )
    __slots__ = (*OPTIONS, "_zone", "calendar_cache", "due_ns")

    any_of: tuple[TaskSchedule, ...]
    calendar_interval: CalendarInterval | None
    cron_expression: str | None
    delay: Seconds | None
    dialect: DialectWord
    dst: DstWord
    end_after: Moment | None
    exclude: Exclusions | None
    first_run: FirstRun
    fixed_delay: bool
    interval: Seconds | None
    jitter: Seconds | None
    max_runs: int | None
    rrule: Any
    run_at: Moment | None
    start_after: Moment | None
    timezone: tzinfo | str | None
    window: Seconds | None
    #: By the identity of the zone: some have no hash.
    calendar_cache: dict[int, tuple[object, _calendars.Calendar]]
    _zone: Any
    #: Of a scheduled task: the nominal time of its next run, in nanoseconds since 1970.
    due_ns: int | None

    @hinted("TaskSchedule")
    def __init__(
        self,
        *,
        interval: Seconds | None = None,
        max_runs: int | None = None,
        start_after: Moment | None = None,
        end_after: Moment | None = None,
        run_at: Moment | None = None,
        delay: Seconds | None = None,
        cron_expression: str | None = None,
        timezone: tzinfo | str | None = None,
        fixed_delay: bool = False,
        first_run: FirstRun = "now",
        dialect: DialectWord = "vixie",
        dst: DstWord = "debian",
        jitter: Seconds | None = None,
        window: Seconds | None = None,
        calendar_interval: CalendarInterval | None = None,
        rrule: Any = None,
        any_of: Iterable[TaskSchedule] = (),
        exclude: Exclusions | None = None,
    ) -> None:
        put = object.__setattr__
        put(self, "interval", interval)
        put(self, "max_runs", max_runs if max_runs is None else count(max_runs, "max_runs"))
        put(self, "start_after", start_after)
        put(self, "end_after", end_after)
        put(self, "run_at", run_at)
        put(self, "delay", delay)
        put(self, "cron_expression", cron_expression)
        put(self, "timezone", timezone)
        put(self, "fixed_delay", fixed_delay)
        put(self, "first_run", first_run)
        put(self, "dialect", dialect)
        put(self, "dst", dst)
        put(self, "jitter", jitter)
        put(self, "window", window)
        put(self, "calendar_interval", calendar_interval)
        put(self, "rrule", rrule)
        put(self, "any_of", any_of if any_of is _NO_SCHEDULES else _schedules(any_of))
        put(self, "exclude", exclude)
        put(self, "calendar_cache", {})
        put(self, "due_ns", None)
        put(self, "_zone", self._zone_said())
        self._check()

    # ---- looking ahead -----------------------------------------------------------------------

    def next_after(self, moment: Moment) -> datetime | None:
        """The first nominal time strictly after a moment; None if there is none.

        A delay counts from the moment, and so does an interval that has no `start_after` and is not
        aligned: as if the task were scheduled then. `max_runs` is not considered.

        Args:
            moment: A datetime or an ISO-8601 string; naive means in the schedule's zone.

        Returns:
            An aware datetime in the schedule's zone.

        Raises:
            TypeError: `moment` is of another type.
            ValueError: It is a string that is not ISO-8601.
        """
        return preview.next_after(self, moment)

    def preview(self, count: int, start: Moment | None = None) -> list[datetime]:
        """The next nominal times: what repeated calls of `next_after` return.

        Args:
            count: How many at most; `max_runs` limits them, too.
            start: After which moment; now if None.

        Raises:
            TypeError: An argument is of another type.
            ValueError: `count` is negative.
        """
        return preview.preview(self, count, start)

    def describe(self) -> str:
        """When it runs, in plain English: `at 09:00 on Monday to Friday, Europe/Paris`."""
        from num_agents.scheduler._timing.english import describe  # noqa: PLC0415 - rare

        return describe(self)

    def of_task(self, zone: tzinfo | None, due_ns: int | None = None) -> TaskSchedule:
        """A copy for a scheduled task: equal to this one, but its times are those of the task.

        Args:
            zone: The scheduler's time zone, for a schedule that names none.
            due_ns: The nominal time of its next run, if that is known. A one-shot is due then,
                whatever was said when it was scheduled, and an interval counts from there.
        """
        found = self._copy()
        if self._zone is _UNSAID_ZONE:
            object.__setattr__(found, "_zone", zone)
        if due_ns is not None:
            object.__setattr__(found, "due_ns", due_ns)
        return found

    def with_time(self, run_at: Moment | None) -> TaskSchedule:
        """A copy with another `run_at`, and without a delay: as the view of a task shows it."""
        found = self._copy()
        object.__setattr__(found, "delay", None)
        object.__setattr__(found, "run_at", run_at)
        return found

    # ---- for the engine ----------------------------------------------------------------------

    @property
    def is_one_shot(self) -> bool:
        """Whether it runs once."""
        return self.interval is None and not self.by_calendar

    @property
    def by_calendar(self) -> bool:
        """Whether its times are those of a calendar, which follows the wall clock."""
        return (
            self.cron_expression is not None
            or self.calendar_interval is not None
            or self.rrule is not None
            or bool(self.any_of)
            or self.exclude is not None
        )

    @property
    def has_rrule(self) -> bool:
        """Whether it, or a part of it, is an rrule, whose times are computed piece by piece."""
        return self.rrule is not None or any(one.rrule is not None for one in self.any_of)

    @property
    def is_fixed(self) -> bool:
        """Whether it has the same times whenever it is scheduled; of schedules by a calendar."""
        if self.any_of:
            return all(one.is_fixed for one in self.any_of)
        if self.rrule is not None:
            return False
        if self.start_after is not None or self.run_at is not None:
            return True
        if self.calendar_interval is not None:
            return self.calendar_interval.anchor is not None
        if self.cron_expression is not None:
            # `@every` begins when it is scheduled.
            from num_agents.scheduler._timing import calendars  # noqa: PLC0415 - see `calendar`

            return calendars.every_ns(self.cron_expression, self.dialect) is None
        return self.first_run == "aligned"

    def end_ns(self, zone: tzinfo | None) -> int | None:
        """The last nominal time of a run, in nanoseconds since 1970."""
        return end_ns(self, zone)

    def calendar(self, zone: tzinfo | None, now_ns: int) -> _calendars.Calendar | None:
        """What computes its times, if it goes by a calendar; the same one for equal cron schedules.

        Args:
            zone: The scheduler's time zone, for a schedule without one.
            now_ns: The moment of scheduling.
        """
        if not self.by_calendar:
            return None
        from num_agents.scheduler._timing import calendars  # noqa: PLC0415 - 2 ms, rarely needed

        return calendars.calendar_of(self, zone, now_ns)

    def zone_or(self, default: tzinfo | None) -> tzinfo | None:
        """The zone of naive datetimes; None for the system's."""
        return default if self._zone is _UNSAID_ZONE else self._zone

    # ---- inside ------------------------------------------------------------------------------

    def _copy(self) -> TaskSchedule:
        found = object.__new__(type(self))
        for word in self.__slots__:
            object.__setattr__(found, word, getattr(self, word))
        return found

    def _zone_said(self) -> Any:
        """The zone that was said; one in the expression wins."""
        if isinstance(self.cron_expression, str):
            words = self.cron_expression.split(maxsplit=1)
            name, _, zone = words[0].partition("=") if words else ("", "", "")
            if name in ("CRON_TZ", "TZ"):
                try:
                    return zone_of(zone)
                except ValueError:
                    # Refused as part of the expression.
                    return _UNSAID_ZONE
        return _UNSAID_ZONE if self.timezone is None else zone_of(self.timezone)

    def _check(self) -> None:
        """Whether everything said makes sense, alone and together."""
        by_calendar = self.by_calendar
        if by_calendar or _are_several(self.run_at, self.delay, self.interval):
            self._check_ways()
        self._check_values()
        zone = None if self.timezone is None else zone_of(self.timezone)
        if self.run_at is not None:
            aware(self.run_at, "run_at", zone)
        if self.start_after is not None:
            aware(self.start_after, "start_after", zone)
        if self.end_after is not None:
            aware(self.end_after, "end_after", zone)
        if self.run_at is not None and self._zone is not _UNSAID_ZONE:
            check_exists(self.run_at, "run_at", self.zone_or(None), self.dst)
        if self.delay is not None:
            after_ns(0, self.delay, "delay")
        self._check_spans()
        if self.exclude is not None:
            self._check_exclusions()
        if by_calendar:
            self._check_calendar()
        if self.max_runs is not None or self.first_run != "now" or by_calendar:
            self._warn()

    def _check_spans(self) -> None:
        if self.interval is not None:
            span_ns(self.interval, "interval", positive=True)
        if self.jitter is not None:
            span_ns(self.jitter, "jitter")
        if self.window is not None:
            span_ns(self.window, "window")

    def _check_calendar(self) -> None:
        for place, one in enumerate(self.any_of):
            one.check_as_part(f"any_of[{place}]")
        # Computed once for its errors; what is shared is found again when it is scheduled.
        if self.cron_expression is not None and "=" in self.cron_expression:
            # A zone is looked up, even if `@every` has no use for it.
            from num_agents.scheduler._timing import calendars  # noqa: PLC0415 - see `calendar`
            from num_agents.scheduler._timing.native_zones import native_zone  # noqa: PLC0415 - rare

            calendars.cron_part(self.cron_expression, self.dialect, native_zone(UTC_ZONE), self.dst)
        self.calendar(UTC_ZONE, 0)

    def _warn(self) -> None:
        """Warns of what was said and has no effect."""
        if self.is_one_shot and self.max_runs not in (None, 1):
            warn(f"max_runs has no effect without a schedule that repeats, got {self.max_runs}")
        if self.first_run != "now" and self.interval is None:
            warn(f"first_run has no effect without an interval, got {self.first_run!r}")
        if self.cron_expression is not None:
            from num_agents.scheduler._timing import calendars  # noqa: PLC0415 - see `calendar`

            for message in calendars.cron_warnings(self.cron_expression, self.dialect):
                warn(message)

    def _check_values(self) -> None:
        _check_word(self.first_run, "first_run", FIRST_RUN_VALUES)
        _check_word(self.dialect, "dialect", DIALECTS)
        _check_word(self.dst, "dst", DST_VALUES)
        if not isinstance(self.fixed_delay, bool):
            raise TypeError(f"fixed_delay must be a bool, got {show(self.fixed_delay)}")
        if self.fixed_delay and self.interval is None:
            raise ValueError("fixed_delay counts an interval from completion: give an interval")
        if self.cron_expression is not None:
            _check_kind(self.cron_expression, "cron_expression", str)
        if self.calendar_interval is not None:
            _check_kind(self.calendar_interval, "calendar_interval", CalendarInterval)
        if self.exclude is not None:
            _check_kind(self.exclude, "exclude", Exclusions)

    def _ways(self) -> list[str]:
        """The ways to say when that were given."""
        return [way for way in _WAYS if _is_given(getattr(self, way))]

    def _check_ways(self) -> None:
        given = self._ways()
        if given == ["run_at", "delay"]:
            raise ValueError("run_at and delay both say when to run once: give one of them")
        if len(given) > 1 and "interval" in given and not _BY_CALENDAR & set(given):
            raise ValueError("interval repeats, run_at and delay do not: give one of them")
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} each say when to run: give one of them")

    def _check_exclusions(self) -> None:
        given = self._ways()
        if not given or self.delay is not None or self.run_at is not None or self.fixed_delay:
            raise ValueError("exclude takes times out of what recurs at known times")
        self._check_anchor("exclude")

    def _check_anchor(self, argument: str) -> None:
        known = self.start_after is not None or self.first_run == "aligned"
        if self.interval is not None and not known:
            raise ValueError(
                f"{argument}: an interval needs a start_after or first_run='aligned' here"
            )

    def check_as_part(self, argument: str) -> None:
        """Whether it can be one of several."""
        for word in _OF_THE_WHOLE:
            if getattr(self, word) is not None:
                raise ValueError(f"{argument}: {word} belongs to the whole schedule, not to a part")
        if self.delay is not None or self.fixed_delay or self.any_of:
            raise ValueError(f"{argument} must have times known beforehand, got {show(self)}")
        if not self._ways():
            raise ValueError(f"{argument} must say when to run, got {show(self)}")
        self._check_anchor(argument)

    # ---- as data -----------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """What was said, by name, with moments and spans as they were given."""
        return {name: getattr(self, name) for name in self.OPTIONS}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a TaskSchedule cannot be changed ({name}): make another one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a TaskSchedule cannot be changed ({name}): make another one")

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (self.to_dict(),)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TaskSchedule):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # an rrule in it is no key

    def __repr__(self) -> str:
        said = ", ".join(
            f"{name}={value!r}"
            for name, value in self.to_dict().items()
            if _is_given(value) and value is not False and not _is_default(name, value)
        )
        return f"TaskSchedule({said})"


_DEFAULTS = {"first_run": "now", "dialect": "vixie", "dst": "debian"}


def _are_several(first: object, second: object, third: object) -> bool:
    """Whether more than one of them was given."""
    return (first is not None) + (second is not None) + (third is not None) > 1


def _check_word(value: object, argument: str, words: tuple[str, ...]) -> None:
    if value not in words:
        listed = ", ".join(map(repr, words))
        raise ValueError(f"{argument} must be one of {listed}, got {show(value)}")


def _check_kind(value: object, argument: str, kind: type) -> None:
    if not isinstance(value, kind):
        word = "string" if kind is str else kind.__name__
        raise TypeError(f"{argument} must be a {word}, got {show(value)}")


def _is_given(value: object) -> bool:
    # By identity and type: values of other libraries compare in their own ways.
    return value is not None and not (isinstance(value, tuple) and not value)


def _is_default(name: str, value: object) -> bool:
    return isinstance(value, str) and _DEFAULTS.get(name) == value


def _made_again(words: dict[str, Any]) -> TaskSchedule:
    return TaskSchedule(**words)


def _schedules(values: object) -> tuple[TaskSchedule, ...]:
    if not hasattr(values, "__iter__") or isinstance(values, str):
        raise TypeError(f"any_of must be an iterable of TaskSchedules, got {show(values)}")
    listed = tuple(values)
    for place, one in enumerate(listed):
        if not isinstance(one, TaskSchedule):
            raise TypeError(f"any_of[{place}] must be a TaskSchedule, got {show(one)}")
    return listed

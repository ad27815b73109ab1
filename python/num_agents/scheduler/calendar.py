"""Calendar intervals and exclusions: plain data, checked when it is made."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time
from typing import Any, NoReturn

from num_agents.scheduler._messages import show
from num_agents.scheduler._numbers import integer
from num_agents.scheduler._timing.moments import calendar_date, time_of_day

DIALECTS = ("vixie", "quartz")
DST_VALUES = ("debian", "skip", "wall-clock")

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_SHORTEST_NAME = 3
_LONGEST = 1_000_000
_HOURS = 24


class _Fixed:
    """A value that cannot be changed, so that schedules can share it."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"a {type(self).__name__} cannot be changed ({name}): make another one"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"a {type(self).__name__} cannot be changed ({name}): make another one"
        )

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        # Copying and pickling fill a new object, and change none.
        for name, value in state[1].items():
            object.__setattr__(self, name, value)


class CalendarInterval(_Fixed):
    """Every n days, weeks, months or years, at a time of day.

    Counted from the anchor, so nothing drifts: monthly from 31 January is the last day of February,
    then 31 March again.

    Args:
        days: Every n days. Exactly one of the four is given.
        weeks: Every n weeks.
        months: Every n months; in a month that is too short for the anchor's day, on its last day.
        years: Every n years; 29 February becomes the 28th in other years.
        at: The time of day: a `datetime.time` without a zone, or `"HH:MM[:SS]"`. Midnight if None.
        anchor: The first day: a date, or an ISO-8601 string. If None, the day of `start_after`, or
            that of scheduling.

    Raises:
        TypeError: An argument is of another type.
        ValueError: None or several of the four are given, or one is not in 1 to 1,000,000; `at` or
            `anchor` is not a time or a date.
    """

    __slots__ = ("anchor", "at", "every", "unit")

    anchor: date | None
    at: time
    every: int
    unit: str

    def __init__(
        self,
        *,
        days: int | None = None,
        weeks: int | None = None,
        months: int | None = None,
        years: int | None = None,
        at: time | str | None = None,
        anchor: date | str | None = None,
    ) -> None:
        said = {"days": days, "weeks": weeks, "months": months, "years": years}
        given = [(unit, every) for unit, every in said.items() if every is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of days, weeks, months and years")
        ((unit, every),) = given
        every = integer(every, unit, 1, _LONGEST)
        first = None if anchor is None else calendar_date(anchor, "anchor")
        put = object.__setattr__
        put(self, "unit", unit)
        put(self, "every", every)
        put(self, "at", time_of_day("00:00" if at is None else at, "at"))
        put(self, "anchor", first)

    @property
    def second_of_day(self) -> int:
        """The time of day in seconds since midnight."""
        return (self.at.hour * 60 + self.at.minute) * 60 + self.at.second

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CalendarInterval):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((self.every, self.unit, self.at, self.anchor))

    def __repr__(self) -> str:
        at = "" if self.second_of_day == 0 else f", at={self.at.isoformat()!r}"
        anchor = "" if self.anchor is None else f", anchor={self.anchor.isoformat()!r}"
        return f"CalendarInterval({self.unit}={self.every}{at}{anchor})"


class Exclusions(_Fixed):
    """Times at which a schedule does not fire, by the wall clock of its zone.

    Args:
        weekdays: Names of days, the first three letters or more, in any case.
        dates: Dates, or ISO-8601 strings: holidays, for instance.
        hours: Hours of the day, 0 to 23.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A name, a date or an hour is invalid; or every day of the week or every hour of
            the day is excluded.
    """

    __slots__ = ("dates", "hours", "weekdays")

    dates: frozenset[date]
    hours: frozenset[int]
    weekdays: frozenset[int]

    def __init__(
        self,
        *,
        weekdays: Iterable[str] = (),
        dates: Iterable[date | str] = (),
        hours: Iterable[int] = (),
    ) -> None:
        days = frozenset(calendar_date(one, "dates") for one in _listed(dates, "dates"))
        put = object.__setattr__
        put(self, "weekdays", frozenset(map(_weekday, _listed(weekdays, "weekdays"))))
        put(self, "dates", days)
        put(self, "hours", frozenset(map(_hour, _listed(hours, "hours"))))
        if len(self.weekdays) == len(_WEEKDAYS):
            raise ValueError("weekdays excludes every day: it would never run")
        if len(self.hours) == _HOURS:
            raise ValueError("hours excludes every hour: it would never run")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Exclusions):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((self.weekdays, self.dates, self.hours))

    def __repr__(self) -> str:
        days = [_WEEKDAYS[day] for day in sorted(self.weekdays)]
        dates = [day.isoformat() for day in sorted(self.dates)]
        values = {"weekdays": days, "dates": dates, "hours": sorted(self.hours)}
        given = ", ".join(f"{name}={value}" for name, value in values.items() if value)
        return f"Exclusions({given})"


def _listed(values: Any, argument: str) -> list[Any]:
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise TypeError(f"{argument} must be an iterable, got {show(values)}")
    return list(values)


def _weekday(name: object) -> int:
    """A day of the week; Sunday is 0."""
    if not isinstance(name, str):
        raise TypeError(f"weekdays must be names of days, got {show(name)}")
    word = name.strip().lower()
    for number, full in enumerate(_WEEKDAYS):
        if len(word) >= _SHORTEST_NAME and full.startswith(word):
            return number
    raise ValueError(f"weekdays must be names of days, got {show(name)}")


def _hour(value: object) -> int:
    return integer(value, "hours", 0, _HOURS - 1)

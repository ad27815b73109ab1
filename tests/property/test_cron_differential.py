"""Cron expressions against cronsim, against croniter, and against going minute by minute.

cronsim is the oracle of `dst="debian"`; croniter has rules of its own for daylight saving and is
asked where no clock is set. Expressions, zones and starts are random, from a seed that is printed:
`CRON_SEED=... pytest -k differential` draws the same again. Where a library is known to differ, a
rule of `CRONSIM_DIFFERS` or `CRONITER_DIFFERS` says so, and checks that it is that and nothing
else: the answer of the library is the one that the rule foretells, or ours is that of the matcher.

```
pytest -m long -s tests/property/test_cron_differential.py
```
"""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from croniter import CroniterBadDateError, croniter
from cronsim import CronSim, CronSimError

from num_agents.scheduler import TaskSchedule
from num_agents.scheduler.errors import InvalidCronError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from num_agents.scheduler.schedule import DstWord

#: Steps beyond a field are drawn as well, and doubted.
pytestmark = pytest.mark.filterwarnings("ignore::num_agents.scheduler.ScheduleWarning")

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)

DST_WORDS: tuple[DstWord, ...] = ("debian", "skip", "wall-clock")

#: The zones, and the first and last of the years whose transitions are visited.
ZONES = {
    "America/New_York": (2011, 2030),
    "Europe/London": (2011, 2030),
    # Its clocks are set by half an hour.
    "Australia/Lord_Howe": (2011, 2030),
    # At midnight.
    "America/Sao_Paulo": (2017, 2019),
    "Asia/Kolkata": (2011, 2030),
    # For a month, around Ramadan.
    "Africa/Casablanca": (2012, 2030),
    # It left out 30 December 2011.
    "Pacific/Apia": (2010, 2013),
    # By two hours.
    "Antarctica/Troll": (2011, 2030),
}


# ---- the matcher: too simple to be wrong -----------------------------------------------------


class Matcher:
    """An expression of Vixie's dialect, looked at item by item for each time that is asked about.

    Shares nothing with the calendars but the rules in the documentation.
    """

    NAMES = (
        *("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
        *("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
    )

    def __init__(self, expression: str) -> None:
        fields = expression.lower().split()
        if len(fields) == 5:
            fields.insert(0, "0")
        #: Whether it follows real time: `*` in minute or hour.
        self.real_time = fields[1][0] == "*" or fields[2][0] == "*"
        self.both_days = fields[3][0] in "*?" or fields[5][0] in "*?"
        self.items = [field.split(",") for field in fields]
        self._days: dict[date, bool] = {}
        self._minutes = {
            (hour, minute)
            for hour in range(24)
            for minute in range(60)
            if self.has(2, hour, 0, 23) and self.has(1, minute, 0, 59)
        }
        self.seconds = [second for second in range(60) if self.has(0, second, 0, 59)]

    def minute(self, wall: datetime) -> bool:
        """Whether it fires in a minute of the wall clock."""
        if (wall.hour, wall.minute) not in self._minutes:
            return False
        day = wall.date()
        if day not in self._days:
            self._days[day] = self._day(day)
        return self._days[day]

    def _day(self, day: date) -> bool:
        if not self.has(4, day.month, 1, 12):
            return False
        by_date = any(self._date(item, day) for item in self.items[3])
        by_weekday = any(self._weekday(item, day) for item in self.items[5])
        return by_date and by_weekday if self.both_days else by_date or by_weekday

    def _number(self, text: str) -> int:
        if text.isdigit():
            return int(text)
        place = self.NAMES.index(text[:3])
        return place + 1 if place < 12 else place - 12

    def _fits(self, item: str, value: int, least: int, most: int) -> bool:
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        low = least if span == "*" else self._number(first)
        high = self._number(last) if last else most if step or span == "*" else low
        return low <= value <= high and (value - low) % int(step or 1) == 0

    def has(self, field: int, value: int, least: int, most: int) -> bool:
        return any(self._fits(item, value, least, most) for item in self.items[field])

    def _date(self, item: str, day: date) -> bool:
        month = [day.replace(day=1) + DAY * n for n in range(31)]
        month = [one for one in month if one.month == day.month]
        if item in ("l", "lw") or item.endswith("w"):
            number = len(month) if item[0] == "l" else int(item[:-1])
            if number > len(month):
                return False
            if item == "l":
                return day.day == number
            work = [one.day for one in month if one.weekday() < 5]
            return day.day == min(work, key=lambda one: abs(one - number))
        return item == "?" or self._fits(item, day.day, 1, 31)

    def _weekday(self, item: str, day: date) -> bool:
        numbers = {day.isoweekday() % 7, day.isoweekday()}
        if item.endswith("l"):
            return self._number(item[:-1]) in numbers and (day + 7 * DAY).month != day.month
        if "#" in item:
            name, nth = item.split("#")
            return self._number(name) in numbers and (day.day + 6) // 7 == int(nth)
        return item == "?" or any(self._fits(item, number, 0, 7) for number in numbers)

    def next(self, after: datetime) -> datetime | None:
        """The first time after a moment on a wall that nobody sets, within 50 years."""
        # Day by day, then minute by minute.
        for days in range(50 * 366):
            day = after.date() + DAY * days
            if day not in self._days:
                self._days[day] = self._day(day)
            for hour, minute in sorted(self._minutes) if self._days[day] else ():
                for second in self.seconds:
                    wall = datetime(day.year, day.month, day.day, hour, minute, second)
                    if wall > after:
                        return wall
        return None

    def fires(self, zone: str, dst: DstWord, begin: datetime, end: datetime) -> list[datetime]:
        """All times of `begin..end`, which begin with a minute, by looking at every minute."""
        found = []
        twice = dst == "wall-clock" or (dst == "debian" and self.real_time)
        caught = dst == "debian" and not self.real_time
        for moment, wall, shown, hidden in timeline(zone, begin, end):
            if self.minute(wall) and (twice or not shown):
                found += [moment + SECOND * second for second in self.seconds]
            elif caught and any(map(self.minute, hidden)):
                found.append(moment)
        return found

    def is_first(self, zone: str, after: datetime, moment: datetime) -> bool:
        """Whether a time is the first one after a moment, or in the two days before it."""
        begin = max(after, moment - 2 * DAY).replace(second=0, microsecond=0)
        listed = self.fires(zone, "debian", begin, moment + MINUTE)
        return [one for one in listed if after < one <= moment] == [moment]


class Shown(NamedTuple):
    """A minute, what the wall shows in it, whether it did before, and what it has just left out."""

    moment: datetime
    wall: datetime
    before: bool
    hidden: tuple[datetime, ...]


@cache
def timeline(zone: str, begin: datetime, end: datetime) -> list[Shown]:
    """Every minute of `begin..end` in UTC; a few days before it are passed through, unlisted."""
    place = ZoneInfo(zone)
    listed = []
    moment = begin - 2 * DAY
    newest = moment.astimezone(place).replace(tzinfo=None) - MINUTE
    while moment < end:
        wall = moment.astimezone(place).replace(tzinfo=None, fold=0)
        hidden = []
        while newest < wall - MINUTE:
            newest += MINUTE
            hidden.append(newest)
        if moment >= begin:
            listed.append(Shown(moment, wall, wall <= newest, tuple(hidden)))
        newest = max(newest, wall)
        moment += MINUTE
    return listed


# ---- what is drawn ---------------------------------------------------------------------------


@cache
def transitions(zone: str) -> list[datetime]:
    """When its clocks are set within its years, in UTC."""
    place = ZoneInfo(zone)
    first, last = ZONES[zone]
    found = []
    moment = datetime(first, 1, 1, tzinfo=UTC)
    while moment.year <= last:
        low, high = moment, moment + DAY
        if low.astimezone(place).utcoffset() != high.astimezone(place).utcoffset():
            while high - low > SECOND:
                middle = low + (high - low) / 2
                same = middle.astimezone(place).utcoffset() == low.astimezone(place).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            found.append(high.replace(microsecond=0))
        moment += DAY
    return found


class Dice:
    """Random expressions and starts."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def start(self, zone: str) -> datetime:
        """A moment, in most cases near a transition, in UTC and whole seconds."""
        draw = self.random
        first, last = ZONES[zone]
        if not transitions(zone) or draw.random() < 0.2:
            begin = datetime(first, 1, 1, tzinfo=UTC)
            return begin + SECOND * draw.randrange((last - first + 1) * 365 * 86_400)
        near = draw.choice((0, 1, 60, 3600, 3600, 10_000, 200_000, 3_000_000))
        return draw.choice(transitions(zone)) + SECOND * draw.randint(-near, near)

    def expression(self, days: Callable[[], str], weekdays: Callable[[], str]) -> str:
        draw = self.random
        seconds = [self.field(0, 59)] if draw.random() < 0.3 else []
        month = draw.choice(("*", "*", "*", self.field(1, 12), "JAN-MAR", "oct,NOV", "Feb"))
        parts = [*seconds, self.field(0, 59), self.hour(), days(), month, weekdays()]
        return " ".join(parts)

    def hour(self) -> str:
        """Mostly at night, when clocks are set."""
        return self.field(0, 23) if self.random.random() < 0.5 else self.field(0, 4)

    def field(self, least: int, most: int) -> str:
        draw = self.random
        kind = draw.random()
        if kind < 0.25:
            return "*"
        if kind < 0.8:
            return self.item(least, most)
        return ",".join(self.item(least, most) for _ in range(draw.randint(2, 3)))

    def item(self, least: int, most: int) -> str:
        draw = self.random
        low, high = sorted((draw.randint(least, most), draw.randint(least, most)))
        step = draw.randint(1, most + 2)
        span = f"{low}-{high}"
        return draw.choice(
            (f"{low}", f"{low}", f"{high}", span, f"{span}/{step}", f"*/{step}", f"{low}/{step}")
        )

    def day(self) -> str:
        """What cronsim knows of a day of the month."""
        draw = self.random
        kind = draw.random()
        if kind < 0.4:
            return "*"
        return draw.choice(("L", "LW", "l,15", "1,L")) if kind < 0.5 else self.field(1, 31)

    def any_day(self) -> str:
        """All that there is for a day of the month, but what counts back from the last."""
        draw = self.random
        special = (f"{draw.randint(1, 31)}W", "?", "LW,1", "15W,L")
        return draw.choice(special) if draw.random() < 0.2 else self.day()

    def weekday(self) -> str:
        """What cronsim knows of a day of the week."""
        draw = self.random
        kind = draw.random()
        if kind < 0.5:
            return "*"
        if kind < 0.8:
            return self.field(0, 7)
        number = draw.randint(0, 7)
        words = (f"{number}L", f"{number}#{draw.randint(1, 5)}", "MON-FRI", "sat,Sun", "tue#2,5L")
        return draw.choice(words)


def show(what: object) -> None:
    """Pytest shows it with `-s`, or when a test fails."""
    print(what)  # noqa: T201


@pytest.fixture
def seed() -> int:
    chosen = int(os.environ.get("CRON_SEED", random.SystemRandom().randrange(2**32)))
    show(f"CRON_SEED={chosen}")
    return chosen


def schedule_of(expression: str, zone: str, dst: DstWord = "debian") -> TaskSchedule | None:
    """None if it never fires; no other fault is expected."""
    try:
        return TaskSchedule(cron_expression=expression, timezone=zone, dst=dst)
    except InvalidCronError as error:
        assert "never" in error.reason, f"{expression}: {error}"  # noqa: PT017 - of some errors
        return None


# ---- beside cronsim --------------------------------------------------------------------------


@dataclass
class Answers:
    """What both say, from one moment on."""

    expression: str
    zone: str
    after: datetime
    #: As cronsim said it, in the zone.
    said: datetime
    ours: datetime | None
    matcher: Matcher

    @property
    def theirs(self) -> datetime:
        return self.said.astimezone(UTC)

    @property
    def place(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def set_between(self, begin: datetime, end: datetime) -> list[datetime]:
        """When the clocks are set."""
        return [moment for moment in transitions(self.zone) if begin < moment <= end]

    def ours_is_right(self) -> bool:
        return self.ours is not None and self.matcher.is_first(self.zone, self.after, self.ours)


class Known(NamedTuple):
    """A known difference."""

    reason: str
    explains: Callable[[Answers], bool]


def offset(moment: datetime, place: ZoneInfo) -> timedelta:
    return moment.astimezone(place).utcoffset() or timedelta()


def change_at(answers: Answers, moment: datetime) -> timedelta:
    """By how much the clocks are set."""
    return offset(moment, answers.place) - offset(moment - SECOND, answers.place)


def is_of_the_first_pass(answers: Answers) -> bool:
    wall = answers.after.astimezone(answers.place)
    return (
        not answers.matcher.real_time
        and wall.fold == 1
        and answers.theirs <= answers.after < answers.theirs + timedelta(hours=3)
        and answers.theirs.astimezone(answers.place).fold == 0
    )


def is_after_a_lost_midnight(answers: Answers) -> bool:
    if not answers.matcher.real_time or not answers.ours_is_right():
        return False
    # It names the midnight itself, or what comes hours later.
    begin = min(answers.theirs, answers.ours or answers.theirs) - DAY
    return any(
        loses_midnight(answers, moment) for moment in answers.set_between(begin, answers.theirs)
    )


def loses_midnight(answers: Answers, moment: datetime) -> bool:
    wall = moment.astimezone(answers.place).replace(tzinfo=None)
    last = wall - change_at(answers, moment)
    return last < wall and (last.date() != wall.date() or last.time() == time())


def is_stepped_over(answers: Answers) -> bool:
    theirs = answers.theirs
    return (
        answers.matcher.real_time
        and answers.ours is not None
        and answers.ours < theirs
        and any(
            change_at(answers, moment).seconds % 3600
            for moment in answers.set_between(answers.ours - DAY, theirs)
        )
        and answers.ours_is_right()
    )


def is_a_range_of_one(answers: Answers) -> bool:
    """Read as cronsim reads it, the expression has their answer, or another known difference."""
    open_ended = RANGE_OF_ONE.sub(r"\1/", answers.expression)
    if open_ended == answers.expression:
        return False
    said = schedule_of(open_ended, answers.zone)
    ours = None if said is None else said.next_after(answers.after)
    ours = None if ours is None else ours.astimezone(UTC)
    other = replace(answers, expression=open_ended, ours=ours, matcher=Matcher(open_ended))
    return ours == other.theirs or any(known.explains(other) for known in CRONSIM_DIFFERS.values())


def has_seconds_at_a_fixed_time(answers: Answers) -> bool:
    if len(answers.expression.split()) == 5 or answers.matcher.real_time:
        return False
    if not answers.ours_is_right() or answers.ours is None:
        return False
    first, last = sorted((answers.theirs, answers.ours))
    return bool(answers.set_between(first - DAY, last + DAY))


RANGE_OF_ONE = re.compile(r"\b(\d+)-\1/")

CRONSIM_DIFFERS = {
    "range of one": Known(
        "A range from a value to itself, with a step, is that value; cronsim reads 3-3/4 as 3/4, "
        "which runs to the end of the field.",
        is_a_range_of_one,
    ),
    "seconds": Known(
        "With a field for seconds cronsim follows real time; here minute and hour decide alone.",
        has_seconds_at_a_fixed_time,
    ),
    "first pass": Known(
        "For fixed times cronsim forgets in which of two equal hours it begins, and from the "
        "second names a time of the first, which is over.",
        is_of_the_first_pass,
    ),
    "lost midnight": Known(
        "To begin a day cronsim goes to its midnight, also where the clocks skip that: it takes it "
        "for a time that is, or goes on from there by whole hours and misses what came before.",
        is_after_a_lost_midnight,
    ),
    "stepped over": Known(
        "Looking for an hour cronsim goes in steps of an hour of elapsed time; where the clocks "
        "are set by half an hour it arrives in the middle of one, and misses what was before.",
        is_stepped_over,
    ),
}


def cronsim_answers(expression: str, zone: str, start: datetime) -> Iterator[datetime]:
    """Without end, but for what it gives up after 50 years."""
    return CronSim(expression, start.astimezone(ZoneInfo(zone)))


def compare_with_cronsim(seed: int, comparisons: int, answers_each: int = 8) -> Counter[str]:
    """Compares so many answers; counts them, and those that are known to differ by rule."""
    dice = Dice(seed)
    counted: Counter[str] = Counter()
    while counted["compared"] < comparisons:
        expression = dice.expression(dice.day, dice.weekday)
        matcher = Matcher(expression)
        for zone in ZONES:
            start = dice.start(zone)
            schedule = schedule_of(expression, zone)
            if schedule is None:
                counted["never"] += 1
                with pytest.raises((CronSimError, StopIteration)):
                    next(cronsim_answers(expression, zone, start))
                break
            follow_cronsim(schedule, matcher, Start(expression, zone, start), answers_each, counted)
    return counted


class Start(NamedTuple):
    """Where a comparison begins."""

    expression: str
    zone: str
    moment: datetime


def follow_cronsim(
    schedule: TaskSchedule, matcher: Matcher, start: Start, count: int, counted: Counter[str]
) -> None:
    """Compares a row of answers. After a difference that is known cronsim begins anew with ours."""
    expression, zone, after = start
    theirs = cronsim_answers(expression, zone, after)
    for _ in range(count):
        ours = schedule.next_after(after)
        ours = None if ours is None else ours.astimezone(UTC)
        answer = next(theirs, None)
        counted["compared"] += 1
        # Two zones are never equal in the hours that come twice: both are in UTC.
        while answer is not None and answer.astimezone(UTC) != ours:
            answers = Answers(expression, zone, after, answer, ours, matcher)
            names = [name for name, known in CRONSIM_DIFFERS.items() if known.explains(answers)]
            assert names, f"{expression!r} in {zone} after {after}: {answer}, ours {ours}"
            counted[names[0]] += 1
            if answer.astimezone(UTC) > after and ours is not None:
                theirs = cronsim_answers(expression, zone, ours)
                break
            # One that is over: what it says next is compared instead.
            answer = next(theirs, None)
        if answer is None:
            gone = ours is None or ours.year > after.year + 50
            assert gone, f"{expression!r} in {zone} after {after}: never, ours {ours}"
            counted["given up"] += 1
            return
        assert ours is not None
        if ours.year > after.year + 10:
            return
        after = ours


def test_differential_with_cronsim(seed: int) -> None:
    counted = compare_with_cronsim(seed, 12_000)
    show(dict(counted))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_long_differential_with_cronsim(seed: int) -> None:
    counted = compare_with_cronsim(seed, 1_000_000)
    show(dict(counted))
    # In so many draws each of them is met.
    assert all(counted[name] for name in CRONSIM_DIFFERS)


# ---- beside croniter -------------------------------------------------------------------------


class CroniterDice(Dice):
    """Draws what croniter knows of days: a single W, L before a weekday, no LW."""

    def day(self) -> str:
        draw = self.random
        kind = draw.random()
        if kind < 0.4:
            return draw.choice(("*", "*", "?"))
        if kind < 0.5:
            return draw.choice(("L", f"{draw.randint(1, 31)}W", "15,L"))
        return self.field(1, 31)

    def weekday(self) -> str:
        draw = self.random
        kind = draw.random()
        if kind < 0.5:
            return draw.choice(("*", "*", "?"))
        if kind < 0.8:
            return self.field(0, 7)
        number = draw.randint(0, 6)
        return draw.choice((f"{number}L", f"{number}#{draw.randint(1, 5)}", "MON-FRI", "sat,Sun"))


def spelled_for_croniter(expression: str) -> str:
    """The last Friday is 5L here, L5 there."""
    return re.sub(r"\b(\d)L$", r"L\1", expression)


def croniter_answers(expression: str, start: datetime) -> Iterator[datetime]:
    """As Vixie joins the day fields, and seconds first; without end, but for 50 years."""
    rows = croniter(
        spelled_for_croniter(expression),
        start,
        ret_type=datetime,
        implement_cron_bug=True,
        second_at_beginning=True,
    )
    while True:
        try:
            yield rows.get_next(datetime)
        except CroniterBadDateError:
            return


class Reading(NamedTuple):
    """What croniter reads otherwise than we do."""

    reason: str
    #: The expression that means to us what this one means to croniter; itself if it has nothing of
    #: the kind, None if there is no such expression.
    translate: Callable[[str], str | None]


def field_of(expression: str, place: int) -> str:
    """A field, counted from the end."""
    return expression.lower().split()[-place]


def open_ranges_of_one(expression: str) -> str | None:
    fields = expression.split()
    spans = ("0-59", "0-59", "0-23", "1-31", "1-12", "0-6")[-len(fields) :]
    return " ".join(
        re.sub(r"\b(\d+)-\1\b", span, field) for field, span in zip(fields, spans, strict=True)
    )


def end_weekdays_at_6(expression: str) -> str | None:
    *others, field = expression.split()
    items = [re.sub(r"^(\d)/", r"\1-6/", re.sub("^7/", "0/", item)) for item in field.split(",")]
    return " ".join((*others, ",".join(items)))


def star_what_is_all(expression: str) -> str | None:
    *others, day, month, weekday = expression.split()
    matcher = Matcher(expression)
    numbers = re.compile("[0-9*/,-]+")
    if "*" in day and numbers.fullmatch(weekday):
        weekday = "*" if all(matcher.has(5, number, 0, 7) for number in range(7)) else weekday
    if "*" in weekday and numbers.fullmatch(day):
        day = "*" if all(matcher.has(3, number, 1, 31) for number in range(1, 32)) else day
    return " ".join((*others, day, month, weekday))


def join_special_days(expression: str) -> str | None:
    day, weekday = field_of(expression, 3), field_of(expression, 1)
    plain = day[0] in "*?" or weekday[0] in "*?"
    special = "w" in day or "l" in weekday or "#" in weekday
    return None if special and not plain else expression


def take_the_last_day(expression: str) -> str | None:
    return None if field_of(expression, 3) in ("29w", "30w", "31w") else expression


CRONITER_DIFFERS = {
    "range of one": Reading(
        "A range from a value to itself is that value; croniter takes 3-3 for the whole field.",
        open_ranges_of_one,
    ),
    "sunday as 7": Reading(
        "The field ends at 7, Sunday once more, as in Debian's cron; croniter's ends at 6.",
        end_weekdays_at_6,
    ),
    "all is a star": Reading(
        "croniter takes a day field of all values for *, if the other has a * anywhere, and joins "
        "the two with AND; here, as in Debian's cron, it counts what a field begins with.",
        star_what_is_all,
    ),
    "either day": Reading(
        "Two restricted day fields are joined with OR; with W, L or # in them croniter joins some "
        "with AND, some not at all.",
        join_special_days,
    ),
    "no such day": Reading(
        "The weekday nearest to the 31st is in no month of 30 days, as in Quartz; croniter goes "
        "from its last day.",
        take_the_last_day,
    ),
}


def croniter_difference(expression: str, after: datetime, theirs: datetime | None) -> str | None:
    """The name of the known difference that explains an answer; moments as walls show them."""
    for name, reading in CRONITER_DIFFERS.items():
        translated = reading.translate(expression)
        if translated == expression:
            continue
        if translated is None or theirs == Matcher(translated).next(after):
            return name
    # Several at once.
    for reading in CRONITER_DIFFERS.values():
        expression = reading.translate(expression) or expression
    return "several" if theirs == Matcher(expression).next(after) else None


def compare_with_croniter(seed: int, comparisons: int) -> Counter[str]:
    """Compares so many answers in UTC, and in zones as long as no clock is set."""
    dice = CroniterDice(seed)
    counted: Counter[str] = Counter()
    while counted["compared"] < comparisons:
        expression = dice.expression(dice.day, dice.weekday)
        for zone in ("UTC", dice.random.choice(list(ZONES))):
            start = dice.start(zone if zone in ZONES else "Europe/London")
            follow_croniter(Start(expression, zone, start), counted)
    return counted


def follow_croniter(start: Start, counted: Counter[str], count: int = 6) -> None:
    """Compares a row of answers up to the first difference."""
    expression, zone, moment = start
    schedule = schedule_of(expression, zone)
    after = moment.astimezone(ZoneInfo(zone))
    theirs = croniter_answers(expression, after)
    for _ in range(count):
        ours = None if schedule is None else schedule.next_after(after)
        if ours is not None and zone in ZONES:
            is_set = any(after - DAY < one <= ours + DAY for one in transitions(zone))
            if is_set or ours.year > ZONES[zone][1]:
                return
        answer = next(theirs, None)
        counted["compared"] += 1
        if answer != ours:
            wall = after.replace(tzinfo=None)
            said = None if answer is None else answer.replace(tzinfo=None)
            name = croniter_difference(expression, wall, said)
            assert name, f"{expression!r} in {zone} after {after}: {answer}, ours {ours}"
            right = Matcher(expression).next(wall)
            assert right == (None if ours is None else ours.replace(tzinfo=None)), expression
            counted[name] += 1
            return
        if ours is None:
            counted["never"] += 1
            return
        after = ours


def test_differential_with_croniter(seed: int) -> None:
    show(dict(compare_with_croniter(seed, 4_000)))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_long_differential_with_croniter(seed: int) -> None:
    counted = compare_with_croniter(seed, 300_000)
    show(dict(counted))
    assert all(counted[name] for name in CRONITER_DIFFERS)


# ---- beside the matcher ----------------------------------------------------------------------


def compare_with_matcher(seed: int, rounds: int) -> Counter[str]:
    """Compares all that fires in three days around transitions, by each rule."""
    dice = Dice(seed)
    counted: Counter[str] = Counter()
    visited = [(zone, moment) for zone in ZONES for moment in transitions(zone)]
    for _ in range(rounds):
        zone, moment = dice.random.choice(visited)
        begin = moment.replace(hour=0, minute=0, second=0) - DAY
        end = begin + 3 * DAY
        for _ in range(10):
            expression = dice.expression(dice.any_day, dice.weekday)
            if len(expression.split()) == 6:
                # Few seconds, so that few times have to be listed.
                expression = f"{dice.random.randint(0, 59)} {expression.split(maxsplit=1)[1]}"
            for dst in DST_WORDS:
                schedule = schedule_of(expression, zone, dst)
                expected = Matcher(expression).fires(zone, dst, begin, end)
                found = [] if schedule is None else list(nexts(schedule, begin, end))
                assert found == expected, f"{expression!r} in {zone} from {begin} by {dst}"
                counted["compared"] += len(expected)
                counted["fires"] += bool(expected)
    return counted


def nexts(schedule: TaskSchedule, begin: datetime, end: datetime) -> Iterator[datetime]:
    """All times from `begin` on and before `end`, in UTC."""
    moment = schedule.next_after(begin - SECOND)
    while moment is not None and (moment := moment.astimezone(UTC)) < end:
        yield moment
        moment = schedule.next_after(moment)


def test_differential_with_the_matcher(seed: int) -> None:
    counted = compare_with_matcher(seed, 8)
    show(dict(counted))
    assert counted["fires"]


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_long_differential_with_the_matcher(seed: int) -> None:
    show(dict(compare_with_matcher(seed, 1_000)))

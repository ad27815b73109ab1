"""RFC 5545 recurrences, computed piece by piece with python-dateutil.

A recurrence in text is brought into one form first: its start, its end and its exceptions become
wall times without a zone, all in the zone that the rule goes by. That is the zone of DTSTART, or
the schedule's. So an end as a date or in local time means what it says, and no zone files are
needed. What wall times that do not exist or come twice do is said by `dst`, as for cron.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush

from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.moments import (
    after_gap,
    aware,
    in_zone,
    naive_in,
    posix_ns,
    second_pass,
    span_of,
    to_datetime,
)
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS, SECOND_NS
from num_agents.scheduler._timing.zones import UTC_ZONE, zone_of
from num_agents.scheduler.errors import UnsupportedScheduleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, tzinfo
    from typing import Any

#: Occurrences that are computed ahead.
RRULE_AHEAD = 512
#: As many are kept of those that have passed: more are not counted; nor are more foretold.
RRULE_BEHIND = 10_000
#: Stands for the times that are not computed yet.
MORE_TO_COME_NS = FAR_FUTURE_NS - 2

#: How far ahead times that are computed piece by piece are to be known: what has passed by the
#: first moment may be left out, oldest first, if it is many; what comes up to the second may not.
Lookahead = tuple[int, int]
NO_LOOKAHEAD: Lookahead = (0, 0)

#: dateutil's numbers of the frequencies whose length is fixed, and that length in seconds.
_WEEKLY, _DAILY, _HOURLY = 2, 3, 4
_LENGTHS_S = {_WEEKLY: 604_800, _DAILY: 86_400, _HOURLY: 3600, 5: 60, 6: 1}

_DATES = ("EXDATE", "RDATE")


class Recurrence:
    """A recurrence, ready to be asked for its moments.

    Args:
        value: A string, or an `rrule` or `rruleset` of python-dateutil.
        start_ns: The moment that a recurrence without a start of its own counts from.
        zone: Of moments without one; None for the system's.
        dst: What a wall time does that does not exist or comes twice.

    Raises:
        UnsupportedScheduleError: python-dateutil is not installed.
        ValueError: The string is no recurrence.
        TypeError: It is neither.
    """

    def __init__(self, value: Any, start_ns: int, zone: tzinfo | None, dst: str) -> None:
        try:
            from dateutil import rrule  # noqa: PLC0415 - an extra
        except ImportError:
            raise UnsupportedScheduleError(
                "rrule needs python-dateutil: pip install 'num-agents-scheduler[rrule]'"
            ) from None
        self._dateutil = rrule
        self._zone = zone
        self._dst = dst
        if isinstance(value, rrule.rrulebase):
            self._rule = value
        elif not isinstance(value, str):
            raise TypeError(f"rrule must be a string or an rrule of dateutil, got {show(value)}")
        else:
            # A recurrence has whole seconds, and none before its start.
            start = to_datetime(-(-start_ns // SECOND_NS) * SECOND_NS, zone)
            try:
                text, self._zone = _in_one_zone(value, zone)
                self._rule = rrule.rrulestr(text, dtstart=start.replace(tzinfo=None, fold=0))
            except Exception as error:
                # dateutil raises whatever it stumbles over.
                raise ValueError(
                    f"rrule must be an RFC 5545 recurrence, got {show(value)}: {show(error)}"
                ) from None
        self._follows_real_time = dst == "debian" and self._has_no_fixed_hour()

    def moments(self, after_ns: int) -> Iterator[int]:
        """The occurrences after a moment, in nanoseconds since 1970, in order."""
        rule = self._started_before(after_ns)
        waiting: list[int] = []
        last = after_ns
        # The last gap that a wall time lay in, and whether the rule runs anyhow as it ends.
        gap_end = (0, False)
        for wall in rule.xafter(self._wall_of(rule, after_ns), inc=True):
            # The first moments of walls are in order, the second ones are not.
            reached, runs, is_caught = self._moments_of(wall)
            if is_caught and runs:
                if reached != gap_end[0]:
                    gap_end = reached, self._is_due_in_minute(rule, reached)
                # Seconds refine a minute: of two runs in one, that of the gap is left out.
                runs = () if gap_end[1] else runs
            for moment in runs:
                if moment < FAR_FUTURE_NS:
                    heappush(waiting, moment)
            while waiting and waiting[0] <= reached:
                if waiting[0] > last:
                    last = waiting[0]
                    yield last
                heappop(waiting)
            if reached >= FAR_FUTURE_NS:
                return
        while waiting:
            moment = heappop(waiting)
            if moment > last:
                last = moment
                yield last

    def _moments_of(self, wall: datetime) -> tuple[int, tuple[int, ...], bool]:
        """When a wall time of the rule comes first, when it runs, and whether it lies in a gap."""
        moment = in_zone(wall, self._zone)
        exists = after_gap(moment)
        if exists is not None:
            reached = posix_ns(exists)
            return reached, (reached,) if self._dst == "debian" else (), True
        reached = posix_ns(moment)
        twice = self._dst == "wall-clock" or self._follows_real_time
        again = second_pass(moment) if twice else None
        return reached, (reached,) if again is None else (reached, posix_ns(again)), False

    def _is_due_in_minute(self, rule: Any, moment_ns: int) -> bool:
        """Whether the rule has a wall time in the minute that the wall shows at a moment."""
        own = _zone_of_rule(rule)
        wall = to_datetime(moment_ns, self._zone if own is None else own).replace(fold=0)
        wall = wall if own is not None else wall.replace(tzinfo=None)
        found = next(iter(rule.xafter(wall, count=1, inc=True)), None)
        return found is not None and found < wall.replace(second=0) + span_of(60)

    def _wall_of(self, rule: Any, moment_ns: int) -> datetime:
        """A wall time of the rule from which on nothing is left out that comes after a moment."""
        own = _zone_of_rule(rule)
        zone = self._zone if own is None else own
        # Where the clock is set, a wall time comes twice, or a gap moves it: by no more than that.
        around = [to_datetime(max(moment_ns + shift, 0), zone) for shift in (-_DAY_NS, 0, _DAY_NS)]
        offsets = [one.utcoffset() or span_of(0) for one in around]
        wall = around[1].replace(fold=0, microsecond=0) - (max(offsets) - min(offsets))
        return wall.replace(tzinfo=None) if own is None else wall

    def _started_before(self, moment_ns: int) -> Any:
        """The rule, with a start that is moved up by whole intervals where that changes nothing."""
        rule, rrule = self._rule, self._dateutil
        if not isinstance(rule, rrule.rruleset):
            return self._moved_up(rule, moment_ns)
        moved = rrule.rruleset()
        moved._rdate, moved._exdate = rule._rdate, rule._exdate  # noqa: SLF001 - no other way
        moved._rrule = [self._moved_up(one, moment_ns) for one in rule._rrule]  # noqa: SLF001 - as above
        moved._exrule = [self._moved_up(one, moment_ns) for one in rule._exrule]  # noqa: SLF001 - as above
        return moved

    def _moved_up(self, rule: Any, moment_ns: int) -> Any:
        length_s = _LENGTHS_S.get(getattr(rule, "_freq", None))  # type: ignore[arg-type]
        if length_s is None or rule._count is not None:  # noqa: SLF001 - it has no other way
            return rule
        length_s *= rule._interval  # noqa: SLF001 - as above
        start = rule._dtstart  # noqa: SLF001 - as above
        ahead_s = (self._wall_of(rule, moment_ns) - start).total_seconds()
        intervals = int(ahead_s // length_s) - 1
        if intervals < _WORTH_MOVING:
            return rule
        return rule.replace(dtstart=start + span_of(intervals * length_s))

    def _has_no_fixed_hour(self) -> bool:
        """Whether its times are told by hours, minutes or seconds that go by, and not by a day."""
        rules = getattr(self._rule, "_rrule", [self._rule])
        return bool(rules) and all(
            one._freq >= _HOURLY and "byhour" not in one._original_rule  # noqa: SLF001 - as above
            for one in rules
        )


_DAY_NS = 86_400 * SECOND_NS
#: Intervals from which on moving a start up costs less than going through them.
_WORTH_MOVING = 100


def _zone_of_rule(rule: Any) -> tzinfo | None:
    """The zone of a rule's own moments; None if they have none."""
    start = getattr(rule, "_dtstart", None)
    first = start if start is not None else next(iter(rule), None)
    return None if first is None else first.tzinfo


def _in_one_zone(text: str, zone: tzinfo | None) -> tuple[str, tzinfo | None]:
    """A recurrence whose moments are all without a zone, and the zone that they are in."""
    lines = [_parts_of_line(line) for line in text.split()]
    rule_zone = zone
    for name, parameters, value in lines:
        if name == "DTSTART":
            rule_zone = _zone_said(parameters, value, zone)
    said = []
    for name, parameters, value in lines:
        if name == "DTSTART" or name in _DATES:
            inner = _zone_said(parameters, value, rule_zone)
            converted = ",".join(_converted(one, inner, rule_zone) for one in value.split(","))
            said.append(f"{name}:{converted}")
        else:
            # Local time is that of the zone that was named for the start, or of the schedule.
            has_name = any(_parameter(one[1], "TZID") for one in lines if one[0] == "DTSTART")
            until = rule_zone if has_name else zone
            rules = ";".join(_with_end(one, until, rule_zone) for one in value.split(";"))
            said.append(f"{name}:{rules}")
    return "\n".join(said), rule_zone


def _parts_of_line(line: str) -> tuple[str, list[str], str]:
    """Name, parameters and value of a line; without a name it is a rule."""
    head, colon, value = line.partition(":")
    if not colon:
        return "RRULE", [], head
    name, *parameters = head.split(";")
    return name.upper(), parameters, value


def _parameter(parameters: list[str], name: str) -> str | None:
    for one in parameters:
        word, _, value = one.partition("=")
        if word.upper() == name:
            return value
    return None


def _zone_said(parameters: list[str], value: str, default: tzinfo | None) -> tzinfo | None:
    """The zone that a line's moments are in."""
    if value.upper().endswith("Z"):
        return UTC_ZONE
    name = _parameter(parameters, "TZID")
    return default if name is None else zone_of(name.strip('"'))


def _converted(text: str, zone: tzinfo | None, to: tzinfo | None) -> str:
    """A moment of a recurrence, as wall time in another zone."""
    if zone is to or len(text) == _DATE_LENGTH:
        return text.upper().removesuffix("Z")
    moment = aware(naive_in(text.upper().removesuffix("Z")), "rrule", zone)
    return to_datetime(posix_ns(moment), to).strftime("%Y%m%dT%H%M%S")


def _with_end(part: str, zone: tzinfo | None, to: tzinfo | None) -> str:
    """A part of a rule; an UNTIL in the rule's zone, a date as the end of that day."""
    word, _, value = part.partition("=")
    if word.upper() != "UNTIL":
        return part
    if value.upper().endswith("Z"):
        zone = UTC_ZONE
    if len(value) == _DATE_LENGTH:
        value += "T235959"
    return f"{word}={_converted(value, zone, to)}"


_DATE_LENGTH = len("20260301")


def next_moments(
    recurrence: Recurrence, after_ns: int, lookahead: Lookahead, ahead: int
) -> tuple[list[int], int]:
    """The next occurrences of a recurrence, and the last known of them if there are more.

    Args:
        recurrence: Which.
        after_ns: After which moment.
        lookahead: How far at least, if that is not more than `RRULE_BEHIND` times ahead.
        ahead: How many beyond that.
    """
    passed_ns, until_ns = lookahead
    moments: deque[int] = deque()
    for moment in recurrence.moments(after_ns):
        moments.append(moment)
        if len(moments) > RRULE_BEHIND and moments[0] <= passed_ns:
            moments.popleft()
        if len(moments) > ahead and (moment > until_ns or len(moments) > RRULE_BEHIND):
            # Not the last of them: when it has passed, the next must be known.
            return [*moments, MORE_TO_COME_NS], moments[-2]
    return list(moments), FAR_FUTURE_NS

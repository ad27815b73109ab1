"""RFC 5545 recurrences, computed piece by piece with python-dateutil."""

from __future__ import annotations

from collections import deque

from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.moments import moment_ns, to_datetime
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS
from num_agents.scheduler.errors import UnsupportedScheduleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, tzinfo
    from typing import Any

#: Occurrences of an RRULE that are computed ahead.
RRULE_AHEAD = 512
#: As many are kept of those that have passed: more are not counted; nor are more foretold.
RRULE_BEHIND = 10_000
#: Stands for the times of an RRULE that are not computed yet.
MORE_TO_COME_NS = FAR_FUTURE_NS - 2

#: How far ahead times that are computed piece by piece are to be known: what has passed by the
#: first moment may be left out, oldest first, if it is many; what comes up to the second may not.
Reach = tuple[int, int]
NO_REACH: Reach = (0, 0)


def rrule_of(value: Any, start: datetime) -> Any:
    """An RFC 5545 recurrence: an object of python-dateutil, or made by it from a string.

    Raises:
        UnsupportedScheduleError: python-dateutil is not installed.
        ValueError: The string is no recurrence.
        TypeError: It is neither.
    """
    try:
        from dateutil import rrule  # noqa: PLC0415 - an extra
    except ImportError:
        raise UnsupportedScheduleError(
            "rrule needs python-dateutil: pip install 'num-agents-scheduler[rrule]'"
        ) from None
    if isinstance(value, rrule.rrulebase):
        return value
    if not isinstance(value, str):
        raise TypeError(f"rrule must be a string or an rrule of dateutil, got {show(value)}")
    try:
        return rrule.rrulestr(value, dtstart=start.replace(microsecond=0))
    except Exception as error:
        # dateutil raises whatever it stumbles over.
        raise ValueError(
            f"rrule must be an RFC 5545 recurrence, got {show(value)}: {show(error)}"
        ) from None


def rrule_moments(rule: Any, after_ns: int, zone: tzinfo | None) -> Iterator[int]:
    """The occurrences of a recurrence after a moment.

    As RFC 5545 says, a wall time that does not exist is read with the offset before the gap.
    """
    after = to_datetime(after_ns, zone)
    # A rule without a zone lives on the wall of the schedule's.
    first = next(iter(rule), None)
    if first is None:
        return
    if first.tzinfo is None:
        after = after.replace(tzinfo=None)
    for moment in rule.xafter(after, inc=False):
        found = moment_ns(moment, "rrule", zone)
        if found >= FAR_FUTURE_NS:
            return
        if found > after_ns:
            yield found


def next_moments(
    value: Any, start_ns: int, after_ns: int, reach: Reach, zone: tzinfo | None
) -> tuple[list[int], int]:
    """The next occurrences of a recurrence, and the last known of them if there are more.

    Args:
        value: What `rrule_of` takes.
        start_ns: The moment that a recurrence without a start of its own counts from.
        after_ns: After which moment.
        reach: How far at the least, if that is not more than `RRULE_BEHIND` times ahead.
        zone: Of moments without one.
    """
    rule = rrule_of(value, to_datetime(start_ns, zone))
    passed_ns, until_ns = reach
    moments: deque[int] = deque()
    for moment in rrule_moments(rule, after_ns, zone):
        moments.append(moment)
        if len(moments) > RRULE_BEHIND and moments[0] <= passed_ns:
            moments.popleft()
        if len(moments) > RRULE_AHEAD and (moment > until_ns or len(moments) > RRULE_BEHIND):
            # Not the last of them: when it has passed, the next must be known.
            return [*moments, MORE_TO_COME_NS], moments[-2]
    return list(moments), FAR_FUTURE_NS

"""When a schedule is due for the first time."""

from __future__ import annotations

from typing import NamedTuple

from num_agents.scheduler._messages import show, warn
from num_agents.scheduler._timing.bounds import anchor_ns, end_ns, start_ns
from num_agents.scheduler._timing.moments import check_exists, moment_ns
from num_agents.scheduler._timing.spans import (
    FAR_FUTURE_NS,
    SECOND_NS,
    after_ns,
    bounded_span_ns,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

    from num_agents.scheduler._timing.calendars import Calendar
    from num_agents.scheduler.schedule import TaskSchedule


#: How long `datetime.now()` is taken for now.
_A_MINUTE_NS = 60 * SECOND_NS


class FirstDue(NamedTuple):
    """When a schedule is due for the first time. Exactly one of the first three is not None.

    A span is never turned into a moment of the wall clock here: setting that clock between the two
    would move the task.
    """

    #: So many nanoseconds of elapsed time from now.
    span_ns: int | None = None
    #: At this moment of the wall clock, in nanoseconds since 1970; it may have passed.
    wall_ns: int | None = None
    #: At the first grid point, `anchor_wall_ns` + k * `interval_ns` with k >= 0, not before now.
    anchor_wall_ns: int | None = None
    interval_ns: int = 0

    def nominal_ns(self, now_ns: int) -> int:
        """The nominal time, in nanoseconds since 1970, if the wall clock shows `now_ns` now."""
        if self.span_ns is not None:
            return min(now_ns + self.span_ns, FAR_FUTURE_NS)
        if self.anchor_wall_ns is not None:
            return min(_grid_point_ns(self.anchor_wall_ns, self.interval_ns, now_ns), FAR_FUTURE_NS)
        assert self.wall_ns is not None  # one of the three is not
        return self.wall_ns


def first_due(
    schedule: TaskSchedule, now_ns: int, zone: tzinfo | None, calendar: Calendar | None = None
) -> FirstDue:
    """When a schedule is due for the first time, if it is scheduled now.

    Args:
        schedule: Which.
        now_ns: What the wall clock shows now, in nanoseconds since 1970.
        zone: The scheduler's time zone, for naive datetimes of a schedule without one.
        calendar: What `calendar_of` answered for these, if that is known.

    Raises:
        ValueError: It lies after `end_after`, or never: the task would never run.
        OverflowError: It lies beyond the year 9999.
    """
    zone = schedule.zone_or(zone)
    start = None if schedule.start_after is None else start_ns(schedule, zone, now_ns)
    if schedule.by_calendar:
        due = FirstDue(wall_ns=_first_of_calendar(schedule, now_ns, zone, calendar))
    elif schedule.run_at is not None:
        check_exists(schedule.run_at, "run_at", zone, schedule.dst)
        moment = moment_ns(schedule.run_at, "run_at", zone)
        if moment < now_ns and zone is not None:
            warn_of_other_zone(schedule.run_at, now_ns, zone)
        # A moment that has passed stays what it was, so that the run knows how late it is.
        due = FirstDue(wall_ns=moment if start is None else max(moment, start, now_ns))
    elif schedule.delay is not None:
        due = _not_before(start, now_ns, after_ns(now_ns, schedule.delay, "delay"))
    elif schedule.interval is None:
        due = _not_before(start, now_ns, now_ns)
    else:
        due = first_of_interval(schedule, now_ns, start)
        if start is None and schedule.first_run == "after_interval":
            after_ns(now_ns, schedule.interval, "interval")  # raises if it is too long
    end = end_ns(schedule, zone)
    if end is not None and due.nominal_ns(now_ns) > end:
        raise ValueError(
            f"end_after comes before the first run, got {show(schedule.end_after)}: "
            "the task would never run"
        )
    return due


def first_due_ns(
    schedule: TaskSchedule, now_ns: int, zone: tzinfo | None, calendar: Calendar | None = None
) -> int:
    """The nominal time of the first run, in nanoseconds since 1970: see `first_due`."""
    return first_due(schedule, now_ns, zone, calendar).nominal_ns(now_ns)


def warn_of_other_zone(run_at: object, now_ns: int, zone: tzinfo) -> None:
    """Warns of a naive moment that has passed in the zone, but not on the system's clock."""
    local = moment_ns(run_at, "run_at", None)
    if local != moment_ns(run_at, "run_at", zone) and local > now_ns - _A_MINUTE_NS:
        warn(
            f"run_at has passed: a naive datetime is in the zone {zone}, not in that of the "
            f"system, got {show(run_at)}; give an aware one, or a delay"
        )


def _not_before(start: int | None, now_ns: int, due_ns: int) -> FirstDue:
    """A span that ends at `due_ns`, but not before a start."""
    if start is not None and start > due_ns:
        return FirstDue(wall_ns=start)
    return FirstDue(span_ns=due_ns - now_ns)


def _first_of_calendar(
    schedule: TaskSchedule, now_ns: int, zone: tzinfo | None, calendar: Calendar | None
) -> int:
    calendar = calendar or schedule.calendar(zone, now_ns)
    assert calendar is not None  # it goes by one
    start = start_ns(schedule, zone, now_ns)
    # Not what is due at this very moment, but what is due at the start that was asked for, which a
    # recurrence has in any case.
    has_start = schedule.start_after is not None and start >= now_ns
    after = max(now_ns, start) - (has_start or schedule.rrule is not None)
    found = calendar.next_after(after)
    if found is None:
        raise ValueError(f"the schedule has no time to come: {schedule!r}")
    return found


def first_of_interval(schedule: TaskSchedule, now_ns: int, start: int | None) -> FirstDue:
    """When an interval is due for the first time, whatever `end_after` says."""
    interval = bounded_span_ns(schedule.interval, "interval", positive=True)
    if start is not None and not schedule.fixed_delay:
        return FirstDue(anchor_wall_ns=anchor_ns(schedule, start, interval), interval_ns=interval)
    if schedule.first_run == "aligned":
        base = now_ns if start is None else max(now_ns, start)
        return FirstDue(wall_ns=min(_grid_point_ns(0, interval, base), FAR_FUTURE_NS))
    if schedule.first_run == "after_interval":
        if start is not None and start > now_ns:
            return FirstDue(wall_ns=min(start + interval, FAR_FUTURE_NS))
        return FirstDue(span_ns=interval)
    return _not_before(start, now_ns, now_ns)


def _grid_point_ns(anchor: int, interval: int, base: int) -> int:
    """The first grid point of an anchor and an interval that is not before `base`."""
    return anchor + max(-(-(base - anchor) // interval), 0) * interval

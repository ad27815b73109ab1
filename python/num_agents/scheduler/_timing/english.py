"""Schedules in plain English."""

from __future__ import annotations

from num_agents.scheduler._timing.calendars import combined, every_ns, part_of
from num_agents.scheduler._timing.moments import aware, to_datetime
from num_agents.scheduler._timing.native_zones import native_zone
from num_agents.scheduler._timing.spans import SECOND_NS, bounded_span_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler._timing.spans import Seconds
    from num_agents.scheduler.schedule import TaskSchedule

_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


def describe(schedule: TaskSchedule) -> str:
    """When a schedule runs, with every bound and shift that was asked for."""
    zone = schedule.zone_or(None)
    words = [_by_calendar(schedule) if schedule.by_calendar else _by_time(schedule)]
    is_due = schedule.due_ns is not None and schedule.interval is None
    if schedule.start_after is not None and schedule.run_at is None and not is_due:
        words.append(f"from {aware(schedule.start_after, 'start_after', zone).isoformat(' ')}")
    if schedule.end_after is not None:
        words.append(f"until {aware(schedule.end_after, 'end_after', zone).isoformat(' ')}")
    if schedule.max_runs is not None:
        words.append("at most once" if schedule.max_runs == 1 else f"{schedule.max_runs} times")
    if schedule.jitter is not None:
        words.append(f"up to {_span(schedule.jitter)} later at random")
    if schedule.window is not None:
        words.append(f"up to {_span(schedule.window)} later, where there is room")
    return ", ".join(words)


def _by_calendar(schedule: TaskSchedule) -> str:
    if schedule.has_rrule:
        return _by_recurrences(schedule)
    if schedule.cron_expression is not None and schedule.exclude is None:
        every = every_ns(schedule.cron_expression, schedule.dialect)
        if every is not None:
            return f"every {_span_ns(every)}"
    calendar = schedule.calendar(None, 0)
    assert calendar is not None  # it goes by one
    return calendar.describe()


def _by_recurrences(schedule: TaskSchedule) -> str:
    """With rrules among its parts, of which the calendar knows the next moments only."""
    zone = schedule.zone_or(None)
    said = []
    for one in schedule.any_of or (schedule,):
        if one.rrule is None:
            inner = one.zone_or(zone)
            parts = (part_of(one, inner, 0),)
            said.append(combined(parts, None, native_zone(inner)).describe())
        else:
            # A set of them has no words of its own.
            text = str(one.rrule).replace("\n", " ")
            is_set = text.startswith("<")
            said.append("by a set of recurrences" if is_set else f"by the recurrence {text}")
    if schedule.exclude is None:
        return "; and ".join(said)
    calendar = schedule.calendar(zone, 0)
    assert calendar is not None  # it goes by one
    _, comma, exceptions = calendar.describe().rpartition(", except ")
    return "; and ".join(said) + comma + exceptions * bool(comma)


def _by_time(schedule: TaskSchedule) -> str:
    zone = schedule.zone_or(None)
    if schedule.due_ns is not None and schedule.interval is None:
        return f"once, at {to_datetime(schedule.due_ns, zone).isoformat(' ')}"
    if schedule.run_at is not None:
        moment = aware(schedule.run_at, "run_at", zone)
        return f"once, at {moment.isoformat(' ')}"
    if schedule.delay is not None:
        return f"once, {_span(schedule.delay)} after it is scheduled"
    if schedule.interval is None:
        return "once, immediately"
    every = f"every {_span(schedule.interval)}"
    if schedule.fixed_delay:
        return f"{every} after the last run has ended"
    return f"{every} since 1970" if schedule.first_run == "aligned" else every


def _span(value: Seconds) -> str:
    return _span_ns(bounded_span_ns(value, "span"))


def _span_ns(nanoseconds: int) -> str:
    """A span in the largest unit that divides it, or in seconds with a fraction."""
    for unit, seconds in _UNITS:
        number, rest = divmod(nanoseconds, seconds * SECOND_NS)
        if rest == 0 and number > 0:
            return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
    return f"{nanoseconds / SECOND_NS:.9g} seconds"

"""When a schedule is due for the first time."""

from __future__ import annotations

from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.bounds import end_ns, start_ns
from num_agents.scheduler._timing.moments import moment_ns
from num_agents.scheduler._timing.spans import FAR_FUTURE_NS, after_ns, bounded_span_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

    from num_agents.scheduler._timing.calendars import Calendar
    from num_agents.scheduler.schedule import TaskSchedule


def first_due_ns(
    schedule: TaskSchedule, now_ns: int, zone: tzinfo | None, calendar: Calendar | None = None
) -> int:
    """The nominal time of the first run, in nanoseconds since 1970, if scheduled at `now_ns`.

    Args:
        schedule: Which.
        now_ns: The moment of scheduling, as the wall shows it.
        zone: The scheduler's time zone, for naive datetimes of a schedule without one.
        calendar: What `calendar_of` answered for these, if that is known.

    Raises:
        ValueError: It lies after `end_after`, or never: the task would never run.
        OverflowError: It lies beyond the year 9999.
    """
    zone = schedule.zone_or(zone)
    base = max(now_ns, start_ns(schedule, zone, now_ns))
    if schedule.by_calendar:
        due = _first_of_calendar(schedule, now_ns, zone, calendar)
    elif schedule.run_at is not None:
        due = moment_ns(schedule.run_at, "run_at", zone)
        # A moment that has passed stays what it was, so that the run knows how late it is.
        due = due if schedule.start_after is None else max(due, base)
    elif schedule.delay is not None:
        due = max(after_ns(now_ns, schedule.delay, "delay"), base)
    else:
        due = _first_of_interval(schedule, base)
    end = end_ns(schedule, zone)
    if end is not None and due > end:
        raise ValueError(
            f"end_after comes before the first run, got {show(schedule.end_after)}: "
            "the task would never run"
        )
    return due


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


def _first_of_interval(schedule: TaskSchedule, base: int) -> int:
    if schedule.interval is None or schedule.first_run == "now":
        return base
    if schedule.first_run == "after_interval":
        return after_ns(base, schedule.interval, "interval")
    interval = bounded_span_ns(schedule.interval, "interval", positive=True)
    return min(-(-base // interval) * interval, FAR_FUTURE_NS)

"""Where a schedule begins and ends."""

from __future__ import annotations

from num_agents.scheduler._timing.moments import moment_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

    from num_agents.scheduler.schedule import TaskSchedule


class NeverFiresError(ValueError):
    """A schedule has no time to come."""


def start_ns(schedule: TaskSchedule, zone: tzinfo | None, scheduled_ns: int) -> int:
    """The moment from which on a schedule counts: `start_after`, or that of scheduling."""
    if schedule.start_after is None:
        return scheduled_ns
    return moment_ns(schedule.start_after, "start_after", schedule.zone_or(zone))


def end_ns(schedule: TaskSchedule, zone: tzinfo | None) -> int | None:
    """The last nominal time that `end_after` allows; None if there is no end."""
    if schedule.end_after is None:
        return None
    return moment_ns(schedule.end_after, "end_after", schedule.zone_or(zone))


def anchor_ns(schedule: TaskSchedule, start: int, interval: int) -> int:
    """The first time of an interval from a known start on; 0 for multiples since 1970."""
    if schedule.first_run == "now":
        return start
    if schedule.first_run == "after_interval":
        return start + interval
    return 0 if schedule.start_after is None else -(-start // interval) * interval

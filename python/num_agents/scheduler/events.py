"""What the scheduler publishes on the event bus.

The payload of an event about a task holds `task_id`, `task_name` and `nominal_time`, and:

| event | when | further payload |
| --- | --- | --- |
| `scheduler.started` | the scheduler was started | |
| `scheduler.stopped` | it was stopped | `mode` |
| `scheduler.task_scheduled` | a task was scheduled | |
| `scheduler.task_started` | a run starts | `lateness` (s), `missed`, `attempt` |
| `scheduler.task_completed` | a run completed | `result` |
| `scheduler.task_failed` | a run failed | `error` |
| `scheduler.task_cancelled` | a task was cancelled | `reason` |
| `scheduler.task_missed` | occurrences were missed without a run | `missed`, `reason` |
| `scheduler.task_skipped` | occurrences fell due during a run | `skipped`, `reason` |
| `scheduler.task_paused` | a task was paused | `reason` |
| `scheduler.task_resumed` | a task was resumed | `reason` |

`scheduler.clock_changed` says that the wall clock was set, or the machine suspended: `offset` (s,
by how much or how long), `reason` ("set" or "suspend"), `step`, `rekeyed` (tasks that got another
deadline), `rearmed` (tasks whose next time was computed again because the clock was set back).
`step` is "back" if the clock was set back by less than three hours; "reset" if it was set back by
more, so that all calendars begin again from the new time; "forward" otherwise.

An event is published after the change, never under a lock, in the thread that made the change. The
events of a task are published in order, `task_scheduled` first: while one thread publishes that, it
also publishes what other threads add about the task.

Anything with a `publish(event)` method is a bus. If it also has `has_subscribers(event_type)`, no
event without subscribers is built.
"""

from __future__ import annotations

from typing import Protocol

from num_agents._lazy import LazyModule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.eventbus import eventbus
else:
    eventbus = LazyModule("num_agents.eventbus.eventbus")

#: The `source` of every event.
SOURCE = "num_agents.scheduler"


class SupportsPublish(Protocol):
    """What the scheduler needs of an event bus."""

    def publish(self, event: eventbus.Event) -> object:
        """Delivers an event to its subscribers."""

"""What the scheduler tells the event bus.

The payload of an event about a task holds `task_id`, `task_name` and `nominal_time`, and:

| event | when | further payload |
| --- | --- | --- |
| `scheduler.started` | the scheduler was started | |
| `scheduler.stopped` | it was stopped | `mode` |
| `scheduler.task_scheduled` | a task was scheduled | |
| `scheduler.task_started` | a run starts | `lateness` (s), `missed`, `attempt` |
| `scheduler.task_completed` | a run ended well | `result` |
| `scheduler.task_failed` | a run failed | `error` |
| `scheduler.task_cancelled` | a task was cancelled | `reason` |
| `scheduler.task_missed` | occurrences were given up | `missed`, `reason` |
| `scheduler.task_skipped` | occurrences fell due during a run | `skipped`, `reason` |
| `scheduler.task_paused` | a task was paused | `reason` |
| `scheduler.task_resumed` | a task was resumed | `reason` |

`scheduler.clock_changed` says that the wall clock was set, or the machine suspended: `offset` (s,
by how much or how long), `reason` ("set" or "suspend"), `rekeyed` (tasks that got another
deadline).

An event is published after the change, never under a lock, in the thread that made the change.
Anything with a `publish(event)` method is a bus. One that also has `has_subscribers(event_type)` is
asked first, and nothing is built for an event that nobody reads.
"""

from __future__ import annotations

from num_agents.scheduler._log import contain
from num_agents.scheduler._messages import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Any, Protocol

    from num_agents.eventbus.eventbus import Event

    class SupportsPublish(Protocol):
        """What the scheduler needs of an event bus."""

        def publish(self, event: Event) -> object:
            """Carries an event to whoever wants it."""


SOURCE = "num_agents.scheduler"


class Publisher:
    """Builds the scheduler's events and hands them to a bus.

    Args:
        bus: Where to.
        stamp: The id and the timestamp of each event, on a virtual clock; on the system's an event
            finds them itself.

    Raises:
        TypeError: The bus cannot publish.
    """

    __slots__ = ("_bus", "_has_subscribers", "_stamp")

    def __init__(
        self, bus: SupportsPublish, stamp: Callable[[], tuple[str | None, datetime | None]]
    ) -> None:
        if not callable(getattr(bus, "publish", None)):
            raise TypeError(f"event_bus must have a publish(event) method, got {show(bus)}")
        self._bus = bus
        self._stamp = stamp
        self._has_subscribers = getattr(bus, "has_subscribers", None)

    def wants(self, event_type: str) -> bool:
        """Whether somebody reads events of this type; a bus that does not say is assumed to."""
        if self._has_subscribers is None:
            return True
        try:
            return bool(self._has_subscribers(event_type))
        except BaseException:
            contain("The event bus failed to say who reads %s", event_type)
            return False

    def publish(self, event_type: str, **payload: Any) -> None:
        """Publishes an event. Whatever a bus raises is logged: it must not fail a run."""
        if not self.wants(event_type):
            return
        from num_agents.eventbus.eventbus import Event  # noqa: PLC0415 - only with a subscriber

        try:
            event_id, timestamp = self._stamp()
            event = Event(
                event_type, payload, event_id=event_id, timestamp=timestamp, source=SOURCE
            )
            self._bus.publish(event)
        except BaseException:
            contain("The event bus failed to publish %s", event_type)

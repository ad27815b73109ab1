"""Every event of the scheduler: built here, and handed to the bus."""

from __future__ import annotations

from collections import deque
from threading import RLock

from num_agents.scheduler._log import contain
from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.moments import to_datetime
from num_agents.scheduler.events import SOURCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime, tzinfo
    from typing import Any

    from num_agents.scheduler import _native
    from num_agents.scheduler.events import SupportsPublish


class Announcer:
    """Publishes what happens, on a bus.

    The events of a task come in order: while one thread announces its scheduling, the events that
    other threads add are published by that thread afterwards. So no thread waits, and no run is
    announced before the task.

    Args:
        bus: Where to.
        zone: The time zone of moments.
        stamp: The id and the timestamp of each event on a virtual clock; on the system's an event
            makes them itself.

    Raises:
        TypeError: The bus cannot publish.
    """

    __slots__ = ("_bus", "_has_subscribers", "_lock", "_stamp", "_waiting", "_zone")

    def __init__(
        self,
        bus: SupportsPublish,
        zone: tzinfo | None,
        stamp: Callable[[], tuple[str | None, datetime | None]],
    ) -> None:
        if not callable(getattr(bus, "publish", None)):
            raise TypeError(f"event_bus must have a publish(event) method, got {show(bus)}")
        self._bus = bus
        self._zone = zone
        self._stamp = stamp
        self._has_subscribers = getattr(bus, "has_subscribers", None)
        # Reentrant: a signal handler or a finalizer may schedule, too.
        self._lock = RLock()
        #: By task, while its scheduling is being announced: the events that wait for that.
        self._waiting: dict[str, deque[tuple[str, dict[str, Any]]]] = {}

    def wants(self, event_type: str) -> bool:
        """Whether events of this type have a subscriber; True if the bus does not tell."""
        if self._has_subscribers is None:
            return True
        try:
            return bool(self._has_subscribers(event_type))
        except BaseException:
            contain("The event bus failed to say who reads %s", event_type)
            return False

    def publish(self, event_type: str, **payload: Any) -> None:
        """Publishes an event. What a bus raises is logged: it must not fail a run."""
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

    # ---- of a task ---------------------------------------------------------------------------

    def schedule(self, name: str, arm: Callable[[], tuple[str, int]]) -> str:
        """Schedules a task and announces it, before anything else is announced of it.

        Args:
            name: The task's name.
            arm: Schedules it, and answers its id and the nominal time of its first run.

        Returns:
            The id.
        """
        with self._lock:
            task_id, nominal_ns = arm()
            self._waiting[task_id] = deque()
        self._announce(task_id, name, nominal_ns)
        return task_id

    def schedule_many(
        self, name: str, arm: Callable[[], _native.TaskIds], nominals_ns: Iterable[int]
    ) -> _native.TaskIds:
        """As `schedule`, for many tasks of one name."""
        with self._lock:
            task_ids = arm()
            self._waiting.update((task_id, deque()) for task_id in task_ids)
        for task_id, nominal_ns in zip(task_ids, nominals_ns, strict=True):
            self._announce(task_id, name, nominal_ns)
        return task_ids

    def started(self, record: _native.TaskRecord) -> None:
        """A run starts."""
        if record.started_ns is not None:
            self._of_task(
                "scheduler.task_started",
                record.task_id,
                record.name,
                record.nominal_ns,
                lateness=(record.started_ns - record.due_ns) / 1e9,
                missed=record.missed_by_run,
                attempt=record.attempt,
            )

    def ended(self, record: _native.TaskRecord, status: str, value: object, skipped: int) -> None:
        """A run has ended; `record` is from before that."""
        task_id, name, nominal_ns = record.task_id, record.name, record.nominal_ns
        if status == "cancelled":
            reason = "cancelled while it ran"
            self._of_task("scheduler.task_cancelled", task_id, name, nominal_ns, reason=reason)
        elif status == "failed":
            self._of_task("scheduler.task_failed", task_id, name, nominal_ns, error=value)
        else:
            self._of_task("scheduler.task_completed", task_id, name, nominal_ns, result=value)
        if skipped:
            self._of_task(
                "scheduler.task_skipped",
                task_id,
                name,
                nominal_ns,
                skipped=skipped,
                reason="fell due while the last run went on",
            )

    def retrying(self, record: _native.TaskRecord, error: BaseException, delay_s: float) -> None:
        """An attempt has failed, and another one follows; `record` is from before that."""
        self._of_task(
            "scheduler.task_retrying",
            record.task_id,
            record.name,
            record.nominal_ns,
            error=error,
            attempt=record.attempt,
            delay=delay_s,
        )

    def missed(self, task_id: str, name: str, nominal_ns: int, missed: int) -> None:
        """Occurrences were given up without a run."""
        reason = "too late by the task's misfire and grace"
        self._of_task(
            "scheduler.task_missed", task_id, name, nominal_ns, missed=missed, reason=reason
        )

    def changed(self, event_type: str, record: _native.TaskRecord, reason: str) -> None:
        """A task was cancelled before it ran, paused or resumed."""
        self._of_task(event_type, record.task_id, record.name, record.nominal_ns, reason=reason)

    # ---- inside ------------------------------------------------------------------------------

    def _of_task(
        self, event_type: str, task_id: str, name: str, nominal_ns: int, **more: object
    ) -> None:
        if not self.wants(event_type):
            return
        try:
            payload = self._payload(task_id, name, nominal_ns) | more
        except BaseException:
            # The zone is the user's, and may raise.
            contain("The event %s of task %s could not be built", event_type, task_id)
            return
        with self._lock:
            waiting = self._waiting.get(task_id)
            if waiting is not None:
                waiting.append((event_type, payload))
                return
        self.publish(event_type, **payload)

    def _announce(self, task_id: str, name: str, nominal_ns: int) -> None:
        """Announces a new task, and then what has waited for that."""
        try:
            payload = self._payload(task_id, name, nominal_ns)
            self.publish("scheduler.task_scheduled", **payload)
        except BaseException:
            contain("The scheduling of task %s could not be announced", task_id)
        finally:
            while (event := self._next_waiting(task_id)) is not None:
                self.publish(event[0], **event[1])

    def _next_waiting(self, task_id: str) -> tuple[str, dict[str, Any]] | None:
        with self._lock:
            waiting = self._waiting[task_id]
            if waiting:
                return waiting.popleft()
            del self._waiting[task_id]
            return None

    def _payload(self, task_id: str, name: str, nominal_ns: int) -> dict[str, Any]:
        nominal_time = to_datetime(nominal_ns, self._zone)
        return {"task_id": task_id, "task_name": name, "nominal_time": nominal_time}

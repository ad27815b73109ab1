r"""Events, and the bus that carries them from publishers to subscribers.

```python
from num_agents.eventbus import Event, EventBus

bus = EventBus()
bus.subscribe("order.placed", print)
bus.subscribe(r"order\..*", print, is_pattern=True)
bus.publish(Event("order.placed", {"order_id": 7}))
```

The bus keeps no events, starts no threads and holds no lock: `publish` calls the handlers, one
after the other, and returns.
"""

from __future__ import annotations

from datetime import UTC, datetime

# `typing`, `collections.abc` and `re` are slow to import, and only checkers need them here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

__all__ = ["Event", "EventBus", "EventTypes"]

_CACHED_TYPES_MAX = 1024
_ENDED = object()


class EventTypes:
    """The names of the events that this distribution publishes. Any other string is as good."""

    SCHEDULER_STARTED = "scheduler.started"
    SCHEDULER_STOPPED = "scheduler.stopped"
    SCHEDULER_TASK_SCHEDULED = "scheduler.task_scheduled"
    SCHEDULER_TASK_STARTED = "scheduler.task_started"
    SCHEDULER_TASK_COMPLETED = "scheduler.task_completed"
    SCHEDULER_TASK_FAILED = "scheduler.task_failed"
    SCHEDULER_TASK_CANCELLED = "scheduler.task_cancelled"
    SCHEDULER_TASK_MISSED = "scheduler.task_missed"
    SCHEDULER_TASK_SKIPPED = "scheduler.task_skipped"
    SCHEDULER_TASK_RETRYING = "scheduler.task_retrying"
    SCHEDULER_TASK_PAUSED = "scheduler.task_paused"
    SCHEDULER_TASK_RESUMED = "scheduler.task_resumed"
    SCHEDULER_CLOCK_CHANGED = "scheduler.clock_changed"


class Event:
    """Something that happened. Its attributes cannot be assigned.

    Events are equal if all their attributes are. The payload and the metadata are not copied: what
    is done to them after publication is seen by every handler.

    Args:
        event_type: What happened, such as `"scheduler.started"`; not empty.
        payload: The facts, by name; empty by default.
        metadata: What is known about the event itself, by name; empty by default.
        event_id: Tells the event from all others; not empty. By default a random UUID (version 4),
            made when first asked for.
        timestamp: When it happened; by default, now. Kept in UTC; a naive one is read as the
            system's local time.
        source: Who says so.

    Raises:
        TypeError: An argument is of another type than its annotation.
        ValueError: `event_type` or `event_id` is empty.
        OverflowError: `timestamp` in UTC is outside of the years 1 to 9999.
    """

    event_type: str
    payload: dict[str, Any]
    metadata: dict[str, Any]
    timestamp: datetime
    source: str | None

    def __init__(  # noqa: PLR0917 - documented so, in this order
        self,
        event_type: str,
        payload: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        event_id: str | None = None,
        timestamp: datetime | None = None,
        source: str | None = None,
    ) -> None:
        _check_text(event_type, "event_type")
        if source is not None and not isinstance(source, str):
            raise TypeError(f"source must be a string, not {source!r}")
        # Straight into the dict: assignment is refused, and this is one call for all of them.
        fields = vars(self)
        fields.update(
            event_type=event_type,
            payload={} if payload is None else _checked_dict(payload, "payload"),
            metadata={} if metadata is None else _checked_dict(metadata, "metadata"),
            timestamp=datetime.now(UTC) if timestamp is None else _in_utc(timestamp),
            source=source,
        )
        if event_id is not None:
            _check_text(event_id, "event_id")
            fields["_event_id"] = event_id

    @property
    def event_id(self) -> str:
        """What tells the event from all others."""
        fields = vars(self)
        if "_event_id" not in fields:
            # A random id costs more than all the rest of an event, and few are ever read.
            from uuid import uuid4  # noqa: PLC0415 - slow, and rarely needed

            # Of two threads that come here at once, both return the id of the first.
            fields.setdefault("_event_id", str(uuid4()))
        event_id: str = fields["_event_id"]
        return event_id

    def to_dict(self) -> dict[str, Any]:
        """Return the event as a dict, `timestamp` as an ISO-8601 string.

        It can be written as JSON if the payload and the metadata, copied shallowly, can be.
        """
        return {
            "event_type": self.event_type,
            "payload": dict(self.payload),
            "metadata": dict(self.metadata),
            "event_id": self.event_id,
            "timestamp": self.timestamp.isoformat(),
            "source": self.source,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Event:
        """Return the event that `to_dict` made `data` from.

        Whatever is absent but for `event_type` is as in a new event; unknown keys are ignored.

        Raises:
            TypeError: A value is of the wrong type.
            ValueError: `data` has no `event_type`, or `timestamp` is not an ISO-8601 string.
        """
        if "event_type" not in data:
            raise ValueError(f"data must have an 'event_type', unlike {data!r}")
        timestamp = data.get("timestamp")
        if isinstance(timestamp, str):
            try:
                timestamp = datetime.fromisoformat(timestamp)
            except ValueError as error:
                message = f"timestamp must be an ISO-8601 string, not {timestamp!r}"
                raise ValueError(message) from error
        return cls(
            data["event_type"],
            data.get("payload"),
            data.get("metadata"),
            data.get("event_id"),
            timestamp,
            data.get("source"),
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an event cannot be changed: {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an event cannot be changed: {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        # A copy is the same event: it must not make an id of its own.
        return vars(self) | {"_event_id": self.event_id}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return self is other or self.__getstate__() == other.__getstate__()

    def __hash__(self) -> int:
        return hash(self.event_id)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.event_type!r}, payload={self.payload!r}, "
            f"timestamp={self.timestamp.isoformat()!r}, source={self.source!r})"
        )


class EventBus:
    """Carries events from publishers to subscribers.

    Any thread may call any method at any time, handlers and signal handlers included.
    """

    # Ground rules, in place of a lock. `_subscriptions` is an ordered set, changed by single dict
    # operations, which Python makes atomic. `_handlers` is what follows from it, by event type.
    # A writer first changes the subscriptions, then replaces `_handlers` by an empty dict; a reader
    # first takes hold of `_handlers`, then of the subscriptions. So whatever a reader derives from
    # subscriptions that have changed since goes into a dict that is, or is about to be, discarded.

    def __init__(self) -> None:
        self._subscriptions: dict[_Subscription, object] = {}
        self._handlers: dict[str, tuple[Callable[[Event], object], ...]] = {}

    def subscribe(
        self,
        event_type: str,
        handler: Callable[[Event], object],
        is_pattern: bool = False,  # noqa: FBT001, FBT002 - documented so, in this position
    ) -> None:
        r"""Let `handler` be called with each event of a type published from now on. O(1).

        A handler subscribed twice is called twice.

        Args:
            event_type: The type, as given to `Event`; or a pattern.
            handler: Called with the event, in the publisher's thread. What it returns is ignored.
            is_pattern: `event_type` is a regular expression, and all types that it matches from
                end to end are meant: `r"scheduler\..*"`.

        Raises:
            TypeError: `event_type` is not a string, or `handler` cannot be called.
            ValueError: `event_type` is empty, or not a regular expression where it should be one.
        """
        _check_text(event_type, "event_type")
        if not callable(handler):
            raise TypeError(f"handler must be callable, not {handler!r}")
        pattern = _compiled(event_type) if is_pattern else None
        self._subscriptions[_Subscription(event_type, handler, pattern)] = None
        self._handlers = {}

    def unsubscribe(self, event_type: str, handler: Callable[[Event], object]) -> bool:
        """End the oldest subscription of `handler` to `event_type`. O(subscriptions).

        A publication under way in another thread, or the one that called this, still reaches it.

        Args:
            event_type: The type or the pattern, as given to `subscribe`.
            handler: A handler that is equal to the one given to `subscribe`.

        Returns:
            Whether there was one: True to one caller only.
        """
        for subscription in list(self._subscriptions):
            if subscription.event_type == event_type and subscription.handler == handler:
                # Another thread may have ended it since.
                if self._subscriptions.pop(subscription, _ENDED) is _ENDED:
                    continue
                self._handlers = {}
                return True
        return False

    def has_subscribers(self, event_type: str) -> bool:
        """Say whether an event of this type would reach a handler. O(1) for a type asked before.

        A publisher that asks first need not make events that nobody reads.
        """
        return bool(self._handlers_of(event_type))

    def publish(self, event: Event) -> None:
        """Call the handlers of the event's type, in order of subscription, in this thread.

        The handlers are those subscribed when this is called; handlers may subscribe, unsubscribe
        and publish. One that raises, be it `SystemExit`, is logged to `num_agents.eventbus`, and
        the others still run. Only a `KeyboardInterrupt` in the main thread is raised again, after
        the last handler.

        Raises:
            TypeError: `event` is not an `Event`.
        """
        if not isinstance(event, Event):
            raise TypeError(f"event must be an Event, not {event!r}")
        interrupt: KeyboardInterrupt | None = None
        for handler in self._handlers_of(event.event_type):
            try:
                handler(event)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt) and _in_main_thread():
                    interrupt = error
                else:
                    _log(event, error)
        if interrupt is not None:
            try:
                raise interrupt
            finally:
                # Its traceback refers to this frame, which would refer to it.
                del interrupt

    def _handlers_of(self, event_type: str) -> tuple[Callable[[Event], object], ...]:
        cache = self._handlers
        handlers = cache.get(event_type)
        if handlers is None:
            subscriptions = list(self._subscriptions)
            handlers = tuple(each.handler for each in subscriptions if each.matches(event_type))
            if len(cache) >= _CACHED_TYPES_MAX:
                cache.clear()
            cache[event_type] = handlers
        return handlers


class _Subscription:
    """Who asked for what. Two alike are two: they compare by identity."""

    __slots__ = ("event_type", "handler", "pattern")

    def __init__(
        self, event_type: str, handler: Callable[[Event], object], pattern: re.Pattern[str] | None
    ) -> None:
        self.event_type = event_type
        self.handler = handler
        self.pattern = pattern

    def matches(self, event_type: str) -> bool:
        if self.pattern is None:
            return self.event_type == event_type
        return self.pattern.fullmatch(event_type) is not None


def _compiled(event_type: str) -> re.Pattern[str]:
    import re  # noqa: PLC0415 - slow, and not every bus has patterns

    try:
        return re.compile(event_type)
    except (re.error, OverflowError, RecursionError) as error:
        message = f"event_type must be a regular expression, not {event_type!r}: {error}"
        raise ValueError(message) from error


def _check_text(value: str, argument: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a string, not {value!r}")
    if not value:
        raise ValueError(f"{argument} must not be empty: ''")


def _checked_dict(value: dict[str, Any], argument: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{argument} must be a dict, not {value!r}")
    return value


def _in_utc(timestamp: datetime) -> datetime:
    if not isinstance(timestamp, datetime):
        raise TypeError(f"timestamp must be a datetime, not {timestamp!r}")
    try:
        return timestamp.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        message = f"timestamp must be in the years 1 to 9999 of UTC, unlike {timestamp!r}"
        raise OverflowError(message) from error


def _in_main_thread() -> bool:
    import threading  # noqa: PLC0415 - slow, and rarely needed

    return threading.current_thread() is threading.main_thread()


def _log(event: Event, error: BaseException) -> None:
    import logging  # noqa: PLC0415 - slow, and rarely needed
    from contextlib import suppress  # noqa: PLC0415 - as above

    # A logging filter that fails must not keep the event from the other handlers.
    with suppress(Exception):
        logging.getLogger("num_agents.eventbus").error(
            "a handler of %r raised %s", event.event_type, type(error).__name__, exc_info=error
        )

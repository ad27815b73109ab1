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

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from num_agents import _lazy

# These are slow to import, and only annotations name them here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    import typing
else:
    typing = _lazy.LazyModule("typing")

__all__ = ["Event", "EventBus", "EventTypes"]

_CACHED_TYPES_MAX = 1024
_ENDED = object()

# How many subscriptions the repr of a bus shows.
_SUBSCRIPTIONS_SHOWN = 8

# What makes a text look like a pattern. A dot does not: most types have one.
_PATTERN_CHARACTERS = frozenset("*+?^$|()[]{}\\")

# `inspect.CO_COROUTINE` and `CO_ASYNC_GENERATOR`: importing inspect is slow.
_ASYNCHRONOUS = 0x80 | 0x200


class EventTypes:
    """The names of the events that this distribution publishes. Other types may be any string."""

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

    Events are equal if all their attributes are. The payload and the metadata are not copied:
    every handler sees what other handlers change in them.

    Args:
        event_type: What happened, such as `"scheduler.started"`; not empty.
        payload: What happened in detail, by name; empty by default.
        metadata: Data about the event itself, by name; empty by default.
        event_id: The event's unique id, not empty. By default a random UUID (version 4), made when
            it is first read.
        timestamp: When it happened; by default, now. Kept in UTC; a naive one is read as the
            system's local time.
        source: Who published it.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `event_type` or `event_id` is empty.
        OverflowError: `timestamp` in UTC is outside of the years 1 to 9999.
    """

    event_type: str
    payload: dict[str, typing.Any]
    metadata: dict[str, typing.Any]
    timestamp: datetime
    source: str | None

    def __init__(  # noqa: PLR0917 - documented so, in this order
        self,
        event_type: str,
        payload: dict[str, typing.Any] | None = None,
        metadata: dict[str, typing.Any] | None = None,
        event_id: str | None = None,
        timestamp: datetime | None = None,
        source: str | None = None,
    ) -> None:
        _check_text(event_type, "event_type")
        if source is not None and not isinstance(source, str):
            raise TypeError(f"source must be a string, not {source!r}")
        # Straight into the dict: assigning attributes is refused, and this is a single call.
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
        """The event's unique id."""
        fields = vars(self)
        if "_event_id" not in fields:
            # A random id costs more than the rest of the event, and few ids are ever read.
            from uuid import uuid4  # noqa: PLC0415 - slow, and rarely needed

            # If two threads get here at once, both return the id of the first.
            fields.setdefault("_event_id", str(uuid4()))
        event_id: str = fields["_event_id"]
        return event_id

    def to_dict(self) -> dict[str, typing.Any]:
        """Return the event as a dict, `timestamp` as an ISO-8601 string.

        The payload and the metadata are copied shallowly. The dict can be written as JSON if they
        can.
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
    def from_dict(cls, data: Mapping[str, typing.Any]) -> Event:
        """Return an event made from what `to_dict` returned.

        Keys other than `event_type` may be absent, with the defaults of a new event. Unknown keys
        are ignored.

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

    def __setattr__(self, name: str, value: object) -> typing.NoReturn:
        raise AttributeError(f"an event cannot be changed: {name!r}")

    def __delattr__(self, name: str) -> typing.NoReturn:
        raise AttributeError(f"an event cannot be changed: {name!r}")

    def __getstate__(self) -> dict[str, typing.Any]:
        # A copy is the same event, so it must have the same id.
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

    typing.Any thread may call any method at any time, handlers and signal handlers included.
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
        is_pattern: bool | None = None,  # noqa: FBT001 - documented so, in this position
    ) -> None:
        r"""Call `handler` with each event of a type that is published from now on. O(1).

        A handler subscribed twice is called twice.

        Args:
            event_type: The type, as given to `Event`; or a pattern.
            handler: A plain function, called with the event in the publisher's thread. What it
                returns is ignored.
            is_pattern: True: `event_type` is a regular expression, and the handler gets every event
                whose type it matches from end to end: `r"scheduler\..*"`. False: it is one type.
                By default it is one type as well, but a type that looks like a pattern is refused.

        Raises:
            TypeError: `event_type` is not a string, or `handler` cannot be called or is a coroutine
                function, which nobody would await.
            ValueError: `event_type` is empty; or it is not a regular expression with
                `is_pattern=True`; or, with neither True nor False, it has one of the characters
                `* + ? ^ $ | ( ) [ ] { } \`, as patterns have.
        """
        _check_text(event_type, "event_type")
        _check_handler(handler)
        if is_pattern is None and not _PATTERN_CHARACTERS.isdisjoint(event_type):
            raise ValueError(
                f"event_type looks like a pattern, got {event_type!r}: add is_pattern=True, with a "
                r"regular expression such as r'scheduler\..*', or is_pattern=False if the type of "
                "the events is exactly this text"
            )
        pattern = _compiled(event_type) if is_pattern else None
        self._subscriptions[_Subscription(event_type, handler, pattern)] = None
        self._handlers = {}

    def unsubscribe(self, event_type: str, handler: Callable[[Event], object]) -> bool:
        """End the oldest subscription of `handler` to `event_type`. O(subscriptions).

        An event that is being published while this is called may still reach the handler.

        Args:
            event_type: The type or the pattern, as given to `subscribe`.
            handler: A handler that is equal to the one given to `subscribe`.

        Returns:
            Whether there was such a subscription. Of several threads that end the same one, one
            gets True.
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

        A publisher that asks first does not need to make events that nobody reads.
        """
        return bool(self._handlers_of(event_type))

    def publish(self, event: Event) -> None:
        """Call the handlers of the event's type, in order of subscription, in this thread.

        The handlers are those subscribed when this is called; handlers may subscribe, unsubscribe
        and publish. If a handler raises any exception, even `SystemExit`, it is logged to
        `num_agents.eventbus` and the other handlers still run. Only a `KeyboardInterrupt` in the
        main thread is raised again, after the last handler. A handler that returns a coroutine
        counts as one that raised, since nobody will await the coroutine.

        Raises:
            TypeError: `event` is not an `Event`.
        """
        if not isinstance(event, Event):
            raise TypeError(f"event must be an Event, not {event!r}")
        interrupt: KeyboardInterrupt | None = None
        for handler in self._handlers_of(event.event_type):
            try:
                returned = handler(event)
                if returned is not None:
                    _check_returned(returned)
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

    def __repr__(self) -> str:
        found = list(self._subscriptions)
        listed = [f"{each.event_type!r}{' (pattern)' if each.pattern else ''}" for each in found]
        # Many handlers of one type are shown once.
        types = list(dict.fromkeys(listed))
        if len(types) > _SUBSCRIPTIONS_SHOWN:
            types[_SUBSCRIPTIONS_SHOWN:] = ["..."]
        ending = "" if len(found) == 1 else "s"
        to = " to " if types else ""
        return f"<EventBus with {len(found)} subscription{ending}{to}{', '.join(types)}>"


class _Subscription:
    """One subscription. Compared by identity, so two equal ones are two."""

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


def _check_handler(handler: object) -> None:
    """Refuse a handler that cannot be called, or that would return a coroutine."""
    if not callable(handler):
        raise TypeError(f"handler must be callable, not {handler!r}")
    from functools import partial  # noqa: PLC0415 - slow, and not every process has handlers

    function: typing.Any = handler
    while isinstance(function, partial):
        function = function.func
    if not hasattr(function, "__code__"):
        # An instance of a class that can be called.
        function = type(function).__call__
    if getattr(getattr(function, "__code__", None), "co_flags", 0) & _ASYNCHRONOUS:
        raise TypeError(
            f"handler must be a plain function, not the coroutine function {handler!r}: publish "
            "calls it and awaits nothing. Let a plain function start the coroutine, for example "
            "with asyncio.run_coroutine_threadsafe"
        )


def _check_returned(returned: object) -> None:
    """Refuse a coroutine; tasks and futures run without being awaited here."""
    from types import CoroutineType  # noqa: PLC0415 - few handlers return anything

    if isinstance(returned, CoroutineType):
        returned.close()
        raise TypeError("the handler returned a coroutine, which nobody will await")


def _check_text(value: str, argument: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a string, not {value!r}")
    if not value:
        raise ValueError(f"{argument} must not be empty: ''")


def _checked_dict(value: dict[str, typing.Any], argument: str) -> dict[str, typing.Any]:
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

    # The other handlers must run even if a logging filter raises.
    with suppress(Exception):
        logging.getLogger("num_agents.eventbus").error(
            "a handler of %r raised %s", event.event_type, type(error).__name__, exc_info=error
        )

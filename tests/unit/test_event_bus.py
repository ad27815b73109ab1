"""Events, and the order and isolation of the bus's handlers."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import threading
import uuid
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import AsyncMock, MagicMock

import pytest

from num_agents.eventbus import Event, EventBus, EventTypes
from num_agents.eventbus.eventbus import _CACHED_TYPES_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def raising(error: BaseException) -> Callable[[Event], NoReturn]:
    def handler(event: Event) -> NoReturn:
        raise error

    return handler


class TestEvent:
    def test_defaults(self) -> None:
        before = datetime.now(UTC)
        event = Event("order.placed")
        assert event.event_type == "order.placed"
        assert event.payload == {}
        assert event.metadata == {}
        assert event.source is None
        assert before <= event.timestamp <= datetime.now(UTC)
        assert event.timestamp.tzinfo is UTC

    def test_id_is_made_when_asked_for_and_then_stays(self) -> None:
        event = Event("x")
        assert "_event_id" not in vars(event)
        assert uuid.UUID(event.event_id).version == 4
        assert event.event_id == event.event_id
        assert event.event_id != Event("x").event_id
        assert Event("x", event_id="mine").event_id == "mine"

    def test_threads_agree_on_the_id(self) -> None:
        barrier = threading.Barrier(8)
        events = [Event("x") for _ in range(200)]
        ids: list[list[str]] = []

        def work() -> None:
            barrier.wait()
            ids.append([event.event_id for event in events])

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ids) == 8
        assert all(each == ids[0] for each in ids)

    @pytest.mark.parametrize(
        "event",
        [
            Event("x"),
            Event("x", {"a": [1, None]}, {"b": "c"}, "id", datetime(2024, 2, 29, tzinfo=UTC), "me"),
            Event("x", timestamp=datetime(2024, 7, 1, 12, 0, 0, 1)),  # noqa: DTZ001, RUF100
        ],
    )
    def test_round_trip_through_json(self, event: Event) -> None:
        again = Event.from_dict(json.loads(json.dumps(event.to_dict())))
        assert again == event
        assert hash(again) == hash(event)
        assert again.timestamp.tzinfo is UTC

    def test_from_dict_fills_in_what_is_absent(self) -> None:
        event = Event.from_dict({"event_type": "x", "unknown": 1})
        assert event.payload == {}
        assert event.event_id

    def test_to_dict_copies(self) -> None:
        event = Event("x", {"a": 1})
        event.to_dict()["payload"]["a"] = 2
        assert event.payload == {"a": 1}

    def test_timestamp_is_kept_in_utc(self) -> None:
        zone = timezone(timedelta(hours=2))
        event = Event("x", timestamp=datetime(2024, 1, 1, 1, tzinfo=zone))
        assert event.to_dict()["timestamp"] == "2023-12-31T23:00:00+00:00"

    @pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda event: event])
    def test_copies_are_the_same_event(self, duplicate: Callable[[Event], Event]) -> None:
        event = Event("x", {"a": 1})
        assert duplicate(event) == event
        assert pickle.loads(pickle.dumps(event)) == event

    def test_equality(self) -> None:
        moment = datetime(2024, 1, 1, tzinfo=UTC)
        event = Event("x", event_id="1", timestamp=moment)
        assert event == Event("x", event_id="1", timestamp=moment)
        assert event != Event("y", event_id="1", timestamp=moment)
        assert event != Event("x", event_id="2", timestamp=moment)
        assert event != Event("x", {"a": 1}, event_id="1", timestamp=moment)
        assert event != "x"

    def test_immutable(self) -> None:
        event = Event("x", event_id="1")
        for name in ("event_type", "payload", "event_id", "new"):
            with pytest.raises(AttributeError, match=name):
                setattr(event, name, "y")
            with pytest.raises(AttributeError, match=name):
                delattr(event, name)
        assert event.event_type == "x"

    def test_repr(self) -> None:
        event = Event("x", {"a": 1}, timestamp=datetime(2024, 1, 1, tzinfo=UTC), source="me")
        assert repr(event) == (
            "Event('x', payload={'a': 1}, timestamp='2024-01-01T00:00:00+00:00', source='me')"
        )

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"event_type": 5}, TypeError, "event_type must be a string, not 5"),
            ({"event_type": ""}, ValueError, "event_type must not be empty: ''"),
            ({"payload": [1]}, TypeError, r"payload must be a dict, not \[1\]"),
            ({"metadata": "m"}, TypeError, "metadata must be a dict, not 'm'"),
            ({"event_id": 5}, TypeError, "event_id must be a string, not 5"),
            ({"event_id": ""}, ValueError, "event_id must not be empty: ''"),
            ({"timestamp": 12.5}, TypeError, "timestamp must be a datetime, not 12.5"),
            (
                {"timestamp": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))},
                OverflowError,
                "timestamp must be in the years 1 to 9999 .*9999",
            ),
            ({"source": 5}, TypeError, "source must be a string, not 5"),
        ],
    )
    def test_bad_arguments(
        self, arguments: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            Event(**{"event_type": "x"} | arguments)

    @pytest.mark.parametrize(
        ("data", "error", "message"),
        [
            ({}, ValueError, r"data must have an 'event_type', unlike \{\}"),
            ({"event_type": "x", "timestamp": "noon"}, ValueError, "timestamp .* not 'noon'"),
            ({"event_type": "x", "timestamp": 5}, TypeError, "timestamp .* not 5"),
        ],
    )
    def test_bad_dicts(self, data: dict[str, Any], error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            Event.from_dict(data)


def test_event_types_name_the_scheduler_s_events() -> None:
    names = {key: value for key, value in vars(EventTypes).items() if key.isupper()}
    assert {key.lower().replace("_", ".", 1) for key in names} == set(names.values())
    words = (
        "started stopped task_scheduled task_started task_completed task_failed task_cancelled "
        "task_missed task_skipped task_retrying task_paused task_resumed clock_changed"
    )
    assert set(names.values()) == {f"scheduler.{word}" for word in words.split()}


class TestSubscriptions:
    def test_exact(self) -> None:
        bus = EventBus()
        seen: list[Event] = []
        bus.subscribe("a.b", seen.append)
        event = Event("a.b")
        bus.publish(event)
        bus.publish(Event("a.bc"))
        bus.publish(Event("axb"))
        assert seen == [event]

    @pytest.mark.parametrize(
        ("pattern", "event_type", "expected"),
        [
            (r"a\..*", "a.b", True),
            (r"a\..*", "xa.b", False),
            (r"a", "ab", False),
            (r"a|ab", "ab", True),
            (r".*", "anything", True),
        ],
    )
    def test_pattern_matches_from_end_to_end(
        self, pattern: str, event_type: str, *, expected: bool
    ) -> None:
        bus = EventBus()
        seen: list[Event] = []
        bus.subscribe(pattern, seen.append, is_pattern=True)
        assert bus.has_subscribers(event_type) is expected
        bus.publish(Event(event_type))
        assert bool(seen) is expected

    def test_order_of_subscription_across_exact_and_pattern(self) -> None:
        bus = EventBus()
        seen: list[int] = []
        bus.subscribe("x", lambda _: seen.append(1))
        bus.subscribe(".*", lambda _: seen.append(2), is_pattern=True)
        bus.subscribe("x", lambda _: seen.append(3))
        bus.subscribe("x|y", lambda _: seen.append(4), is_pattern=True)
        bus.publish(Event("x"))
        assert seen == [1, 2, 3, 4]

    def test_no_subscribers(self) -> None:
        bus = EventBus()
        assert not bus.has_subscribers("x")
        bus.publish(Event("x"))

    def test_each_subscription_counts(self) -> None:
        bus = EventBus()
        seen: list[Event] = []
        bus.subscribe("x", seen.append)
        bus.subscribe("x", seen.append)
        bus.publish(Event("x"))
        assert len(seen) == 2
        assert bus.unsubscribe("x", seen.append)
        bus.publish(Event("x"))
        assert len(seen) == 3
        assert bus.unsubscribe("x", seen.append)
        assert not bus.unsubscribe("x", seen.append)
        assert not bus.has_subscribers("x")

    @pytest.mark.parametrize("is_pattern", [False, True])
    def test_unsubscribe(self, *, is_pattern: bool) -> None:
        bus = EventBus()
        seen: list[Event] = []
        bus.subscribe("x", seen.append, is_pattern=is_pattern)
        assert bus.has_subscribers("x")
        assert not bus.unsubscribe("y", seen.append)
        assert not bus.unsubscribe("x", print)
        assert bus.unsubscribe("x", seen.append)
        assert not bus.has_subscribers("x")
        bus.publish(Event("x"))
        assert seen == []

    def test_answers_follow_later_subscriptions(self) -> None:
        bus = EventBus()
        assert not bus.has_subscribers("x")
        bus.subscribe("x", print)
        assert bus.has_subscribers("x")

    def test_the_cache_is_bounded(self) -> None:
        bus = EventBus()
        for number in range(3 * _CACHED_TYPES_MAX):
            bus.has_subscribers(f"type.{number}")
            assert len(bus._handlers) <= _CACHED_TYPES_MAX

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ((5, print), TypeError, "event_type must be a string, not 5"),
            (("", print), ValueError, "event_type must not be empty: ''"),
            (("x", None), TypeError, "handler must be callable, not None"),
            (("(", print, True), ValueError, r"event_type must be .* not '\('"),
            (("x{2,1}", print, True), ValueError, r"event_type must be .* not 'x\{2,1\}'"),
            (("x{9999999999}", print, True), ValueError, r"event_type must be .* not 'x\{9+\}'"),
        ],
    )
    def test_bad_arguments(
        self, arguments: tuple[Any, ...], error: type[Exception], message: str
    ) -> None:
        bus = EventBus()
        with pytest.raises(error, match=message):
            bus.subscribe(*arguments)
        assert not bus._subscriptions

    @pytest.mark.parametrize(
        "event_type", ["scheduler.*", "a|b", "a?", r"a\.b", "[ab]", "(a", "^a$"]
    )
    def test_a_type_that_looks_like_a_pattern(self, event_type: str) -> None:
        bus = EventBus()
        seen: list[Event] = []
        with pytest.raises(ValueError, match=r"looks like a pattern, got .*: add is_pattern=True"):
            bus.subscribe(event_type, seen.append)
        assert not bus._subscriptions
        bus.subscribe(event_type, seen.append, is_pattern=False)
        bus.publish(Event(event_type))
        bus.publish(Event("a"))
        assert [event.event_type for event in seen] == [event_type]

    def test_handlers_that_nobody_would_await(self) -> None:
        async def handle(event: Event) -> None: ...

        async def generate(event: Event) -> AsyncIterator[Event]:
            yield event

        class Handler:
            async def __call__(self, event: Event) -> None: ...

            async def handle(self, event: Event) -> None: ...

            @staticmethod
            async def handle_statically(event: Event) -> None: ...

        bus = EventBus()
        for handler in (
            handle,
            generate,
            Handler(),
            Handler().handle,
            Handler.handle_statically,
            partial(partial(handle)),
            AsyncMock(),
        ):
            with pytest.raises(TypeError, match="handler must be a plain function, not the corout"):
                bus.subscribe("x", handler)
        assert not bus._subscriptions

    def test_only_events_are_published(self) -> None:
        with pytest.raises(TypeError, match="event must be an Event, not 'x'"):
            EventBus().publish("x")  # type: ignore[arg-type]


class TestRepr:
    def test_counts_and_names_the_subscriptions(self) -> None:
        bus = EventBus()
        assert repr(bus) == "<EventBus with 0 subscriptions>"
        bus.subscribe("a", print)
        assert repr(bus) == "<EventBus with 1 subscription to 'a'>"
        bus.subscribe("a", print)
        bus.subscribe(r"b.*", print, is_pattern=True)
        assert repr(bus) == "<EventBus with 3 subscriptions to 'a', 'b.*' (pattern)>"

    def test_is_short(self) -> None:
        bus = EventBus()
        for letter in "abcdefghij":
            bus.subscribe(letter, print)
        assert repr(bus).endswith(" to 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', ...>")


class TestHandlers:
    def test_one_that_returns_a_coroutine_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        async def handle(event: Event) -> None: ...

        bus = EventBus()
        seen: list[Event] = []
        bus.subscribe("x", lambda event: handle(event))  # noqa: PLW0108 - seen by its result only
        bus.subscribe("x", seen.append)
        bus.publish(Event("x"))
        (record,) = caplog.records
        assert "a handler of 'x' raised TypeError" in record.getMessage()
        assert record.exc_info is not None
        assert "returned a coroutine, which nobody will await" in str(record.exc_info[1])
        assert len(seen) == 1

    def test_other_results_are_ignored(self, caplog: pytest.LogCaptureFixture) -> None:
        bus = EventBus()
        bus.subscribe("x", MagicMock())
        bus.subscribe("x", lambda event: event)
        bus.publish(Event("x"))
        assert not caplog.records

    def test_handlers_may_change_the_subscriptions(self) -> None:
        bus = EventBus()
        seen: list[str] = []

        def first(event: Event) -> None:
            seen.append("first")
            bus.unsubscribe("x", first)
            bus.unsubscribe("x", second)
            bus.subscribe("x", third)

        def second(event: Event) -> None:
            seen.append("second")

        def third(event: Event) -> None:
            seen.append("third")

        bus.subscribe("x", first)
        bus.subscribe("x", second)
        bus.publish(Event("x"))
        assert seen == ["first", "second"]
        bus.publish(Event("x"))
        assert seen == ["first", "second", "third"]

    def test_handlers_may_publish(self) -> None:
        bus = EventBus()
        seen: list[Event] = []
        bus.subscribe("x", lambda event: bus.publish(Event("y")))
        bus.subscribe("x", seen.append)
        bus.subscribe("y", seen.append)
        bus.publish(Event("x"))
        assert [event.event_type for event in seen] == ["y", "x"]

    @pytest.mark.parametrize(
        "error",
        [
            ValueError("bad"),
            SystemExit(1),
            GeneratorExit(),
            RecursionError("deep"),
            UnprintableError(),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_a_handler_that_raises_is_logged_and_the_others_run(
        self, error: BaseException, caplog: pytest.LogCaptureFixture
    ) -> None:
        bus = EventBus()
        seen: list[Event] = []
        bus.subscribe("x", raising(error))
        bus.subscribe("x", seen.append)
        bus.publish(Event("x"))
        assert len(seen) == 1
        (record,) = caplog.records
        assert record.name == "num_agents.eventbus"
        assert record.levelno == logging.ERROR
        assert record.getMessage() == f"a handler of 'x' raised {type(error).__name__}"
        assert record.exc_info is not None
        assert record.exc_info[1] is error

    def test_endless_recursion_ends(self, caplog: pytest.LogCaptureFixture) -> None:
        bus = EventBus()
        seen: list[Event] = []
        bus.subscribe("x", bus.publish)
        bus.subscribe("y", lambda event: bus.publish(Event("x")))
        bus.subscribe("y", seen.append)
        bus.publish(Event("y"))
        assert len(seen) == 1

    def test_interrupt_in_the_main_thread_is_raised_after_the_last_handler(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        bus = EventBus()
        seen: list[Event] = []
        interrupt = KeyboardInterrupt()
        bus.subscribe("x", raising(interrupt))
        bus.subscribe("x", seen.append)
        with pytest.raises(KeyboardInterrupt) as caught:
            bus.publish(Event("x"))
        assert caught.value is interrupt
        assert len(seen) == 1
        assert caplog.records == []

    def test_interrupt_in_another_thread_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        bus = EventBus()
        seen: list[Event] = []
        bus.subscribe("x", raising(KeyboardInterrupt()))
        bus.subscribe("x", seen.append)
        thread = threading.Thread(target=bus.publish, args=(Event("x"),))
        thread.start()
        thread.join()
        assert len(seen) == 1
        assert caplog.messages == ["a handler of 'x' raised KeyboardInterrupt"]

    def test_failing_log_does_not_stop_the_others(self) -> None:
        def refuse(record: logging.LogRecord) -> bool:
            raise ValueError("filter")

        bus = EventBus()
        seen: list[Event] = []
        bus.subscribe("x", raising(ValueError("bad")))
        bus.subscribe("x", seen.append)
        logger = logging.getLogger("num_agents.eventbus")
        logger.addFilter(refuse)
        try:
            bus.publish(Event("x"))
        finally:
            logger.removeFilter(refuse)
        assert len(seen) == 1

    def test_handlers_run_in_the_publisher_s_thread(self) -> None:
        bus = EventBus()
        seen: list[int] = []
        bus.subscribe("x", lambda event: seen.append(threading.get_ident()))
        bus.publish(Event("x"))
        assert seen == [threading.get_ident()]


def test_threads_subscribe_publish_and_unsubscribe() -> None:
    bus = EventBus()
    barrier = threading.Barrier(8)
    failures: list[str] = []

    def work(thread: int) -> None:
        event_type = f"thread.{thread}"
        barrier.wait()
        for _ in range(200):
            seen: list[Event] = []
            bus.subscribe(event_type, seen.append)
            bus.subscribe(rf"thread\.{thread}", seen.append, is_pattern=True)
            bus.publish(Event(event_type))
            if len(seen) != 2:
                failures.append(f"{len(seen)} deliveries")
            if not bus.unsubscribe(event_type, seen.append):
                failures.append("lost the exact subscription")
            if not bus.unsubscribe(rf"thread\.{thread}", seen.append):
                failures.append("lost the pattern")
            if bus.has_subscribers(event_type):
                failures.append("kept a subscription")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert not bus._subscriptions


def test_one_of_many_threads_ends_a_subscription() -> None:
    bus = EventBus()
    barrier = threading.Barrier(8)
    ended: list[bool] = []

    def work() -> None:
        for number in range(100):
            barrier.wait()
            ended.append(bus.unsubscribe(f"x.{number}", print))

    for number in range(100):
        bus.subscribe(f"x.{number}", print)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(ended) == 100

"""Runs that have failed and are tried again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.eventbus import EventBus
from num_agents.scheduler import Retry, RetryPolicy, RunPolicy, Scheduler, Task, current_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from num_agents.scheduler.testing import VirtualClock

#: Without a random part, so that each moment is known.
EXACT = RetryPolicy(4, wait_initial=1, wait_max=3, wait_jitter=0)


class Flaky:
    """Fails so many times, and notes when it was called."""

    def __init__(
        self, clock: VirtualClock, failures: int, error: Callable[[], BaseException] = OSError
    ) -> None:
        self.clock = clock
        self.failures = failures
        self.error = error
        self.calls: list[datetime] = []
        self.attempts: list[int] = []

    def __call__(self) -> str:
        run = current_run()
        assert run is not None
        self.calls.append(self.clock.now())
        self.attempts.append(run.attempt)
        if len(self.calls) <= self.failures:
            raise self.error()
        return "done"

    async def later(self) -> str:
        await asyncio.sleep(0.5)
        return self()

    def seconds(self) -> list[float]:
        return [(moment - self.calls[0]).total_seconds() for moment in self.calls]


# ---- what happens ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["callable", "coroutine"])
@pytest.mark.parametrize("options", [{}, {"interval": 1000, "max_runs": 1}, {"delay": 5}])
def test_is_tried_again_until_it_completes(
    clock: VirtualClock, scheduler: Scheduler, kind: str, options: dict[str, Any]
) -> None:
    flaky = Flaky(clock, 3)
    callback: Any = flaky if kind == "callable" else flaky.later
    outcome = scheduler.wait_for_task(scheduler.schedule("t", callback, retry=EXACT, **options))
    between = 0 if kind == "callable" else 0.5
    assert flaky.seconds() == [0, 1 + between, 3 + 2 * between, 6 + 3 * between]
    assert flaky.attempts == [1, 2, 3, 4]
    assert (outcome.status, outcome.value, outcome.attempt) == ("completed", "done", 4)
    assert outcome.run_count == 1
    statistics = scheduler.statistics()
    assert (statistics.started, statistics.retried) == (4, 3)
    assert (statistics.completed, statistics.failed) == (1, 0)


def test_the_last_attempt_decides(clock: VirtualClock, scheduler: Scheduler) -> None:
    numbers = iter(range(9))
    flaky = Flaky(clock, 9, lambda: LookupError(next(numbers)))
    task_id = scheduler.schedule("t", flaky, retry=EXACT)
    future = scheduler.future(task_id)
    outcome = scheduler.wait_for_task(task_id)
    assert (outcome.status, str(outcome.error), outcome.attempt) == ("failed", "3", 4)
    with pytest.raises(LookupError, match="3"):
        future.result(0)


def test_retries_says_how_many_more(clock: VirtualClock, scheduler: Scheduler) -> None:
    flaky = Flaky(clock, 9)
    outcome = scheduler.wait_for_task(scheduler.schedule("t", flaky, retries=2))
    assert (outcome.status, outcome.attempt, len(flaky.calls)) == ("failed", 3, 3)
    once = Flaky(clock, 9)
    outcome = scheduler.wait_for_task(scheduler.schedule("t", once, retries=0))
    assert (outcome.status, outcome.attempt) == ("failed", 1)


def test_each_way_to_say_it(clock: VirtualClock, scheduler: Scheduler) -> None:
    flaky = [Flaky(clock, 1) for _ in range(4)]
    policy = RunPolicy(retry=EXACT)
    ids = [
        scheduler.schedule("t", flaky[0], retry=EXACT),
        scheduler.schedule("t", flaky[1], retries=3, tags=["x"], metadata={"a": 1}),
        scheduler.schedule_task(Task("t", flaky[2], policy=policy)),
        scheduler.schedule_many("t", flaky[3], delays=[0], policy=policy)[0],
    ]
    assert [scheduler.result(one) for one in ids] == ["done"] * 4
    shown = scheduler.tasks[ids[1]].policy
    assert shown.retry == RetryPolicy(4)
    assert scheduler.tasks[ids[0]].policy.retry is EXACT


def test_waits_grow_up_to_the_longest_and_have_a_random_part() -> None:
    policy = RetryPolicy(None, wait_initial=2, wait_exp_base=3, wait_max=50, wait_jitter=0)
    assert [policy.wait_ns(attempt, "key") / 1e9 for attempt in (1, 2, 3, 4, 5)] == [
        *(2, 6, 18, 50, 50),
    ]
    assert policy.wait_ns(10**9, "key") == 50 * 10**9
    jittered = RetryPolicy(None, wait_initial=1, wait_jitter=timedelta(seconds=2))
    drawn = {jittered.wait_ns(1, f"key {number}") for number in range(100)}
    assert len(drawn) == 100
    assert all(10**9 <= wait < 3 * 10**9 for wait in drawn)
    assert jittered.wait_ns(1, "key") == jittered.wait_ns(1, "key")


def test_only_some_errors_are_tried_again(clock: VirtualClock, scheduler: Scheduler) -> None:
    policy = RetryPolicy(3, wait_jitter=0, on=(OSError, LookupError))
    for error, attempts in ((ConnectionError, 3), (KeyError, 3), (ValueError, 1), (SystemExit, 1)):
        flaky = Flaky(clock, 9, error)
        outcome = scheduler.wait_for_task(scheduler.schedule("t", flaky, retry=policy))
        assert (type(outcome.error), outcome.attempt) == (error, attempts)


def test_none_starts_after_the_limit(clock: VirtualClock, scheduler: Scheduler) -> None:
    policy = RetryPolicy(None, wait_initial=10, wait_exp_base=1, wait_jitter=0, until=35)
    flaky = Flaky(clock, 99)
    outcome = scheduler.wait_for_task(scheduler.schedule("t", flaky, retry=policy))
    assert (outcome.status, flaky.seconds()) == ("failed", [0, 10, 20, 30])


def test_what_returns_something_to_await_is_not_tried_again(scheduler: Scheduler) -> None:
    async def work() -> None: ...

    outcome = scheduler.wait_for_task(scheduler.schedule("t", lambda: work(), retries=5))  # noqa: PLW0108
    assert (outcome.status, outcome.attempt) == ("failed", 1)


# ---- asked for by the callback -----------------------------------------------------------------


def test_a_callback_may_ask_for_it(clock: VirtualClock, scheduler: Scheduler) -> None:
    flaky = Flaky(clock, 3, lambda: Retry(after=7))
    assert scheduler.result(scheduler.schedule("t", flaky)) == "done"
    assert flaky.seconds() == [0, 7, 14, 21]


def test_it_then_counts_as_an_attempt(clock: VirtualClock, scheduler: Scheduler) -> None:
    flaky = Flaky(clock, 9, lambda: Retry(after=timedelta(seconds=9)))
    outcome = scheduler.wait_for_task(scheduler.schedule("t", flaky, retry=EXACT))
    assert (outcome.status, type(outcome.error)) == ("failed", Retry)
    assert flaky.seconds() == [0, 9, 18, 27]
    without = Flaky(clock, 9, Retry)
    scheduler.wait_for_task(scheduler.schedule("t", without, retry=EXACT))
    assert without.seconds() == [0, 1, 3, 6]


def test_the_error_behind_it_is_that_of_the_run(scheduler: Scheduler) -> None:
    def work() -> None:
        try:
            raise ConnectionError("down")
        except ConnectionError as error:
            raise Retry(after=1) from error

    outcome = scheduler.wait_for_task(scheduler.schedule("t", work, retries=1))
    assert (type(outcome.error), str(outcome.error)) == (ConnectionError, "down")


@pytest.mark.parametrize("after", [-1, float("nan"), float("inf"), "soon", [], True])
def test_a_bad_span_is_refused_where_it_is_said(after: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^after must"):
        Retry(after)


# ---- recurring tasks, and control --------------------------------------------------------------


def test_the_grid_does_not_move_and_what_falls_due_is_skipped(
    clock: VirtualClock, scheduler: Scheduler
) -> None:
    policy = RetryPolicy(3, wait_initial=15, wait_exp_base=1, wait_jitter=0)
    flaky = Flaky(clock, 2)
    nominal: list[float] = []
    start = clock.now()

    def work() -> None:
        run = current_run()
        assert run is not None
        nominal.append((run.nominal_time - start).total_seconds())
        flaky()

    task_id = scheduler.schedule("t", work, interval=10, retry=policy, max_runs=3)
    clock.advance(100)
    # Attempts at 0, 15 and 30; what was due at 10 and 20 overlapped, and 30 is due now.
    assert flaky.seconds() == [0, 15, 30, 30, 40]
    assert nominal == [0, 0, 0, 30, 40]
    assert scheduler.tasks[task_id].run_count == 3
    assert scheduler.statistics().skipped == 2


def test_a_task_is_paused_after_failed_runs_not_after_attempts(
    clock: VirtualClock, scheduler: Scheduler
) -> None:
    flaky = Flaky(clock, 99)
    policy = RetryPolicy(2, wait_initial=1, wait_jitter=0)
    task_id = scheduler.schedule("t", flaky, interval=60, retry=policy, pause_after_failures=2)
    clock.advance(600)
    assert scheduler.tasks[task_id].status == "paused"
    assert flaky.attempts == [1, 2, 1, 2]


def test_one_that_waits_for_its_next_attempt_can_be_cancelled(
    clock: VirtualClock, scheduler: Scheduler
) -> None:
    flaky = Flaky(clock, 9)
    task_id = scheduler.schedule("t", flaky, retry=EXACT)
    clock.advance(0.5)
    assert scheduler.tasks[task_id].status == "pending"
    assert scheduler.tasks[task_id].next_run == flaky.calls[0] + timedelta(seconds=1)
    assert scheduler.cancel_task(task_id)
    clock.advance(60)
    assert len(flaky.calls) == 1
    assert scheduler.tasks[task_id].status == "cancelled"


def test_one_that_is_cancelled_while_it_runs_is_not_tried_again(
    clock: VirtualClock, scheduler: Scheduler
) -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        scheduler.cancel_task(task_id)
        raise OSError

    task_id = scheduler.schedule("t", work, retry=EXACT)
    clock.advance(60)
    assert (calls, scheduler.tasks[task_id].status) == ([1], "cancelled")


def test_it_can_be_paused_resumed_and_run_at_once(
    clock: VirtualClock, scheduler: Scheduler
) -> None:
    policy = RetryPolicy(5, wait_initial=100, wait_exp_base=1, wait_max=100, wait_jitter=0)
    flaky = Flaky(clock, 3)
    task_id = scheduler.schedule("t", flaky, retry=policy)
    clock.advance(10)
    assert scheduler.pause_task(task_id)
    clock.advance(200)
    assert scheduler.resume_task(task_id)
    clock.advance(10)
    assert scheduler.run_now(task_id)
    clock.advance(90)
    assert flaky.seconds() == [0, 210, 220]
    assert scheduler.result(task_id) == "done"
    assert (flaky.seconds()[-1], flaky.attempts) == (320, [1, 2, 3, 4])


def test_a_pause_does_not_shorten_the_wait(clock: VirtualClock, scheduler: Scheduler) -> None:
    policy = RetryPolicy(5, wait_initial=100, wait_exp_base=1, wait_max=100, wait_jitter=0)
    flaky = Flaky(clock, 1)
    task_id = scheduler.schedule("t", flaky, retry=policy)
    clock.advance(10)
    scheduler.pause_task(task_id)
    scheduler.resume_task(task_id)
    clock.advance(89)
    assert flaky.seconds() == [0]
    clock.advance(1)
    assert flaky.seconds() == [0, 100]


def test_another_time_begins_anew(clock: VirtualClock, scheduler: Scheduler) -> None:
    flaky = Flaky(clock, 2)
    task_id = scheduler.schedule("t", flaky, retry=EXACT)
    clock.advance(0.5)
    assert scheduler.reschedule_task(task_id, delay=10)
    clock.advance(60)
    assert flaky.seconds() == [0, 10.5, 11.5]
    assert flaky.attempts == [1, 1, 2]


def test_it_keeps_its_order_and_holds_up_nobody(clock: VirtualClock, scheduler: Scheduler) -> None:
    seen: list[str] = []

    def flaky() -> None:
        seen.append("flaky")
        if seen.count("flaky") < 3:
            raise Retry

    scheduler.schedule("t", flaky)
    for name in ("a", "b", "c"):
        scheduler.schedule("t", seen.append, args=(name,))
    clock.advance(0)
    # Asked for at once, it comes after what is due already.
    assert seen == ["flaky", "a", "b", "c", "flaky", "flaky"]


# ---- what is said ------------------------------------------------------------------------------


def test_each_attempt_is_one_line_and_the_last_is_an_error(
    scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    def work() -> None:
        raise OSError("down")

    policy = RetryPolicy(3, wait_initial=1, wait_jitter=0)
    task_id = scheduler.schedule("poll", work, retry=policy)
    scheduler.wait_for_task(task_id)
    lines = [record for record in caplog.records if "poll" in record.message]
    assert [(record.levelname, record.message) for record in lines] == [
        (
            "WARNING",
            f"Task 'poll' ({task_id}) failed in attempt 1 of 3, and is tried again in 1 s: "
            "OSError: down",
        ),
        (
            "WARNING",
            f"Task 'poll' ({task_id}) failed in attempt 2 of 3, and is tried again in 2 s: "
            "OSError: down",
        ),
        ("ERROR", f"Task 'poll' ({task_id}) failed: OSError: down"),
    ]
    assert {getattr(record, "task_id", None) for record in lines} == {task_id}


def test_events_say_which_attempt(clock: VirtualClock) -> None:
    bus, seen = EventBus(), []

    def note(event: Any) -> None:
        kind = event.event_type.removeprefix("scheduler.task_")
        payload = event.payload
        seen.append((kind, payload.get("attempt"), payload.get("delay")))

    bus.subscribe("scheduler.task_.*", note, is_pattern=True)
    with Scheduler(clock=clock, event_bus=bus) as scheduler:
        flaky = Flaky(clock, 2)
        scheduler.schedule("t", flaky, retry=EXACT)
        clock.advance(60)
    assert seen == [
        ("scheduled", None, None),
        ("started", 1, None),
        ("retrying", 1, 1.0),
        ("started", 2, None),
        ("retrying", 2, 2.0),
        ("started", 3, None),
        ("completed", None, None),
    ]


# ---- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("attempts", value) for value in (0, -1, True, 1.5, "3", 2**31)),
        *(("wait_initial", value) for value in (-1, float("nan"), float("inf"), "x", None)),
        *(("wait_max", value) for value in (-1, float("nan"), None)),
        *(("wait_jitter", value) for value in (-1, float("nan"), None)),
        *(("wait_exp_base", value) for value in (0.5, float("nan"), float("inf"), "2", None, True)),
        *(("on", value) for value in (None, 5, "OSError", OSError(), (OSError, 5), [OSError], int)),
        *(("until", value) for value in (-1, float("nan"), "x")),
    ],
)
def test_a_bad_policy_is_refused(option: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^{option} must"):
        RetryPolicy(**{option: value})


@pytest.mark.parametrize("retries", [-1, True, 1.5, "3", 2**31])
def test_a_bad_number_of_retries_is_refused(scheduler: Scheduler, retries: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^retries must"):
        scheduler.schedule("t", print, retries=retries)
    with pytest.raises((TypeError, ValueError), match=r"^retries must"):
        RunPolicy(retries=retries)
    assert len(scheduler.tasks) == 0


@pytest.mark.parametrize("retry", [3, "3", RetryPolicy, {"attempts": 3}])
def test_what_is_no_policy_is_refused(scheduler: Scheduler, retry: Any) -> None:
    with pytest.raises(TypeError, match=r"^retry must be a RetryPolicy or None, got"):
        scheduler.schedule("t", print, retry=retry)
    assert len(scheduler.tasks) == 0


def test_only_one_of_both_may_be_said(scheduler: Scheduler) -> None:
    with pytest.raises(ValueError, match=r"^give either retry or retries"):
        scheduler.schedule("t", print, retry=EXACT, retries=3)


def test_a_policy_cannot_be_changed_and_can_be_compared() -> None:
    policy = RetryPolicy(5, on=OSError)
    with pytest.raises(AttributeError, match="cannot be changed"):
        policy.attempts = 6
    with pytest.raises(AttributeError, match="cannot be changed"):
        del policy.attempts
    assert policy == RetryPolicy(5, on=(OSError,))
    assert hash(policy) == hash(RetryPolicy(5, on=OSError))
    assert policy != RetryPolicy(6, on=OSError)
    assert repr(policy) == f"RetryPolicy(attempts=5, on=({OSError!r},))"


def test_a_policy_that_was_spoilt_fails_the_run(
    clock: VirtualClock, scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    policy = RunPolicy()
    task = Task("t", Flaky(clock, 9), policy=policy)
    task_id = scheduler.schedule_task(task)
    policy.retry = 5  # type: ignore[assignment]
    assert scheduler.wait_for_task(task_id).status == "failed"
    assert "could not be tried again" in caplog.text

"""Whether and when a run that has failed is tried again: `RetryPolicy`, and `Retry`."""

from __future__ import annotations

import random

from num_agents.scheduler._hints import hinted
from num_agents.scheduler._messages import show
from num_agents.scheduler._numbers import integer
from num_agents.scheduler._timing.spans import SECOND_NS, Seconds, bounded_span_ns

#: Of so many attempts each has its own wait. A later one waits as long as this one.
_MOST_DOUBLINGS = 1000

ErrorTypes = type[BaseException] | tuple[type[BaseException], ...]


class RetryPolicy:
    """Whether and when a run that has failed is tried again.

    The wait after attempt n is `min(wait_max, wait_initial * wait_exp_base ** (n - 1))`, and up to
    `wait_jitter` more at random. No worker waits meanwhile: the task is pending.

    Args:
        attempts: How many attempts at most, the first included. None: any number.
        wait_initial: Seconds or a timedelta to wait after the first attempt.
        wait_max: The longest wait, without the jitter.
        wait_exp_base: By what each wait is longer than the one before; at least 1.
        wait_jitter: The greatest random span that is added. It spreads attempts that failed for
            the same reason at the same time.
        on: The exception class, or a tuple of them, after which another attempt is made.
        until: Seconds or a timedelta from the start of the first attempt. No attempt starts later.
            None: no limit.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is out of its range.
    """

    __slots__ = (
        "attempts",
        "on",
        "until",
        "wait_exp_base",
        "wait_initial",
        "wait_jitter",
        "wait_max",
    )

    attempts: int | None
    wait_initial: Seconds
    wait_max: Seconds
    wait_exp_base: float
    wait_jitter: Seconds
    on: tuple[type[BaseException], ...]
    until: Seconds | None

    @hinted("RetryPolicy")
    def __init__(
        self,
        attempts: int | None = 3,
        *,
        wait_initial: Seconds = 0.1,
        wait_max: Seconds = 60.0,
        wait_exp_base: float = 2.0,
        wait_jitter: Seconds = 1.0,
        on: ErrorTypes = (Exception,),
        until: Seconds | None = None,
    ) -> None:
        if attempts is not None:
            integer(attempts, "attempts", 1, 2**31 - 1)
        bounded_span_ns(wait_initial, "wait_initial")
        bounded_span_ns(wait_max, "wait_max")
        bounded_span_ns(wait_jitter, "wait_jitter")
        if until is not None:
            bounded_span_ns(until, "until")
        values = {
            "attempts": attempts,
            "wait_initial": wait_initial,
            "wait_max": wait_max,
            "wait_exp_base": _base(wait_exp_base),
            "wait_jitter": wait_jitter,
            "on": _error_types(on),
            "until": until,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a RetryPolicy cannot be changed: make another one, to set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a RetryPolicy cannot be changed: {name} cannot be deleted")

    def wait_ns(self, attempt: int, key: str) -> int:
        """How long to wait after an attempt, in nanoseconds.

        Args:
            attempt: Which attempt it was, from 1 on.
            key: What the random part is drawn from: the same key and attempt give the same.
        """
        longest = bounded_span_ns(self.wait_max, "wait_max")
        initial = bounded_span_ns(self.wait_initial, "wait_initial")
        try:
            factor = self.wait_exp_base ** min(attempt - 1, _MOST_DOUBLINGS)
            wait = min(int(initial * factor), longest)
        except OverflowError:
            wait = longest if initial else 0
        jitter = bounded_span_ns(self.wait_jitter, "wait_jitter")
        if jitter:
            wait += random.Random(f"{key}:{attempt}").randrange(jitter)
        return wait

    def allows(self, error: BaseException, attempt: int) -> bool:
        """Whether another attempt is made after one that raised this."""
        if self.attempts is not None and attempt >= self.attempts:
            return False
        # Not `isinstance`: that asks the exception, which may raise.
        return issubclass(type(error), self.on)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RetryPolicy):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.__slots__))

    def __repr__(self) -> str:
        default = _DEFAULT
        given = ", ".join(
            f"{name}={getattr(self, name)!r}"
            for name in sorted(self.__slots__)
            if getattr(self, name) != getattr(default, name)
        )
        return f"RetryPolicy({given})"


class Retry(Exception):  # noqa: N818 - what it is raised for, and no error
    """Raised by a callback to be tried again.

    It is an attempt like one that failed. If the task has a `RetryPolicy`, no more attempts are
    made than that allows, whatever its `on` says; without one there is no limit. After the last
    attempt the run has failed, with what this was raised from (`raise Retry(after=5) from error`),
    or else with this.

    Args:
        after: Seconds or a timedelta to wait. None: as long as the policy says, or not at all.

    Raises:
        TypeError: `after` has the wrong type.
        ValueError: It is NaN, infinite or negative.
    """

    def __init__(self, after: Seconds | None = None) -> None:
        super().__init__(after)
        self.after_ns = None if after is None else bounded_span_ns(after, "after")

    def __str__(self) -> str:
        if self.after_ns is None:
            return "to be tried again"
        return f"to be tried again after {self.after_ns / SECOND_NS:g} s"


def retry_of(retry: object, retries: object) -> RetryPolicy | None:
    """The policy that the options `retry` and `retries` say together.

    Raises:
        TypeError: One has the wrong type.
        ValueError: Both are given, or `retries` is negative.
    """
    if retries is not None:
        if retry is not None:
            raise ValueError("give either retry or retries")
        return RetryPolicy(1 + integer(retries, "retries", 0, 2**31 - 2))
    if retry is not None and not isinstance(retry, RetryPolicy):
        raise TypeError(f"retry must be a RetryPolicy or None, got {show(retry)}")
    return retry


def _base(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"wait_exp_base must be a number, got {show(value)}")
    if not 1 <= value < float("inf"):
        raise ValueError(f"wait_exp_base must be finite and at least 1, got {show(value)}")
    return float(value)


def _error_types(value: object) -> tuple[type[BaseException], ...]:
    types = value if isinstance(value, tuple) else (value,)
    for one in types:
        if not (isinstance(one, type) and issubclass(one, BaseException)):
            raise TypeError(f"on must be an exception class or a tuple of them, got {show(value)}")
    return types


_DEFAULT = RetryPolicy()

"""What is to come: runs by stretches of time, the busiest seconds, and collisions."""

from __future__ import annotations

from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.moments import to_datetime
from num_agents.scheduler._timing.spans import SECOND_NS, span_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, tzinfo
    from typing import Any

    from num_agents.scheduler import _native

#: The longest horizon, in seconds: 366 days.
LONGEST_S = 366 * 86_400

#: How many of the busiest seconds `to_dict` tells.
_BUSIEST = 10


class Forecast:
    """What a scheduler would run from a moment on, if nothing changed: `Scheduler.forecast`.

    Attributes:
        start: The moment of the forecast.
        horizon: How many seconds it looks ahead.
        bucket: How many seconds a stretch has; the last one may be cut short by the horizon.
        buckets: For each stretch its start and the runs in it.
        total: All runs within the horizon.
        collisions: Seconds in which more than one run is due, counted from `start`.
    """

    __slots__ = (
        "_native",
        "_start_ns",
        "_zone",
        "bucket",
        "buckets",
        "collisions",
        "horizon",
        "start",
        "total",
    )

    def __init__(
        self,
        native: _native.Forecast,
        start_ns: int,
        horizon: int,
        bucket: int,
        zone: tzinfo | None,
    ) -> None:
        self._native = native
        self._zone = zone
        self._start_ns = start_ns
        self.start = to_datetime(start_ns, zone)
        self.horizon = horizon
        self.bucket = bucket
        self.buckets: list[tuple[datetime, int]] = [
            (to_datetime(start_ns + place * bucket * SECOND_NS, zone), runs)
            for place, runs in enumerate(native.buckets(bucket))
        ]
        self.total = sum(runs for _, runs in self.buckets)
        self.collisions = native.collisions()

    def busiest(self, count: int = 10) -> list[tuple[datetime, int]]:
        """The seconds with the most runs, most first; each by its start.

        Raises:
            TypeError: `count` is no integer.
            ValueError: It is negative.
        """
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"count must be an integer, got {show(count)}")
        if count < 0:
            raise ValueError(f"count must not be negative, got {show(count)}")
        count = min(count, self.horizon)
        return [
            (to_datetime(self._start_ns + second * SECOND_NS, self._zone), runs)
            for second, runs in self._native.busiest(count)
        ]

    def to_dict(self) -> dict[str, Any]:
        """The forecast by name; moments in ISO-8601."""

        def pairs(found: list[tuple[datetime, int]]) -> list[tuple[str, int]]:
            return [(moment.isoformat(), runs) for moment, runs in found]

        return {
            "start": self.start.isoformat(),
            "horizon": self.horizon,
            "bucket": self.bucket,
            "buckets": pairs(self.buckets),
            "total": self.total,
            "busiest": pairs(self.busiest(_BUSIEST)),
            "collisions": self.collisions,
        }

    def __repr__(self) -> str:
        return f"<Forecast of {self.total} runs in {self.horizon} s from {self.start.isoformat()}>"


def whole_s(value: object, argument: str) -> int:
    """A span of whole seconds within the longest horizon.

    Raises:
        TypeError: It is neither a number nor a timedelta.
        ValueError: It is not from 1 s to 366 days, or no whole number of seconds.
    """
    seconds, rest = divmod(span_ns(value, argument, positive=True), SECOND_NS)
    if rest or not 1 <= seconds <= LONGEST_S:
        raise ValueError(
            f"{argument} must be whole seconds, at most 366 days of them, got {show(value)}"
        )
    return seconds

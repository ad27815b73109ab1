"""The load to come: runs by buckets of time, the busiest seconds, and collisions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any, SupportsIndex

from num_agents._lazy import LazyModule
from num_agents.scheduler._messages import show
from num_agents.scheduler._timing.moments import to_datetime
from num_agents.scheduler._timing.spans import SECOND_NS, span_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import overload

    from num_agents.scheduler import _native
else:
    _native = LazyModule("num_agents.scheduler._native")

#: The longest horizon and the longest bucket, in days and in seconds.
LONGEST_DAYS = 366
LONGEST_S = LONGEST_DAYS * 86_400

#: How many of the busiest seconds `to_dict` has.
_BUSIEST = 10

#: How many buckets are summed up at once while they are iterated over.
_PIECE = 4096


class Forecast:
    """What a scheduler would run from a moment on, if nothing changed: `Scheduler.forecast`.

    It counts the runs due in [start, start + horizon): those due at `start` belong to it, those due
    at its end do not.

    Attributes:
        start: The moment of the forecast.
        horizon: How many seconds it looks ahead.
        bucket: The length of each bucket in seconds; the horizon may cut the last one short.
        buckets: A sequence of each bucket's start and the number of runs in it. An item is made
            when it is read, so a forecast by the second needs little memory.
        total: The number of runs within the horizon.
        collisions: In how many seconds, counted from `start`, more than one run is due.
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
        self.buckets = Buckets(self)
        self.total = native.total()
        self.collisions = native.collisions()

    def busiest(self, count: int = 10) -> list[tuple[datetime, int]]:
        """The start and the runs of the seconds with the most runs: most first, then earliest.

        Args:
            count: At most how many.

        Raises:
            TypeError: `count` is not an integer.
            ValueError: It is negative.
        """
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"count must be an integer, got {show(count)}")
        if count < 0:
            raise ValueError(f"count must not be negative, got {show(count)}")
        count = min(count, self.horizon)
        return [(self._at(second), runs) for second, runs in self._native.busiest(count)]

    def to_dict(self) -> dict[str, Any]:
        """The forecast by name, with every bucket; moments in ISO-8601."""
        return {
            "start": self.start.isoformat(),
            "horizon": self.horizon,
            "bucket": self.bucket,
            "buckets": [(moment.isoformat(), runs) for moment, runs in self.buckets],
            "total": self.total,
            "busiest": [(moment.isoformat(), runs) for moment, runs in self.busiest(_BUSIEST)],
            "collisions": self.collisions,
        }

    def _at(self, second: int) -> datetime:
        return to_datetime(self._start_ns + second * SECOND_NS, self._zone)

    def __repr__(self) -> str:
        return f"<Forecast of {self.total} runs in {self.horizon} s from {self.start.isoformat()}>"


class Buckets:
    """The start of each bucket of a forecast, and the number of runs in it, as a sequence.

    It equals a list of the same items. Reading one item costs O(bucket).
    """

    __slots__ = ("_forecast",)

    def __init__(self, forecast: Forecast) -> None:
        self._forecast = forecast

    def __len__(self) -> int:
        full, rest = divmod(self._forecast.horizon, self._forecast.bucket)
        return full + (rest > 0)

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, index: SupportsIndex) -> tuple[datetime, int]: ...

        @overload
        def __getitem__(self, index: slice) -> list[tuple[datetime, int]]: ...

    def __getitem__(
        self, index: SupportsIndex | slice
    ) -> tuple[datetime, int] | list[tuple[datetime, int]]:
        # A range knows what an index, a negative one and a slice mean.
        picked = range(len(self))[index]
        if isinstance(picked, int):
            return self._items(picked, 1)[0]
        return [self._items(number, 1)[0] for number in picked]

    def __iter__(self) -> Iterator[tuple[datetime, int]]:
        for first in range(0, len(self), _PIECE):
            yield from self._items(first, _PIECE)

    def __reversed__(self) -> Iterator[tuple[datetime, int]]:
        for number in reversed(range(len(self))):
            yield self[number]

    def __contains__(self, item: object) -> bool:
        return any(item == one for one in self)

    def index(self, item: object, start: int = 0, stop: int | None = None) -> int:
        """The first index of an item.

        Raises:
            ValueError: It is not in there.
        """
        for number in range(len(self))[start:stop]:
            if self[number] == item:
                return number
        raise ValueError(f"{show(item)} is not in the buckets")

    def count(self, item: object) -> int:
        """How many times an item is in there: 0 or 1, since each bucket has another start."""
        return int(item in self)

    def _items(self, first: int, count: int) -> list[tuple[datetime, int]]:
        forecast = self._forecast
        width = forecast.bucket
        runs = forecast._native.buckets(width, first, count)  # noqa: SLF001 - a part of it
        return [
            (forecast._at((first + number) * width), found)  # noqa: SLF001 - as above
            for number, found in enumerate(runs)
        ]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Buckets | list):
            return NotImplemented
        if len(self) != len(other):
            return False
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have none

    def __repr__(self) -> str:
        shown = ", ".join(f"({moment.isoformat()}, {runs})" for moment, runs in self[:3])
        more = ", ..." if len(self) > 3 else ""  # noqa: PLR2004 - as many as above
        return f"<{len(self)} buckets of {self._forecast.bucket} s: [{shown}{more}]>"


def whole_s(value: object, argument: str) -> int:
    """A span of whole seconds within the longest horizon.

    Raises:
        TypeError: It is neither a number nor a timedelta.
        ValueError: It is not from 1 s to 366 days, or not a whole number of seconds.
    """
    seconds, rest = divmod(span_ns(value, argument, positive=True), SECOND_NS)
    if rest or not 1 <= seconds <= LONGEST_S:
        raise ValueError(
            f"{argument} must be whole seconds, at most {LONGEST_DAYS} days of them, got "
            f"{show(value)}"
        )
    return seconds

"""Counts and lateness: what a scheduler did, and what it left when it was stopped."""

from __future__ import annotations

from typing import Any


class LatenessHistogram:
    """How late runs started, in buckets of 3 % width.

    Attributes:
        count: Runs counted.
        max_ns: The greatest lateness in nanoseconds, exactly; 0 when nothing was counted.
    """

    __slots__ = ("_buckets", "count", "max_ns")

    def __init__(self, count: int, max_ns: int, buckets: list[tuple[int, int, int]]) -> None:
        self.count = count
        self.max_ns = max_ns
        self._buckets = buckets

    def buckets(self) -> list[tuple[int, int, int]]:
        """The buckets that are not empty, ascending: least ns, greatest ns, count."""
        return list(self._buckets)

    def quantile_ns(self, quantile: float) -> int:
        """The lateness that this share of the runs did not exceed, at most 3 % too high.

        Args:
            quantile: From 0 to 1; 0.99 is the 99th percentile.

        Raises:
            ValueError: `quantile` is not from 0 to 1.
        """
        if not 0 <= quantile <= 1:
            raise ValueError(f"quantile must be from 0 to 1, got {quantile!r}")
        wanted = quantile * self.count
        seen = 0
        for _, greatest, count in self._buckets:
            seen += count
            if seen >= wanted:
                return greatest
        return self.max_ns

    def __repr__(self) -> str:
        return f"<LatenessHistogram of {self.count} runs, at most {self.max_ns / 1e6:.3f} ms>"


class Statistics:
    """A snapshot of a scheduler.

    Attributes:
        scheduled: Tasks scheduled so far.
        cancelled: Tasks cancelled so far.
        started: Attempts at runs that were started so far: without retries, runs.
        completed: Runs that returned.
        failed: Runs that raised, in their last attempt.
        retried: Attempts at runs that raised and were followed by another attempt.
        missed: Occurrences given up because they were late.
        skipped: Occurrences given up because the previous run had not ended.
        clock_changes: Times that the wall clock was set, or the machine suspended.
        rekeyed: Tasks that got a new deadline because of that.
        deferred: Overdue tasks that were delayed by `catch_up_spread`.
        pending: Tasks that wait for their time or for a worker.
        due: Those of them that the engine has found due and that no worker has taken.
        running: Tasks that are running.
        held: Threads that go on though the run that they were in has exceeded its `timeout`.
        paused: Tasks that are paused.
        memory_bytes: Memory that the engine holds, without callbacks and arguments.
        lateness: How late runs started.
    """

    __slots__ = (
        "cancelled",
        "clock_changes",
        "completed",
        "deferred",
        "due",
        "failed",
        "held",
        "lateness",
        "memory_bytes",
        "missed",
        "paused",
        "pending",
        "rekeyed",
        "retried",
        "running",
        "scheduled",
        "skipped",
        "started",
    )

    def __init__(
        self,
        figures: dict[str, int],
        lateness: tuple[int, int, list[tuple[int, int, int]]],
    ) -> None:
        self.scheduled = figures["scheduled"]
        self.cancelled = figures["cancelled"]
        self.started = figures["started"]
        self.completed = figures["completed"]
        self.failed = figures["failed"]
        self.retried = figures["retried"]
        self.missed = figures["missed"]
        self.skipped = figures["skipped"]
        self.clock_changes = figures["clock_changes"]
        self.rekeyed = figures["rekeyed"]
        self.deferred = figures["deferred"]
        self.pending = figures["pending"]
        self.due = figures["due"]
        self.running = figures["running"]
        self.held = figures["held"]
        self.paused = figures["paused"]
        self.memory_bytes = figures["memory_bytes"]
        self.lateness = LatenessHistogram(*lateness)

    def to_dict(self) -> dict[str, Any]:
        """The figures by name, without the histogram."""
        names = (name for name in sorted(self.__slots__) if name != "lateness")
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        shown = (
            f"{value} {name}"
            for name in _SHOWN
            if (value := getattr(self, name)) or name in _SHOWN_ALWAYS
        )
        return f"<Statistics: {', '.join(shown)}>"


#: What a representation has, in this order; zeros are left out of all but a few.
_SHOWN = (
    "pending",
    "due",
    "paused",
    "running",
    "held",
    "completed",
    "failed",
    "retried",
    "cancelled",
    "missed",
    "skipped",
)
_SHOWN_ALWAYS = ("pending", "running", "completed")


class StopReport:
    """What `Scheduler.stop` left behind.

    Attributes:
        was_running: Whether there was anything to stop.
        ended: Whether every worker had ended its run within the timeout; the calling one, if
            stopped from a callback, is not counted.
        running: Tasks that still run.
        pending: Tasks that stay, for a later start.
    """

    __slots__ = ("ended", "pending", "running", "was_running")

    def __init__(self, *, was_running: bool, ended: bool, running: int, pending: int) -> None:
        self.was_running = was_running
        self.ended = ended
        self.running = running
        self.pending = pending

    @classmethod
    def of(cls, statistics: Statistics, *, was_running: bool, ended: bool) -> StopReport:
        """The report that statistics taken after the stop give."""
        return cls(
            was_running=was_running,
            # A worker may still be on its way out, with nothing in its hands.
            ended=ended or statistics.running == 0,
            running=statistics.running,
            pending=statistics.pending,
        )

    def __repr__(self) -> str:
        return (
            f"StopReport(was_running={self.was_running}, ended={self.ended}, "
            f"running={self.running}, pending={self.pending})"
        )

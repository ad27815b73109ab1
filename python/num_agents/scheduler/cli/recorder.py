"""What the callbacks saw: which task started, when, and in which order.

The checks of the command line must not depend on the engine, so each run takes the next place from
one atomic counter and notes its task's number and the time there. No place is written twice, so no
update can be lost between threads, and a second run of the same task has a place of its own.
"""

from __future__ import annotations

import itertools
import time
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Places in addition to one for each task: for tasks that run twice.
SPARE_PLACES = 1_024

# The engine's monotonic clock. On Windows `time.monotonic_ns` is a coarser one (16 ms until Python
# 3.13) that would call punctual tasks early; elsewhere the two are the same clock.
clock_ns: Callable[[], int] = time.perf_counter_ns


@dataclass(frozen=True)
class Findings:
    """What a recorder found.

    Attributes:
        started: Runs that began.
        early: Runs that began before the lower bound of their due time.
        twice: Runs beyond the first of a task.
        never: Numbers of tasks that did not run, ascending.
        overtaken: Runs that began after a run of a task due later.
        lateness_ns: Start less the lower bound of the due time, for every run noted, in order of
            start.
        started_ns: When each of those runs began, by `clock_ns`.
    """

    started: int
    early: int
    twice: int
    never: array[int]
    overtaken: int
    lateness_ns: array[int]
    started_ns: array[int]


class Recorder:
    """Notes the start of each run of `tasks` numbered tasks.

    Memory: 16 bytes a task while it records.
    """

    def __init__(self, tasks: int) -> None:
        self._tasks = tasks
        places = tasks + SPARE_PLACES
        # Filled beforehand, so that their pages don't count as the scheduler's memory later.
        self._numbers = array("q", [-1]) * places
        self._started_ns = array("q", [-1]) * places
        self._places = itertools.count()
        self.callback = self._make_callback()

    def _make_callback(self) -> Callable[[int], None]:
        numbers, started_ns, places = self._numbers, self._started_ns, self._places
        limit = len(numbers)

        def note_start(number: int) -> None:
            now_ns = clock_ns()
            place = next(places)
            if place < limit:
                numbers[place] = number
                started_ns[place] = now_ns

        return note_start

    def judge(self, due_ns: array[int]) -> Findings:
        """Compare the runs with when they were due; call it once, after the last run.

        Args:
            due_ns: For each task, by number, a time by `clock_ns` before which it is not due.

        Returns:
            What was found. Order is by (due time, number): a run is overtaken if a run with a
            greater one took its place before it. A callback takes its place as its first act, but
            with several workers the interpreter may switch threads between the hand-over of a task
            and that act, so a few overtaken runs there say nothing about the scheduler's order;
            with one worker there must be none.
        """
        started = next(self._places)
        noted = min(started, len(self._numbers))
        runs = bytearray(self._tasks)
        early = twice = overtaken = 0
        lateness_ns: array[int] = array("q")
        latest = (-1, -1)
        for place in range(noted):
            number = self._numbers[place]
            due = due_ns[number]
            late_ns = self._started_ns[place] - due
            lateness_ns.append(late_ns)
            early += late_ns < 0
            twice += runs[number]
            runs[number] = 1
            if (due, number) < latest:
                overtaken += 1
            else:
                latest = (due, number)
        return Findings(
            started=started,
            early=early,
            twice=twice + started - noted,
            never=array("q", (number for number, ran in enumerate(runs) if not ran)),
            overtaken=overtaken,
            lateness_ns=lateness_ns,
            started_ns=self._started_ns[:noted],
        )

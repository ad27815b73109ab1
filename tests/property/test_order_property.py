"""Random programs against a model of a few lines: what runs, when, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from num_agents.scheduler import Scheduler
from num_agents.scheduler.testing import VirtualClock

SECOND = 1_000_000_000

#: Few different times and priorities, so that ties are the rule.
spans = st.sampled_from([0, 1, 1, 2, 3, 5, 8, 100, 3600, 10_000_000])
priorities = st.sampled_from([0, 128, 128, 128, 255])
places = st.integers(0, 1000)

operations = st.one_of(
    st.tuples(st.just("once"), spans, priorities),
    st.tuples(st.just("many"), st.lists(spans, max_size=5), priorities),
    st.tuples(st.just("past"), st.integers(1, 100), priorities),
    st.tuples(st.just("every"), st.sampled_from([1, 2, 3, 7]), priorities, st.integers(1, 4)),
    st.tuples(st.just("cancel"), places),
    st.tuples(st.just("cancel_many"), st.lists(places, max_size=4)),
    st.tuples(st.just("reschedule"), places, spans),
    st.tuples(st.just("pause"), places),
    st.tuples(st.just("resume"), places),
    st.tuples(st.just("advance"), spans),
)


@dataclass
class Entry:
    """A task of the model. Moments in seconds since the start."""

    number: int
    due: float
    priority: int
    #: Its place in the order of scheduling.
    sequence: int
    interval: int
    runs_left: int
    state: str = "pending"
    #: From when it competes with others, and behind whom.
    armed: tuple[float, int] = (0, 0)


@dataclass
class Model:
    """All tasks in a list, looked through whole at each step."""

    now: float = 0
    tasks: list[Entry] = field(default_factory=list)
    ran: list[tuple[int, float]] = field(default_factory=list)
    sequence: int = 0

    def draw(self) -> int:
        self.sequence += 1
        return self.sequence

    def add(self, due: float, priority: int, interval: int = 0, runs: int = 1) -> None:
        entry = Entry(len(self.tasks), due, priority, self.draw(), interval, runs)
        entry.armed = (max(due, self.now), entry.sequence)
        self.tasks.append(entry)

    def arm_again(self, entry: Entry) -> None:
        """What is due already goes behind those that are."""
        overdue = entry.due <= self.now
        entry.armed = (max(entry.due, self.now), self.draw() if overdue else entry.sequence)

    def pick(self, place: int) -> Entry | None:
        return self.tasks[place % len(self.tasks)] if self.tasks else None

    def cancel(self, entry: Entry) -> bool:
        was_alive = entry.state != "ended"
        entry.state = "ended"
        return was_alive

    def reschedule(self, entry: Entry, span: float) -> bool:
        if entry.state == "ended":
            return False
        entry.due = self.now + span
        entry.sequence = self.draw()
        self.arm_again(entry)
        return True

    def pause(self, entry: Entry) -> bool:
        if entry.state != "pending":
            return False
        entry.state = "paused"
        return True

    def resume(self, entry: Entry) -> bool:
        if entry.state != "paused":
            return False
        entry.state = "pending"
        self.arm_again(entry)
        return True

    def advance(self, span: float) -> None:
        target = self.now + span
        while True:
            pending = [one for one in self.tasks if one.state == "pending"]
            moment = min((one.armed[0] for one in pending), default=target + 1)
            if moment > target:
                break
            self.now = max(self.now, moment)
            ready = [one for one in pending if one.armed[0] <= self.now]
            self.run(min(ready, key=lambda one: (one.priority, one.armed)))
        self.now = target

    def run(self, entry: Entry) -> None:
        self.ran.append((entry.number, self.now))
        entry.runs_left -= 1
        if not (entry.interval and entry.runs_left):
            entry.state = "ended"
            return
        # The latest of those that are late runs; the grid stays.
        entry.due += (self.now - entry.due) // entry.interval * entry.interval + entry.interval
        entry.armed = (entry.due, entry.sequence)


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(operations, max_size=40))
def test_random_programs_do_what_the_model_does(program: list[tuple[Any, ...]]) -> None:
    check(program)


@pytest.mark.long
@settings(max_examples=20_000, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(operations, max_size=120))
def test_long_random_programs_do_what_the_model_does(program: list[tuple[Any, ...]]) -> None:
    check(program)


def check(program: list[tuple[Any, ...]]) -> None:
    """Runs a program on both, and compares what they say and do at each step."""
    both = Both()
    for word, *details in program:
        getattr(both, word)(*details)
    both.advance(20_000_000)
    both.compare_what_is_left()


class Both:
    """The scheduler and its model, which are told the same."""

    def __init__(self) -> None:
        self.clock, self.model = VirtualClock(), Model()
        self.start = self.clock.native.now_ns()
        self.scheduler = Scheduler(clock=self.clock)
        self.scheduler.start()
        self.ids: list[str] = []
        self.ran: list[tuple[int, float]] = []

    def note(self, number: int) -> None:
        self.ran.append((number, (self.clock.native.now_ns() - self.start) / SECOND))

    def schedule(self, **options: Any) -> None:
        self.ids.append(self.scheduler.schedule("t", self.note, args=(len(self.ids),), **options))

    def once(self, delay: int, priority: int) -> None:
        self.schedule(delay=delay, priority=priority)
        self.model.add(self.model.now + delay, priority)

    def every(self, interval: int, priority: int, runs: int) -> None:
        self.schedule(interval=interval, priority=priority, max_runs=runs)
        self.model.add(self.model.now, priority, interval, runs)

    def past(self, age: int, priority: int) -> None:
        self.schedule(run_at=self.clock.now() - timedelta(seconds=age), priority=priority)
        self.model.add(self.model.now - age, priority)

    def many(self, delays: list[int], priority: int) -> None:
        first, count = len(self.ids), len(delays)
        self.ids += self.scheduler.schedule_many(
            "t",
            self.note,
            delays=delays,
            args=[(first + offset,) for offset in range(count)],
            priorities=[priority] * count,
        )
        for delay in delays:
            self.model.add(self.model.now + delay, priority)

    def cancel(self, place: int) -> None:
        if entry := self.model.pick(place):
            done = self.scheduler.cancel_task(self.ids[entry.number])
            assert done == self.model.cancel(entry)

    def cancel_many(self, chosen: list[int]) -> None:
        picked = [entry for entry in map(self.model.pick, chosen) if entry]
        stopped = self.scheduler.cancel_many([self.ids[entry.number] for entry in picked])
        assert stopped == sum(map(self.model.cancel, picked))

    def reschedule(self, place: int, span: int) -> None:
        if entry := self.model.pick(place):
            done = self.scheduler.reschedule_task(self.ids[entry.number], delay=span)
            assert done == self.model.reschedule(entry, span)

    def pause(self, place: int) -> None:
        if entry := self.model.pick(place):
            done = self.scheduler.pause_task(self.ids[entry.number])
            assert done == self.model.pause(entry)

    def resume(self, place: int) -> None:
        if entry := self.model.pick(place):
            done = self.scheduler.resume_task(self.ids[entry.number])
            assert done == self.model.resume(entry)

    def advance(self, span: int) -> None:
        self.clock.advance(span)
        self.model.advance(span)
        assert self.ran == self.model.ran

    def compare_what_is_left(self) -> None:
        statistics = self.scheduler.statistics()
        assert statistics.started == len(self.ran)
        assert statistics.running == statistics.due == statistics.pending == 0
        alive = [entry for entry in self.model.tasks if entry.state != "ended"]
        assert statistics.paused == len(alive)
        assert set(self.scheduler.live_task_ids()) == {self.ids[entry.number] for entry in alive}

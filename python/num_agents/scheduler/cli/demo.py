"""`demo`: schedule very many tasks, cancel some, run the rest, and check every promise.

The tasks are due at random over a span that begins when all of them are scheduled, so that the
rates are those of scheduling and cancelling alone, and the lateness that of running alone.

One task in ten is a witness: it carries a number and is checked on its own, by a recorder that is
independent of the engine. The other tasks only count, in C, and are checked by how many there are:
so memory and rates are those of the scheduler and not of the demo, and ten million tasks fit on a
laptop.
"""

from __future__ import annotations

import itertools
import math
import random
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from num_agents.scheduler.cli.arguments import count, number
from num_agents.scheduler.cli.progress import JsonView, View, open_view
from num_agents.scheduler.cli.recorder import Findings, Recorder, clock_ns
from num_agents.scheduler.cli.report import Figure, Lateness, Promise, Report, failures, miscounts
from num_agents.scheduler.cli.watch import NS_PER_S, resident_bytes, watch
from num_agents.scheduler.scheduler import Scheduler

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from num_agents.scheduler import Statistics

# Tasks handed over in one call of `schedule_many`, and ids in one of `cancel_many`.
SCHEDULE_BATCH = 10_000
CANCEL_BATCH = 10_000

# One task in so many is a witness.
WITNESS_EVERY = 10

# Tasks of the rehearsal, which measures how long scheduling and cancelling will take.
REHEARSAL_TASKS = 20_000

# The span begins after this many times what the rehearsal took, and at least this long.
LEAD_FACTOR = 2.0
LEAD_MIN_S = 0.1

GOLDEN_SECTION = 0.618034


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `demo`."""
    parser.add_argument(
        "--tasks",
        type=count(at_least=1, at_most=100_000_000),
        default=1_000_000,
        metavar="N",
        help="how many tasks to schedule, such as 50000 or 1e6 (default 1e6)",
    )
    parser.add_argument(
        "--seconds",
        type=number(above=0, at_most=86_400),
        default=10.0,
        metavar="S",
        help="the span over which the tasks are due, at random (default 10)",
    )
    parser.add_argument(
        "--cancel",
        type=number(at_least=0, at_most=1),
        default=0.1,
        metavar="SHARE",
        help="the share of the tasks to cancel, from 0 to 1 (default 0.1)",
    )
    parser.add_argument(
        "--seed",
        type=count(at_least=0, at_most=2**63 - 1),
        metavar="N",
        help="a number that makes due times and cancelled tasks repeatable (default: random)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON instead of text, and no progress"
    )


def run(namespace: argparse.Namespace) -> int:
    """Run `demo`.

    Returns:
        0 if every promise held, 1 otherwise.
    """
    view = open_view(as_json=namespace.json)
    seed = random.SystemRandom().randrange(2**32) if namespace.seed is None else namespace.seed
    demo = Demo(namespace.tasks, namespace.seconds, namespace.cancel, seed)
    try:
        report = demo.run(view)
    finally:
        view.close()
    view.show(report)
    return 0 if report.held else 1


@dataclass
class Group:
    """Tasks that are checked in the same way.

    Attributes:
        scheduled: How many there are.
        picked: How many were selected for cancelling.
        cancelled: How many cancellations succeeded.
    """

    scheduled: int = 0
    picked: int = 0
    cancelled: int = 0

    @property
    def to_run(self) -> int:
        """How many must run."""
        return self.scheduled - self.cancelled


class _Ids(Protocol):
    """What `schedule_many` returns, as far as it is read here."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> str: ...


@dataclass(frozen=True)
class _Batch:
    """The ids of the tasks of one batch; its witnesses are numbered from `first_number`."""

    first_number: int
    witnesses: _Ids
    others: _Ids


class Demo:
    """One demonstration.

    Args:
        tasks: How many tasks to schedule, at least 1.
        span_s: They are due at random over so many seconds.
        cancel_share: The share of them to cancel, from 0 to 1.
        seed: Of the random numbers.
    """

    def __init__(self, tasks: int, span_s: float, cancel_share: float, seed: int) -> None:
        self.tasks = tasks
        self.span_s = span_s
        self.to_cancel = round(tasks * cancel_share)
        self.seed = seed
        self.witnesses = Group()
        self.others = Group()
        self.schedule_s = 0.0
        self.cancel_s = 0.0
        self._random = random.Random(seed)
        self._recorder = Recorder(_witnesses_among(tasks))
        # A time by `clock_ns` before which a witness is not due, by its number.
        self._due_ns = array("q")
        self._is_picked = bytearray(_witnesses_among(tasks))
        self._counter = itertools.count()
        self._batches: list[_Batch] = []

    def run(self, view: View) -> Report:
        """Schedule, cancel and run the tasks, and check every one."""
        resident_before = resident_bytes()
        lead_s = LEAD_MIN_S + LEAD_FACTOR * self._rehearse()
        with Scheduler() as scheduler:
            begin_ns = clock_ns() + int(lead_s * NS_PER_S)
            self.schedule(scheduler, begin_ns, view)
            resident_after = resident_bytes()
            engine_bytes = scheduler.statistics().memory_bytes
            self.cancel(scheduler, view)
            overdue_s = (clock_ns() - begin_ns) / NS_PER_S
            view.begin("run", self.witnesses.to_run + self.others.to_run)
            watch(scheduler, view, last_due_ns=begin_ns + int(self.span_s * NS_PER_S))
            view.close()
        growth = (
            None
            if resident_before is None or resident_after is None
            else resident_after - resident_before
        )
        return self._report(scheduler.statistics(), growth, engine_bytes, overdue_s)

    def _report(
        self, statistics: Statistics, growth: int | None, engine_bytes: int, overdue_s: float
    ) -> Report:
        findings = self._recorder.judge(self._due_ns)
        others_ran = next(self._counter)
        warnings = []
        if overdue_s > 0:
            warnings.append(
                f"scheduling and cancelling took {overdue_s:.1f} s longer than planned: the first"
                " tasks had to wait for them, which shows in the lateness"
            )
        return Report(
            command="demo",
            title=f"{self.tasks:,} tasks due over {self.span_s:g} s, seed {self.seed}",
            figures=(
                Figure("scheduled", self.tasks, "tasks"),
                Figure("cancelled", self.witnesses.cancelled + self.others.cancelled, "tasks"),
                Figure("ran", findings.started + others_ran, "tasks"),
                Figure("schedule rate", _ratio(self.tasks, self.schedule_s), "tasks per second"),
                Figure("cancel rate", _ratio(self.to_cancel, self.cancel_s), "tasks per second"),
                Figure(
                    "process memory",
                    None if growth is None else growth / self.tasks,
                    "bytes per task",
                    "growth of the resident set",
                ),
                Figure("engine memory", engine_bytes / self.tasks, "bytes per task"),
            ),
            promises=judge(
                self.witnesses,
                self.others,
                findings,
                others_ran=others_ran,
                picked_never=sum(self._is_picked[each] for each in findings.never),
                completed=statistics.completed,
                failed=statistics.failed,
            ),
            lateness=Lateness.of_engine(statistics.lateness),
            lateness_in_callbacks=Lateness.of_samples(findings.lateness_ns),
            warnings=tuple(warnings),
        )

    def schedule(self, scheduler: Scheduler, begin_ns: int, view: View) -> None:
        """Schedule all tasks, due at random over the span that begins at `begin_ns`."""
        view.begin("schedule", self.tasks)
        for first in range(0, self.tasks, SCHEDULE_BATCH):
            size = min(SCHEDULE_BATCH, self.tasks - first)
            witnesses = _witnesses_among(size)
            now_ns = clock_ns()
            lead_s = max(begin_ns - now_ns, 0) / NS_PER_S
            watched_s = self._draw(witnesses, lead_s)
            others_s = self._draw(size - witnesses, lead_s)
            first_number = self.witnesses.scheduled
            numbers = zip(range(first_number, first_number + witnesses))
            start_ns = clock_ns()
            self._batches.append(
                _Batch(
                    first_number,
                    scheduler.schedule_many(
                        "witness", self._recorder.callback, delays=watched_s, args=numbers
                    ),
                    scheduler.schedule_many("other", self._counter.__next__, delays=others_s),
                )
            )
            self.schedule_s += (clock_ns() - start_ns) / NS_PER_S
            self._due_ns.extend(start_ns + int(delay_s * NS_PER_S) for delay_s in watched_s)
            self.witnesses.scheduled += witnesses
            self.others.scheduled += size - witnesses
            view.update(first + size)

    def cancel(self, scheduler: Scheduler, view: View) -> None:
        """Cancel the share to be cancelled, in an order that is independent of the due times."""
        view.begin("cancel", self.to_cancel)
        picks = self._scattered()
        for done in range(0, self.to_cancel, CANCEL_BATCH):
            size = min(CANCEL_BATCH, self.to_cancel - done)
            witnesses: list[str] = []
            others: list[str] = []
            for position in itertools.islice(picks, size):
                index, offset = divmod(position, SCHEDULE_BATCH)
                batch = self._batches[index]
                if offset < len(batch.witnesses):
                    witnesses.append(batch.witnesses[offset])
                    self._is_picked[batch.first_number + offset] = 1
                else:
                    others.append(batch.others[offset - len(batch.witnesses)])
            self.witnesses.picked += len(witnesses)
            self.others.picked += len(others)
            start_ns = clock_ns()
            self.witnesses.cancelled += scheduler.cancel_many(witnesses)
            self.others.cancelled += scheduler.cancel_many(others)
            self.cancel_s += (clock_ns() - start_ns) / NS_PER_S
            view.update(done + size)

    def _rehearse(self) -> float:
        """Return how many seconds scheduling and cancelling will take, measured on a few tasks."""
        tasks = min(self.tasks, REHEARSAL_TASKS)
        rehearsal = Demo(tasks, self.span_s, self.to_cancel / self.tasks, self.seed)
        with Scheduler() as scheduler:
            start_ns = clock_ns()
            rehearsal.schedule(scheduler, start_ns + 3_600 * NS_PER_S, JsonView())
            rehearsal.cancel(scheduler, JsonView())
            return (clock_ns() - start_ns) / NS_PER_S * (self.tasks / tasks)

    def _draw(self, size: int, lead_s: float) -> array[float]:
        draw, span_s = self._random.random, self.span_s
        return array("d", [lead_s + span_s * draw() for _ in range(size)])

    def _scattered(self) -> Iterator[int]:
        """Yield every position once, each far from the one before, without a list of them all.

        Steps of the golden section spread any number of picks evenly, witnesses and others alike;
        a step that shares no divisor with the number of positions comes to each of them.
        """
        step = max(round(self.tasks * GOLDEN_SECTION), 1)
        while math.gcd(step, self.tasks) > 1:
            step += 1
        position = self._random.randrange(self.tasks)
        for _ in range(self.tasks):
            yield position
            position = (position + step) % self.tasks


def judge(
    witnesses: Group,
    others: Group,
    findings: Findings,
    *,
    others_ran: int,
    picked_never: int,
    completed: int,
    failed: int,
) -> tuple[Promise, ...]:
    """Say which promises held.

    Args:
        witnesses: The tasks that the recorder watched.
        others: The tasks that only counted.
        findings: The recorder's.
        others_ran: How many runs the others counted.
        picked_never: How many witnesses that were to be cancelled did not run.
        completed: How many runs the scheduler calls completed.
        failed: How many runs the scheduler calls failed.
    """
    # If a cancellation came too late, it was refused, and the task had to run. How many those are
    # is known, but not which.
    picked_ran = witnesses.picked - picked_never
    picked_to_run = witnesses.picked - witnesses.cancelled
    lost = len(findings.never) - picked_never + max(picked_to_run - picked_ran, 0)
    one_by_one = f"{witnesses.scheduled:,} one by one"
    by_number = f"{one_by_one}, {others.scheduled:,} counted"
    return (
        Promise("early", findings.early, one_by_one),
        Promise("twice", findings.twice + max(others_ran - others.to_run, 0), by_number),
        Promise("lost", lost + max(others.to_run - others_ran, 0), by_number),
        Promise(
            "ran though cancelled",
            max(picked_ran - picked_to_run, 0),
            f"{witnesses.picked:,} one by one",
        ),
        failures(completed, failed),
        miscounts(findings.started + others_ran, completed, failed),
    )


def _witnesses_among(tasks: int) -> int:
    """Return how many of so many tasks are witnesses: one in ten, rounded up."""
    return -(-tasks // WITNESS_EVERY)


def _ratio(tasks: int, duration_s: float) -> float | None:
    return tasks / duration_s if tasks and duration_s else None

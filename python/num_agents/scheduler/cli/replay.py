"""`replay`: schedule one task for each row of a trace of arrivals, and check every row.

The task of a row is due `arrival / speed` seconds after the start of the replay. The start is a
little later than the call, so that all rows are scheduled before the first is due.
"""

from __future__ import annotations

import math
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.arguments import count, number
from num_agents.scheduler.cli.errors import CommandError, import_plot
from num_agents.scheduler.cli.progress import View, open_view
from num_agents.scheduler.cli.recorder import Findings, Recorder, clock_ns
from num_agents.scheduler.cli.report import Figure, Lateness, Promise, Report, failures, miscounts
from num_agents.scheduler.cli.trace import Trace, read_trace
from num_agents.scheduler.cli.watch import NS_PER_S, resident_bytes, watch
from num_agents.scheduler.scheduler import Scheduler

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

# How far ahead the start lies: some for the call, and some for each row; more with options.
LEAD_MIN_S = 0.1
LEAD_PER_ROW_S = 2e-6
LEAD_PER_ROW_WITH_OPTIONS_S = 60e-6

# `--options`: the tags of every task.
TAGS = ("replay", "arrival")

# The longest replay, in seconds: about 31 years.
REPLAY_MAX_S = 1e9

# `--work sleep`: for each unit of the second column; at most; and in a row that has none.
SLEEP_PER_UNIT_S = 1e-6
SLEEP_MAX_S = 0.01
SLEEP_DEFAULT_S = 0.001


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `replay`."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE.csv",
        help="the trace: a CSV file with seconds since the start in its first column; lines that"
        " begin with # and a header row are skipped",
    )
    parser.add_argument(
        "--speed",
        type=number(above=0),
        default=60.0,
        metavar="X",
        help="how many times faster than the trace to run (default 60)",
    )
    parser.add_argument(
        "--work",
        choices=("none", "sleep"),
        default="none",
        help="what a task does. none (the default): nothing; sleep: sleep 1 microsecond for each"
        " unit of the row's second column, at most 10 ms, and 1 ms if the row has none",
    )
    parser.add_argument(
        "--options",
        action="store_true",
        help="schedule each row by a call of its own, with keyword arguments and tags, instead of"
        " all rows in one call; the order of the runs is not checked then",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="OUT.svg",
        help="also draw lateness and arrivals over time; the suffix of the file gives the format",
    )
    parser.add_argument(
        "--max-workers",
        type=count(at_least=1, at_most=1_024),
        metavar="N",
        help="how many worker threads (default: the scheduler's); with 1, the order of the runs is"
        " checked as well",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON instead of text, and no progress"
    )


def run(namespace: argparse.Namespace) -> int:
    """Run `replay`. Arguments and files are checked before anything is scheduled.

    Returns:
        0 if every promise held, 1 otherwise.
    """
    sleeps = namespace.work == "sleep"
    trace = read_trace(namespace.file, weights=sleeps)
    last_s = max(trace.arrivals_s) / namespace.speed
    if last_s > REPLAY_MAX_S:
        raise CommandError(
            f"{namespace.file}: at speed {namespace.speed:g} the last arrival comes after"
            f" {last_s:g} s; at most {REPLAY_MAX_S:g} s are possible"
        )
    plot = None if namespace.plot is None else import_plot(namespace.plot)
    view = open_view(as_json=namespace.json)
    replay = Replay(
        trace,
        namespace.speed,
        max_workers=namespace.max_workers,
        has_options=namespace.options,
    )
    try:
        report, findings = replay.run(view, title=namespace.file.name)
    finally:
        view.close()
    view.show(report)
    if plot is not None:
        plot.draw(namespace.plot, findings, start_ns=replay.start_ns, title=report.title)
    return 0 if report.held else 1


class Replay:
    """One replay.

    Args:
        trace: The rows; tasks sleep if they were read with their second column.
        speed: How many times faster than the trace.
        max_workers: Worker threads; None for the scheduler's own number.
        has_options: Whether each row is scheduled by itself, with keyword arguments and tags.
    """

    def __init__(
        self, trace: Trace, speed: float, *, max_workers: int | None, has_options: bool = False
    ) -> None:
        self.trace = trace
        self.speed = speed
        self.max_workers = max_workers
        self.has_options = has_options
        self.start_ns = 0
        self._recorder = Recorder(len(trace))

    def run(self, view: View, *, title: str) -> tuple[Report, Findings]:
        """Schedule every row, wait for the last, and check each."""
        rows = len(self.trace)
        per_row_s = LEAD_PER_ROW_WITH_OPTIONS_S if self.has_options else LEAD_PER_ROW_S
        lead_s = LEAD_MIN_S + per_row_s * rows
        delays_s = array(
            "d", [lead_s + arrival_s / self.speed for arrival_s in self.trace.arrivals_s]
        )
        with Scheduler(max_workers=self.max_workers) as scheduler:
            view.begin("replay", rows)
            resident_before = resident_bytes()
            before_ns = clock_ns()
            schedule = self._schedule_each if self.has_options else self._schedule_at_once
            due_ns = schedule(scheduler, delays_s, before_ns)
            schedule_s = (clock_ns() - before_ns) / NS_PER_S
            resident_after = resident_bytes()
            engine_bytes = scheduler.statistics().memory_bytes
            self.start_ns = before_ns + int(lead_s * NS_PER_S)
            watch(scheduler, view, last_due_ns=max(due_ns))
            view.close()
        statistics = scheduler.statistics()
        findings = self._recorder.judge(due_ns)
        warnings = []
        if schedule_s > lead_s:
            warnings.append(
                f"scheduling took {schedule_s - lead_s:.1f} s longer than planned: the first rows"
                " had to wait for it, which shows in the lateness"
            )
        report = Report(
            command="replay",
            title=f"{title} at {self.speed:g} times its speed",
            figures=(
                Figure("rows", rows, "tasks"),
                Figure("ran", findings.started, "tasks"),
                Figure("schedule rate", rows / schedule_s, "tasks per second"),
                Figure(
                    "process memory",
                    None
                    if resident_before is None or resident_after is None
                    else (resident_after - resident_before) / rows,
                    "bytes per task",
                    "growth of the resident set",
                ),
                Figure("engine memory", engine_bytes / rows, "bytes per task"),
                Figure("due over", max(self.trace.arrivals_s) / self.speed, "seconds"),
                Figure("overtaken", findings.overtaken, "starts", "after one of a row due later"),
            ),
            promises=self._promises(findings, statistics.completed, statistics.failed),
            lateness=Lateness.of_engine(statistics.lateness),
            lateness_in_callbacks=Lateness.of_samples(findings.lateness_ns),
            warnings=tuple(warnings),
        )
        return report, findings

    def _schedule_at_once(
        self, scheduler: Scheduler, delays_s: array[float], before_ns: int
    ) -> array[int]:
        """Schedule all rows in one call; return for each a time before which it is not due."""
        rows = zip(range(len(delays_s)))
        scheduler.schedule_many("arrival", self._callback(), delays=delays_s, args=rows)
        # The scheduler reads its clock within the call, so nothing is due before these.
        return array("q", [before_ns + int(delay_s * NS_PER_S) for delay_s in delays_s])

    def _schedule_each(
        self, scheduler: Scheduler, delays_s: array[float], before_ns: int
    ) -> array[int]:
        """Schedule each row by itself; return for each a time before which it is not due."""
        callback = self._callback()

        def arrival(*, row: int, speed: float) -> None:
            del speed
            callback(row)

        schedule, speed = scheduler.schedule, self.speed
        due_ns: array[int] = array("q")
        for row, delay_s in enumerate(delays_s):
            now_ns = clock_ns()
            left_s = max(0.0, delay_s - (now_ns - before_ns) / NS_PER_S)
            schedule(
                "arrival", arrival, delay=left_s, kwargs={"row": row, "speed": speed}, tags=TAGS
            )
            due_ns.append(now_ns + int(left_s * NS_PER_S))
        return due_ns

    def _promises(self, findings: Findings, completed: int, failed: int) -> tuple[Promise, ...]:
        row_by_row = f"{len(self.trace):,} rows one by one"
        promises = [
            Promise("early", findings.early, row_by_row),
            Promise("twice", findings.twice, row_by_row),
            Promise("lost", len(findings.never), row_by_row),
            failures(completed, failed),
            miscounts(findings.started, completed, failed),
        ]
        # Rows of calls of their own are due a little later each: their order is not known here.
        if self.max_workers == 1 and not self.has_options:
            promises.append(Promise("out of order", findings.overtaken, row_by_row))
        return tuple(promises)

    def _callback(self) -> Callable[[int], None]:
        note_start = self._recorder.callback
        if not self.trace.weights:
            return note_start
        pauses_s = array("d", [sleep_s(weight) for weight in self.trace.weights])

        def note_start_and_sleep(row: int) -> None:
            note_start(row)
            time.sleep(pauses_s[row])

        return note_start_and_sleep


def sleep_s(weight: float) -> float:
    """Return how long the task of a row sleeps.

    Args:
        weight: The row's second column; NaN if it has none.
    """
    if math.isnan(weight):
        return SLEEP_DEFAULT_S
    return min(weight * SLEEP_PER_UNIT_S, SLEEP_MAX_S)

"""The next time of a cron expression, beside cronsim, croniter and APScheduler 3.

```
python -m benches.calendar_versus                        # five rounds, about two minutes
python -m benches.calendar_versus --rounds 1 --seconds 0.05
python -m benches.calendar_versus --out results.json
```

Each sample is a process of its own; the peers take turns, and each round begins with another one.
All ask for rows of the same 50 times from the same start, in a zone with daylight saving, and are
given aware datetimes. What is made once for an expression is made before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import geometric_mean, median
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from num_agents.scheduler.cli.bench import machine
from num_agents.scheduler.cli.bench.table import number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ZONE = ZoneInfo("America/New_York")
START = datetime(2024, 3, 1, tzinfo=ZONE)
ROW = 50
EXPRESSIONS = (
    "* * * * *",
    "*/15 9-17 * * *",
    "0 9 * * MON-FRI",
    "30 2 * * *",
    "0 0 1 * *",
    "0 12 * JAN,JUL *",
    "0 0 29 2 *",
)
OURS = "num-agents-scheduler"
SAMPLE_TIMEOUT_S = 120


def preview(expression: str) -> Callable[[], datetime | None]:
    from num_agents.scheduler import TaskSchedule

    schedule = TaskSchedule(cron_expression=expression, timezone=ZONE)
    return lambda: schedule.preview(ROW, start=START)[-1]


def next_after(expression: str) -> Callable[[], datetime | None]:
    from num_agents.scheduler import TaskSchedule

    schedule = TaskSchedule(cron_expression=expression, timezone=ZONE)

    def row() -> datetime | None:
        moment: datetime | None = START
        for _ in range(ROW):
            assert moment is not None
            moment = schedule.next_after(moment)
        return moment

    return row


def cronsim(expression: str) -> Callable[[], datetime | None]:
    from cronsim import CronSim

    def row() -> datetime | None:
        # Its iterators cannot be set back: it is made anew, which is a fiftieth of what is timed.
        times = CronSim(expression, START)
        for _ in range(ROW):
            moment: datetime = next(times)
        return moment

    return row


def croniter(expression: str) -> Callable[[], datetime | None]:
    from croniter import croniter

    times = croniter(expression, START)

    def row() -> datetime | None:
        times.set_current(START)
        for _ in range(ROW):
            moment: datetime = times.get_next(datetime)
        return moment

    return row


def apscheduler(expression: str) -> Callable[[], datetime | None]:
    from apscheduler.triggers.cron import CronTrigger

    trigger = CronTrigger.from_crontab(expression, ZONE)

    def row() -> datetime | None:
        moment: datetime | None = START
        for _ in range(ROW):
            # As its scheduler asks after a run that was on time.
            moment = trigger.get_next_fire_time(moment, moment)
        return moment

    return row


#: By name: the distribution, and what makes a row of an expression.
PEERS: dict[str, tuple[str, Callable[[str], Callable[[], datetime | None]]]] = {
    f"{OURS}, preview": (OURS, preview),
    f"{OURS}, next_after": (OURS, next_after),
    "cronsim": ("cronsim", cronsim),
    "croniter": ("croniter", croniter),
    "apscheduler": ("apscheduler", apscheduler),
}


def measure(peer: str, expression: str, seconds: float) -> dict[str, Any]:
    """Times a second, in this process; and the last time of a row, for comparison."""
    row = PEERS[peer][1](expression)
    last = row()
    assert last is not None
    rows = 0
    begin = now = time.perf_counter()
    while now - begin < seconds:
        row()
        rows += 1
        now = time.perf_counter()
    return {"per_s": rows * ROW / (now - begin), "last": last.astimezone(UTC).isoformat()}


def sample(peer: str, expression: str, seconds: float) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benches.calendar_versus", "--sample", peer, expression]
    process = subprocess.run(
        [*command, "--seconds", str(seconds)],
        capture_output=True,
        text=True,
        timeout=SAMPLE_TIMEOUT_S,
        check=True,
    )
    answer: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return answer


def run(rounds: int, seconds: float) -> dict[str, Any]:
    """All samples: by expression and peer the times a second of each round."""
    names = list(PEERS)
    samples: dict[str, dict[str, list[float]]] = {
        expression: {name: [] for name in names} for expression in EXPRESSIONS
    }
    others: dict[str, set[str]] = {expression: set() for expression in EXPRESSIONS}
    begun, facts = datetime.now(UTC).isoformat(timespec="seconds"), machine.describe()
    for round_ in range(rounds):
        first = round_ % len(names)
        for expression in EXPRESSIONS:
            last = {}
            for name in names[first:] + names[:first]:
                answer = sample(name, expression, seconds)
                samples[expression][name].append(answer["per_s"])
                last[name] = answer["last"]
            others[expression] |= {name for name in names if last[name] != last[names[0]]}
    return {
        "started_at": begun,
        "machine": facts,
        "versions": {name: metadata.version(PEERS[name][0]) for name in names},
        "zone": ZONE.key,
        "row": ROW,
        "rounds": rounds,
        "seconds": seconds,
        "times_per_s": samples,
        # Whose last time is not ours.
        "other_times": {expression: sorted(those) for expression, those in others.items()},
    }


def spread(values: Sequence[float]) -> str:
    return f"{number(median(values))} ({number(min(values))}…{number(max(values))})"


def table(report: dict[str, Any]) -> str:
    """Markdown: times a second, and how many times as fast as the fastest peer."""
    names = list(report["versions"])
    peers = [name for name in names if not name.startswith(OURS)]
    ours = [name for name in names if name.startswith(OURS)]
    head = ["expression", *names, *(f"{name.split(', ')[1]} / fastest peer" for name in ours)]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    ratios: dict[str, list[float]] = {name: [] for name in ours}
    for expression, samples in report["times_per_s"].items():
        fastest = max(median(samples[name]) for name in peers)
        marks = dict.fromkeys(report["other_times"][expression], " *")
        cells = [f"`{expression}`"]
        cells += [spread(samples[name]) + marks.get(name, "") for name in names]
        for name in ours:
            ratios[name].append(median(samples[name]) / fastest)
            cells.append(f"{ratios[name][-1]:.1f}x")
        lines.append("| " + " | ".join(cells) + " |")
    for name in ours:
        word = name.split(", ")[1]
        lines.append(f"\n{word}: geometric mean {geometric_mean(ratios[name]):.1f}x")
    if any(report["other_times"].values()):
        lines.append("\n*: its times are others than ours")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benches.calendar_versus")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each sample")
    parser.add_argument("--out", type=Path, help="a file for the figures of every sample")
    parser.add_argument("--sample", nargs=2, metavar=("PEER", "EXPRESSION"), help=argparse.SUPPRESS)
    namespace = parser.parse_args()
    if namespace.sample:
        peer, expression = namespace.sample
        print(json.dumps(measure(peer, expression, namespace.seconds)))
        return 0
    report = run(namespace.rounds, namespace.seconds)
    if namespace.out:
        namespace.out.write_text(json.dumps(report, indent=1) + "\n")
    print(table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())

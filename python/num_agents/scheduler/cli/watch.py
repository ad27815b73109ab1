"""Waits until a scheduler has nothing left to do, and measures the memory of the process."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.progress import REFRESH_S, View
from num_agents.scheduler.cli.recorder import clock_ns

if TYPE_CHECKING:
    from num_agents.scheduler.scheduler import Scheduler

# If no run ends for this long after the last task was due, some never will.
PATIENCE_S = 10.0

NS_PER_S = 1_000_000_000


def watch(scheduler: Scheduler, view: View, *, last_due_ns: int) -> None:
    """Show progress until every task has ended, or no run has ended for some time.

    Args:
        scheduler: A scheduler that runs.
        view: Shows how many runs have ended.
        last_due_ns: When the last task is due, by `clock_ns`.
    """
    ended = -1
    give_up_ns = 0
    while True:
        statistics = scheduler.statistics()
        now_ns = clock_ns()
        if ended != statistics.completed + statistics.failed:
            ended = statistics.completed + statistics.failed
            give_up_ns = max(now_ns, last_due_ns) + int(PATIENCE_S * NS_PER_S)
        view.update(ended)
        if statistics.pending + statistics.due + statistics.running == 0 or now_ns > give_up_ns:
            return
        time.sleep(REFRESH_S)


def resident_bytes() -> int | None:
    """Return the resident memory of this process, or its peak if the system tells no more.

    None on a system without `resource`, such as Windows.
    """
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - missing on Windows

    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1_024
    return pages * resource.getpagesize()

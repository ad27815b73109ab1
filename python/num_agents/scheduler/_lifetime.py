"""Exit and fork: what happens to schedulers when the process ends, or splits.

At exit every running scheduler is stopped while the interpreter is still whole: a thread that
sleeps in native code when it is torn down would crash (before Python 3.14) or hang (since).

A forked child has none of its parent's threads, and the engine's lock may be held by one of them
for ever. So the child must not touch the engine: every use says that it is a child.
"""

from __future__ import annotations

import atexit
import os
from weakref import WeakSet

from num_agents.scheduler import _clock_watch
from num_agents.scheduler.errors import SchedulerForkedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from num_agents.scheduler.scheduler import Scheduler

#: How long the exit of a process waits for callbacks that run.
EXIT_TIMEOUT_S = 5.0

_schedulers: WeakSet[Scheduler] = WeakSet()


def watch_over(scheduler: Scheduler) -> None:
    """Takes care of a scheduler from now on."""
    _schedulers.add(scheduler)


class Orphan:
    """Stands where the engine was, in a forked child."""

    def __getattr__(self, name: str) -> NoReturn:
        raise SchedulerForkedError(
            "this scheduler belongs to the parent process: make a new one in the child"
        )


def _stop_all() -> None:
    for scheduler in list(_schedulers):
        if scheduler.is_running:
            scheduler.stop("wait", EXIT_TIMEOUT_S)


def _orphan_all() -> None:
    _clock_watch.forget_all()
    orphan: Any = Orphan()
    for scheduler in list(_schedulers):
        scheduler._orphan(orphan)  # noqa: SLF001 - nobody else may


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_orphan_all)

"""A pool of threads that pull what is due from the engine.

No queue lies between the engine and the workers: each worker sleeps in the engine, takes one task,
the first in order at that moment, and runs it. So a task never waits behind a slow one while
another worker is idle, and priorities hold at the moment of starting.
"""

from __future__ import annotations

import os
from threading import Lock, Thread, current_thread
from time import monotonic

from num_agents.scheduler._engine import CLOSED, DRAINING, OPEN, sharpen_timers
from num_agents.scheduler._time import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler._engine import Engine


class ThreadPool:
    """Worker threads, all daemons: a callback that never returns does not keep the process alive.

    Args:
        engine: What they work for.
        max_workers: How many; by default the number of processors and four, at most 32, as in
            `concurrent.futures`.

    Raises:
        TypeError: `max_workers` is no int.
        ValueError: It is less than one.
    """

    def __init__(self, engine: Engine, max_workers: int | None) -> None:
        if max_workers is None:
            max_workers = min(32, (os.cpu_count() or 1) + 4)
        if isinstance(max_workers, bool) or not isinstance(max_workers, int):
            raise TypeError(f"max_workers must be an integer or None, got {show(max_workers)}")
        if max_workers < 1:
            raise ValueError(f"max_workers must be at least 1, got {max_workers}")
        self._engine = engine
        self._max_workers = max_workers
        self._lock = Lock()
        self._threads: list[Thread] = []
        #: Emptied to dismiss the workers of this start, be they in a callback; the next start
        #: has a list of its own.
        self._live: list[bool] = []
        #: Workers beyond the number, made for those that wait, and free again.
        self._surplus = 0

    def start(self) -> None:
        """Starts the workers."""
        with self._lock:
            self._live = [True]
            self._surplus = 0
            self._engine.native.set_phase(OPEN)
            for _ in range(self._max_workers):
                self._add_thread()

    def stop(self, *, drain: bool, timeout: float) -> bool:
        """Dismisses the workers; whether all went within `timeout` seconds."""
        deadline = monotonic() + timeout
        with self._lock:
            threads, self._threads = self._threads, []
        if drain:
            self._engine.native.set_phase(DRAINING)
            _join(threads, deadline)
        self._live.clear()
        self._engine.native.set_phase(CLOSED)
        return _join(threads, deadline)

    def grow(self) -> None:
        """Adds a worker for one that is about to wait, unless a spare one is there."""
        with self._lock:
            if self._surplus:
                self._surplus -= 1
            elif self._live:
                self._add_thread()

    def shrink(self) -> None:
        """Says that a worker that waited is back: one is spare now."""
        with self._lock:
            self._surplus += 1

    def _add_thread(self) -> None:
        number = len(self._threads)
        thread = Thread(
            target=_work,
            args=(self._engine, self._live),
            name=f"num-agents-scheduler-{number}",
            daemon=True,
        )
        self._threads.append(thread)
        thread.start()


def _work(engine: Engine, live: list[bool]) -> None:
    sharpen_timers()
    engine.work(live)


def _join(threads: list[Thread], deadline: float) -> bool:
    """Waits for threads, but not for the calling one; whether all have ended."""
    others = [thread for thread in threads if thread is not current_thread()]
    for thread in others:
        thread.join(max(0.0, deadline - monotonic()))
    return not any(thread.is_alive() for thread in others)

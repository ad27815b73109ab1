"""A pool of threads that pull what is due from the engine.

No queue lies between the engine and the workers: each worker sleeps in the engine, takes one task,
the first in order at that moment, and runs it. So a task never waits behind a slow one while
another worker is idle, and priorities hold at the moment of starting.
"""

from __future__ import annotations

import os
from itertools import count
from threading import RLock, Thread, current_thread
from time import monotonic

from num_agents.scheduler._engine import CLOSED, DRAINING, OPEN, sharpen_timers
from num_agents.scheduler._log import contain
from num_agents.scheduler._messages import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler._engine import Engine

    #: Each worker, and what is emptied to dismiss it after the run that it is in.
    _Crew = list[tuple[Thread, list[bool]]]

#: More threads than any system of today lets a process have.
MOST_WORKERS = 2**15

#: Tell the threads of a process apart.
_numbers = count()


class ThreadPool:
    """Worker threads, all daemons: a callback that never returns does not keep the process alive.

    Args:
        engine: What they work for.
        max_workers: How many; by default the number of processors and four, at most 32, as in
            `concurrent.futures`.

    Raises:
        TypeError: `max_workers` is no int.
        ValueError: It is less than one, or more than `MOST_WORKERS`.
    """

    def __init__(self, engine: Engine, max_workers: int | None) -> None:
        if max_workers is None:
            max_workers = min(32, (os.cpu_count() or 1) + 4)
        if isinstance(max_workers, bool) or not isinstance(max_workers, int):
            raise TypeError(f"max_workers must be an integer or None, got {show(max_workers)}")
        if not 1 <= max_workers <= MOST_WORKERS:
            raise ValueError(
                f"max_workers must be from 1 to {MOST_WORKERS}, got {show(max_workers)}"
            )
        self._engine = engine
        self._max_workers = max_workers
        # Reentrant: a signal handler may stop the scheduler while it is being started.
        self._lock = RLock()
        #: The workers of this start; none when stopped.
        self._crew: _Crew | None = None

    def start(self) -> None:
        """Starts the workers."""
        with self._lock:
            crew: _Crew = []
            self._crew = crew
            self._engine.native.set_phase(OPEN)
            try:
                for _ in range(self._max_workers):
                    self._add_worker(crew)
            except BaseException:
                self._dismiss(crew)
                raise

    def stop(self, *, drain: bool, timeout: float) -> bool:
        """Dismisses the workers; whether all went within `timeout` seconds."""
        deadline = monotonic() + timeout
        with self._lock:
            crew = self._crew or []
            if drain:
                self._engine.native.set_phase(DRAINING)
        if drain:
            _join(crew, deadline)
        self._dismiss(crew)
        return _join(crew, deadline)

    def grow(self) -> None:
        """Adds a worker in place of the calling one, which is about to wait."""
        with self._lock:
            # Not for one that is dismissed: at its second wait in a run, it is replaced already.
            if self._crew is not None and (current_thread(), [True]) in self._crew:
                self._add_worker(self._crew)

    def shrink(self) -> None:
        """Dismisses the calling worker: the one that was added stays in its place."""
        with self._lock:
            for thread, live in self._crew or ():
                if thread is current_thread():
                    live.clear()

    def _dismiss(self, crew: _Crew) -> None:
        """Lets workers start nothing more."""
        with self._lock:
            for _, live in crew:
                live.clear()
            # Unless it has been started again meanwhile.
            if self._crew is crew:
                self._crew = None
                self._engine.native.set_phase(CLOSED)

    def _add_worker(self, crew: _Crew) -> None:
        live = [True]
        thread = Thread(
            target=_work,
            args=(self._engine, live),
            name=f"num-agents-scheduler-{next(_numbers)}",
            daemon=True,
        )
        thread.start()
        crew[:] = [(other, its) for other, its in crew if other.is_alive()]
        crew.append((thread, live))


def _work(engine: Engine, live: list[bool]) -> None:
    sharpen_timers()
    while live:
        try:
            engine.work(live)
            return
        except BaseException:
            # Not the callback's doing: that is caught where it is called.
            contain("A worker of the scheduler failed, and goes on")


def _join(crew: _Crew, deadline: float) -> bool:
    """Waits for workers, those that join meanwhile included, but not for the calling one.

    Returns whether all have ended.
    """
    while True:
        others = [thread for thread, _ in list(crew) if thread is not current_thread()]
        going = next((thread for thread in others if thread.is_alive()), None)
        if going is None:
            return True
        left = deadline - monotonic()
        if left <= 0:
            return False
        going.join(left)

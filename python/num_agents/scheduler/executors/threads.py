"""A pool of threads that pull what is due from the engine.

No queue lies between the engine and the workers: each worker sleeps in the engine, takes one task,
the first in order at that moment, and runs it. So a task never waits behind a slow one while
another worker is idle, and priorities hold at the moment of starting.
"""

from __future__ import annotations

import os
from itertools import count
from threading import RLock, Thread, current_thread, get_ident
from time import monotonic

from num_agents.scheduler._engine import lifetime
from num_agents.scheduler._engine.current import current
from num_agents.scheduler._engine.engine import (
    CLOSED,
    DRAINING,
    OPEN,
    WorkerGroup,
    sharpen_timers,
)
from num_agents.scheduler._engine.worker import work
from num_agents.scheduler._log import contain
from num_agents.scheduler._messages import show
from num_agents.scheduler.errors import SchedulerForkedError
from num_agents.scheduler.executors.latch import Latch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler._engine.engine import Engine

#: More threads than any system of today lets a process have.
MAX_WORKERS = 2**15

#: Number the threads of a process.
_numbers = count()


class ThreadPool:
    """Worker threads, all daemons: a callback that never returns does not keep the process alive.

    At most `max_workers` callbacks run at once, not counting those that wait for a task. When such
    a wait ends, the worker that replaced it leaves at the end of its run.

    Args:
        engine: Where they take runs from.
        max_workers: How many; by default the number of processors and four, at most 32, as in
            `concurrent.futures`.

    Raises:
        TypeError: `max_workers` is not an int.
        ValueError: It is less than one, or more than `MAX_WORKERS`.
    """

    def __init__(self, engine: Engine, max_workers: int | None) -> None:
        if max_workers is None:
            max_workers = min(32, (os.cpu_count() or 1) + 4)
        if isinstance(max_workers, bool) or not isinstance(max_workers, int):
            raise TypeError(f"max_workers must be an integer or None, got {show(max_workers)}")
        if not 1 <= max_workers <= MAX_WORKERS:
            raise ValueError(
                f"max_workers must be from 1 to {MAX_WORKERS}, got {show(max_workers)}"
            )
        self._engine = engine
        self._max_workers = max_workers
        # Reentrant: a signal handler may stop the scheduler while it is being started.
        self._lock = RLock()
        #: The workers of this start; None when stopped.
        self._group: WorkerGroup | None = None
        #: All that have not ended, of earlier starts as well.
        self._workers: list[_Worker] = []

    def start(self) -> None:
        """Starts the workers."""
        with self._lock:
            group = WorkerGroup()
            self._group = group
            self._engine.set_phase(OPEN)
            try:
                for _ in range(self._max_workers):
                    self._add_worker(group)
            except BaseException:
                self.dismiss(cancel=False)
                raise

    def drain(self, timeout: float) -> bool:
        """Waits until nothing is due any more; whether that took at most `timeout` seconds."""
        deadline = monotonic() + timeout
        group = self._group
        if group is None:
            return True
        # A worker that stops the scheduler in its run is not there to help.
        if current.group is group:
            self.grow()
        with self._lock:
            if not any(
                worker.group is group and not worker.is_start_interrupted()
                for worker in self._workers
            ):
                self._add_worker(group)
            if self._group is group:
                self._group = None
                self._engine.set_phase(DRAINING)
        return self._join(group, deadline)

    def dismiss(self, *, cancel: bool) -> None:
        """Lets the workers start nothing more, of earlier starts included."""
        with self._lock:
            groups = {worker.group for worker in self._workers}
            if self._group is not None:
                # A signal handler may be here before the first worker is.
                groups.add(self._group)
            self._group = None
            self._engine.set_phase(CLOSED)
            for group in groups:
                if cancel:
                    group.cancel()
                self._engine.dismiss(group)

    def join(self, timeout: float) -> bool:
        """Waits until all workers have gone; whether that took at most `timeout` seconds."""
        return self._join(None, monotonic() + timeout)

    def grow(self) -> WorkerGroup | None:
        """Lets one more worker run, in place of the calling one, which is about to wait."""
        with self._lock:
            group = current.group
            # Workers that have been dismissed take no more tasks, and need no room.
            if group is None or group.is_dismissed:
                return None
            if group.add():
                self._add_worker(group)
            return group

    def shrink(self, room: object) -> None:
        """Lets one worker fewer run."""
        if isinstance(room, WorkerGroup):
            self._engine.remove_worker(room)

    def _add_worker(self, group: WorkerGroup) -> None:
        worker = _Worker(self._engine, group, self)
        self._workers[:] = [one for one in self._workers if not one.ended.is_set]
        # Before it starts: an interrupt after that must not lose it.
        self._workers.append(worker)
        try:
            worker.start()
        except Exception:
            self._workers.remove(worker)
            raise
        finally:
            worker.is_starting = False

    def _join(self, group: WorkerGroup | None, deadline: float) -> bool:
        """Waits for the workers of a group, or for all, that can end while the caller waits.

        Returns:
            Whether all have ended.
        """
        while True:
            # Anew each time: a worker that waits may have been replaced meanwhile.
            others = [
                worker
                for worker in list(self._workers)
                if worker is not current_thread()
                and not worker.is_start_interrupted()
                and (group is None or worker.group is group)
            ]
            going = next((worker for worker in others if not worker.ended.is_set), None)
            if going is None:
                for worker in others:
                    worker.join_once(max(deadline - monotonic(), 0.0))
                return True
            if not going.ended.wait(max(deadline - monotonic(), 0.0)):
                return False


class _Worker(Thread):
    """A worker thread.

    It says itself that it has ended: `is_alive` takes a thread for dead whose `join` was
    interrupted (CPython up to 3.12).

    Attributes:
        group: The one it belongs to.
        ended: Happens when it will take no more runs.
        is_starting: Whether `start` has not returned.
    """

    def __init__(self, engine: Engine, group: WorkerGroup, pool: ThreadPool) -> None:
        super().__init__(name=f"num-agents-scheduler-{next(_numbers)}", daemon=True)
        self.group = group
        self.ended = Latch()
        self.is_starting = True
        self._engine = engine
        self._pool = pool
        self._starter = get_ident()
        self._joiners: set[int] = set()

    def is_start_interrupted(self) -> bool:
        """Whether the calling thread was about to start it, when a handler or finalizer began.

        So it cannot be waited for there. When it starts, its group has been dismissed.
        """
        return self._starter == get_ident() and (self.is_starting or self.ident is None)

    def join_once(self, timeout: float) -> None:
        """Joins it, unless the calling thread is in the midst of that: `join` is not reentrant."""
        me = get_ident()
        if me not in self._joiners:
            self._joiners.add(me)
            try:
                self.join(timeout)
            finally:
                self._joiners.discard(me)

    def run(self) -> None:
        """Runs what falls due."""
        try:
            _run_worker(self._engine, self.group, self._pool)
        finally:
            self.ended.set()


def _run_worker(engine: Engine, group: WorkerGroup, pool: ThreadPool) -> None:
    sharpen_timers()
    while True:
        try:
            work(engine, group, pool)
            return
        except BaseException as error:
            if engine.is_foreign:
                # This is a child that was forked in a callback, whose only thread this is.
                forked = type(error) is SchedulerForkedError
                lifetime.exit_child(None if forked else error)
            # An asynchronous exception, in one of the few lines that are not guarded.
            contain("A worker of the scheduler failed, and goes on")

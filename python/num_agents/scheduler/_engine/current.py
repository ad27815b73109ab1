"""What the calling thread works for, and the run that the calling code belongs to."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from threading import RLock, local

from num_agents.scheduler._log import contain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from num_agents.scheduler._engine.engine import Engine
    from num_agents.scheduler._native import OpenRun, WorkerGroup
    from num_agents.scheduler.executors.base import Executor
    from num_agents.scheduler.executors.loop import LoopSession
    from num_agents.scheduler.run import Run


class Room:
    """The room that a worker makes for another one while it waits.

    A worker can wait for several futures at once, on an event loop of its own. The room is taken
    back with the last of them: by the thread that settles that future, so that the replacement
    leaves before it takes another task, or by the worker itself when it stops waiting.
    """

    __slots__ = ("_executor", "_grown", "_lock", "_waits")

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        # Reentrant: a signal handler or a finalizer may wait, too.
        self._lock = RLock()
        self._waits = 0
        self._grown: object = None

    def enter(self) -> None:
        """Notes one more wait, of which the first makes room."""
        try:
            # Under the lock, so that the last wait to leave finds the room that the first has made.
            with self._lock:
                self._waits += 1
                if self._waits == 1 and self._grown is None:
                    self._grown = self._executor.grow()
        except Exception:
            contain("No thread could be started in place of a worker that waits")

    def leave(self) -> None:
        """Notes one wait fewer; the last takes the room back."""
        with self._lock:
            self._waits -= 1
            grown, self._grown = (self._grown, None) if self._waits == 0 else (None, self._grown)
        if grown is not None:
            self._executor.shrink(grown)


class CurrentWorker(local):
    """What the calling thread works for; each thread sees its own."""

    #: Whose run it is in, if it is in one.
    engine: Engine | None = None
    #: The workers that it belongs to, of whom `stop("cancel")` asks an end.
    group: WorkerGroup | None = None
    #: None in threads that are no workers.
    room: Room | None = None


current = CurrentWorker()


class RunPlace:
    """A run that does not belong to a thread: of a coroutine, or with a time limit.

    Attributes:
        open_run: The run, to be completed.
        engine: Its engine.
        group: Whose cancel token is its own.
        session: Where a coroutine runs; None in a thread.
        run: What `current_run` answers as long as its code runs, even if its time is up; None if it
            has to be looked up, and once its code has ended.
    """

    __slots__ = ("engine", "group", "open_run", "run", "session")

    def __init__(
        self,
        open_run: OpenRun,
        engine: Engine,
        group: WorkerGroup | None,
        session: LoopSession | None = None,
    ) -> None:
        self.open_run = open_run
        self.engine = engine
        self.group = group
        self.session = session
        self.run: Run | None = None


#: That of the code that asks. Tasks of asyncio that a coroutine starts inherit it.
current_place: ContextVar[RunPlace | None] = ContextVar(
    "num_agents.scheduler.current_place", default=None
)


@contextmanager
def coroutine_waits() -> Iterator[None]:
    """Lets one more coroutine run while the calling one waits for another task."""
    place = current_place.get()
    session = None if place is None or not place.open_run.is_open else place.session
    if session is None:
        yield
        return
    session.post(session.make_room, 1)
    try:
        yield
    finally:
        session.post(session.make_room, -1)

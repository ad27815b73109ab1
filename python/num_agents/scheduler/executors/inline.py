"""Runs in the thread that moves a virtual clock."""

from __future__ import annotations

from num_agents.scheduler._engine.engine import CLOSED, FIRST, OPEN, WorkerGroup
from num_agents.scheduler._engine.worker import run_due

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler._engine.engine import Engine
    from num_agents.scheduler.executors.inline_loop import InlineLoopExecutor


class InlineExecutor:
    """Runs what is due when `run_due` is called, in the calling thread.

    Args:
        engine: Where it takes runs from.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        #: What runs the coroutines of the same scheduler, if there are any.
        self.loop: InlineLoopExecutor | None = None
        self._group = WorkerGroup()

    def start(self) -> None:
        """Allows runs."""
        self._group = WorkerGroup()
        self.engine.set_phase(OPEN)

    def drain(self, timeout: float) -> bool:
        """Runs what is due now. This takes no time of the clock, so `timeout` is not used."""
        del timeout
        run_due(self.engine, self._group)
        return True

    def dismiss(self, *, cancel: bool) -> None:
        """Forbids runs."""
        if cancel:
            self._group.cancel()
        self.engine.set_phase(CLOSED)

    def join(self, timeout: float) -> bool:
        """Returns at once: only the run that calls this can still be in progress."""
        del timeout
        return True

    def run_due(self) -> bool:
        """Runs what is due now, in order, and has the loop take what is its own.

        Returns:
            Whether there was anything.
        """
        done = run_due(self.engine, self._group)
        return (self.loop is not None and self.loop.run_due()) or done

    def next_deadline(self, *, in_loop: bool) -> int | None:
        """When something is due next; None if nothing is pending.

        Args:
            in_loop: Whether coroutines count.
        """
        due = self.engine.next_deadline(FIRST)
        if not in_loop or self.loop is None:
            return due
        known = (moment for moment in (due, self.loop.next_deadline()) if moment is not None)
        return min(known, default=None)

    def grow(self) -> None:
        """Makes no room: a thread that waits on a virtual clock runs the other tasks itself."""

    def shrink(self, room: object) -> None:
        """Does nothing."""

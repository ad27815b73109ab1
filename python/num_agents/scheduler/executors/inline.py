"""Runs in the thread that moves a virtual clock."""

from __future__ import annotations

from num_agents.scheduler._engine.engine import CLOSED, OPEN, WorkerGroup
from num_agents.scheduler._engine.worker import run_due

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler._engine.engine import Engine


class InlineExecutor:
    """Runs what is due when `run_due` is called, in the calling thread.

    Args:
        engine: Where it takes runs from.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._group = WorkerGroup()

    def start(self) -> None:
        """Allows runs."""
        self._group = WorkerGroup()
        self.engine.set_phase(OPEN)

    def drain(self, timeout: float) -> bool:
        """Runs what is due now. This takes no time of the clock, so `timeout` is not used."""
        del timeout
        self.run_due()
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

    def run_due(self) -> None:
        """Runs what is due now, in order."""
        run_due(self.engine, self._group)

    def grow(self) -> None:
        """Makes no room: a thread that waits on a virtual clock runs the other tasks itself."""

    def shrink(self, room: object) -> None:
        """Does nothing."""

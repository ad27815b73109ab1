"""Runs in the thread that moves a virtual clock."""

from __future__ import annotations

from num_agents.scheduler._engine.engine import CLOSED, OPEN, WorkerGroup
from num_agents.scheduler._engine.worker import run_due

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler._engine.engine import Engine


class InlineExecutor:
    """Runs what is due when it is told to, in the calling thread.

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
        """Runs what is due now. It takes none of the clock's time, so there is no timeout."""
        del timeout
        self.run_due()
        return True

    def dismiss(self, *, cancel: bool) -> None:
        """Forbids runs."""
        if cancel:
            self._group.cancel()
        self.engine.set_phase(CLOSED)

    def join(self, timeout: float) -> bool:
        """Waits for nothing: only the run from which it is called can still go on."""
        del timeout
        return True

    def run_due(self) -> None:
        """Runs what is due now, in order."""
        run_due(self.engine, self._group)

    def grow(self) -> None:
        """Makes no room: whoever waits on a virtual clock runs the others itself."""

    def shrink(self, room: object) -> None:
        """Does nothing."""

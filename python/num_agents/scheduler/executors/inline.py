"""Runs in the thread that moves a virtual clock."""

from __future__ import annotations

from num_agents.scheduler._engine import CLOSED, OPEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler._engine import Engine


class InlineExecutor:
    """Runs what is due when it is told to, in the calling thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def start(self) -> None:
        """Allows runs."""
        self._engine.native.set_phase(OPEN)

    def stop(self, *, drain: bool, timeout: float) -> bool:  # noqa: ARG002 - nothing to wait for
        """Forbids runs; what is due now runs before that, if `drain`."""
        if drain:
            self._engine.run_due()
        self._engine.native.set_phase(CLOSED)
        return True

    def grow(self) -> None:
        """Nothing: who waits on a virtual clock runs the others itself."""

    def shrink(self) -> None:
        """Nothing."""

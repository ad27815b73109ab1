"""Where runs happen: one port, and an implementation for each place.

An executor is told to start and to stop, and meanwhile lets the engine run what is due, in its own
threads (`threads`) or in the thread that moves a virtual clock (`inline`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Executor(Protocol):
        """The port."""

        def start(self) -> None:
            """Begins to run what is due."""

        def stop(self, *, drain: bool, timeout: float) -> bool:
            """Starts no more runs, but for what is due now if `drain`; waits for those that go on.

            Returns whether all of them ended within `timeout` seconds. Never waits for the run
            from which it is called.
            """

        def grow(self) -> None:
            """Makes room for one more run while the calling one waits for another task."""

        def shrink(self) -> None:
            """Takes back the room that `grow` made."""

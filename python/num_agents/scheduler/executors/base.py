"""The port: what the scheduler needs of a place where runs happen."""

from __future__ import annotations

from typing import Protocol


class Executor(Protocol):
    """A place where runs happen.

    It takes what is due from the engine, the first in order at that moment, and completes every
    run that it has taken. All methods may be called from any thread, and from a signal handler
    while another one is under way.
    """

    def start(self) -> None:
        """Begins to run what is due."""

    def drain(self, timeout: float) -> bool:
        """Runs what is due now, and then nothing more.

        Returns:
            Whether all of it was run within `timeout` seconds. A run from which it is called is
            not waited for, and takes no part.
        """

    def dismiss(self, *, cancel: bool) -> None:
        """Starts no more runs. After a drain, or at once; does nothing the second time.

        Args:
            cancel: Whether the cancel tokens of all runs that go on are set, those of earlier
                starts included.
        """

    def join(self, timeout: float) -> bool:
        """Waits for runs that go on after they were dismissed.

        Returns:
            Whether all ended within `timeout` seconds. A run from which it is called is not
            waited for.
        """

    def grow(self) -> object:
        """Makes room for one more run, while a run waits for another task.

        Returns:
            What `shrink` needs; None if no room was made, because none is needed.
        """

    def shrink(self, room: object) -> None:
        """Takes back the room that `grow` made."""

"""The port: what the scheduler needs of a place where runs happen."""

from __future__ import annotations

from typing import Protocol


class Executor(Protocol):
    """A place where runs happen.

    It takes what is due from the engine, one task at a time, in order, and completes every run
    that it has taken. All methods may be called from any thread, and from a signal handler while
    another method runs.
    """

    def start(self) -> None:
        """Starts running what is due."""

    def drain(self, timeout: float) -> bool:
        """Runs what is due now, and then nothing more.

        Returns:
            Whether all of it was run within `timeout` seconds. The run that calls this is not
            waited for.
        """

    def dismiss(self, *, cancel: bool) -> None:
        """Starts no more runs. After a drain, or at once; does nothing the second time.

        Args:
            cancel: Whether to set the cancel tokens of all runs in progress, those of earlier
                starts included.
        """

    def join(self, timeout: float) -> bool:
        """Waits for runs that are still in progress after `dismiss`.

        Returns:
            Whether all ended within `timeout` seconds. The run that calls this is not waited for.
        """

    def grow(self) -> object:
        """Makes room for one more run, while a run waits for another task.

        Returns:
            The argument of `shrink`; None if no room was needed.
        """

    def shrink(self, room: object) -> None:
        """Takes back the room that `grow` made."""

"""What can be waited for and happens once."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from threading import Lock


class Latch:
    """What can be waited for and happens once.

    A signal handler or finalizer may wait for it in the midst of a wait of the same thread. So,
    other than in `threading.Event`, each wait has a lock of its own.
    """

    def __init__(self) -> None:
        self.is_set = False
        self._waits: deque[Lock] = deque()

    def set(self) -> None:
        """Lets all go on that wait."""
        self.is_set = True
        with suppress(IndexError):
            while True:
                self._waits.pop().release()

    def wait(self, timeout: float) -> bool:
        """Waits at most so many seconds. Returns whether it happened."""
        wait = Lock()
        wait.acquire()
        self._waits.append(wait)
        if not self.is_set:
            wait.acquire(timeout=timeout)
            with suppress(ValueError):
                self._waits.remove(wait)
        return self.is_set

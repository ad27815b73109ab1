"""Keys: names that a task has to itself, among those that have not ended.

A key is found by a dict, and whether its task lives is asked of the engine. So ending a task costs
nothing here. Keys whose tasks have ended are dropped when there are as many of them as of others.

No lock is held while a task is scheduled, because that may publish an event. The key is *claimed*
meanwhile: another thread that wants the same key waits until that is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Event, RLock, get_ident

from num_agents.scheduler._messages import show
from num_agents.scheduler.errors import TaskExistsError
from num_agents.scheduler.policy import IF_EXISTS_WORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from num_agents.scheduler import _native

#: So many keys are kept without looking whether their tasks have ended.
_FEW = 1024


class _Claim:
    """A key whose task is being scheduled."""

    __slots__ = ("done", "owner")

    def __init__(self) -> None:
        self.done = Event()
        self.owner = get_ident()


class Keys(Mapping[str, str]):
    """The id of the task that has a key, for each key in use. Read-only, for users.

    Looking up is O(1), `len` and iterating O(keys).

    Args:
        native: The engine.
    """

    def __init__(self, native: _native.Engine) -> None:
        self._native = native
        # Reentrant: a signal handler or a finalizer may schedule, too.
        self._lock = RLock()
        self._ids: dict[str, str | _Claim] = {}
        self._keys: dict[str, str] = {}
        self._sweep_at = _FEW

    # ---- for users ---------------------------------------------------------------------------

    def __getitem__(self, key: str) -> str:
        found = self._ids.get(key)
        if isinstance(found, str) and self._is_live(found):
            return found
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return (key for key in list(self._ids) if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<Keys of {len(self)} tasks>"

    # ---- inside ------------------------------------------------------------------------------

    def key_of(self, task_id: str) -> str | None:
        """The key of a task; None if it has none, or has ended."""
        key = self._keys.get(task_id)
        return key if key is not None and self.get(key) == task_id else None

    def schedule(
        self,
        key: object,
        if_exists: object,
        schedule: Callable[[], str],
        move: Callable[[str], bool],
        cancel: Callable[[str], object],
    ) -> str:
        """Schedules a task that has a key, unless there is one already.

        Args:
            key: The key.
            if_exists: What to do if there is.
            schedule: Schedules the task, and answers its id.
            move: Gives a task the time that was asked for; whether it could.
            cancel: Cancels a task.

        Returns:
            The id of the task that has the key.

        Raises:
            TypeError: The key is no string.
            ValueError: It is empty, or `if_exists` is another word.
            TaskExistsError: There is such a task, and `if_exists` is "raise".
        """
        if not isinstance(key, str):
            raise TypeError(f"key must be a string, got {show(key)}")
        if not key:
            raise ValueError("key must not be empty")
        if if_exists not in IF_EXISTS_WORDS:
            words = ", ".join(map(repr, IF_EXISTS_WORDS))
            raise ValueError(f"if_exists must be one of {words}, got {show(if_exists)}")
        # Another thread may have held the lock at the moment of a fork.
        self._native.check_process()
        while True:
            claim = _Claim()
            with self._lock:
                found = self._ids.get(key)
                if found is None or (isinstance(found, str) and not self._is_live(found)):
                    self._forget(key, found)
                    self._ids[key] = claim
                    break
            if isinstance(found, _Claim):
                self._wait(key, found)
            elif if_exists == "raise":
                raise TaskExistsError(key, found)
            elif if_exists == "keep" or (if_exists == "move" and move(found)):
                return found
            elif if_exists == "replace":
                # If another thread is faster, its task is the next to be replaced.
                cancel(found)
                with self._lock:
                    if self._ids.get(key) == found:
                        self._forget(key, found)
                        del self._ids[key]
        return self._fill(key, claim, schedule)

    def _fill(self, key: str, claim: _Claim, schedule: Callable[[], str]) -> str:
        """Schedules the task of a key that has been claimed."""
        try:
            task_id = schedule()
        except BaseException:
            with self._lock:
                self._ids.pop(key, None)
            raise
        else:
            with self._lock:
                self._ids[key] = task_id
                self._keys[task_id] = key
                if len(self._ids) >= self._sweep_at:
                    self._sweep()
        finally:
            claim.done.set()
        return task_id

    def _wait(self, key: str, claim: _Claim) -> None:
        """Waits until the task of a claimed key has been scheduled."""
        if claim.owner == get_ident():
            raise RuntimeError(f"the task of key {show(key)} is being scheduled by the caller")
        claim.done.wait()

    def _is_live(self, task_id: str) -> bool:
        return self._native.is_live(task_id)

    def _forget(self, key: str, found: str | _Claim | None) -> None:
        if isinstance(found, str) and self._keys.get(found) == key:
            del self._keys[found]

    def _sweep(self) -> None:
        """Drops the keys of tasks that have ended. O(keys), each time that they have doubled."""
        for key, found in list(self._ids.items()):
            if isinstance(found, str) and not self._is_live(found):
                self._forget(key, found)
                del self._ids[key]
        self._sweep_at = max(_FEW, 2 * len(self._ids))

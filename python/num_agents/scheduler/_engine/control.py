"""What changes a task that is scheduled: by its id."""

from __future__ import annotations

from num_agents.scheduler._messages import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from num_agents.scheduler import _native
    from num_agents.scheduler._engine.announce import Announcer
    from num_agents.scheduler._engine.pieces import Pieces

#: What the extension module answers if a cancelled task will not run, or runs and will not again.
_REMOVED, RUNS = 1, 2


class Control:
    """Changes tasks, and announces that.

    Args:
        native: The engine.
        clock: Its clock.
        pieces: Calendars whose times are computed in pieces.
        announcer: Where changes are announced, if anywhere.
    """

    def __init__(
        self,
        native: _native.Engine,
        clock: _native.Clock,
        pieces: Pieces,
        announcer: Announcer | None,
    ) -> None:
        self._native = native
        self._clock = clock
        self._pieces = pieces
        self._announcer = announcer

    def cancel(self, task_id: str) -> int:
        """Cancels a task, and announces that if it had not started. As `_native.Engine.cancel`."""
        before = None if self._announcer is None else self._native.record(task_id)
        done = self._native.cancel(task_id)
        if done == _REMOVED and before is not None and self._announcer is not None:
            self._announcer.changed("scheduler.task_cancelled", before, "cancelled before it ran")
        return done

    def cancel_many(self, task_ids: Iterable[str]) -> tuple[int, Sequence[str]]:
        """Cancels many tasks. How many it stopped, and which of them are running."""
        if isinstance(task_ids, str) or not hasattr(task_ids, "__iter__"):
            raise TypeError(f"task_ids must be an iterable of task ids, got {show(task_ids)}")
        if self._announcer is None or not self._announcer.wants("scheduler.task_cancelled"):
            return self._native.cancel_many(task_ids)
        listed = list(task_ids)
        for task_id in listed:
            if not isinstance(task_id, str):
                raise TypeError(f"task_ids must be task ids (str), got {show(task_id)}")
        done = [(task_id, self.cancel(task_id)) for task_id in listed]
        running = [task_id for task_id, how in done if how == RUNS]
        return sum(how != 0 for _, how in done), running

    def pause(self, task_id: str, reason: str = "paused by hand") -> bool:
        """Pauses a task."""
        return pause(self._native, self._announcer, task_id, reason)

    def resume(self, task_id: str) -> bool:
        """Resumes a task, and begins to count its failed runs again."""
        # What is no id at all is refused below, in words.
        if isinstance(task_id, str) and task_id in self._pieces:
            self._pieces.extend_all(self._clock.now_ns())
        done = self._native.resume(task_id)
        if done:
            self._native.forget_failures(task_id)
            _announce(
                self._native,
                self._announcer,
                "scheduler.task_resumed",
                task_id,
                "resumed by hand",
            )
        return done

    def reschedule_after(self, task_id: str, span_ns: int) -> bool:
        """Gives a task another time, a span from now."""
        return self._native.reschedule(task_id, after_ns=span_ns)

    def reschedule_at(self, task_id: str, moment_ns: int) -> bool:
        """Gives a task another time, a moment of the wall clock, which it follows from then on."""
        return self._native.reschedule(task_id, wall_ns=moment_ns)

    def run_now(self, task_id: str) -> bool:
        """Runs a task once more, now."""
        return self._native.run_now(task_id)


def pause(native: _native.Engine, announcer: Announcer | None, task_id: str, reason: str) -> bool:
    """Pauses a task, and announces that."""
    done = native.pause(task_id)
    if done:
        _announce(native, announcer, "scheduler.task_paused", task_id, reason)
    return done


def _announce(
    native: _native.Engine,
    announcer: Announcer | None,
    event_type: str,
    task_id: str,
    reason: str,
) -> None:
    record = None if announcer is None else native.record(task_id)
    if announcer is not None and record is not None:
        announcer.changed(event_type, record, reason)

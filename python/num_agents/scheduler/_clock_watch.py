"""Who notices that the wall clock was set, or that the machine was suspended.

One daemon thread a process, started by the first scheduler that runs on the system's clock. On
Linux the kernel tells it at once; elsewhere it looks each second.
"""

from __future__ import annotations

from threading import Lock, Thread, current_thread
from weakref import WeakSet

from num_agents.scheduler._engine import ClockWatch
from num_agents.scheduler._log import contain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler.scheduler import Scheduler

_lock = Lock()
_running: WeakSet[Scheduler] = WeakSet()
_watch: ClockWatch | None = None
_thread: Thread | None = None

#: How long who leaves last waits for the thread to end: it has nothing to do but that.
_JOIN_S = 1.0


def enter(scheduler: Scheduler) -> None:
    """Tells a scheduler of changes from now on."""
    global _watch, _thread
    with _lock:
        _running.add(scheduler)
        if _watch is None:
            try:
                watch = ClockWatch()
                thread = Thread(
                    target=_look_out, args=(watch,), name="num-agents-clock-watch", daemon=True
                )
                thread.start()
            except (OSError, RuntimeError):
                # Without a descriptor or a thread to spare it is noticed at the next start.
                contain("The wall clock is not watched")
                return
            _watch, _thread = watch, thread


def leave(scheduler: Scheduler) -> Thread | None:
    """Tells a scheduler no more. Without any left, the thread ends: that one, for `join`."""
    global _watch, _thread
    ending = None
    with _lock:
        _running.discard(scheduler)
        if not _running and _watch is not None:
            _watch.close()
            ending, _watch, _thread = _thread, None, None
    return ending


def join(thread: Thread | None) -> None:
    """Waits for the thread to end, which has nothing to do but that; not under a lock."""
    # A handler of the event may stop the scheduler, in this very thread.
    if thread is not None and thread is not current_thread():
        thread.join(_JOIN_S)


def forget_all() -> None:
    """In a forked child, which has no such thread."""
    global _watch, _thread, _lock  # noqa: PLW0603 - one thread a process
    _lock = Lock()
    _watch = _thread = None
    _running.clear()


def _look_out(watch: ClockWatch) -> None:
    while watch.wait():
        with _lock:
            schedulers = list(_running)
        for scheduler in schedulers:
            try:
                scheduler._look_at_clock()  # noqa: SLF001 - nobody else may
            except BaseException:
                contain("A scheduler failed to follow the wall clock")
        del schedulers

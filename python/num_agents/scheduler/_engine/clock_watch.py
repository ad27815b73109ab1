"""The thread that notices when the wall clock is set, or the machine was suspended.

Each process has one, a daemon, started by the first scheduler that runs on the system's clock. On
Linux the kernel notifies it at once; elsewhere it looks each second.
"""

from __future__ import annotations

from threading import RLock, Thread, current_thread
from weakref import WeakSet

from num_agents.scheduler import _native
from num_agents.scheduler._log import contain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler._engine.engine import Engine

# Reentrant: a signal handler may start or stop a scheduler while another is started.
_lock = RLock()
#: The engines that are notified of changes.
_watching: WeakSet[Engine] = WeakSet()
_watch: _native.ClockWatch | None = None
_thread: Thread | None = None

#: How long the last scheduler to stop waits for the thread to end: it has nothing else to do.
_JOIN_S = 1.0


def enter(engine: Engine) -> None:
    """Notifies an engine of changes from now on."""
    global _watch, _thread
    with _lock:
        _watching.add(engine)
        if _watch is not None:
            return
        try:
            watch = _native.ClockWatch()
            thread = Thread(
                target=_look_out, args=(watch,), name="num-agents-clock-watch", daemon=True
            )
            thread.start()
        except (OSError, RuntimeError):
            # Without a descriptor or a thread, changes are noticed at the next start only.
            contain("The wall clock is not watched")
            return
        if _watch is None and _watching:
            _watch, _thread = watch, thread
        else:
            # A signal handler has started another one, or stopped the last scheduler.
            watch.close()


def leave(engine: Engine) -> Thread | None:
    """Stops notifying an engine. Returns the thread to `join` if it was the last one."""
    global _watch, _thread
    ending = None
    with _lock:
        _watching.discard(engine)
        if not _watching and _watch is not None:
            _watch.close()
            ending, _watch, _thread = _thread, None, None
    return ending


def join(thread: Thread | None) -> None:
    """Waits for the thread to end; not under a lock."""
    # A handler of an event may stop the scheduler, in this very thread.
    if thread is not None and thread is not current_thread():
        thread.join(_JOIN_S)


def forget_all() -> None:
    """In a forked child, which has no such thread."""
    global _watch, _thread, _lock  # noqa: PLW0603 - one thread a process
    _lock = RLock()
    _watch = _thread = None
    _watching.clear()


def _look_out(watch: _native.ClockWatch) -> None:
    while watch.wait():
        with _lock:
            engines = list(_watching)
        for engine in engines:
            try:
                engine.wall.announce(engine.wall.look())
            except BaseException:
                contain("A scheduler failed to follow the wall clock")
        del engines

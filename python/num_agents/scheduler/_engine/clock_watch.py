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
    with _lock:
        _watching.add(engine)
        _adapt()


def leave(engine: Engine) -> Thread | None:
    """Stops telling an engine of changes. Returns the thread to `join` if it was the last one."""
    with _lock:
        _watching.discard(engine)
        return _adapt()


def _adapt() -> Thread | None:
    """Starts the thread if it is needed, ends it if it is not. Returns one that ends.

    A signal handler may do the same in the midst of it, in this very thread. So what it finds is
    checked and changed without a call in between, and looked at again afterwards.
    """
    global _watch, _thread
    ending = None
    while bool(_watching) != (_watch is not None):
        if not _watching:
            watch, ending, _watch, _thread = _watch, _thread, None, None
            if watch is not None:
                watch.close()
            continue
        try:
            fresh = _native.ClockWatch()
            thread = Thread(
                target=_look_out, args=(fresh,), name="num-agents-clock-watch", daemon=True
            )
            thread.start()
        except (OSError, RuntimeError):
            # Without a descriptor or a thread, changes are noticed at the next start only.
            contain("The wall clock is not watched")
            return None
        if _watch is None:
            _watch, _thread = fresh, thread
        else:
            fresh.close()
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

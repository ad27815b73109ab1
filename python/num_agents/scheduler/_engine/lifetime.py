"""Exit and fork: what happens to schedulers when the process ends, or splits.

A running scheduler is kept alive until it is stopped, even if nothing else refers to it. At exit
all are stopped while the interpreter is still complete: a thread that sleeps in native code during
finalization would crash (before Python 3.14) or hang (since).

A forked child has none of its parent's threads, and one of them may have held the engine's lock,
which is then never released. So every use of an engine in the child raises `SchedulerForkedError`.
What the parent owns is never destroyed there: destructors of pending arguments could delete what
the parent uses.
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import Event, Timer, current_thread, main_thread
from time import monotonic
from weakref import WeakSet

from num_agents.scheduler import _native
from num_agents.scheduler._engine import clock_watch, limits
from num_agents.scheduler._engine.current import current
from num_agents.scheduler._log import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType
    from typing import Any, NoReturn

    from num_agents.scheduler._engine.engine import Engine
    from num_agents.scheduler.scheduler import Scheduler

#: How many seconds the exit of a process waits for callbacks that run, all schedulers together.
EXIT_TIMEOUT_S = 5.0

#: After how many seconds a stop that blocks an event loop is warned of.
LOOP_BLOCKED_S = 0.2

#: Those that run on the system's clock. On a virtual clock nothing runs unless it is moved.
_running: set[Scheduler] = set()
_engines: WeakSet[Engine] = WeakSet()


#: What worker threads may need.
_NEEDED_BY_WORKERS = (
    "logging",
    "num_agents.eventbus.eventbus",
    "num_agents.scheduler._engine.futures",
)


def preload() -> None:
    """Imports what worker threads may need, before there are any.

    A child that is forked while another thread imports a module could never import it.
    """
    for module in _NEEDED_BY_WORKERS:
        import_module(module)


def watch_over(engine: Engine) -> None:
    """Takes care of an engine in forked children."""
    _engines.add(engine)


def started(scheduler: Scheduler) -> None:
    """Keeps a scheduler alive until it is stopped."""
    _running.add(scheduler)


def stopped(scheduler: Scheduler) -> None:
    """Keeps a scheduler alive no longer."""
    _running.discard(scheduler)


def log_running(engine: Engine, what: str) -> None:
    """Logs each run that goes on as a loss.

    Args:
        engine: Whose runs.
        what: What becomes of it, after "Task 'name' (id)".
    """
    for task in engine.view.tasks("running"):
        text = f"Task %r (%s) {what}"
        log("warning", text, task.name, task.task_id, task_id=task.task_id, task_name=task.name)


@contextmanager
def loop_watched(count_running: Callable[[], int]) -> Iterator[None]:
    """Logs a warning if the event loop of the calling thread is blocked here for long.

    Callbacks that wait for that loop cannot end while it is blocked.

    Args:
        count_running: How many callbacks run.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or not _has_running_loop(asyncio):
        yield
        return

    def look() -> None:
        running = count_running()
        if running:
            log("warning", _BLOCKED, running)

    timer = Timer(LOOP_BLOCKED_S, look)
    timer.daemon = True
    with suppress(RuntimeError):
        # Without a thread for it there is no warning, but the scheduler must be stopped.
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _has_running_loop(asyncio: ModuleType) -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def signals_heard() -> Iterator[Event]:
    """An event that is set when the process is asked to end, by SIGINT or SIGTERM.

    A second such signal does what it did before.

    Raises:
        RuntimeError: This is not the main thread, which alone hears signals.
    """
    import signal  # noqa: PLC0415 - only programs that live in their scheduler

    if current_thread() is not main_thread():
        raise RuntimeError("run_forever must be called in the main thread, which hears signals")
    asked = Event()
    before: dict[int, Any] = {}

    def ask(*_: object) -> None:
        asked.set()
        restore()

    def restore() -> None:
        while before:
            signal.signal(*before.popitem())

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            # None: it was not set from Python, and cannot be restored.
            before[number] = signal.signal(number, ask) or signal.SIG_DFL
        yield asked
    finally:
        restore()


def wait_for_signal(asked: Event) -> None:
    """Waits until the process is asked to end."""
    while not asked.wait(_SIGNAL_S):
        # On Windows a wait without limit hears no signal.
        pass


#: How long a wait for a signal sleeps at a time: a day, elsewhere than on Windows.
_SIGNAL_S = 0.5 if os.name == "nt" else 86_400.0

_BLOCKED = (
    "stop() blocks the event loop of its thread while %d callbacks run, and those that wait for "
    "that loop cannot end: write `await asyncio.to_thread(scheduler.stop)`"
)


def exit_child(error: BaseException | None) -> NoReturn:
    """Ends a child that was forked in a callback: the worker that it was has nothing to go on with.

    Args:
        error: What the callback raised in the child; None if it returned.
    """
    code = 0
    if isinstance(error, SystemExit):
        if isinstance(error.code, int):
            code = error.code
        elif error.code is not None:
            # As the interpreter does with a message.
            code = 1
            with suppress(BaseException):
                sys.stderr.write(f"{error.code}\n")
    elif error is not None:
        code = 1
        with suppress(BaseException):
            sys.excepthook(type(error), error, error.__traceback__)
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):
            stream.flush()
    os._exit(code)


def _stop_all() -> None:
    """Stops every scheduler; callbacks that run get one time limit for all of them."""
    schedulers = list(_running)
    for scheduler in schedulers:
        scheduler.stop("now")
    deadline = monotonic() + EXIT_TIMEOUT_S
    for scheduler in schedulers:
        report = scheduler.stop("wait", max(deadline - monotonic(), 0.0))
        if report.running:
            log_running(scheduler._engine, "was cut off at exit")  # noqa: SLF001 - a pair


def _after_fork_in_child() -> None:
    _native.note_fork()
    clock_watch.forget_all()
    limits.begin_anew()
    _running.clear()
    # The only thread is no worker any more. Which engine it worked for is kept, so that
    # `current_run` says so.
    current.group = current.room = None
    for engine in list(_engines):
        engine.leak()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

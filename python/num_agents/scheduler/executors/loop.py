"""Runs on an event loop of asyncio: coroutines, and callables that ask for it.

The loop is woken once for all that is due, by a timer that it watches. Then it takes what is due in
a turn, in order: a callable is called, of a coroutine function an asyncio task is made. A turn ends
after `TURN_NS`, so that whatever else the loop has to do goes on, and the next turn follows.
While nothing is due the loop is not woken.

A *session* is one start of the executor, on one loop. It lasts until its coroutines have ended,
which may be after the next start.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from functools import partial
from threading import RLock, Thread, current_thread, get_ident
from time import monotonic

from num_agents.scheduler._engine import lifetime
from num_agents.scheduler._engine.current import current, current_place
from num_agents.scheduler._engine.engine import CLOSED, DRAINING, OPEN, WorkerGroup
from num_agents.scheduler._log import contain, log
from num_agents.scheduler.executors.latch import Latch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from num_agents.scheduler._engine.engine import Engine
    from num_agents.scheduler._native import Alarm, OpenRun

#: How long a turn lasts at most, in nanoseconds, if the callables that it calls are short.
TURN_NS = 1_000_000

#: What a turn answers: nothing is due any more, there may be more, or there is no room for more.
_RESTS, _MORE, _FULL = range(3)


class LoopSession:
    """One start of the executor, on one event loop.

    All methods but `post`, `dismiss` and `wait` are for the thread of the loop.

    Args:
        engine: Where it takes runs from.
        loop: The event loop.
        alarm: What wakes the loop; None if it is driven by a virtual clock.
        max_concurrency: How many coroutines may be under way; None for any number.
        on_end: Called when it has been dismissed and its last coroutine has ended.

    Attributes:
        group: Its cancel token.
        tasks: What is under way, by the slot of the task. This keeps it alive.
        late: What goes on though the time of its run is up.
        is_full: Whether something may be due for which there is no room.
        is_dismissed: Whether it takes nothing more.
        is_over: Whether its last coroutine has ended besides.
    """

    def __init__(
        self,
        engine: Engine,
        loop: asyncio.AbstractEventLoop,
        alarm: Alarm | None,
        max_concurrency: int | None,
        on_end: Callable[[LoopSession], None],
    ) -> None:
        self.engine = engine
        self.loop = loop
        self.group = WorkerGroup()
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.late: dict[OpenRun, asyncio.Task[None]] = {}
        self._runs = engine.runs
        self._alarm = alarm
        self._room = float("inf") if max_concurrency is None else max_concurrency
        self._on_end = on_end
        self._thread: int | None = None
        self._watched: int | None = None
        self._is_turn_due = False
        self.is_full = False
        #: Who waits until nothing is under way but, perhaps, one run, by its slot.
        self._waits: list[tuple[Latch, int | None, bool]] = []
        self.is_dismissed = False
        self.is_over = False

    # ---- from any thread ---------------------------------------------------------------------

    def post(self, function: Callable[..., object], *args: Any) -> bool:
        """Has the loop call something; at once in its own thread. Whether the loop is open."""
        if self.loop.is_closed():
            return False
        if self._thread == get_ident():
            function(*args)
            return True
        try:
            self.loop.call_soon_threadsafe(function, *args, context=Context())
        except RuntimeError:
            # It has been closed at this moment.
            return False
        return True

    def is_here(self) -> bool:
        """Whether the calling thread is in the midst of running the loop, and so cannot wait."""
        return asyncio._get_running_loop() is self.loop  # noqa: SLF001 - raises no error

    def interrupt(self, slot: int) -> None:
        """Cancels the coroutine of a task."""
        task = self.tasks.get(slot)
        if task is not None:
            self.post(self._cancel, slot, task)

    def dismiss(self, *, cancel: bool) -> None:
        """Starts no more runs."""
        self.is_dismissed = True
        if cancel:
            self.group.cancel()
        if not self.post(self._leave, cancel, self._mine()):
            # Nothing on it can go on.
            self.tasks.clear()
            self.late.clear()
            self._end()

    def wait(self, deadline: float, *, until_drained: bool = False) -> bool:
        """Waits until its coroutines have ended, but for the one that waits. Whether they have."""
        mine = self._mine()
        if self.is_here() and until_drained:
            # Nothing else can run callables meanwhile. Coroutines cannot go on.
            self._turn()
            while self._is_turn_due:
                self._turn()
        if self.is_here() or not self.loop.is_running():
            # Nothing on it can end meanwhile.
            return not self.has_others()
        latch = Latch()
        if not self.post(self._enter_wait, latch, mine, until_drained):
            return not self.has_others()
        return latch.wait(max(deadline - monotonic(), 0.0))

    def has_others(self) -> bool:
        """Whether a coroutine is under way, but for the one that asks."""
        return bool(self.others())

    def others(self) -> list[asyncio.Task[None]]:
        """The coroutines under way, but for the one that asks."""
        return self._others(self._mine())

    # ---- on the loop -------------------------------------------------------------------------

    def attach(self) -> None:
        """Begins to take what is due."""
        self._thread = get_ident()
        if self.is_dismissed:
            self._end()
            return
        if self._alarm is not None:
            descriptor = self._alarm.fileno()
            try:
                if descriptor is None:
                    raise NotImplementedError
                self.loop.add_reader(descriptor, self._ring)
                self._watched = descriptor
            except NotImplementedError:
                # A system without such a timer, or a loop that watches no descriptors.
                AlarmThread(self._alarm, self).start()
        self._turn()

    def turn_soon(self) -> bool:
        """Has a turn follow. Returns False if one is to follow already."""
        if self._is_turn_due or self.is_dismissed:
            return False
        self._is_turn_due = True
        self.loop.call_soon(self._turn, context=Context())
        return True

    def ring(self) -> None:
        """Takes what is due: the alarm has rung."""
        if not self._is_turn_due:
            self._turn()

    def make_room(self, count: int) -> None:
        """Allows so many more coroutines, while as many wait for other tasks."""
        self._room += count
        self._fill()

    def _ring(self) -> None:
        if self._alarm is not None:
            self._alarm.stop_ringing()
        self.ring()

    def _turn(self) -> None:
        self._is_turn_due = False
        if self.is_dismissed:
            return
        room = self._room - len(self.tasks) - len(self.late)
        done = _MORE
        outer = current.engine, current.group
        current.engine, current.group = self.engine, self.group
        context = Context()
        try:
            done = context.run(
                self.engine.take_turn, self._begin, context, TURN_NS, int(min(max(room, 0), 2**31))
            )
        finally:
            current.engine, current.group = outer
            if done == _MORE:
                self.turn_soon()
        self.is_full = done == _FULL
        if self._room > len(self.tasks) + len(self.late):
            # Eager ones have ended already.
            self._fill()
        self._tell()

    def _begin(self, run: OpenRun) -> None:
        """Makes an asyncio task of a coroutine function's run."""
        context = run.context
        if context is None and run.options is not None:
            context = run.options.context
        task = self.loop.create_task(
            self._runs.run_coroutine(run, self),
            name=run.name,
            context=Context() if context is None else context.copy(),
        )
        if task.done():
            # A factory of eager tasks has run it to its end.
            return
        self.tasks[run.slot] = task
        if run.is_stopping:
            # It was cancelled before it could be found here.
            self._cancel(run.slot, task)

    def ended(self, run: OpenRun, error: BaseException | None) -> None:
        """Notes that the coroutine of a run has ended, perhaps with an error."""
        if self.engine.is_foreign:
            # A child that was forked in it, whose only thread this is.
            lifetime.exit_child(error)
        if run in self.late:
            del self.late[run]
            self._check()
        elif run.slot in self.tasks:
            self._remove(run.slot)

    def limit(self, run: OpenRun, seconds: float, end: Callable[[], bool]) -> asyncio.TimerHandle:
        """Gives a run a time limit. Then its coroutine is cancelled, and its run ended by `end`."""

        def expire() -> None:
            if not end():
                return
            # Its slot may be another run's from here on.
            task = self.tasks.pop(run.slot, None)
            if task is not None:
                self.late[run] = task
                task.cancel()

        return self.loop.call_later(seconds, expire, context=Context())

    def _fill(self) -> None:
        if self.is_full and not self.is_dismissed:
            self.is_full = False
            self.turn_soon()

    def _cancel(self, slot: int, task: asyncio.Task[None]) -> None:
        """Cancels a coroutine. One that has had no step yet does not say that it has ended."""
        task.cancel()
        task.add_done_callback(partial(self._forget, slot), context=Context())

    def _forget(self, slot: int, task: asyncio.Task[None]) -> None:
        if self.tasks.get(slot) is task:
            self._remove(slot)

    def _remove(self, slot: int) -> None:
        del self.tasks[slot]
        self._check()

    def _check(self) -> None:
        """Does what follows when a coroutine has ended."""
        if self.is_full or self._waits:
            self._fill()
            self._tell()
        if self.is_dismissed and not self.tasks and not self.late:
            self._end()

    def _leave(self, cancel: bool, mine: int | None) -> None:  # noqa: FBT001 - called by the loop
        self._thread = get_ident()
        if self._watched is not None:
            self.loop.remove_reader(self._watched)
            self._watched = None
        elif self._alarm is not None:
            self._alarm.ring()
        if cancel:
            for slot, task in list(self.tasks.items()):
                if slot != mine:
                    self._cancel(slot, task)
        if not self.tasks and not self.late:
            self._end()

    def _enter_wait(self, latch: Latch, mine: int | None, until_drained: bool) -> None:  # noqa: FBT001
        self._waits.append((latch, mine, until_drained))
        if until_drained:
            self.turn_soon()
        self._tell()

    def _tell(self) -> None:
        """Tells those that wait for what has come about."""
        for wait in list(self._waits):
            latch, mine, until_drained = wait
            if until_drained and (self._is_turn_due or self.is_full) and not self.is_dismissed:
                continue
            if not self._others(mine):
                self._waits.remove(wait)
                latch.set()

    def _others(self, mine: int | None) -> list[asyncio.Task[None]]:
        tasks = [task for slot, task in list(self.tasks.items()) if slot != mine]
        return [task for task in [*tasks, *list(self.late.values())] if not task.done()]

    def _mine(self) -> int | None:
        """The slot of the run that the calling code belongs to, if it is one of these."""
        place = current_place.get()
        return place.open_run.slot if place is not None and place.session is self else None

    def _end(self) -> None:
        if not self.is_over:
            self.is_over = True
            for latch, _, _ in self._waits:
                latch.set()
            self._on_end(self)


class AlarmThread(Thread):
    """Tells a loop that its alarm has rung, where it cannot watch the alarm itself."""

    def __init__(self, alarm: Alarm, session: LoopSession) -> None:
        super().__init__(name="num-agents-scheduler-alarm", daemon=True)
        self._alarm = alarm
        self._session = session

    def run(self) -> None:
        """Waits for it to ring, as long as the session takes runs."""
        while self._alarm.wait():
            if self._session.is_dismissed:
                # It may have rung for the session after this one.
                self._alarm.ring()
                return
            self._session.post(self._session.ring)


class PrivateLoop(Thread):
    """An event loop in a thread of its own, for a scheduler that was started outside of any.

    Attributes:
        loop: The event loop.
        is_over: Whether it has been told to end.
    """

    def __init__(self) -> None:
        super().__init__(name="num-agents-scheduler-loop", daemon=True)
        self.loop = asyncio.new_event_loop()
        self.is_over = False

    def run(self) -> None:
        """Runs the loop until it is stopped, and then what is left on it to its end."""
        loop = self.loop
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            try:
                left = asyncio.all_tasks(loop)
                for task in left:
                    task.cancel()
                loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
                loop.run_until_complete(loop.shutdown_asyncgens())
            except BaseException:
                contain("The event loop of a scheduler could not be ended in order")
            finally:
                asyncio.set_event_loop(None)
                loop.close()


class LoopExecutor:
    """Runs coroutines, and callables that ask for it, on an event loop.

    Args:
        engine: Where it takes runs from.
        loop: The event loop; None for the one that runs where it is started, or else one in a
            thread of its own, which is started with the first coroutine.
        max_concurrency: How many coroutines may be under way; None for any number.
    """

    def __init__(
        self,
        engine: Engine,
        loop: asyncio.AbstractEventLoop | None,
        max_concurrency: int | None,
    ) -> None:
        self._engine = engine
        self._named_loop = loop
        self._max_concurrency = max_concurrency
        # Reentrant: a signal handler may stop the scheduler while it is being started.
        self._lock = RLock()
        self._alarm = engine.add_loop()
        #: The one that takes runs.
        self._session: LoopSession | None = None
        #: All that are not over.
        self._sessions: list[LoopSession] = []
        self._private: dict[LoopSession, PrivateLoop] = {}
        #: The threads of private loops that may not have ended.
        self._threads: list[PrivateLoop] = []

    def start(self) -> None:
        """Begins to take what is due, on the loop that runs in the calling thread."""
        self._engine.set_phase(OPEN)
        self.start_on(asyncio._get_running_loop())  # noqa: SLF001 - raises no error

    def start_on(self, running: asyncio.AbstractEventLoop | None) -> None:
        """Begins to take what is due; does nothing the second time.

        Args:
            running: The event loop that ran in the thread that has started the scheduler.
        """
        with self._lock:
            if self._session is not None and self._session.loop.is_closed():
                self._session.dismiss(cancel=False)
                self._session = None
            if self._session is None:
                self._session = self._open(self._named_loop or running)

    def drain(self, timeout: float) -> bool:
        """Waits until nothing is due and nothing is under way."""
        session = self._session
        if session is None:
            return True
        self._engine.set_phase(DRAINING)
        return session.wait(monotonic() + timeout, until_drained=True)

    def dismiss(self, *, cancel: bool) -> None:
        """Starts no more runs."""
        with self._lock:
            self._session = None
            sessions = list(self._sessions)
            self._engine.set_phase(CLOSED)
        for session in sessions:
            session.dismiss(cancel=cancel)

    def join(self, timeout: float) -> bool:
        """Waits for coroutines that are under way; not those of the calling thread's loop."""
        deadline = monotonic() + timeout
        ended = [session.wait(deadline) for session in list(self._sessions)]
        for thread in self._threads:
            if thread.is_alive() and thread.is_over and thread is not current_thread():
                thread.join(max(deadline - monotonic(), 0.0))
        return all(ended)

    def grow(self) -> None:
        """Makes no room: a coroutine that waits makes it on its session."""

    def shrink(self, room: object) -> None:
        """Does nothing."""

    def interrupt(self, slot: int) -> None:
        """Cancels the coroutine of a task that was cancelled while it ran."""
        for session in list(self._sessions):
            session.interrupt(slot)

    def _open(self, loop: asyncio.AbstractEventLoop | None) -> LoopSession:
        private: PrivateLoop | None = None
        if loop is None or loop.is_closed():
            if loop is not None:
                log("warning", "The event loop of the scheduler is closed: it gets one of its own")
            private = PrivateLoop()
            loop = private.loop
        session = LoopSession(
            self._engine, loop, self._alarm, self._max_concurrency, self._session_ended
        )
        self._sessions.append(session)
        if private is not None:
            self._private[session] = private
        if private is not None:
            private.start()
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(private)
        self._begin_session(session)
        return session

    def _begin_session(self, session: LoopSession) -> None:
        session.loop.call_soon_threadsafe(session.attach, context=Context())

    async def end_async(self, timeout: float) -> None:
        """Only on the loop of a virtual clock."""
        raise NotImplementedError

    def _session_ended(self, session: LoopSession) -> None:
        with self._lock:
            if session in self._sessions:
                self._sessions.remove(session)
            private = self._private.pop(session, None)
        if private is not None:
            private.is_over = True
            private.loop.call_soon_threadsafe(private.loop.stop)

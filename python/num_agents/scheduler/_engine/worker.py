"""The life of a run, Python's part: around the callback, and after it.

`rust/py/src/running.rs` takes a task, calls plain callbacks itself, and completes their runs. It
comes here with whatever needs more: a context, an announcement, a failure. A run
that comes back from here without having been completed is completed there, as failed.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from contextvars import Context
from functools import partial
from itertools import starmap
from operator import call
from types import AsyncGeneratorType
from typing import cast

from num_agents.scheduler import _native
from num_agents.scheduler._engine.current import Room, RunPlace, current, current_place
from num_agents.scheduler._engine.held import Held
from num_agents.scheduler._log import contain, is_heard, log
from num_agents.scheduler._timing.spans import SECOND_NS, bounded_span_ns
from num_agents.scheduler.errors import TaskTimeout
from num_agents.scheduler.outcomes import describe, without_frames
from num_agents.scheduler.policy import limit_ns
from num_agents.scheduler.retry import Retry
from num_agents.scheduler.run import run_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import TimerHandle
    from typing import Any

    from num_agents.scheduler._engine.announce import Announcer
    from num_agents.scheduler._engine.control import Control
    from num_agents.scheduler._engine.engine import Engine
    from num_agents.scheduler._engine.options import AnyOptions
    from num_agents.scheduler._engine.pieces import Pieces
    from num_agents.scheduler._native import Call, OpenRun
    from num_agents.scheduler.executors.base import Executor
    from num_agents.scheduler.executors.loop import LoopSession
    from num_agents.scheduler.retry import RetryPolicy


class Runs:
    """What the extension module calls around a run: see `_native.Steps`.

    Args:
        native: The engine.
        clock: Its clock.
        control: What changes a task.
        pieces: Calendars whose times are computed in pieces.
        announcer: Where runs are announced, if anywhere.
    """

    def __init__(
        self,
        native: _native.Engine,
        clock: _native.Clock,
        control: Control,
        pieces: Pieces,
        announcer: Announcer | None,
    ) -> None:
        self._native = native
        self._clock = clock
        self._control = control
        self._pieces = pieces
        self._announcer = announcer
        #: Threads that go on after the time of their run was up.
        self._held = Held(clock)

    @property
    def held(self) -> int:
        """How many threads go on though the time of their run is up."""
        return self._held.count

    def run(self, call: Call) -> None:
        """Runs what needs more than a call with arguments, and completes the run."""
        options: AnyOptions | None = call.options
        if options is not None and options.timeout is not None:
            self._run_limited(call, options)
            return
        has_pieces = options is not None and options.known is not None
        if has_pieces or self._announcer is not None:
            self._prepare(has_pieces=has_pieces)
        try:
            arguments, kwargs = call.arguments, call.kwargs or {}
            if options is not None and options.context is not None:
                value = options.context.copy().run(call.callback, *arguments, **kwargs)
            elif self._announcer is not None:
                # Callback and event handlers do not see each other's context variables.
                value = Context().run(call.callback, *arguments, **kwargs)
            else:
                value = call.callback(*arguments, **kwargs)
        except BaseException as error:
            self.fail(call, error)
            return
        if _is_awaitable(value):
            self.refuse(call, value)
        else:
            self._complete(call, value, failed=False)

    def _run_limited(self, call: Call, options: AnyOptions) -> None:
        """Runs a callable that has a time limit, in a thread.

        The run does not belong to the thread: whoever is first ends it, the callable or the limit.
        """
        assert options.timeout is not None  # it has a limit
        run = self._native.detach()
        if options.known is not None or self._announcer is not None:
            run.within(partial(self._prepare, has_pieces=options.known is not None))
        assert current.engine is not None  # it has taken the run
        place = RunPlace(run, current.engine, current.group)
        place.run = run_at(place)
        context = Context() if options.context is None else options.context.copy()
        late = TaskTimeout(limit_ns(options.timeout) / SECOND_NS)
        held = self._held.begin(late.seconds, lambda: run.end(self.fail, run, late))
        try:
            with held:
                value = context.run(_call_at, place, call)
        except BaseException as error:
            if self._native.is_foreign:
                # The child of a fork in the callback, which has no run to complete.
                raise
            run.end(self.fail, run, error)
        else:
            self._native.check_process()
            self.end_with(run, value)
        finally:
            place.run = None

    def end_with(self, run: OpenRun, value: Any) -> None:
        """Ends a run that has returned, unless its time was up before."""
        if self._announcer is None:
            skipped = run.complete(value)
            if skipped is None:
                run.end(self.refuse, run, value)
            elif skipped:
                self.given_up(run.task_id, run.name, 0, skipped)
        elif _is_awaitable(value):
            run.end(self.refuse, run, value)
        else:
            run.end(partial(self._complete, failed=False), run, value)

    async def run_coroutine(self, run: OpenRun, session: LoopSession) -> None:
        """Runs a coroutine on its event loop, and completes the run."""
        place = RunPlace(run, session.engine, session.group, session)
        current_place.set(place)
        options: AnyOptions | None = run.options
        has_pieces = options is not None and options.known is not None
        limit: TimerHandle | None = None
        raised: BaseException | None = None
        try:
            if has_pieces or self._announcer is not None:
                run.within(partial(self._prepare, has_pieces=has_pieces))
            if options is not None and options.timeout is not None:
                place.run = run_at(place)
                late = TaskTimeout(limit_ns(options.timeout) / SECOND_NS)
                limit = session.limit(run, late.seconds, lambda: run.end(self.fail, run, late))
            kwargs = run.kwargs
            if kwargs is None:
                value = await run.callback(*run.arguments)
            else:
                value = await run.callback(*run.arguments, **kwargs)
        except BaseException as error:
            raised = error
            run.end(self._fail_coroutine, run, error, session)
        else:
            self.end_with(run, value)
        finally:
            place.run = None
            if limit is not None:
                limit.cancel()
            session.ended(run, raised)
            # It would keep its frame alive, and that this.
            raised = None

    def _fail_coroutine(self, run: OpenRun, error: BaseException, session: LoopSession) -> None:
        from asyncio import CancelledError  # noqa: PLC0415 - loaded, where there are coroutines

        is_asked_for = run.is_stopping or session.is_dismissed
        # Not `isinstance`: that asks the exception, which may raise.
        if not (is_asked_for and issubclass(type(error), CancelledError)):
            self.fail(run, error)
            return
        text = "Task %r (%s) was cancelled while it ran"
        log("info", text, run.name, run.task_id, task_id=run.task_id, task_name=run.name)
        without_frames(error)
        self._native.note_error(error)
        self._complete(run, error, failed=True)

    def _prepare(self, *, has_pieces: bool) -> None:
        """Announces a run that is about to start, and computes the next times of its task."""
        record = self._native.current_record()
        if record is not None and self._announcer is not None:
            self._announcer.started(record)
            # A handler may have forked: the child has no run to continue.
            self._native.check_process()
        if record is not None and has_pieces:
            self._pieces.extend_for_run(record)

    def refuse(self, call: Call | OpenRun, value: Any) -> None:
        """Fails a run whose callback returned something that would have to be awaited."""
        kind = type(value).__name__
        if isinstance(value, Coroutine):
            # Otherwise Python would warn that it was never awaited, wherever it is collected.
            with suppress(Exception):
                value.close()
        message = f"the callback of task {call.name!r} returned a {kind} that nobody awaits"
        # The next attempt would return the same.
        self.fail(call, TypeError(message), may_retry=False)

    def fail(self, call: Call | OpenRun, error: BaseException, *, may_retry: bool = True) -> None:
        """Ends a run that raised, or puts it off: logged once, kept without frames, announced."""
        if self._native.is_foreign:
            # The child of a fork in the callback, which has no run to complete.
            raise error
        task_id = self._native.current()
        options: AnyOptions | None = call.options
        policy = None if options is None else options.retry
        if may_retry and (policy is not None or issubclass(type(error), Retry)):
            if self._is_tried_again(call, task_id or "", policy, error):
                return
            if issubclass(type(error), Retry):
                error = error.__cause__ or error
        log(
            "error",
            "Task %r (%s) failed: %s",
            call.name,
            task_id,
            describe(error),
            task_id=task_id,
            task_name=call.name,
            error=error,
        )
        without_frames(error)
        self._count_failure(options, task_id, error)
        self._complete(call, error, failed=True)
        # Not `isinstance`: that asks the exception, which may raise.
        if issubclass(type(error), KeyboardInterrupt) and _in_main_thread():
            raise error

    def _is_tried_again(
        self,
        call: Call | OpenRun,
        task_id: str,
        policy: RetryPolicy | None,
        error: BaseException,
    ) -> bool:
        """Has a run that raised tried again, if it is to be: logged and announced."""
        record = self._native.current_record()
        if record is None:
            return False
        try:
            wait_ns = _wait_ns(record, policy, error, self._clock.now_ns())
        except BaseException:
            # The policy is the user's, and so is the class of the exception.
            contain("Task %s could not be tried again", task_id)
            return False
        attempts = None if wait_ns is None else self._native.retry(wait_ns)
        if wait_ns is None or attempts is None:
            return False
        most = "" if policy is None or policy.attempts is None else f" of {policy.attempts}"
        text = "Task %r (%s) failed in attempt %d%s, and is tried again in %g s: %s"
        seconds = wait_ns / SECOND_NS
        values = (call.name, task_id, attempts, most, seconds, describe(error))
        log("warning", text, *values, task_id=task_id, task_name=call.name)
        if self._announcer is not None:
            self._announcer.retrying(record, without_frames(error), seconds)
        return True

    def _count_failure(
        self, options: AnyOptions | None, task_id: str | None, error: BaseException
    ) -> None:
        """Notes a failed run, and pauses the task if its policy says so."""
        failures = self._native.note_error(error)
        try:
            limit = None if options is None else options.pause_after_failures
            if limit is not None and failures >= limit and task_id is not None:
                self._control.pause(task_id, reason=f"{failures} failed runs in a row")
        except BaseException:
            # The policy is the user's, who may have put anything into it since.
            contain("Task %s could not be paused after a failed run", task_id)

    def missed(self) -> None:
        """Reports occurrences that were missed without a run."""
        for task_id, name, options, nominal_ns, missed, ended in self._native.take_missed():
            log(
                "warning",
                "Task %r (%s) missed %d occurrences",
                name,
                task_id,
                missed,
                task_id=task_id,
                task_name=name,
            )
            if self._announcer is not None:
                self._announcer.missed(task_id, name, nominal_ns, missed)
            if not ended and options is not None and not self._pieces.extend_after_miss(task_id):
                self._control.cancel(task_id)

    def given_up(self, task_id: str, name: str, missed: int, skipped: int) -> None:
        """Logs occurrences that were missed for a run, or skipped during it."""
        if missed and is_heard("warning"):
            text = "Task %r (%s) gave up %d occurrences that were overdue, and ran once"
            log("warning", text, name, task_id, missed, task_id=task_id, task_name=name)
        if skipped and is_heard("debug"):
            text = "Task %r (%s) skipped %d occurrences that fell due while it ran"
            log("debug", text, name, task_id, skipped, task_id=task_id, task_name=name)

    def end(self, error: BaseException) -> None:
        """Ends the run that the calling thread is in, if it is in one, with what was raised."""
        call = self._native.open_call()
        if call is None:
            self.contain(error)
        else:
            self.fail(call, error)

    def contain(self, error: BaseException) -> None:
        """Logs an error that must not end a worker."""
        try:
            raise error
        except BaseException:
            contain("A worker of the scheduler failed, and goes on")

    def _complete(self, call: Call | OpenRun, value: object, *, failed: bool) -> None:
        native, announcer = self._native, self._announcer
        # Before the run is completed: a task that ends with it may be forgotten at once.
        task_id = native.current() or ""
        record = None if announcer is None else native.current_record()
        status, _, skipped = native.complete(value, failed)
        if skipped:
            self.given_up(task_id, call.name, 0, skipped)
        if announcer is not None and record is not None:
            announcer.ended(record, status, value, skipped)


def work(engine: Engine, group: _native.WorkerGroup, executor: Executor) -> None:
    """Runs what falls due, until the group tells the calling worker thread to leave.

    The calls are made by iterators that are not written in Python: see `rust/py/src/steps.rs`. Each
    run has a context of its own. A new one is made after a run that has set a variable.
    """
    current.engine, current.group, current.room = engine, group, Room(executor)
    native, runs, is_announced = engine.native, engine.runs, engine.announcer is not None
    errors: list[BaseException] = []
    is_over = False
    while not is_over:
        try:
            while errors:
                _end_run(runs, errors.pop())
            context = Context()
            steps = _native.Steps(native, runs, is_announced, group, context)
            # `finish` returns None, which `filter` drops, so `next` goes on to the end.
            context.run(next, filter(None, map(steps.finish, starmap(call, steps))))
        except BaseException as error:
            if native.is_foreign:
                raise
            if type(error) is StopIteration and native.open_call() is None:
                # The end of the iteration, and not what a callback has raised.
                is_over = steps.is_over
            else:
                errors.append(error)
    if not engine.waiting.is_running:
        # A run that outlasted the stop may have left a waiter for the next one.
        engine.waiting.tell_stopped()


def _end_run(runs: Runs, error: BaseException) -> None:
    """Ends the open run with what was raised. If that raises too, the next step completes it."""
    try:
        runs.end(error)
    except BaseException as raised:
        runs.contain(raised)


def _call_at(place: RunPlace, call: Call) -> Any:
    """Calls what is to be called, so that `current_run` finds the run."""
    current_place.set(place)
    return call.callback(*call.arguments, **(call.kwargs or {}))


def run_due(engine: Engine, group: _native.WorkerGroup) -> bool:
    """Runs what is due now, in order, in the calling thread; each run in a context of its own.

    Returns:
        Whether there was anything.
    """
    outer = current.engine, current.group
    current.engine, current.group = engine, group
    run_next, is_announced = engine.native.run_next, engine.announcer is not None
    has_run = False
    try:
        while Context().run(run_next, engine.runs, is_announced):
            has_run = True
    finally:
        current.engine, current.group = outer
    return has_run


def _wait_ns(
    record: _native.TaskRecord, policy: RetryPolicy | None, error: BaseException, now_ns: int
) -> int | None:
    """How long to wait before another attempt; None for no other attempt."""
    asked = cast("Retry", error) if issubclass(type(error), Retry) else None
    if policy is None:
        return 0 if asked is None or asked.after_ns is None else asked.after_ns
    if asked is None:
        if not policy.allows(error, record.attempt):
            return None
    elif policy.attempts is not None and record.attempt >= policy.attempts:
        return None
    wait_ns = policy.wait_ns(record.attempt, record.task_id)
    if asked is not None and asked.after_ns is not None:
        wait_ns = asked.after_ns
    if policy.until is not None:
        first_ns = record.first_started_ns or now_ns
        if now_ns + wait_ns > first_ns + bounded_span_ns(policy.until, "until"):
            return None
    return wait_ns


def _is_awaitable(value: object) -> bool:
    try:
        return hasattr(type(value), "__await__") or type(value) is AsyncGeneratorType
    except BaseException:
        # A metaclass may raise, which must not fail the run.
        return False


def _in_main_thread() -> bool:
    from threading import current_thread, main_thread  # noqa: PLC0415 - only failures ask

    return current_thread() is main_thread()

"""Coroutines on the event loop of a virtual clock."""

from __future__ import annotations

import asyncio

from num_agents.scheduler._engine.engine import LOOP
from num_agents.scheduler._timing.spans import SECOND_NS
from num_agents.scheduler.executors.loop import LoopExecutor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler._engine.engine import Engine
    from num_agents.scheduler._engine.waiting import RunUntil
    from num_agents.scheduler.executors.loop import LoopSession
    from num_agents.scheduler.testing.loop import VirtualLoop


class InlineLoopExecutor(LoopExecutor):
    """Runs coroutines when `run_due` is called and the clock drives its loop.

    Args:
        engine: Where it takes runs from.
        loop: The loop of the clock.
        max_concurrency: How many coroutines may be under way; None for any number.
        run_until: Moves the clock.
    """

    def __init__(
        self,
        engine: Engine,
        loop: VirtualLoop,
        max_concurrency: int | None,
        run_until: RunUntil,
    ) -> None:
        super().__init__(engine, loop, max_concurrency)
        self._engine = engine
        self._loop = loop
        self._run_until = run_until

    def run_due(self) -> bool:
        """Has the loop take what is due now. Whether there was anything."""
        session = self._session
        due = None if session is None or session.is_full else self._engine.next_deadline(LOOP)
        if session is None or due is None or due > self._engine.clock.axis_ns():
            return False
        return session.turn_soon()

    def next_deadline(self) -> int | None:
        """When something is due that the loop would take; None if there is nothing of the kind."""
        session = self._session
        if session is None or session.is_full:
            return None
        return self._engine.next_deadline(LOOP)

    def drain(self, timeout: float) -> bool:
        """Runs what is due now, and what is under way, within so many seconds of the clock."""
        self.run_due()
        return self.join(timeout)

    def join(self, timeout: float) -> bool:
        """Moves the clock by up to so many seconds until no coroutine is under way."""
        sessions = list(self._sessions)
        if any(session.is_here() for session in sessions):
            return not any(session.has_others() for session in sessions)
        if sessions:
            limit = int(min(timeout, _LONGEST_S) * SECOND_NS)
            self._run_until(lambda: not any(one.has_others() for one in sessions), limit)
        return not any(session.has_others() for session in sessions)

    async def end_async(self, timeout: float) -> None:
        """As `drain`, for a coroutine on the loop itself; as `join` once it has been dismissed."""
        self.run_due()
        # The turn has its place in the loop before this goes on.
        await asyncio.sleep(0)
        for session in list(self._sessions):
            others = session.others()
            if others:
                await asyncio.wait(others, timeout=timeout)

    def _begin_session(self, session: LoopSession) -> None:
        self._loop.call_soon(session.attach)


#: More than that is not waited for: three centuries.
_LONGEST_S = 9_000_000_000

"""The wall clock: noticing that it was set, and following it."""

from __future__ import annotations

from num_agents.scheduler import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from num_agents.scheduler._engine.announce import Announcer
    from num_agents.scheduler._engine.pieces import Pieces
    from num_agents.scheduler.testing import VirtualClock

    #: What the event `scheduler.clock_changed` says.
    ClockChange = dict[str, float | str | int]

Clock = _native.Clock

#: Virtual clocks that are in use as context managers. The last one is the clock of schedulers that
#: are given none, whatever thread makes them; without any it is the system's.
default_clocks: list[VirtualClock] = []


class WallClock:
    """Follows the wall clock.

    The engine keeps elapsed spans apart from moments of the wall clock, and is the only one to turn
    one into the other. So it does not matter when a change is noticed.

    Args:
        native: The engine.
        clock: Its clock.
        pieces: Calendars whose times are computed in pieces.
        announcer: Where changes are announced, if anywhere.
        catch_up_spread_ns: Over which span overdue work is spread; 0 for not at all.
    """

    def __init__(
        self,
        native: _native.Engine,
        clock: _native.Clock,
        pieces: Pieces,
        announcer: Announcer | None,
        catch_up_spread_ns: int,
    ) -> None:
        self._native = native
        self._clock = clock
        self._pieces = pieces
        self._announcer = announcer
        self._catch_up_spread_ns = catch_up_spread_ns

    def look(self) -> list[ClockChange]:
        """Follows the system's wall clock, if it was set or the machine was suspended.

        Returns:
            What to announce, under no lock.
        """
        set_by, suspended = self._clock.look()
        changes = []
        if set_by:
            changes.append(self.follow(set_by / 1e9, "set"))
        if suspended:
            changes.append(self.follow(suspended / 1e9, "suspend"))
        return changes

    def follow(self, offset_s: float, reason: str) -> ClockChange:
        """Gives tasks on the wall clock new deadlines, after the clock's wall has been changed.

        Args:
            offset_s: By how many seconds it was set, or how long the machine was suspended.
            reason: "set" or "suspend".

        Returns:
            What to announce, under no lock.
        """
        step, set_back_by_ns = self._native.next_wall_step()
        if step == "reset":
            self._pieces.begin_again(set_back_by_ns)
        else:
            self._pieces.extend_all(self._clock.now_ns())
        step, rekeyed, rearmed = self._native.follow_wall()
        self.spread_overdue()
        self._native.clock_moved()
        return {
            "offset": offset_s,
            "reason": reason,
            "step": step,
            "rekeyed": rekeyed,
            "rearmed": rearmed,
        }

    def announce(self, changes: list[ClockChange]) -> None:
        """Publishes changes of the clock."""
        if self._announcer is None:
            return
        for change in changes:
            self._announcer.publish("scheduler.clock_changed", **change)

    def catch_up(self) -> list[ClockChange]:
        """Prepares the start: follows the clock, and spreads what is overdue."""
        changes = self.look()
        self._pieces.extend_all(self._clock.now_ns())
        self.spread_overdue()
        return changes

    def spread_overdue(self) -> None:
        """Spreads what is overdue, if that was asked for."""
        if self._catch_up_spread_ns:
            self._native.spread(self._catch_up_spread_ns)

"""Events, and the bus that carries them from publishers to subscribers."""

from num_agents.eventbus.eventbus import Event, EventBus, EventTypes

__all__ = ["Event", "EventBus", "EventTypes"]

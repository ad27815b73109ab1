"""The peers. One file each; a peer that is not installed is known by name all the same."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from num_agents.scheduler.cli.bench.adapters.base import Adapter
from num_agents.scheduler.cli.bench.adapters.tasks import Batch, Burst

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BEFORE", "OURS", "PEERS", "Adapter", "Batch", "Burst", "load"]

OURS = "num-agents-scheduler"
BEFORE = "before"
"""Another version of ours, measured by the same adapter in an interpreter of its own."""

PEERS: Mapping[str, str] = {
    OURS: "num_agents_scheduler",
    "asyncio": "asyncio_loop",
    "uvloop": "uvloop_loop",
    "heapq": "bare_heapq",
    "heapq-thread": "heap_thread",
    "kombu": "kombu_timer",
    "sched": "stdlib_sched",
    "apscheduler": "apscheduler_background",
    "rust-py-scheduler": "rust_py",
}
"""Each peer's name and the module of its adapter."""


def load(peer: str) -> type[Adapter] | None:
    """The adapter of `peer`, or None if the peer is not installed."""
    try:
        module = import_module(f"{__name__}.{PEERS[peer]}")
    except ModuleNotFoundError as error:
        # A missing module of our own is a fault; any other is the peer, or a part of it.
        if (error.name or "").split(".", maxsplit=1)[0] == "num_agents":
            raise
        return None
    adapter: type[Adapter] = module.PEER
    return adapter

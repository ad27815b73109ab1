"""uvloop: `call_later` of the event loop on libuv."""

# ruff: noqa: D102 - `Adapter` documents the methods.

from __future__ import annotations

from typing import TYPE_CHECKING

import uvloop

from num_agents.scheduler.cli.bench.adapters.asyncio_loop import AsyncioLoop

if TYPE_CHECKING:
    import asyncio


class UvloopLoop(AsyncioLoop):
    """The same calls as asyncio's, on another loop."""

    name = "uvloop"
    distribution = "uvloop"
    remarks = ("uvloop counts whole milliseconds, so a task may run up to 1 ms early.",)

    def new_loop(self) -> asyncio.AbstractEventLoop:
        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return loop


PEER = UvloopLoop

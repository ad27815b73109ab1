"""Coroutines and callables on an event loop: see `benches.coroutines` for the peers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benches.coroutines import PEERS, sample

if TYPE_CHECKING:
    from benches.rounds import Benchmark

OURS = [name for name in PEERS if name not in ("AsyncIOScheduler",)]


@pytest.mark.parametrize("peer", OURS)
def test_on_an_event_loop(benchmark: Benchmark, size: int, peer: str) -> None:
    found = benchmark.pedantic(sample, args=(peer, "asyncio", size, 0.0))
    benchmark.extra_info["runs_per_s"] = found["runs_per_s"]

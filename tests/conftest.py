"""Time as a fixture: most tests run on a clock that they move, and none of these sleeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from num_agents.scheduler import Scheduler
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.option.markexpr:
        for item in items:
            if "long" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes minutes: run it with -m long"))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def scheduler(clock: VirtualClock) -> Iterator[Scheduler]:
    """A scheduler on the virtual clock, started."""
    with Scheduler(clock=clock) as started:
        yield started


@pytest.fixture
def threaded() -> Iterator[Callable[..., Scheduler]]:
    """Makes schedulers with real threads, started; they are stopped after the test."""
    made: list[Scheduler] = []

    def make(max_workers: int = 2, **options: object) -> Scheduler:
        scheduler = Scheduler(max_workers=max_workers, **options)  # type: ignore[arg-type]
        made.append(scheduler)
        scheduler.start()
        return scheduler

    yield make
    for scheduler in made:
        scheduler.stop("cancel")

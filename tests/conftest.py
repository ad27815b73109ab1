"""Time as a fixture: most tests run on a clock that they move, and none of these sleeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from num_agents.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from num_agents.scheduler.testing import VirtualClock

# Both limits are of elapsed time, which a machine that does other work exceeds now and then.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.option.markexpr:
        for item in items:
            if "long" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes minutes: run it with -m long"))


@pytest.fixture
def clock(virtual_clock: VirtualClock) -> VirtualClock:
    """The clock of the package's own plugin, which also brings `scheduler`."""
    return virtual_clock


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

"""Fixtures for pytest, which finds them if this package is installed.

```python
def test_report(scheduler, virtual_clock):
    task_id = scheduler.schedule("report", lambda: "done", delay=3600)
    virtual_clock.advance(3600)
    assert scheduler.result(task_id, timeout=0) == "done"
```
"""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from num_agents.scheduler import Scheduler
    from num_agents.scheduler.testing import VirtualClock


@pytest.fixture
def virtual_clock() -> Iterator[VirtualClock]:
    """A clock that the test moves, from 2025-01-01T00:00:00Z on; its local time is UTC.

    Every scheduler that is made during the test without `clock=` runs on it.
    """
    from num_agents.scheduler.testing import VirtualClock  # noqa: PLC0415 - loaded with pytest

    with VirtualClock(timezone="UTC") as clock:
        yield clock
    clock.close()


@pytest.fixture
def scheduler(virtual_clock: VirtualClock) -> Iterator[Scheduler]:
    """A scheduler on the virtual clock, started, and stopped after the test."""
    from num_agents.scheduler import Scheduler  # noqa: PLC0415 - loaded with pytest

    with Scheduler(clock=virtual_clock) as started:
        yield started

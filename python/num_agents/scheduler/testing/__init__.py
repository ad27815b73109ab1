"""For tests of programs that schedule: time that moves when the test says so.

```python
from num_agents.scheduler import Scheduler
from num_agents.scheduler.testing import VirtualClock

clock = VirtualClock(start="2025-01-01T00:00:00Z")
with Scheduler(clock=clock) as scheduler:
    task_id = scheduler.schedule("report", lambda: "done", delay=3600)
    clock.advance(3600)
    assert scheduler.result(task_id, timeout=0) == "done"
```
"""

from num_agents.scheduler.testing.clock import VirtualClock

__all__ = ["VirtualClock"]

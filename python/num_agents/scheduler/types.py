"""The types of arguments, for annotations: spans, moments, options, and the ports.

```python
from num_agents.scheduler import Scheduler
from num_agents.scheduler.types import ScheduleOptions, Seconds

def remind(scheduler: Scheduler, after: Seconds) -> str:
    options: ScheduleOptions = {"tags": ["reminders"], "grace": 60}
    return scheduler.schedule("remind", print, delay=after, **options)
```

| name | what it is |
| --- | --- |
| `Seconds` | a span of time: a number of seconds, or a timedelta |
| `Moment` | a datetime, or a string in ISO-8601 |
| `ScheduleOptions` | the options of `Scheduler.schedule` besides `delay`, `args` and `priority` |
| `SupportsPublish` | what the scheduler needs of an event bus |
| `Executor` | what the scheduler needs of a place where runs happen |
| `DialectWord`, `DstWord`, `FirstRun` | the values of `dialect`, `dst`, `first_run` |
| `MisfireWord`, `StopMode`, `Until` | the values of `misfire`, `mode` (of `stop`), `until` |
"""

from num_agents.scheduler._options import ScheduleOptions
from num_agents.scheduler._timing.moments import Moment
from num_agents.scheduler._timing.spans import Seconds
from num_agents.scheduler.events import SupportsPublish
from num_agents.scheduler.executors.base import Executor
from num_agents.scheduler.policy import MisfireWord
from num_agents.scheduler.schedule import DialectWord, DstWord, FirstRun
from num_agents.scheduler.scheduler import StopMode, Until

__all__ = [
    "DialectWord",
    "DstWord",
    "Executor",
    "FirstRun",
    "MisfireWord",
    "Moment",
    "ScheduleOptions",
    "Seconds",
    "StopMode",
    "SupportsPublish",
    "Until",
]

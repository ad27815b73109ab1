"""A task scheduler with a Rust core: millions of pending tasks, on time, in order, once.

```python
from num_agents.scheduler import Scheduler

with Scheduler() as scheduler:
    task_id = scheduler.schedule("greet", lambda: "hello", delay=0.01)
    print(scheduler.result(task_id))
```

The types of arguments, for annotations, are in `num_agents.scheduler.types`.
"""

from num_agents.scheduler.calendar import CalendarInterval, Exclusions
from num_agents.scheduler.errors import (
    InvalidCronError,
    SchedulerError,
    SchedulerForkedError,
    SchedulerStoppedError,
    ScheduleWarning,
    TaskCancelledError,
    TaskExistsError,
    TaskMissedError,
    TaskTimeout,
    UnknownTaskError,
    UnsupportedScheduleError,
)
from num_agents.scheduler.outcomes import Outcome
from num_agents.scheduler.policy import RunPolicy
from num_agents.scheduler.retry import Retry, RetryPolicy
from num_agents.scheduler.run import Run, current_run
from num_agents.scheduler.schedule import TaskSchedule
from num_agents.scheduler.scheduler import Scheduler
from num_agents.scheduler.statistics import LatenessHistogram, Statistics, StopReport
from num_agents.scheduler.task import Task, TaskStatus

__all__ = [
    "CalendarInterval",
    "Exclusions",
    "InvalidCronError",
    "LatenessHistogram",
    "Outcome",
    "Retry",
    "RetryPolicy",
    "Run",
    "RunPolicy",
    "ScheduleWarning",
    "Scheduler",
    "SchedulerError",
    "SchedulerForkedError",
    "SchedulerStoppedError",
    "Statistics",
    "StopReport",
    "Task",
    "TaskCancelledError",
    "TaskExistsError",
    "TaskMissedError",
    "TaskSchedule",
    "TaskStatus",
    "TaskTimeout",
    "UnknownTaskError",
    "UnsupportedScheduleError",
    "current_run",
]

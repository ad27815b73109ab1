"""The public names are those in `__all__`, and are found where the public document says."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

PACKAGES = [
    "num_agents.core",
    "num_agents.eventbus",
    "num_agents.eventbus.eventbus",
    "num_agents.scheduler",
    "num_agents.scheduler.files",
    "num_agents.scheduler.testing",
]

DOCUMENTED = {
    "num_agents.core": ["Flow", "Node", "SharedStore"],
    "num_agents.eventbus.eventbus": ["Event", "EventBus", "EventTypes"],
    "num_agents.scheduler.scheduler": ["Scheduler"],
    "num_agents.scheduler.scheduler_node": [
        "CancelTaskNode",
        "ScheduledFlowNode",
        "ScheduleTaskNode",
        "WaitForTaskNode",
    ],
    "num_agents.scheduler.task": ["Task", "TaskSchedule", "TaskStatus"],
    "num_agents.scheduler.utils": [
        "cancel_all_tasks",
        "get_all_tasks_info",
        "get_due_tasks_info",
        "get_pending_tasks_info",
        "get_task_info",
        "schedule_cron_task",
        "schedule_one_time_task",
        "schedule_recurring_task",
    ],
}


def public_names(module: ModuleType) -> set[str]:
    """What a module defines or takes from ours, without its submodules."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", "").startswith("num_agents")
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_all_that_is_public(package: str) -> None:
    module = importlib.import_module(package)
    assert public_names(module) == set(module.__all__)
    assert module.__all__ == sorted(module.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_everything_public_is_documented(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__doc__
    assert [name for name in module.__all__ if not getattr(module, name).__doc__] == []


@pytest.mark.parametrize("module", DOCUMENTED)
def test_the_documented_paths_are_there(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in DOCUMENTED[module] if not hasattr(found, name)] == []


def test_one_thing_has_one_identity() -> None:
    import num_agents.scheduler as package
    from num_agents.scheduler import scheduler, task

    assert package.Scheduler is scheduler.Scheduler
    assert package.Task is task.Task
    assert package.TaskSchedule is task.TaskSchedule


def test_the_import_loads_only_what_it_needs() -> None:
    """Of what takes long to import nothing is loaded before it is used."""
    program = (
        "import sys; import num_agents.scheduler; "
        "print(*sorted({'asyncio', 'logging', 'concurrent.futures', 'inspect', 'uuid', "
        "'num_agents.eventbus', 'num_agents.core', 'rich'} & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-S", "-E", "-c", _with_path(program)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.strip() == ""


def _with_path(program: str) -> str:
    """Without the site module, which loads whatever is installed beside us."""
    return f"import sys; sys.path[:] = {sys.path!r}; {program}"

"""Imports go strictly downwards, and time is converted in one package only.

What imports the extension module, and what the other packages may know of the scheduler, is
checked beside the page that says so: see `test_architecture.py`.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PYTHON = Path(__file__).parents[1] / "python"
SCHEDULER = "num_agents.scheduler"

#: The floors of the library, from the ground up: a module imports from floors below its own only.
#: Of the command line, which is a program of its own on top of all, `test_architecture.py` tells.
FLOORS = [
    {"num_agents"},
    {"_lazy"},
    {"core", "eventbus.eventbus"},
    {"eventbus"},
    # Ports, errors, and what says things.
    {
        "scheduler._engine",
        "scheduler._hints",
        "scheduler._log",
        "scheduler._native",
        "scheduler.errors",
        "scheduler.events",
        "scheduler.executors",
        "scheduler.executors.base",
        "scheduler.statistics",
        "scheduler.stores",
    },
    {"scheduler._messages"},
    {"scheduler._numbers"},
    # From what users say to nanoseconds.
    {"scheduler._timing"},
    {"scheduler._timing.spans"},
    {"scheduler._timing.native_zones"},
    {"scheduler._timing.zones"},
    {"scheduler._timing.moments"},
    {
        "scheduler._timing.bounds",
        "scheduler._timing.bulk",
        "scheduler._timing.common",
        "scheduler._timing.rrule",
    },
    {"scheduler._timing.calendars", "scheduler._timing.first_due"},
    {"scheduler._timing.english", "scheduler._timing.preview"},
    # What users hold: plain data.
    {
        "scheduler.calendar",
        "scheduler.forecast",
        "scheduler.outcomes",
        "scheduler.retry",
    },
    {"scheduler.policy"},
    {"scheduler.schedule"},
    {"scheduler._options"},
    {"scheduler.task"},
    {"scheduler.files.entries"},
    {"scheduler.files.crontab", "scheduler.files.toml"},
    {"scheduler.files"},
    # The other side of the extension module.
    {
        "scheduler._engine.announce",
        "scheduler._engine.clock",
        "scheduler._engine.current",
        "scheduler._engine.limits",
        "scheduler._engine.options",
    },
    {
        "scheduler._engine.call",
        "scheduler._engine.clock_watch",
        "scheduler._engine.control",
        "scheduler._engine.futures",
        "scheduler._engine.held",
        "scheduler._engine.keys",
        "scheduler._engine.view",
        "scheduler.run",
    },
    {"scheduler._engine.worker"},
    {"scheduler._engine.lifetime", "scheduler._engine.pieces", "scheduler._engine.waiting"},
    {"scheduler._engine.bulk", "scheduler._engine.engine"},
    # Where runs happen.
    {"scheduler.executors.latch"},
    {
        "scheduler.executors.inline",
        "scheduler.executors.loop",
        "scheduler.executors.threads",
        "scheduler.testing.loop",
    },
    {"scheduler.executors.inline_loop", "scheduler.testing.clock"},
    {"scheduler.executors.group"},
    {"scheduler.scheduler", "scheduler.testing"},
    {"scheduler", "scheduler.types"},
    {"scheduler.scheduler_node", "scheduler.testing.plugin", "scheduler.utils"},
    {"scheduler.cli"},
    {"_program", "scheduler.__main__"},
]
FLOOR = {
    module if module == "num_agents" else f"num_agents.{module}": number
    for number, floor in enumerate(FLOORS)
    for module in floor
}

#: Who else may do something with datetimes.
OWN_CALENDAR = {
    # An event has a timestamp, and the bus knows nothing of the scheduler.
    "num_agents.eventbus.eventbus",
}


def name_of(path: Path) -> str:
    parts = path.relative_to(PYTHON).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    name: path
    for path in sorted(PYTHON.rglob("*.py"))
    if not (name := name_of(path)).startswith(f"{SCHEDULER}.cli")
}


def imported_at_run_time(node: ast.AST) -> set[str]:
    """The modules that code imports, at its top or in functions, but not for checkers only."""
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            found |= {alias.name for alias in child.names}
        elif isinstance(child, ast.ImportFrom):
            assert child.module is not None
            assert child.level == 0, "imports are absolute"
            # `from package import module` means the module.
            inner = {f"{child.module}.{alias.name}" for alias in child.names}
            known = {name for name in inner if name in FLOOR}
            found |= known or {child.module}
        found |= imported_at_run_time(child)
    return found


def test_every_module_has_a_floor() -> None:
    assert set(MODULES) == {
        name for name in FLOOR if name not in (f"{SCHEDULER}._native", f"{SCHEDULER}.cli")
    }


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module: str) -> None:
    imported = imported_at_run_time(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    ours = {name for name in imported if name.partition(".")[0] == "num_agents"}
    assert {name: FLOOR[name] for name in ours if FLOOR[name] >= FLOOR[module]} == {}


def names_used(tree: ast.AST) -> set[str]:
    """The names that code uses when it runs: those in annotations are left out."""
    found: set[str] = set()
    for field, value in ast.iter_fields(tree):
        if field in {"annotation", "returns"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Name):
                found.add(child.id)
            if isinstance(child, ast.AST):
                found |= names_used(child)
    return found


def uses_time(tree: ast.AST) -> bool:
    """Whether code does something with datetimes, apart from naming them in annotations."""
    imported = imported_at_run_time(tree)
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "datetime"
        for alias in node.names
    }
    return bool(imported & {"zoneinfo", "calendar"} or names & names_used(tree))


def test_one_package_of_the_library_knows_datetimes() -> None:
    importers = {
        module
        for module, path in MODULES.items()
        if uses_time(ast.parse(path.read_text(encoding="utf-8")))
    }
    ours = {name for name in importers if name.startswith(f"{SCHEDULER}._timing.")}
    assert ours
    assert importers - ours == OWN_CALENDAR

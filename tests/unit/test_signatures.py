"""What editors, notebooks and `typing.get_type_hints` learn of the public functions."""

from __future__ import annotations

import importlib
import inspect
import pydoc
import subprocess
import sys
import typing
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler import RunPolicy, Scheduler, Task, TaskSchedule
from num_agents.scheduler.types import ScheduleOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODULES = [
    "num_agents.core",
    "num_agents.eventbus",
    "num_agents.scheduler",
    "num_agents.scheduler.calendar",
    "num_agents.scheduler.errors",
    "num_agents.scheduler.events",
    "num_agents.scheduler.executors.base",
    "num_agents.scheduler.files",
    "num_agents.scheduler.forecast",
    "num_agents.scheduler.outcomes",
    "num_agents.scheduler.policy",
    "num_agents.scheduler.run",
    "num_agents.scheduler.schedule",
    "num_agents.scheduler.scheduler",
    "num_agents.scheduler.scheduler_node",
    "num_agents.scheduler.statistics",
    "num_agents.scheduler.task",
    "num_agents.scheduler.testing",
    "num_agents.scheduler.types",
    "num_agents.scheduler.utils",
]

#: The parameters of `Scheduler.schedule` that are no options of one of the three descriptions.
OWN = {"self", "name", "callback", "delay", "args", "priority", "key", "if_exists"}


def functions_of(module: str) -> Iterator[Callable[..., Any]]:
    """The public functions, classes and methods that a module has."""
    for name, value in vars(importlib.import_module(module)).items():
        home = getattr(value, "__module__", "")
        if name.startswith("_") or not home.startswith("num_agents.") or "._" in home:
            continue
        if inspect.isfunction(value):
            yield value
        elif inspect.isclass(value):
            yield value
            yield from methods_of(value)


def methods_of(owner: type) -> Iterator[Callable[..., Any]]:
    for name, value in vars(owner).items():
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        is_private = name.startswith("_") and not name.endswith("__")
        if inspect.isfunction(function) and not is_private and function.__module__ != "typing":
            yield function


class TestTypeHints:
    @pytest.mark.parametrize("module", MODULES)
    def test_every_public_function_has_hints(self, module: str) -> None:
        functions = list(functions_of(module))
        assert functions
        for function in functions:
            typing.get_type_hints(function)

    def test_what_is_imported_late_is_found(self) -> None:
        from num_agents.scheduler._engine.futures import TaskFuture
        from num_agents.scheduler.testing import VirtualClock

        assert typing.get_type_hints(Scheduler.future)["return"] is TaskFuture
        assert typing.get_type_hints(Scheduler.__init__)["clock"] == VirtualClock | None

    def test_every_option_has_a_hint(self) -> None:
        hints = typing.get_type_hints(ScheduleOptions)
        assert set(hints) | OWN == set(inspect.signature(Scheduler.schedule).parameters)

    def test_hints_can_be_taken_first_in_a_process(self) -> None:
        program = (
            "import typing; from num_agents.scheduler import Scheduler; "
            "print(len(typing.get_type_hints(Scheduler.schedule)))"
        )
        command = [sys.executable, "-c", program]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert printed == "9\n"


class TestTheSignatureOfSchedule:
    def test_has_every_option_with_its_default(self) -> None:
        defaults: dict[str, Any] = {}
        for owner in (TaskSchedule, RunPolicy, Task):
            for name, parameter in inspect.signature(owner).parameters.items():
                if parameter.kind is parameter.KEYWORD_ONLY or name == "kwargs":
                    defaults[name] = parameter.default
        del defaults["policy"]
        shown = inspect.signature(Scheduler.schedule).parameters
        assert {name: shown[name].default for name in shown if name in defaults} == defaults
        assert set(shown) == defaults.keys() | OWN
        assert all(one.kind is one.KEYWORD_ONLY for one in list(shown.values())[3:])

    def test_its_own_parameters_are_shown_as_they_are(self) -> None:
        shown = inspect.signature(Scheduler.schedule).parameters
        real = inspect.signature(Scheduler.schedule, follow_wrapped=False).parameters
        assert set(real) - set(shown) == {"options"}
        for name in real.keys() & shown.keys() - {"self"}:
            assert shown[name] == real[name]

    def test_every_shown_option_is_accepted(self) -> None:
        scheduler = Scheduler()
        for name, parameter in inspect.signature(scheduler.schedule).parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY:
                options: dict[str, Any] = {name: parameter.default}
                assert scheduler.schedule("t", print, **options)

    def test_help_and_completion_show_them(self) -> None:
        shown = pydoc.render_doc(Scheduler.schedule)
        # Before Python 3.14 a type that is written as text is shown in quotes.
        assert "misfire: MisfireWord = 'latest'" in shown.replace("'MisfireWord'", "MisfireWord")
        assert "Returns:" in shown
        assert "cron_expression" in inspect.signature(Scheduler().schedule).parameters

    def test_the_docstring_names_every_option(self) -> None:
        text = str(Scheduler.schedule.__doc__)
        shown = set(inspect.signature(Scheduler.schedule).parameters) - {"self"}
        assert {name for name in shown if f"`{name}`" not in text and f"{name}:" not in text} == (
            set()
        )


def test_the_names_of_types_are_public() -> None:
    types = importlib.import_module("num_agents.scheduler.types")
    assert types.__all__ == sorted(types.__all__)
    assert [name for name in types.__all__ if f"`{name}`" not in str(types.__doc__)] == []
    assert [name for name in types.__all__ if not hasattr(types, name)] == []
    assert isinstance(1.5, types.Seconds)
    assert isinstance("2030-01-01", types.Moment)
    assert typing.get_args(types.StopMode) == ("wait", "drain", "now", "cancel")

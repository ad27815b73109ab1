"""The package refuses to be mixed with the other distribution that writes it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import num_agents
from num_agents import _refuse_other_distribution

PACKAGE = Path(num_agents.__path__[0])
OURS = "num_agents_scheduler-0.1.0.dist-info"


@pytest.mark.parametrize(
    "metadata",
    [
        "num_agents-0.1.0.dist-info",
        "Num_Agents-2.0rc1.dist-info",
        "num_agents-0.1.0-py3.11.egg-info",
    ],
)
def test_the_other_distribution_is_refused(tmp_path: Path, metadata: str) -> None:
    (tmp_path / OURS).mkdir()
    (tmp_path / metadata).mkdir()
    with pytest.raises(ImportError) as caught:
        _refuse_other_distribution(str(tmp_path))
    message = str(caught.value)
    assert metadata in message
    assert str(tmp_path) in message
    assert "both install the package `num_agents`" in message
    assert "`pip uninstall num-agents`" in message
    assert caught.value.name == "num_agents"


@pytest.mark.parametrize(
    "name",
    [
        OURS,
        "num_agents",
        "num_agents_other-1.0.dist-info",
        "other_num_agents-1.0.dist-info",
        "num_agents-notes",
    ],
)
def test_others_are_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    _refuse_other_distribution(str(tmp_path))


def test_a_folder_that_cannot_be_listed_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "archive.zip").touch()
    _refuse_other_distribution(str(tmp_path / "archive.zip"))
    _refuse_other_distribution(str(tmp_path / "absent"))


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("module", ["num_agents", "num_agents.core", "num_agents.eventbus"])
def test_import(tmp_path: Path, module: str, *, mixed: bool) -> None:
    package = tmp_path / "num_agents"
    package.mkdir()
    for name in ("__init__.py", "_lazy.py", "core.py"):
        shutil.copy(PACKAGE / name, package)
    shutil.copytree(PACKAGE / "eventbus", package / "eventbus")
    if mixed:
        (tmp_path / "num_agents-0.1.0.dist-info").mkdir()
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {module} as it; print(it)"
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", program], check=False, capture_output=True, text=True
    )
    if mixed:
        assert done.returncode == 1
        assert "ImportError: the distributions `num-agents` and" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert str(tmp_path) in done.stdout


def test_version_is_looked_up_when_asked_for() -> None:
    assert isinstance(num_agents.__version__, str)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        num_agents.absent  # type: ignore[attr-defined]  # noqa: B018


def test_import_leaves_slow_modules_alone() -> None:
    slow = {"dataclasses", "importlib.metadata", "inspect", "logging", "re", "typing", "uuid"}
    program = (
        f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); before = set(sys.modules); "
        "import num_agents.core, num_agents.eventbus; "
        f"print(*sorted((set(sys.modules) - before) & {slow!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", program],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == []

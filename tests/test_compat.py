"""The tool that runs this suite on every Python finds them all, and says which it leaves out."""

from __future__ import annotations

import runpy
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
TOOL = runpy.run_path(str(ROOT / "tools/compat.py"))


def interpreter(minor: int, **facts: Any) -> Any:
    """A CPython 3 of this minor version which the suite can run on, but for some facts."""
    usual = {
        "path": f"/bin/python3.{minor}",
        "implementation": "CPython",
        "minor": (3, minor),
        "version": f"3.{minor}.0",
        "is_final": True,
        "is_free_threaded": False,
        "has_venv": True,
    }
    return TOOL["Interpreter"](**{**usual, **facts})


def executable(path: Path) -> Path:
    """A program that fails, as pyenv's shim of a version that is not selected does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    path.chmod(0o755)
    return path


class TestFinding:
    def test_the_versions_that_the_classifiers_name(self) -> None:
        supported = TOOL["supported"]()
        assert supported[0] == TOOL["OLDEST"]
        assert supported == [(3, 11), (3, 12), (3, 13), (3, 14)]

    def test_the_one_that_runs_this_says_what_it_is(self) -> None:
        one = TOOL["probe"](Path(sys.executable))
        assert one.minor == sys.version_info[:2]
        assert one.is_free_threaded == bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
        assert one.has_venv

    def test_one_that_does_not_run_is_not_there(self, tmp_path: Path) -> None:
        assert TOOL["probe"](executable(tmp_path / "python3.12")) is None
        assert TOOL["probe"](tmp_path / "absent") is None
        with pytest.raises(ValueError, match=r"PYTHONS names '/absent', which does not run"):
            TOOL["named"](["/absent"])

    def test_looks_on_the_path_and_where_pyenv_and_uv_keep_theirs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = [
            executable(tmp_path / place / name)
            for place, name in (
                ("bin", "python3.12"),
                ("bin", "python3.14t"),
                ("pyenv/versions/3.13.0/bin", "python3.13"),
                ("uv/cpython-3.15/bin", "python3.15"),
                ("cache/Python/3.16.0/x64/bin", "python3.16"),
            )
        ]
        for name in ("python3.9", "python3.12-config", "python3", "pip3.12"):
            executable(tmp_path / "bin" / name)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
        monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
        monkeypatch.setenv("RUNNER_TOOL_CACHE", str(tmp_path / "cache"))
        assert list(TOOL["candidates"]()) == [Path(sys.executable), *expected]


class TestChoosing:
    def test_one_of_each_minor_version_the_first_that_can_be_used(self) -> None:
        bare = interpreter(12, has_venv=False)
        first, second, other = (
            interpreter(12, version="3.12.1"),
            interpreter(12, version="3.12.9"),
            interpreter(11),
        )
        assert TOOL["chosen"]([bare, first, second, other]) == ([other, first], {})

    @pytest.mark.parametrize(
        ("facts", "name", "why"),
        [
            ({"has_venv": False}, "Python 3.13.0", "venv and ensurepip are missing"),
            ({"is_free_threaded": True}, "Python 3.13.0 free-threaded", "do not load an abi3"),
            ({"implementation": "PyPy"}, "PyPy 3.13.0", "the wheel is for CPython"),
            ({"is_final": False}, "Python 3.13.0", "not a final release"),
        ],
    )
    def test_says_why_one_is_left_out(self, facts: dict[str, Any], name: str, why: str) -> None:
        usable, left_out = TOOL["chosen"]([interpreter(13, **facts)])
        assert usable == []
        assert list(left_out) == [name]
        assert why in left_out[name]

    def test_a_free_threaded_one_is_named_beside_the_other_of_its_version(self) -> None:
        plain, free = interpreter(13), interpreter(13, is_free_threaded=True)
        usable, left_out = TOOL["chosen"]([free, plain])
        assert usable == [plain]
        assert list(left_out) == ["Python 3.13.0 free-threaded"]

    def test_older_ones_are_no_matter(self) -> None:
        assert TOOL["chosen"]([interpreter(10)]) == ([], {})


class TestCounting:
    def report(self, tmp_path: Path, **numbers: int) -> Path:
        path = tmp_path / "report.xml"
        attributes = " ".join(f'{key}="{number}"' for key, number in numbers.items())
        path.write_text(f"<testsuites><testsuite {attributes} /></testsuites>", encoding="utf-8")
        return path

    def test_what_passed(self, tmp_path: Path) -> None:
        path = self.report(tmp_path, tests=10, failures=0, errors=0, skipped=3)
        result = TOOL["counted"](path, 0, 4.2)
        assert result.is_good
        assert str(result) == "7 passed, 0 failed, 3 skipped, 4 s"

    def test_what_failed(self, tmp_path: Path) -> None:
        path = self.report(tmp_path, tests=10, failures=1, errors=2, skipped=3)
        result = TOOL["counted"](path, 1, 4.2)
        assert not result.is_good
        assert str(result) == "4 passed, 3 failed, 3 skipped, 4 s"

    def test_no_test_at_all_is_a_failure(self, tmp_path: Path) -> None:
        path = self.report(tmp_path, tests=0, failures=0, errors=0, skipped=0)
        assert not TOOL["counted"](path, 0, 1).is_good

    def test_an_end_that_the_report_does_not_show_is_a_failure(self, tmp_path: Path) -> None:
        path = self.report(tmp_path, tests=10, failures=0, errors=0, skipped=0)
        assert str(TOOL["counted"](path, 2, 1)) == "pytest ended with status 2, 1 s"
        gone = TOOL["counted"](tmp_path / "absent.xml", -11, 1)
        assert str(gone) == "pytest ended with status -11 and no report, 1 s"
        assert not gone.is_good


def test_a_wheel_that_is_not_there_is_refused() -> None:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "tools/compat.py"), "absent.whl"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "there is no wheel absent.whl" in ended.stderr

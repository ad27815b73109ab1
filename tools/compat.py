"""Run the test suite against one wheel on each Python that this machine has.

`python tools/compat.py WHEEL` looks for Python 3.11 and later on PATH, among the versions of pyenv
and uv, and in the tool cache of a hosted CI machine. For each minor version it makes a new virtual
environment, installs the wheel and the `dev` group of pyproject.toml, and runs pytest. It ends with
one line for each version: the number of tests, or why the version was not run. With `--others` it
leaves out the version that it is itself run by, for a caller that has tested that one already, and
on the others the tests that take the longest: the randomized ones, and those that wait for the
machine's clock (`realtime`).

The environment variable PYTHONS names the interpreters to use instead, separated by spaces.

The exit status is 0 if every suite that was run passed, 1 if one failed, 2 for a wrong argument.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".tmp" / "compat"
OLDEST = (3, 11)
PROBE_TIMEOUT_S = 20
PROBE = """
import importlib.util, json, os, platform, sys, sysconfig
print(json.dumps({
    "path": os.path.realpath(sys.executable),
    "implementation": platform.python_implementation(),
    "minor": sys.version_info[:2],
    "version": platform.python_version(),
    "is_final": sys.version_info.releaselevel == "final",
    "is_free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "has_venv": all(map(importlib.util.find_spec, ("venv", "ensurepip"))),
}))
"""


class Interpreter(NamedTuple):
    """What an interpreter says of itself."""

    path: str
    implementation: str
    minor: tuple[int, int]
    version: str
    is_final: bool
    is_free_threaded: bool
    has_venv: bool

    @property
    def name(self) -> str:
        """Python's name with its version, as in `Python 3.14.0`."""
        name = "Python" if self.implementation == "CPython" else self.implementation
        return f"{name} {self.version}{' free-threaded' if self.is_free_threaded else ''}"

    @property
    def obstacle(self) -> str | None:
        """Why the suite cannot run on it, or None."""
        if self.minor < OLDEST:
            return f"older than Python {dotted(OLDEST)}"
        if self.implementation != "CPython":
            return "the wheel is for CPython"
        if self.is_free_threaded:
            return "free-threaded builds do not load an abi3 wheel"
        if not self.has_venv:
            return "its modules venv and ensurepip are missing (Debian: apt install python3-venv)"
        return None


class Result(NamedTuple):
    """What a suite did on one interpreter."""

    passed: int
    failed: int
    skipped: int
    seconds: float
    error: str | None

    @property
    def is_good(self) -> bool:
        """Whether tests ran and none failed."""
        return self.error is None and self.failed == 0 and self.passed > 0

    def __str__(self) -> str:
        text = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        return f"{self.error or text}, {self.seconds:.0f} s"


def dotted(minor: tuple[int, int]) -> str:
    """A minor version as it is written: `3.14`."""
    return f"{minor[0]}.{minor[1]}"


def supported() -> list[tuple[int, int]]:
    """The minor versions that the classifiers of pyproject.toml name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = (
        re.fullmatch(r"Programming Language :: Python :: (\d+)\.(\d+)", classifier)
        for classifier in project["classifiers"]
    )
    return [(int(match[1]), int(match[2])) for match in found if match]


def candidates() -> Iterator[Path]:
    """Every file that may be a Python of version 3.1x, the one that runs this first."""
    yield Path(sys.executable)
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    places = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    for tool, pattern in (
        (os.environ.get("PYENV_ROOT") or home / ".pyenv", "versions/*/bin"),
        (os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python", "*/bin"),
        (os.environ.get("RUNNER_TOOL_CACHE") or "/opt/hostedtoolcache", "Python/*/*/bin"),
    ):
        places += sorted(Path(tool).glob(pattern), reverse=True)
    for place in places:
        names = sorted(place.glob("python3.*")) if place.is_dir() else []
        yield from (path for path in names if re.fullmatch(r"python3\.\d\d+t?", path.name))


def probe(path: Path) -> Interpreter | None:
    """What an interpreter says of itself; None if it does not run.

    pyenv has a shim on PATH for each version that is installed, and those of versions that are not
    selected fail.
    """
    try:
        ended = subprocess.run(
            [path, "-c", PROBE],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=True,
        )
        facts = json.loads(ended.stdout)
        return Interpreter(**{**facts, "minor": tuple(facts["minor"])})
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return None


def installed() -> Iterator[Interpreter]:
    """Every interpreter that runs, in the order of `candidates`."""
    for path in dict.fromkeys(candidates()):
        one = probe(path)
        if one is not None:
            yield one


def chosen(interpreters: Iterable[Interpreter]) -> tuple[list[Interpreter], dict[str, str]]:
    """One interpreter for each minor version, the first that can be used; and why not the others.

    A version that cannot be used is not mentioned if another one of its minor version can. A
    free-threaded one always is, because it is another kind of Python.
    """
    usable: dict[tuple[int, int], Interpreter] = {}
    refused: list[tuple[Interpreter, str]] = []
    for one in interpreters:
        obstacle = one.obstacle
        if obstacle is None and not one.is_final:
            obstacle = "not a final release; name it in PYTHONS to run it"
        if obstacle is None:
            usable.setdefault(one.minor, one)
        elif one.minor >= OLDEST:
            refused.append((one, obstacle))
    left_out = {
        one.name: obstacle
        for one, obstacle in refused
        if one.is_free_threaded or one.minor not in usable
    }
    return sorted(usable.values(), key=lambda one: one.minor), left_out


def named(words: list[str]) -> list[Interpreter]:
    """The interpreters that PYTHONS names.

    Raises:
        ValueError: One of them does not run, or the suite cannot run on it.
    """
    interpreters = []
    for word in words:
        path = shutil.which(word)
        one = probe(Path(path)) if path else None
        if one is None:
            raise ValueError(f"PYTHONS names {word!r}, which does not run")
        if one.obstacle:
            raise ValueError(f"PYTHONS names {word!r}, which is {one.name}: {one.obstacle}")
        interpreters.append(one)
    return interpreters


def suite(interpreter: Interpreter, wheel: Path, *, is_short: bool = False) -> Result:
    """Run the tests on one interpreter, in a new virtual environment."""
    began = monotonic()
    folder = FOLDER / interpreter.version
    report = FOLDER / f"{interpreter.version}.xml"
    report.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    python = folder / "bin" / "python"
    pip: list[str | Path] = [
        python,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        "install",
    ]
    commands: list[list[str | Path]] = [
        [interpreter.path, "-m", "venv", folder],
        # An old pip does not know dependency groups.
        [*pip, "--upgrade", "pip"],
        [*pip, "--group", "dev", f"{wheel}[cli,plot]"],
    ]
    try:
        for command in commands:
            subprocess.run(command, cwd=ROOT, check=True)
    except subprocess.CalledProcessError as error:
        return Result(0, 0, 0, monotonic() - began, f"cannot be set up: {error}")
    # The cache is left to who runs pytest by hand.
    options = ["--quiet", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    if is_short:
        options += ["-m", "not realtime and not long", "--ignore", "tests/property"]
    status = subprocess.run([python, "-m", "pytest", *options], cwd=ROOT, check=False).returncode
    return counted(report, status, monotonic() - began)


def counted(report: Path, status: int, seconds: float) -> Result:
    """The numbers in a report of pytest, and what its exit status says beyond them."""
    if not report.is_file():
        return Result(0, 0, 0, seconds, f"pytest ended with status {status} and no report")
    suites = ET.parse(report).getroot().findall("testsuite")
    tests, failures, errors, skipped = (
        sum(int(one.get(key, 0)) for one in suites)
        for key in ("tests", "failures", "errors", "skipped")
    )
    failed = failures + errors
    error = f"pytest ended with status {status}" if status and not failed else None
    return Result(tests - failed - skipped, failed, skipped, seconds, error)


def say(text: str) -> None:
    """Print a line now, so that it stands before what a child prints."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the suites and say what became of each version."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--others", action="store_true", help="leave out the version that runs me")
    options = parser.parse_args()
    if not options.wheel.is_file():
        parser.error(f"there is no wheel {options.wheel}")
    words = os.environ.get("PYTHONS", "").split()
    try:
        interpreters, left_out = (named(words), {}) if words else chosen(installed())
    except ValueError as error:
        parser.error(str(error))
    lines = []
    good = True
    for one in interpreters:
        if options.others and one.minor == sys.version_info[:2]:
            lines.append(f"{one.name}: run before this")
            continue
        say(f"{one.name}: {one.path}")
        result = suite(one, options.wheel.resolve(), is_short=options.others)
        good = good and result.is_good
        lines.append(f"{one.name}: {'' if result.is_good else 'FAILED: '}{result}")
    lines += [f"{name}: not run: {why}" for name, why in left_out.items()]
    minors = {one.minor for one in interpreters}
    absent = "not in PYTHONS" if words else "not found"
    lines += [f"Python {dotted(one)}: {absent}" for one in supported() if one not in minors]
    say(f"The test suite against {options.wheel.name}:")
    for line in lines:
        say(f"  {line}")
    return 0 if good and interpreters else 1


if __name__ == "__main__":
    sys.exit(main())

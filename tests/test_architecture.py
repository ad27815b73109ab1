"""ARCHITECTURE.md tells the truth: its map, its names, its diagram, and what it says is absent."""

from __future__ import annotations

import ast
import re
import runpy
import tomllib
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PYTHON = ROOT / "python"
CORE = ROOT / "rust/core/src"

#: Folders whose modules have to be on the code map one by one.
MAPPED = (PYTHON, CORE, ROOT / "rust/py/src")

INDENT = 2


def code_map() -> dict[str, str]:
    """What the code map says of each place, folders with a slash at the end."""
    (text,) = re.findall(r"## Code map\n+```text\n(.*?)```", PAGE, flags=re.DOTALL)
    places: dict[str, str] = {}
    folders: list[str] = []
    for line in text.splitlines():
        name, _, words = line.strip().partition(" ")
        depth, rest = divmod(len(line) - len(line.lstrip()), INDENT)
        assert rest == 0, f"not indented by {INDENT}: {line}"
        assert depth <= len(folders), f"deeper than its folder: {line}"
        folders[depth:] = [name] if name.endswith("/") else []
        path = "".join(folders[:depth]) + name
        assert path not in places, f"twice on the code map: {path}"
        places[path] = words.strip()
    return places


def modules() -> list[str]:
    """Every module that is to be on the code map."""
    found = [
        path.relative_to(ROOT).as_posix()
        for folder in MAPPED
        for path in folder.rglob("*")
        if path.suffix in {".py", ".pyi", ".rs"}
    ]
    assert len(found) > 50
    return sorted(found)


class TestNames:
    def test_every_module_is_on_the_code_map(self) -> None:
        assert [module for module in modules() if module not in code_map()] == []

    def test_every_place_on_the_code_map_is_there(self) -> None:
        missing = [
            place
            for place in code_map()
            if not ((ROOT / place).is_dir() if place.endswith("/") else (ROOT / place).is_file())
        ]
        assert missing == []

    def test_every_module_on_the_code_map_is_described(self) -> None:
        silent = [place for place, words in code_map().items() if not words]
        assert [place for place in silent if not place.endswith("/")] == []

    def test_every_test_that_is_named_is_there(self) -> None:
        named = re.findall(r"`([\w./]+\.(?:py|rs))::(\w+)`", PAGE)
        assert len(named) > 20
        missing = [f"{path}::{name}" for path, name in named if not is_defined(path, name)]
        assert missing == []

    def test_every_file_that_is_named_is_there(self) -> None:
        named = re.findall(r"`([\w.]+(?:/[\w.]+)+/?)[`:]", PAGE)
        named += re.findall(r"]\(([\w./]+)\)", PAGE)
        assert len(named) > 20
        assert [path for path in named if not (ROOT / path).exists()] == []


def is_defined(path: str, name: str) -> bool:
    """Whether a file defines a function."""
    file = ROOT / path
    word = "def" if path.endswith(".py") else "fn"
    return file.is_file() and bool(
        re.search(rf"\b{word} {name}\b", file.read_text(encoding="utf-8"))
    )


class TestDiagram:
    def test_is_of_today(self) -> None:
        tool = runpy.run_path(str(ROOT / "tools/state_diagram.py"))
        assert tool["replaced"](PAGE) == PAGE, "run python tools/state_diagram.py --write"

    def test_is_drawn_between_marks_and_nowhere_else(self) -> None:
        tool = runpy.run_path(str(ROOT / "tools/state_diagram.py"))
        drawn = tool["replaced"](f"a {tool['BEGIN']} old {tool['END']} b")
        assert drawn == f"a {tool['BEGIN']}\n{tool['diagram']()}\n{tool['END']} b"
        for unmarked in ("", tool["END"] + tool["BEGIN"], drawn + drawn):
            with pytest.raises(ValueError, match="there must be one"):
                tool["replaced"](unmarked)


# ---- what is deliberately absent -----------------------------------------------------------------


def rust_code(folder: Path) -> dict[str, str]:
    """The Rust files of a folder by name, without their comments and their unit tests."""
    files = {
        path.relative_to(folder).as_posix(): re.sub(
            r"//.*", "", path.read_text(encoding="utf-8").partition("#[cfg(test)]\nmod tests")[0]
        )
        for path in folder.rglob("*.rs")
    }
    assert files
    return files


@cache
def imported() -> dict[str, set[str]]:
    """For each module of the package the modules that it imports, at its top or later."""
    files = {name_of(path): path for path in [*PYTHON.rglob("*.py"), *PYTHON.rglob("*.pyi")]}
    return {
        module: {
            module_of(target, set(files))
            for target in imports_of(ast.parse(path.read_text(encoding="utf-8")))
        }
        for module, path in files.items()
    }


def module_of(target: str, known: set[str]) -> str:
    """The module that an imported name is, or lies in."""
    parent = target.rpartition(".")[0]
    return parent if target not in known and parent in known else target


def imports_of(tree: ast.AST) -> list[str]:
    """What code imports, but for what it imports for type checkers only."""
    found: list[str] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        found += imports_of(node)
    return found


def name_of(path: Path) -> str:
    parts = path.relative_to(PYTHON).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def importers_of(package: str) -> set[str]:
    """The modules that import a package, or anything in it."""
    return {
        module
        for module, targets in imported().items()
        if any(target == package or target.startswith(package + ".") for target in targets)
    }


def test_the_core_knows_no_clock_no_io_and_no_python() -> None:
    foreign = re.compile(
        r"\b(Instant|SystemTime|pyo3|unsafe|println|std::(thread|fs|io|net|env|process))\b"
    )
    found = {
        (name, word)
        for name, code in rust_code(CORE).items()
        for word in foreign.findall(code.replace("#![forbid(unsafe_code)]", ""))
    }
    assert found == set()
    assert "#![forbid(unsafe_code)]" in (CORE / "lib.rs").read_text(encoding="utf-8")
    manifest = tomllib.loads((ROOT / "rust/core/Cargo.toml").read_text(encoding="utf-8"))
    # Time zones are read from the system's database, when one is first named.
    assert set(manifest.get("dependencies", ())) == {"jiff"}


def test_only_the_boundary_names_pyo3() -> None:
    manifests = {
        path.relative_to(ROOT).as_posix()
        for path in [ROOT / "Cargo.toml", *(ROOT / "rust").glob("*/Cargo.toml")]
        if re.search(r"^pyo3\b", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    assert manifests == {"rust/py/Cargo.toml"}


def test_two_packages_import_the_extension_module() -> None:
    # One for what runs, one for when.
    packages = {
        module.rpartition(".")[0] for module in importers_of("num_agents.scheduler._native")
    }
    assert packages == {"num_agents.scheduler._engine", "num_agents.scheduler._timing"}


def test_only_these_two_reach_into_it() -> None:
    outside = {
        path.relative_to(PYTHON / "num_agents/scheduler").as_posix()
        for path in (PYTHON / "num_agents/scheduler").rglob("*.py")
        if path.parent.name not in ("_engine", "_timing")
        and re.search(r"\b_?engine\.native\b", path.read_text(encoding="utf-8"))
    }
    assert outside == set()


def test_flows_and_events_know_nothing_of_the_scheduler() -> None:
    scheduler = "num_agents.scheduler"
    outside = {one for one in importers_of(scheduler) if not one.startswith(scheduler)}
    # Where the command begins, before the package is imported.
    assert outside == {"num_agents._program"}


def test_one_module_makes_events() -> None:
    bus = "num_agents.eventbus"
    outside = {one for one in importers_of(bus) if not one.startswith(bus)}
    assert outside == {"num_agents.scheduler._engine.announce"}


def test_the_library_does_not_know_its_command_line() -> None:
    cli = "num_agents.scheduler.cli"
    outside = {one for one in importers_of(cli) if not one.startswith(cli)}
    assert outside == {"num_agents._program", "num_agents.scheduler.__main__"}


def test_what_is_optional_is_imported_in_few_places() -> None:
    cli = "num_agents.scheduler.cli"
    assert importers_of("rich") == {f"{cli}.terminal", f"{cli}.bench.terminal"}
    assert importers_of("matplotlib") == {f"{cli}.plot"}


def test_the_library_needs_nothing_at_run_time() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # Where the system has no time zones, Python needs them as a package.
    assert project["dependencies"] == ["tzdata; sys_platform == 'win32'"]


def test_imports_have_no_cycle() -> None:
    order = list(TopologicalSorter(imported()).static_order())
    assert len(order) > len(imported()) > 50

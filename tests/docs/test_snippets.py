"""Every example runs: those of the pages, and those of the docstrings.

A block is left out only by `<!-- no-run: reason -->` on the line before it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
MODULES = list((ROOT / "python").rglob("*.py"))

BLOCK = re.compile(
    r"(?:^[ ]*<!-- no-run: (?P<reason>.+?) -->\n)?"
    r"^(?P<indent>[ ]*)```python\n(?P<code>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)


def blocks_of(text: str, name: str, first_line: int = 0) -> Iterator[Any]:
    """The examples in a text, each as a parameter of the test."""
    for match in BLOCK.finditer(text):
        line = first_line + text.count("\n", 0, match.start("code"))
        marks = [pytest.mark.skip(reason=match["reason"])] if match["reason"] else []
        # Blank lines before it, so that an error names the line of the page.
        code = "\n" * line + dedent(match["code"])
        yield pytest.param(name, code, marks=marks, id=f"{name}:{line + 1}")


def examples() -> Iterator[Any]:
    for page in sorted(PAGES):
        name = page.relative_to(ROOT).as_posix()
        yield from blocks_of(page.read_text(encoding="utf-8"), name)
    for module in sorted(MODULES):
        name = module.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node, clean=False)
                if docstring is not None:
                    yield from blocks_of(docstring, name, node.body[0].lineno - 1)


@pytest.mark.parametrize(("name", "code"), list(examples()))
def test_runs(name: str, code: str) -> None:
    exec(compile(code, name, "exec"), {"__name__": "__main__"})


def test_no_block_goes_unseen() -> None:
    """Whatever begins like an example is one: none is lost to a typo in its fence."""
    for path in (*PAGES, *MODULES):
        text = path.read_text(encoding="utf-8")
        fences = re.findall(r"^[ ]*```[ ]*(?:py\b|python|Python)", text, re.MULTILINE)
        assert len(fences) == len(BLOCK.findall(text)), path

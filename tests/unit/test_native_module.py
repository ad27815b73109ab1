"""The extension module says that it relies on the interpreter's lock."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_declares_that_it_needs_the_lock() -> None:
    """A build for free-threaded Python has to say so, since PyO3's default says the opposite.

    The declaration is compiled into such a build alone: the abi3 wheel cannot be asked for it.
    """
    source = (ROOT / "rust/py/src/lib.rs").read_text(encoding="utf-8")
    (options,) = re.findall(r"^#\[pymodule\b(.*)\]$", source, flags=re.MULTILINE)
    assert "gil_used = true" in options


def test_the_lock_is_there_once_it_is_imported() -> None:
    """On a free-threaded build, importing the module turns the lock on."""
    program = """
import sys
import num_agents.scheduler._native
print(getattr(sys, "_is_gil_enabled", lambda: True)())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "True\n"

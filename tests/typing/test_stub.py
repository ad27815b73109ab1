"""The stub of the extension module says what the built module is."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def test_the_stub_is_that_of_the_built_module(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "num_agents.scheduler._native"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout + ended.stderr == "Success: no issues found in 1 module\n"

"""The installed package gives a strict type checker what it needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def test_a_strict_checker_agrees_with_the_usage(tmp_path: Path) -> None:
    # A copy elsewhere, so that neither our sources nor our settings are found.
    shutil.copy(Path(__file__).parent / "usage.py", tmp_path)
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "usage.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout + ended.stderr == "Success: no issues found in 1 source file\n"

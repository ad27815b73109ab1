"""What the figures were measured on, and this process's memory."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path


def resident_bytes() -> int | None:
    """The resident memory of this process; None if the system does not tell.

    Where there is no `/proc` it is the peak so far, which serves as well while memory only grows.
    """
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    try:
        import resource  # noqa: PLC0415 - absent on Windows
    except ModuleNotFoundError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, other systems KiB.
    return peak if sys.platform == "darwin" else peak * 1024


def _processor_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def describe() -> dict[str, str | int | float | None]:
    """The machine, without anything that names it or its owner."""
    try:
        load_average = round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        load_average = None
    return {
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "system": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        # Above about 0.5 something else was running, and the figures are not reliable.
        "load_average_at_start": load_average,
    }

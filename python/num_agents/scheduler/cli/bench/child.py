"""The process of one measurement: `python -P child.py SPECIFICATION`.

It is run as a file, by the interpreter of this version or by one in which another version of the
package is installed. The workloads and adapters are always those beside this file: they import
nothing of the package but its public names, and measure whichever version is installed.

The specification is a JSON object. With `peer`, `workload` and the fields of `Settings` it asks for
a measurement, with `peer` alone for what that peer can do. The last line of the output is a JSON
object with `values` or `peer`; or with `error` where the peer failed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

PACKAGE = "num_agents.scheduler.cli.bench"


def use_modules_beside() -> None:
    """Makes the folder of this file the package that its modules name, whatever is installed."""
    package = ModuleType(PACKAGE)
    package.__path__ = [str(Path(__file__).parent)]
    sys.modules[PACKAGE] = package


def describe(name: str) -> dict[str, object]:
    """Tells what a peer is and what it cannot do."""
    from num_agents.scheduler.cli.bench.adapters import load  # noqa: PLC0415 - may be another's

    adapter = load(name)
    if adapter is None:
        msg = f"{name} is not installed"
        raise ModuleNotFoundError(msg)
    return {
        "version": adapter.version(),
        "remarks": list(adapter.remarks),
        "unable": dict(adapter.unable),
    }


def measure(name: str, workload: str, settings: dict[str, float]) -> dict[str, float]:
    """Measures once, in this process."""
    # They may be another interpreter's, and are found once `use_modules_beside` was called.
    from num_agents.scheduler.cli.bench.adapters import load  # noqa: PLC0415
    from num_agents.scheduler.cli.bench.workloads import WORKLOADS, Settings  # noqa: PLC0415

    adapter_type = load(name)
    if adapter_type is None:
        msg = f"{name} is not installed"
        raise ModuleNotFoundError(msg)
    adapter = adapter_type()
    try:
        return WORKLOADS[workload].measure(
            adapter,
            Settings(
                tasks=int(settings["tasks"]),
                seed=int(settings["seed"]),
                duration_s=settings["duration_s"],
            ),
        )
    finally:
        adapter.close()


def main(arguments: list[str]) -> int:
    """Does what the argument specifies; returns the exit status."""
    use_modules_beside()
    specification = json.loads(arguments[0])
    peer = specification.pop("peer")
    answer: dict[str, object]
    try:
        if "workload" in specification:
            workload = specification.pop("workload")
            answer = {"values": measure(peer, workload, specification)}
        else:
            answer = {"peer": describe(peer)}
    except Exception as error:  # Whatever a peer raises is its result.
        answer = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

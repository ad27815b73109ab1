"""The process of one measurement: `python -m num_agents.scheduler.cli.bench.child SPECIFICATION`.

The specification is a JSON object with `peer`, `workload` and the fields of `Settings`. The last
line of the output is a JSON object with `values`, or with `error` where the peer failed.
"""

from __future__ import annotations

import json
import sys

from num_agents.scheduler.cli.bench.adapters import load
from num_agents.scheduler.cli.bench.workloads import WORKLOADS, Settings


def measure(peer: str, workload: str, settings: Settings) -> dict[str, float]:
    """Measures once, in this process."""
    adapter_type = load(peer)
    if adapter_type is None:
        msg = f"{peer} is not installed"
        raise ModuleNotFoundError(msg)
    adapter = adapter_type()
    try:
        return WORKLOADS[workload].measure(adapter, settings)
    finally:
        adapter.close()


def main(arguments: list[str]) -> int:
    """Measures what the argument specifies; returns the exit status."""
    specification = json.loads(arguments[0])
    peer, workload = specification.pop("peer"), specification.pop("workload")
    answer: dict[str, object]
    try:
        answer = {"values": measure(peer, workload, Settings(**specification))}
    except Exception as error:  # Whatever a peer raises is its result.
        answer = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

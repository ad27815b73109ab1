"""Two of criterion's baselines side by side, from the files that it keeps.

```
cargo bench -p scheduler-core --bench engine -- --save-baseline before    # the version before
cargo bench -p scheduler-core --bench engine -- --save-baseline after     # this one
python -m benches.criterion_versus before after
```

Both must write to one folder: set `CARGO_TARGET_DIR` if the versions are in two checkouts.
Criterion measures one version after the other, so the machine drifts between them: take both twice,
in turn, under other names, and believe only what is the same both times.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from num_agents.scheduler.cli.bench.table import NONE, number
from num_agents.scheduler.cli.text import table

HEADER = ("benchmark", "unit", "{first}", "{second}", "{first} / {second}")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median of criterion's, with its confidence interval, in nanoseconds."""

    median: float
    lower: float
    upper: float

    @classmethod
    def read(cls, folder: Path, operations: float) -> Estimate | None:
        """What criterion saved in a baseline's folder; None if there is none."""
        path = folder / "estimates.json"
        if not path.exists():
            return None
        saved = json.loads(path.read_text(encoding="utf-8"))["median"]
        interval = saved["confidence_interval"]
        bounds = (saved["point_estimate"], interval["lower_bound"], interval["upper_bound"])
        return cls(*(bound / operations for bound in bounds))

    def __str__(self) -> str:
        return f"{number(self.median)} ({number(self.lower)}-{number(self.upper)})"


def rows(root: Path, first: str, second: str) -> list[list[str]]:
    """A row for each benchmark that has one of the baselines, in order of name."""
    found = []
    names = (first, second)
    saved = {path for name in names for path in root.rglob(f"{name}/benchmark.json")}
    for path in sorted(saved):
        folder = path.parent.parent
        facts = json.loads(path.read_text(encoding="utf-8"))
        operations = (facts.get("throughput") or {}).get("Elements", 1)
        estimates = [Estimate.read(folder / name, operations) for name in names]
        before, after = estimates
        gain = f"{number(before.median / after.median)}x" if before and after else NONE
        cells = [NONE if one is None else str(one) for one in estimates]
        unit = "ns each" if operations != 1 else "ns"
        found.append([facts["full_id"], unit, *cells, gain])
    # Both baselines of a benchmark name it.
    return [list(row) for row in dict.fromkeys(map(tuple, found))]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benches.criterion_versus", description="Two of criterion's baselines."
    )
    parser.add_argument("first", help="the name of a baseline, such as before")
    parser.add_argument("second", help="the name of another, such as after")
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "criterion",
        metavar="FOLDER",
        help="criterion's folder (default: criterion in $CARGO_TARGET_DIR, or in target)",
    )
    namespace = parser.parse_args(arguments)
    found = rows(namespace.root, namespace.first, namespace.second)
    if not found:
        names = f"{namespace.first} or {namespace.second}"
        print(f"no baseline {names} in {namespace.root}", file=sys.stderr)
        return 2
    header = [one.format(first=namespace.first, second=namespace.second) for one in HEADER]
    print("\n".join(table(header, found, right=range(2, len(header)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())

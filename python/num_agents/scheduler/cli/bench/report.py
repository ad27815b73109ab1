"""Samples, their summary, and the file that holds them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FORMAT = 1


@dataclass(slots=True)
class Sample:
    """One measurement: one workload, one peer, one process."""

    workload: str
    peer: str
    size: int
    """The size asked for; `tasks` is less where peer or workload has a limit."""
    tasks: int
    round: int
    values: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    exit_status: int = 0
    """What the process returned after the measurement; negative is a signal."""
    took_s: float = 0.0
    """How long the process took, its start and all preparation included."""
    timed_out: bool = False
    """Whether it was given up at the time limit."""

    @property
    def place(self) -> tuple[str, str, int, int]:
        """Which measurement of a run it is."""
        return self.workload, self.peer, self.size, self.round


@dataclass(slots=True)
class Peer:
    """A peer as found on the machine."""

    name: str
    version: str | None
    """None: not installed."""
    remarks: list[str] = field(default_factory=list)
    unable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Summary:
    """A metric over the rounds."""

    median: float
    minimum: float
    maximum: float
    count: int


@dataclass(slots=True)
class Report:
    """A whole run, as it is saved."""

    started_at: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    peers: list[Peer]
    samples: list[Sample] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Writes JSON. An interrupted run leaves the file as it was."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(self.to_json(), encoding="utf-8")
        partial.replace(path)

    def to_json(self) -> str:
        """The report as JSON, with a line break at its end."""
        return json.dumps({"format": FORMAT} | asdict(self), indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> Report:
        """Reads what `save` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format", None) != FORMAT:
            msg = f"{path}: not a report of format {FORMAT}"
            raise ValueError(msg)
        peers = [Peer(**peer) for peer in data.pop("peers")]
        samples = [Sample(**sample) for sample in data.pop("samples")]
        return cls(peers=peers, samples=samples, **data)

    def select(self, workload: str, size: int, peer: str) -> list[Sample]:
        """The samples of one cell of the tables, failed ones included."""
        wanted = (workload, size, peer)
        return [
            sample
            for sample in self.samples
            if (sample.workload, sample.size, sample.peer) == wanted
        ]

    def sizes(self, workload: str) -> list[int]:
        """The sizes at which a workload was measured, ascending."""
        return sorted({sample.size for sample in self.samples if sample.workload == workload})


def summarize(samples: Sequence[Sample], metric: str) -> Summary | None:
    """Median and spread of a metric, or None without a sample of it."""
    values = [sample.values[metric] for sample in samples if metric in sample.values]
    if not values:
        return None
    return Summary(median(values), min(values), max(values), len(values))

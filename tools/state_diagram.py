"""Draws the states of a task from the engine's own table.

`python tools/state_diagram.py` prints the diagram; with `--write` it replaces the one in
ARCHITECTURE.md. A test compares the two.
"""

from __future__ import annotations

import sys
from pathlib import Path

from num_agents.scheduler._engine.view import transitions

ARCHITECTURE = Path(__file__).parents[1] / "ARCHITECTURE.md"
BEGIN = "<!-- states:begin -->"
END = "<!-- states:end -->"

#: The state in which a slot has no task: before the first state of a task, and after its last.
OUTSIDE = "reserved"


def diagram() -> str:
    """The table as a Mermaid state diagram, one arrow for all events between the same two."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for source, event, target in transitions():
        arrows.setdefault((_name(source), _name(target)), []).append(event)
    lines = [
        f"    {source} --> {target}: {', '.join(events)}"
        for (source, target), events in arrows.items()
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def replaced(document: str) -> str:
    """The document with the diagram of today between its marks.

    Raises:
        ValueError: The document does not have the two marks once each, in order.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise ValueError(f"there must be one {BEGIN} and after it one {END}")
    return f"{before}{BEGIN}\n{diagram()}\n{END}{after}"


def _name(state: str) -> str:
    return "[*]" if state == OUTSIDE else state


def main(arguments: list[str]) -> int:
    """Prints the diagram, or writes it into ARCHITECTURE.md. The exit code: 2 if misused."""
    if arguments == ["--write"]:
        document = ARCHITECTURE.read_text(encoding="utf-8")
        ARCHITECTURE.write_text(replaced(document), encoding="utf-8")
        return 0
    if arguments:
        sys.stderr.write("usage: python tools/state_diagram.py [--write]\n")
        return 2
    sys.stdout.write(diagram() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

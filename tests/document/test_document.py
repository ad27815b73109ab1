"""The public document's examples, run as they are printed, in order, in one namespace."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.core import Node, SharedStore
from num_agents.scheduler.testing import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from num_agents.scheduler.scheduler import Scheduler

ROOT = Path(__file__).parents[2]
DOCUMENT = Path(
    os.environ.get("SCHEDULER_DOCUMENT", ROOT.parent / "shared" / "scheduler-system.md")
)
pytestmark = pytest.mark.skipif(
    not DOCUMENT.is_file(),
    reason="the public document is not here: set SCHEDULER_DOCUMENT to where it is",
)


class Examples:
    """The blocks, and the namespace that they share."""

    def __init__(self, clock: VirtualClock) -> None:
        text = DOCUMENT.read_text(encoding="utf-8")
        self.blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        self.clock = clock
        self.calls: list[str] = []
        # What the document leaves to its reader.
        self.names: dict[str, Any] = {
            "process_data_function": self.recorder("process_data_function"),
            "cleanup_function": self.recorder("cleanup_function"),
            "sync_function": self.recorder("sync_function"),
            "node1": Node("node1"),
            "node2": Node("node2"),
            "node3": Node("node3"),
        }

    def recorder(self, name: str) -> Any:
        return lambda: self.calls.append(name)

    def run(self, containing: str) -> None:
        """Runs the one block that contains a text."""
        (block,) = (block for block in self.blocks if containing in block)
        exec(compile(block, str(DOCUMENT), "exec"), self.names)

    @property
    def scheduler(self) -> Scheduler:
        scheduler: Scheduler = self.names["scheduler"]
        return scheduler


@pytest.fixture
def examples() -> Iterator[Examples]:
    # The document's own blocks read the machine's clock, so the virtual one starts from it.
    with VirtualClock(start=datetime.now(UTC)) as clock:
        yield Examples(clock)


def test_every_block_runs_as_printed_and_in_order(
    examples: Examples, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(examples.blocks) == 8
    for block in examples.blocks:
        exec(compile(block, str(DOCUMENT), "exec"), examples.names)
    result = examples.names["flow"].shared.get("processing_result")
    assert result == {"processed": True, "result": 84}
    printed = capsys.readouterr().out
    assert "Task status: pending" in printed
    # The two of the scheduler's block and the two of the utilities' but the cancelled one.
    assert "Cancelled 3 tasks" in printed


def test_the_periodic_task_keeps_its_promises(
    examples: Examples, capsys: pytest.CaptureFixture[str]
) -> None:
    before = datetime.now(UTC)
    examples.run("MyPeriodicTask")
    after = datetime.now(UTC)
    examples.run("OneTimeTask")
    task = examples.names["task"]
    scheduler = examples.scheduler
    scheduler.start()
    scheduler.schedule_task(task)
    assert task.next_run is not None
    assert before <= task.next_run - timedelta(minutes=1) <= after
    capsys.readouterr()
    examples.clock.advance(24 * 3600)
    printed = capsys.readouterr().out.splitlines()
    assert printed.count("Task executed with value1 and value2") == 10
    assert task.status == "completed"
    assert task.run_count == 10


def test_the_scheduler_block_cancels_one_and_leaves_the_recurring_one(
    examples: Examples, capsys: pytest.CaptureFixture[str]
) -> None:
    examples.run("OneTimeTask")
    scheduler, names = examples.scheduler, examples.names
    assert not scheduler.is_running
    assert scheduler.tasks[names["task_id"]].status == "cancelled"
    assert scheduler.tasks[names["recurring_task_id"]].status == "pending"
    assert "One-time" not in capsys.readouterr().out
    scheduler.start()
    examples.clock.advance(3600)
    scheduler.stop()
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["Recurring task executed with parameter"] * 5


def test_the_node_blocks_schedule_wait_and_cancel(examples: Examples) -> None:
    for text in ("OneTimeTask", "DataProcessingTask", "import CancelTaskNode"):
        examples.run(text)
    examples.run("import WaitForTaskNode\n")
    names, scheduler = examples.names, examples.scheduler
    scheduler.start()
    shared = SharedStore()
    scheduled = names["schedule_node"].exec(shared)
    assert scheduled["task_id"] == shared.get("task_id")
    waited = names["wait_node"].exec(shared)
    assert waited["completed"]
    assert not waited["timed_out"]
    assert examples.calls == ["process_data_function"]
    assert names["schedule_node"].exec(shared)["scheduled"]
    assert names["cancel_node"].exec(shared)["cancelled"]
    assert not names["cancel_node"].exec(shared)["cancelled"]
    examples.clock.advance(3600)
    assert examples.calls == ["process_data_function"]


def test_the_scheduled_flow_runs_its_nodes_every_hour(examples: Examples) -> None:
    for text in ("TaskSchedule(", "OneTimeTask", "ScheduledFlowNode("):
        examples.run(text)
    names, scheduler = examples.names, examples.scheduler
    scheduler.start()
    shared = SharedStore()
    names["scheduled_flow_node"].exec(shared)
    task = scheduler.tasks[shared.get("scheduled_flow_id")]
    examples.clock.advance(2.5 * 3600)
    assert task.run_count == 3
    assert task.result == {"node1": {}, "node2": {}, "node3": {}}


def test_the_utilities_work_for_a_day(
    examples: Examples, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("TaskSchedule(", "OneTimeTask"):
        examples.run(text)
    (block,) = (block for block in examples.blocks if "cancel_all_tasks" in block)
    before_cancelling, _, cancelling = block.partition("# Cancel all tasks")
    exec(compile(before_cancelling, str(DOCUMENT), "exec"), examples.names)
    examples.scheduler.start()
    examples.clock.advance(48 * 3600)
    assert examples.calls.count("cleanup_function") == 1
    assert examples.calls.count("sync_function") == 24
    exec(compile(cancelling, str(DOCUMENT), "exec"), examples.names)
    assert "Cancelled 0 tasks" in capsys.readouterr().out

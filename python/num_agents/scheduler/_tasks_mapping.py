"""`Scheduler.tasks`: a mapping that looks tasks up instead of holding them."""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from num_agents.scheduler import _native
    from num_agents.scheduler.task import Task


class TasksMapping(Mapping[str, "Task"]):
    """All live and remembered tasks by id. Look-up O(1), iteration and length O(n)."""

    def __init__(self, native: _native.Engine, get_task: Callable[[str], Task | None]) -> None:
        self._native = native
        self._get_task = get_task

    def __getitem__(self, task_id: str) -> Task:
        task = self._get_task(task_id) if isinstance(task_id, str) else None
        if task is None:
            raise KeyError(task_id)
        return task

    def __iter__(self) -> Iterator[str]:
        yield from self._native.task_ids("live")
        yield from self._native.task_ids("ended")

    def __len__(self) -> int:
        return len(self._native.task_ids("live")) + len(self._native.task_ids("ended"))

"""What a task calls."""

from __future__ import annotations

from num_agents.scheduler.task import checked_callback, checked_name, is_coroutine_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from weakref import WeakMethod

    from num_agents.scheduler._engine.options import AnyOptions


class CallCheck:
    """Checks the name and the callback of a task; called by the extension module.

    Attributes:
        prepare_loop: Makes sure that there is an event loop for coroutines; None where none can be.
    """

    __slots__ = ("prepare_loop",)

    def __init__(self) -> None:
        self.prepare_loop: WeakMethod[Callable[[], None]] | None = None

    def __call__(self, name: object, callback: object) -> bool:
        """Whether the callback is a coroutine function, which an event loop is to run.

        Raises:
            TypeError: The name is no string, or the callback cannot be called.
        """
        checked_name(name)
        is_coroutine = is_coroutine_function(checked_callback(callback))
        if is_coroutine:
            self.need_loop()
        return is_coroutine

    def need_loop(self) -> None:
        """Makes sure that there is an event loop.

        Raises:
            RuntimeError: There cannot be one.
        """
        prepare = None if self.prepare_loop is None else self.prepare_loop()
        if prepare is None:
            raise RuntimeError("nothing here runs coroutines")
        prepare()


def is_special(options: AnyOptions | None) -> bool:
    """Whether runs of a task need more than a call with arguments: see `Runs.run`."""
    return options is not None and (
        options.context is not None or options.known is not None or options.timeout is not None
    )

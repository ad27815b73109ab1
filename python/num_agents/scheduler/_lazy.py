"""Modules that only annotations name: `typing.get_type_hints` imports them when it is called.

To import them with the module whose annotations name them would be slow, or circular.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class LazyModule:
    """Stands for a module, and imports it when one of its names is looked up.

    Args:
        name: The full name of the module.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        from importlib import import_module  # noqa: PLC0415 - rare

        return getattr(import_module(self._name), name)

    def __repr__(self) -> str:
        return f"<LazyModule {self._name}>"

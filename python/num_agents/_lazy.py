"""Modules that only annotations name: `typing.get_type_hints` imports them when it is called.

Importing them earlier would be slow, or circular.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any
else:
    ModuleType = type(sys)


class LazyModule(ModuleType):
    """Stands for a module, and imports it when one of its names is looked up.

    Args:
        name: The full name of the module.
    """

    def __getattr__(self, name: str) -> Any:
        from importlib import import_module  # noqa: PLC0415 - rare

        return getattr(import_module(self.__name__), name)

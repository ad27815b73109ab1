"""Flows, an event bus and a scheduler for Python agents."""

from __future__ import annotations

import os

# `typing` is slow to import, and only checkers need it.
TYPE_CHECKING = False

__version__: str


def _refuse_other_distribution(folder: str) -> None:
    """Raise if the distribution `num-agents` is installed in `folder`.

    It writes the same import package as `num-agents-scheduler`: the files of whichever was
    installed last have replaced the other's, and what would be imported is a mix of the two.

    Args:
        folder: The folder that holds the package `num_agents`, such as `site-packages`. One that
            cannot be listed (the package is in a zip file) is not judged.

    Raises:
        ImportError: The metadata of `num-agents` lies in `folder`.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except OSError:
        return
    for name in names:
        # Our own metadata is `num_agents_scheduler-…`: the hyphen keeps the two apart.
        if name.lower().startswith("num_agents-") and name.endswith((".dist-info", ".egg-info")):
            message = (
                "the distributions `num-agents` and `num-agents-scheduler` both install the "
                f"package `num_agents`, and both are in {folder!r} (found {name!r}), where their "
                "files overwrite each other. To use the scheduler, run `pip uninstall num-agents` "
                "and then `pip install --force-reinstall num-agents-scheduler`; to use the other, "
                "uninstall `num-agents-scheduler` and reinstall `num-agents`."
            )
            raise ImportError(message, name="num_agents")


_refuse_other_distribution(os.path.dirname(__path__[0]))  # noqa: PTH120 - pathlib imports slowly

# A checker that saw `__getattr__` would accept any attribute of the package.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> str:
        """Look the version up when asked for: `importlib.metadata` is slow to import."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - see above

        try:
            return version("num-agents-scheduler")
        except PackageNotFoundError:
            return "0+unknown"

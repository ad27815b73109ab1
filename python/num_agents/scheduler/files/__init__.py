"""Files of schedules: crontabs, and lists in TOML.

```python
from num_agents.scheduler.files import parse_schedules

entries = parse_schedules('''
CRON_TZ=Europe/Paris
0 9 * * MON-FRI   report --daily
@hourly           sweep
''')
assert [(entry.line, entry.name) for entry in entries] == [(3, "report --daily"), (4, "sweep")]
```

A line that is understood and has no time to come, `@reboot` or an off switch such as `0 0 31 2 *`,
is left out with a `ScheduleWarning`. A line that is wrong refuses the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from num_agents.scheduler import _messages, errors
from num_agents.scheduler.errors import ScheduleFileError
from num_agents.scheduler.files import crontab, toml
from num_agents.scheduler.files import entries as _entries
from num_agents.scheduler.files.entries import Entry

__all__ = ["Entry", "ScheduleFileError", "Schedules", "parse_schedules", "read_schedules"]

#: A file longer than this is no list of schedules, but a mistake.
FILE_BYTES_MAX = 64 * 2**20


class Schedules(list[Entry]):
    """The entries of a file, in its order.

    Attributes:
        left_out: (line, reason) of each line that has no time to come.
    """

    def __init__(
        self, entries: Iterable[Entry] = (), left_out: Iterable[_entries.Fault] = ()
    ) -> None:
        super().__init__(entries)
        self.left_out = [(fault.line, fault.reason) for fault in left_out]


def read_schedules(
    path: str | PathLike[str], *, system: bool | None = None, strict: bool = False
) -> Schedules:
    """Read a file of schedules. O(n) in its size.

    Args:
        path: The file, in UTF-8. If its name ends in `.toml`, a list of `[[schedule]]` tables;
            a crontab otherwise.
        system: Of a crontab, whether a user stands before the command. None: only in a file
            `crontab` in a folder `etc`, and in a folder `cron.d`; what is in the file is not
            looked at, because a command may look like a user.
        strict: Refuse lines that have no time to come, instead of leaving them out.

    Warns:
        ScheduleWarning: Lines were left out.

    Raises:
        OSError: The file cannot be read.
        ScheduleFileError: Lines of it are wrong; it has all of them.
    """
    path = Path(path)
    with path.open("rb") as file:
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise ScheduleFileError(str(path), [(1, f"longer than {FILE_BYTES_MAX:,} bytes")])
    # Bytes that are no UTF-8 are kept, to be named by their lines.
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    return parse_schedules(text, file=path, system=system, strict=strict)


def parse_schedules(
    text: str,
    *,
    file: str | PathLike[str] = "<text>",
    system: bool | None = None,
    strict: bool = False,
) -> Schedules:
    """Read schedules from a text.

    Args:
        text: What `read_schedules` finds in a file.
        file: What messages call it; it tells the form of the text as the name of a file does.
        system: As in `read_schedules`.
        strict: As in `read_schedules`.

    Warns:
        ScheduleWarning: Lines were left out.

    Raises:
        ScheduleFileError: Lines of it are wrong; it has all of them.
    """
    path = Path(file)
    if path.suffix.lower() == ".toml":
        entries, faults = toml.parse(text)
    else:
        entries, faults = crontab.parse(
            text, system=_is_of_the_system(path) if system is None else system
        )
    if any(strict or not fault.can_be_left_out for fault in faults):
        raise ScheduleFileError(str(file), [(fault.line, fault.reason) for fault in faults])
    found = Schedules(entries, faults)
    if found.left_out:
        listed = errors.listed_faults(str(file), found.left_out)
        _messages.warn(f"left out, as they have no time to come:\n{listed}")
    return found


def _is_of_the_system(path: Path) -> bool:
    folder = path.absolute().parent.name
    return folder == "cron.d" or (folder, path.name) == ("etc", "crontab")

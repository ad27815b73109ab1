"""Reading a crontab: the user form, and the system form with a user before the command.

As cron(8) reads it: five time fields or one of the `@` words, then the command to the end of the
line; blank lines; comments, which have a line of their own; and `NAME = value` lines, with quotes
around either. Two things are more than cron's: `CRON_TZ=` works everywhere, and so does `@every`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from num_agents.scheduler.files.entries import (
    REFUSALS,
    Entry,
    Fault,
    damage_of,
    never_fires,
    reason_of,
)
from num_agents.scheduler.schedule import TaskSchedule

if TYPE_CHECKING:
    from collections.abc import Sequence

TIME_FIELDS = 5

# CRON_TZ wins over TZ, whichever is set first. For cron, TZ is the zone of the command; it is the
# zone of the schedule only if CRON_TZ is not set.
ZONE_NAMES = ("CRON_TZ", "TZ")

_WORD = re.compile(r"[^ \t]+")
_SETTING = re.compile(
    r"""[ \t]*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[A-Za-z_][A-Za-z0-9_]*))"""
    r"""[ \t]*=[ \t]*(?P<value>.*)"""
)


class _LineError(Exception):
    """A line cannot be taken; the message says why."""

    def __init__(self, message: str, *, can_be_left_out: bool = False) -> None:
        super().__init__(message)
        self.can_be_left_out = can_be_left_out


def parse(text: str, *, system: bool) -> tuple[list[Entry], list[Fault]]:
    """Read a crontab.

    Args:
        text: The whole of it.
        system: Whether the word after the time fields is a user.

    Returns:
        Its entries, and every wrong line.
    """
    reader = _Reader(system=system)
    for line, content in enumerate(text.split("\n"), start=1):
        try:
            reader.read(line, content.strip(" \t\r"), indent=_indent_of(content))
        except _LineError as wrong:
            reader.faults.append(Fault(line, str(wrong), wrong.can_be_left_out))
    return reader.entries, reader.faults


def _indent_of(content: str) -> int:
    return len(content) - len(content.lstrip(" \t\r"))


class _Reader:
    """What was read so far, and what it means for the lines below."""

    def __init__(self, *, system: bool) -> None:
        self.system = system
        self.entries: list[Entry] = []
        self.faults: list[Fault] = []
        self.environment: dict[str, str] = {}
        # The same, as the entries since the last setting share it.
        self.shared: dict[str, str] | None = None

    def read(self, line: int, content: str, *, indent: int) -> None:
        damage = damage_of(content)
        if damage is not None:
            raise _LineError(damage)
        if not content or content.startswith("#"):
            return
        setting = _SETTING.fullmatch(content)
        if setting is not None:
            self._set(setting)
        else:
            self._add(line, content, indent=indent)

    def _set(self, setting: re.Match[str]) -> None:
        name = setting["double"] or setting["single"] or setting["bare"]
        if not name:
            raise _LineError("a setting without a name")
        value = _unquoted(setting["value"])
        if name in ZONE_NAMES and value:
            try:
                TaskSchedule(timezone=value)
            except REFUSALS as error:
                raise _LineError(f"{name}: {reason_of(error)}") from error
        self.environment[name] = value
        self.shared = None

    def _add(self, line: int, content: str, *, indent: int) -> None:
        words = list(_WORD.finditer(content))
        first = words[0][0].lower()
        if first == "@reboot":
            raise _LineError("@reboot names no time", can_be_left_out=True)
        count = 1 + (first == "@every") if first.startswith("@") else TIME_FIELDS
        needed = count + self.system
        if len(words) <= needed:
            raise _LineError(_shortage(found=len(words), first=first, system=self.system))
        schedule = self._schedule(words[:count], indent=indent)
        if self.shared is None:
            self.shared = dict(self.environment)
        self.entries.append(
            Entry(
                line=line,
                name=content[words[needed].start() :],
                schedule=schedule,
                user=words[count][0] if self.system else None,
                environment=self.shared,
            )
        )

    def _schedule(self, words: Sequence[re.Match[str]], *, indent: int) -> TaskSchedule:
        # The expression has one space between its fields; the column is that of the line.
        columns = [
            indent + column for word in words for column in range(word.start() + 1, word.end() + 2)
        ]
        zone = next(filter(None, map(self.environment.get, ZONE_NAMES)), None)
        try:
            return TaskSchedule(cron_expression=" ".join(word[0] for word in words), timezone=zone)
        except REFUSALS as error:
            reason = reason_of(error, lambda at: columns[min(at, len(columns) - 1)])
            raise _LineError(reason, can_be_left_out=never_fires(error)) from error


def _shortage(*, found: int, first: str, system: bool) -> str:
    wanted = [first if first.startswith("@") else f"{TIME_FIELDS} time fields"]
    if first == "@every":
        wanted.append("a duration")
    if system:
        wanted.append("a user")
    words = "1 word" if found == 1 else f"{found} words"
    return f"{', '.join(wanted)} and a command are needed, got {words}"


def _unquoted(value: str) -> str:
    """The value of a setting without the quotes around it.

    Raises:
        _LineError: It begins with a quote and does not end with the same.
    """
    quote = value[:1]
    if quote not in {'"', "'"}:
        return value
    if len(value) < 2 or value.find(quote, 1) != len(value) - 1:  # noqa: PLR2004 - two quotes
        raise _LineError(f"the value must end at its second {quote}, got {value}")
    return value[1:-1]

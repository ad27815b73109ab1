"""Reading a TOML list of schedules: `[[schedule]]` tables.

Each has a `name` and the arguments of `TaskSchedule`, with `cron` as a short word for
`cron_expression`, spans as numbers of seconds or as text ("15m"), and tables where `TaskSchedule`
takes an object.

The parser of the standard library keeps no positions. So what it accepted is gone over once more,
only to find the line on which each key stands.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from typing import TYPE_CHECKING, Any

from num_agents.scheduler._timing.spans import parse_span_s
from num_agents.scheduler.calendar import CalendarInterval, Exclusions
from num_agents.scheduler.errors import InvalidCronError
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
    from collections.abc import Iterator

TABLES = "schedule"

SPANS = frozenset(("delay", "interval", "jitter", "window"))
OBJECTS: dict[str, type] = {"calendar_interval": CalendarInterval, "exclude": Exclusions}

#: A schedule of a file has one of these; without any it would run immediately.
TIMES = (
    "cron_expression",
    "interval",
    "calendar_interval",
    "rrule",
    "any_of",
    "run_at",
    "delay",
    "start_after",
)

#: A key's place: the number of its [[schedule]], from 0, then its name and those of its tables.
Place = tuple[int | str, ...]

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?!")'
    r"|'''.*?'''(?!')"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{}\n]"
    r"|[^\s\"'\#\[\]{}]+",
    re.DOTALL,
)


def parse(text: str) -> tuple[list[Entry], list[Fault]]:
    """Read a list of schedules.

    Args:
        text: The whole of it.

    Returns:
        Its entries, and what is wrong, by line: of text that is no TOML the first fault only, of a
        table what can be said of each key, and then of what they say together the first.
    """
    damaged = [
        Fault(line, damage)
        for line, content in enumerate(text.split("\n"), start=1)
        if (damage := damage_of(content)) is not None
    ]
    if damaged:
        return [], damaged
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [], [_syntax_fault(error, text)]
    except RecursionError:
        return [], [Fault(1, "no TOML: nested too deeply")]
    reader = _Reader(_lines_of(text))
    reader.read(document)
    return reader.entries, sorted(reader.faults)


def _syntax_fault(error: tomllib.TOMLDecodeError, text: str) -> Fault:
    reason, _, place = str(error).removesuffix(")").partition(" (at ")
    found = re.fullmatch(r"line (\d+), column (\d+)", place)
    if found is None:
        return Fault(text.rstrip("\n").count("\n") + 1, f"no TOML: {reason} at the end")
    return Fault(int(found[1]), f"no TOML: column {found[2]}: {reason}")


class _Reader:
    """Turns tables into entries, and notes what is wrong with them."""

    def __init__(self, lines: dict[Place, int]) -> None:
        self.lines = lines
        self.entries: list[Entry] = []
        self.faults: list[Fault] = []

    def line_of(self, place: Place) -> int:
        """The line of a key, or of the nearest table around it that has a line."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def fault(self, place: Place, reason: str, *, can_be_left_out: bool = False) -> None:
        self.faults.append(Fault(self.line_of(place), reason, can_be_left_out))

    def read(self, document: dict[str, Any]) -> None:
        for key in document.keys() - {TABLES}:
            self.fault((key,), f"unknown key {key!r}: only [[{TABLES}]] tables are read")
        tables = document.get(TABLES, [])
        if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
            self.fault((TABLES,), f"{TABLES} must be a list of tables: [[{TABLES}]]")
            return
        for number, table in enumerate(tables):
            place = (TABLES, number)
            before = len(self.faults)
            name = table.pop("name", None)
            if name is None:
                self.fault(place, "name is missing")
            elif not isinstance(name, str) or not name:
                self.fault((*place, "name"), f"name must be a string, got {name!r}")
            schedule = self.schedule(place, table)
            if schedule is not None and len(self.faults) == before:
                self.entries.append(Entry(self.line_of(place), name, schedule))

    def schedule(self, place: Place, table: dict[str, Any]) -> TaskSchedule | None:
        """The schedule that a table describes; None if something is wrong, which is noted."""
        before = len(self.faults)
        spelling = {"cron_expression": "cron"} if "cron" in table else {}
        if "cron" in table and "cron_expression" in table:
            self.fault((*place, "cron"), "cron and cron_expression are the same: give one of them")
        known = {**dict.fromkeys(_arguments_of(TaskSchedule)), "cron": None}
        options: dict[str, Any] = {}
        for key, value in table.items():
            if key not in known:
                words = ", ".join(["name", *sorted(known)])
                self.fault((*place, key), f"unknown key {key!r}; known are {words}")
                continue
            try:
                argument = "cron_expression" if key == "cron" else key
                options[argument] = self.value((*place, key), key, value)
            except REFUSALS as error:
                self.fault((*place, key), _with_name(key, reason_of(error)))
        if len(self.faults) > before:
            return None
        if not options.keys() & set(TIMES):
            self.fault(place, f"it says no time; give {', '.join(('cron', *TIMES[1:]))}")
            return None
        try:
            return TaskSchedule(**options)
        except REFUSALS as error:
            reason = reason_of(error)
            # The constructor's messages begin with the name of the argument.
            word = re.match(r"\w*", reason)
            argument = word[0] if word and word[0] in options else ""
            if isinstance(error, InvalidCronError):
                argument = "cron_expression"
            key = spelling.get(argument, argument)
            self.fault(
                (*place, key) if key else place,
                _with_name(key, reason),
                can_be_left_out=never_fires(error),
            )
            return None

    def value(self, place: Place, key: str, value: Any) -> Any:
        """A value as `TaskSchedule` takes it; what is wrong in the tables below is noted."""
        if key in SPANS and isinstance(value, str):
            return parse_span_s(value, key)
        if key in OBJECTS:
            return self.made(place, OBJECTS[key], value)
        if key == "any_of":
            if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
                raise TypeError("any_of must be a list of tables")
            return [self.schedule((*place, number), one) for number, one in enumerate(value)]
        return value

    def made(self, place: Place, kind: type, table: object) -> Any:
        """An object that a table describes."""
        if not isinstance(table, dict):
            raise TypeError(f"{place[-1]} must be a table, got {table!r}")
        known = _arguments_of(kind)
        unknown = [key for key in table if key not in known]
        for key in unknown:
            words = ", ".join(known)
            self.fault((*place, key), f"unknown key {key!r} in {place[-1]}; known are {words}")
        if unknown:
            return None
        return kind(
            **{key: tuple(one) if isinstance(one, list) else one for key, one in table.items()}
        )


def _arguments_of(kind: type) -> list[str]:
    return list(inspect.signature(kind).parameters)


def _with_name(key: str, reason: str) -> str:
    return reason if not key or reason.startswith(key) else f"{key}: {reason}"


# --- lines ----------------------------------------------------------------------------------------


def _lines_of(text: str) -> dict[Place, int]:
    """The line of each key and each table of a document that is known to be TOML."""
    lines: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    prefix: Place = ()
    for line, statement in _statements(text):
        path = _path_of(statement)
        if not statement.startswith("["):
            for length in range(1, len(path) + 1):
                lines.setdefault((*prefix, *path[:length]), line)
            continue
        prefix = ()
        for length, word in enumerate(path, start=1):
            prefix = (*prefix, word)
            lines.setdefault(prefix, line)
            if length == len(path) and statement.startswith("[["):
                counts[prefix] = counts.get(prefix, -1) + 1
            if prefix in counts:
                # A list of tables: what follows is in its last.
                prefix = (*prefix, counts[prefix])
                lines.setdefault(prefix, line)
    return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The headers and the assignments of a document, with the line that each begins on."""
    start: int | None = None
    end = depth = 0
    line = counted = 0
    for token in _TOKEN.finditer(f"{text}\n"):
        mark = token[0]
        if mark == "\n" and depth == 0:
            if start is not None:
                line, counted = line + text.count("\n", counted, start), start
                yield line + 1, text[start:end]
            start = None
        elif mark != "\n" and not mark.startswith("#"):
            if start is None:
                start = token.start()
            end = token.end()
            depth += (mark in "[{") - (mark in "]}")


def _path_of(statement: str) -> tuple[str, ...]:
    """The names of a header or of the key of an assignment, at most as deep as tables go here."""
    path: list[str] = []
    value: Any = tomllib.loads(statement)
    while isinstance(value, dict) and value:
        word, value = next(iter(value.items()))
        path.append(word)
        if isinstance(value, list) and statement.startswith("["):
            value = value[0]
    return tuple(path)

"""Files of schedules: crontabs and TOML lists, and what is said of every line that is wrong."""

from __future__ import annotations

import itertools
import re
import string
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from num_agents.scheduler import SchedulerError, TaskSchedule
from num_agents.scheduler._timing.spans import parse_span_s
from num_agents.scheduler.calendar import CalendarInterval, Exclusions
from num_agents.scheduler.files import (
    FILE_BYTES_MAX,
    Entry,
    ScheduleFileError,
    parse_schedules,
    read_schedules,
)


def crontab(text: str, *, system: bool = False) -> list[Entry]:
    return parse_schedules(text, file="jobs", system=system)


def toml(text: str) -> list[Entry]:
    return parse_schedules(text, file="jobs.toml")


def said(text: str, *, file: str = "jobs", system: bool | None = None) -> list[tuple[int, str]]:
    """What is said of a text that must be refused: (line, reason) of each fault."""
    with pytest.raises(ScheduleFileError) as caught:
        parse_schedules(text, file=file, system=system, strict=True)
    lines = [f"{file}:{line}: {reason}" for line, reason in caught.value.faults]
    assert str(caught.value).split("\n")[:20] == lines[:20]
    assert all("\n" not in line for line in lines)
    return caught.value.faults


def zones(entries: list[Entry]) -> list[object]:
    return [entry.schedule.timezone for entry in entries]


# --- crontabs -------------------------------------------------------------------------------------


def test_a_crontab_of_a_user() -> None:
    entries = crontab(
        "# m h dom mon dow command\n"
        "\n"
        "0 9 * * MON-FRI report --daily\n"
        "  \t*/5\t*  *\t* *   sweep 100%  'a  b' # no comment \n"
        "@Daily tidy\n"
        "@every 5m poll"
    )
    assert [(entry.line, entry.schedule.cron_expression, entry.name) for entry in entries] == [
        (3, "0 9 * * MON-FRI", "report --daily"),
        (4, "*/5 * * * *", "sweep 100%  'a  b' # no comment"),
        (5, "@Daily", "tidy"),
        (6, "@every 5m", "poll"),
    ]
    assert {entry.user for entry in entries} == {None}


def test_a_crontab_of_the_system() -> None:
    entries = crontab("17 * * * *\troot\trun-parts  /x\n@daily  www-data tidy\n", system=True)
    assert [(entry.user, entry.name) for entry in entries] == [
        ("root", "run-parts  /x"),
        ("www-data", "tidy"),
    ]


@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("etc/crontab", "root"),
        ("etc/cron.d/job", "root"),
        ("etc/cron.d/job.cron", "root"),
        ("etc/other", None),
        ("home/crontab", None),
    ],
)
def test_the_form_of_a_file_is_told_by_its_name(tmp_path: Path, name: str, user: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text("0 0 * * * root work\n")
    (entry,) = read_schedules(path)
    assert (entry.user, entry.name) == (user, "work" if user else "root work")
    (entry,) = read_schedules(str(path), system=False)
    assert (entry.user, entry.name) == (None, "root work")
    (entry,) = read_schedules(path, system=True)
    assert (entry.user, entry.name) == ("root", "work")


@pytest.mark.parametrize("text", ["", "\n", "# only\n\n   # comments\n\t\n", "A=b\n"])
def test_a_crontab_may_be_empty(text: str) -> None:
    assert crontab(text) == []


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_ends_of_lines(end: str) -> None:
    (entry,) = crontab(f"A=b{end or chr(10)}@daily tidy{end}")
    assert (entry.line, entry.name, entry.environment) == (2, "tidy", {"A": "b"})


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("SHELL=/bin/sh", "SHELL", "/bin/sh"),
        ("  MAILTO =  a b  ", "MAILTO", "a b"),
        ('MAILTO=""', "MAILTO", ""),
        ("MAILTO=", "MAILTO", ""),
        ('A=" b "', "A", " b "),
        ("A=' b '", "A", " b "),
        ("A=it's", "A", "it's"),
        ("A='\"'", "A", '"'),
        ('"A B"=c', "A B", "c"),
        ("'A'= c = d", "A", "c = d"),
        ("A=# no comment", "A", "# no comment"),
    ],
)
def test_settings(line: str, name: str, value: str) -> None:
    (entry,) = crontab(f"{line}\n@daily tidy\n")
    assert entry.environment == {name: value}


def test_settings_are_for_the_lines_below() -> None:
    entries = crontab("@daily a\nX=1\n@daily b\n@daily c\nX=2\nY=3\n@daily d\n")
    assert [entry.environment for entry in entries] == [
        {},
        {"X": "1"},
        {"X": "1"},
        {"X": "2", "Y": "3"},
    ]


def test_what_looks_like_a_setting_and_is_none() -> None:
    (entry,) = crontab("0 0 * * * X=1 work\n")
    assert entry.name == "X=1 work"


def test_zones_are_for_the_lines_below() -> None:
    entries = crontab(
        "@daily a\n"
        "CRON_TZ=Asia/Tokyo\n"
        "@daily b\n"
        "CRON_TZ = 'Europe/Paris'\n"
        "@daily c\n"
        "CRON_TZ=\n"
        "@daily d\n"
    )
    assert zones(entries) == [None, "Asia/Tokyo", "Europe/Paris", None]


def test_cron_tz_wins_over_tz() -> None:
    entries = crontab(
        "TZ=Asia/Tokyo\n@daily a\nCRON_TZ=UTC\n@daily b\n"
        "TZ=Asia/Kolkata\n@daily c\nCRON_TZ=\n@daily d\n"
    )
    assert zones(entries) == ["Asia/Tokyo", "UTC", "UTC", "Asia/Kolkata"]


def test_a_zone_is_heeded() -> None:
    (entry,) = crontab("CRON_TZ=Asia/Tokyo\n0 9 * * * work\n")
    found = entry.schedule.next_after(datetime(2025, 1, 1, tzinfo=UTC))
    assert found == datetime(2025, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "system", "reason"),
    [
        ("0 0 * * *", False, "5 time fields and a command are needed, got 5 words"),
        ("0 0 * *", False, "5 time fields and a command are needed, got 4 words"),
        ("nonsense", False, "5 time fields and a command are needed, got 1 word"),
        ("0 0 * * * root", True, "5 time fields, a user and a command are needed, got 6 words"),
        ("@daily", False, "@daily and a command are needed, got 1 word"),
        ("@daily root", True, "@daily, a user and a command are needed, got 2 words"),
        ("@every 5m", False, "@every, a duration and a command are needed, got 2 words"),
        ("@reboot work", False, "@reboot names no time"),
        ("@REBOOT root work", True, "@reboot names no time"),
        ('A="b', False, 'the value must end at its second ", got "b'),
        ("A='b' c", False, "the value must end at its second ', got 'b' c"),
        ("''=b", False, "a setting without a name"),
        ("0 0 * * * a\0b", False, "holds a NUL character"),
        ("0 0 * * * caf\udce9", False, "not UTF-8"),
    ],
)
def test_what_a_crontab_must_not_say(line: str, system: bool, reason: str) -> None:  # noqa: FBT001
    assert said(f"# c\n{line}\n", system=system) == [(2, reason)]


@pytest.mark.parametrize("name", ["TZ", "CRON_TZ"])
def test_a_zone_that_is_none(name: str) -> None:
    ((line, reason),) = said(f"{name}=Mars/Olympus\n0 0 * * * work\n")
    assert line == 1
    assert reason.startswith(f"{name}: ")
    assert "Mars/Olympus" in reason


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("60 0 * * * work", "minute field, column 1: "),
        ("\t 0   25  *  *  * work", "hour field, column 7: "),
        ("0 0 1,32 * * work", "day-of-month field, column 7: "),
        ("0 0 * 13 * work", "month field, column 7: "),
        ("0 0 * *\t8 work", "day-of-week field, column 9: "),
    ],
)
def test_a_field_that_is_wrong_is_named_with_its_column_in_the_line(line: str, start: str) -> None:
    ((_, reason),) = said(line)
    assert reason.startswith(start)
    assert len(reason) > len(start)


def test_a_time_that_never_comes() -> None:
    ((line, _),) = said("@daily a\n0 0 30 2 * never\n")
    assert line == 2


def test_every_wrong_line_is_named() -> None:
    faults = said(
        "0 60 * * * a\n@daily b\n@reboot c\nA='\n0 0 * * 1-8 d\n0 0\n@nonsense e\nTZ=Nowhere\n"
    )
    assert [line for line, _ in faults] == [1, 3, 4, 5, 6, 7, 8]


# --- TOML -----------------------------------------------------------------------------------------


def test_a_list_in_toml() -> None:
    entries = toml(
        '# jobs\n[[schedule]]\nname = "report"\ncron = "0 9 * * MON-FRI"\n'
        'timezone = "Europe/Paris"\ndst = "skip"\n\n'
        '[[schedule]]\nname = "poll"\ninterval = "15m"\njitter = 30\nmax_runs = 3\n\n'
        '[[schedule]]\nname = "once"\nrun_at = 2025-01-01T00:00:00Z\n\n'
        '[[schedule]]\nname = "quartz"\ncron_expression = "0 0 9 ? * 2"\ndialect = "quartz"\n'
    )
    assert entries == [
        Entry(
            2,
            "report",
            TaskSchedule(cron_expression="0 9 * * MON-FRI", timezone="Europe/Paris", dst="skip"),
        ),
        Entry(8, "poll", TaskSchedule(interval=900, jitter=30, max_runs=3)),
        Entry(14, "once", TaskSchedule(run_at=datetime(2025, 1, 1, tzinfo=UTC))),
        Entry(18, "quartz", TaskSchedule(cron_expression="0 0 9 ? * 2", dialect="quartz")),
    ]


@pytest.mark.parametrize(
    "text",
    [
        'calendar_interval = { months = 1, at = "09:30", anchor = "2025-01-31" }\n'
        'exclude = { weekdays = ["sat", "sun"], hours = [0, 1] }\n',
        '[schedule.calendar_interval]\nmonths = 1\nat = "09:30"\nanchor = "2025-01-31"\n'
        '[schedule.exclude]\nweekdays = [\n  "sat", # c\n  "sun",\n]\nhours = [0, 1]\n',
    ],
)
def test_tables_for_objects(text: str) -> None:
    (entry,) = toml(f'[[schedule]]\nname = "a"\n{text}')
    made = entry.schedule
    assert made == TaskSchedule(
        calendar_interval=CalendarInterval(months=1, at="09:30", anchor="2025-01-31"),
        exclude=Exclusions(weekdays=("sat", "sun"), hours=(0, 1)),
    )


def test_dates_and_times_of_toml() -> None:
    (entry,) = toml(
        '[[schedule]]\nname = "a"\nexclude.dates = [2025-12-25]\n'
        "calendar_interval = { days = 2, at = 09:30:00, anchor = 2025-01-31 }\n"
    )
    found = entry.schedule.preview(1, datetime(2025, 2, 1, 12, tzinfo=UTC))
    assert [(moment.day, moment.hour, moment.minute) for moment in found] == [(2, 9, 30)]


@pytest.mark.parametrize(
    "text",
    [
        'any_of = [{ cron = "0 9 * * *" }, { cron = "0 0 * * SUN" }]',
        '[[schedule.any_of]]\ncron = "0 9 * * *"\n[[schedule.any_of]]\ncron = "0 0 * * SUN"',
    ],
)
def test_any_of_several(text: str) -> None:
    (entry,) = toml(f'[[schedule]]\nname = "a"\n{text}\n')
    found = entry.schedule.preview(3, datetime(2025, 1, 4, 12))
    assert [(moment.day, moment.hour) for moment in found] == [(5, 0), (5, 9), (6, 9)]


def test_a_list_in_one_line() -> None:
    (entry,) = toml('\nschedule = [{ name = "a", interval = 1 }]\n')
    assert (entry.line, entry.name) == (2, "a")


@pytest.mark.parametrize("text", ["", "# nothing\n", "schedule = []\n"])
def test_a_list_may_be_empty(text: str) -> None:
    assert toml(text) == []


@pytest.mark.parametrize(
    ("text", "line", "start"),
    [
        ("name =\n", 1, "no TOML: column 7: "),
        ("[[schedule]]\nname = 'a\n", 2, "no TOML: "),
        ("a = [1,\n", 1, "no TOML: "),
        ("a = 1\n" + "b = " + "[" * 100_000, 1, "no TOML: "),
        ("a = 'caf\udce9'\n", 1, "not UTF-8"),
        ("[schedule]\nname = 'a'\n", 1, "schedule must be a list of tables: [[schedule]]"),
        ("\nschedule = 3\n", 2, "schedule must be a list of tables: [[schedule]]"),
        ("\nschedule = [3]\n", 2, "schedule must be a list of tables: [[schedule]]"),
        ("title = 'x'\n", 1, "unknown key 'title': only [[schedule]] tables are read"),
        ("\n[jobs]\n", 2, "unknown key 'jobs': only [[schedule]] tables are read"),
    ],
)
def test_what_is_no_list(text: str, line: int, start: str) -> None:
    ((found, reason),) = said(text, file="x.toml")
    assert reason.startswith(start)
    assert found == line


@pytest.mark.parametrize(
    ("text", "line", "start"),
    [
        ("interval = 1", 1, "name is missing"),
        ("name = 3\ninterval = 1", 2, "name must be a string, got 3"),
        ("name = ''\ninterval = 1", 2, "name must be a string, got ''"),
        ("name = 'a'", 1, "it says no time; give cron, interval, "),
        ("name = 'a'\nend_after = 2030-01-01", 1, "it says no time; give cron, interval, "),
        ("name = 'a'\nintervall = 1", 3, "unknown key 'intervall'; known are name, "),
        ("name = 'a'\n\ninterval = '15x'", 4, "interval must be numbers with units "),
        ("name = 'a'\ninterval = '900'", 3, "interval must be numbers with units "),
        ("name = 'a'\ninterval = -1", 3, "interval must not be negative, got -1"),
        ("name = 'a'\ninterval = 1\nmax_runs = true", 4, "max_runs "),
        ("name = 'a'\ncron = '* * *'", 3, "cron: "),
        ("name = 'a'\ncron_expression = '* * *'", 3, "cron_expression: "),
        ("name = 'a'\ncron = '0 25 * * *'", 3, "cron: hour field, column 3: "),
        ("name = 'a'\ncron = '@daily'\ndst = 'x'", 4, "dst "),
        ("name = 'a'\ncron = '@daily'\ntimezone = 'Mars'", 4, "timezone "),
        ("name = 'a'\ncron = '@daily'\ncron_expression = '@daily'", 3, "cron and cron_expression"),
        ("name = 'a'\ncalendar_interval = 3", 3, "calendar_interval must be a table, got 3"),
        (
            "name = 'a'\n[schedule.calendar_interval]\nmonth = 1",
            4,
            "unknown key 'month' in calendar_interval; known are ",
        ),
        ("name = 'a'\ncalendar_interval = {}", 3, "calendar_interval"),
        ("name = 'a'\nany_of = 3", 3, "any_of must be a list of tables"),
        ("name = 'a'\nany_of = [\n3]", 3, "any_of must be a list of tables"),
        ("name = 'a'\n[[schedule.any_of]]\ncron = '0 0 * * 9'", 4, "cron: day-of-week field"),
        ("name = 'a'\n'inter\\u0076al' = 1", 3, "unknown key 'inter\\\\u0076al'"),
        ("name = 'a'\n\"inter\\u0076al\" = -1", 3, "interval must not be negative"),
        ("name = '''\n[[schedule]]\nx = 1'''\ninterval = -1", 5, "interval must not be"),
        ('name = """\n\\"""x""""\ninterval = -1', 4, "interval must not be"),
        ("name = 'a#' # c\ninterval = [ # ]\n1\n]", 3, "interval "),
    ],
)
def test_what_a_table_must_not_say(text: str, line: int, start: str) -> None:
    ok = "[[schedule]]\nname = 'ok'\ninterval = 1\n\n"
    for prefix in ("", ok, "\n" + ok + ok):
        document = f"{prefix}[[schedule]]\n{text}\n\n{ok}"
        ((found, reason),) = said(document, file="x.toml")
        assert reason.startswith(start)
        assert found == line + prefix.count("\n")


def test_every_wrong_key_is_named() -> None:
    faults = said(
        "x = 1\n[[schedule]]\ncron = 'x'\n[[schedule]]\nname = 'a'\ninterval = '1'\njitter = 'y'\n"
        "z = 1\n[[schedule]]\nname = 'b'\ncron = '61 * * * *'\n",
        file="x.toml",
    )
    assert [line for line, _ in faults] == [1, 2, 3, 6, 7, 8, 11]


KEYS = st.text(string.ascii_lowercase, min_size=1, max_size=3)
VALUES = st.sampled_from(
    [
        "1",
        "'#['",
        '"\\"]"',
        "'''\n[[schedule]]\n'''",
        '"""\n\\"""x = 1\n"""""',
        "[\n1, # [\n]",
        "{}",
    ]
)


@given(st.lists(st.lists(st.tuples(KEYS, VALUES), unique_by=lambda pair: pair[0]), max_size=5))
def test_the_lines_of_keys_are_found(tables: list[list[tuple[str, str]]]) -> None:
    """Each key of random tables is unknown, and is said to be so on the line where it stands."""
    text = ""
    expected = []
    for table, pairs in enumerate(tables):
        text += "\n" * (table % 3) + "[[schedule]] # [[x]]\n"
        for key, value in pairs:
            expected.append((text.count("\n") + 1, f"x{key}"))
            text += f"x{key} = {value} # c\n"
        text += "name = 'a'\ninterval = 1\n"
    tomllib.loads(text)
    if not expected:
        assert len(toml(text)) == len(tables)
        return
    found = said(text, file="x.toml")
    assert [(line, reason.split("'")[1]) for line, reason in found] == expected


# --- files ----------------------------------------------------------------------------------------


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "jobs.TOML"
    path.write_bytes(b"\xef\xbb\xbf[[schedule]]\r\nname = 'caf\xc3\xa9'\r\ninterval = '1s'\r\n")
    assert read_schedules(path) == [Entry(1, "café", TaskSchedule(interval=1))]


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "jobs"
    path.write_bytes(b"@daily a\n\xff\xfe\n@daily \x80\n0 60 * * * b\n")
    with pytest.raises(ScheduleFileError) as caught:
        read_schedules(path)
    assert [line for line, _ in caught.value.faults] == [2, 3, 4]
    assert str(caught.value).startswith(f"{path}:2: not UTF-8\n{path}:3: not UTF-8\n{path}:4: ")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_schedules(tmp_path / "missing")
    with pytest.raises(OSError, match=r"."):
        read_schedules(tmp_path)


def test_a_file_that_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / "jobs"
    with path.open("wb") as file:
        file.truncate(FILE_BYTES_MAX + 1)
    with pytest.raises(ScheduleFileError, match="longer than"):
        read_schedules(path)


def test_the_error_is_one_of_ours_and_of_python() -> None:
    assert issubclass(ScheduleFileError, SchedulerError)
    assert issubclass(ScheduleFileError, ValueError)


@pytest.mark.parametrize(("fence", "count"), [("crontab", 2), ("toml", 3)])
def test_the_examples_of_the_page(fence: str, count: int) -> None:
    page = (Path(__file__).parents[2] / "docs/schedule-files.md").read_text(encoding="utf-8")
    (text,) = re.findall(rf"^```{fence}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(parse_schedules(text, file=f"jobs.{fence}")) == count


# --- spans ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15m", 900),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("500ms", 0.5),
        ("0.25s", 0.25),
        ("1us", 1e-6),
        ("1µs", 1e-6),
        ("1ns", 1e-9),
        ("2d", 172_800),
        ("1w", 604_800),
        ("0s", 0),
    ],
)
def test_spans_in_words(text: str, seconds: float) -> None:
    found = parse_span_s(text, "it")
    assert found == seconds
    assert isinstance(found, int) == (seconds == int(seconds))


@pytest.mark.parametrize(
    "text",
    ["", "5", "m", "5 m", "5M", "-5m", "+5m", "1.m", ".5m", "5mm", "5m ", "\u0665m", "1e3s", "5y"],
)
def test_spans_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="it must be numbers with units"):
        parse_span_s(text, "it")


@given(st.text(string.digits + ".hms \n", max_size=12))
def test_any_text_is_a_span_or_refused(text: str) -> None:
    try:
        assert parse_span_s(text, "it") >= 0
    except ValueError as error:
        assert "it must be" in str(error)  # noqa: PT017 - either is right


def test_any_words_are_entries_or_refused() -> None:
    """No line ends in any other error, whatever stands in it."""
    words = ["0", "*", "@daily", "@", "=", "A=", "'", '"', "#", "%", "\t", "L", "?", "-1", "é"]
    for line in itertools.product(words, repeat=3):
        for system in (False, True):
            try:
                parse_schedules(" ".join(line) + " * * x y", system=system)
            except ScheduleFileError as error:
                assert len(error.faults) == 1  # noqa: PT017 - either is right

"""`next`: the table of the next times, and how a wrong expression is pointed at."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from num_agents.scheduler import TaskSchedule
from num_agents.scheduler.cli import EXIT_CANNOT_RUN, PROGRAM, main
from num_agents.scheduler.cli.text import (
    BAR_WIDTH,
    bar,
    columns,
    offset,
    precision_of,
    rough_span,
    utc,
    wall_time,
)
from num_agents.scheduler.cli.upcoming import pointed_out, table
from num_agents.scheduler.errors import InvalidCronError

PAGE = Path(__file__).parents[2] / "docs/schedule-files.md"

PARIS = ZoneInfo("Europe/Paris")


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run `next`, which must end well, and return what it prints."""
    assert main(["next", *words]) == 0
    output = capsys.readouterr()
    assert not output.err
    return output.out


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that must be refused, and return what it says."""
    try:
        code: object = main(["next", *words])
    except SystemExit as leaving:
        code = leaving.code
    assert code == EXIT_CANNOT_RUN
    output = capsys.readouterr()
    assert not output.out
    return output.err


def times(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    found = json.loads(printed(capsys, *words, "--json"))["times"]
    assert isinstance(found, list)
    return found


# --- the command ----------------------------------------------------------------------------------


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--timezone", "Europe/Paris", "--from", "2025-03-28T08:00", "--count", "3"]
    lines = printed(capsys, "0 9 * * MON-FRI", *words).splitlines()
    schedule = TaskSchedule(cron_expression="0 9 * * MON-FRI", timezone="Europe/Paris")
    assert lines[0] == schedule.describe()
    assert lines[1:] == [
        "",
        "   local time                      UTC                  in",
        "1  Fri 2025-03-28 09:00:00 +01:00  2025-03-28 08:00:00  1 h",
        "2  Mon 2025-03-31 09:00:00 +02:00  2025-03-31 07:00:00  3 d  <- the offset was +01:00",
        "3  Tue 2025-04-01 09:00:00 +02:00  2025-04-01 07:00:00  4 d",
    ]


def test_the_example_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```console\n\$ (.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    words, _, output = block.partition("\n")
    program, command, *arguments = shlex.split(words)
    assert (program, command) == (PROGRAM, "next")
    assert printed(capsys, *arguments) == output


def test_ten_from_now(capsys: pytest.CaptureFixture[str]) -> None:
    before = datetime.now(UTC)
    found = [datetime.fromisoformat(moment) for moment in times(capsys, "* * * * *")]
    assert len(found) == 10
    assert timedelta(minutes=-1) < found[0] - before <= timedelta(minutes=2)
    assert {b - a for a, b in itertools.pairwise(found)} == {timedelta(minutes=1)}


def test_the_command_can_be_run_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """The module of a command becomes a name in its package, which it must not spoil."""
    for _ in range(2):
        assert times(capsys, "@daily", "--from", "2025-01-01", "--timezone", "UTC", "--count", "1")


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--timezone", "Asia/Kolkata", "--from", "2025-01-01T00:00Z", "--count", "2", "--json"]
    report = json.loads(printed(capsys, "0 9 * * *", *words))
    schedule = TaskSchedule(cron_expression="0 9 * * *", timezone="Asia/Kolkata")
    assert report == {
        "expression": "0 9 * * *",
        "description": schedule.describe(),
        "from": "2025-01-01T05:30:00+05:30",
        "times": ["2025-01-01T09:00:00+05:30", "2025-01-02T09:00:00+05:30"],
    }


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ("2025-01-01", "2025-01-01T09:00:00+09:00"),
        ("2025-01-01T09:00", "2025-01-02T09:00:00+09:00"),
        ("2025-01-01T00:00:00+00:00", "2025-01-02T09:00:00+09:00"),
        ("2024-12-31T23:59:59.999999Z", "2025-01-01T09:00:00+09:00"),
    ],
)
def test_the_start_is_in_the_zone_and_is_left_out(
    start: str, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--timezone", "Asia/Tokyo", "--from", start, "--count", "1")
    assert times(capsys, "0 9 * * *", *words) == [first]


def test_a_zone_in_the_expression_wins(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--timezone", "Europe/Paris", "--from", "2025-01-01T00:00Z", "--count", "1"]
    found = times(capsys, "CRON_TZ=Asia/Tokyo 0 9 * * *", *words)
    assert found == ["2025-01-02T09:00:00+09:00"]
    lines = printed(capsys, "CRON_TZ=Asia/Tokyo 0 9 * * *", *words).splitlines()
    assert "<-" not in lines[-1]


@pytest.mark.parametrize(
    ("dst", "days"),
    [("debian", "30 03:00, 31 02:30"), ("skip", "31 02:30, 01 02:30")],
)
def test_the_word_for_daylight_saving_is_heeded(
    dst: str, days: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"--timezone Europe/Paris --from 2025-03-30 --count 2 --dst {dst}".split()
    found = [datetime.fromisoformat(moment) for moment in times(capsys, "30 2 * * *", *words)]
    assert ", ".join(f"{moment:%d %H:%M}" for moment in found) == days


def test_the_dialect_is_heeded(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--timezone", "UTC", "--from", "2025-01-01", "--count", "1"]
    assert times(capsys, "0 0 9 ? * 2", *words, "--dialect", "quartz") == [
        "2025-01-06T09:00:00+00:00"
    ]
    assert times(capsys, "0 9 * * 2", *words) == ["2025-01-07T09:00:00+00:00"]


def test_an_expression_that_ends(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--timezone", "UTC", "--from", "2025-01-01T12:00"]
    lines = printed(capsys, "0 0 0 1 1 * 2025-2026", *words).splitlines()
    assert lines[-2:] == [
        "1  Thu 2026-01-01 00:00:00 +00:00  2026-01-01 00:00:00  364 d 12 h",
        "no time after Thu 2026-01-01 00:00:00 +00:00",
    ]
    lines = printed(capsys, "0 0 0 1 1 * 2000", *words).splitlines()
    assert lines[-1] == "no time after Wed 2025-01-01 12:00:00 +00:00"


def test_needs_nothing_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("rich", "matplotlib"):
        monkeypatch.setitem(sys.modules, package, None)
    assert "2025-01-02 00:00:00" in printed(capsys, "@daily", "--from", "2025-01-01T12:00Z")


def test_a_wrong_expression_is_pointed_at(capsys: pytest.CaptureFixture[str]) -> None:
    lines = refusal(capsys, "0 60 * * *").splitlines()
    assert lines[0].startswith("hour field, column 3: ")
    assert lines[1:] == ["    0 60 * * *", "      ^"]


@pytest.mark.parametrize(
    "expression", ["", " ", "* * * *", "nonsense", "@fortnightly", "0 0 30 2 *"]
)
def test_what_is_no_expression(expression: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys, expression).strip()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "EXPRESSION"),
        ("@daily --timezone Mars/Olympus", "--timezone: timezone "),
        ("@daily --from yesterday", "--from must be a datetime or an ISO-8601 string"),
        ("@daily --count 0", "--count: must be a whole number from 1 to 100,000, not '0'"),
        ("@daily --dialect java", "--dialect: invalid choice: 'java'"),
        ("@daily --dst always", "--dst: invalid choice: 'always'"),
        ("@daily --counts 5", "unrecognized arguments: --counts 5"),
    ],
)
def test_wrong_arguments_are_named(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refusal(capsys, *words.split())


def test_a_step_beyond_its_field_is_noted_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["next", "*/90 * * * *", "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["times"]
    (line,) = output.err.splitlines()
    assert line.startswith("note: cron_expression '*/90 * * * *': minute field")


def test_an_expression_without_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    quoted = times(capsys, "0 9 * * MON-FRI", "--from", "2025-01-01", "--count", "3")
    words, options = ["0", "9", "*", "*", "MON-FRI"], ["--from", "2025-01-01", "--count", "3"]
    assert times(capsys, *words, *options) == times(capsys, *options, *words) == quoted
    assert len(times(capsys, "@every", "90s", "--count", "2")) == 2


def test_an_expression_that_the_shell_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    said = refusal(capsys, "0", "9", "notes.txt", "notes.txt", "notes.txt")
    assert "'notes.txt' is a file: put the expression in quotes" in said
    assert "quotes" not in refusal(capsys, "0", "9", "x" * 5000, "*", "*")
    assert "quotes" not in refusal(capsys, "notes.txt")


@pytest.mark.parametrize("width", [10, 40, 60])
def test_in_a_narrow_window_nothing_is_cut_off(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("0 9 * * *", "--from", "2025-01-01T12:00Z", "--timezone", "UTC")
    wide = printed(capsys, *words).replace(",", "").split()
    monkeypatch.setenv("COLUMNS", str(width))
    narrow = printed(capsys, *words).replace(",", "").split()
    assert set(wide) <= set(narrow)


# --- its parts ------------------------------------------------------------------------------------


def test_pointing() -> None:
    error = InvalidCronError("\t0 x\n", "hour", 3, "'x' is no number")
    assert pointed_out(error).splitlines() == [
        "hour field, column 4: 'x' is no number",
        "     0 x ",
        "       ^",
    ]
    error = InvalidCronError("* *", None, 3, "too short")
    assert pointed_out(error).splitlines() == ["column 4: too short", "    * *", "       ^"]


def test_pointing_into_a_long_expression() -> None:
    error = InvalidCronError("0," * 5_000 + "x" + ",0" * 5_000, "minute", 10_000, "no number")
    _, shown, caret = pointed_out(error).splitlines()
    assert len(shown) == 4 + 80
    assert shown[caret.index("^")] == "x"


def test_a_change_of_the_offset_before_the_first_time_is_marked() -> None:
    start = datetime(2025, 3, 29, 12, tzinfo=PARIS)
    _, row = table([datetime(2025, 3, 31, tzinfo=PARIS)], start)
    assert row.endswith("<- the offset was +01:00")
    _, row = table([datetime(2025, 3, 30, tzinfo=PARIS)], start)
    assert "<-" not in row


def test_a_time_that_comes_twice() -> None:
    moments = [datetime(2025, 10, 26, 2, 30, tzinfo=PARIS, fold=fold) for fold in (0, 1)]
    rows = table(moments, datetime(2025, 10, 26, tzinfo=PARIS))
    assert rows[1:] == [
        "1  Sun 2025-10-26 02:30:00 +02:00  2025-10-26 00:30:00  2 h 30 min",
        "2  Sun 2025-10-26 02:30:00 +01:00  2025-10-26 01:30:00  3 h 30 min"
        "  <- the offset was +02:00",
    ]


def test_utc_is_no_change() -> None:
    rows = table([datetime(2025, 1, 1, tzinfo=UTC)], datetime(2024, 12, 31, tzinfo=PARIS))
    assert not any("<-" in row for row in rows)


def test_no_times_are_no_table() -> None:
    assert table([], datetime(2025, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(milliseconds=500), "0.5 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(seconds=60), "1 min"),
        (timedelta(seconds=61.9), "1 min 1 s"),
        (timedelta(minutes=60), "1 h"),
        (timedelta(minutes=61, seconds=1), "1 h 1 min"),
        (timedelta(days=1, minutes=1), "1 d"),
        (timedelta(days=3, hours=13, minutes=59), "3 d 13 h"),
        (timedelta(days=36_525), "36,525 d"),
    ],
)
def test_spans_in_words(span: timedelta, words: str) -> None:
    assert rough_span(span) == words


def test_moments_in_words() -> None:
    local_mean = timezone(timedelta(minutes=9, seconds=21))
    moment = datetime(1900, 1, 1, 9, 0, 0, 500_000, tzinfo=local_mean)
    assert wall_time(moment, precision="milliseconds") == "Mon 1900-01-01 09:00:00.500 +00:09:21"
    assert utc(moment) == "1900-01-01 08:50:39"
    assert offset(moment.replace(tzinfo=UTC)) == "+00:00"
    assert [
        precision_of([moment.replace(tzinfo=UTC, second=second, microsecond=microsecond)])
        for second, microsecond in ((0, 0), (1, 0), (0, 1))
    ] == ["seconds", "seconds", "milliseconds"]
    assert precision_of([moment.replace(microsecond=0)], coarsest="minutes") == "minutes"


def test_columns() -> None:
    assert columns([["a", "1"], ["bcd", "20"]], right={1}) == ["a     1", "bcd  20"]
    assert columns([["a", ""], ["bcd", ""]]) == ["a", "bcd"]
    assert columns([]) == []


def test_bars() -> None:
    assert bar(1, ascii_only=False) == "█" * BAR_WIDTH
    assert bar(1e-9, ascii_only=False) == "▏"
    assert bar(1e-9, ascii_only=True) == "#"
    assert bar(0, ascii_only=False) == bar(0, ascii_only=True) == ""

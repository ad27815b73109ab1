"""`forecast`: what a file of schedules will run, told without running it."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler.cli import EXIT_CANNOT_RUN, main
from num_agents.scheduler.cli import forecast as command
from num_agents.scheduler.forecast import LONGEST_S

if TYPE_CHECKING:
    from pathlib import Path

JOBS = """\
# two that meet each hour, and one that is alone
0 * * * *    hourly --all %d
*/20 * * * * thrice
30 9 * * *   daily
"""

DAY = ("--timezone", "UTC", "--from", "2024-12-31T23:59:59")


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.cron"
    path.write_text(JOBS)
    return path


def printed(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run `forecast`, which must end well, and return what it prints."""
    assert main(["forecast", *map(str, words)]) == 0
    output = capsys.readouterr()
    assert not output.err
    return output.out


def report(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed(capsys, *words, "--json"))
    return found


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run a command that must be refused, and return what it says."""
    try:
        code: object = main(["forecast", *map(str, words)])
    except SystemExit as leaving:
        code = leaving.code
    assert code == EXIT_CANNOT_RUN
    output = capsys.readouterr()
    assert not output.out
    return output.err


def busiest(found: dict[str, Any]) -> list[tuple[str, int, list[str] | None]]:
    return [
        (
            one["second"],
            one["runs"],
            None if one["entries"] is None else [each["name"] for each in one["entries"]],
        )
        for one in found["busiest"]
    ]


# --- what is found --------------------------------------------------------------------------------


def test_a_day(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, jobs, *DAY, "--busiest", 3)
    assert found["title"] == "jobs.cron"
    assert (found["start"], found["end"]) == (
        "2024-12-31T23:59:59+00:00",
        "2025-01-01T23:59:59+00:00",
    )
    assert (found["schedules"], found["total"], found["collisions"]) == (3, 24 + 72 + 1, 24)
    assert [runs for _, runs in found["buckets"]] == [4] * 9 + [5] + [4] * 14
    assert found["buckets"][1][0] == "2025-01-01T00:59:59+00:00"
    assert busiest(found) == [
        (f"2025-01-01T0{hour}:00:00+00:00", 2, ["hourly --all %d", "thrice"]) for hour in range(3)
    ]
    assert [each["line"] for each in found["busiest"][0]["entries"]] == [2, 3]


def test_as_text(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (jobs, *DAY, "--horizon", "90m", "--bucket", "30m", "--busiest", 3)
    assert printed(capsys, *words).splitlines() == [
        "jobs.cron: 3 schedules, 7 runs",
        "from Tue 2024-12-31 23:59:59 +00:00 to Wed 2025-01-01 01:29:59 +00:00",
        "",
        "Tue 2024-12-31 23:59:59 +00:00  3  " + "█" * 40,
        "Wed 2025-01-01 00:29:59 +00:00  1  " + "█" * 13 + "▍",
        "Wed 2025-01-01 00:59:59 +00:00  3  " + "█" * 40,
        "",
        "busiest seconds                 runs  of",
        "Wed 2025-01-01 00:00:00 +00:00     2  hourly --all %d, thrice",
        "Wed 2025-01-01 01:00:00 +00:00     2  hourly --all %d, thrice",
        "Wed 2025-01-01 00:20:00 +00:00     1  thrice",
        "",
        "2 seconds with more than one run",
    ]


def test_without_the_busiest(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, jobs, *DAY, "--busiest", 0).splitlines()
    assert not any("busiest" in line or "thrice" in line for line in lines)
    assert lines[-1] == "24 seconds with more than one run"


def test_nothing_in_the_time_asked_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "jobs"
    path.write_text("0 12 * * * noon\n")
    words = (path, *DAY, "--horizon", "2h")
    assert printed(capsys, *words).splitlines() == [
        "jobs: 1 schedule, 0 runs",
        "from Tue 2024-12-31 23:59:59 +00:00 to Wed 2025-01-01 01:59:59 +00:00",
        "",
        "Tue 2024-12-31 23:59:59 +00:00  0",
        "Wed 2025-01-01 00:59:59 +00:00  0",
        "",
        "0 seconds with more than one run",
    ]


def test_names_are_short_and_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "jobs"
    path.write_text("".join(f"@daily {letter * 50}\n" for letter in "abcdef"))
    line = next(line for line in printed(capsys, path, *DAY).splitlines() if "aaa" in line)
    names = ", ".join(letter * 27 + "..." for letter in "abcd")
    assert line == f"Wed 2025-01-01 00:00:00 +00:00     6  {names} and 2 more"


def test_names_do_not_move_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "jobs"
    path.write_text("0 0 * * *  root\tred \x1b[31m\x07 \u202e end\n")
    shown = printed(capsys, path, *DAY)
    assert "root red  [31m    end" in shown
    assert shown.replace("\n", "").isprintable()


def test_a_step_beyond_its_field_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "jobs"
    path.write_text("*/90 * * * * one\n*/90 * * * * two\n0 9 * * * three\n")
    assert main(["forecast", str(path), *DAY, "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["schedules"] == 3
    (line,) = output.err.splitlines()
    assert line.startswith("note: cron_expression '*/90 * * * *': minute field")


def test_one_that_runs_several_times_in_a_second(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text('[[schedule]]\nname = "fast"\ninterval = "250ms"\nfirst_run = "aligned"\n')
    words = (path, "--timezone", "UTC", "--from", "2025-01-01", "--horizon", "3s", "--bucket", "1s")
    assert "     4  fast x4" in printed(capsys, *words)


def test_many_runs_are_not_asked_for_their_names(
    jobs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "RUNS_WITH_NAMES_MAX", 96)
    found = report(capsys, jobs, *DAY, "--busiest", 1)
    assert busiest(found) == [("2025-01-01T00:00:00+00:00", 2, None)]
    assert "(too many runs to tell whose)" in printed(capsys, jobs, *DAY)


def test_in_a_zone_with_daylight_saving(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "jobs"
    path.write_text("*/30 * * * * a\nCRON_TZ=UTC\n0 1 * * * b\n")
    words = ("--timezone", "Europe/Paris", "--from", "2025-10-26T01:59", "--horizon", "3h")
    found = report(capsys, path, *words, "--busiest", 1)
    assert [moment for moment, _ in found["buckets"]] == [
        "2025-10-26T01:59:00+02:00",
        "2025-10-26T02:59:00+02:00",
        "2025-10-26T02:59:00+01:00",
    ]
    assert [runs for _, runs in found["buckets"]] == [2, 3, 2]
    assert busiest(found) == [("2025-10-26T02:00:00+01:00", 2, ["a", "b"])]
    assert found["end"] == "2025-10-26T03:59:00+01:00"


def test_jitter_moves_runs_and_their_names_with_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whose a run is comes from the engine, which alone knows where jitter has put it."""
    path = tmp_path / "jobs.toml"
    path.write_text(
        "".join(f'[[schedule]]\nname = "{n}"\ncron = "0 * * * *"\njitter = 5\n' for n in range(20))
    )
    found = report(capsys, path, *DAY, "--horizon", "1h", "--busiest", 100)
    assert found["total"] == sum(runs for _, runs, _ in busiest(found)) == 20
    assert len(busiest(found)) > 1
    for _, runs, names in busiest(found):
        assert names is not None
        assert len(names) == runs
    assert report(capsys, path, *DAY, "--horizon", "1h", "--busiest", 100) == found


# --- what it reads --------------------------------------------------------------------------------


def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(JOBS))
    assert printed(capsys, "-", *DAY).startswith("standard input: 3 schedules, 97 runs\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("* * *\n"))
    assert refusal(capsys, "-").startswith("<stdin>:1: ")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert refusal(capsys, "-") == "<stdin>: there is no schedule in it\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), encoding="utf-8"))
    assert refusal(capsys, "-") == "<stdin>: not UTF-8: invalid start byte\n"


def test_the_form_of_the_system(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "jobs"
    path.write_text("@daily root tidy\n")
    for option, name in (("--system", "tidy"), ("--user", "root tidy")):
        found = report(capsys, path, *DAY, option)
        assert [names for _, _, names in busiest(found)] == [[name]]


def test_every_wrong_line_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a scheduler was made")

    monkeypatch.setattr(command, "Scheduler", refuse)
    path = tmp_path / "jobs"
    path.write_text("@daily a\n0 60 * * * b\n@reboot c\n")
    lines = refusal(capsys, path).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"{path}:2", f"{path}:3"]
    assert lines[0].startswith(f"{path}:2: hour field, column 3: ")


def test_one_that_never_runs_any_more_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(
        '[[schedule]]\nname = "a"\ninterval = 1\nend_after = 2020-01-01T00:00:00Z\n'
        '[[schedule]]\nname = "b"\ninterval = 1\n'
    )
    (line,) = refusal(capsys, path, *DAY, "--strict").splitlines()
    assert line.startswith(f"{path}:1: ")


def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing"
    assert refusal(capsys, missing).startswith(f"{missing}: No such file")
    assert refusal(capsys, tmp_path).startswith(f"{tmp_path}: ")
    empty = tmp_path / "empty"
    empty.write_text("# nothing\n")
    assert refusal(capsys, empty) == f"{empty}: there is no schedule in it\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--horizon 0s", "--horizon: must be whole seconds, from 1 s to 366 days, not '0s'"),
        ("--horizon 400d", "--horizon: must be whole seconds, from 1 s to 366 days, not '400d'"),
        ("--horizon 1500ms", "--horizon: must be whole seconds, from 1 s to 366 days, not '1500"),
        ("--horizon nan", "--horizon: must be whole seconds, from 1 s to 366 days, not 'nan'"),
        ("--horizon 1e999", "--horizon: must be whole seconds, from 1 s to 366 days, not '1e999'"),
        ("--horizon 1d1", "--horizon: the duration must be numbers with units "),
        ("--horizon 1h-", "or a plain number of seconds"),
        ("--bucket 367d", "--bucket: must be whole seconds, from 1 s to 366 days, not '367d'"),
        ("--bucket 1us", "--bucket: must be whole seconds, from 1 s to 366 days, not '1us'"),
        ("--bucket 1s", "--bucket: more than 10,000 bars; give a longer one"),
        ("--busiest -1", "--busiest: "),
        ("--timezone Mars", "--timezone: timezone "),
        ("--from then", "--from must be a datetime or an ISO-8601 string"),
        ("--from 1066-10-14Z", "--from must be a datetime or an ISO-8601 string"),
        ("--from 1066-10-14", "--from: start must lie between 1970 and 2500, got 1066-10-14T00:00"),
        ("--from 1969-12-31T23:00Z", "and 2500, got 1969-12-31T23:00:00"),
        ("--system --user", "--user: not allowed with argument --system"),
    ],
)
def test_wrong_arguments_are_named(
    words: str, said: str, jobs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = refusal(capsys, jobs, *words.split()).splitlines()
    assert said in line


def test_the_longest_forecast_is_that_of_the_library(
    jobs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*DAY, "--horizon", f"{LONGEST_S // 86_400}d", "--bucket", str(LONGEST_S))
    found = report(capsys, jobs, *words, "--busiest", 0)
    assert [runs for _, runs in found["buckets"]] == [97 * 366]


def test_a_plain_number_is_seconds(jobs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, jobs, *DAY, "--horizon", "2", "--bucket", "1e0")
    assert [runs for _, runs in found["buckets"]] == [0, 2]


# --- its first and its last moment ----------------------------------------------------------------

MIDNIGHT = ("--timezone", "UTC", "--from", "2025-01-01")


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        ("0 0 * * * midnight", 1),
        ("* * * * * minutely", 1440),
        ("@hourly hourly", 24),
        ("@every 1h later", 23),
    ],
)
def test_what_runs_at_its_start_is_in_it(
    line: str, runs: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "jobs"
    path.write_text(line + "\n")
    found = report(capsys, path, *MIDNIGHT)
    assert found["total"] == sum(runs for _, runs in found["buckets"]) == runs
    first = found["busiest"][0]
    assert sum(each["runs"] for each in first["entries"]) == first["runs"] == 1


@pytest.mark.parametrize(
    ("schedule", "runs"),
    [
        ('cron = "0 0 * * *"', 1),
        ('cron = "0 0 * * *"\nstart_after = 2020-01-01T00:00:00Z', 1),
        ('cron = "0 0 * * *"\nstart_after = 2025-01-01T00:00:00Z', 1),
        ('cron = "0 0 * * *"\nstart_after = 2025-01-01T00:00:01Z', 0),
        ('cron = "0 0 * * *"\njitter = 5', 1),
        ('interval = "1h"', 24),
        ('interval = "1h"\nfirst_run = "aligned"', 24),
        ('interval = "1h"\nfirst_run = "after_interval"', 23),
        ("run_at = 2025-01-01T00:00:00Z", 1),
        ("run_at = 2025-01-02T00:00:00Z", 0),
    ],
)
def test_what_a_list_has_at_its_start_is_in_it(
    schedule: str, runs: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(f'[[schedule]]\nname = "a"\n{schedule}\n')
    found = report(capsys, path, *MIDNIGHT)
    assert found["total"] == runs
    assert sum(sum(each["runs"] for each in one["entries"]) for one in found["busiest"]) == min(
        runs, 10
    )


def test_days_that_follow_each_other_are_the_days_together(
    jobs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--timezone", "UTC", "--from")
    days = [report(capsys, jobs, *words, f"2025-01-0{day}")["total"] for day in range(1, 8)]
    assert days == [97] * 7
    assert report(capsys, jobs, *words, "2025-01-01", "--horizon", "7d")["total"] == 97 * 7


# --- how it shows ---------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_in_a_narrow_window_only_the_bars_shrink(
    width: int, jobs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = printed(capsys, jobs, *MIDNIGHT).splitlines()
    words = [word for word in " ".join(lines).split() if word.strip("█▏▎▍▌▋▊▉")]
    first = words.index("00:00")
    assert words[first + 2 : first + 2 + 24 * 5 : 5] == ["4"] * 9 + ["5"] + ["4"] * 14
    assert not any("…" in line for line in lines)
    assert max(line.count("█") for line in lines) == max(min(width - 32, 40), 0)


def test_in_a_pipe_without_unicode(
    jobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    path = tmp_path / "printed"
    with path.open("w", encoding="ascii") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert main(["forecast", str(jobs), *DAY]) == 0
    assert "#" * 40 in path.read_text(encoding="ascii")


def test_a_plot(jobs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    plot = tmp_path / "x.svg"
    printed(capsys, jobs, *DAY, "--plot", plot)
    assert "jobs.cron: 3 schedules, 97 runs" in plot.read_text(encoding="utf-8")


def test_a_plot_that_cannot_be_written_is_refused_first(
    jobs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    assert refusal(capsys, jobs, "--plot", tmp_path / "x.doc").startswith(f"{tmp_path / 'x.doc'}: ")


def test_without_matplotlib_the_extra_is_named(
    jobs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in [*sys.modules]:
        if module.startswith(("matplotlib", "num_agents.scheduler.cli.plot")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = refusal(capsys, jobs, "--plot", "x.svg")
    assert said == "matplotlib is not installed: pip install 'num-agents-scheduler[plot]'\n"

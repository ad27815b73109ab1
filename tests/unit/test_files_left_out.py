"""Lines of schedule files that are understood and have no time to come: left out, and reported."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

from num_agents.scheduler import ScheduleWarning
from num_agents.scheduler.cli import main
from num_agents.scheduler.errors import ScheduleFileError
from num_agents.scheduler.files import parse_schedules, read_schedules

if TYPE_CHECKING:
    from pathlib import Path

CRONTAB = "@reboot warm-up\n@daily clean\n0 0 31 2 * never\n0 9 * * * report\n"
TOML = """
[[schedule]]
name = "off"
cron = "0 0 30 2 *"

[[schedule]]
name = "on"
cron = "@daily"

[[schedule]]
name = "hidden"
cron = "0 9 * * *"
exclude = {hours = [9]}
"""


def test_a_crontab_is_usable_without_them() -> None:
    with pytest.warns(ScheduleWarning, match="left out") as caught:
        entries = parse_schedules(CRONTAB, file="jobs")
    assert [entry.name for entry in entries] == ["clean", "report"]
    assert [line for line, _ in entries.left_out] == [1, 3]
    assert "jobs:1: @reboot names no time" in str(caught[0].message)
    assert "jobs:3: day-of-month field, column 5: no such day ever comes" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_so_is_a_list() -> None:
    with pytest.warns(ScheduleWarning):
        entries = parse_schedules(TOML, file="jobs.toml")
    assert [entry.name for entry in entries] == ["on"]
    assert [line for line, _ in entries.left_out] == [4, 10]


@pytest.mark.parametrize(("text", "file"), [(CRONTAB, "jobs"), (TOML, "jobs.toml")])
def test_they_are_refused_if_strict(text: str, file: str, tmp_path: Path) -> None:
    with pytest.raises(ScheduleFileError) as caught:
        parse_schedules(text, file=file, strict=True)
    assert len(caught.value.faults) == 2
    path = tmp_path / file
    path.write_text(text)
    with pytest.raises(ScheduleFileError):
        read_schedules(path, strict=True)


def test_a_wrong_line_refuses_the_file_and_names_all() -> None:
    with pytest.raises(ScheduleFileError) as caught:
        parse_schedules("@reboot a\n0 0 * * MO-FR b\n")
    assert [line for line, _ in caught.value.faults] == [1, 2]
    assert "names have three letters, write MON-FRI" in str(caught.value)


def test_nothing_left_out_is_nothing_said() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        entries = parse_schedules("@daily clean\n")
    assert entries.left_out == []


@pytest.mark.parametrize(("count", "end"), [(20, ""), (21, "and 1 more wrong line")])
def test_after_twenty_faults_the_rest_is_counted(count: int, end: str) -> None:
    with pytest.raises(ScheduleFileError) as caught:
        parse_schedules("0 60 * * * a\n" * count, file="jobs")
    lines = str(caught.value).split("\n")
    assert len(caught.value.faults) == count
    assert lines[19].startswith("jobs:20: ")
    assert lines[20:] == ([f"jobs: {end}"] if end else [])


def test_the_command_line_leaves_them_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crontab = tmp_path / "jobs"
    crontab.write_text(CRONTAB)
    assert main(["forecast", str(crontab), "--from", "2026-03-01T12:00"]) == 0
    out, error = capsys.readouterr()
    assert "clean" in out
    assert f"{crontab}:1: @reboot names no time" in error
    assert f"{crontab}:3: " in error
    assert main(["forecast", str(crontab), "--strict"]) == 2
    assert f"{crontab}:1: " in capsys.readouterr().err


def test_the_command_line_leaves_out_what_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = tmp_path / "jobs.toml"
    over = '[[schedule]]\nname = "over"\ninterval = 60\nend_after = 2020-01-01\n'
    over = over.replace("2020-01-01", '"2020-01-01"')
    jobs.write_text(f'{over}[[schedule]]\nname = "on"\ncron = "@daily"\n')
    assert main(["forecast", str(jobs), "--from", "2026-03-01"]) == 0
    out, error = capsys.readouterr()
    assert "on" in out
    assert f"{jobs}:1: end_after comes before the first run" in error
    assert main(["forecast", str(jobs), "--from", "2026-03-01", "--strict"]) == 2
    jobs.write_text(over)
    assert main(["forecast", str(jobs), "--from", "2026-03-01"]) == 2

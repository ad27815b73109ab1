"""The command line: what it refuses and how it says so, what it reads, and small real runs."""

from __future__ import annotations

import argparse
import errno
import io
import itertools
import json
import math
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from num_agents.scheduler.cli import (
    COMMANDS,
    EXIT_CANNOT_RUN,
    EXIT_INTERRUPTED,
    EXIT_PIPE_CLOSED,
    main,
    watch,
)
from num_agents.scheduler.cli.arguments import count, number
from num_agents.scheduler.cli.errors import import_with_extra
from num_agents.scheduler.cli.progress import JsonView
from num_agents.scheduler.cli.trace import LINE_BYTES_MAX, read_trace
from num_agents.scheduler.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def exit_code(*words: str) -> object:
    """Run the command line, and return the code that the process would end with."""
    try:
        return main(words)
    except SystemExit as leaving:
        return leaving.code


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that must be refused, and return what it says."""
    assert exit_code(*words) == EXIT_CANNOT_RUN
    printed = capsys.readouterr()
    assert not printed.out
    return printed.err


@pytest.fixture
def no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make any scheduling an error."""

    def refuse(**options: object) -> None:
        raise AssertionError("a scheduler was made")

    monkeypatch.setattr("num_agents.scheduler.cli.replay.Scheduler", refuse)
    monkeypatch.setattr("num_agents.scheduler.cli.demo.Scheduler", refuse)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("demo --tasks 0", "--tasks: must be a whole number from 1 to 100,000,000, not '0'"),
        ("demo --tasks 1e9", "--tasks: must be a whole number"),
        ("demo --tasks 1.5e0", "--tasks: must be a whole number"),
        ("demo --tasks 1e999", "--tasks: must be a whole number"),
        ("demo --tasks 1,00", "--tasks: must be a whole number"),
        ("demo --tasks nan", "--tasks: must be a whole number"),
        ("bench --tasks 0", "--tasks: must be a whole number from 1 to 100,000,000, not '0'"),
        ("bench --rounds x", "--rounds: must be a whole number"),
        ("bench --peers x", "--peers: unknown: x (known: "),
        ("demo --seconds 0", "--seconds: must be a finite number above 0"),
        ("demo --seconds inf", "--seconds: must be a finite number above 0"),
        ("demo --cancel 1.1", "--cancel: must be a finite number at least 0 and at most 1"),
        ("demo --cancel -0.1", "--cancel"),
        ("demo --seed x", "--seed: must be a whole number"),
        ("replay", "FILE.csv"),
        ("replay x --speed 0", "--speed: must be a finite number above 0, not '0'"),
        ("replay x --speed -1", "--speed: must be a finite number above 0, not '-1'"),
        ("replay x --speed nan", "--speed: must be a finite number above 0, not 'nan'"),
        ("replay x --speed inf", "--speed: must be a finite number above 0, not 'inf'"),
        ("replay x --speed fast", "--speed: must be a finite number above 0, not 'fast'"),
        ("replay x --work hard", "--work"),
        ("replay x --max-workers 0", "--max-workers: must be a whole number"),
        ("", "name a command: demo, replay, bench"),
        ("nonsense", "nonsense"),
        ("--nonsense", "--nonsense"),
    ],
)
@pytest.mark.usefixtures("no_scheduler")
def test_wrong_arguments_are_named(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = refusal(capsys, *words.split()).splitlines()
    assert said in line


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version") == 0
    assert capsys.readouterr().out.startswith("num-agents-scheduler ")


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0
    printed = capsys.readouterr().out
    assert all(f"    {name} " in printed for name in COMMANDS)


def test_number_says_its_bounds() -> None:
    parse = number(at_least=0, at_most=1)
    assert [parse("0"), parse("1"), parse("0.5")] == [0, 1, 0.5]
    with pytest.raises(argparse.ArgumentTypeError, match="a finite number at least 0 and at most"):
        parse("1.0001")
    with pytest.raises(argparse.ArgumentTypeError, match="must be a finite number, not 'nan'"):
        number()("nan")


@pytest.mark.parametrize("text", ["1000000", "1_000_000", "1,000,000", "1e6", "1E+6", "0.1e7"])
def test_count_takes_numbers_as_people_write_them(text: str) -> None:
    assert count(at_least=1, at_most=10**7)(text) == 1_000_000


def test_count_takes_both_bounds() -> None:
    parse = count(at_least=1, at_most=3)
    assert [parse("1"), parse("3")] == [1, 3]
    for text in ("0", "4", "2.0", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="from 1 to 3"):
            parse(text)


# --- traces ---------------------------------------------------------------------------------------


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "trace.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_trace_is_read_in_the_order_of_its_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "# source: nowhere\narrival_s,size\n2.5,7\n\n# half way\n 0 ,\n1e1\n")
    trace = read_trace(path, weights=True)
    assert list(trace.arrivals_s) == [2.5, 0, 10]
    assert len(trace) == 3
    assert trace.weights[0] == 7
    assert all(math.isnan(weight) for weight in trace.weights[1:])


@pytest.mark.parametrize(
    "content",
    [
        "1,2\n3,4",
        "1,2\r\n3,4\r\n",
        "\ufeff1,2\n3,4\n",
        "\ufeff# x\n1\n3\n",
        '"1","a"\n"3"\n',
        "1,x\n3",
    ],
)
def test_forms_of_a_trace(tmp_path: Path, content: str) -> None:
    trace = read_trace(write(tmp_path, content))
    assert list(trace.arrivals_s) == [1, 3]
    assert not trace.weights


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b"", 1, "the file is empty"),
        (b"\n", 1, "no rows"),
        (b"# only\n# comments\n", 2, "no rows"),
        (b"arrival_s\n", 1, "no rows"),
        (b"arrival_s\narrival_s\n1\n", 2, "arrival is not a number: 'arrival_s'"),
        (b"1\narrival_s\n", 2, "arrival is not a number: 'arrival_s'"),
        (b"# c\n\n1\nx\n", 4, "arrival is not a number: 'x'"),
        (b"1.2.3\n", 1, "arrival is not a number: '1.2.3'"),
        (b"1_0\n", 1, "arrival is not a number: '1_0'"),
        (b",1\n", 1, "arrival is not a number: ''"),
        (b"1\n;\n", 2, "arrival is not a number: ';'"),
        (b"nan\n", 1, "arrival is not finite: 'nan'"),
        (b"1\ninf\n", 2, "arrival is not finite: 'inf'"),
        (b"1\n1e999\n", 2, "arrival is not finite: '1e999'"),
        (b"1\n-0.5\n", 2, "arrival is negative: '-0.5'"),
        (b"1\n\xff\xfe\n", 2, "not UTF-8: invalid start byte"),
        (b"1\n\x00\n", 2, "arrival is not a number: '\\x00'"),
        (b'1\n"2\n', 2, "unexpected end of data"),
        (b"1\n" + b"2" * (LINE_BYTES_MAX + 1), 2, "longer than 65,536 bytes"),
    ],
)
@pytest.mark.usefixtures("no_scheduler")
def test_a_malformed_trace_names_its_line(
    tmp_path: Path, content: bytes, line: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, content)
    assert refusal(capsys, "replay", str(path), "--json") == f"{path}:{line}: {reason}\n"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,x", "second column is not a number: 'x'"),
        ("1,nan", "second column is not finite: 'nan'"),
        ("1,-3", "second column is negative: '-3'"),
    ],
)
@pytest.mark.usefixtures("no_scheduler")
def test_the_second_column_matters_only_to_sleepers(
    tmp_path: Path, row: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, f"a,b\n{row}\n")
    assert len(read_trace(path)) == 1
    said = refusal(capsys, "replay", str(path), "--work", "sleep", "--json")
    assert said == f"{path}:2: {reason}\n"


@pytest.mark.usefixtures("no_scheduler")
def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing.csv"
    assert refusal(capsys, "replay", str(missing)).startswith(f"{missing}: No such file")
    assert refusal(capsys, "replay", str(tmp_path)).startswith(f"{tmp_path}: ")


@pytest.mark.usefixtures("no_scheduler")
def test_a_replay_of_centuries_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "1\n")
    for speed in ("1e-10", "1e-320"):
        said = refusal(capsys, "replay", str(path), "--speed", speed, "--json")
        assert said.startswith(f"{path}: at speed ")
        assert said.endswith("at most 1e+09 s are possible\n")


# --- extras ---------------------------------------------------------------------------------------


@pytest.fixture
def no_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [*sys.modules]:
        if module.startswith("num_agents.scheduler.cli") and module.endswith("terminal"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "rich", None)


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("demo --tasks 10 --seconds 0.01", "every promise held"),
        ("replay {path}", "every promise held"),
        ("bench --quick --peers asyncio --workloads schedule", "Schedule, one call a task"),
    ],
)
@pytest.mark.usefixtures("no_rich")
def test_without_rich_they_print_plainly(
    words: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "0\n")
    assert exit_code(*words.format(path=path).split()) == 0
    printed = capsys.readouterr()
    assert said in printed.out
    assert " 1" in printed.err


@pytest.mark.usefixtures("no_scheduler")
def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in [*sys.modules]:
        if module.startswith(("matplotlib", "num_agents.scheduler.cli.plot")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    path = write(tmp_path, "0\n")
    said = refusal(capsys, "replay", str(path), "--plot", str(tmp_path / "x.svg"), "--json")
    assert said == "matplotlib is not installed: pip install 'num-agents-scheduler[plot]'\n"


def test_a_missing_module_that_is_no_extra_is_not_hidden() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        import_with_extra("num_agents.scheduler.cli.no_such_module", package="rich", extra="cli")


@pytest.mark.parametrize("name", ["missing/x.svg", "x.doc", "x", "taken.svg"])
@pytest.mark.usefixtures("no_scheduler")
def test_a_plot_that_cannot_be_written_is_refused_first(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    path = write(tmp_path, "0\n")
    (tmp_path / "taken.svg").mkdir()
    before = sorted(tmp_path.iterdir())
    plot = tmp_path / name
    assert refusal(capsys, "replay", str(path), "--plot", str(plot), "--json").startswith(
        f"{plot}:"
    )
    assert sorted(tmp_path.iterdir()) == before


def test_checking_a_plot_leaves_nothing_and_spoils_nothing(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from num_agents.scheduler.cli import plot

    plot.check(tmp_path / "new.svg")
    assert not list(tmp_path.iterdir())
    old = tmp_path / "old.svg"
    old.write_text("kept")
    plot.check(old)
    assert old.read_text() == "kept"


# --- the whole ------------------------------------------------------------------------------------


def test_watching_ends_when_nothing_ends_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that the engine lost must not hold the command for ever."""
    second_ns = 1_000_000_000
    now_ns = itertools.count(0, second_ns)
    naps: list[float] = []
    monkeypatch.setattr(watch, "clock_ns", now_ns.__next__)
    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=naps.append))
    stuck = SimpleNamespace(completed=3, failed=0, pending=1, due=0, running=0)
    scheduler = SimpleNamespace(statistics=lambda: stuck)
    watch.watch(scheduler, JsonView(), last_due_ns=5 * second_ns)  # type: ignore[arg-type]
    assert len(naps) == 5 + watch.PATIENCE_S + 1


@pytest.mark.realtime
def test_a_small_demo(capsys: pytest.CaptureFixture[str]) -> None:
    words = "demo --tasks 2000 --seconds 0.2 --cancel 0.25 --seed 1 --json"
    assert main(words.split()) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["held"] is True
    assert printed["figures"]["cancelled_tasks"] == 500
    assert printed["figures"]["ran_tasks"] == 1_500
    assert printed["lateness"]["count"] == 1_500
    assert printed["promises"]["early"]["checked"] == "200 one by one"


@pytest.mark.realtime
@pytest.mark.parametrize("words", ["--tasks 1", "--tasks 1 --cancel 1", "--tasks 15 --cancel 1"])
def test_the_smallest_demos(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--seconds", "0.01", "--json", *words.split()]) == 0
    assert json.loads(capsys.readouterr().out)["held"] is True


@pytest.mark.realtime
@pytest.mark.parametrize("options", ["", "--max-workers 1", "--work sleep"])
def test_a_small_replay(options: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Unsorted, with ties, and one that is due at the very start.
    rows = [*(f"{task % 7 / 7},{task}" for task in range(200)), "0"]
    path = write(tmp_path, "arrival_s,size\n" + "\n".join(rows))
    words = ["replay", str(path), "--speed", "5", "--json", *options.split()]
    assert main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["held"] is True
    assert printed["figures"]["ran_tasks"] == 201
    assert printed["lateness_in_callbacks"]["count"] == 201
    assert ("out_of_order" in printed["promises"]) == ("1" in options)


@pytest.mark.realtime
@pytest.mark.parametrize("options", ["", "--max-workers 1", "--work sleep"])
def test_a_small_replay_with_options(
    options: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given: list[dict[str, Any]] = []

    class Noting(Scheduler):
        def schedule(self, *words: Any, **words_by_name: Any) -> Any:
            given.append(words_by_name)
            return super().schedule(*words, **words_by_name)

    monkeypatch.setattr("num_agents.scheduler.cli.replay.Scheduler", Noting)
    path = write(tmp_path, "\n".join(f"{task % 7 / 7},{task}" for task in range(200)))
    words = ["replay", str(path), "--speed", "5", "--json", "--options", *options.split()]
    assert main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["held"] is True
    assert printed["figures"]["ran_tasks"] == 200
    assert printed["figures"]["engine_memory_bytes_per_task"] > 0
    assert "out_of_order" not in printed["promises"]
    assert [one["kwargs"]["row"] for one in given] == list(range(200))
    assert all(one["tags"] for one in given)


@pytest.mark.realtime
def test_a_small_replay_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    path = write(tmp_path, "0\n0.1\n0.2\n")
    plot = tmp_path / "x.svg"
    assert main(["replay", str(path), "--speed", "10", "--json", "--plot", str(plot)]) == 0
    assert "arrivals per second" in plot.read_text(encoding="utf-8")


class LosesOneOfMany(Scheduler):
    def schedule(self, *words: Any, **options: Any) -> Any:
        if options["kwargs"]["row"] == 1:
            return ""
        return super().schedule(*words, **options)


class RunsTwice(Scheduler):
    def schedule_many(self, *words: Any, **options: Any) -> Any:
        name, callback = words

        def run_twice(*arguments: object) -> None:
            callback(*arguments)
            callback(*arguments)

        return super().schedule_many(name, run_twice, **options)


class LosesOne(Scheduler):
    def schedule_many(self, *words: Any, **options: Any) -> Any:
        name, callback = words
        runs = itertools.count()

        def run_but_the_first(*arguments: object) -> None:
            if next(runs):
                callback(*arguments)

        return super().schedule_many(name, run_but_the_first, **options)


class RunsEarly(Scheduler):
    def schedule_many(self, *words: Any, **options: Any) -> Any:
        options["delays"] = [max(delay - 0.05, 0) for delay in options["delays"]]
        return super().schedule_many(*words, **options)


class CancelsNothing(Scheduler):
    def cancel_many(self, task_ids: Iterable[str]) -> int:
        return len(list(task_ids))


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("scheduler", "broken"),
    [
        (RunsTwice, {"twice", "miscounted"}),
        (LosesOne, {"lost", "miscounted"}),
        (RunsEarly, {"early"}),
        (CancelsNothing, {"twice", "ran_though_cancelled"}),
    ],
)
def test_a_demo_finds_a_broken_scheduler_out(
    scheduler: type[Scheduler],
    broken: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("num_agents.scheduler.cli.demo.Scheduler", scheduler)
    assert main(["demo", "--tasks", "1000", "--seconds", "0.05", "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert {name for name, promise in printed["promises"].items() if promise["broken"]} == broken


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("scheduler", "broken"),
    [
        (RunsTwice, {"twice", "miscounted"}),
        (LosesOne, {"lost", "miscounted"}),
        (RunsEarly, {"early"}),
    ],
)
def test_a_replay_finds_a_broken_scheduler_out(
    scheduler: type[Scheduler],
    broken: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("num_agents.scheduler.cli.replay.Scheduler", scheduler)
    path = write(tmp_path, "0\n0.01\n0.02\n")
    assert main(["replay", str(path), "--speed", "1", "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert {name for name, promise in printed["promises"].items() if promise["broken"]} == broken


@pytest.mark.realtime
def test_a_replay_with_options_finds_a_lost_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("num_agents.scheduler.cli.replay.Scheduler", LosesOneOfMany)
    path = write(tmp_path, "0\n0.01\n0.02\n")
    assert main(["replay", str(path), "--speed", "1", "--json", "--options"]) == 1
    promises = json.loads(capsys.readouterr().out)["promises"]
    assert {name for name, promise in promises.items() if promise["broken"]} == {"lost"}


@pytest.mark.realtime
def test_a_key_interrupts_cleanly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(duration_s: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=interrupt))
    assert main(["demo", "--tasks", "100", "--seconds", "60", "--json"]) == EXIT_INTERRUPTED
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "interrupted\n")


# --- the output -----------------------------------------------------------------------------------


class Output(io.StringIO):
    """Standard output that cannot be written to, when it is flushed."""

    def __init__(self, error: int) -> None:
        super().__init__()
        self.error = error

    def flush(self) -> None:
        raise OSError(self.error, os.strerror(self.error))


@pytest.mark.parametrize("words", ["next @daily", "--help", "next --help", "--version"])
def test_a_full_disk_is_one_line(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Output(errno.ENOSPC))
    assert exit_code(*words.split()) == EXIT_CANNOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "num-agents-scheduler: cannot write the output: No space left on device"


def test_a_reader_that_leaves_is_no_broken_promise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Output(errno.EPIPE))
    assert exit_code("next", "@daily") == EXIT_PIPE_CLOSED
    assert not capsys.readouterr().err


def test_no_standard_output_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert exit_code("next", "@daily") == EXIT_CANNOT_RUN
    assert capsys.readouterr().err == "standard output is closed\n"


@pytest.mark.realtime
@pytest.mark.skipif(sys.platform == "win32", reason="a pipe there has no such error")
def test_the_head_of_a_demo() -> None:
    """rich ends a process whose pipe is closed with the code of a broken promise."""
    words = [sys.executable, "-m", "num_agents.scheduler", "demo", "--tasks=10", "--seconds=.01"]
    read, write_end = os.pipe()
    os.close(read)
    try:
        process = subprocess.run(words, stdout=write_end, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(write_end)
    assert process.returncode == EXIT_PIPE_CLOSED
    assert b"Error" not in process.stderr


def test_an_interrupt_while_a_command_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("num_agents.scheduler.cli.importlib.import_module", interrupt)
    assert exit_code("demo") == EXIT_INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself the signal there")
def test_an_interrupt_before_anything_is_imported() -> None:
    code = (
        "import os, signal, sys\n"
        # A background job of a shell ignores the signal.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'num_agents.scheduler.cli':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "from num_agents._program import main\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "sys.exit(main())\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (process.returncode, process.stderr) == (EXIT_INTERRUPTED, b"interrupted\n")


@pytest.mark.realtime
@pytest.mark.parametrize("command", ["demo --tasks 10 --seconds 0.01", "next @daily"])
def test_json_is_all_that_is_printed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(*command.split(), "--json") == 0
    printed = capsys.readouterr()
    assert isinstance(json.loads(printed.out), dict)
    assert not printed.err


@pytest.mark.realtime
def test_a_bench_as_json_and_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "folder" / "samples.json"
    words = "bench --quick --peers asyncio --workloads schedule --json"
    assert exit_code(*words.split(), "--save", str(path)) == 0
    printed = capsys.readouterr()
    assert printed.out == path.read_text(encoding="utf-8")
    assert len(json.loads(printed.out)["samples"]) == 1
    assert not printed.err


def test_a_bench_of_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("num_agents.scheduler.cli.bench.load", lambda peer: None)
    said = refusal(capsys, "bench", "--peers", "uvloop,asyncio")
    assert said == "not installed: asyncio, uvloop\n"


def test_a_bench_that_cannot_be_saved_is_refused_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "samples.json"):
        assert refusal(capsys, "bench", "--save", str(path)).startswith(f"{path}: ")

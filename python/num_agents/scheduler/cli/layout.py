"""The report of `demo` and `replay` for people, as lines of text. Needs nothing installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from num_agents.scheduler.cli.report import NS_PER_MS, Figure, Lateness, Report
from num_agents.scheduler.cli.text import chart, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    Style = Literal["", "bold", "bar", "good", "bad", "note"]


def report_lines(
    report: Report, *, width: int | None, ascii_only: bool
) -> Iterator[tuple[Style, str]]:
    """Lay a report out: figures, lateness and its histogram, promises, verdict.

    Args:
        report: The report.
        width: How many characters a line may have; None for any number.
        ascii_only: Draw with ASCII characters.

    Yields:
        The style and the text of each line.
    """
    yield "bold", f"{report.command}: {report.title}"
    figures = [[each.name, _value(each), each.unit, each.note] for each in report.figures]
    yield from _plain(table([""] * 4, figures, right={1}, width=width))
    yield "", ""
    yield "bold", "lateness, ms"
    yield from _plain(_lateness(report, width))
    yield "", ""
    for line in _histogram(report.lateness, width, ascii_only=ascii_only):
        yield "bar", line
    yield "", ""
    yield "bold", "promises"
    promises = [[each.name, f"{each.broken:,}", each.checked] for each in report.promises]
    header = ["must be 0", "found", "checked"]
    yield from _plain(table(header, promises, right={1}, width=width))
    yield "", ""
    for warning in report.warnings:
        yield "note", f"note: {warning}"
    for promise in report.promises:
        if promise.broken:
            yield "bad", f"broken: {promise.name}, {promise.broken:,} times"
    yield ("good", "every promise held") if report.held else ("bad", "a promise was broken")


def _plain(lines: list[str]) -> Iterator[tuple[Style, str]]:
    return (("", line) for line in lines)


def _value(figure: Figure) -> str:
    if figure.value is None:
        return "unknown"
    whole = isinstance(figure.value, int) or abs(figure.value) >= 100  # noqa: PLR2004 - 3 digits
    return f"{figure.value:,.0f}" if whole else f"{figure.value:,.2f}"


def _lateness(report: Report, width: int | None) -> list[str]:
    rows = [
        [
            observer,
            f"{lateness.count:,}",
            *(_ms(value) for value in (lateness.p50_ns, lateness.p99_ns, lateness.max_ns)),
        ]
        for observer, lateness in (
            ("the engine", report.lateness),
            ("the callbacks", report.lateness_in_callbacks),
        )
    ]
    header = ["seen by", "starts", "p50", "p99", "max"]
    return table(header, rows, right={1, 2, 3, 4}, width=width)


def _ms(value_ns: int) -> str:
    return f"{value_ns / NS_PER_MS:,.3f}"


def _histogram(lateness: Lateness, width: int | None, *, ascii_only: bool) -> list[str]:
    most = max((each.count for each in lateness.bins), default=0)
    return chart(
        [
            [
                f"{each.lower_ns / NS_PER_MS:g} to {each.upper_ns / NS_PER_MS:g} ms",
                f"{each.count:,}",
                f"{each.count / lateness.count:.2%}",
            ]
            for each in lateness.bins
        ],
        [each.count / most for each in lateness.bins],
        place=1,
        right={0, 2, 3},
        ascii_only=ascii_only,
        width=width,
    )

"""Other people's expectations of cron expressions, through the public interface.

The vectors lie in `shared/data/cron` beside the repository, where they are at hand. A case that
comes out differently has to be in `DIFFERENT`, with the reason; one that is there has to differ.
The interface looks ahead only: the answer to a case of the kind `prev` is found as the last time
before a moment that `next_after` gives from an earlier one.
"""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from num_agents.scheduler import ScheduleWarning, TaskSchedule
from num_agents.scheduler.errors import InvalidCronError

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "cron"

STARRED_STEP = (
    "robfig takes */n in a day field for a restriction and joins the day fields with OR; Debian, "
    "Vixie and cronsim go by the star that the field begins with: AND"
)
SIXTH_IS_YEAR = (
    "another dialect: a sixth field comes last and is the year, ours comes first and is seconds; "
    "it also refuses steps beyond a field, which leave the first value here, as in Debian's cron"
)
SECONDS_REFINE = (
    "cronsim lets every expression with a field for seconds follow real time; here minute and hour "
    "decide alone, so that `0 30 2 * * *` is `30 2 * * *`"
)
NAMES_BEFORE_L = "cronsim takes numbers only before an L; `MONL` can mean one thing"
DIFFERENT = {
    ("cronsim.json", "test_no_tz_fixup_for_subminute_granularity-34"): SECONDS_REFINE,
    ("cronsim.json", "test_no_tz_fixup_with_nonzero_seconds_field-35"): SECONDS_REFINE,
    ("cronsim.json", "test_no_tz_fixup_with_zero_seconds_field-36"): SECONDS_REFINE,
    ("cronsim.json", "test_it_handles_dst_mar-108"): SECONDS_REFINE,
    ("cronsim.json", "test_it_handles_dst_mar-109"): SECONDS_REFINE,
    ("cronsim.json", "test_it_handles_dst_mar-110"): SECONDS_REFINE,
    ("cronsim.json", "test_it_handles_dst_mar-111"): SECONDS_REFINE,
    ("cronsim.json", "test_it_handles_dst_mar-112"): SECONDS_REFINE,
    ("cronsim.json", "test_it_handles_dst_mar-113"): SECONDS_REFINE,
    ("cronsim.json", "test_it_handles_dst_oct-174"): SECONDS_REFINE,
    ("cronsim.json", "test_it_handles_dst_oct-176"): SECONDS_REFINE,
    ("cronsim.json", "test_it_handles_dst_oct-177"): SECONDS_REFINE,
    ("cronsim.json", "test_it_handles_dst_oct-178"): SECONDS_REFINE,
    ("cronsim.json", "test_it_handles_dst_oct-179"): SECONDS_REFINE,
    ("cronsim.json", "test_it_rejects_symbolic_dow_l-537"): NAMES_BEFORE_L,
    ("robfig.json", "activation-25"): STARRED_STEP,
    # The file itself marks this one as contested, and gives cronsim's answer, which is ours.
    ("robfig.json", "next-43"): STARRED_STEP,
    ("gorhill_cronexpr.json", "never-64"): SIXTH_IS_YEAR,
    ("gorhill_cronexpr.json", "invalid-65"): SIXTH_IS_YEAR,
    ("gorhill_cronexpr.json", "invalid-66"): SIXTH_IS_YEAR,
    ("gorhill_cronexpr.json", "invalid-67"): SIXTH_IS_YEAR,
    ("gorhill_cronexpr.json", "invalid-68"): SIXTH_IS_YEAR,
}


class Source(NamedTuple):
    """A file, the word for its daylight saving, and how many cases of each kind it has."""

    file: str
    dst: str
    kinds: dict[str, int]


SOURCES = (
    Source("cronsim.json", "debian", {"next": 179, "prev": 133, "invalid": 228}),
    Source("robfig.json", "wall-clock", {"next": 62, "match": 29, "invalid": 10}),
    Source("gorhill_cronexpr.json", "debian", {"next": 64, "invalid": 4}),
)


@cache
def cases(file: str) -> list[dict[str, Any]]:
    path = FOLDER / file
    if not path.is_file():
        pytest.skip(f"the vectors are not beside this repository: {file}")
    listed: list[dict[str, Any]] = json.loads(path.read_text())["cases"]
    return listed


def moment(text: str) -> datetime:
    """An instant; a naive one is in UTC."""
    said = datetime.fromisoformat(text)
    return said.replace(tzinfo=UTC) if said.tzinfo is None else said


def zone(name: str | None) -> Any:
    if name is not None and name.startswith("+"):
        return datetime.fromisoformat(f"2000-01-01T00:00:00{name}").tzinfo
    return name or "UTC"


def nexts(schedule: TaskSchedule, start: datetime, count: int) -> list[datetime]:
    found: list[datetime] = []
    while len(found) < count:
        start_or_none = schedule.next_after(start)
        if start_or_none is None:
            break
        start = start_or_none.astimezone(UTC)
        found.append(start)
    return found


def previous(schedule: TaskSchedule, end: datetime) -> datetime | None:
    """The last time before `end`; looked for from ever further back, then by halving."""
    for days in (1, 31, 366, 366 * 5, 366 * 50):
        begin = end - timedelta(days=days)
        first = schedule.next_after(begin)
        if first is None or first >= end:
            continue
        # There is one after `low`, and none after `high` and before `end`.
        low, high = begin.astimezone(UTC), end.astimezone(UTC)
        while high - low > timedelta(microseconds=1):
            middle = low + (high - low) / 2
            following = schedule.next_after(middle)
            if following is not None and following < end:
                low = following.astimezone(UTC)
                found = low
            else:
                high = middle
        return found if low != begin else first.astimezone(UTC)
    return None


def outcome(case: dict[str, Any], dst: str) -> str | None:
    """None if a case comes out as it says, else what comes out."""
    kind, expected = case["kind"], case.get("expected")
    try:
        with warnings.catch_warnings():
            # A step beyond its field is doubted, and taken all the same.
            warnings.simplefilter("ignore", ScheduleWarning)
            schedule = TaskSchedule(
                cron_expression=case["expression"],
                timezone=zone(case.get("tz")),
                dst=dst,  # type: ignore[arg-type]
            )
    except InvalidCronError as error:
        # What never fires is refused.
        fine = kind == "invalid" or (expected == [] and "never fires" in error.reason)
        return None if fine else f"refused: {error}"
    if kind == "invalid":
        return f"accepted: {schedule.describe()}"
    if kind == "match":
        at = moment(case["at"])
        matches = schedule.next_after(at - timedelta(microseconds=1)) == at
        return None if matches == expected else f"matches: {matches}"
    wanted = [moment(text) for text in case["expected"]]
    start = moment(case["start"])
    if kind == "next":
        found: list[datetime | None] = [*nexts(schedule, start, max(1, len(wanted)))]
    else:
        found = []
        while len(found) < max(1, len(wanted)) and (last := previous(schedule, start)) is not None:
            found.append(last)
            start = last
    return None if found == wanted else " ".join(map(str, found)) or "never"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.file)
def test_every_case_comes_out_as_it_says_or_is_listed(source: Source) -> None:
    counted: dict[str, int] = {}
    faults = []
    for case in cases(source.file):
        counted[case["kind"]] = counted.get(case["kind"], 0) + 1
        differs = outcome(case, source.dst)
        listed = (source.file, case["id"]) in DIFFERENT
        if differs is not None and not listed:
            faults.append(f"{case['id']}: {differs}; {case}")
        if differs is None and listed:
            faults.append(f"{case['id']}: listed as different, and agrees")
    assert not faults, "\n".join(faults)
    assert counted == source.kinds


def test_what_is_listed_exists() -> None:
    known = {(source.file, case["id"]) for source in SOURCES for case in cases(source.file)}
    assert known >= set(DIFFERENT)

"""What a forecast says, beside what then runs, for random tasks at random moments."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from num_agents.scheduler import CalendarInterval, Exclusions, Scheduler, TaskSchedule
from num_agents.scheduler.testing import VirtualClock

#: One-shots are drawn with options that have no effect on them as well.
pytestmark = pytest.mark.filterwarnings("ignore::num_agents.scheduler.ScheduleWarning")

START = datetime(2025, 3, 29, 20, tzinfo=UTC)
#: Across the night in which Berlin's clocks go forward.
HORIZON = 5 * 3600

whens = st.one_of(
    st.fixed_dictionaries({"delay": st.floats(0, HORIZON + 60)}),
    st.fixed_dictionaries(
        {"run_at": st.floats(-600, HORIZON + 60).map(lambda s: START + timedelta(seconds=s))}
    ),
    st.fixed_dictionaries(
        {"interval": st.floats(7, 900)},
        optional={
            "fixed_delay": st.just(True),  # noqa: FBT003 - a strategy
            "first_run": st.sampled_from(["now", "after_interval", "aligned"]),
        },
    ),
    st.fixed_dictionaries(
        {
            "cron_expression": st.sampled_from(
                ["*/7 * * * *", "30 2 * * *", "0,30 1-4 * * *", "15 */20 * * * *", "@every 11m"]
            )
        },
        optional={"dst": st.sampled_from(["debian", "skip", "wall-clock"])},
    ),
    st.just({"calendar_interval": CalendarInterval(days=1, at="02:30")}),
    st.just({"rrule": "FREQ=MINUTELY;INTERVAL=2"}),
    st.just(
        {
            "any_of": [
                TaskSchedule(cron_expression="*/10 * * * *"),
                TaskSchedule(interval=600, first_run="aligned"),
            ],
            "exclude": Exclusions(hours=[23]),
        }
    ),
)
options = st.fixed_dictionaries(
    {},
    optional={
        "max_runs": st.integers(1, 20),
        "end_after": st.floats(0, HORIZON).map(lambda s: START + timedelta(seconds=s)),
        "start_after": st.floats(0, HORIZON).map(lambda s: START + timedelta(seconds=s)),
        "jitter": st.floats(0, 900),
        "window": st.floats(0, 900),
        "misfire": st.sampled_from(["latest", "earliest"]),
        "timezone": st.sampled_from(["UTC", "Europe/Berlin"]),
    },
)


@settings(max_examples=100, deadline=None)
@given(
    tasks=st.lists(st.tuples(whens, options), min_size=1, max_size=8),
    before=st.integers(0, HORIZON * 1000),
    shift=st.sampled_from([0, 0, 1800.5, -1800.5]),
    paused=st.integers(0, 20),
)
def test_is_what_runs(
    tasks: list[tuple[dict[str, Any], dict[str, Any]]], before: int, shift: float, paused: int
) -> None:
    clock = VirtualClock(START, timezone="UTC")
    ran: Counter[datetime] = Counter()
    with Scheduler(clock=clock) as scheduler:
        ids = []
        for when, more in tasks:
            note = lambda: ran.update([clock.now()])  # noqa: E731 - one a task
            try:
                ids.append(scheduler.schedule("t", note, **{**when, **more}))
            except ValueError as error:
                if "never" not in str(error) and "no time to come" not in str(error):
                    raise
        clock.shift_wall(shift)
        # Of what is shown nothing is finer than a microsecond.
        clock.advance(before / 1000)
        if paused < len(ids):
            scheduler.pause_task(ids[paused])
        ran.clear()
        start = clock.now()
        forecast = scheduler.forecast(HORIZON, 60)
        clock.advance(HORIZON - 1e-9)
        seconds: Counter[int] = Counter()
        for moment, runs in ran.items():
            seconds[int((moment - start).total_seconds())] += runs
        found = {
            int((moment - start).total_seconds()): runs for moment, runs in forecast.busiest(10**6)
        }
        assert found == dict(seconds)
        assert forecast.total == ran.total()
        assert forecast.collisions == sum(runs > 1 for runs in seconds.values())

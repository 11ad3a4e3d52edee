"""Which run a local day belongs to."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.game.leaderboards.model import Leaderboard, RunUnit
from podium.game.leaderboards.runs import Run, named_run, run_name, run_on


def leaderboard(
    start: date, unit: RunUnit | None = None, interval: int | None = None, end: date | None = None
) -> Leaderboard:
    return Leaderboard("id", 1, "key", "Name", "metric", start, end=end, run_unit=unit, run_interval=interval)


@pytest.mark.parametrize(
    ("start", "unit", "interval", "day", "first", "last"),
    [
        (date(2026, 11, 1), "day", 1, date(2026, 11, 23), date(2026, 11, 23), date(2026, 11, 23)),
        (date(2026, 11, 2), "day", 7, date(2026, 11, 23), date(2026, 11, 23), date(2026, 11, 29)),
        (date(2026, 11, 2), "day", 7, date(2026, 11, 22), date(2026, 11, 16), date(2026, 11, 22)),
        (date(2026, 1, 31), "month", 1, date(2026, 2, 27), date(2026, 1, 31), date(2026, 2, 27)),
        (date(2026, 1, 31), "month", 1, date(2026, 2, 28), date(2026, 2, 28), date(2026, 3, 30)),
        (date(2026, 1, 31), "month", 1, date(2026, 3, 31), date(2026, 3, 31), date(2026, 4, 29)),
        (date(2024, 2, 29), "year", 1, date(2025, 2, 28), date(2025, 2, 28), date(2026, 2, 27)),
        (date(2024, 2, 29), "year", 4, date(2028, 2, 28), date(2024, 2, 29), date(2028, 2, 28)),
    ],
)
def test_run_on(start: date, unit: RunUnit, interval: int, day: date, first: date, last: date) -> None:
    assert run_on(leaderboard(start, unit, interval), day) == Run(first, last)


def test_no_run_before_the_start_nor_after_the_end() -> None:
    board = leaderboard(date(2026, 1, 1), "day", 7, end=date(2026, 1, 10))
    assert run_on(board, date(2025, 12, 31)) is None
    assert run_on(board, date(2026, 1, 9)) == Run(date(2026, 1, 8), date(2026, 1, 10))
    assert run_on(board, date(2026, 1, 11)) is None
    assert run_on(leaderboard(date(2026, 1, 1)), date(2036, 1, 1)) == Run(date(2026, 1, 1), None)


@given(
    st.dates(date(2000, 1, 1), date(2040, 12, 31)),
    st.sampled_from(["day", "month", "year"]),
    st.integers(1, 14),
    st.integers(0, 6_000),
)
def test_runs_follow_each_other_without_gap_or_overlap(
    start: date, unit: RunUnit, interval: int, days: int
) -> None:
    board = leaderboard(start, unit, interval)
    day = start + timedelta(days=days)
    run = run_on(board, day)
    assert run is not None
    assert run.end is not None
    assert run.start <= day <= run.end
    assert {run_on(board, d) for d in (run.start, run.end)} == {run}
    following = run_on(board, run.end + timedelta(days=1))
    assert following is not None
    assert following.start == run.end + timedelta(days=1)
    assert named_run(board, run_name(board, run)) == run


def test_a_run_keeps_its_dates_when_the_leaderboard_is_ended_before_it() -> None:
    board = leaderboard(date(2026, 11, 2), "day", 7, end=date(2026, 11, 5))
    assert named_run(board, "20261116") == Run(date(2026, 11, 16), date(2026, 11, 22))

"""A year in review: which day, week and month stood out."""

from __future__ import annotations

from datetime import date

import pytest

from podium.game.wrapped.rules import Period, percent_change, review


def test_the_year_of_one_who_wrote() -> None:
    found = review(
        2026,
        {
            date(2025, 12, 31): 9,  # last year
            date(2026, 1, 1): 2,
            date(2026, 3, 2): 3,  # a Monday
            date(2026, 3, 8): 3,
            date(2026, 3, 9): 1,
            date(2026, 5, 5): 3,
        },
    )
    assert (found.days, found.weeks, found.months) == (5, 4, 3)
    assert found.day == Period(date(2026, 3, 2), date(2026, 3, 2))
    assert found.week == Period(date(2026, 3, 2), date(2026, 3, 8))
    assert found.month == Period(date(2026, 3, 1), date(2026, 3, 31))


def test_the_year_of_one_who_did_not() -> None:
    found = review(2024, {})
    assert (found.days, found.weeks, found.months) == (0, 0, 0)
    assert found.day.start == date(2024, 1, 1)
    assert found.month == Period(date(2024, 1, 1), date(2024, 1, 31))


@pytest.mark.parametrize(("before", "change", "percent"), [(0, 5, 0), (200, 50, 25), (3, -1, -33.33)])
def test_percent_change(before: int, change: int, percent: float) -> None:
    assert percent_change(before, change) == percent

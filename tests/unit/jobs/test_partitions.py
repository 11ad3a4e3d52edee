"""Months as partitions have them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from podium.jobs.partitions import MONTHS_AHEAD, _month


@pytest.mark.parametrize(
    ("month", "first"), [(1, (2026, 1)), (12, (2026, 12)), (13, (2027, 1)), (12 + MONTHS_AHEAD + 1, (2027, 3))]
)
def test_months_go_on_in_the_next_year(month: int, first: tuple[int, int]) -> None:
    assert _month(2026, month) == datetime(*first, 1, tzinfo=UTC)

"""Buckets of a summary."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.game.errors import Unprocessable
from podium.game.summary import AGGREGATIONS, SPAN_MAX_DAYS, Aggregation, Bucket, check_range, first_day, summarise


def test_days_without_a_change_are_there() -> None:
    changes = {date(2026, 3, 1): 5, date(2026, 3, 3): -2}
    assert summarise("daily", date(2026, 2, 28), date(2026, 3, 3), 10, changes) == [
        Bucket(date(2026, 2, 28), 10, 0),
        Bucket(date(2026, 3, 1), 15, 5),
        Bucket(date(2026, 3, 2), 15, 0),
        Bucket(date(2026, 3, 3), 13, -2),
    ]


def test_weeks_start_on_monday_and_count_days_of_the_range_only() -> None:
    # From a Wednesday to a Monday; 21 December is a Monday.
    changes = {date(2026, 12, 23): 1, date(2026, 12, 27): 2, date(2026, 12, 28): 4}
    assert summarise("weekly", date(2026, 12, 23), date(2026, 12, 28), 100, changes) == [
        Bucket(date(2026, 12, 21), 103, 3),
        Bucket(date(2026, 12, 28), 107, 4),
    ]


def test_months_of_every_length() -> None:
    changes = {date(2028, 1, 31): 1, date(2028, 2, 29): 2, date(2028, 3, 1): 4}
    assert summarise("monthly", date(2028, 1, 31), date(2028, 3, 1), 0, changes) == [
        Bucket(date(2028, 1, 1), 1, 1),
        Bucket(date(2028, 2, 1), 3, 2),
        Bucket(date(2028, 3, 1), 7, 4),
    ]


def test_the_calendar_may_end() -> None:
    buckets = summarise("weekly", date(9999, 12, 30), date.max, 0, {date.max: 1})
    assert buckets == [Bucket(date(9999, 12, 27), 1, 1)]


@given(
    st.sampled_from(AGGREGATIONS),
    st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    st.integers(1, SPAN_MAX_DAYS),
    st.integers(-1000, 1000),
    st.dictionaries(st.integers(0, SPAN_MAX_DAYS), st.integers(-1000, 1000), max_size=30),
)
def test_buckets_add_up(
    aggregation: Aggregation, start: date, span: int, before: int, changes: dict[int, int]
) -> None:
    end = start + timedelta(days=span)
    days = {start + timedelta(days=i): change for i, change in changes.items() if i <= span}
    buckets = summarise(aggregation, start, end, before, days)
    total = before
    for bucket in buckets:
        total += bucket.change
        assert bucket.total == total
    assert total == before + sum(days.values())
    expected = {first_day(aggregation, start + timedelta(days=i)) for i in range(span + 1)}
    assert [bucket.first for bucket in buckets] == sorted(expected)


def test_the_range_is_checked() -> None:
    start = date(2026, 1, 1)
    check_range(start, start + timedelta(days=SPAN_MAX_DAYS))
    for end in (start, start - timedelta(days=1)):
        with pytest.raises(Unprocessable, match="startDate must lie before endDate"):
            check_range(start, end)
    with pytest.raises(Unprocessable, match="endDate must lie at most 400 days after startDate"):
        check_range(start, start + timedelta(days=SPAN_MAX_DAYS + 1))

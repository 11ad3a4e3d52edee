"""Summarise a user's total over time, in buckets of local days (docs/http-api.md#summaries)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from itertools import groupby
from typing import Literal, NamedTuple, get_args

from podium.game.errors import Unprocessable

Aggregation = Literal["daily", "weekly", "monthly"]
AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)

SPAN_MAX_DAYS = 400
"""Most days from the first to the last day of a summary (docs/http-api.md#summaries)."""


class Bucket(NamedTuple):
    """One bucket, in whole units. ``first`` is its first day in the calendar, also if the range begins later.
    ``change`` counts the days within the range, ``total`` is the total at the end of the last of them."""

    first: date
    total: int
    change: int


def check_range(start: date, end: date) -> None:
    """Check the range of a summary.

    Raises:
        Unprocessable: The start doesn't lie before the end, or the range is too long.
    """
    if start >= end:
        raise Unprocessable("startDate must lie before endDate")
    if (end - start).days > SPAN_MAX_DAYS:
        raise Unprocessable(f"endDate must lie at most {SPAN_MAX_DAYS} days after startDate")


def summarise(
    aggregation: Aggregation, start: date, end: date, before: int, changes: Mapping[date, int]
) -> list[Bucket]:
    """Return all buckets with a day in ``start`` to ``end``, both inclusive. ``before`` is the total of all days
    before ``start``, ``changes`` has the changes of the days with any."""
    days = [start + timedelta(days=i) for i in range((end - start).days + 1)]
    buckets, total = [], before
    for first, group in groupby(days, lambda day: first_day(aggregation, day)):
        change = sum(changes.get(day, 0) for day in group)
        total += change
        buckets.append(Bucket(first, total, change))
    return buckets


def first_day(aggregation: Aggregation, day: date) -> date:
    """Return the first day of the bucket that contains ``day``. Weeks start on Monday."""
    if aggregation == "daily":
        return day
    return day - timedelta(days=day.weekday()) if aggregation == "weekly" else day.replace(day=1)

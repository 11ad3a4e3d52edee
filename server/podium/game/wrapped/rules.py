"""The most active day, week and month of a user's year
(docs/http-api.md#year-in-review; Podium's own formula)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import NamedTuple, TypeVar

K = TypeVar("K")


class Period(NamedTuple):
    """A range of days, both inclusive."""

    start: date
    end: date


class Year(NamedTuple):
    """A year's activity. The periods have the most events; of equal ones the first is taken, and without events
    the first of the year."""

    days: int
    weeks: int
    months: int
    day: Period
    week: Period
    month: Period
    whole: Period


def whole_year(year: int) -> Period:
    """Return the period of a year."""
    return Period(date(year, 1, 1), date(year, 12, 31))


def review(year: int, events: Mapping[date, int]) -> Year:
    """Return the year of a user, from the number of events on each local day."""
    whole = whole_year(year)
    active = {day: number for day, number in events.items() if number and whole.start <= day <= whole.end}
    days = _sums(active, lambda day: day)
    weeks = _sums(active, lambda day: day - timedelta(days=day.weekday()))
    months = _sums(active, lambda day: day.replace(day=1))
    day = _most(days, whole.start)
    week = _most(weeks, whole.start - timedelta(days=whole.start.weekday()))
    month = _most(months, whole.start)
    return Year(
        len(days),
        len(weeks),
        len(months),
        Period(day, day),
        Period(week, week + timedelta(days=6)),
        Period(month, (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)),
        whole,
    )


def percent_change(before: float, change: float) -> float:
    """Return the growth of a total in percent, to two decimals; 0 if it was 0 before."""
    return round(100 * change / before, 2) if before else 0.0


def _sums(events: Mapping[date, int], key: Callable[[date], K]) -> dict[K, int]:
    sums: dict[K, int] = defaultdict(int)
    for day, number in events.items():
        sums[key(day)] += number
    return dict(sums)


def _most(sums: Mapping[date, int], otherwise: date) -> date:
    return min(sums, key=lambda day: (-sums[day], day), default=otherwise)

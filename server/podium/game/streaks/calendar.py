"""Periods of streaks: days, weeks from Monday on, and months, each with consecutive numbers."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from functools import lru_cache

from podium.game.streaks.model import FREQUENCIES, Frequency

_DAYS = 7


def period_of(frequency: Frequency, day: int) -> int:
    """Return the number of the period that contains a day (an ordinal, as of ``date.toordinal``)."""
    if frequency == "daily":
        return day
    if frequency == "weekly":
        return (day - 1) // _DAYS  # 1 January of the year 1 was a Monday
    at = date.fromordinal(day)
    return at.year * 12 + at.month - 1


@lru_cache(maxsize=10_000)
def periods_of(day: int) -> tuple[int, ...]:
    """Return the numbers of the periods that contain a day, one for each frequency."""
    return tuple(period_of(frequency, day) for frequency in FREQUENCIES)


def first_day(frequency: Frequency, period: int) -> int:
    """Return the first day of a period, as an ordinal."""
    if frequency == "daily":
        return period
    if frequency == "weekly":
        return period * _DAYS + 1
    return date(period // 12, period % 12 + 1, 1).toordinal()


def last_day(frequency: Frequency, period: int) -> int:
    """Return the last day of a period, as an ordinal."""
    if frequency == "daily":
        return period
    if frequency == "weekly":
        return period * _DAYS + _DAYS
    year, month = divmod(period, 12)
    return date(year, month + 1, monthrange(year, month + 1)[1]).toordinal()


def weekday(day: int) -> int:
    """Return the day of the week of an ordinal; 0 is Sunday."""
    return day % _DAYS

"""Dates and times of day in bodies."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta

from podium.game.errors import Unprocessable

YEARS = range(1970, 3000)
"""Years of dates in a catalog. Arithmetic on them can't leave Python's calendar (years 1 to 9999)."""

TimeOfDay = Annotated[
    str,
    Meta(
        pattern="^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$",
        description="HH:mm or HH:mm:ss, the user's local time.",
    ),
]


def check_days(start: date, end: date | None) -> None:
    """Raise ``Unprocessable`` if ``start`` and ``end`` are no range of days."""
    for name, day in (("start", start), ("end", end)):
        if day is not None and day.year not in YEARS:
            raise Unprocessable(f"{name} must lie in the years {YEARS.start} to {YEARS.stop - 1}")
    if end is not None and end < start:
        raise Unprocessable("end must not lie before start")

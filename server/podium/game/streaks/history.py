"""The periods of the past, one after the other, as a user sees them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Literal, NamedTuple

from podium.game.streaks import rules
from podium.game.streaks.calendar import first_day, last_day
from podium.game.streaks.model import Streaks
from podium.game.streaks.rules import Rules
from podium.game.streaks.shapes import StreakPeriod


class Became(NamedTuple):
    """What became of a streak in a period: ``length`` is what it came to, what a freeze held, or what was lost."""

    what: Literal["streak_extended", "freeze_used", "streak_lost"]
    start: date
    end: date
    length: int


def became(periods: Iterable[StreakPeriod]) -> Iterator[Became]:
    """What became of a streak in the periods of a ``history``. Those in which nothing did, and those that support
    restored, are left out."""
    before = 0
    for period in periods:
        start, end, length = period.period_start, period.period_end, period.length
        if length > before and not period.restored:
            yield Became("streak_extended", start, end, length)
        elif length == before and period.used_freeze:
            yield Became("freeze_used", start, end, length)
        elif before and not length:
            yield Became("streak_lost", start, end, before)
        before = length


def history(
    wanted: Rules, streaks: Streaks, today: int, number: int, lived: Mapping[int, tuple[int, bool, bool]]
) -> list[StreakPeriod]:
    """The last ``number`` periods up to today's, oldest first. ``lived`` are the periods that were met, frozen
    or restored, with the length at their end, whether they were frozen and whether restored; and the last one
    before the first."""
    frequency = wanted.frequency
    shown = []
    now = rules.standing(wanted, streaks, today)
    periods = rules.periods(frequency, today, number)
    before = [period for period in lived if period < periods.start]
    length, at = (lived[before[-1]][0], before[-1]) if before else (0, periods.start - 1)
    for missed in range(at + 1, periods.start):
        if length and not rules.is_held(wanted, streaks, missed):
            length = 0
    for period in periods:
        frozen = period in now.frozen
        paused = restored = False
        if period in lived:
            length, was_frozen, restored = lived[period]
            frozen = frozen or was_frozen
        elif not frozen and period != periods[-1]:
            paused = length > 0 and rules.is_paused(streaks, frequency, period)
            if length and not paused and not rules.is_held(wanted, streaks, period):
                length = 0
        shown.append(
            StreakPeriod(
                period_start=date.fromordinal(first_day(frequency, period)),
                period_end=date.fromordinal(last_day(frequency, period)),
                length=now.length if period == periods[-1] else length,
                used_freeze=frozen,
                used_pause=paused,
                restored=restored,
            )
        )
    return shown

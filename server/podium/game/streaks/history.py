"""The history of a streak, period by period, as a user sees it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Literal, NamedTuple

from podium.game.streaks import rules
from podium.game.streaks.calendar import first_day, last_day
from podium.game.streaks.model import Streaks
from podium.game.streaks.rules import Rules
from podium.game.streaks.shapes import StreakPeriod


class StreakOutcome(NamedTuple):
    """The outcome of a streak in a period. ``length`` is its length after it, or, if it was lost, before it."""

    what: Literal["streak_extended", "freeze_used", "streak_lost"]
    start: date
    end: date
    length: int


def outcomes(periods: Iterable[StreakPeriod]) -> Iterator[StreakOutcome]:
    """Yield the outcomes in the periods of a ``history``. Periods without a change, and restored ones, are left
    out."""
    before = 0
    for period in periods:
        start, end, length = period.period_start, period.period_end, period.length
        if length > before and not period.restored:
            yield StreakOutcome("streak_extended", start, end, length)
        elif length == before and period.used_freeze:
            yield StreakOutcome("freeze_used", start, end, length)
        elif before and not length:
            yield StreakOutcome("streak_lost", start, end, before)
        before = length


def history(
    wanted: Rules, streaks: Streaks, today: int, number: int, past: Mapping[int, tuple[int, bool, bool]]
) -> list[StreakPeriod]:
    """Return the last ``number`` periods up to today's, the oldest first.

    ``past`` has the length at the end, True if frozen, and True if restored, by number of the period: of the
    periods that were met, frozen or restored, and of the last such period before the first one asked for.
    """
    frequency = wanted.frequency
    shown = []
    now = rules.standing(wanted, streaks, today)
    periods = rules.periods(frequency, today, number)
    before = [period for period in past if period < periods.start]
    length, at = (past[before[-1]][0], before[-1]) if before else (0, periods.start - 1)
    for missed in range(at + 1, periods.start):
        if length and not rules.is_held(wanted, streaks, missed):
            length = 0
    for period in periods:
        frozen = period in now.frozen
        paused = restored = False
        if period in past:
            length, was_frozen, restored = past[period]
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

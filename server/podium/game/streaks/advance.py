"""What time alone brings to a streak: freezes earned and used, its loss (docs/decisions/0011-time-is-input.md).

A streak is kept as of the user's newest event; what the days since brought follows from the calendar, and is told
when they have passed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Literal, NamedTuple

import msgspec

from podium.game.streaks.calendar import last_day, period_of
from podium.game.streaks.model import Streaks
from podium.game.streaks.rules import Rules, length_of, next_unheld, waited, with_freezes


class Passing(NamedTuple):
    """What happens as a local ``day`` (ordinal) begins: a freeze was used for ``period``, the streak of ``amount``
    periods is lost, ``amount`` freezes are earned; ``freezes`` are left."""

    day: int
    kind: Literal["frozen", "lost", "earned"]
    amount: int
    freezes: int
    period: int = 0


def passings(rules: Rules, streaks: Streaks, until: int) -> Iterator[Passing]:
    """What happens between the newest event and the beginning of the day ``until``, in order."""
    frequency, track = rules.frequency, streaks.tracks[rules.track]
    length = length_of(track)
    if length and rules.thresholds:
        missed, end = track.stretches[-1].last, period_of(frequency, until)
        while (missed := next_unheld(rules, streaks, rules.track, missed + 1, end)) < end:
            day = last_day(frequency, missed) + 1
            # A freeze is used at the midnight that ends the period; one that is earned then comes first.
            streaks = yield from _earned(rules, streaks, day)
            if not streaks.freezes:
                yield Passing(day, "lost", length, 0, missed)
                break
            frozen = (*streaks.frozen, (rules.track, missed))
            streaks = msgspec.structs.replace(streaks, freezes=streaks.freezes - 1, frozen=frozen)
            yield Passing(day, "frozen", 1, streaks.freezes or 0, missed)
    yield from _earned(rules, streaks, until)


def next_passing(rules: Rules, streaks: Streaks, today: int) -> int | None:
    """The first day (ordinal) after today as which begins something will have happened; None for never."""
    frequency, track = rules.frequency, streaks.tracks[rules.track]
    days = []
    then, _, alive = waited(rules, streaks, period_of(frequency, today), today)
    if rules.thresholds and alive and length_of(track):
        due = max(track.stretches[-1].last + 1, period_of(frequency, today))
        due = next_unheld(rules, then, rules.track, due)
        days.append(last_day(frequency, due) + 1)
    wanted = rules.freezes
    if wanted is not None and wanted.auto_earn_interval and then.freezes is not None:
        days += [then.earned_on + wanted.auto_earn_interval] if then.freezes < wanted.max_count else []
    return min(days, default=None)


def _earned(rules: Rules, streaks: Streaks, until: int) -> Generator[Passing, None, Streaks]:
    """The freezes earned up to a day, one grant after the other; returns the streaks with them."""
    wanted = rules.freezes
    if (
        wanted is not None
        and wanted.auto_earn_interval
        and wanted.auto_earn_amount
        and streaks.freezes is not None
    ):
        while (day := streaks.earned_on + wanted.auto_earn_interval) <= until:
            before = streaks.freezes or 0
            streaks = with_freezes(rules, streaks, day)
            if (streaks.freezes or 0) > before:
                yield Passing(day, "earned", (streaks.freezes or 0) - before, streaks.freezes or 0)
    return with_freezes(rules, streaks, until)

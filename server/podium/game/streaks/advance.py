"""The timed changes of a streak: freezes earned and used, and its loss (docs/decisions/0011-time-is-input.md).

A streak is stored as of the user's newest event. The changes of the days since follow from the calendar, and are
recorded once the days have passed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Literal, NamedTuple

import msgspec

from podium.game.streaks.calendar import last_day, period_of
from podium.game.streaks.model import Streaks
from podium.game.streaks.rules import Rules, bridged, length_of, next_unheld, with_freezes


class TimedChange(NamedTuple):
    """A change at the beginning of a local ``day`` (ordinal): a freeze is used for ``period``, the streak of
    ``amount`` periods is lost, or ``amount`` freezes are earned. ``freezes`` is their number afterwards."""

    day: int
    kind: Literal["frozen", "lost", "earned"]
    amount: int
    freezes: int
    period: int = 0


def timed_changes(rules: Rules, streaks: Streaks, until: int) -> Iterator[TimedChange]:
    """Yield the changes between the newest event and the beginning of the day ``until``, in order."""
    frequency, track = rules.frequency, streaks.tracks[rules.track]
    length = length_of(track)
    if length and rules.thresholds:
        missed, end = track.stretches[-1].last, period_of(frequency, until)
        while (missed := next_unheld(rules, streaks, rules.track, missed + 1, end)) < end:
            day = last_day(frequency, missed) + 1
            # A freeze is used at the midnight that ends the period. One that is earned at the same midnight comes
            # first.
            streaks = yield from _earned(rules, streaks, day)
            if not streaks.freezes:
                yield TimedChange(day, "lost", length, 0, missed)
                break
            frozen = (*streaks.frozen, (rules.track, missed))
            streaks = msgspec.structs.replace(streaks, freezes=streaks.freezes - 1, frozen=frozen)
            yield TimedChange(day, "frozen", 1, streaks.freezes or 0, missed)
    yield from _earned(rules, streaks, until)


def next_timed_change(rules: Rules, streaks: Streaks, today: int) -> int | None:
    """Return the first day (ordinal) after today that begins with a change, or None for never."""
    frequency, track = rules.frequency, streaks.tracks[rules.track]
    days = []
    then, _, alive = bridged(rules, streaks, period_of(frequency, today), today)
    if rules.thresholds and alive and length_of(track):
        due = max(track.stretches[-1].last + 1, period_of(frequency, today))
        due = next_unheld(rules, then, rules.track, due)
        days.append(last_day(frequency, due) + 1)
    wanted = rules.freezes
    if wanted is not None and wanted.auto_earn_interval and then.freezes is not None:
        days += [then.earned_on + wanted.auto_earn_interval] if then.freezes < wanted.max_count else []
    return min(days, default=None)


def _earned(rules: Rules, streaks: Streaks, until: int) -> Generator[TimedChange, None, Streaks]:
    """Yield the changes by which freezes are earned up to a day. Return the streaks with those freezes."""
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
                yield TimedChange(day, "earned", (streaks.freezes or 0) - before, streaks.freezes or 0)
    return with_freezes(rules, streaks, until)

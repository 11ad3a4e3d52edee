"""Streaks in the form of the API (docs/http-api.md#streaks)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from podium.game.streaks.model import Frequency
from podium.game.streaks.rules import Rules, Standing


class Streak(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A streak on a day. ``periodStart`` and ``periodEnd`` are those of the present period, ``expires`` is the
    last day on which it can be extended. All dates are null without a streak; freezes are absent if the space has
    none."""

    length: int
    frequency: Frequency
    started: date | None = None
    period_start: date | None = None
    period_end: date | None = None
    expires: date | None = None
    freezes: int | UnsetType = UNSET
    max_freezes: int | UnsetType = UNSET
    freeze_auto_earn_interval: int | UnsetType = UNSET
    freeze_auto_earn_amount: int | UnsetType = UNSET


class StreakPeriod(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """A period of the past: the length at its end, and the pause, day off or freeze that held it if it was not
    met. ``restored`` is included if support restored a lost streak as of it, even without activity of the user."""

    period_start: date
    period_end: date
    length: int
    used_freeze: bool
    used_pause: bool
    restored: bool = False


class StreakPause(msgspec.Struct, frozen=True):
    """The first and the last day, both inclusive, of a pause."""

    id: str
    start: date
    end: date


class UserStreak(Streak, frozen=True, kw_only=True, rename="camel"):
    """A user's streak. ``extended`` is the time at which it was last lengthened; ``pauses`` are present and future
    ones."""

    extended: Annotated[str | None, msgspec.Meta(extra_json_schema={"format": "date-time"})]
    streak_history: list[StreakPeriod]
    pauses: list[StreakPause]


class RankedStreak(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A user in a ranking of streaks."""

    user_id: str
    name: str | None
    streak_length: int


class ListedStreak(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One of several users' streaks."""

    user_id: str
    streak_length: int
    extended: Annotated[str | None, msgspec.Meta(extra_json_schema={"format": "date-time"})]


def base(rules: Rules, found: Standing) -> dict[str, Any]:
    """Return the common fields of answers about a streak, by field of ``Streak``."""
    fields: dict[str, Any] = {
        "length": found.length,
        "frequency": rules.frequency,
        "started": _day(found.started),
        "period_start": _day(found.period_start),
        "period_end": _day(found.period_end),
        "expires": _day(found.expires),
    }
    wanted = rules.freezes
    if wanted is not None:
        fields |= {"freezes": found.freezes, "max_freezes": wanted.max_count}
        if wanted.auto_earn_interval and wanted.auto_earn_amount:
            fields |= {
                "freeze_auto_earn_interval": wanted.auto_earn_interval,
                "freeze_auto_earn_amount": wanted.auto_earn_amount,
            }
    return fields


def _day(ordinal: int | None) -> date | None:
    return None if ordinal is None else date.fromordinal(ordinal)

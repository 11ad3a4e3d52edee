"""The achievement, an item of the catalog (docs/http-api.md#achievements)."""

from __future__ import annotations

from typing import Literal

import msgspec

from podium.game.filters import AttributeFilter

Kind = Literal["metric", "streak", "api", "achievement", "anniversary"]
Status = Literal["active", "inactive", "locked"]


class Achievement(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A goal that a user completes once.

    By its trigger it is completed by a total of ``metric_value`` (of the events that match ``event_attributes``),
    a streak of ``streak_length``, a call that names its key, all of the achievements ``achievement_ids``, or
    ``anniversary_years`` since the sign-up. ``key`` is the id if the achievement has no key of its own. A locked
    achievement can't be completed any more.
    """

    id: str
    number: int
    key: str
    name: str
    trigger: Kind
    description: str | None = None
    badge_url: str | None = None
    status: Status = "inactive"
    user_attributes: tuple[AttributeFilter, ...] = ()
    metric_id: str | None = None
    metric_value: float | None = None
    event_attributes: tuple[AttributeFilter, ...] = ()
    streak_length: int | None = None
    achievement_ids: tuple[str, ...] = ()
    anniversary_years: int | None = None

    @property
    def own_key(self) -> str | None:
        """Return the key by which calls complete it, or None if it has another trigger."""
        return self.key if self.trigger == "api" else None

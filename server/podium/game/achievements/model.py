"""What an achievement is (docs/http-api.md#achievements)."""

from __future__ import annotations

from typing import Literal

import msgspec

from podium.game.filters import AttributeFilter

Kind = Literal["metric", "streak", "api", "achievement", "anniversary"]
Status = Literal["active", "inactive", "locked"]


class Achievement(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What a user completes once: a total of ``metric_value`` (of the events that match ``event_attributes``), a
    streak of ``streak_length``, a call that names its key, all of the achievements ``achievement_ids``, or
    ``anniversary_years`` since the sign-up.

    ``key`` is the id where the achievement has none of its own. A locked one is completed by nobody new.
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
        """The key by which it is completed; None where it completes by itself."""
        return self.key if self.trigger == "api" else None

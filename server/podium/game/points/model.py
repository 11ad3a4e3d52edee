"""What a points system, its triggers, its levels and its boosts are (docs/http-api.md#points)."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from podium.game.filters import AttributeFilter

TriggerType = Literal["metric", "streak", "achievement", "time", "user_creation"]
TriggerStatus = Literal["active", "inactive"]
TimeUnit = Literal["hours", "days"]
Rounding = Literal["down", "up", "nearest"]


class PointsSystem(msgspec.Struct, frozen=True, rename="camel"):
    """One kind of points. No user has more than ``max_points``."""

    id: str
    number: int
    key: str
    name: str
    description: str = ""
    badge_url: str | None = None
    max_points: int | None = None


class Trigger(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What gives ``points``, or takes them where negative: every ``metric_threshold`` of a metric, every
    ``streak_length`` periods of a streak, an achievement, every ``time_interval`` hours or days, or the creation
    of the user.

    It counts from ``active_ms`` on, the instant at which it became active. All filters must match.
    """

    id: str
    number: int
    key: str
    system_id: str
    type: TriggerType
    points: int
    status: TriggerStatus = "inactive"
    user_attributes: tuple[AttributeFilter, ...] = ()
    created_ms: int = 0
    updated_ms: int = 0
    active_ms: int = 0
    block_if_out_of_points: bool = False
    metric_id: str | None = None
    metric_threshold: int | None = None
    event_attributes: tuple[AttributeFilter, ...] = ()
    streak_length: int | None = None
    achievement_id: str | None = None
    time_unit: TimeUnit | None = None
    time_interval: int | None = None


class Level(msgspec.Struct, frozen=True, rename="camel"):
    """What a user is who has at least ``points``."""

    id: str
    number: int
    key: str
    system_id: str
    name: str
    points: int
    description: str = ""
    badge_url: str | None = None


class Boost(msgspec.Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    """Multiplies the points that a system awards from ``start`` to ``end``, local dates of the user, inclusive:
    for all, for those whose attributes match, or for one user.

    It begins at ``start_time`` of the first day and ends before ``end_time`` of the last; with ``weekdays``
    (0 is Sunday) it holds on those days only.
    """

    id: str
    number: int
    key: str
    system_id: str
    name: str
    start: date
    end: date | None = None
    multiplier: float
    rounding: Rounding = "down"
    user_id: str | None = None
    user_attributes: tuple[AttributeFilter, ...] = ()
    start_time: str | None = None
    end_time: str | None = None
    weekdays: tuple[int, ...] = ()

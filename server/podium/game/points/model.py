"""Points systems with their triggers, levels and boosts, as items of the catalog (docs/http-api.md#points)."""

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
    """One kind of points. ``max_points`` is the most that a user can have."""

    id: str
    number: int
    key: str
    name: str
    description: str = ""
    badge_url: str | None = None
    max_points: int | None = None


class Trigger(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A rule that awards ``points``, or deducts them if negative.

    It fires for every ``metric_threshold`` of a metric, every ``streak_length`` periods of a streak, an
    achievement, every ``time_interval`` hours or days, or the user's creation. It applies from ``active_ms`` on,
    the instant at which it became active. All filters must match.
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
    """A level of users with at least ``points``."""

    id: str
    number: int
    key: str
    system_id: str
    name: str
    points: int
    description: str = ""
    badge_url: str | None = None


class Boost(msgspec.Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    """A multiplier of a system's awards from ``start`` to ``end``, which are local dates of the user, inclusive.

    It applies to all users, to users with matching attributes, or to one user. It begins at ``start_time`` of the
    first day and ends at ``end_time`` of the last. With ``weekdays`` (0 is Sunday) it applies on those days only.
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

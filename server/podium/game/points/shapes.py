"""Points in the form of the application API (docs/http-api.md#points)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from podium.game.filters import AttributeFilter
from podium.game.periods import iso
from podium.game.points.boosts import BoostRule, BoostStatus
from podium.game.points.model import Level, PointsSystem, Rounding, Trigger, TriggerType

Instant = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
Attributes = tuple[AttributeFilter, ...]


class PointsTrigger(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The cause of an award. Fields of other types are absent. The type ``leaderboard`` is the reward for a place
    in a final run, ``manual`` an award by support."""

    id: str
    type: TriggerType | Literal["leaderboard", "manual"]
    points: int
    status: Literal["active", "inactive", "archived"]
    user_attributes: Attributes
    created: Instant
    updated: Instant
    metric_id: str | UnsetType = UNSET
    metric_name: str | UnsetType = UNSET
    metric_threshold: int | UnsetType = UNSET
    event_attribute: Annotated[
        AttributeFilter | UnsetType | None, msgspec.Meta(extra_json_schema={"deprecated": True})
    ] = UNSET
    event_attributes: Attributes | UnsetType = UNSET
    streak_length_threshold: int | UnsetType = UNSET
    achievement_id: str | UnsetType = UNSET
    achievement_name: str | UnsetType = UNSET
    time_unit: Literal["hour", "day"] | UnsetType = UNSET
    time_interval: int | UnsetType = UNSET


class PointsBoost(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A boost. Dates are local to the user. Times of day and weekdays (0 is Sunday) are included if set."""

    id: str
    name: str
    status: BoostStatus
    start: date
    end: date | None
    multiplier: float
    rounding: Rounding
    start_time: str | UnsetType = UNSET
    end_time: str | UnsetType = UNSET
    weekdays: tuple[int, ...] | UnsetType = UNSET


class PointsLevel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A level, and its least points."""

    id: str
    key: str
    name: str
    description: str
    badge_url: str | None
    points: int


class PointsAward(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Points that were awarded or deducted, the total after it, the cause, and the boosts that multiplied them."""

    id: str
    awarded: int
    date: Instant
    total: int
    trigger: PointsTrigger
    boosts: list[PointsBoost] | UnsetType = UNSET


class PointsBase(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A points system."""

    id: str
    key: str
    name: str
    description: str | None
    badge_url: str | None
    max_points: int | None


class ShownSystem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A points system and its active triggers."""

    id: str
    name: str
    description: str | None
    badge_url: str | None
    max_points: int | None
    triggers: list[PointsTrigger]


class EventPoints(PointsBase, frozen=True, kw_only=True, rename="camel"):
    """The effect of an event on a user's points. ``level`` is included if it changed; null is below the first
    level."""

    total: int
    added: int
    awards: list[PointsAward]
    level: PointsLevel | UnsetType | None = UNSET


class UserPoints(PointsBase, frozen=True, kw_only=True, rename="camel"):
    """A user's points, level and newest awards."""

    total: int
    level: PointsLevel | None
    awards: list[PointsAward]


class LevelUsers(msgspec.Struct, frozen=True):
    """A level and its number of users."""

    level: PointsLevel
    users: int


class PointsRange(msgspec.Struct, frozen=True):
    """The number of users with ``from`` to ``to`` points, both inclusive."""

    from_: int = msgspec.field(name="from")
    to: int
    users: int


def base(system: PointsSystem) -> dict[str, Any]:
    """Return the common fields of answers about a system, by field of ``PointsBase``."""
    return {
        "id": system.id,
        "key": system.key,
        "name": system.name,
        "description": system.description or None,
        "badge_url": system.badge_url,
        "max_points": system.max_points,
    }


def level(one: Level) -> PointsLevel:
    """Return a level in the form of the API."""
    return PointsLevel(
        id=one.id,
        key=one.key,
        name=one.name,
        description=one.description,
        badge_url=one.badge_url,
        points=one.points,
    )


def boost(rule: BoostRule, moment: datetime) -> PointsBoost:
    """Return a boost with its status at a local time without a zone."""
    one = rule.boost
    return PointsBoost(
        id=one.id,
        name=one.name,
        status=rule.status(moment),
        start=one.start,
        end=one.end,
        multiplier=one.multiplier,
        rounding=one.rounding,
        start_time=one.start_time or UNSET,
        end_time=one.end_time or UNSET,
        weekdays=one.weekdays or UNSET,
    )


def trigger(
    one: Trigger, metric_name: str | None, achievement_name: str | None, *, archived: bool = False
) -> PointsTrigger:
    """Return a trigger in the form of the API."""
    more: dict[str, Any] = {}
    match one.type:
        case "metric":
            more = {
                "metric_id": one.metric_id,
                "metric_name": metric_name or "",
                "metric_threshold": one.metric_threshold,
                "event_attribute": one.event_attributes[0] if one.event_attributes else None,
                "event_attributes": one.event_attributes,
            }
        case "streak":
            more = {"streak_length_threshold": one.streak_length}
        case "achievement":
            more = {"achievement_id": one.achievement_id, "achievement_name": achievement_name or ""}
        case "time":
            more = {"time_unit": "hour" if one.time_unit == "hours" else "day", "time_interval": one.time_interval}
        case _:
            pass
    return PointsTrigger(
        id=one.id,
        type=one.type,
        points=one.points,
        status="archived" if archived else one.status,
        user_attributes=one.user_attributes,
        created=iso(one.created_ms),
        updated=iso(one.updated_ms),
        **more,
    )

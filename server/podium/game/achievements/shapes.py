"""Achievements in the form of the application API (docs/http-api.md#achievements)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from podium.game.achievements.model import Achievement, Kind
from podium.game.filters import AttributeFilter


class AchievementBase(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An achievement. Fields of other triggers are absent; attributes are named by key."""

    id: str
    name: str
    trigger: Kind
    description: str | None
    badge_url: str | None
    user_attributes: tuple[AttributeFilter, ...]
    key: str | UnsetType = UNSET
    streak_length: int | UnsetType = UNSET
    anniversary_years: int | UnsetType = UNSET
    achievement_ids: tuple[str, ...] | UnsetType = UNSET
    metric_id: str | UnsetType = UNSET
    metric_value: float | UnsetType = UNSET
    metric_name: str | UnsetType = UNSET
    event_attribute: Annotated[
        AttributeFilter | UnsetType | None, msgspec.Meta(extra_json_schema={"deprecated": True})
    ] = UNSET
    event_attributes: tuple[AttributeFilter, ...] | UnsetType = UNSET


class UserAchievement(AchievementBase, frozen=True, kw_only=True, rename="camel"):
    """An achievement, and the time at which the user completed it, or null."""

    achieved_at: Annotated[str | None, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class AchievementWithStats(AchievementBase, frozen=True, kw_only=True, rename="camel"):
    """An achievement, the number of users who completed it, and their percentage of all users."""

    completions: int
    rarity: float


class UserAchievementWithStats(AchievementWithStats, frozen=True, kw_only=True, rename="camel"):
    """An achievement with statistics, and the time at which the user completed it."""

    achieved_at: Annotated[str | None, msgspec.Meta(extra_json_schema={"format": "date-time"})]


def fields(one: Achievement, metric_name: str | None) -> dict[str, Any]:
    """Return the common fields of answers about an achievement, by field of ``AchievementBase``."""
    found: dict[str, Any] = {
        "id": one.id,
        "name": one.name,
        "trigger": one.trigger,
        "description": one.description,
        "badge_url": one.badge_url,
        "user_attributes": one.user_attributes,
    }
    match one.trigger:
        case "api":
            found["key"] = one.key
        case "streak":
            found["streak_length"] = one.streak_length
        case "anniversary":
            found["anniversary_years"] = one.anniversary_years
        case "achievement":
            found["achievement_ids"] = one.achievement_ids
        case _:
            found |= {
                "metric_id": one.metric_id,
                "metric_value": one.metric_value,
                "metric_name": metric_name or "",
                "event_attribute": one.event_attributes[0] if one.event_attributes else None,
                "event_attributes": one.event_attributes,
            }
    return found


def rarity(completions: int, users: int) -> float:
    """Return the percentage of all users, to two decimals."""
    return round(100 * min(completions, users) / users, 2) if users else 0.0

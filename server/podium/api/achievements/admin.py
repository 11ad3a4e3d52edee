"""``/admin/v1/achievements`` (docs/http-api.md#achievements)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from podium.game import ids
from podium.game.achievements.model import Achievement, Kind, Status
from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.numbers import UNITS_MAX
from podium.http.badge_urls import Badge, badge, badge_url
from podium.http.catalog_resource import Context, Resource, Update, check_name, check_uuid, given
from podium.http.filters import AttributeFilterItem, Filters, named, shown
from podium.http.references import check_unreferenced, references_to_achievement
from podium.spaces.item_kinds import ACHIEVEMENT, METRIC

DESCRIPTION_MAX = 1_000
"""Most characters in a description."""
PARTS_MAX = 100
"""Most achievements that one with the trigger ``achievement`` is made of."""

Value = Annotated[float, Meta(ge=1, le=1e15)]
Length = Annotated[int, Meta(ge=1, le=100_000)]
Years = Annotated[int, Meta(ge=1, le=200)]
Parts = Annotated[tuple[str, ...], Meta(min_length=1, max_length=PARTS_MAX)]

_OF_TRIGGER: dict[Kind, tuple[str, ...]] = {
    "metric": ("metric_id", "metric_value"),
    "streak": ("streak_length",),
    "api": ("key",),
    "achievement": ("achievement_ids",),
    "anniversary": ("anniversary_years",),
}
"""The fields that each trigger requires."""


class CreateAchievement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """An achievement to create, with the fields that its trigger requires: ``metric`` a metricId and a
    metricValue, ``streak`` a streakLength, ``api`` a key, ``achievement`` the achievementIds that it is made of,
    ``anniversary`` the anniversaryYears."""

    name: str
    trigger: Kind
    description: str | None = None
    status: Status | None = None
    badge: Badge | None = None
    user_attributes: Filters | None = None
    key: str | None = None
    metric_id: str | None = None
    metric_value: Value | None = None
    event_attributes: Filters | None = None
    streak_length: Length | None = None
    anniversary_years: Years | None = None
    achievement_ids: Parts | None = None


class UpdateAchievement(Update, frozen=True, rename="camel"):
    """A change of an achievement; null clears ``description``, ``badge`` and the filters. A change of ``trigger``
    must come with the fields that it requires."""

    name: str | UnsetType = UNSET
    trigger: Kind | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    status: Status | UnsetType = UNSET
    badge: Badge | UnsetType | None = UNSET
    user_attributes: Filters | UnsetType | None = UNSET
    key: str | UnsetType | None = UNSET
    metric_id: str | UnsetType | None = UNSET
    metric_value: Value | UnsetType | None = UNSET
    event_attributes: Filters | UnsetType | None = UNSET
    streak_length: Length | UnsetType | None = UNSET
    anniversary_years: Years | UnsetType | None = UNSET
    achievement_ids: Parts | UnsetType | None = UNSET


class AchievementRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An achievement. Fields of other triggers are absent."""

    id: str
    name: str
    description: str | None
    trigger: Kind
    status: Status
    badge: Badge | None
    user_attributes: list[AttributeFilterItem]
    key: str | UnsetType = UNSET
    metric_id: str | UnsetType = UNSET
    metric_value: float | UnsetType = UNSET
    event_attributes: list[AttributeFilterItem] | UnsetType = UNSET
    streak_length: int | UnsetType = UNSET
    anniversary_years: int | UnsetType = UNSET
    achievement_ids: tuple[str, ...] | UnsetType = UNSET


def _create(context: Context, item: CreateAchievement) -> Achievement:
    fields = {name: value for name, value in msgspec.structs.asdict(item).items() if value is not None}
    id_ = context.new_id()
    converted = _converted(context, fields)
    converted.setdefault("key", None)
    made = {"id": id_, "number": context.editor.take_number()}
    return _checked(context, Achievement(**{**converted, **made}))


def _update(context: Context, before: Achievement, change: UpdateAchievement) -> Achievement:
    # An achievement without a key of its own has its id in ``key`` (``_checked``); that is not to be kept as one.
    bare = before if before.own_key is not None else msgspec.structs.replace(before, key="")
    fields = _converted(context, given(change))
    if "key" in fields and before.own_key is not None and fields["key"] not in (before.key, None):
        raise Unprocessable("key cannot be changed")
    after = msgspec.structs.replace(bare, **fields)
    if after.trigger != before.trigger:
        empty: dict[str, Any] = {"achievement_ids": (), "key": ""}
        gone = [name for name in _OF_TRIGGER[before.trigger] if name not in fields]
        after = msgspec.structs.replace(after, **{name: empty.get(name) for name in gone})
        if after.trigger != "metric" and "event_attributes" not in fields:
            after = msgspec.structs.replace(after, event_attributes=())
    return _checked(context, after)


def _converted(context: Context, fields: dict[str, Any]) -> dict[str, Any]:
    converted = dict(fields)
    if "user_attributes" in converted:
        converted["user_attributes"] = named(context.catalog, "userAttributes", converted["user_attributes"])
    if "event_attributes" in converted:
        filters = converted["event_attributes"]
        converted["event_attributes"] = named(context.catalog, "eventAttributes", filters, "event")
    if converted.get("metric_id") is not None:
        converted["metric_id"] = check_uuid("metricId", converted["metric_id"])
    if "achievement_ids" in converted:
        parts = converted["achievement_ids"] or ()
        converted["achievement_ids"] = tuple(check_uuid("achievementIds", id_) for id_ in parts)
    if "badge" in converted:
        converted["badge_url"] = badge_url(converted.pop("badge"))
    return converted


def _checked(context: Context, one: Achievement) -> Achievement:
    check_name(one.name)
    if one.description is not None:
        ids.check_text("description", one.description, DESCRIPTION_MAX)
    for trigger, names in _OF_TRIGGER.items():
        for name in names:
            there = getattr(one, name) not in (None, (), "")
            if there is not (trigger == one.trigger):
                wire = next(f.encode_name for f in msgspec.structs.fields(Achievement) if f.name == name)
                problem = "can't be used" if there else "is required"
                raise Unprocessable(f"{wire} {problem} with the trigger {one.trigger}")
    if one.event_attributes and one.trigger != "metric":
        raise Unprocessable(f"eventAttributes can't be used with the trigger {one.trigger}")
    if one.trigger == "metric":
        metric = next((metric for metric in METRIC.of(context.catalog) if metric.id == one.metric_id), None)
        if metric is None:
            raise Unprocessable("metricId names no metric")
        if (one.metric_value or 0) * 10**metric.decimals > UNITS_MAX:
            raise Unprocessable("metricValue is too large to be counted exactly")
    if one.trigger == "achievement":
        _check_parts(context, one)
    one = msgspec.structs.replace(one, key=ids.check_key("key", one.key) if one.trigger == "api" else one.id)
    context.check_key(ACHIEVEMENT, one)
    return one


def _check_parts(context: Context, one: Achievement) -> None:
    by_id = {other.id: other for other in ACHIEVEMENT.of(context.catalog)}
    open_, seen = list(one.achievement_ids), set()
    while open_:
        id_ = open_.pop()
        if id_ == one.id:
            raise Unprocessable("achievementIds: an achievement can't be a part of itself")
        if id_ not in by_id:
            raise Unprocessable(f"achievementIds names no achievement: {id_}")
        if id_ not in seen:
            seen.add(id_)
            open_ += by_id[id_].achievement_ids


def _check_archive(catalog: Catalog, one: Achievement) -> None:
    check_unreferenced("Achievement", references_to_achievement(catalog, one.id))


def _row(one: Achievement, catalog: Catalog, _: date) -> AchievementRow:
    more: dict[str, Any] = {name: getattr(one, name) for name in _OF_TRIGGER[one.trigger]}
    if one.trigger == "metric":
        more["event_attributes"] = shown(catalog, one.event_attributes, "event")
    return AchievementRow(
        id=one.id,
        name=one.name,
        description=one.description,
        trigger=one.trigger,
        status=one.status,
        badge=badge(one.badge_url),
        user_attributes=shown(catalog, one.user_attributes),
        **more,
    )


RESOURCE = Resource(
    kind=ACHIEVEMENT,
    path="/admin/v1/achievements",
    create_type=CreateAchievement,
    update_type=UpdateAchievement,
    row_type=AchievementRow,
    create=_create,
    update=_update,
    row=_row,
    check_archive=_check_archive,
)

ENDPOINTS = RESOURCE.endpoints()

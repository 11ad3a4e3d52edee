"""``/admin/v1/points/{systemId}/levels`` (docs/http-api.md#levels)."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from podium.game import ids
from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.numbers import UNITS_MAX
from podium.game.points.model import Level
from podium.http.badge_urls import Badge, badge, badge_url
from podium.http.catalog_resource import Context, Parent, Resource, Update, check_name, given
from podium.spaces.item_kinds import LEVEL, POINTS

DESCRIPTION_MAX = 1_000
"""Most characters in a description."""

Points = Annotated[int, Meta(ge=0, le=UNITS_MAX)]


class CreateLevel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A level to create. Users with ``points`` or more are on it."""

    name: str
    key: str
    points: Points
    description: str | None = None
    badge: Badge | None = None


class UpdateLevel(Update, frozen=True, rename="camel"):
    """A change of a level; null clears ``description`` and ``badge``. ``key`` may be repeated but not changed."""

    name: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    points: Points | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    badge: Badge | UnsetType | None = UNSET


class LevelRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A level."""

    id: str
    name: str
    key: str
    points: int
    description: str
    badge: Badge | None


def new_level(context: Context, item: CreateLevel, system_id: str) -> Level:
    """Return the level to create.

    Raises:
        Unprocessable: A field is not allowed. The message names it.
    """
    level = Level(
        id=context.new_id(),
        number=context.editor.take_number(),
        key=ids.check_key("key", item.key),
        system_id=system_id,
        name=item.name,
        points=item.points,
        description=item.description or "",
        badge_url=badge_url(item.badge),
    )
    return _checked(context, level)


def _create(context: Context, item: CreateLevel) -> Level:
    return new_level(context, item, context.parent)


def _update(context: Context, before: Level, change: UpdateLevel) -> Level:
    fields = given(change)
    if fields.get("key", before.key) != before.key:
        raise Unprocessable("key cannot be changed")
    if "description" in fields:
        fields["description"] = fields["description"] or ""
    if "badge" in fields:
        fields["badge_url"] = badge_url(change.badge or None)
        del fields["badge"]
    return _checked(context, msgspec.structs.replace(before, **fields))


def _checked(context: Context, level: Level) -> Level:
    check_name(level.name)
    ids.check_text("description", level.description, DESCRIPTION_MAX)
    context.check_key(LEVEL, level)
    for other in LEVEL.of(context.catalog):
        if other.system_id == level.system_id and other.points == level.points and other.id != level.id:
            raise Unprocessable(f"points must differ from those of the level {other.key}")
    return level


def level_row(level: Level, _: Catalog, __: date) -> LevelRow:
    """Return a level in the form of the API."""
    return LevelRow(
        id=level.id,
        name=level.name,
        key=level.key,
        points=level.points,
        description=level.description,
        badge=badge(level.badge_url),
    )


RESOURCE = Resource(
    kind=LEVEL,
    path="/admin/v1/points/{systemId}/levels",
    create_type=CreateLevel,
    update_type=UpdateLevel,
    row_type=LevelRow,
    create=_create,
    update=_update,
    row=level_row,
    parent=Parent(POINTS, "systemId", "system_id"),
)

ENDPOINTS = RESOURCE.endpoints()

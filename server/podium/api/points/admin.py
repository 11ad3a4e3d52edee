"""``/admin/v1/points``: points systems (docs/http-api.md#points)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from podium.api.points.boosts import BoostRow, CreateBoost, boost_row, new_boost
from podium.api.points.levels import DESCRIPTION_MAX, CreateLevel, LevelRow, level_row, new_level
from podium.api.points.triggers import CreateTrigger, TriggerRow, new_trigger, trigger_row
from podium.game import ids
from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.numbers import UNITS_MAX
from podium.game.points.model import PointsSystem
from podium.http.badge_urls import Badge, badge, badge_url
from podium.http.catalog_resource import BATCH_MAX, Context, Resource, Update, check_name, given
from podium.http.references import check_unreferenced, references_to_points
from podium.spaces.item_kinds import BOOST, LEVEL, POINTS, TRIGGER

MaxPoints = Annotated[int, Meta(ge=1, le=UNITS_MAX, description="Most points that a user can have.")]
Several = Meta(max_length=BATCH_MAX)


class CreatePointsSystem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A points system to create, optionally with levels, triggers and boosts."""

    name: str
    key: str
    description: str | None = None
    badge: Badge | None = None
    max_points: MaxPoints | None = None
    levels: Annotated[list[CreateLevel], Several] | None = None
    boosts: Annotated[list[CreateBoost], Several] | None = None
    triggers: Annotated[list[CreateTrigger], Several] | None = None


class UpdatePointsSystem(Update, frozen=True, rename="camel"):
    """A change of a points system; null clears ``description``, ``badge`` and ``maxPoints``. ``key`` may be
    repeated but not changed."""

    name: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    badge: Badge | UnsetType | None = UNSET
    max_points: MaxPoints | UnsetType | None = UNSET


class PointsSystemRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A points system."""

    id: str
    name: str
    key: str
    description: str
    status: Literal["active", "archived"] = "active"
    badge: Badge | None
    max_points: int | None


class CreatedPointsSystem(PointsSystemRow, frozen=True, kw_only=True, rename="camel"):
    """A new points system with its levels, triggers and boosts."""

    levels: list[LevelRow]
    boosts: list[BoostRow]
    triggers: list[TriggerRow]


def _create(context: Context, item: CreatePointsSystem) -> PointsSystem:
    system = PointsSystem(
        id=context.new_id(),
        number=context.editor.take_number(),
        key=ids.check_key("key", item.key),
        name=item.name,
        description=item.description or "",
        badge_url=badge_url(item.badge),
        max_points=item.max_points,
    )
    context.check_key(POINTS, _checked(system))
    # All parts are checked before any is inserted, so that a bad one leaves nothing behind.
    levels = [new_level(context, one, system.id) for one in item.levels or ()]
    if len({one.key for one in levels}) < len(levels) or len({one.points for one in levels}) < len(levels):
        raise Unprocessable("levels must have different keys and different points")
    boosts = [new_boost(context, one, system.id) for one in item.boosts or ()]
    triggers = [new_trigger(context, one, system.id) for one in item.triggers or ()]
    for level in levels:
        context.editor.insert(LEVEL, level)
    for boost in boosts:
        context.editor.insert(BOOST, boost)
    for trigger in triggers:
        context.editor.insert(TRIGGER, trigger)
    return system


def _update(_: Context, before: PointsSystem, change: UpdatePointsSystem) -> PointsSystem:
    fields = given(change)
    if fields.get("key", before.key) != before.key:
        raise Unprocessable("key cannot be changed")
    if "description" in fields:
        fields["description"] = fields["description"] or ""
    if "badge" in fields:
        fields["badge_url"] = badge_url(change.badge or None)
        del fields["badge"]
    return _checked(msgspec.structs.replace(before, **fields))


def _checked(system: PointsSystem) -> PointsSystem:
    check_name(system.name)
    ids.check_text("description", system.description, DESCRIPTION_MAX)
    return system


def _check_archive(catalog: Catalog, system: PointsSystem) -> None:
    check_unreferenced("Points system", references_to_points(catalog, system.id))


def _archived(context: Context, system: PointsSystem) -> None:
    editor = context.editor
    editor.archive_all(LEVEL, [one for one in LEVEL.of(context.catalog) if one.system_id == system.id])
    editor.archive_all(BOOST, [one for one in BOOST.of(context.catalog) if one.system_id == system.id])
    editor.archive_all(TRIGGER, [one for one in TRIGGER.of(context.catalog) if one.system_id == system.id])


def _fields(system: PointsSystem) -> dict[str, Any]:
    return {
        "id": system.id,
        "name": system.name,
        "key": system.key,
        "description": system.description,
        "badge": badge(system.badge_url),
        "max_points": system.max_points,
    }


def _row(system: PointsSystem, _: Catalog, __: date) -> PointsSystemRow:
    return PointsSystemRow(**_fields(system))


def _created_row(system: PointsSystem, catalog: Catalog, today: date) -> CreatedPointsSystem:
    mine = system.id
    return CreatedPointsSystem(
        **_fields(system),
        levels=[level_row(one, catalog, today) for one in LEVEL.of(catalog) if one.system_id == mine],
        boosts=[boost_row(one, catalog, today) for one in BOOST.of(catalog) if one.system_id == mine],
        triggers=[trigger_row(one, catalog, today) for one in TRIGGER.of(catalog) if one.system_id == mine],
    )


RESOURCE = Resource(
    kind=POINTS,
    path="/admin/v1/points",
    create_type=CreatePointsSystem,
    update_type=UpdatePointsSystem,
    row_type=PointsSystemRow,
    create=_create,
    update=_update,
    row=_row,
    check_archive=_check_archive,
    archived=_archived,
    created_row=_created_row,
)

ENDPOINTS = RESOURCE.endpoints()

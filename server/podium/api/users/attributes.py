"""``/admin/v1/attributes`` (docs/http-api.md#attributes)."""

from __future__ import annotations

from datetime import date

import msgspec
from msgspec import UNSET, UnsetType

from podium.game import ids
from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.users.model import Attribute, AttributeType
from podium.http.catalog_resource import Context, Resource, Update, check_name, given
from podium.http.references import check_unreferenced, references_to_attribute
from podium.spaces.item_kinds import ATTRIBUTE


class CreateAttribute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """An attribute to create. Keys are unique per type."""

    name: str
    key: str
    type: AttributeType


class UpdateAttribute(Update, frozen=True, rename="camel"):
    """A change of an attribute's name. ``key`` and ``type`` may be repeated but not changed."""

    name: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    type: AttributeType | UnsetType = UNSET


class AttributeRow(msgspec.Struct, frozen=True, rename="camel"):
    """An attribute."""

    id: str
    name: str
    key: str
    type: AttributeType


def _create(context: Context, item: CreateAttribute) -> Attribute:
    attribute = Attribute(
        id=context.new_id(),
        number=context.editor.take_number(),
        key=ids.check_key("key", item.key),
        name=check_name(item.name),
        type=item.type,
    )
    context.check_key(ATTRIBUTE, attribute)
    return attribute


def _update(_: Context, before: Attribute, change: UpdateAttribute) -> Attribute:
    fields = given(change)
    for field in ("key", "type"):
        if field in fields and fields[field] != getattr(before, field):
            raise Unprocessable(f"{field} cannot be changed")
    after = msgspec.structs.replace(before, **fields)
    check_name(after.name)
    return after


def _row(attribute: Attribute, _: Catalog, __: date) -> AttributeRow:
    return AttributeRow(attribute.id, attribute.name, attribute.key, attribute.type)


def _check_archive(catalog: Catalog, attribute: Attribute) -> None:
    check_unreferenced("Attribute", references_to_attribute(catalog, attribute))


RESOURCE = Resource(
    kind=ATTRIBUTE,
    path="/admin/v1/attributes",
    create_type=CreateAttribute,
    update_type=UpdateAttribute,
    row_type=AttributeRow,
    create=_create,
    update=_update,
    row=_row,
    check_archive=_check_archive,
)

ENDPOINTS = RESOURCE.endpoints()

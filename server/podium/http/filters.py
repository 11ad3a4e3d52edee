"""Filters by attributes: the admin API names attributes by id, the catalog by key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from podium.game import ids
from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.filters import AttributeFilter
from podium.game.users.model import AttributeType
from podium.http.catalog_resource import check_uuid
from podium.spaces.item_kinds import ATTRIBUTE

FILTERS_MAX = 10
"""Attributes in a filter."""


class AttributeFilterItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """An attribute, by its id, and the value that it must have."""

    attribute_id: str
    attribute_value: str


Filters = Annotated[tuple[AttributeFilterItem, ...], Meta(max_length=FILTERS_MAX)]


def attribute_key(catalog: Catalog, field: str, id_: str, type_: AttributeType = "user") -> str:
    """Return the key of an attribute. Raises ``Unprocessable``, naming the field, where there is none."""
    wanted = check_uuid(field, id_)
    for attribute in ATTRIBUTE.of(catalog):
        if attribute.id == wanted and attribute.type == type_:
            return attribute.key
    raise Unprocessable(f"{field} names no {type_} attribute: {wanted}")


def named(
    catalog: Catalog, field: str, items: Iterable[AttributeFilterItem] | None, type_: AttributeType = "user"
) -> tuple[AttributeFilter, ...]:
    """Return filters for the catalog. Raises ``Unprocessable``, naming the field, for an invalid one."""
    filters = tuple(
        AttributeFilter(attribute_key(catalog, field, item.attribute_id, type_), item.attribute_value)
        for item in items or ()
    )
    for one in filters:
        ids.check_text(field, one.value, ids.ATTRIBUTE_VALUE_MAX)
        if not one.value:
            raise Unprocessable(f"{field}: attributeValue must not be empty")
    if len({one.key for one in filters}) < len(filters):
        raise Unprocessable(f"{field} names an attribute twice")
    return filters


def shown(
    catalog: Catalog, filters: Iterable[AttributeFilter], type_: AttributeType = "user"
) -> list[AttributeFilterItem]:
    """Return filters for an answer."""
    id_of = {attribute.key: attribute.id for attribute in ATTRIBUTE.of(catalog) if attribute.type == type_}
    return [AttributeFilterItem(id_of[one.key], one.value) for one in filters if one.key in id_of]

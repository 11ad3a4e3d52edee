"""The catalog as a document: the bodies of the admin API, with keys and names instead of ids.

Its types are derived from those bodies, so that a new field of the API is part of the document at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

import msgspec

from podium.api.achievements import admin as achievements
from podium.api.catalog.handles import Handle, paired
from podium.api.leaderboards import admin as leaderboards
from podium.api.metrics import admin as metrics
from podium.api.points import admin as points
from podium.api.points import boosts as boosting
from podium.api.points import levels, triggers
from podium.api.settings import admin as settings
from podium.api.streaks import settings as streaks
from podium.api.users import attributes as users
from podium.game.catalog import Catalog
from podium.game.errors import Unprocessable
from podium.game.ids import printable
from podium.game.periods import at
from podium.http.catalog_resource import Resource
from podium.spaces.item_kinds import ACHIEVEMENT, ATTRIBUTE, METRIC, POINTS

Fields = dict[str, Any]
"""An item of the document, or a body of the admin API, by wire names."""
_ANY_DAY = at(0).date()
"""An arbitrary date. Values that depend on the day (a status by dates) are not in a document."""


class Reference(NamedTuple):
    """A field that holds ids: its name in the document, the kind of the items, and True if it is a list."""

    name: str
    to: str
    several: bool = False


_REFERENCES = {
    "metricId": Reference("metric", "metric"),
    "pointsSystemId": Reference("pointsSystem", "points system"),
    "achievementId": Reference("achievement", "achievement"),
    "achievementIds": Reference("achievements", "achievement", several=True),
    "breakdownAttributes": Reference("breakdownAttributes", "user attribute", several=True),
    "groupBy": Reference("groupBy", "user attribute"),
}
_FILTERS = {"userAttributes": "user attribute", "eventAttributes": "event attribute"}
"""Fields that hold attribute ids with values. The document has the attributes' keys."""
_OF_ONE_USER = "userId"
"""The field of boosts of single users. They are not part of a document, which never changes users."""
_IDS = {reference.name: id_ for id_, reference in _REFERENCES.items()}
_ID_WORDS = re.compile(rf"\b({'|'.join(_REFERENCES)})\b")


@dataclass(frozen=True, slots=True)
class Section:
    """A list of the document. ``handle`` returns the name of an item among the others."""

    name: str
    resource: Resource[Any, Any, Any, Any]
    handle: Callable[[Fields], Handle]
    parts: tuple[Section, ...] = ()

    def items(self, catalog: Catalog) -> dict[str, list[Any]]:
        """Return a catalog's items in the order of creation, by the id of their parent ("" without one)."""
        of = self.resource.parent
        found: dict[str, list[Any]] = {}
        for item in self.resource.kind.of(catalog):
            if getattr(item, "user_id", None) is None:
                found.setdefault("" if of is None else getattr(item, of.field), []).append(item)
        return found


def _key(fields: Fields) -> Handle:
    return Handle(fields["key"], own=True)


def _goal(fields: Fields) -> Handle:
    key = fields.get("key")
    return Handle(key or fields["name"], own=bool(key))


def _trigger(fields: Fields) -> Handle:
    of = [fields[name] for name in ("metric", "achievement", "streakLength", "timeInterval") if name in fields]
    return Handle(" ".join(map(str, (fields["type"], *of))))


SECTIONS = (
    Section("attributes", users.RESOURCE, lambda fields: Handle(f"{fields['type']} {fields['key']}", own=True)),
    Section("metrics", metrics.RESOURCE, _key),
    Section("achievements", achievements.RESOURCE, _goal),
    Section(
        "points",
        points.RESOURCE,
        _key,
        (
            Section("levels", levels.RESOURCE, _key),
            Section("triggers", triggers.RESOURCE, _trigger),
            Section("boosts", boosting.RESOURCE, lambda fields: Handle(fields["name"])),
        ),
    ),
    Section("leaderboards", leaderboards.RESOURCE, _key),
)
"""In the order of creation: sections that others refer to come first."""


class Names:
    """The mapping between the ids of a catalog's items and their names in a document, in both directions.

    ``goals`` are the achievements of the document, if any. Their names have precedence over those of other
    achievements of the catalog. Items that are created are added with ``add``, items that can't be with ``fail``.
    """

    def __init__(self, catalog: Catalog, goals: Sequence[Fields] = ()) -> None:
        self.ids: dict[str, dict[str, str]] = {kind: {} for kind in _NAMED}
        self.names: dict[str, dict[str, str]] = {kind: {} for kind in _NAMED}
        self._keys: dict[str, str] = {}
        self._by_key: dict[str, str] = {}
        self._failed: set[tuple[str, str]] = set()
        for kind in (METRIC, POINTS, ATTRIBUTE):
            for item in kind.of(catalog):
                self.add(kind.name, item, item.key)
        there = ACHIEVEMENT.of(catalog)
        pairs = paired(
            [_goal(one) for one in goals], [Handle(one.own_key or one.name, bool(one.own_key)) for one in there]
        )
        for name, place in (*zip(pairs.names, pairs.at, strict=True), *pairs.rest):
            if place is not None:
                self.add("achievement", there[place], name)

    def add(self, kind: str, item: Any, name: str) -> None:
        """Add an item of a kind, with its name in the document."""
        if kind == "attribute":
            kind, name = f"{item.type} attribute", item.key
        if kind not in self.ids:
            return
        self.ids[kind][name] = item.id
        self.names[kind][item.id] = name
        if kind == "achievement":
            self._keys[item.id] = item.key
            self._by_key[item.key] = item.id

    def fail(self, kind: str, fields: Fields, name: str) -> None:
        """Record that an item can't be created, so that items which refer to it get an error that says so."""
        if kind == "attribute":
            kind, name = f"{fields['type']} attribute", fields["key"]
        self._failed.add((kind, name))

    def id_of(self, field: str, kind: str, name: str) -> str:
        """Return the id of the item with that name.

        Raises:
            Unprocessable: There is none. The message names ``field``.
        """
        found = self.ids[kind].get(name)
        if found is None:
            shown = printable(name[:100])
            if (kind, name) in self._failed:
                raise Unprocessable(f"{field} names {kind} {shown}, which can't be created")
            raise Unprocessable(f"{field} names no {kind}: {shown}")
        return found

    def key_of(self, field: str, achievement: str) -> str:
        """Return the key by which rewards refer to an achievement."""
        return self._keys[self.id_of(field, "achievement", achievement)]

    def achievement_with_key(self, key: str) -> str:
        """Return the document's name of the achievement to which rewards refer by a key."""
        return self.names["achievement"].get(self._by_key.get(key, key), key)


_NAMED = ("metric", "points system", "achievement", "user attribute", "event attribute")


_FIELD_TYPES: dict[Any, dict[str, Any]] = {}


def field_types(type_: Any) -> Mapping[str, Any]:
    """Return the types of a body's fields by wire name."""
    if type_ not in _FIELD_TYPES:  # the lookup takes longer than everything else about an item
        _FIELD_TYPES[type_] = {field.encode_name: field.type for field in msgspec.structs.fields(type_)}
    return _FIELD_TYPES[type_]


def shown(section: Section, item: Any, catalog: Catalog, names: Names) -> Fields:
    """Return an item in the form of the document, without fields that are not set."""
    row: Fields = msgspec.to_builtins(section.resource.row(item, catalog, _ANY_DAY))
    if section.name == "leaderboards":
        row["status"] = item.status
    known = field_types(section.resource.create_type)
    found: Fields = {}
    for field, value in row.items():
        if field not in known or field == _OF_ONE_USER or value in (None, "", [], ()):
            continue
        if (reference := _REFERENCES.get(field)) is not None:
            of = names.names[reference.to]
            found[reference.name] = [of[id_] for id_ in value] if reference.several else of[value]
        elif (kind := _FILTERS.get(field)) is not None:
            found[field] = {names.names[kind][one["attributeId"]]: one["attributeValue"] for one in value}
        elif field == "rewards":
            found[field] = [
                {**one, "achievementKey": names.achievement_with_key(one["achievementKey"])}
                if "achievementKey" in one
                else one
                for one in value
            ]
        else:
            found[field] = value
    return found


def body(fields: Mapping[str, Any], names: Names) -> Fields:
    """Return fields of a document in the form of the admin API.

    Raises:
        Unprocessable: A field refers to an item that doesn't exist.
    """
    found: Fields = {}
    for field, value in fields.items():
        api = api_name(field)
        if value is None:
            found[api] = None
        elif (reference := _REFERENCES.get(api)) is not None:
            wanted = value if reference.several else [value]
            ids = [names.id_of(field, reference.to, name) for name in wanted]
            found[api] = ids if reference.several else ids[0]
        elif (kind := _FILTERS.get(field)) is not None:
            found[field] = [
                {"attributeId": names.id_of(field, kind, key), "attributeValue": text}
                for key, text in value.items()
            ]
        elif field == "rewards":
            found[field] = [
                {**one, "achievementKey": names.key_of("rewards", one["achievementKey"])}
                if one.get("achievementKey")
                else one
                for one in value
            ]
        else:
            found[field] = value
    return found


def api_name(field: str) -> str:
    """Return the admin API's name of a field of the document."""
    return _IDS.get(field, field)


def in_document(text: str) -> str:
    """Return a sentence of the admin API with the document's field names."""
    return _ID_WORDS.sub(lambda found: _REFERENCES[found[0]].name, text)


def export(catalog: Catalog) -> Fields:
    """Return the catalog as a document. Sections and parts without items are empty lists."""
    names = Names(catalog)
    found: Fields = {
        "settings": msgspec.to_builtins(settings.show_settings(catalog)),
        "streaks": msgspec.to_builtins(streaks.show_settings(catalog)),
    }
    for section in SECTIONS:
        parts = [(part, part.items(catalog)) for part in section.parts]
        found[section.name] = [
            shown(section, item, catalog, names)
            | {
                part.name: [shown(part, one, catalog, names) for one in items.get(item.id, ())]
                for part, items in parts
            }
            for item in section.items(catalog).get("", ())
        ]
    return found


def _type(section: Section, name: str) -> Any:
    """Return the struct type of an item in the document."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(section.resource.create_type):
        type_: Any = field.type
        wire = field.encode_name
        if wire == _OF_ONE_USER or wire in {part.name for part in section.parts}:
            continue
        if (reference := _REFERENCES.get(wire)) is not None:
            wire, type_ = reference.name, tuple[str, ...] if reference.several else str
        elif wire in _FILTERS:
            type_ = dict[str, str]
        fields.append((wire, type_) if field.required else _optional(wire, type_))
    fields += [_optional(part.name, list[_type(part, _PARTS[part.name])]) for part in section.parts]  # type: ignore[misc]
    return _struct(name, fields, in_document(section.resource.create_type.__doc__ or ""))


_PARTS = {"levels": "CatalogLevel", "triggers": "CatalogTrigger", "boosts": "CatalogBoost"}


def _optional(name: str, type_: Any) -> tuple[str, Any, Any]:
    """Return the definition of a field that may be left out. Null is refused: it would mean the same."""
    kinds = get_args(type_) if get_origin(type_) in (Union, UnionType) else (type_,)
    some = tuple(kind for kind in kinds if kind is not type(None))
    return (name, Union[(*some, msgspec.UnsetType)], msgspec.UNSET)


def _struct(name: str, fields: Sequence[Any], doc: str) -> Any:
    return msgspec.defstruct(
        name,
        fields,
        namespace={"__doc__": doc},
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
    )


CatalogDocument: Any = _struct(
    "CatalogDocument",
    [
        _optional("settings", settings.ChangeSettings),
        *(
            _optional(section.name, list[_type(section, f"Catalog{section.name.title()}Item")])  # type: ignore[misc]
            for section in SECTIONS
        ),
        _optional("streaks", streaks.ChangeSettings),
    ],
    "A catalog: the items of the admin API, with keys and names instead of ids. Sections that are left out stay "
    "as "
    "they are, and so do fields that can't be empty. Other fields that are left out are cleared.",
)

"""The catalog as a document: the bodies of the admin API, with keys and names in the place of ids.

Its types are made from those bodies, so that a field which is added there is here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from server.core.errors import Unprocessable
from server.core.ids import printable
from server.core.periods import at
from server.engine.catalog import Catalog
from server.features.achievements import admin as achievements
from server.features.leaderboards import admin as leaderboards
from server.features.metrics import admin as metrics
from server.features.points import admin as points
from server.features.points import boosting, levels, triggers
from server.features.settings import admin as settings
from server.features.streaks import settings as streaks
from server.features.users import admin as users
from server.http.resource import Resource
from server.spaces.kinds import ACHIEVEMENT, ATTRIBUTE, METRIC, POINTS

Fields = dict[str, Any]
"""An item of the document, or a body of the admin API, by wire names."""
_ANY_DAY = at(0).date()
"""What depends on the day (a status by dates) is not in a document."""


class Reference(NamedTuple):
    """A field with ids: its name in the document, what the ids are of, whether there are several."""

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
"""Lists of an attribute's id and a value; in the document key and value."""
_OF_ONE_USER = "userId"
"""Marks boosts of single users, which are no part of a document: it never touches users."""
_IDS = {reference.name: id_ for id_, reference in _REFERENCES.items()}


@dataclass(frozen=True, slots=True)
class Section:
    """A list of the document: ``handle`` says what an item, as in the document, is called among the others."""

    name: str
    resource: Resource[Any, Any, Any, Any]
    handle: Callable[[Fields], str]
    parts: tuple[Section, ...] = ()

    def items(self, catalog: Catalog, parent: str) -> list[Any]:
        """The items of a catalog, as parts of the one with the id ``parent``."""
        of = self.resource.parent
        items = self.resource.kind.of(catalog)
        return [
            item
            for item in items
            if (of is None or getattr(item, of.field) == parent) and getattr(item, "user_id", None) is None
        ]


def _key(fields: Fields) -> str:
    return str(fields["key"])


def _trigger(fields: Fields) -> str:
    of = [fields[name] for name in ("metric", "achievement", "streakLength", "timeInterval") if name in fields]
    return " ".join(map(str, (fields["type"], *of)))


SECTIONS = (
    Section("attributes", users.RESOURCE, lambda fields: f"{fields['type']} {fields['key']}"),
    Section("metrics", metrics.RESOURCE, _key),
    Section("achievements", achievements.RESOURCE, lambda fields: str(fields.get("key") or fields["name"])),
    Section(
        "points",
        points.RESOURCE,
        _key,
        (
            Section("levels", levels.RESOURCE, _key),
            Section("triggers", triggers.RESOURCE, _trigger),
            Section("boosts", boosting.RESOURCE, lambda fields: str(fields["name"])),
        ),
    ),
    Section("leaderboards", leaderboards.RESOURCE, _key),
)
"""In the order in which they may be made: what others name comes first."""


def numbered(handles: Iterable[str]) -> list[str]:
    """The handles, each once: the second of equals has #2 behind it."""
    seen: dict[str, int] = {}
    found = []
    for handle in handles:
        seen[handle] = seen.get(handle, 0) + 1
        found.append(handle if seen[handle] == 1 else f"{handle}#{seen[handle]}")
    return found


class Names:
    """Ids of a catalog's items by what the document calls them, and the other way round."""

    def __init__(self, catalog: Catalog) -> None:
        goals = ACHIEVEMENT.of(catalog)
        handles = numbered(one.own_key or one.name for one in goals)
        self.ids: dict[str, dict[str, str]] = {
            "metric": {one.key: one.id for one in METRIC.of(catalog)},
            "points system": {one.key: one.id for one in POINTS.of(catalog)},
            "achievement": {handle: one.id for handle, one in zip(handles, goals, strict=True)},
            "user attribute": {one.key: one.id for one in ATTRIBUTE.of(catalog) if one.type == "user"},
            "event attribute": {one.key: one.id for one in ATTRIBUTE.of(catalog) if one.type == "event"},
        }
        self.names = {kind: {id_: name for name, id_ in ids.items()} for kind, ids in self.ids.items()}
        self._keys = {one.id: one.key for one in goals}

    def id_of(self, field: str, kind: str, name: str) -> str:
        """The id; 422 naming the field where there is none such."""
        found = self.ids[kind].get(name)
        if found is None:
            raise Unprocessable(f"{field} names no {kind}: {printable(name[:100])}")
        return found

    def key_of(self, field: str, achievement: str) -> str:
        """The key by which rewards know an achievement."""
        return self._keys[self.id_of(field, "achievement", achievement)]

    def achievement_with_key(self, key: str) -> str:
        """The achievement that rewards know by a key."""
        id_ = next((id_ for id_, own in self._keys.items() if own == key), key)
        return self.names["achievement"].get(id_, key)


def shown(section: Section, item: Any, catalog: Catalog) -> Fields:
    """An item as in the document, without what is not set."""
    names = Names(catalog)
    row: Fields = msgspec.to_builtins(section.resource.row(item, catalog, _ANY_DAY))
    if section.name == "leaderboards":
        row["status"] = item.status
    known = {field.encode_name for field in msgspec.structs.fields(section.resource.create_type)}
    found: Fields = {}
    for field, value in row.items():
        if field not in known or field == _OF_ONE_USER or value in (None, "", []):
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


def body(fields: Mapping[str, Any], catalog: Catalog) -> Fields:
    """Fields of a document as the admin API takes them; 422 where one names nothing."""
    names = Names(catalog)
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
    """What the admin API calls a field of the document."""
    return _IDS.get(field, field)


def export(catalog: Catalog) -> Fields:
    """The whole catalog as a document."""
    found: Fields = {
        "settings": msgspec.to_builtins(settings.show_settings(catalog)),
        "streaks": msgspec.to_builtins(streaks.show_settings(catalog)),
    }
    for section in SECTIONS:
        found[section.name] = _listed(section, catalog, "")
    return found


def _listed(section: Section, catalog: Catalog, parent: str) -> list[Fields]:
    rows = []
    for item in section.items(catalog, parent):
        row = shown(section, item, catalog)
        for part in section.parts:
            if parts := _listed(part, catalog, item.id):
                row[part.name] = parts
        rows.append(row)
    return rows


def _type(section: Section, name: str) -> Any:
    """The type of an item in the document."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(section.resource.create_type):
        type_: Any = field.type
        wire = field.encode_name
        if wire == _OF_ONE_USER or wire in {part.name for part in section.parts}:
            continue
        if (reference := _REFERENCES.get(wire)) is not None:
            wire, type_ = reference.name, tuple[str, ...] | None if reference.several else str | None
        elif wire in _FILTERS:
            type_ = dict[str, str] | None
        fields.append((wire, type_) if field.required else (wire, type_, None))
    for part in section.parts:
        type_ = list[_type(part, "Catalog" + part.name.title().removesuffix("s"))]  # type: ignore[misc]
        fields.append((part.name, type_ | None, None))
    return _struct(name, fields, section.resource.create_type.__doc__ or "")


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
        ("settings", settings.ChangeSettings | None, None),
        *(
            (section.name, list[_type(section, f"Catalog{section.name.title()}Item")] | None, None)  # type: ignore[misc]
            for section in SECTIONS
        ),
        ("streaks", streaks.ChangeSettings | None, None),
    ],
    "A catalog: what the admin API makes, with keys and names in the place of ids. A section that is left out "
    "stays as it is; so does a field that can't be empty. Any other field that is left out is cleared.",
)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a document, for editors."""
    schema = msgspec.json.schema(CatalogDocument)
    # Editors read the schema's own name from the file.
    definition = schema["$defs"]["CatalogDocument"]
    definition["properties"]["$schema"] = {"type": "string"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

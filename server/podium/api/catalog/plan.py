"""Plan and apply the changes from a catalog to a document, item by item, by the rules of the admin API."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from podium.api.catalog.document import (
    SECTIONS,
    Fields,
    Names,
    Section,
    api_name,
    body,
    field_types,
    in_document,
    shown,
)
from podium.api.catalog.handles import ordered, paired
from podium.api.settings import admin as settings
from podium.api.streaks import settings as streaks
from podium.game.board_limits import check_moves
from podium.game.catalog import Catalog
from podium.game.errors import RequestError, Unprocessable
from podium.game.ids import printable
from podium.game.rule_limits import check_achievements, check_triggers
from podium.http import bodies
from podium.http.catalog_resource import Context

CIRCLE_SHOWN_MAX = 10
"""Most achievements of a cycle that an issue names."""
_There = tuple[str, Any, Fields]
"""An item of the catalog: its name in the document, the item, and the item in the form of the document."""


class FieldChange(msgspec.Struct, frozen=True):
    """A changed field with its values before and after; null where it is not set."""

    field: str
    before: Any
    after: Any


class PlannedChange(msgspec.Struct, frozen=True):
    """One item that is created, updated or archived."""

    action: Literal["create", "update", "archive"]
    section: str
    item: str
    fields: list[FieldChange]


class PlanIssue(msgspec.Struct, frozen=True):
    """The reason for which an item can't be as the document wants it."""

    section: str
    item: str
    message: str


class Plan(msgspec.Struct, frozen=True):
    """The changes from the catalog to a document. A plan with ``issues`` can't be applied."""

    changes: list[PlannedChange]
    issues: list[PlanIssue]
    applied: bool = False


@dataclass(slots=True)
class _Wanted:
    """An item of the document. ``item`` and ``before`` are the catalog's item that it matches, if any."""

    section: Section
    path: str
    name: str
    fields: Fields
    parent: str
    item: Any
    before: Fields | None


@dataclass(slots=True)
class Planner:
    """Changes the catalog of ``context`` to match a document, in memory.

    With ``prune`` items that the document's sections don't name are archived.
    """

    context: Context
    document: Fields
    prune: bool
    changes: list[PlannedChange] = field(default_factory=list)
    issues: list[PlanIssue] = field(default_factory=list)
    _names: Names = field(init=False)
    _parts: dict[str, dict[str, list[Any]]] = field(default_factory=dict)

    def run(self) -> Plan:
        """Change the catalog, and return the changes and issues. The time is about linear in the number of
        items."""
        self._names = Names(self._catalog, self.document.get("achievements", ()))
        before, self.context.editor.checks_moves = (
            self._catalog,
            False,
        )  # pruning makes room for new items before limits are checked
        rest = []
        for section in SECTIONS:
            if section.name in self.document:
                there = section.items(self._catalog).get("", [])
                rest.append((section, self._bring(section, section.name, self.document[section.name], "", there)))
        self._single("streaks", streaks)
        self._single("settings", settings)
        if self.prune:
            for section, unnamed in reversed(rest):
                self._archive(section, section.name, unnamed)
        checks = ((check_moves, "leaderboards"), (check_triggers, "points"), (check_achievements, "achievements"))
        for check, section_name in checks:
            try:
                check(before, self._catalog)
            except RequestError as error:
                self.issues.append(PlanIssue(section_name, "", error.message))
        return Plan(self.changes, self.issues)

    @property
    def _catalog(self) -> Catalog:
        return self.context.catalog

    def _bring(
        self, section: Section, path: str, wanted: list[Fields], parent: str, there: list[Any]
    ) -> list[_There]:
        """Change the items ``there`` to ``wanted``, and return the items that the document doesn't have."""
        before = [shown(section, item, self._catalog, self._names) for item in there]
        pairs = paired([section.handle(fields) for fields in wanted], [section.handle(one) for one in before])
        rest = [(name, there[at], before[at]) for name, at in pairs.rest]
        if parent and self.prune:  # nothing refers to parts, and they could be in the way of new ones
            self._archive(section, path, rest)
            rest = []
        parts = {part.name for part in section.parts}
        open_ = [
            _Wanted(
                section,
                path,
                name,
                {k: v for k, v in fields.items() if k not in parts},
                parent,
                *((None, None) if at is None else (there[at], before[at])),
            )
            for name, fields, at in zip(pairs.names, wanted, pairs.at, strict=True)
        ]
        for one in self._ordered(section, open_, rest):
            self._try(one)
        for one, fields in zip(open_, wanted, strict=True):
            for part in section.parts:
                if one.item is not None and part.name in fields:
                    if part.name not in self._parts:
                        self._parts[part.name] = part.items(self._catalog)
                    those = self._parts[part.name].get(one.item.id, [])
                    self._bring(part, f"{path} {one.name} {part.name}", fields[part.name], one.item.id, those)
        return rest

    def _ordered(self, section: Section, open_: list[_Wanted], rest: list[_There]) -> list[_Wanted]:
        """Return the items, each after those that it refers to or whose key it takes over. Cycles become
        issues."""
        if section.name == "levels":
            holder = {one.before["points"]: at for at, one in enumerate(open_) if one.before is not None}
            needs = {at: [holder.get(one.fields["points"], at)] for at, one in enumerate(open_)}
            needs = {at: those for at, those in needs.items() if those != [at]}
            order, stuck, _ = ordered(len(open_), needs)
            return [open_[at] for at in (*order, *stuck)]
        if section.name != "achievements":
            return open_
        names = [*(one.name for one in open_), *(name for name, *_ in rest)]
        made_of = [*(one.fields for one in open_), *(before for *_, before in rest)]
        place = {name: at for at, name in enumerate(names)}
        order, stuck, circle = ordered(
            len(names),
            {
                at: [place[part] for part in fields.get("achievements", ()) if part in place]
                for at, fields in enumerate(made_of)
            },
        )
        circular = set(circle)
        cycle_text = " → ".join(names[at] for at in circle[:CIRCLE_SHOWN_MAX])
        if len(circle) > CIRCLE_SHOWN_MAX:
            cycle_text += " → …"
        for at in stuck:
            if at < len(open_):
                self._refuse(
                    open_[at],
                    f"achievements form a cycle: {cycle_text}"
                    if at in circular
                    else "achievements lead into a cycle",
                )
        return [open_[at] for at in order if at < len(open_)]

    def _try(self, wanted: _Wanted) -> None:
        """Create or update one item, or add an issue if that fails."""
        try:
            if wanted.item is None:
                self._create(wanted)
            else:
                self._update(wanted)
        except RequestError as error:
            self._refuse(wanted, in_document(error.message))

    def _refuse(self, wanted: _Wanted, why: str) -> None:
        if wanted.item is None:
            self._names.fail(wanted.section.resource.kind.name, wanted.fields, wanted.name)
        self.issues.append(PlanIssue(wanted.path, printable(wanted.name), printable(why)))

    def _create(self, wanted: _Wanted) -> None:
        section, resource = wanted.section, wanted.section.resource
        given = bodies.convert(body(wanted.fields, self._names), resource.create_type, "The item")
        item = resource.create(replace(self.context, parent=wanted.parent), given)
        self.context.editor.insert(resource.kind, item)
        self._done(wanted, item)
        self._note("create", wanted.path, wanted.name, {}, shown(section, item, self._catalog, self._names))

    def _update(self, wanted: _Wanted) -> None:
        section, resource, item = wanted.section, wanted.section.resource, wanted.item
        before = wanted.before or {}
        patch = _patch(section, before, wanted.fields)
        if not patch:
            return
        given = bodies.convert({"id": item.id, **body(patch, self._names)}, resource.update_type, "The item")
        after = resource.update(replace(self.context, parent=wanted.parent), item, given)
        self.context.editor.update(resource.kind, item, after)
        self._done(wanted, after)
        self._note("update", wanted.path, wanted.name, before, shown(section, after, self._catalog, self._names))

    def _done(self, wanted: _Wanted, item: Any) -> None:
        wanted.item = item
        self._names.add(wanted.section.resource.kind.name, item, wanted.name)

    def _single(self, name: str, module: Any) -> None:
        """Change a section that is a single object, like the settings."""
        wanted = self.document.get(name)
        if wanted is None:
            return
        before = msgspec.to_builtins(module.show_settings(self._catalog))
        if _merged(before, wanted) == before:
            return
        try:
            module.change_settings(self.context, bodies.convert(wanted, module.ChangeSettings, name))
        except RequestError as error:
            self.issues.append(PlanIssue(name, "", printable(error.message)))
            return
        self._note("update", name, "", before, msgspec.to_builtins(module.show_settings(self._catalog)))

    def _archive(self, section: Section, path: str, unnamed: list[_There]) -> None:
        """Archive items, each after the items that are made of it."""
        resource = section.resource
        place = {item.id: at for at, (_, item, _) in enumerate(unnamed)}
        order, stuck, _ = ordered(
            len(unnamed),
            {
                at: [place[id_] for id_ in getattr(item, "achievement_ids", ()) if id_ in place]
                for at, (_, item, _) in enumerate(unnamed)
            },
        )
        for name, item, before in (unnamed[at] for at in reversed((*order, *stuck))):
            try:
                if resource.check_archive is not None:
                    resource.check_archive(self._catalog, item)
            except RequestError as error:
                self.issues.append(PlanIssue(path, printable(name), printable(in_document(error.message))))
                continue
            self._note("archive", path, name, before, {})
            self.context.editor.archive(resource.kind, item)
            if resource.archived is not None:
                resource.archived(self.context, item)

    def _note(
        self, action: Literal["create", "update", "archive"], name: str, handle: str, before: Fields, after: Fields
    ) -> None:
        fields = [
            FieldChange(one, before.get(one), after.get(one))
            for one in dict.fromkeys((*before, *after))
            if before.get(one) != after.get(one)
        ]
        if fields:
            self.changes.append(PlannedChange(action, name, printable(handle), fields))


def _patch(section: Section, before: Fields, wanted: Fields) -> Fields:
    """Return the fields of an item that change, in the form of the document. None clears a field."""
    known = field_types(section.resource.update_type)
    patch: Fields = {}
    for name in dict.fromkeys((*before, *wanted)):
        value, now = wanted.get(name), before.get(name)
        if value in (None, "", [], (), {}):
            value = None
        if section.name == "leaderboards" and name == "status" and value == "scheduled":
            value = "active"  # a scheduled leaderboard is an active one with a start to come
        if value == now or (isinstance(value, tuple) and list(value) == now):
            continue
        type_ = known.get(api_name(name))
        if type_ is None:
            raise Unprocessable(f"{name} cannot be changed")
        if value is None and not _may_be_none(type_):
            continue
        patch[name] = value
    return patch


def _may_be_none(type_: Any) -> bool:
    return type(None) in getattr(type_, "__args__", ())


def _merged(before: Any, wanted: Any) -> Any:
    """Return a value with the wanted fields merged into it."""
    if not isinstance(before, dict) or not isinstance(wanted, dict):
        return wanted
    return {**before, **{name: _merged(before.get(name), value) for name, value in wanted.items()}}

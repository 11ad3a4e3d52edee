"""What would bring a catalog to a document, and doing it: by the admin API's own rules, item by item."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from server.core.errors import RequestError, Unprocessable
from server.core.ids import printable
from server.engine.catalog import Catalog
from server.features.catalog.document import SECTIONS, Fields, Section, api_name, body, numbered, shown
from server.features.settings import admin as settings
from server.features.streaks import settings as streaks
from server.http import bodies
from server.http.resource import Context


class FieldChange(msgspec.Struct, frozen=True):
    """A field, and its values; null where it is not set."""

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
    """Why an item can't be as the document wants it."""

    section: str
    item: str
    message: str


class Plan(msgspec.Struct, frozen=True):
    """What differs from a document. With ``issues`` it can't be applied."""

    changes: list[PlannedChange]
    issues: list[PlanIssue]
    applied: bool = False


@dataclass(slots=True)
class _Wanted:
    """An item of the document on its way into the catalog."""

    section: Section
    name: str
    handle: str
    fields: Fields
    parent: str
    problem: str = ""


@dataclass(slots=True)
class Planner:
    """Brings the catalog of ``context`` to a document, in memory.

    With ``prune`` what the document's sections don't name is archived.
    """

    context: Context
    document: Fields
    prune: bool
    changes: list[PlannedChange] = field(default_factory=list)
    issues: list[PlanIssue] = field(default_factory=list)

    def run(self) -> Plan:
        """What was done, and what could not be."""
        for section in SECTIONS:
            wanted = self.document.get(section.name)
            if wanted is not None:
                self._bring(section, section.name, wanted, "")
        self._single("streaks", streaks)
        self._single("settings", settings)
        if self.prune:
            for section in reversed(SECTIONS):
                if section.name in self.document:
                    self._prune(section, section.name, self.document[section.name], "")
        return Plan(self.changes, self.issues)

    @property
    def _catalog(self) -> Catalog:
        return self.context.catalog

    def _bring(self, section: Section, name: str, wanted: list[Fields], parent: str) -> None:
        handles = numbered(section.handle(fields) for fields in wanted)
        parts = {part.name for part in section.parts}
        open_ = [
            _Wanted(section, name, handle, {k: v for k, v in fields.items() if k not in parts}, parent)
            for handle, fields in zip(handles, wanted, strict=True)
        ]
        # One may name, or stand in the way of, a later one: those that fail are tried again after the others.
        while open_:
            left = [one for one in open_ if not self._try(one)]
            if len(left) == len(open_):
                self.issues += [PlanIssue(one.name, printable(one.handle), one.problem) for one in left]
                break
            open_ = left
        for handle, fields in zip(handles, wanted, strict=True):
            item = self._existing(section, parent).get(handle)
            for part in section.parts:
                if item is not None and fields.get(part.name) is not None:
                    self._bring(part, f"{name} {handle} {part.name}", fields[part.name], item.id)

    def _existing(self, section: Section, parent: str) -> dict[str, Any]:
        items = section.items(self._catalog, parent)
        handles = numbered(section.handle(shown(section, item, self._catalog)) for item in items)
        return dict(zip(handles, items, strict=True))

    def _try(self, wanted: _Wanted) -> bool:
        """Create or update one item; False where it can't be, or not yet."""
        before = self._existing(wanted.section, wanted.parent).get(wanted.handle)
        try:
            if before is None:
                self._create(wanted)
            else:
                self._update(wanted, before)
        except RequestError as error:
            wanted.problem = printable(error.message)
            return False
        return True

    def _create(self, wanted: _Wanted) -> None:
        resource = wanted.section.resource
        fields = {name: value for name, value in wanted.fields.items() if value is not None}
        given = bodies.convert(body(fields, self._catalog), resource.create_type, "The item")
        item = resource.create(replace(self.context, parent=wanted.parent), given)
        self.context.editor.insert(resource.kind, item)
        self._note("create", wanted.name, wanted.handle, {}, shown(wanted.section, item, self._catalog))

    def _update(self, wanted: _Wanted, item: Any) -> None:
        section, resource = wanted.section, wanted.section.resource
        before = shown(section, item, self._catalog)
        patch = _patch(section, before, wanted.fields)
        if not patch:
            return
        given = bodies.convert({"id": item.id, **body(patch, self._catalog)}, resource.update_type, "The item")
        after = resource.update(replace(self.context, parent=wanted.parent), item, given)
        self.context.editor.update(resource.kind, item, after)
        self._note("update", wanted.name, wanted.handle, before, shown(section, after, self._catalog))

    def _single(self, name: str, module: Any) -> None:
        """Settings, of which there is one."""
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

    def _prune(self, section: Section, name: str, wanted: list[Fields], parent: str) -> None:
        by_handle = dict(zip(numbered(section.handle(fields) for fields in wanted), wanted, strict=True))
        for handle, item in reversed(self._existing(section, parent).items()):
            if handle in by_handle:
                for part in section.parts:
                    self._prune(
                        part, f"{name} {handle} {part.name}", by_handle[handle].get(part.name) or [], item.id
                    )
                continue
            resource = section.resource
            try:
                if resource.check_archive is not None:
                    resource.check_archive(self._catalog, item)
            except RequestError as error:
                self.issues.append(PlanIssue(name, printable(handle), printable(error.message)))
                continue
            self._note("archive", name, handle, shown(section, item, self._catalog), {})
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
    """The fields of an item to change, as in the document; None clears one."""
    known = {f.encode_name: f.type for f in msgspec.structs.fields(section.resource.update_type)}
    patch: Fields = {}
    for name in dict.fromkeys((*before, *wanted)):
        value, now = wanted.get(name), before.get(name)
        if value in (None, "", [], (), {}):
            value = None
        if section.name == "leaderboards" and name == "status" and value == "scheduled":
            value = "active"  # the same: scheduled by its start
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
    """A value with what is wanted of its fields."""
    if not isinstance(before, dict) or not isinstance(wanted, dict):
        return wanted
    return {**before, **{name: _merged(before.get(name), value) for name, value in wanted.items()}}

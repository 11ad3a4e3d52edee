"""A row of the audit log in words: what changed, field by field. Pure."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import orjson

from podium.game.periods import MS_PER_DAY, at

FIELDS_MAX = 60
"""Fields that are shown of a change: more than the largest item has; an import may have more."""
OF_USERS = frozenset({"streak", "standing", "points"})
"""Kinds whose item is a user's id."""
_ERASED = re.compile(r"sha256:[0-9a-f]{64}\Z")
_INTERNAL = frozenset({"id", "number"})
"""Fields that say nothing to people: the id stands in the row, the number is the space's own."""
_ACTOR = re.compile(r"(?P<name>.*) \((?P<by>[^()]*)\)\Z", re.DOTALL)


class Changed(NamedTuple):
    """A field, and what it was and became; "" where there was nothing."""

    field: str
    before: str
    after: str


def changes(before: Any, after: Any) -> list[Changed]:
    """The fields in which two JSON values differ, as those of the later one stand, then those that it lacks."""
    one, other = _flat(before), _flat(after)
    return [
        Changed(_words(field), _said(field, one.get(field)), _said(field, other.get(field)))
        for field in [*other, *(field for field in one if field not in other)]
        if one.get(field) != other.get(field) and field not in _INTERNAL
    ][:FIELDS_MAX]


def in_words(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the audit log with what a page says of it: ``who`` (name, and what with), ``changes``, the
    item's ``name``, the ``user`` whom it is about, and whether that user was ``erased``."""
    return {
        **row,
        "who": actor(row["actor"]),
        "changes": changes(row["before"], row["after"]),
        "name": name_of(row),
        "user": user_of(row),
        "erased": is_erased(row["item"]),
    }


def actor(text: str) -> tuple[str, str]:
    """Who it was, and what they did it with: "Ana (console, account 1)" is Ana, by "console, account 1"."""
    found = _ACTOR.match(text)
    return (found["name"], found["by"]) if found else (text, "")


def user_of(row: dict[str, Any]) -> str:
    """The id of the user whom a row is about; "" where it is about none, or one who was erased."""
    item: str = row["item"]
    named = any(isinstance(row[side], dict) and row[side].get("userId") == item for side in ("before", "after"))
    return item if (named or row["kind"] in OF_USERS) and not is_erased(item) else ""


def name_of(row: dict[str, Any]) -> str:
    """What the item is called, "" where its row has no name."""
    for side in (row["after"], row["before"]):
        if isinstance(side, dict) and isinstance(side.get("name"), str):
            return str(side["name"])
    return ""


def is_erased(item: str) -> bool:
    """Whether a row's item is what is left of a user's id (spaces/audit.py, ``erased_name``)."""
    return _ERASED.match(item) is not None


def _flat(value: Any, field: str = "") -> dict[str, Any]:
    """The fields of a JSON value and of the objects in it, by their paths; what is empty is left out."""
    if isinstance(value, dict):
        inside = (_flat(one, f"{field}.{name}" if field else name) for name, one in value.items())
        return {path: leaf for fields in inside for path, leaf in fields.items()}
    return {} if value is None or value in ("", [], {}) else {field or "value": value}


def _words(field: str) -> str:
    """``streak.startCount`` as words."""
    text = re.sub(r"(?<=[a-z0-9])([A-Z])", r" \1", field.replace(".", ": ").replace("_", " ")).lower()
    return (text[:1].upper() + text[1:]).removesuffix(" ms")


def _said(field: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        instant = field.lower().endswith("ms") and value > MS_PER_DAY
        return f"{at(value):%Y-%m-%d %H:%M:%S} UTC" if instant else f"{value:,}"
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(_said("", one) for one in value)
    return value if isinstance(value, str) else orjson.dumps(value).decode()

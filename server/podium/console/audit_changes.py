"""Rows of the audit log for people: the changes field by field. Pure."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import orjson

from podium.game.periods import MS_PER_DAY, at

FIELDS_MAX = 60
"""Fields of a change that are shown. Every item has fewer; an import may have more."""
OF_USERS = frozenset({"streak", "standing", "points"})
"""Kinds of entries whose ``item`` is a user's id."""
_ERASED = re.compile(r"sha256:[0-9a-f]{64}\Z")
_INTERNAL = frozenset({"id", "number"})
"""Fields that are not shown: the row has the id already, and the number is internal."""
_ACTOR = re.compile(r"(?P<name>.*) \((?P<by>[^()]*)\)\Z", re.DOTALL)


class Changed(NamedTuple):
    """A field with its values before and after, "" where it had none."""

    field: str
    before: str
    after: str


def changes(before: Any, after: Any) -> list[Changed]:
    """Return the fields in which two JSON values differ: those of the later one, then those that it lacks."""
    one, other = _flat(before), _flat(after)
    return [
        Changed(_label(field), _text(field, one.get(field)), _text(field, other.get(field)))
        for field in [*other, *(field for field in one if field not in other)]
        if one.get(field) != other.get(field) and field not in _INTERNAL
    ][:FIELDS_MAX]


def described(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the audit log with the fields that pages show besides.

    These are ``who`` (name and means), ``changes``, the item's ``name``, the ``user`` whom the row is about, and
    whether that user was ``erased``.
    """
    return {
        **row,
        "who": actor(row["actor"]),
        "changes": changes(row["before"], row["after"]),
        "name": name_of(row),
        "user": user_of(row),
        "erased": is_erased(row["item"]),
    }


def actor(text: str) -> tuple[str, str]:
    """Return name and means of an actor: "Ana (console, account 1)" is "Ana" by "console, account 1"."""
    found = _ACTOR.match(text)
    return (found["name"], found["by"]) if found else (text, "")


def user_of(row: dict[str, Any]) -> str:
    """Return the id of the user whom a row is about, "" where there is none or the user was erased."""
    item: str = row["item"]
    named = any(isinstance(row[side], dict) and row[side].get("userId") == item for side in ("before", "after"))
    return item if (named or row["kind"] in OF_USERS) and not is_erased(item) else ""


def name_of(row: dict[str, Any]) -> str:
    """Return the item's name, "" where the row has none."""
    for side in (row["after"], row["before"]):
        if isinstance(side, dict) and isinstance(side.get("name"), str):
            return str(side["name"])
    return ""


def is_erased(item: str) -> bool:
    """Return whether a row's item is the hashed id of an erased user (spaces/audit.py, ``erased_name``)."""
    return _ERASED.match(item) is not None


def _flat(value: Any, field: str = "") -> dict[str, Any]:
    """Return the values inside a JSON value by their paths, without empty ones."""
    if isinstance(value, dict):
        inside = (_flat(one, f"{field}.{name}" if field else name) for name, one in value.items())
        return {path: leaf for fields in inside for path, leaf in fields.items()}
    return {} if value is None or value in ("", [], {}) else {field or "value": value}


def _label(field: str) -> str:
    """Return a label for a path: "Streak: start count" for ``streak.startCount``."""
    text = re.sub(r"(?<=[a-z0-9])([A-Z])", r" \1", field.replace(".", ": ").replace("_", " ")).lower()
    return (text[:1].upper() + text[1:]).removesuffix(" ms")


def _text(field: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        instant = field.lower().endswith("ms") and value > MS_PER_DAY
        return f"{at(value):%Y-%m-%d %H:%M:%S} UTC" if instant else f"{value:,}"
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(_text("", one) for one in value)
    return value if isinstance(value, str) else orjson.dumps(value).decode()

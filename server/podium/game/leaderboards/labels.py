"""Labels: a user's name and attributes, which boards show beside the rank, as one text in Redis and its
messages."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str]).decode
_BETWEEN = "\0"
"""The separator, which is refused in every text from outside (docs/http-api.md#strings)."""


class Label(NamedTuple):
    """The name (or None) and the attributes by key."""

    name: str | None
    attributes: dict[str, str]


_NONE: dict[str, str] = {}


def label(name: str | None, attributes: dict[str, str]) -> str:
    """Return the label as text: the name, followed by the attributes if there are any."""
    if not attributes:
        return name or ""
    return f"{name or ''}{_BETWEEN}{_encode(attributes).decode()}"


def read_label(text: str) -> Label:
    """Return the label of a text."""
    name, between, attributes = text.partition(_BETWEEN)
    return Label(name or None, _decode(attributes) if between else _NONE)


def shown(attributes: dict[str, str], keys: tuple[str, ...]) -> dict[str, str]:
    """Return the attributes that a leaderboard shows, without those that the user lacks."""
    return {key: attributes[key] for key in keys if key in attributes}

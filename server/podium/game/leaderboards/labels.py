"""What stands beside a rank: a user's name and attributes, as one text in Redis and in what it publishes."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str]).decode
_BETWEEN = "\0"
"""Refused in every text that comes from outside (docs/http-api.md#strings)."""


class Label(NamedTuple):
    """The name, None where the user has none, and the attributes by key."""

    name: str | None
    attributes: dict[str, str]


_NONE: dict[str, str] = {}


def label(name: str | None, attributes: dict[str, str]) -> str:
    """The text: the name, and behind it the attributes if there are any."""
    if not attributes:
        return name or ""
    return f"{name or ''}{_BETWEEN}{_encode(attributes).decode()}"


def read_label(text: str) -> Label:
    """The label of a text."""
    name, between, attributes = text.partition(_BETWEEN)
    return Label(name or None, _decode(attributes) if between else _NONE)


def shown(attributes: dict[str, str], keys: tuple[str, ...]) -> dict[str, str]:
    """The attributes that a leaderboard shows; those that the user lacks are left out."""
    return {key: attributes[key] for key in keys if key in attributes}

"""Query parameters (docs/http-api.md#400-or-422).

Raises, in all functions:
    BadRequest: a parameter is not of its documented type.
    Unprocessable: it is missing or out of range.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date

from starlette.requests import Request

from podium.game.errors import BadRequest, Unprocessable
from podium.game.ids import ATTRIBUTE_VALUE_MAX, KEY_MAX, check_text, printable
from podium.game.periods import parse_day

COMMAS = "A comma that no known key and colon follow belongs to the value."
"""A note about ``attributes``, for the API document."""

_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")


def integer(request: Request, name: str, default: int, least: int, most: int) -> int:
    """Return the whole number ``name``, from ``least`` to ``most``."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not _INTEGER.match(text):
        raise BadRequest(f"{name} must be a whole number")
    value = int(text)
    if not least <= value <= most:
        raise Unprocessable(f"{name} must be {least:,} to {most:,}")
    return value


def boolean(request: Request, name: str, default: bool = False) -> bool:
    """Return the boolean ``name``, written ``true`` or ``false``."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if text not in ("true", "false"):
        raise BadRequest(f"{name} must be true or false")
    return text == "true"


def day(request: Request, name: str) -> date | None:
    """Return the date ``name``, None if it is not given."""
    text = request.query_params.get(name)
    return None if text is None else parse_day(name, text)


def choice(request: Request, name: str, options: tuple[str, ...]) -> str:
    """Return the parameter ``name``, which is required and must be one of ``options``."""
    text = request.query_params.get(name)
    if text not in options:
        raise Unprocessable(f"{name} must be one of {', '.join(options)}")
    return text


def listed(request: Request, name: str) -> list[str]:
    """Return the list ``name``. A single value is split at commas; values of a repeated key are not."""
    given = request.query_params.getlist(name)
    if len(given) == 1:
        given = given[0].split(",")
    return [one for one in given if one]


def ids(request: Request, name: str, most: int) -> list[str]:
    """Return the list ``name`` (see ``listed``) of 1 to ``most`` ids, without duplicates."""
    found = list(dict.fromkeys(listed(request, name)))
    if not 1 <= len(found) <= most:
        raise Unprocessable(f"{name} must name 1 to {most:,} ids")
    return found


def exact_ids(request: Request, name: str, most: int) -> list[str]:
    """Return the list ``name`` of 1 to ``most`` ids, without duplicates, from repeated keys only.

    Nothing is split: a comma is part of an id.
    """
    found = list(dict.fromkeys(request.query_params.getlist(name)))
    if not 1 <= len(found) <= most:
        raise Unprocessable(f"{name} must name 1 to {most:,} ids")
    return found


def attributes(request: Request, known: Collection[str]) -> dict[str, str]:
    """Return the pairs of ``userAttributes``: ``key:value``, joined by commas, of ``known`` attributes.

    A comma that no known key and colon follow belongs to the value: ``city:Paris, FR,plan:pro``.
    """
    found: dict[str, str] = {}
    last = ""
    text = request.query_params.get("userAttributes")
    for part in text.split(",") if text else ():
        key, colon, value = part.partition(":")
        if last and not (colon and key in known):
            found[last] += f",{part}"
            continue
        if not colon or key in found:
            raise Unprocessable("userAttributes must be like key:value,key:value")
        if key not in known:
            raise Unprocessable(f"Invalid attribute keys: {printable(key[:KEY_MAX])}")
        found[key], last = value, key
    for value in found.values():
        if not value:
            raise Unprocessable("userAttributes must be like key:value,key:value")
        check_text("userAttributes", value, ATTRIBUTE_VALUE_MAX)
    return found

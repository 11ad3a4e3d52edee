"""Query parameters. Not of the documented type: 400. Out of range, or missing: 422 (contract.md, section 16)."""

from __future__ import annotations

import re
from datetime import date

from starlette.requests import Request

from server.core.errors import BadRequest, Unprocessable
from server.core.periods import parse_day

_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")


def integer(request: Request, name: str, default: int, least: int, most: int) -> int:
    """The whole number ``name``, ``least`` to ``most``."""
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
    """The boolean ``name``: ``true`` or ``false``."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if text not in ("true", "false"):
        raise BadRequest(f"{name} must be true or false")
    return text == "true"


def day(request: Request, name: str) -> date | None:
    """The date ``name``, None if it is not given."""
    text = request.query_params.get(name)
    return None if text is None else parse_day(name, text)


def choice(request: Request, name: str, options: tuple[str, ...]) -> str:
    """The parameter ``name``, which must be given and be one of ``options``."""
    text = request.query_params.get(name)
    if text not in options:
        raise Unprocessable(f"{name} must be one of {', '.join(options)}")
    return text


def ids(request: Request, name: str, most: int) -> list[str]:
    """The list ``name``, of 1 to ``most`` ids, each once: repeated keys, commas, or both."""
    given = ",".join(request.query_params.getlist(name)).split(",")
    found = list(dict.fromkeys(id_ for id_ in given if id_))
    if not 1 <= len(found) <= most:
        raise Unprocessable(f"{name} must name 1 to {most:,} ids")
    return found

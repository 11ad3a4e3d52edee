"""Rendering of pages."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from podium.console.audit_changes import actor
from podium.game.periods import iso

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def number(value: Any) -> str:
    """Format a number with up to six decimals, as many as a metric can have: 1,234.5; 0.00025."""
    if value is None:
        return "–"
    return f"{value:,.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"


def rounded(value: float) -> str:
    """Format a number with at most two decimals, for averages of groups."""
    return number(round(float(value), 2))


_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")
"""Control characters, and those that change the direction of the following text."""


def plain(text: str) -> Markup:
    """Escape text for a place without <bdi>, like a title, and remove characters that change direction."""
    return Markup(_UNSEEN.sub(" ", Markup.escape(text)))  # noqa: S704 - escaped here


_templates.filters["plain"] = plain
_templates.filters["number"] = number
_templates.filters["rounded"] = rounded
_templates.filters["iso"] = iso
_templates.filters["actor"] = actor
_templates.filters["zip_with"] = lambda one, other: list(zip(one, other, strict=True))


def compile_templates() -> None:
    """Compile all templates, so that the first view of a page does not; each takes up to 60 ms."""
    for name in _templates.list_templates():
        _templates.get_template(name)


PIECES_AT_ONCE = 50
"""Pieces of a template that are rendered before other tasks may run; one may be a whole table."""


async def large_page(request: Request, template: str, **values: Any) -> HTMLResponse:
    """Render a page that may have thousands of rows, letting other tasks run meanwhile (see ``page``)."""
    session, space = request.state.session, request.state.space
    pieces = []
    for at, piece in enumerate(
        _templates.get_template(template).generate(session=session, space=space, request=request, **values)
    ):
        pieces.append(piece)
        if at % PIECES_AT_ONCE == 0:
            await asyncio.sleep(0)
    return HTMLResponse("".join(pieces))


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a page. Templates get ``session`` and ``space`` of the signed-in person, None without."""
    session = getattr(request.state, "session", None)
    space = getattr(request.state, "space", None)
    text = _templates.get_template(template).render(session=session, space=space, request=request, **values)
    return HTMLResponse(text, status)

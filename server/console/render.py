"""Pages as HTML: templates, and headers that let nothing in from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def number(value: Any) -> str:
    """A number for people: 1,234.5."""
    if value is None:
        return "–"
    return f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"


_templates.filters["number"] = number
_templates.filters["zip_with"] = lambda one, other: list(zip(one, other, strict=True))


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of the console; ``session`` and ``space`` are those of who looks, None before signing in."""
    session = getattr(request.state, "session", None)
    space = getattr(request.state, "space", None)
    text = _templates.get_template(template).render(session=session, space=space, request=request, **values)
    return HTMLResponse(text, status, HEADERS)

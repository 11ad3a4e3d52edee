"""The audit log: changes with actor, time, and values before and after."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from podium.api.audit.admin import AUDIT_FILTERS, get_audit_log
from podium.console.audit_changes import described
from podium.console.internal_api import ask
from podium.console.pages.page import Page
from podium.console.render import page
from podium.game.errors import RequestError
from podium.spaces.audit import erased_name

ROWS = 50


async def get_audit(request: Request) -> Response:
    """Render ``/console/audit``."""
    asked = {name: request.query_params.get(name, "").strip() for name in AUDIT_FILTERS}
    given: dict[str, Any] = {name: text for name, text in asked.items() if text}
    query = {**given, "limit": ROWS, "cursor": request.query_params.get("cursor") or None}
    problem = ""
    found: dict[str, Any] = {"rows": []}
    try:
        found = await ask(request, get_audit_log, query=query)
        if not found["rows"] and asked["item"]:
            # Entries about an erased user keep only a hash of the id: look for that, too.
            found = await ask(request, get_audit_log, query={**query, "item": erased_name(asked["item"])})
    except RequestError as error:
        problem = error.message
    rows = [described(row) for row in found["rows"]]
    more = {**given, "cursor": found["nextCursor"]} if "nextCursor" in found else None
    return page(
        request,
        "audit.html",
        422 if problem else 200,
        asked=asked,
        given=given,
        rows=rows,
        more=more,
        problem=problem,
    )


PAGES = (Page("/console/audit", get_audit),)

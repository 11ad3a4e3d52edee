"""``/docs``: the API reference, which needs nothing from elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from podium.http.compressed import REVALIDATE, Compressed
from podium.http.endpoints import Endpoint
from podium.http.openapi import document
from podium.http.reference import ASSETS, render

_POLICY = "default-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Scripts and styles of our own alone, none of them in the page."""
_FILES = (("docs.css", "text/css; charset=utf-8"), ("docs.js", "text/javascript; charset=utf-8"))


def docs_routes(endpoints: Sequence[Endpoint]) -> list[BaseRoute]:
    """``/docs`` and what it needs, for everybody. The page is made when it is first asked for, in a thread."""

    @cache
    def file() -> Compressed:
        headers = {**REVALIDATE, "Content-Security-Policy": _POLICY}
        return Compressed(render(document(endpoints)), "text/html; charset=utf-8", headers)

    async def page(request: Request) -> Response:
        return await (await asyncio.to_thread(file)).answer(request)

    assets = [
        Route(f"/docs/{name}", Compressed((ASSETS / name).read_bytes(), media_type).answer)
        for name, media_type in _FILES
    ]
    return [Route("/docs", page, include_in_schema=False), *assets]

"""``/docs``: the API reference, served without any file of another server."""

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
"""Scripts and styles from this server only, and none inline."""
_FILES = (("docs.css", "text/css; charset=utf-8"), ("docs.js", "text/javascript; charset=utf-8"))


def docs_routes(endpoints: Sequence[Endpoint]) -> list[BaseRoute]:
    """Return the routes of ``/docs`` and its files, which need no key.

    The page is rendered at the first request, in a thread, as that takes long.
    """

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

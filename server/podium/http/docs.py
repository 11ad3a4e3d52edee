"""The page that shows the OpenAPI document: Swagger UI, served from here so that it works offline."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped] # the package has no types

_ASSETS = Path(__file__).parent / "assets"
_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
"""No script but our own. Swagger UI sets styles on its elements and carries its icons as data."""


def docs_routes() -> list[BaseRoute]:
    """``/docs`` and what it needs, for everybody."""

    async def page(_: Request) -> Response:
        return FileResponse(_ASSETS / "docs.html", headers={"Content-Security-Policy": _POLICY})

    return [
        Route("/docs", page, include_in_schema=False),
        Mount("/docs/swagger", StaticFiles(directory=swagger_ui_path)),
        Mount("/docs/page", StaticFiles(directory=_ASSETS)),
    ]

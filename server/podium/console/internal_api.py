"""Calls of API endpoints from pages, within the process: pages show and do only what endpoints show and do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from podium.console.stores import connection_within_limit
from podium.http.services import services

Handler = Callable[[Request], Awaitable[Response]]


def has_begun(request: Request) -> bool:
    """Return whether the form of a request has called an endpoint."""
    return bool(getattr(request.state, "begun", False))


async def begin(request: Request) -> None:
    """Note that from here on the form may take effect.

    Raises:
        Unavailable: Postgres is away, which records the change. Nothing has been done then.
    """
    if not has_begun(request):
        async with connection_within_limit(services(request).pool) as connection:
            await connection.execute("SELECT 1")
        request.state.begun = True


async def ask(
    request: Request,
    handler: Handler,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
) -> Any:
    """Call an endpoint's handler as the signed-in person, and return its decoded answer; raises what it raises."""
    return orjson.loads(bytes((await call(request, handler, path, query, body)).body))


async def call(
    request: Request,
    handler: Handler,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
) -> Response:
    """Call an endpoint's handler as the signed-in person, and return its response; raises what it raises."""
    if request.method == "POST":
        await begin(request)
    sent = orjson.dumps(body) if body is not None else b""

    async def receive() -> Message:
        return {"type": "http.request", "body": sent, "more_body": False}

    scope = {
        **request.scope,
        "method": "GET" if body is None else "POST",
        "path_params": dict(path or {}),
        "query_string": urlencode({k: v for k, v in (query or {}).items() if v is not None}).encode(),
        "headers": [],
        # All reads of a page about its user share one snapshot (http/users.py).
        "state": {"principal": request.state.principal, "snapshot": getattr(request.state, "snapshot", None)},
    }
    return await handler(Request(scope, receive))

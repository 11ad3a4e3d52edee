"""The API, asked from within: a page shows what an endpoint answers, and does what an endpoint does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from podium.console.stores import soon
from podium.http.services import services

Handler = Callable[[Request], Awaitable[Response]]


def begun(request: Request) -> bool:
    """Whether something was asked for a form."""
    return bool(getattr(request.state, "begun", False))


async def begin(request: Request) -> None:
    """From here on a form may have been carried out, whatever comes of it: so Postgres, which records it, is asked
    first."""
    if not begun(request):
        async with soon(services(request).pool) as connection:
            await connection.execute("SELECT 1")
        request.state.begun = True


async def ask(
    request: Request,
    handler: Handler,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
) -> Any:
    """The decoded answer of a handler to whoever is signed in; raises what it raises."""
    return orjson.loads(bytes((await asked(request, handler, path, query, body)).body))


async def asked(
    request: Request,
    handler: Handler,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
) -> Response:
    """The answer of a handler to whoever is signed in, as it is; raises what it raises."""
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
        # All reads of a page about its user are of one instant (http/users.py).
        "state": {"principal": request.state.principal, "snapshot": getattr(request.state, "snapshot", None)},
    }
    return await handler(Request(scope, receive))

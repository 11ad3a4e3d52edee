"""The API, asked from within: a page shows what an endpoint answers, and does what an endpoint does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

Handler = Callable[[Request], Awaitable[Response]]


async def ask(
    request: Request,
    handler: Handler,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
) -> Any:
    """The decoded answer of a handler to whoever is signed in; raises what it raises."""
    sent = orjson.dumps(body) if body is not None else b""

    async def receive() -> Message:
        return {"type": "http.request", "body": sent, "more_body": False}

    scope = {
        **request.scope,
        "method": "GET" if body is None else "POST",
        "path_params": dict(path or {}),
        "query_string": urlencode({k: v for k, v in (query or {}).items() if v is not None}).encode(),
        "headers": [],
        "state": {"principal": request.state.principal},
    }
    response = await handler(Request(scope, receive))
    return orjson.loads(bytes(response.body))

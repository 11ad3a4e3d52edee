"""What the server could do at most: the same uvicorn settings, and handlers that only read the body.

``python -m loadtest.baseline PORT`` serves ``POST /v1/metrics/{key}/event``, answered with 201 by a Starlette
route; with ``--bare`` by an ASGI function without a framework, which is what Podium's own hot path is.
"""

from __future__ import annotations

import os
import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from podium.cli.serve import serve
from podium.settings import Settings

BODY = b'{"ok":true}'
BARE = "BASELINE_BARE"


async def _event(request: Request) -> Response:
    await request.body()
    return Response(BODY, status_code=201, media_type="application/json")


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, answers 201."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def app() -> ASGIApp:
    """For uvicorn."""
    if BARE in os.environ:
        return bare
    return Starlette(routes=[Route("/v1/metrics/{key}/event", _event, methods=["POST"])])


if __name__ == "__main__":
    if "--bare" in sys.argv:
        os.environ[BARE] = "1"
    # No store is opened: the handlers have none.
    settings = Settings(redis_url="redis://-", database_url="postgres://-", port=int(sys.argv[1]))
    sys.exit(serve(settings, "loadtest.baseline:app"))

"""``/admin/v1/origins``: the browser origins that may call the space."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.bodies import read
from podium.http.endpoints import Endpoint
from podium.http.services import services
from podium.spaces import store
from podium.spaces.origins import change_origins
from podium.storage.postgres.pool import acquired

_origins = msgspec.json.Decoder(list[str])


async def get_origins(request: Request) -> Response:
    """``GET /admin/v1/origins``, read from Postgres, so that every process shows the newest list."""
    space = principal(request).space
    async with acquired(services(request).pool) as connection:
        rows = await store.load_spaces(connection)
    return answer(next(row.allowed_origins for row in rows if row.id == space.id))


async def put_origins(request: Request) -> Response:
    """``PUT /admin/v1/origins``."""
    who = principal(request)
    origins = await read(request, _origins)
    async with acquired(services(request).pool) as connection:
        after = await change_origins(connection, who.space.id, who.actor, lambda _: origins)
    who.space.allowed_origins = after  # other processes are notified by Postgres
    return answer(after)


ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/admin/v1/origins",
        summary="List allowed origins",
        tag="Admin: origins",
        needs="admin",
        statuses=(200, 503),
        handler=get_origins,
        answer=list[str],
    ),
    Endpoint(
        method="PUT",
        path="/admin/v1/origins",
        summary="Replace the allowed origins",
        tag="Admin: origins",
        needs="admin",
        statuses=(200, 400, 413, 422, 503),
        handler=put_origins,
        body=list[str],
        answer=list[str],
        description="Origins of the pages that may call the space: at most 100, like `https://app.example.com` or"
        " `http://localhost:3000`. The answer is sorted and without duplicates. Every process follows within a"
        " second. While the list is empty, live connections are accepted from every origin, and `/v1` only from"
        " the server's own.",
    ),
]

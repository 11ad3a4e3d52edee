"""Search for users, their export, and tokens for the pages' live connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import jwt
import orjson
from starlette.requests import Request
from starlette.responses import Response

from podium.api.users import admin
from podium.console.internal_api import ask, call
from podium.console.pages.page import Page
from podium.console.render import page
from podium.game import ids
from podium.game.errors import NotFound, RequestError
from podium.game.state import UserState
from podium.http.services import services
from podium.http.users import SharedSnapshot

TOKEN_S = 600
"""Seconds of a page's live token; the page fetches the next one by itself."""


async def get_users(request: Request) -> Response:
    """Render ``/console/users``."""
    wanted = {name: request.query_params.get(name) for name in ("search", "attribute", "cursor")}
    problem = ""
    found: dict[str, Any] = {"users": []}
    try:
        found = await ask(request, admin.get_users, query={**wanted, "limit": 50})
    except RequestError as error:
        problem = error.message
    status = 422 if problem else 200
    return page(request, "users.html", status, asked=wanted, found=found, problem=problem)


async def state_of(request: Request) -> tuple[str, UserState]:
    """Return id and state of the user in the path. Raises ``NotFound``."""
    user = ids.check_id("id", request.path_params["id"])
    state = await services(request).reads.state(request.state.space, user)
    if state is None:
        raise NotFound(f"There is no user {user}")
    return user, state


@asynccontextmanager
async def user_snapshot(request: Request) -> AsyncIterator[tuple[str, UserState]]:
    """Yield id and state of the user in the path; all reads about the user inside the block share one snapshot.

    The snapshot is not older than the request.

    Raises:
        NotFound: there is no such user.
    """
    user = ids.check_id("id", request.path_params["id"])
    async with services(request).reads.page(request.state.space, user) as found:
        if found.state is None:
            raise NotFound(f"There is no user {user}")
        request.state.snapshot = SharedSnapshot(user, found)
        try:
            yield user, found.state
        finally:
            request.state.snapshot = None


async def get_export(request: Request) -> Response:
    """Answer ``/console/users/{id}/export.json`` as a download."""
    user = request.path_params["id"]
    response = await call(request, admin.get_export, {"id": user})
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(user, safe='')}.json"
    response.headers["Cache-Control"] = "no-store"
    return response


async def get_token(request: Request) -> Response:
    """Answer ``/console/token.json``: a live token for the user that ``user`` names."""
    space = request.state.space
    claims = {
        "sub": request.query_params.get("user") or "console",
        "aud": space.public_id,
        "exp": services(request).clock() // 1000 + TOKEN_S,
    }
    body = {"token": jwt.encode(claims, space.realtime_secret, algorithm="HS256")}
    return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})


PAGES = (
    Page("/console/users", get_users),
    Page("/console/token.json", get_token),
    Page("/console/users/{id}/export.json", get_export, role="admin"),
)

"""The user that a request's path names."""

from __future__ import annotations

from starlette.requests import Request

from server.core import ids
from server.core.errors import NotFound
from server.engine.state import UserState
from server.http.auth import principal
from server.http.services import services
from server.spaces.states import read_state


async def named_user(request: Request) -> UserState:
    """The state of the user whose id is the path's ``id``; 404 where there is none, 422 where it can't be one."""
    user = ids.check_id("id", request.path_params["id"])
    parts = services(request)
    state = await read_state(parts.redis, parts.pool, principal(request).space, user)
    if state is None:
        raise NotFound(f"User not found: {user}")
    return state

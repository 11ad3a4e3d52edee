"""The user that a request is about: state and snapshot (server/podium/spaces/reads.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.requests import Request

from podium.game import ids
from podium.game.errors import NotFound
from podium.game.state import UserState
from podium.http.auth import principal
from podium.http.services import services
from podium.spaces.reads import UserSnapshot
from podium.storage.postgres.pool import PoolConnection


@dataclass(slots=True)
class SharedSnapshot:
    """A snapshot of one user that all parts of a page share, in ``request.state.snapshot``.

    Its Postgres connection runs one query at a time, hence the lock.
    """

    user: str
    found: UserSnapshot
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


async def state_of(request: Request, user: str) -> UserState | None:
    """Return the state of a user as of the last commit, or of the page's snapshot; None for an unknown user."""
    shared = _shared(request, user)
    if shared is not None:
        return shared.found.state
    return await services(request).reads.state(principal(request).space, user)


async def named_user(request: Request) -> UserState:
    """Return the state of the user whose id is the path's ``id``.

    Raises:
        NotFound: there is no such user.
        Unprocessable: the text can't be an id.
    """
    user = ids.check_id("id", request.path_params["id"])
    state = await state_of(request, user)
    if state is None:
        raise NotFound(f"User not found: {user}")
    return state


@asynccontextmanager
async def snapshot_of(request: Request, user: str) -> AsyncIterator[UserSnapshot]:
    """Open a snapshot of a user that includes everything that was acknowledged.

    Answers that show a user's rows in Postgres must use one, as Postgres lags by a flush. It must not be nested.
    """
    shared = _shared(request, user)
    if shared is not None:
        async with shared.lock:
            yield shared.found
        return
    async with services(request).reads.snapshot(principal(request).space, user) as found:
        yield found


@asynccontextmanager
async def named_snapshot(request: Request) -> AsyncIterator[tuple[PoolConnection, UserState]]:
    """Open a snapshot of the user whose id is the path's ``id``.

    Raises:
        NotFound: there is no such user.
        Unprocessable: the text can't be an id.
    """
    user = ids.check_id("id", request.path_params["id"])
    async with snapshot_of(request, user) as (connection, state):
        if state is None:
            raise NotFound(f"User not found: {user}")
        yield connection, state


def _shared(request: Request, user: str) -> SharedSnapshot | None:
    shared: SharedSnapshot | None = getattr(request.state, "snapshot", None)
    return shared if shared is not None and shared.user == user else None

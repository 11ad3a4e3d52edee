"""Changes by requests, as the audit log wants them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from podium.http.auth import principal
from podium.http.services import services
from podium.spaces import audit
from podium.spaces.audit import Entry
from podium.storage.postgres.pool import acquired


@asynccontextmanager
async def auditing(request: Request) -> AsyncIterator[list[Entry]]:
    """A list for entries, which are written when the block ends, however it ends.

    ``Unavailable`` before the block where Postgres is away: nothing is changed that could not be recorded.
    """
    pool, who = services(request).pool, principal(request)
    async with acquired(pool) as connection:
        await connection.execute("SELECT 1")
    entries: list[Entry] = []
    try:
        yield entries
    finally:
        if entries:
            async with acquired(pool) as connection:
                await audit.write(connection, who.space.id, who.actor, entries, who.reason)

"""Audit log entries for changes that requests make."""

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
    """Yield a list for entries, which are written when the block ends, also with an error.

    Raises:
        Unavailable: before the block, where Postgres is away, so that nothing is changed without a record.
    """
    pool, who = services(request).pool, principal(request)
    async with acquired(pool) as connection:
        await connection.execute("SELECT 1")  # a pooled connection may be broken
    entries: list[Entry] = []
    try:
        yield entries
    finally:
        if entries:
            async with acquired(pool) as connection:
                await audit.write(connection, who.space.id, who.actor, entries, who.reason)

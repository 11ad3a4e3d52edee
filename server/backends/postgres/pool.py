"""Connections to Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from server.core.errors import Unavailable

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
    PoolConnection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = PoolConnection = Pool = Any

CONNECT_TIMEOUT_S = 5
"""A request that needs Postgres is answered with 503 after at most this long."""

AWAY = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the backend of a pooled connection was terminated a moment ago
    asyncpg.ObjectNotInPrerequisiteStateError,  # the database is not accepting connections
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
"""What the driver raises when Postgres is away, starting or going down."""


STATEMENTS = 200
"""Prepared statements that a connection keeps: more than there are queries of ours."""


async def open_pool(database_url: str, *, most: int = 10, proxied: bool = False) -> Pool:
    """A pool of up to ``most`` connections, opened as they are needed, so a process starts without Postgres.

    ``jsonb`` columns are read and written as Python values. ``proxied``: a pooling proxy stands in between, so no
    prepared statement outlives its transaction.
    """
    return await asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=most,
        init=prepare,
        reset=_nothing_to_reset,
        statement_cache_size=0 if proxied else STATEMENTS,
        timeout=CONNECT_TIMEOUT_S,
        server_settings={"application_name": "podium"},
    )


async def _nothing_to_reset(_: Any) -> None:
    """Settings and locks are those of a transaction everywhere, and nothing listens on a pooled connection, so the
    driver's own reset would only be one more way to Postgres for each request."""


async def prepare(connection: Any) -> None:
    """Make ``jsonb`` columns Python values."""
    await connection.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
        schema="pg_catalog",
        format="binary",
    )


@asynccontextmanager
async def acquired(pool: Pool) -> AsyncIterator[PoolConnection]:
    """A connection for one request; ``Unavailable`` where Postgres is away."""
    try:
        async with pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
            try:
                yield connection
            except AWAY:
                # Else the pool would try to roll back what broke off, on a connection that is as good as gone.
                connection.terminate()
                raise
    except AWAY as error:
        raise Unavailable("Postgres is away") from error

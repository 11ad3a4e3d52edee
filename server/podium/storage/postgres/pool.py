"""Connections to Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from podium.game.errors import Unavailable

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
    asyncpg.PostgresConnectionError,  # poolers say so, too, where they reach no server
    asyncpg.InvalidAuthorizationSpecificationError,  # wrong password, unknown user, pg_hba
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.OperatorInterventionError,  # starting, in recovery, shut down, killed, a statement that was cancelled
    asyncpg.InsufficientResourcesError,  # too many connections, memory, disk
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby, as after a failover
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # the database is not accepting connections
)
"""Errors of the driver by which Postgres is no place to work at present: it is away, starting or going down,
lets nobody in, or can't write. None of them says anything about the request; see ``unavailable``."""

_SENTENCES: tuple[tuple[type[Exception], str], ...] = (
    (asyncpg.InvalidAuthorizationSpecificationError, "Postgres refuses the login of Podium"),
    (asyncpg.InvalidCatalogNameError, "Postgres has no database of this name"),
    (asyncpg.InsufficientPrivilegeError, "Postgres denies Podium a right that it needs"),
    (asyncpg.TooManyConnectionsError, "Postgres takes no more connections"),
    (asyncpg.CannotConnectNowError, "Postgres is starting, or in recovery"),
    (asyncpg.ReadOnlySQLTransactionError, "Postgres is a standby and takes no writes"),
    (asyncpg.DiskFullError, "the disk of Postgres is full"),
    (asyncpg.InsufficientResourcesError, "Postgres has run out of memory or another resource"),
    (asyncpg.QueryCanceledError, "Postgres cancelled a query, or it took too long"),
)


def unavailable(error: BaseException) -> Unavailable:
    """Return the 503 that one of ``AWAY`` is answered with; its sentence holds no address and no name."""
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return Unavailable(sentence)
    return Unavailable("Postgres is away")


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
    """A connection for one request; ``Unavailable`` where Postgres is away, lets nobody in or can't write."""
    try:
        async with pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
            try:
                yield connection
            except AWAY:
                # Else the pool would try to roll back what broke off, on a connection that is as good as gone.
                connection.terminate()
                raise
    except AWAY as error:
        raise unavailable(error) from error

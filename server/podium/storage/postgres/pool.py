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
"""Seconds after which a request that gets no connection is answered with 503."""

AWAY = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the backend of a pooled connection was terminated a moment ago
    asyncpg.PostgresConnectionError,  # also from poolers that reach no server
    asyncpg.InvalidAuthorizationSpecificationError,  # wrong password, unknown user, pg_hba
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.OperatorInterventionError,  # starting, in recovery, shut down, killed, a cancelled statement
    asyncpg.InsufficientResourcesError,  # too many connections, memory, disk
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby, as after a failover
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # the database is not accepting connections
)
"""Errors of the driver that mean that Postgres can't be used at present: it is away, starting or stopping, refuses
the login, or can't write. None of them is about the request itself; see ``unavailable``."""

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
    """Return the 503 error for one of ``AWAY``. Its message has no address and no name of the database."""
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return Unavailable(sentence)
    return Unavailable("Postgres is away")


STATEMENTS = 200
"""Prepared statements that a connection keeps, more than Podium has queries."""


async def open_pool(database_url: str, *, most: int = 10, proxied: bool = False) -> Pool:
    """Return a pool of up to ``most`` connections. They are opened when needed, so a process can start without
    Postgres.

    ``jsonb`` columns are read and written as Python values. With ``proxied`` no prepared statements are kept,
    since a pooling proxy may send each transaction to another server connection.
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
    """Do nothing, in place of the driver's reset, which would cost each request a round trip.

    There is nothing to reset: all settings and locks belong to a transaction, and nothing listens on a pooled
    connection.
    """


async def prepare(connection: Any) -> None:
    """Make a connection decode and encode ``jsonb`` as Python values."""
    await connection.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
        schema="pg_catalog",
        format="binary",
    )


@asynccontextmanager
async def acquired(pool: Pool) -> AsyncIterator[PoolConnection]:
    """Lend a connection of the pool.

    Raises:
        Unavailable: Postgres is away, refuses the login, or can't write.
    """
    try:
        async with pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
            try:
                yield connection
            except AWAY:
                # Otherwise the pool would try to roll back on a broken connection, and wait for its timeout.
                connection.terminate()
                raise
    except AWAY as error:
        raise unavailable(error) from error

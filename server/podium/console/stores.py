"""Calls of the stores with a short time limit: a page must not wait long for a store that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

from podium.game.errors import Unavailable
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import AWAY as REDIS_AWAY
from podium.storage.redis.client import unavailable
from podium.telemetry.health import LOOK_S

T = TypeVar("T")


@asynccontextmanager
async def connection_within_limit(pool: Pool) -> AsyncIterator[PoolConnection]:
    """Yield a connection for at most ``LOOK_S``, the wait for it included.

    Raises:
        Unavailable: Postgres is away, or the time is over.
    """
    try:
        async with asyncio.timeout(LOOK_S), acquired(pool) as connection:
            try:
                yield connection
            except asyncio.CancelledError:
                # Releasing it would wait until Postgres confirms the cancellation of the query.
                connection.terminate()
                raise
    except TimeoutError as error:
        raise Unavailable("Postgres is away") from error


async def within_limit(call: Awaitable[T]) -> T:
    """Await a call of Redis.

    Raises:
        Unavailable: Redis is away, or the call takes longer than ``LOOK_S``.
    """
    try:
        async with asyncio.timeout(LOOK_S):
            return await call
    except REDIS_AWAY as error:  # TimeoutError is one of them
        raise unavailable(error) from error


async def or_none(call: Awaitable[T], within_s: float | None = None) -> T | None:
    """Await a call, by default for ``LOOK_S``; return None where it takes longer or a store is away."""
    try:
        async with asyncio.timeout(LOOK_S if within_s is None else within_s):
            return await call
    except (TimeoutError, Unavailable):
        return None

"""The stores, as a page asks them: nobody who looks waits long for one that is away."""

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
async def soon(pool: Pool) -> AsyncIterator[PoolConnection]:
    """A connection for ``LOOK_S`` at most, waiting for it included; then, and without one, ``Unavailable``."""
    try:
        async with asyncio.timeout(LOOK_S), acquired(pool) as connection:
            try:
                yield connection
            except asyncio.CancelledError:
                # Giving it back would wait until Postgres confirms that it stopped what it does.
                connection.terminate()
                raise
    except TimeoutError as error:
        raise Unavailable("Postgres is away") from error


async def of_redis(call: Awaitable[T]) -> T:
    """What a call of the client answers; ``Unavailable`` where it takes longer than ``LOOK_S``."""
    try:
        async with asyncio.timeout(LOOK_S):
            return await call
    except REDIS_AWAY as error:  # TimeoutError is one of them
        raise unavailable(error) from error


async def or_none(look: Awaitable[T], within_s: float | None = None) -> T | None:
    """What a look finds within that time, by default ``LOOK_S``; None where it takes longer or a store is away."""
    try:
        async with asyncio.timeout(LOOK_S if within_s is None else within_s):
            return await look
    except (TimeoutError, Unavailable):
        return None

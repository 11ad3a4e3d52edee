"""The Redis client: many calls at once."""

from __future__ import annotations

import asyncio

from server.backends.redis.client import CONNECTIONS, RedisClient


async def test_calls_wait_for_a_connection(redis_client: RedisClient) -> None:
    calls = 4 * CONNECTIONS
    assert await asyncio.gather(*(redis_client.raw.incr("calls") for _ in range(calls)))
    assert int(await redis_client.raw.get("calls")) == calls
    clients = await redis_client.raw.client_list()
    assert 1 < len(clients) <= CONNECTIONS + 1

"""Workers write heartbeats to Redis, so that every web process can say where there is no worker."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog
from redis.exceptions import RedisError

from podium.storage.redis.client import AWAY, RedisClient

EVERY_S = 5.0
"""Pause between two heartbeats of a worker."""
MISSING_S = 30.0
"""A worker that has not been heard of for so long counts as gone."""
WORKERS = "podium:workers"
"""Sorted set: the names of workers by the instant (Redis' clock, ms) of their last heartbeat."""

log = structlog.get_logger(__name__)


async def beat(redis: RedisClient, worker: str) -> None:
    """Write one heartbeat, and forget the workers that are gone. Raises what the client raises."""
    now_ms = await _now_ms(redis)
    async with redis.raw.pipeline(transaction=False) as pipeline:
        pipeline.zadd(WORKERS, {worker: now_ms})
        pipeline.zremrangebyscore(WORKERS, "-inf", now_ms - MISSING_S * 1000)
        await pipeline.execute()


async def keep_beating(redis: RedisClient, worker: str, stop: asyncio.Event) -> None:
    """Write heartbeats until ``stop``; then take the worker off the list."""
    try:
        # Not until cancelled: a client may swallow a cancellation that comes as its own wait ends (before 3.12).
        while not stop.is_set():
            try:
                await beat(redis, worker)
            except (*AWAY, RedisError) as error:
                # Whoever needs Redis says that it is away; the next heartbeat may come through.
                log.debug("heartbeat_lost", error=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await stop.wait()
    finally:
        try:
            await redis.raw.zrem(WORKERS, worker)
        except (*AWAY, RedisError) as error:
            log.debug("heartbeat_not_ended", error=str(error))


async def ages_s(redis: RedisClient) -> dict[str, float] | None:
    """Return the seconds since the last heartbeat of each worker that isn't gone; None where Redis is away."""
    try:
        now_ms = await _now_ms(redis)
        found = await redis.raw.zrangebyscore(WORKERS, now_ms - MISSING_S * 1000, "+inf", withscores=True)
    except (*AWAY, RedisError):
        return None
    return {name.decode(): max(0.0, (now_ms - at_ms) / 1000) for name, at_ms in found}


async def _now_ms(redis: RedisClient) -> int:
    seconds, microseconds = await redis.raw.time()
    return int(seconds) * 1000 + int(microseconds) // 1000

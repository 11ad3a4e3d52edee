"""Heartbeats of workers in Redis, by which every web process can tell whether a worker is running."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog
from redis.exceptions import RedisError

from podium.storage.redis.client import AWAY, RedisClient

EVERY_S = 5.0
"""Pause between two heartbeats of a worker."""
MISSING_S = 30.0
"""A worker without a heartbeat for so long counts as gone."""
WORKERS = "podium:workers"
"""A Redis sorted set: names of workers by the instant of their last heartbeat, in ms of Redis' clock."""

log = structlog.get_logger(__name__)


async def beat(redis: RedisClient, worker: str) -> None:
    """Write one heartbeat, and remove workers that are gone. Raises what the client raises."""
    now_ms = await _now_ms(redis)
    async with redis.raw.pipeline(transaction=False) as pipeline:
        pipeline.zadd(WORKERS, {worker: now_ms})
        pipeline.zremrangebyscore(WORKERS, "-inf", now_ms - MISSING_S * 1000)
        await pipeline.execute()


async def keep_beating(redis: RedisClient, worker: str, stop: asyncio.Event) -> None:
    """Write heartbeats until ``stop``, then remove the worker."""
    try:
        # By an event, not by cancellation: before Python 3.12 a client may swallow a cancellation that arrives
        # just as its own wait ends.
        while not stop.is_set():
            try:
                await beat(redis, worker)
            except (*AWAY, RedisError) as error:
                # Other parts report that Redis is away; the next heartbeat may succeed.
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

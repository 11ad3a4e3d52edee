"""The comparison of this process's clock with Redis'.

A process whose clock is wrong adds itself to a list in Redis, which each web process reports (``/readyz``,
``/metrics``): a worker serves no pages.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import NoReturn

import structlog
from redis.exceptions import RedisError

from podium.clock import CheckedClock, stopwatch_ms
from podium.storage.redis.client import AWAY, RedisClient

EVERY_MS = 60_000
"""Pause between two comparisons while the clocks agree."""
AGAIN_MS = 5_000
"""The same while they don't."""
LOOK_S = 0.1
"""Interval at which the process checks whether a comparison is due, or the clock was set."""
PROMPT_MS = 5_000
"""An answer that took longer is ignored, as its time is too old: the process or the network stalled."""
LISTED_MS = 3 * EVERY_MS
"""A process that has not renewed its entry for so long counts as ended."""
WRONG_CLOCKS = "podium:clocks"
"""A Redis hash: process name -> "<instant> <problem>", the instant in ms of Redis' clock."""

log = structlog.get_logger(__name__)


def process_name(role: str) -> str:
    """Return the name by which other processes report this one."""
    return f"{role} {socket.gethostname()} {os.getpid()}"


async def watch_clock(clock: CheckedClock, redis: RedisClient, process: str) -> NoReturn:
    """Compare the clocks until cancelled: at once, each minute, and whenever the clock was set."""
    compared_ms: int | None = None
    while True:
        pause_ms = EVERY_MS if clock.agrees.is_set() else AGAIN_MS
        due = compared_ms is None or stopwatch_ms() - compared_ms >= pause_ms
        # A clock that is known to be wrong is compared every AGAIN_MS only, not ten times a second.
        if (due or (clock.was_set and clock.agrees.is_set())) and await compare(clock, redis, process):
            compared_ms = stopwatch_ms()
        await asyncio.sleep(LOOK_S)


async def compare(clock: CheckedClock, redis: RedisClient, process: str) -> bool:
    """Compare the clocks once; return whether Redis answered. A wrong clock is logged, and listed in Redis."""
    began_ms = stopwatch_ms()
    try:
        seconds, microseconds = await redis.raw.time()
    except (*AWAY, RedisError) as error:
        log.debug("clock_not_compared", error=str(error))
        return False
    if stopwatch_ms() - began_ms > PROMPT_MS:
        return False
    redis_ms = seconds * 1000 + microseconds // 1000
    agreed = clock.agrees.is_set()
    clock.compare(redis_ms)
    try:
        if not clock.agrees.is_set():
            log.error("clock_wrong", problem=clock.problem, difference_s=clock.difference_ms / 1000)
            await redis.raw.hset(WRONG_CLOCKS, process, f"{redis_ms} {clock.problem}")
            await redis.raw.pexpire(WRONG_CLOCKS, LISTED_MS)
        elif not agreed:
            await redis.raw.hdel(WRONG_CLOCKS, process)
    except (*AWAY, RedisError) as error:
        log.warning("clock_not_listed", error=str(error))
    return True


async def wrong_clocks(redis: RedisClient) -> list[str]:
    """Return a sentence for each process whose clock doesn't agree with Redis'; none where Redis is away."""
    try:
        async with redis.raw.pipeline(transaction=False) as pipeline:
            pipeline.time()
            pipeline.hgetall(WRONG_CLOCKS)
            (seconds, _), found = await pipeline.execute()
    except (*AWAY, RedisError):
        return []
    sentences = []
    for process, entry in found.items():
        at_ms, _, problem = entry.decode().partition(" ")
        if abs(seconds * 1000 - int(at_ms)) < LISTED_MS:
            sentences.append(f"{process.decode()}: {problem}")
    return sorted(sentences)

"""Check whether a refusal was based on an old catalog (docs/decisions/0020-fresh-refusals.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from redis.exceptions import RedisError

from podium.clock import stopwatch_s
from podium.game.errors import Forbidden, NotFound, Unprocessable
from podium.spaces.space import Space
from podium.storage.redis.client import AWAY, RedisClient

T = TypeVar("T")

REFUSALS = (NotFound, Unprocessable, Forbidden)
"""Errors that may mean that something is not in the catalog, or not allowed by it."""
RETRY_S = 1.0
"""Seconds without queries after a refresh that did not bring the version that Redis names. Postgres is an older
copy then, and refusals must not query it each time."""


@dataclass(slots=True)
class _VersionReads:
    """The reads of one space's version in Redis: one at a time, each for all callers that asked before it
    began."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    begun: int = 0
    failed: tuple[int, float] = (0, 0.0)
    """The version that a refresh did not bring, and the stopwatch time (s) of that refresh."""


class CatalogCheck:
    """Checks, before a refusal is answered, whether Redis names a newer catalog than this process holds.

    All refusals of a space that wait at the same moment share one read of Redis. Requests that are not refused
    cost nothing. Postgres is queried only if there is a newer catalog.
    """

    def __init__(self, redis: RedisClient, refresh: Callable[[Space], Awaitable[None]]) -> None:
        """``refresh`` reads the newest catalog of a space."""
        self._redis = redis
        self._refresh = refresh
        self._reads: dict[int, _VersionReads] = {}

    async def retried(self, space: Space, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return the result of an attempt. If it is refused and there is a newer catalog, it is made once more."""
        version = space.index.version
        try:
            return await attempt()
        except REFUSALS:
            if not await self.has_newer(space, version):
                raise
        return await attempt()

    async def has_newer(self, space: Space, version: int) -> bool:
        """Return whether the space has a newer catalog than this version. If so, this process holds it afterwards.

        The answer is False while Redis is away.

        Raises:
            Unavailable: There is a newer catalog, and Postgres is away.
        """
        if space.index.version > version:
            return True
        reads = self._reads.setdefault(space.id, _VersionReads())
        seen = reads.begun
        async with reads.lock:
            if reads.begun == seen:  # else a read began after this refusal, and its result is new enough
                reads.begun += 1
                await self._read_version(space, reads)
        return space.index.version > version

    async def _read_version(self, space: Space, reads: _VersionReads) -> None:
        try:
            newest = int(await self._redis.raw.hget(space.keys.meta, "catalog") or 0)
        except (*AWAY, RedisError):
            return
        failed, at_s = reads.failed
        if newest <= space.index.version or (failed == newest and stopwatch_s() - at_s < RETRY_S):
            return
        await self._refresh(space)
        if space.index.version < newest:
            reads.failed = newest, stopwatch_s()

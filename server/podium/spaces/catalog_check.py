"""Check again whether a refusal was concluded from an old catalog (docs/decisions/0020-fresh-refusals.md)."""

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
"""Errors that may say that something is not in the catalog, or not allowed by it."""
RETRY_S = 1.0
"""Pause after a refresh that did not bring the version that Redis names: Postgres is an older copy then, and no
refusal may make a query."""


@dataclass(slots=True)
class _Looks:
    """Looks at one space's version in Redis: one at a time, for all who asked before it began."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    begun: int = 0
    failed: tuple[int, float] = (0, 0.0)
    """The version that a refresh did not bring, and when (s)."""


class CatalogCheck:
    """Finds out, before a refusal is answered, whether Redis names a newer catalog than this process holds.

    It costs one read of Redis that all refusals of a space share which wait at that moment, and none where nothing
    is refused; Postgres is asked only where there is a newer catalog.
    """

    def __init__(self, redis: RedisClient, refresh: Callable[[Space], Awaitable[None]]) -> None:
        """``refresh`` reads the newest catalog of a space."""
        self._redis = redis
        self._refresh = refresh
        self._looks: dict[int, _Looks] = {}

    async def retried(self, space: Space, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what an attempt returns; one that is refused is made once more if there is a newer catalog."""
        version = space.index.version
        try:
            return await attempt()
        except REFUSALS:
            if not await self.has_newer(space, version):
                raise
        return await attempt()

    async def has_newer(self, space: Space, version: int) -> bool:
        """Return whether the space has a newer catalog than this version, and have this process hold it then.

        While Redis is away, nothing is known and the answer is False.

        Raises:
            Unavailable: There is a newer one, and Postgres is away.
        """
        if space.index.version > version:
            return True
        looks = self._looks.setdefault(space.id, _Looks())
        seen = looks.begun
        async with looks.lock:
            if looks.begun == seen:  # else somebody's look began after this refusal, and says as much
                looks.begun += 1
                await self._look(space, looks)
        return space.index.version > version

    async def _look(self, space: Space, looks: _Looks) -> None:
        try:
            newest = int(await self._redis.raw.hget(space.keys.meta, "catalog") or 0)
        except (*AWAY, RedisError):
            return
        failed, at_s = looks.failed
        if newest <= space.index.version or (failed == newest and stopwatch_s() - at_s < RETRY_S):
            return
        await self._refresh(space)
        if space.index.version < newest:
            looks.failed = newest, stopwatch_s()

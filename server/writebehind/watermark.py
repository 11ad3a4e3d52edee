"""How far Postgres must have come before it may be asked for what happened under an older catalog."""

from __future__ import annotations

from server.backends.postgres.pool import Pool, acquired
from server.backends.redis.client import AWAY, RedisClient, unavailable
from server.spaces.space import Space
from server.writebehind.store import read_position


class Watermark:
    """The place in a space's log where its newest catalog began to hold.

    A commit names its catalog version, and Redis refuses those of an older one (design decision 15): what was
    committed before is all there is, and once the log is flushed up to here Postgres has it.
    """

    def __init__(self, pool: Pool, redis: RedisClient, space: Space) -> None:
        self._pool = pool
        self._redis = redis
        self._space = space
        self._mark: tuple[str, int, str] | None = None
        """Epoch, catalog version, and the newest log entry when Redis was first seen to have that version."""

    async def reached(self) -> bool:
        """Whether Postgres has all that was committed before Redis heard of the newest catalog."""
        space = self._space
        if space.epoch is None:
            return False
        if self._mark is None or self._mark[:2] != (space.epoch, space.index.version):
            try:
                version = await self._redis.raw.hget(space.keys.meta, "catalog")
                newest = await self._redis.raw.xrevrange(space.keys.log, count=1)
            except AWAY as error:
                raise unavailable(error) from error
            if version is None or int(version) < space.index.version:
                return False
            self._mark = space.epoch, space.index.version, newest[0][0].decode() if newest else "0-0"
        async with acquired(self._pool) as connection:
            position = await read_position(connection, space.id)
        if position is None or position.epoch != space.epoch:
            return False
        return _order(self._mark[2]) <= _order(position.log_id)


def _order(log_id: str) -> tuple[int, int]:
    ms, _, number = log_id.partition("-")
    return int(ms), int(number)

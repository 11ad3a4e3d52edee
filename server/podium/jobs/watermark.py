"""Tell when Postgres has everything that was committed under older versions of a catalog."""

from __future__ import annotations

from podium.spaces.continuity import read_position
from podium.spaces.space import Space, log_order
from podium.storage.postgres.pool import Pool, acquired
from podium.storage.redis.client import AWAY, RedisClient, unavailable


class Watermark:
    """The position in a space's log from which on only its newest catalog is used.

    A commit names its catalog version, and Redis refuses older versions
    (docs/decisions/0015-versioned-catalog.md). So once the log is flushed up to this position, Postgres has
    everything that was computed with older catalogs.
    """

    def __init__(self, pool: Pool, redis: RedisClient, space: Space) -> None:
        self._pool = pool
        self._redis = redis
        self._space = space
        self._mark: tuple[str, int, str] | None = None
        """Epoch, catalog version, and id of the newest log entry when Redis was first seen with that version."""

    async def reached(self) -> bool:
        """Return whether Postgres has everything that was committed before Redis got the newest catalog.

        Raises:
            Unavailable: A store is away.
        """
        space = self._space
        epoch, wanted = space.epoch, space.index.version
        if epoch is None:
            return False
        if self._mark is None or self._mark[:2] != (epoch, wanted):
            try:
                async with self._redis.raw.pipeline(transaction=True) as pipeline:
                    pipeline.hmget(space.keys.meta, ["epoch", "catalog"])
                    pipeline.xrevrange(space.keys.log, count=1)
                    (found, version), newest = await pipeline.execute()
            except AWAY as error:
                raise unavailable(error) from error
            if found is None or found.decode() != epoch or int(version or 0) < wanted or not newest:
                return False
            self._mark = epoch, wanted, newest[0][0].decode()
        async with acquired(self._pool) as connection:
            position = await read_position(connection, space.id)
        if position is None or position.epoch != epoch:
            return False
        return log_order(self._mark[2]) <= log_order(position.log_id)

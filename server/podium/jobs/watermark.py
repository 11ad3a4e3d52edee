"""How far Postgres must have come before it may be asked for what happened under an older catalog."""

from __future__ import annotations

from podium.spaces.continuity import read_position
from podium.spaces.space import Space, log_order
from podium.storage.postgres.pool import Pool, acquired
from podium.storage.redis.client import AWAY, RedisClient, unavailable


class Watermark:
    """The place in a space's log where its newest catalog began to hold.

    A commit names its catalog version, and Redis refuses those of an older one
    (docs/decisions/0015-versioned-catalog.md): what was committed before is all there is, and once the log is
    flushed up to here Postgres has it.
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

"""Read the state of one user: from Redis, or, for a cold user, from Postgres, where it stays."""

from __future__ import annotations

from podium.game.errors import Unavailable
from podium.game.state import UserState, decode_state
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, acquired
from podium.storage.redis.client import RedisClient


async def read_state(redis: RedisClient, pool: Pool, space: Space, user: str) -> UserState | None:
    """Return the user's state as of the last commit, or None for an unknown user.

    Raises:
        Unavailable: Redis is away or being rebuilt, or the user is cold and Postgres is away.
    """
    if space.epoch is None:
        raise Unavailable("Redis is being rebuilt")
    reply = await redis.call("load", space.keys.meta, space.epoch, user)
    if reply[0] != 0:
        raise Unavailable("Redis is being rebuilt")
    token, blob = reply[1]
    if not token:
        return None
    if token != b"cold":
        return decode_state(blob)
    async with acquired(pool) as connection:
        stored = await connection.fetchval(
            "SELECT state FROM users WHERE space_id = $1 AND id = $2", space.id, user
        )
    if stored is None:
        raise Unavailable("the user's state is being moved between Redis and Postgres")
    return decode_state(stored)

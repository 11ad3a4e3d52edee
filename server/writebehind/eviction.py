"""Moves the states of idle users out of Redis, and back when they return (design decision 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog

from server.backends.postgres.pool import Pool, acquired
from server.backends.redis.client import AWAY, LIBRARY, RedisClient
from server.core.errors import Unavailable
from server.engine.state import decode_state
from server.features.leaderboards.ranking import member
from server.features.leaderboards.rules import ranked
from server.spaces.space import Space

CHUNK = 200
"""Users of one call: Redis serves nobody else meanwhile (about 2 µs each)."""

log = structlog.get_logger(__name__)


async def evict(pool: Pool, redis: RedisClient, space: Space, before_ms: int) -> int:
    """Make every user cold who was last seen before an instant and whose state Postgres holds; how many.

    A user who comes back meanwhile has a newer token and stays. ``Unavailable`` where a store is away.
    """
    evicted, last = 0, ""
    while True:
        async with acquired(pool) as connection:
            rows = await connection.fetch(
                "SELECT id, token FROM users"
                " WHERE space_id = $1 AND id > $2 AND greatest(newest_ms, updated_ms) < $3"
                " ORDER BY id LIMIT $4",
                space.id,
                last,
                before_ms,
                CHUNK,
            )
        if not rows:
            break
        last = rows[-1]["id"]
        flat = [value for row in rows for value in row]
        evicted += _done(await redis.call("evict", space.keys.meta, space.epoch or "", *flat))
    if evicted:
        log.info("users_evicted", space=space.public_id, users=evicted)
    return evicted


async def load_cold(pool: Pool, redis: RedisClient, space: Space, users: Sequence[str]) -> None:
    """Put the states of cold users back into Redis.

    Whoever was put back by another process stays as that left it. ``Unavailable`` where a store is away, or
    Redis is being rebuilt.
    """
    async with acquired(pool) as connection:
        rows = await connection.fetch(
            "SELECT id, token, state FROM users WHERE space_id = $1 AND id = ANY ($2::text[])",
            space.id,
            list(users),
        )
    try:
        async with redis.raw.pipeline(transaction=False) as pipeline:
            for user, token, blob in rows:
                members: list[str] = []
                for board, standing in ranked(decode_state(blob).boards).items():
                    members += (board, member(standing.reached_ms, user))
                pipeline.execute_command(
                    "FCALL",
                    f"{LIBRARY}_thaw",
                    1,
                    space.keys.meta,
                    space.epoch or "",
                    user,
                    token,
                    blob,
                    *members,
                )
            replies = await pipeline.execute()
    except AWAY as error:
        raise Unavailable("Redis is away") from error
    for reply in replies:
        _done(reply)


def _done(reply: list[Any]) -> int:
    if reply[0] != 0:
        raise Unavailable("Redis is being rebuilt")
    return int(reply[1])

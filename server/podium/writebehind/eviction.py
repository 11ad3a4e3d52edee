"""Moves the states of idle users out of Redis, and back when they return
(docs/decisions/0007-record-and-working-set.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from redis.exceptions import ResponseError

from podium.game.errors import StaleEpoch
from podium.game.leaderboards.ranking import member
from podium.game.leaderboards.rules import ranked
from podium.game.state import decode_state
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, acquired
from podium.storage.redis.client import RedisClient

CHUNK = 200
"""Users of one call: Redis serves nobody else meanwhile (about 2 µs each)."""

log = structlog.get_logger(__name__)


def idle_before(now_ms: int, evict_after_s: float) -> int:
    """Return the instant (ms) before which a user counts as idle; 0 where nobody does."""
    return max(0, now_ms - int(evict_after_s * 1000)) if evict_after_s else 0


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
        evicted += await _evict(redis, space, rows)
    if evicted:
        log.info("users_evicted", space=space.public_id, users=evicted)
    return evicted


async def _evict(redis: RedisClient, space: Space, rows: Sequence[Any]) -> int:
    flat = [value for row in rows for value in row]
    try:
        return _done(await redis.call("evict", space.keys.meta, space.epoch or "", *flat))
    except ResponseError as error:
        if len(rows) == 1:
            log.error("user_not_evicted", space=space.public_id, user=rows[0]["id"], error=str(error))
            return 0
    # A key of one of them is not what it should be: each alone, and only that one stays.
    return sum([await _evict(redis, space, [row]) for row in rows])


async def load_cold(pool: Pool, redis: RedisClient, space: Space, users: Sequence[str]) -> None:
    """Put the states of cold users back into Redis.

    Whoever was put back by another process stays as that left it, and one whose state can't be read stays cold.
    ``Unavailable`` where a store is away, or Redis is being rebuilt.
    """
    async with acquired(pool) as connection:
        rows = await connection.fetch(
            "SELECT id, token, state FROM users WHERE space_id = $1 AND id = ANY ($2::text[])",
            space.id,
            list(users),
        )
    thawed: list[list[str | bytes]] = []
    for user, token, blob in rows:
        try:
            boards = ranked(decode_state(blob).boards)
        except (msgspec.MsgspecError, ValueError) as error:
            log.error("state_unreadable", space=space.public_id, user=user, error=str(error))
            continue
        fields: list[str] = []
        for board, standing in boards.items():
            fields += (board, member(standing.reached_ms, user))
        thawed.append([space.epoch or "", user, token, blob, *fields])
    for call, reply in zip(thawed, await redis.call_many("thaw", space.keys.meta, thawed), strict=True):
        if isinstance(reply, ResponseError):
            log.error("state_unreadable", space=space.public_id, user=call[1], error=str(reply))
        else:
            _done(reply)


def _done(reply: list[Any]) -> int:
    if reply[0] != 0:
        raise StaleEpoch
    return int(reply[1])

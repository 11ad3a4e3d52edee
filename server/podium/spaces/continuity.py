"""Check whether a space's Redis continues what Postgres holds, or has gone back in time
(docs/decisions/0006-exactly-once.md, docs/decisions/0007-record-and-working-set.md).

Redis goes back after a restart that lost its file, with a restored copy, on another server, or with a promoted
replica that was behind. It then has another epoch than Postgres, or none, or its log lacks the entry up to which
Postgres has flushed it.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import RedisClient
from podium.storage.redis.wire import DONE, EPOCH

Reason = Literal["new", "empty", "other", "behind"]
"""The reason for a rebuild. ``new``: the space has never been in Redis. ``empty``: Redis has no epoch. ``other``:
it has another one than Postgres. ``behind``: its log ends before an entry that it had, or lacks it."""

WENT_BACK: frozenset[str] = frozenset({"empty", "other", "behind"})
"""The reasons with which events may have been lost: those that had not been flushed."""


class Position(NamedTuple):
    """The position of the flusher in a log: the epoch of its Redis, and the id of the last flushed entry."""

    epoch: str
    log_id: str


class Comparison(NamedTuple):
    """The position in Postgres, the epoch in Redis (``''`` without one), and the reason for a rebuild, if any."""

    position: Position | None
    epoch: str
    broken: Reason | None


async def read_position(connection: PoolConnection, space_id: int) -> Position | None:
    """Return the position of a space's flusher, or None for a space that has never been in Redis."""
    row = await connection.fetchrow("SELECT epoch, log_id FROM log_positions WHERE space_id = $1", space_id)
    return Position(*row) if row else None


async def compare(pool: Pool, redis: RedisClient, space: Space) -> Comparison:
    """Compare Redis with Postgres. If Redis continues Postgres, it accepts commits from now on.

    The stores are read one after the other. In between a flusher may have moved the position and trimmed the log,
    or a rebuild may have ended. So a mismatch counts only if Postgres still has the same position afterwards.

    Raises:
        Unavailable: A store is away.
    """
    position = await _position(pool, space)
    while True:
        wanted = position or Position("", "")
        reply: list[Any] = await redis.call("confirm", space.keys.meta, *wanted, "1")
        if reply[0] == DONE:
            return Comparison(position, wanted.epoch, None)
        # Redis was read after Postgres, and a flusher may have been faster than this process in between.
        again = await _position(pool, space)
        if again != position:
            position = again
            continue
        # Other replies mean that the epoch is the same and the log ends too early.
        epoch = reply[1].decode() if reply[0] == EPOCH else wanted.epoch
        if position is None:
            return Comparison(None, epoch, "new")
        if not epoch:
            return Comparison(position, "", "empty")
        return Comparison(position, epoch, "behind" if epoch == position.epoch else "other")


async def reaches(redis: RedisClient, space: Space, epoch: str, log_id: str) -> bool:
    """Return whether Redis has this epoch and its log reaches an id. If so, it accepts commits from now on.

    This needs no Postgres: the id came with the answer to a commit, so the log has had the entry.
    """
    reply: list[Any] = await redis.call("confirm", space.keys.meta, epoch, log_id, "0")
    return bool(reply[0] == DONE)


async def close(redis: RedisClient, space: Space, epoch: str, reason: Reason) -> bool:
    """Make Redis refuse every call with this epoch, and announce the space to the workers.

    Return False if Redis has another epoch by now.
    """
    return bool(await redis.call("close", space.keys.meta, epoch, reason))


async def _position(pool: Pool, space: Space) -> Position | None:
    async with acquired(pool) as connection:
        return await read_position(connection, space.id)

"""Does a space's Redis continue what Postgres holds, or did it go back in time?
(docs/decisions/0006-exactly-once.md, docs/decisions/0007-record-and-working-set.md).

A restart that lost its file, a restored copy, another server, a promoted replica that was behind: Redis then holds
another epoch than Postgres, or none, or its log lacks the entry up to which Postgres has it.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import RedisClient

DONE, EPOCH = 0, 1
"""First element of a reply, as in functions/podium.lua."""

Reason = Literal["new", "empty", "other", "behind"]
"""Why a space must be rebuilt. ``new``: it has never been alive. ``empty``: Redis has no epoch. ``other``: it has
another one than Postgres. ``behind``: its log ends before, or lacks, an entry that it had."""

WENT_BACK: frozenset[str] = frozenset({"empty", "other", "behind"})
"""The reasons for which events may have been lost: what had not been flushed."""


class Position(NamedTuple):
    """Up to where a log has been flushed: the epoch of its Redis, and the id of the last entry."""

    epoch: str
    log_id: str


class Comparison(NamedTuple):
    """Postgres' position, the epoch of Redis (``''`` without one), and why Redis doesn't continue, if so."""

    position: Position | None
    epoch: str
    broken: Reason | None


async def read_position(connection: PoolConnection, space_id: int) -> Position | None:
    """Where the flusher of a space stands, None for a space that has never been alive."""
    row = await connection.fetchrow("SELECT epoch, log_id FROM log_positions WHERE space_id = $1", space_id)
    return Position(*row) if row else None


async def compare(pool: Pool, redis: RedisClient, space: Space) -> Comparison:
    """Compare Redis with Postgres; where it continues, Redis takes commits from now on.

    The stores are read one after the other. Meanwhile a flusher may have moved the position and trimmed the log,
    or a rebuild have ended: a mismatch counts only if Postgres still says the same afterwards. ``Unavailable``
    where a store is away.
    """
    position = await _position(pool, space)
    while True:
        wanted = position or Position("", "")
        reply: list[Any] = await redis.call("confirm", space.keys.meta, *wanted, "1")
        if reply[0] == DONE:
            return Comparison(position, wanted.epoch, None)
        again = await _position(pool, space)
        if again != position:
            position = again
            continue
        epoch = reply[1].decode() if reply[0] == EPOCH else wanted.epoch
        if position is None:
            return Comparison(None, epoch, "new")
        if not epoch:
            return Comparison(position, "", "empty")
        return Comparison(position, epoch, "behind" if epoch == position.epoch else "other")


async def reaches(redis: RedisClient, space: Space, epoch: str, log_id: str) -> bool:
    """Whether Redis has this epoch and its log goes as far as an id; if so, it takes commits from now on.

    Needs no Postgres: an id that a process was answered with is proof enough.
    """
    reply: list[Any] = await redis.call("confirm", space.keys.meta, epoch, log_id, "0")
    return bool(reply[0] == DONE)


async def close(redis: RedisClient, space: Space, epoch: str, reason: Reason) -> bool:
    """Have Redis refuse every call that names an epoch, and announce the space to the workers; False where Redis
    has another epoch by now."""
    return bool(await redis.call("close", space.keys.meta, epoch, reason))


async def _position(pool: Pool, space: Space) -> Position | None:
    async with acquired(pool) as connection:
        return await read_position(connection, space.id)

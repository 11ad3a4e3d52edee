"""Delete old versions of the catalog. With 100,000 boosts each version takes 25 MB."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import structlog

from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, acquired
from podium.storage.redis.client import AWAY, RedisClient, unavailable

AT_ONCE = 100
"""Versions that one statement deletes. Deleting takes Postgres about 0.2 ms per MB."""
LOOKED_AT = 10_000
"""Most versions, and rejected items, that one round examines."""

log = structlog.get_logger(__name__)

Version = tuple[int, int]
"""A version and the instant (ms) of its creation."""


async def prune_versions(pool: Pool, redis: RedisClient, space: Space, keep: int) -> int:
    """Delete old versions of a space's catalog, and return their number.

    Kept are the newest ``keep`` versions, those with which entries of the log were computed, and those that were
    in force when a rejected item was accepted.

    Raises:
        Unavailable: A store is away.
    """
    logged = await _oldest_logged(redis, space)
    async with acquired(pool) as connection:
        least = await connection.fetchval(
            "SELECT version FROM catalog_versions WHERE space_id = $1 ORDER BY version DESC OFFSET $2 LIMIT 1",
            space.id,
            keep - 1,
        )
        if least is None:
            return 0
        rows = await connection.fetch(
            "SELECT version, (extract(epoch FROM created_at) * 1000)::bigint FROM catalog_versions"
            " WHERE space_id = $1 AND version <= $2 ORDER BY version LIMIT $3",
            space.id,
            least if logged is None else min(least, logged),
            LOOKED_AT,
        )
        rejected = await connection.fetch(
            "SELECT DISTINCT split_part(log_id, '-', 1)::bigint FROM rejected_entries"
            " WHERE space_id = $1 LIMIT $2",
            space.id,
            LOOKED_AT + 1,
        )
    if len(rejected) > LOOKED_AT:
        return 0  # with so many rejected items an operator must act first, and may need any version
    old = unneeded([tuple(row) for row in rows], [row[0] for row in rejected])
    for first in range(0, len(old), AT_ONCE):
        async with acquired(pool) as connection:
            await connection.execute(
                "DELETE FROM catalog_versions WHERE space_id = $1 AND version = ANY ($2::bigint[])",
                space.id,
                old[first : first + AT_ONCE],
            )
    if old:
        log.info("catalog_versions_pruned", space=space.public_id, versions=len(old))
    return len(old)


def unneeded(versions: Sequence[Version], instants_ms: Iterable[int]) -> list[int]:
    """Return the versions that were in force at none of the instants. ``versions`` must be sorted.

    The last one is never returned, since the end of its time is not known.
    """
    made_ms = [at_ms for _, at_ms in versions]
    # A version created in the same millisecond may not have been in force yet, so the one before it is kept too.
    kept = {bisect_right(made_ms, at_ms + after) - 1 for at_ms in instants_ms for after in (-1, 0)}
    return [version for place, (version, _) in enumerate(versions[:-1]) if place not in kept]


async def _oldest_logged(redis: RedisClient, space: Space) -> int | None:
    """Return the catalog version of the oldest unflushed entry of the log, or None without one."""
    try:
        found = await redis.raw.xrange(space.keys.log, count=2)
    except AWAY as error:
        raise unavailable(error) from error
    # The first entry is the last flushed one, which is kept as the position (docs/decisions/0006-exactly-once.md).
    return int(found[1][1][b"v"]) if len(found) > 1 else None

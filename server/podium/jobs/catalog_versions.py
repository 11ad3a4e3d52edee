"""Deletes old versions of the catalog: with 100,000 boosts each takes 25 MB."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import structlog

from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, acquired
from podium.storage.redis.client import AWAY, RedisClient, unavailable

AT_ONCE = 100
"""Versions of one statement: deleting their rows takes Postgres about 0.2 ms per MB."""
LOOKED_AT = 10_000
"""Versions, and rejected items, that one round looks at."""

log = structlog.get_logger(__name__)

Version = tuple[int, int]
"""A version and the instant (ms) at which it was made."""


async def prune_versions(pool: Pool, redis: RedisClient, space: Space, keep: int) -> int:
    """Delete versions of a space's catalog but for the newest ``keep``, those that the log was computed with, and
    those that were in force when a rejected item was accepted; return how many are gone.

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
        return 0  # somebody must look at these first, and may need any version
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
    """Return the versions, of some in order, that were in force at none of these instants.

    The last of them is never returned: only the next one would say until when it was in force.
    """
    made_ms = [at_ms for _, at_ms in versions]
    # A version made in the very millisecond may not have been in force yet: the one before is kept as well.
    kept = {bisect_right(made_ms, at_ms + after) - 1 for at_ms in instants_ms for after in (-1, 0)}
    return [version for place, (version, _) in enumerate(versions[:-1]) if place not in kept]


async def _oldest_logged(redis: RedisClient, space: Space) -> int | None:
    """Return the version of the oldest entry of the log; None where there is none."""
    try:
        found = await redis.raw.xrange(space.keys.log, count=2)
    except AWAY as error:
        raise unavailable(error) from error
    # The first entry is flushed: it stays as the position (docs/decisions/0006-exactly-once.md).
    return int(found[1][1][b"v"]) if len(found) > 1 else None

"""Old versions of a catalog are deleted, but for those that something was computed with."""

from __future__ import annotations

from podium.jobs.catalog_versions import prune_versions
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.redis.client import RedisClient
from tests.conftest import SettableClock
from tests.posting import Poster


async def versions(pool: Pool) -> list[int]:
    rows = await pool.fetch("SELECT version FROM catalog_versions ORDER BY version")
    return [row["version"] for row in rows]


async def make_versions(pool: Pool, space: Space, newest: int) -> None:
    """Versions 2 to ``newest``, a second apart, from 2026-11-01 on."""
    await pool.execute("DELETE FROM catalog_versions")
    await pool.execute(
        "INSERT INTO catalog_versions (space_id, version, catalog, created_at)"
        " SELECT $1, n, '{}', timestamptz '2026-11-01T00:00:00Z' + n * interval '1 second'"
        " FROM generate_series(2, $2::int) AS n",
        space.id,
        newest,
    )


async def test_the_newest_stay(pool: Pool, redis_client: RedisClient, space: Space) -> None:
    await make_versions(pool, space, 30)
    assert await prune_versions(pool, redis_client, space, 100) == 0
    assert await prune_versions(pool, redis_client, space, 10) == 19
    assert await versions(pool) == list(range(21, 31))
    assert await prune_versions(pool, redis_client, space, 10) == 0


async def test_what_the_log_was_computed_with_stays(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock
) -> None:
    poster = Poster(redis_client, space, clock)
    await poster.post(poster.event("ann", 1))
    [_, (_, entry)] = await redis_client.raw.xrange(space.keys.log)
    logged = int(entry[b"v"])
    await make_versions(pool, space, 30)
    await pool.execute("UPDATE catalog_versions SET version = version - 3 + $1", logged)
    await prune_versions(pool, redis_client, space, 5)
    assert await versions(pool) == list(range(logged, logged + 28))


async def test_what_a_rejected_item_was_computed_with_stays(
    pool: Pool, redis_client: RedisClient, space: Space
) -> None:
    await make_versions(pool, space, 30)
    # Half a second after version 7 was made.
    at_ms = 1_793_491_207_500
    await pool.execute(
        "INSERT INTO rejected_entries (space_id, log_id, item, user_id, record, state, error)"
        " VALUES ($1, $2, 0, 'ann', '{}', '{}', 'of the test')",
        space.id,
        f"{at_ms}-3",
    )
    made_ms = await pool.fetchval(
        "SELECT (extract(epoch FROM created_at) * 1000)::bigint FROM catalog_versions WHERE version = 7"
    )
    assert at_ms - made_ms == 500
    await prune_versions(pool, redis_client, space, 10)
    assert await versions(pool) == [7, *range(21, 31)]

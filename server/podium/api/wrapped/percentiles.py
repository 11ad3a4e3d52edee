"""Compare a user's year with that of others, by a sample of users."""

from __future__ import annotations

from bisect import bisect_left
from functools import partial

from podium.game.wrapped.rules import Period
from podium.http.services import Services
from podium.storage.postgres.pool import PoolConnection, acquired

SAMPLE = 1_000
"""Users in the sample, enough for a standard error of less than 2 %."""
KEPT_S = 3_600.0
"""Seconds for which the sample's gains are kept in a large space, where reading a year of them takes a second."""
_PAGES_OF = 5_000
"""Users that TABLESAMPLE should yield. It draws whole pages, so more users than the sample needs."""

_GAINS = """
SELECT kind, number, array_agg(gain ORDER BY gain) FROM (
    SELECT 'metric' AS kind, metric AS number, sum(change)::bigint AS gain FROM metric_days
    WHERE space_id = $1 AND user_id = ANY ($2::text[]) AND day BETWEEN $3 AND $4 GROUP BY user_id, metric
    UNION ALL
    SELECT 'points', system, sum(change)::bigint FROM point_days
    WHERE space_id = $1 AND user_id = ANY ($2::text[]) AND day BETWEEN $3 AND $4 GROUP BY user_id, system
) AS gains WHERE gain <> 0 GROUP BY kind, number
"""

Gains = dict[tuple[str, int], list[int]]
"""The users' gains in a period, sorted, by kind (metric or points) and number."""


def percentile(gains: list[int], own: int) -> int | None:
    """Return the percentage of users with a gain who gained less than ``own``, or None if nobody has a gain."""
    return round(100 * bisect_left(gains, own) / len(gains)) if gains else None


async def gains(parts: Services, space_id: int, *periods: Period) -> dict[Period, Gains]:
    """Return the gains of a sample of a space's users in periods.

    In a large space the gains may be an hour old, or older if nobody asked since.
    """

    async def draw() -> list[str]:
        async with acquired(parts.pool) as connection:
            return await _draw(connection, space_id)

    async def read(period: Period) -> Gains:
        async with acquired(parts.pool) as connection:
            return await _read(connection, space_id, users, period)

    users = await parts.cache.get(("sample", space_id), draw, KEPT_S)
    kept_s: float | None = KEPT_S
    if len(users) < SAMPLE:
        # In a small space the sample is everybody.
        users, kept_s = await parts.cache.get(("small sample", space_id), draw), None
    return {
        period: await parts.cache.get(("gains", space_id, period), partial(read, period), kept_s)
        for period in periods
    }


async def _draw(connection: PoolConnection, space_id: int) -> list[str]:
    known = await connection.fetchval("SELECT reltuples FROM pg_class WHERE oid = 'users'::regclass")
    if known > _PAGES_OF:
        rows = await connection.fetch(
            "SELECT id FROM users TABLESAMPLE SYSTEM ($2) WHERE space_id = $1 LIMIT $3",
            space_id,
            min(100.0, 100.0 * _PAGES_OF / known),
            SAMPLE,
        )
        if len(rows) == SAMPLE:
            return [row["id"] for row in rows]
    # TABLESAMPLE draws from the table of all spaces, and may find nobody of a small one.
    rows = await connection.fetch(
        "SELECT id FROM users WHERE space_id = $1 ORDER BY md5(id) LIMIT $2", space_id, SAMPLE
    )
    return [row["id"] for row in rows]


async def _read(connection: PoolConnection, space_id: int, users: list[str], period: Period) -> Gains:
    rows = await connection.fetch(_GAINS, space_id, users, period.start, period.end)
    return {(kind, number): gained for kind, number, gained in rows}

"""How a user's year compares with that of others, from a sample of users."""

from __future__ import annotations

from bisect import bisect_left
from functools import partial

from podium.game.wrapped.rules import Period
from podium.http.services import Services
from podium.storage.postgres.pool import PoolConnection, acquired

SAMPLE = 1_000
"""Users that stand for all: enough for a share that is 2 % off at most."""
KEPT_S = 3_600.0
"""In a large space, where a year of the sample takes a second; after this it is renewed when somebody asks."""
_PAGES_OF = 5_000
"""Users whose pages are drawn for the sample: whole pages are drawn, so more than the sample has."""

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
"""By kind (metric, points) and number: what users gained in a period, sorted."""


def percentile(gains: list[int], own: int) -> int | None:
    """The percent of those who gained something that gained less; None where nobody did."""
    return round(100 * bisect_left(gains, own) / len(gains)) if gains else None


async def gains(parts: Services, space_id: int, *periods: Period) -> dict[Period, Gains]:
    """What a sample of a space's users gained in periods; in a large space an hour ago, or when it was last asked
    for."""

    async def draw() -> list[str]:
        async with acquired(parts.pool) as connection:
            return await _draw(connection, space_id)

    async def read(period: Period) -> Gains:
        async with acquired(parts.pool) as connection:
            return await _read(connection, space_id, users, period)

    users = await parts.memo.get(("sample", space_id), draw, KEPT_S)
    kept_s: float | None = KEPT_S
    if len(users) < SAMPLE:
        # Everybody of a small space, which may have grown since.
        users, kept_s = await parts.memo.get(("small sample", space_id), draw), None
    return {
        period: await parts.memo.get(("gains", space_id, period), partial(read, period), kept_s)
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
    # A small space, perhaps among large ones.
    rows = await connection.fetch(
        "SELECT id FROM users WHERE space_id = $1 ORDER BY md5(id) LIMIT $2", space_id, SAMPLE
    )
    return [row["id"] for row in rows]


async def _read(connection: PoolConnection, space_id: int, users: list[str], period: Period) -> Gains:
    rows = await connection.fetch(_GAINS, space_id, users, period.start, period.end)
    return {(kind, number): gained for kind, number, gained in rows}

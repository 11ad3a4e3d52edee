"""Queries of a user's metrics."""

from __future__ import annotations

from datetime import date

from podium.storage.postgres.pool import PoolConnection


async def read_days(
    connection: PoolConnection, space_id: int, user: str, metric: int, start: date, end: date
) -> tuple[int, dict[date, int]]:
    """Return the sum of all days before ``start``, and the changes of the days from ``start`` to ``end`` (both
    inclusive) that have one, in whole units."""
    rows = await connection.fetch(
        """
        SELECT CASE WHEN day >= $4 THEN day END AS day, sum(change)::bigint AS change
        FROM metric_days
        WHERE space_id = $1 AND user_id = $2 AND metric = $3 AND day <= $5
        GROUP BY 1
        """,
        space_id,
        user,
        metric,
        start,
        end,
    )
    changes = {row["day"]: row["change"] for row in rows}
    return changes.pop(None, 0), changes

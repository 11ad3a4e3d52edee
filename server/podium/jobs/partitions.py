"""Create the monthly partitions of ``events`` ahead of time. The default partition takes rows without one."""

from __future__ import annotations

from datetime import UTC, datetime

from podium.game.periods import at
from podium.storage.postgres.pool import Pool, acquired

MONTHS_AHEAD = 2
"""Months for which the worker may be down before events go to the default partition."""
_LOCK = 0x706172_746974
"""Advisory lock ("partit") that keeps two workers from creating the same partition."""


async def create_partitions(pool: Pool, now_ms: int) -> list[str]:
    """Create the missing partitions of this month (UTC) and the next ones, and return their names.

    Rows of these months in the default partition are moved.

    Raises:
        Unavailable: Postgres is away.
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
            # Lock the parent table, so that writers wait before they choose a partition. One that waited at the
            # default partition would have its rows refused by that partition's new, narrower bounds.
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
    """Return the first instant of a month. Month 13 is January of the next year."""
    return datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC)

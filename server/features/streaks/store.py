"""What Postgres holds of streaks: the periods of the past, and pauses by id."""

from __future__ import annotations

from typing import NamedTuple

from server.backends.postgres.pool import PoolConnection


class Lived(NamedTuple):
    """A row of ``streak_periods``."""

    period: int
    length: int
    frozen: bool


async def read_periods(
    connection: PoolConnection, space_id: int, user: str, track: int, first: int, last: int
) -> list[Lived]:
    """The periods from ``first`` to ``last`` that were met or frozen, and the one before them, oldest first."""
    rows = await connection.fetch(
        """
        (SELECT period, length, frozen FROM streak_periods
         WHERE space_id = $1 AND user_id = $2 AND track = $3 AND period < $4 ORDER BY period DESC LIMIT 1)
        UNION ALL
        SELECT period, length, frozen FROM streak_periods
        WHERE space_id = $1 AND user_id = $2 AND track = $3 AND period BETWEEN $4 AND $5
        ORDER BY period
        """,
        space_id,
        user,
        track,
        first,
        last,
    )
    return [Lived(*row) for row in rows]


async def pause_owner(connection: PoolConnection, space_id: int, id_: str) -> str | None:
    """Whose pause it is; None for one that there isn't."""
    found: str | None = await connection.fetchval(
        "SELECT user_id FROM streak_pauses WHERE space_id = $1 AND id = $2 AND NOT deleted", space_id, id_
    )
    return found

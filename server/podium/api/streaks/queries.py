"""Queries of streaks: periods of the past, owners of pauses, rankings."""

from __future__ import annotations

from typing import NamedTuple

from podium.storage.postgres.pool import PoolConnection


class PastPeriod(NamedTuple):
    """A row of ``streak_periods``."""

    period: int
    length: int
    frozen: bool = False
    restored: bool = False


async def read_periods(
    connection: PoolConnection, space_id: int, user: str, track: int, first: int, last: int
) -> list[PastPeriod]:
    """Return the periods from ``first`` to ``last`` that were met or frozen, and the one before them, oldest
    first."""
    rows = await connection.fetch(
        """
        (SELECT period, length, frozen, restored FROM streak_periods
         WHERE space_id = $1 AND user_id = $2 AND track = $3 AND period < $4 ORDER BY period DESC LIMIT 1)
        UNION ALL
        SELECT period, length, frozen, restored FROM streak_periods
        WHERE space_id = $1 AND user_id = $2 AND track = $3 AND period BETWEEN $4 AND $5
        ORDER BY period
        """,
        space_id,
        user,
        track,
        first,
        last,
    )
    return [PastPeriod(*row) for row in rows]


async def pause_owner(connection: PoolConnection, space_id: int, id_: str) -> str | None:
    """Return the user of a pause, or None if there is no such pause."""
    found: str | None = await connection.fetchval(
        "SELECT user_id FROM streak_pauses WHERE space_id = $1 AND id = $2 AND NOT deleted", space_id, id_
    )
    return found


class Ranked(NamedTuple):
    """A user in a ranking of streaks, as of the newest event."""

    user: str
    name: str | None
    length: int


async def ranked(connection: PoolConnection, space_id: int, track: int, by: str, limit: int) -> list[Ranked]:
    """Return the users with the longest present streaks, or, with ``by`` "longest", with the longest streaks
    ever."""
    column = "longest" if by == "longest" else "length"
    rows = await connection.fetch(
        f"SELECT s.user_id, u.name, s.{column} FROM user_streaks s"  # noqa: S608 # our own words
        " LEFT JOIN users u ON u.space_id = s.space_id AND u.id = s.user_id"
        f" WHERE s.space_id = $1 AND s.track = $2 AND s.{column} > 0"
        f" ORDER BY s.{column} DESC, s.user_id LIMIT $3",
        space_id,
        track,
        limit,
    )
    return [Ranked(*row) for row in rows]

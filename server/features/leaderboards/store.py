"""What the stores hold of a board: rows and places from Redis, days and what users left behind from Postgres."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from server.backends.postgres.pool import Pool, PoolConnection, acquired
from server.backends.redis.client import AWAY, RedisClient
from server.core.errors import Unavailable
from server.engine.state import UserState
from server.features.leaderboards.labels import Label, read_label
from server.features.leaderboards.model import TieRule
from server.features.leaderboards.ranking import TIES, member, split_board, units
from server.spaces.space import Space


class Row(NamedTuple):
    """One place of a board, in units (ranking.units)."""

    user: str
    label: Label
    units: int


class Page(NamedTuple):
    """Rows of a board, read in one instant; ``rank`` is that of the first, ``participants`` all on the board."""

    offset: int
    rows: list[Row]
    rank: int
    participants: int


class Place(NamedTuple):
    """A user's rank (1 is best) and score in whole units."""

    rank: int
    units: int


class RankDay(NamedTuple):
    """A row of ``rank_days``; values are whole units."""

    day: date
    previous_rank: int | None
    rank: int
    previous_value: int | None
    value: int


async def read_page(
    redis: RedisClient,
    space: Space,
    board: str,
    tie_rule: TieRule,
    offset: int,
    limit: int,
    user: str = "",
    behind: tuple[str, str] | tuple[()] = (),
) -> Page | None:
    """Up to ``limit`` rows from ``offset`` on, which counts from ``user`` if one is named, or from the place
    ``behind`` a score and member; None if Redis doesn't know that this user is on the board (``find_place``).

    ``Unavailable`` while Redis is away or being rebuilt.
    """
    epoch, _, participants, first, rows, rank = await redis.call(
        "page", space.keys.meta, board, offset, limit, user, TIES[tie_rule], *behind
    )
    if not epoch:
        raise Unavailable("Redis is being rebuilt")
    if first < 0:
        return None
    found = [Row(id_.decode(), read_label(text.decode()), units(score)) for id_, text, score in rows]
    return Page(first, found, rank, participants)


async def read_place(redis: RedisClient, space: Space, board: str, tie_rule: TieRule, user: str) -> Place | None:
    """Where the user stands; None as with ``read_page``."""
    [[rank, score, _]] = await redis.call("standing", space.keys.meta, user, board, TIES[tie_rule])
    return Place(rank, units(score)) if rank else None


async def find_place(
    redis: RedisClient,
    pool: Pool,
    space: Space,
    board: str,
    tie_rule: TieRule,
    user: str,
    state: UserState,
    *,
    over: bool,
) -> Place | None:
    """Where a user stands whom Redis doesn't know to be on the board: one who is cold, or, where the run is
    ``over``, one whose state has let go of it. ``Unavailable`` where a store is away."""
    standing = state.boards.get(board)
    reached_ms = standing.reached_ms if standing is not None else None
    if reached_ms is None and over:
        leaderboard, run, group = split_board(board)
        async with acquired(pool) as connection:
            reached_ms = await connection.fetchval(
                "SELECT reached_ms FROM board_entries"
                " WHERE space_id = $1 AND leaderboard = $2 AND run = $3 AND grp = $4 AND user_id = $5",
                space.id,
                leaderboard,
                run,
                group or "",
                user,
            )
    if reached_ms is None:
        return None
    key, name = space.keys.board(board), member(reached_ms, user)
    try:
        async with redis.raw.pipeline(transaction=True) as pipeline:
            pipeline.zrank(key, name)
            pipeline.zscore(key, name)
            rank, score = await pipeline.execute()
        if rank is None:
            return None
        if tie_rule == "competition":
            rank = await redis.raw.zcount(key, "-inf", f"({score:.0f}")
        elif tie_rule == "dense":
            rank = await redis.raw.zrank(space.keys.distinct(board), f"{score:.0f}")
    except AWAY as error:
        raise Unavailable("Redis is away") from error
    return None if rank is None else Place(rank + 1, -int(score))


async def read_days(connection: PoolConnection, space_id: int, board: str, user: str, most: int) -> list[RankDay]:
    """The last ``most`` days on which the user's value on the board changed, oldest first."""
    leaderboard, run, _ = split_board(board)
    rows = await connection.fetch(
        """
        SELECT day, previous_rank, rank, previous_value, value FROM rank_days
        WHERE space_id = $1 AND leaderboard = $2 AND run = $3 AND user_id = $4
        ORDER BY day DESC LIMIT $5
        """,
        space_id,
        leaderboard,
        run,
        user,
        most,
    )
    return [RankDay(*row) for row in reversed(rows)]

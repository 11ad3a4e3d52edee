"""Reads of a board: live rows and places from Redis; days, final standings and cold users' places from
Postgres."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

from podium.game.errors import Unavailable
from podium.game.leaderboards.labels import Label, read_label
from podium.game.leaderboards.model import Order, TieRule
from podium.game.leaderboards.ranking import group_values, member, score, split_board, successive, units
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import AWAY, RedisClient, unavailable
from podium.storage.redis.wire import TIES

PLACES_AT_ONCE = 200
"""Users whose places are read in one call. Redis serves nobody else meanwhile."""
BOARDS_AT_ONCE = 100
"""Boards whose scores are counted in one call."""


class Row(NamedTuple):
    """One row of a board: the score in units (``ranking.units``) and the instant at which it was reached."""

    user: str
    label: Label
    units: int
    rank: int
    reached_ms: int


class Page(NamedTuple):
    """Rows of a board, read at one instant. ``participants`` is the number of all users on the board."""

    offset: int
    rows: list[Row]
    participants: int


class Place(NamedTuple):
    """A user's rank (1 is best), score in units, and label."""

    rank: int
    units: int
    label: Label


class Group(NamedTuple):
    """A row of a group board: the attribute value as written by people, the score in units, the active members."""

    group: str
    rank: int
    units: float
    members: int


class RankDay(NamedTuple):
    """A row of ``rank_history``; values are whole units."""

    day: date
    previous_rank: int | None
    rank: int
    previous_value: int | None
    value: int


class GroupDay(NamedTuple):
    """A row of ``group_days``: ``rank`` 0 and ``units`` None while the group was not ranked."""

    day: date
    rank: int
    units: float | None
    members: int


After = tuple[str, str] | tuple[()]
"""The place after which rows begin: score and member, as in the sorted set."""


async def read_page(
    redis: RedisClient,
    space: Space,
    board: str,
    tie_rule: TieRule,
    offset: int,
    limit: int,
    user: str = "",
    after: After = (),
) -> Page | None:
    """Return up to ``limit`` rows from ``offset`` on, counted from ``user``, from the place ``after``, or from the
    top.

    None if Redis doesn't know the user's place; ``find_places`` finds those of cold users.

    Raises:
        Unavailable: Redis is away or being rebuilt.
    """
    first, participants, rows, ranks = await _page(redis, space, board, tie_rule, offset, limit, user, after)
    if first < 0:
        return None
    found = [
        Row(id_.decode(), read_label(text.decode()), units(stored), rank, int(reached, 16))
        for (id_, text, stored, reached), rank in zip(rows, ranks, strict=True)
    ]
    return Page(first, found, participants)


async def read_groups(
    redis: RedisClient, space: Space, board: str, tie_rule: TieRule, offset: int, limit: int
) -> tuple[list[Group], int]:
    """Return groups of a ``groups_board`` from ``offset`` on, and the number of all groups. Raises as
    ``read_page``."""
    _, count, rows, ranks = await _page(redis, space, board, tie_rule, offset, limit)
    found = [
        Group(name.decode(), rank, -float(stored), int(members))
        for (name, members, stored, _), rank in zip(rows, ranks, strict=True)
    ]
    return found, count


async def _page(
    redis: RedisClient,
    space: Space,
    board: str,
    tie_rule: TieRule,
    offset: int,
    limit: int,
    user: str = "",
    after: After = (),
) -> tuple[int, int, list[Any], Sequence[int]]:
    epoch, _, participants, first, rows, rank = await redis.call(
        "page", space.keys.meta, board, offset, limit, user, TIES[tie_rule], *after
    )
    if not epoch:
        raise Unavailable("Redis is being rebuilt")
    ranks = successive([float(row[2]) for row in rows], tie_rule, first + 1, rank)
    return first, participants, rows, ranks


async def read_places(
    redis: RedisClient, space: Space, board: str, tie_rule: TieRule, users: Sequence[str]
) -> dict[str, Place]:
    """Return the places of users. Users whose places Redis doesn't know are left out."""
    places = await _standing(redis, space, [(user, board, tie_rule) for user in users])
    return {user: place for user, place in zip(users, places, strict=True) if place is not None}


async def read_standings(
    redis: RedisClient, space: Space, user: str, boards: Sequence[tuple[str, TieRule]]
) -> dict[str, Place]:
    """Return the places of one user by board. Boards on which Redis doesn't know the place are left out."""
    places = await _standing(redis, space, [(user, board, tie_rule) for board, tie_rule in boards])
    return {board: place for (board, _), place in zip(boards, places, strict=True) if place is not None}


async def _standing(
    redis: RedisClient, space: Space, asked: Sequence[tuple[str, str, TieRule]]
) -> list[Place | None]:
    found: list[Place | None] = []
    for i in range(0, len(asked), PLACES_AT_ONCE):
        chunk = [part for user, board, rule in asked[i : i + PLACES_AT_ONCE] for part in (user, board, TIES[rule])]
        for rank, stored, text in await redis.call("standing", space.keys.meta, *chunk):
            found.append(Place(rank, units(stored), read_label(text.decode())) if rank else None)
    return found


async def read_cold(redis: RedisClient, space: Space, users: Sequence[str]) -> list[bool]:
    """Return for each user whether it is cold (docs/decisions/0007-record-and-working-set.md)."""
    try:
        return [token is not None for token in await redis.raw.hmget(space.keys.cold, list(users))]
    except AWAY as error:
        raise unavailable(error) from error


async def find_places(
    redis: RedisClient, pool: Pool, space: Space, board: str, tie_rule: TieRule, users: Sequence[str]
) -> dict[str, Place]:
    """Return the places of users whose members Redis doesn't know, finding those in Postgres.

    These are cold users and, in a run that is over, users whose states have dropped the run.

    Raises:
        Unavailable: A store is away.
    """
    leaderboard, run, group = split_board(board)
    async with acquired(pool) as connection:
        rows = await connection.fetch(
            "SELECT user_id, reached_ms, name, attributes FROM standings b JOIN users u"
            " ON u.space_id = b.space_id AND u.id = b.user_id"
            " WHERE b.space_id = $1 AND leaderboard = $2 AND run = $3 AND grp = $4 AND user_id = ANY ($5::text[])",
            space.id,
            leaderboard,
            run,
            group or "",
            list(users),
        )
    key, distinct = space.keys.board(board), space.keys.distinct(board)
    found: dict[str, Place] = {}
    try:
        for user, reached_ms, name, attributes in rows:
            async with redis.raw.pipeline(transaction=True) as pipeline:
                pipeline.zrank(key, member(reached_ms, user))
                pipeline.zscore(key, member(reached_ms, user))
                above, stored = await pipeline.execute()
            if above is not None and tie_rule == "competition":
                above = await redis.raw.zcount(key, "-inf", f"({stored:.0f}")
            elif above is not None and tie_rule == "dense":
                above = await redis.raw.zrank(distinct, f"{stored:.0f}")
            if above is not None:
                found[user] = Place(above + 1, -int(stored), Label(name, attributes))
    except AWAY as error:
        raise unavailable(error) from error
    return found


async def read_scores(
    redis: RedisClient, space: Space, boards: Sequence[str], order: Order, steps: int
) -> tuple[int, tuple[int, int], list[int]]:
    """Return the distribution of the scores of boards, without reading each of them.

    The result has the participants, the least and the greatest score in whole units, and the counts in ``steps``
    equally wide buckets between them. A bucket includes its beginning but not its end; the last one includes both.
    Raises as ``read_page``.
    """
    sign = score(1, order)
    ends: list[int] = []
    sums = [0] * steps
    try:
        for some in _some(boards):
            async with redis.raw.pipeline(transaction=True) as pipeline:
                pipeline.hget(space.keys.meta, "epoch")
                for key in map(space.keys.board, some):
                    pipeline.zrange(key, 0, 0, withscores=True)
                    pipeline.zrange(key, -1, -1, withscores=True)
                epoch, *found = await pipeline.execute()
            if epoch is None:
                raise Unavailable("Redis is being rebuilt")
            ends += [sign * int(stored) for rows in found for _, stored in rows]
        if not ends:
            return 0, (0, 0), []
        least, greatest = min(ends), max(ends)
        edges = [least + (greatest - least) * step / steps for step in range(steps)]
        for some in _some(boards):
            async with redis.raw.pipeline(transaction=True) as pipeline:
                for key in map(space.keys.board, some):
                    for begin, end in zip(edges, [*edges[1:], math.inf], strict=True):
                        # "(" makes a bound of ZCOUNT exclusive.
                        begins, ends_before = f"{sign * begin!r}", f"({sign * end!r}"
                        # With order asc Redis holds negated scores, whose bounds are the other way round.
                        pipeline.zcount(key, *((begins, ends_before) if sign > 0 else (ends_before, begins)))
                counts: list[int] = await pipeline.execute()
            sums = [before + sum(counts[step::steps]) for step, before in enumerate(sums)]
    except AWAY as error:
        raise unavailable(error) from error
    return sum(sums), (least, greatest), sums


def _some(boards: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield boards in chunks. Redis serves nobody else during a call."""
    for at in range(0, len(boards), BOARDS_AT_ONCE):
        yield boards[at : at + BOARDS_AT_ONCE]


async def count_participants(redis: RedisClient, space: Space, boards: Sequence[str]) -> list[int]:
    """Return the number of participants of each board.

    Raises:
        Unavailable: Redis is away.
    """
    found: list[int] = []
    try:
        for some in _some(boards):
            async with redis.raw.pipeline(transaction=False) as pipeline:
                for board in some:
                    pipeline.zcard(space.keys.board(board))
                found += await pipeline.execute()
    except AWAY as error:
        raise unavailable(error) from error
    return found


async def read_run_groups(connection: PoolConnection, space_id: int, leaderboard: int, run: str) -> list[str]:
    """Return the groups of a run that is not final in which somebody has stood, as ``group_name``."""
    # board_entries from group to group along the primary key: it has what an earlier release wrote.
    rows = await connection.fetch(
        """
        WITH RECURSIVE older AS (
            (SELECT grp FROM board_entries WHERE space_id = $1 AND leaderboard = $2 AND run = $3 AND grp > ''
             ORDER BY grp LIMIT 1)
            UNION ALL
            SELECT (SELECT b.grp FROM board_entries b WHERE b.space_id = $1 AND b.leaderboard = $2 AND b.run = $3
                        AND b.grp > older.grp ORDER BY b.grp LIMIT 1)
            FROM older WHERE older.grp IS NOT NULL
        )
        SELECT grp FROM older WHERE grp IS NOT NULL
        UNION
        SELECT grp FROM board_groups WHERE space_id = $1 AND leaderboard = $2 AND run = $3
        """,
        space_id,
        leaderboard,
        run,
    )
    return [row["grp"] for row in rows]


async def read_group(redis: RedisClient, space: Space, board: str, tie_rule: TieRule, group: str) -> Group | None:
    """Return one group of a run (``board`` is that of all): None without members, rank 0 with too few."""
    [[rank, stored, members]] = await redis.call("groups", space.keys.meta, board, TIES[tie_rule], group)
    name = group_values(group)[0]
    return Group(name, rank, -float(stored) if rank else 0.0, members) if members else None


async def read_days(connection: PoolConnection, space_id: int, board: str, user: str, most: int) -> list[RankDay]:
    """Return the last ``most`` days on which the user's value on the board changed, the oldest first."""
    leaderboard, run, _ = split_board(board)
    rows = await connection.fetch(
        """
        SELECT h.* FROM (
            -- The newest days along either primary key: whoever has many is not read as a whole.
            (SELECT day FROM place_days
             WHERE space_id = $1 AND user_id = $4 AND places ? ($2::integer || ':' || $3::text)
             ORDER BY day DESC LIMIT $5)
            UNION
            (SELECT day FROM rank_days WHERE space_id = $1 AND leaderboard = $2 AND run = $3 AND user_id = $4
             ORDER BY day DESC LIMIT $5)
        ) AS newest CROSS JOIN LATERAL (
            SELECT day, previous_rank, rank, previous_value, value FROM rank_history
            WHERE space_id = $1 AND leaderboard = $2 AND run = $3 AND user_id = $4 AND day = newest.day
        ) AS h
        ORDER BY day DESC LIMIT $5
        """,
        space_id,
        leaderboard,
        run,
        user,
        most,
    )
    return [RankDay(*row) for row in reversed(rows)]


async def read_group_days(
    connection: PoolConnection, space_id: int, board: str, group: str, most: int
) -> list[GroupDay]:
    """Return the last ``most`` days on which a group of a run (``board`` is that of all) changed, the oldest
    first."""
    leaderboard, run, _ = split_board(board)
    rows = await connection.fetch(
        "SELECT day, rank, score, members FROM group_days"
        " WHERE space_id = $1 AND leaderboard = $2 AND run = $3 AND grp = $4 ORDER BY day DESC LIMIT $5",
        space_id,
        leaderboard,
        run,
        group,
        most,
    )
    return [
        GroupDay(day, rank, None if score is None else -score, members)
        for day, rank, score, members in reversed(rows)
    ]


# Final standings are only in Postgres.


async def has_standings(connection: PoolConnection, space_id: int, board: str) -> bool:
    """Return whether the final standings of a board's run have been written."""
    leaderboard, run, _ = split_board(board)
    return bool(
        await connection.fetchval(
            "SELECT true FROM final_runs WHERE space_id = $1 AND leaderboard = $2 AND run = $3",
            space_id,
            leaderboard,
            run,
        )
    )


_STANDING = "user_id, name, attributes, value, rank, reached_ms"


async def read_final_page(
    connection: PoolConnection, space_id: int, board: str, order: Order, offset: int, limit: int
) -> Page:
    """Return rows of a final run from ``offset`` on."""
    leaderboard, run, group = split_board(board)
    values = (space_id, leaderboard, run, group or "")
    of_board = "FROM run_standings WHERE space_id = $1 AND leaderboard = $2 AND run = $3 AND grp = $4"
    rows = await connection.fetch(
        f"SELECT {_STANDING} {of_board} AND place > $5 ORDER BY place LIMIT $6",  # our own words
        *values,
        offset,
        limit,
    )
    participants = await connection.fetchval(
        f"SELECT coalesce(max(place), 0) {of_board}",  # our own words
        *values,
    )
    return Page(offset, [_final_row(row, order) for row in rows], participants)


async def read_final_places(
    connection: PoolConnection, space_id: int, board: str, order: Order, users: Sequence[str]
) -> dict[str, tuple[int, Place]]:
    """Return index (from 0) and place of each user in a final run."""
    leaderboard, run, group = split_board(board)
    rows = await connection.fetch(
        f"SELECT place, {_STANDING} FROM run_standings"  # noqa: S608 # our own words
        " WHERE space_id = $1 AND leaderboard = $2 AND run = $3 AND grp = $4 AND user_id = ANY ($5::text[])",
        space_id,
        leaderboard,
        run,
        group or "",
        list(users),
    )
    found = {}
    for place, *standing in rows:
        row = _final_row(standing, order)
        found[row.user] = (place - 1, Place(row.rank, row.units, row.label))
    return found


async def read_final_groups(
    connection: PoolConnection, space_id: int, board: str, offset: int, limit: int
) -> tuple[list[Group], int]:
    """Return groups of a final run from ``offset`` on, and the number of all groups."""
    leaderboard, run, _ = split_board(board)
    of_run = "FROM group_standings WHERE space_id = $1 AND leaderboard = $2 AND run = $3"
    rows = await connection.fetch(
        f"SELECT grp, rank, score, members {of_run} AND place > $4 ORDER BY place LIMIT $5",  # our own words
        space_id,
        leaderboard,
        run,
        offset,
        limit,
    )
    count = await connection.fetchval(
        f"SELECT count(*) {of_run}",  # our own words
        space_id,
        leaderboard,
        run,
    )
    return [Group(group_values(group)[0], rank, -stored, members) for group, rank, stored, members in rows], count


async def read_final_group(connection: PoolConnection, space_id: int, board: str, group: str) -> Group | None:
    """Return one group of a final run, or None if it was not ranked."""
    leaderboard, run, _ = split_board(board)
    row = await connection.fetchrow(
        "SELECT rank, score, members FROM group_standings"
        " WHERE space_id = $1 AND leaderboard = $2 AND run = $3 AND grp = $4",
        space_id,
        leaderboard,
        run,
        group,
    )
    return None if row is None else Group(group_values(group)[0], row["rank"], -row["score"], row["members"])


def _final_row(row: Any, order: Order) -> Row:
    user, name, attributes, value, rank, reached_ms = row
    return Row(user, Label(name, attributes), units(str(score(value, order))), rank, reached_ms)

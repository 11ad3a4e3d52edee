"""How far backfills have come, in Postgres."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from podium.game.leaderboards.model import Leaderboard
from podium.game.leaderboards.ranking import board_name
from podium.storage.postgres.pool import PoolConnection
from podium.writebehind.log_tail import Entry

GIVE_UP = 8
"""Tries after which a user who was set aside keeps no run from becoming final any more: some twenty minutes."""


BackfillState = Literal["pending", "filling", "retrying", "incomplete", "done"]


class BackfillProgress(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far stored history has been counted on a leaderboard: ``done`` of ``total`` users have been looked at.

    ``setAside`` of them could not be counted yet and are tried again: ``retrying`` once all others are done,
    ``incomplete`` where runs no longer wait for them.
    """

    state: BackfillState
    done: int = 0
    total: int = 0
    percent: int = 0
    set_aside: int = 0


class Backfill(NamedTuple):
    """A row of ``board_fills``: ``done`` of ``total`` users have been looked at, the last one was ``last_user``;
    all of them if ``passed``. Users who posted nothing since ``since_ms`` are left out. It is ``filled`` once runs
    may become final; ``waiting`` users are set aside, for ``trying`` of whom it isn't given up that they come in
    time for that."""

    last_user: str
    passed: bool
    done: int
    total: int
    since_ms: int
    filled: bool
    waiting: int
    trying: int


class SetAside(NamedTuple):
    """A user who could not be brought onto a leaderboard, by its number, in so many tries."""

    user: str
    leaderboard: int
    tries: int
    reason: str


class Store:
    """The rows of one space; each call within the transaction of the one who holds its lock."""

    def __init__(self, space_id: int) -> None:
        self._space_id = space_id

    async def load(self, connection: PoolConnection) -> dict[int, Backfill]:
        """All backfills by leaderboard."""
        rows = await connection.fetch(
            "SELECT f.leaderboard, last_user, passed, done, total, since_ms, filled_at IS NOT NULL,"
            " coalesce(waiting, 0), coalesce(trying, 0)"
            " FROM board_fills f LEFT JOIN (SELECT leaderboard, count(*) AS waiting,"
            "    count(*) FILTER (WHERE tries < $2) AS trying FROM backfill_set_aside WHERE space_id = $1"
            "    GROUP BY leaderboard) AS a USING (leaderboard)"
            " WHERE space_id = $1",
            self._space_id,
            GIVE_UP,
        )
        return {number: Backfill(*row) for number, *row in rows}

    async def begin(self, connection: PoolConnection, leaderboards: Sequence[int], since_ms: int) -> None:
        """Begin backfills."""
        total = await connection.fetchval(
            "SELECT count(*) FROM users WHERE space_id = $1 AND newest_ms >= $2", self._space_id, since_ms
        )
        await connection.executemany(
            "INSERT INTO board_fills (space_id, leaderboard, filled_at, passed, total, since_ms)"
            " VALUES ($1, $2, NULL, false, $3, $4) ON CONFLICT DO NOTHING",
            [(self._space_id, number, total, since_ms) for number in leaderboards],
        )

    async def advance(
        self, connection: PoolConnection, leaderboards: Sequence[int], last_user: str, users: int, *, passed: bool
    ) -> None:
        """Note that ``users`` more have been looked at, up to ``last_user``."""
        await connection.execute(
            # Nobody's id stays behind.
            "UPDATE board_fills SET last_user = CASE WHEN $5 THEN '' ELSE $3 END, done = done + $4, passed = $5"
            " WHERE space_id = $1 AND leaderboard = ANY ($2::integer[])",
            self._space_id,
            leaderboards,
            last_user,
            users,
            passed,
        )

    async def finish(self, connection: PoolConnection, leaderboard: int) -> None:
        """Note that a backfill is over: from here on runs may become final."""
        await connection.execute(
            "UPDATE board_fills SET filled_at = coalesce(filled_at, now())"
            " WHERE space_id = $1 AND leaderboard = $2",
            self._space_id,
            leaderboard,
        )

    async def set_aside(
        self, connection: PoolConnection, users: Iterable[SetAside], version: int, retry_ms: int
    ) -> None:
        """Keep users to be tried again at an instant (ms), or under another version of the catalog."""
        await connection.executemany(
            "INSERT INTO backfill_set_aside (space_id, leaderboard, user_id, tries, version, retry_ms, reason)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (space_id, user_id, leaderboard) DO UPDATE"
            " SET tries = excluded.tries, version = excluded.version, retry_ms = excluded.retry_ms,"
            " reason = excluded.reason",
            [
                (self._space_id, one.leaderboard, one.user, one.tries, version, retry_ms, one.reason)
                for one in users
            ],
        )

    async def due(
        self, connection: PoolConnection, now_ms: int, version: int, most: int
    ) -> dict[str, list[SetAside]]:
        """Up to ``most`` users whose time has come, with the leaderboards."""
        rows = await connection.fetch(
            "SELECT user_id, leaderboard, tries, reason FROM backfill_set_aside"
            " WHERE space_id = $1 AND user_id IN ("
            "  SELECT DISTINCT user_id FROM backfill_set_aside"
            "  WHERE space_id = $1 AND (retry_ms <= $2 OR version <> $3) LIMIT $4)",
            self._space_id,
            now_ms,
            version,
            most,
        )
        found: dict[str, list[SetAside]] = {}
        for row in rows:
            found.setdefault(row["user_id"], []).append(SetAside(*row))
        return found

    async def forget(self, connection: PoolConnection, user: str) -> None:
        """A user who was set aside has been brought."""
        await connection.execute(
            "DELETE FROM backfill_set_aside WHERE space_id = $1 AND user_id = $2", self._space_id, user
        )

    async def entries(
        self, connection: PoolConnection, asked: Sequence[tuple[str, int, str]], grouped: Collection[int]
    ) -> list[Entry]:
        """The entries of users in runs (user, leaderboard, run); of the leaderboards ``grouped`` those in any
        group."""
        plain = [one for one in asked if one[1] not in grouped]
        rows = await connection.fetch(
            "SELECT b.leaderboard, b.run, b.grp, b.user_id, b.value, b.reached_ms"
            " FROM unnest($2::text[], $3::integer[], $4::text[]) AS r (user_id, leaderboard, run)"
            " JOIN board_entries b ON b.space_id = $1 AND b.leaderboard = r.leaderboard AND b.run = r.run"
            "  AND b.grp = '' AND b.user_id = r.user_id",
            self._space_id,
            *_columns(plain),
        )
        if len(plain) < len(asked):
            rows += await connection.fetch(
                _GROUPED, self._space_id, *_columns([o for o in asked if o[1] in grouped])
            )
        return [
            (user, board_name(leaderboard, run, group or None), value, reached_ms)
            for leaderboard, run, group, user, value, reached_ms in rows
        ]


# From group to group along the primary key: an entry of a user is found by its group, and which that was isn't
# known.
_GROUPED = """
WITH RECURSIVE asked AS MATERIALIZED (
    SELECT * FROM unnest($2::text[], $3::integer[], $4::text[]) AS r (user_id, leaderboard, run)
), groups AS (
    SELECT leaderboard, run, (
        SELECT grp FROM board_entries b WHERE b.space_id = $1 AND b.leaderboard = r.leaderboard AND b.run = r.run
        ORDER BY grp LIMIT 1) AS grp
    FROM (SELECT DISTINCT leaderboard, run FROM asked) AS r
    UNION ALL
    SELECT leaderboard, run, (
        SELECT b.grp FROM board_entries b WHERE b.space_id = $1 AND b.leaderboard = g.leaderboard AND b.run = g.run
            AND b.grp > g.grp ORDER BY b.grp LIMIT 1)
    FROM groups g WHERE grp IS NOT NULL
)
SELECT b.leaderboard, b.run, b.grp, b.user_id, b.value, b.reached_ms
FROM asked JOIN groups USING (leaderboard, run)
JOIN board_entries b ON b.space_id = $1 AND b.leaderboard = asked.leaderboard AND b.run = asked.run
    AND b.grp = groups.grp AND b.user_id = asked.user_id
"""


def _columns(asked: Sequence[tuple[str, int, str]]) -> list[list[object]]:
    return [[one[at] for one in asked] for at in range(3)]


async def read_backfills(
    connection: PoolConnection, space_id: int, boards: Sequence[Leaderboard]
) -> dict[int, BackfillProgress]:
    """How far the backfills of leaderboards have come, by their numbers; those are missing that have none."""
    rows = await connection.fetch(
        "SELECT leaderboard, done, total, passed, filled_at IS NOT NULL AS filled, (SELECT count(*)"
        "  FROM backfill_set_aside a WHERE a.space_id = f.space_id AND a.leaderboard = f.leaderboard) AS aside"
        " FROM board_fills f WHERE space_id = $1 AND leaderboard = ANY ($2::integer[])",
        space_id,
        [board.number for board in boards],
    )
    found = {board.number: BackfillProgress(state="pending") for board in boards if board.status == "active"}
    for number, done, total, passed, filled, aside in rows:
        state: BackfillState = "filling"
        if passed:
            state = ("incomplete" if filled else "retrying") if aside else "done"
        # Users who came meanwhile are visited, too; who counts as one hundredth is not done.
        percent = 100 if state == "done" else min(99, done * 100 // total) if total else 0
        found[number] = BackfillProgress(
            state=state, done=done, total=max(done, total), percent=percent, set_aside=aside
        )
    return found

"""The progress of backfills, stored in Postgres."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from podium.game.leaderboards.model import Leaderboard
from podium.game.leaderboards.ranking import board_name
from podium.storage.postgres.pool import PoolConnection
from podium.writebehind.log_tail import Entry

GIVE_UP = 8
"""Attempts, over about twenty minutes, after which runs become final without a user who was set aside."""


BackfillState = Literal["pending", "filling", "retrying", "incomplete", "done"]


class BackfillProgress(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The progress of counting stored history on a leaderboard: ``done`` of ``total`` users have been processed.

    ``setAside`` of them could not be counted yet and are retried. The state is ``retrying`` once all others are
    done, and ``incomplete`` once runs no longer wait for them.
    """

    state: BackfillState
    done: int = 0
    total: int = 0
    percent: int = 0
    set_aside: int = 0


class BackfillRow(NamedTuple):
    """A row of ``board_fills``: ``done`` of ``total`` users have been processed, up to ``last_user``, and all of
    them if ``passed``. Users without events since ``since_ms`` are left out. ``filled`` is True once runs may
    become final. ``waiting`` users are set aside; final runs still wait for ``trying`` of them."""

    last_user: str
    passed: bool
    done: int
    total: int
    since_ms: int
    filled: bool
    waiting: int
    trying: int


class SetAside(NamedTuple):
    """A user who could not be counted on a leaderboard (by its number) after ``tries`` attempts."""

    user: str
    leaderboard: int
    tries: int
    reason: str


class BackfillStore:
    """Queries of one space's backfills. Calls must be within the transaction that holds the space's advisory
    lock."""

    def __init__(self, space_id: int) -> None:
        self._space_id = space_id

    async def load(self, connection: PoolConnection) -> dict[int, BackfillRow]:
        """Return all backfills, by leaderboard's number."""
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
        return {number: BackfillRow(*row) for number, *row in rows}

    async def begin(self, connection: PoolConnection, leaderboards: Sequence[int], since_ms: int) -> None:
        """Insert the rows of new backfills."""
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
        """Record that ``users`` more users have been processed, up to ``last_user``."""
        await connection.execute(
            # At the end the id is deleted, so that erasing the user needn't look here.
            "UPDATE board_fills SET last_user = CASE WHEN $5 THEN '' ELSE $3 END, done = done + $4, passed = $5"
            " WHERE space_id = $1 AND leaderboard = ANY ($2::integer[])",
            self._space_id,
            leaderboards,
            last_user,
            users,
            passed,
        )

    async def finish(self, connection: PoolConnection, leaderboard: int) -> None:
        """Record that a backfill is complete, so that runs may become final."""
        await connection.execute(
            "UPDATE board_fills SET filled_at = coalesce(filled_at, now())"
            " WHERE space_id = $1 AND leaderboard = $2",
            self._space_id,
            leaderboard,
        )

    async def set_aside(
        self, connection: PoolConnection, users: Iterable[SetAside], version: int, retry_ms: int
    ) -> None:
        """Store users to be retried at an instant (ms), or with another version of the catalog."""
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
        """Return up to ``most`` users who are due for a retry, with their leaderboards."""
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
        """Delete a user who was set aside and has been counted."""
        await connection.execute(
            "DELETE FROM backfill_set_aside WHERE space_id = $1 AND user_id = $2", self._space_id, user
        )

    async def entries(
        self, connection: PoolConnection, asked: Sequence[tuple[str, int, str]], grouped: Collection[int]
    ) -> list[Entry]:
        """Return the entries of users in runs, given as (user, leaderboard, run). Of the leaderboards ``grouped``
        entries in any group are returned."""
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


# The primary key has the group before the user, and the user's group is not known. So a recursive query jumps from
# group to group along the key, and looks for the user in each.
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
    """Return the progress of backfills by leaderboard's number. Leaderboards without a backfill are left out."""
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
        # New users are processed too, so ``done`` may exceed ``total``; and rounding must not show 100 % too
        # early.
        percent = 100 if state == "done" else min(99, done * 100 // total) if total else 0
        found[number] = BackfillProgress(
            state=state, done=done, total=max(done, total), percent=percent, set_aside=aside
        )
    return found

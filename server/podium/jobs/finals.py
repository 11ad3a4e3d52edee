"""Make runs final when they are over in all time zones (docs/decisions/0010-local-time.md).

A final run refuses events at once. Its standings are then written to Postgres, and its boards removed from Redis
later.

A run is final from the catalog version on in which ``final_until`` includes it. A commit names its catalog
version, and Redis refuses older versions, so no later commit can change the run
(docs/decisions/0015-versioned-catalog.md). Once the log is flushed up to that version, Postgres has the final
standings: in the users' states, and in ``board_entries`` for states that have dropped the run. One statement
copies the standings of a leaderboard's ended runs from the states to ``board_entries``, another one ranks a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, timedelta

import msgspec
import structlog

from podium.clock import Clock
from podium.game.errors import StaleEpoch, Unavailable
from podium.game.leaderboards.model import Leaderboard, TieRule
from podium.game.leaderboards.ranking import board_name, groups_board
from podium.game.leaderboards.runs import LAST_ZONE_MS, Run, is_final, named_run, run_on
from podium.game.periods import MS_PER_DAY, local_day
from podium.jobs.backfill_progress import read_backfills
from podium.jobs.quarantine import Quarantine
from podium.jobs.watermark import Watermark
from podium.spaces.catalog_store import editing
from podium.spaces.directory import Directory
from podium.spaces.item_kinds import LEADERBOARD
from podium.spaces.space import Principal, Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import RedisClient

KEPT_MS = MS_PER_DAY
"""Milliseconds for which the boards of a final run stay in Redis, for viewers."""
RUNS_AT_ONCE = 50
"""Most runs that are written in one round. Imported history may have thousands."""

log = structlog.get_logger(__name__)

_NAME = """
(SELECT string_agg(
    CASE length(part[1]) WHEN 3 THEN lower(substr(part[1], 2)) ELSE encode(part[1]::bytea, 'hex') END,
    '' ORDER BY at)
 FROM regexp_matches(grp, '%[0-9A-F]{2}|[^%]', 'g') WITH ORDINALITY AS parts (part, at))
"""
"""SQL: a ``group_name`` as the hexadecimal digits of its decoded UTF-8."""
# Recursive queries jump from run to run along the primary keys. A plain DISTINCT would read every row. Every user
# who joins a board adds a row to board_days, so that has all runs. Runs in board_entries are included even if they
# were written already, since their entries are still to be deleted.
_RUNS = """
WITH RECURSIVE entered AS (
    (SELECT run FROM board_entries WHERE space_id = $1 AND leaderboard = $2 ORDER BY run LIMIT 1)
    UNION ALL
    SELECT (SELECT b.run FROM board_entries b WHERE b.space_id = $1 AND b.leaderboard = $2 AND b.run > e.run
            ORDER BY b.run LIMIT 1)
    FROM entered e WHERE e.run IS NOT NULL
), lived AS (
    (SELECT run FROM board_days WHERE space_id = $1 AND leaderboard = $2 ORDER BY run LIMIT 1)
    UNION ALL
    SELECT (SELECT d.run FROM board_days d WHERE d.space_id = $1 AND d.leaderboard = $2 AND d.run > l.run
            ORDER BY d.run LIMIT 1)
    FROM lived l WHERE l.run IS NOT NULL
)
SELECT run FROM entered WHERE run IS NOT NULL
UNION
SELECT run FROM lived WHERE run IS NOT NULL
    AND run NOT IN (SELECT run FROM final_runs WHERE space_id = $1 AND leaderboard = $2)
ORDER BY run
"""
# Only states in which one of the patterns occurs are decoded. Names of boards need no escapes in JSON.
_GATHER = """
INSERT INTO board_entries (space_id, leaderboard, run, grp, user_id, value, reached_ms, rank)
SELECT u.space_id, s.leaderboard, s.run, s.grp, u.id, s.value, s.reached_ms, 0
FROM users u CROSS JOIN LATERAL state_standings(u.state) AS s
WHERE u.space_id = $1 AND u.state LIKE ANY ($4::text[]) AND s.leaderboard = $2 AND s.run = ANY ($3::text[])
ON CONFLICT (space_id, leaderboard, run, grp, user_id) DO UPDATE SET
    value = excluded.value, reached_ms = excluded.reached_ms
"""
PATTERNS = 20
"""Most runs whose names states are searched for. For more runs, states are searched for the leaderboard's
number."""
_RANK: dict[TieRule, str] = {"ordinal": "row_number()", "competition": "rank()", "dense": "dense_rank()"}


class Finals:
    """The final runs of one space."""

    def __init__(self, pool: Pool, redis: RedisClient, directory: Directory, space: Space, clock: Clock) -> None:
        self._pool = pool
        self._redis = redis
        self._directory = directory
        self._space = space
        self._clock = clock
        self._settled: set[tuple[int, date]] = set()
        self._gathered: dict[int, date | None] = {}
        """By leaderboard up to which day the states were looked through."""
        self._watermark = Watermark(pool, redis, space)
        self._quarantine = Quarantine(redis, space, clock, "finals")

    async def round(self) -> int:
        """Make runs final, write their standings, and remove old boards. Return the number of written runs.

        A leaderboard, or a run of it, that fails repeatedly is set aside, and the others go on.

        Raises:
            Unavailable: A store is away.
        """
        await self._quarantine.load()
        await self._close_runs()
        written = await self._write_down()
        await self._clear()
        return written

    async def _close_runs(self) -> None:
        """Raise ``final_until`` in the catalog for runs that are over in all zones."""
        now_ms = self._clock()
        due = await self._counted(
            [board for board in self._space.index.catalog.leaderboards if await self._is_due(board, now_ms)]
        )
        if not due:
            return
        actor = Principal(self._space, "worker", "worker", frozenset())
        async with editing(self._directory, self._space, actor) as editor:
            for board in LEADERBOARD.of(editor.catalog):
                until = _newly_final(board, now_ms) if board.number in due else None
                if until is not None:
                    editor.update(LEADERBOARD, board, msgspec.structs.replace(board, final_until=until))

    async def _is_due(self, board: Leaderboard, now_ms: int) -> bool:
        version = str(self._space.index.version)
        if self._quarantine.holds("leaderboard", board.key, version):
            return False
        try:
            return _newly_final(board, now_ms) is not None
        except Exception as error:  # noqa: BLE001 # the quarantine logs it
            await self._quarantine.failed("leaderboard", board.key, error, version)
            return False

    async def _counted(self, boards: Sequence[Leaderboard]) -> set[int]:
        """Return the numbers of the leaderboards whose backfill is complete.

        Before that, past runs would become final with only a part of their users. A leaderboard that was created
        as finished never has a backfill.
        """
        if not boards:
            return set()
        async with acquired(self._pool) as connection:
            found = await read_backfills(connection, self._space.id, boards)
        counting = {number for number, one in found.items() if one.state not in ("done", "incomplete")}
        return {board.number for board in boards} - counting

    async def _write_down(self) -> int:
        """Write the standings of final runs that have none yet."""
        boards = [
            board
            for board in self._space.index.catalog.leaderboards
            if board.final_until is not None and (board.number, board.final_until) not in self._settled
        ]
        if not boards or not await self._watermark.reached():
            return 0
        written = 0
        for board in boards:
            found, all_done = await self._write_runs(board)
            written += found
            if all_done and board.final_until is not None:
                self._settled.add((board.number, board.final_until))
        return written

    async def _write_runs(self, board: Leaderboard) -> tuple[int, bool]:
        """Write some runs of a leaderboard. Return their number, and whether none is left."""
        written, all_done, version = 0, True, str(self._space.index.version)
        names = await self._stored_runs(board)
        if self._gathered.get(board.number) != board.final_until:
            await self._gather(board, names)
        for name in names:
            item = board_name(board.number, name)
            if self._quarantine.holds("run", item, version):
                all_done = False
                continue
            try:
                run = named_run(board, name)
                if not is_final(board, run):
                    continue
                if written >= RUNS_AT_ONCE:
                    return written, False
                await self._write_run(board, name, run)
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 # the quarantine logs it
                await self._quarantine.failed("run", item, error, version)
                all_done = False
            else:
                await self._quarantine.passed("run", item)
                written += 1
        return written, all_done

    async def _stored_runs(self, board: Leaderboard) -> list[str]:
        async with acquired(self._pool) as connection:
            rows = await connection.fetch(_RUNS, self._space.id, board.number)
        return [row["run"] for row in rows]

    async def _gather(self, board: Leaderboard, names: Sequence[str]) -> None:
        """Copy the standings of final runs from the states to ``board_entries``, for all runs in one statement,
        since it must look at every user."""
        ended = []
        for name in names:
            with suppress(ValueError):  # the name is invalid, which writing the run reports
                if is_final(board, named_run(board, name)):
                    ended.append(name)
        if ended:
            runs = ended if len(ended) <= PATTERNS else [""]
            patterns = [f'%"{board_name(board.number, run)}%' for run in runs]
            async with acquired(self._pool) as connection, connection.transaction():
                await connection.execute("SET LOCAL statement_timeout = 0")
                await connection.execute(_GATHER, self._space.id, board.number, ended, patterns)
        self._gathered[board.number] = board.final_until

    async def _write_run(self, board: Leaderboard, name: str, run: Run) -> None:
        """Move the entries of a run to its standings."""
        space_id = self._space.id
        async with acquired(self._pool) as connection, connection.transaction():
            await connection.execute("SET LOCAL statement_timeout = 0")
            written = await connection.fetchval(
                "INSERT INTO final_runs (space_id, leaderboard, run, start_day, end_day, final_at, participants)"
                " SELECT $1, $2, $3, $4, $5, to_timestamp($6::bigint / 1000.0), count(DISTINCT user_id)"
                " FROM board_entries WHERE space_id = $1 AND leaderboard = $2 AND run = $3"
                " ON CONFLICT DO NOTHING RETURNING participants",
                space_id,
                board.number,
                name,
                run.start,
                run.end,
                self._clock(),
            )
            if written is not None:  # otherwise another worker has written it
                await _rank_users(connection, space_id, board, name)
                if board.group_by is not None:
                    await _rank_groups(connection, space_id, board, name)
            # This also deletes entries that a flusher added which had not seen yet that the run is final.
            await connection.execute(
                "DELETE FROM board_entries WHERE space_id = $1 AND leaderboard = $2 AND run = $3",
                space_id,
                board.number,
                name,
            )
        if written is not None:
            log.info(
                "run_final", space=self._space.public_id, leaderboard=board.key, run=name, participants=written
            )

    async def _clear(self) -> None:
        """Remove the boards of runs from Redis that have been final for ``KEPT_MS``."""
        async with acquired(self._pool) as connection:
            rows = await connection.fetch(
                "SELECT leaderboard, run, ARRAY(SELECT DISTINCT grp FROM run_standings s"
                " WHERE grp <> '' AND s.space_id = f.space_id AND s.leaderboard = f.leaderboard AND s.run = f.run)"
                " FROM final_runs f WHERE space_id = $1 AND cleared_at IS NULL"
                " AND final_at < to_timestamp($2::bigint / 1000.0) LIMIT $3",
                self._space.id,
                self._clock() - KEPT_MS,
                RUNS_AT_ONCE,
            )
        keys = self._space.keys
        for leaderboard, run, groups in rows:
            board = board_name(leaderboard, run)
            boards = [board, groups_board(board), *(f"{board}:{group}" for group in groups)]
            gone = [key for one in boards for key in (keys.board(one), keys.distinct(one))]
            gone += keys.beside_groups(groups_board(board))
            if (await self._redis.call("clear", keys.meta, self._space.epoch or "", *gone))[0] != 0:
                raise StaleEpoch
            async with acquired(self._pool) as connection:
                await connection.execute(
                    "UPDATE final_runs SET cleared_at = now()"
                    " WHERE space_id = $1 AND leaderboard = $2 AND run = $3",
                    self._space.id,
                    leaderboard,
                    run,
                )


def _newly_final(board: Leaderboard, now_ms: int) -> date | None:
    """Return the last day of the newest run that is over in all zones, if ``final_until`` doesn't include it
    yet."""
    if board.status == "inactive" or now_ms < board.grace_ends_ms:
        return None
    over = local_day(now_ms - LAST_ZONE_MS, UTC) - timedelta(days=1)
    if board.end is not None:
        over = min(over, board.end)
    run = run_on(board, over)
    if run is None:
        return None
    last = run.end if run.end is not None and run.end <= over else run.start - timedelta(days=1)
    if last < board.start or (board.final_until is not None and last <= board.final_until):
        return None
    return last


async def _rank_users(connection: PoolConnection, space_id: int, board: Leaderboard, run: str) -> None:
    best = "ASC" if board.order == "asc" else "DESC"
    await connection.execute(
        f"""
        INSERT INTO run_standings (space_id, leaderboard, run, grp, place, rank, user_id, value, reached_ms, name,
                                   attributes)
        SELECT b.space_id, b.leaderboard, b.run, b.grp,
               row_number() OVER (PARTITION BY b.grp ORDER BY b.value {best}, b.reached_ms, b.user_id),
               {_RANK[board.tie_rule]} OVER (PARTITION BY b.grp ORDER BY b.value {best}
                   {", b.reached_ms, b.user_id" if board.tie_rule == "ordinal" else ""}),
               b.user_id, b.value, b.reached_ms, u.name, coalesce(u.attributes, '{{}}')
        FROM board_entries b LEFT JOIN users u ON u.space_id = b.space_id AND u.id = b.user_id
        WHERE b.space_id = $1 AND b.leaderboard = $2 AND b.run = $3
        """,  # noqa: S608 # our own words
        space_id,
        board.number,
        run,
    )


async def _rank_groups(connection: PoolConnection, space_id: int, board: Leaderboard, run: str) -> None:
    """Rank the groups of a run as functions/podium.lua does: by the score as in Redis, then by name.

    The column has percent-encoded names, which sort differently, so hexadecimal digits of the decoded bytes are
    used.
    """
    sign = "" if board.order == "asc" else "-"
    score = {
        "sum": "sum(value)",
        "average": "sum(value)::float8 / count(*)",
        "max": "max(value) FILTER (WHERE place = 1)",
        "top": "(avg(value) FILTER (WHERE place <= $4))::float8",
    }[board.aggregate]
    ties = ", name" if board.tie_rule == "ordinal" else ""
    await connection.execute(
        f"""
        INSERT INTO group_standings (space_id, leaderboard, run, grp, place, rank, score, members)
        SELECT $1, $2, $3, grp, row_number() OVER (ORDER BY score, name),
               {_RANK[board.tie_rule]} OVER (ORDER BY score {ties}), score, members
        FROM (SELECT grp, {sign}({score}) AS score, count(*) AS members, {_NAME} COLLATE "C" AS name
              FROM run_standings
              WHERE space_id = $1 AND leaderboard = $2 AND run = $3 AND grp <> '' AND $4::integer IS NOT NULL
              GROUP BY grp HAVING count(*) >= $5) AS groups
        """,  # noqa: S608 # our own words
        space_id,
        board.number,
        run,
        board.aggregate_top,
        board.min_members,
    )

"""Counts on a leaderboard that is new what was posted before it was there: its past runs fill from stored events.

Per user, by the same way as every change: the standings that all stored events give are committed for the state
that Postgres has, with its token (design decision 3). A user who has posted since, and whose events are on their
way to Postgres, is read again. What was counted live meanwhile is among the stored events: nothing counts twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, time

import structlog

from server.backends.postgres.pool import Pool, PoolConnection, acquired
from server.backends.redis.client import RedisClient
from server.clock import Clock, stopwatch_s
from server.core.errors import Conflict, PodiumError
from server.core.periods import instant, local_day, local_time, zone
from server.engine.catalog import STREAK
from server.engine.inputs import Fill
from server.engine.state import UserState, decode_state
from server.features.leaderboards.model import Leaderboard, Source, Standing
from server.features.leaderboards.rules import filled, takes_part
from server.features.streaks.calendar import first_day
from server.features.streaks.model import NONE
from server.features.streaks.rules import standing
from server.intake.service import Intake
from server.spaces.space import Space
from server.writebehind.watermark import Watermark

USERS_AT_ONCE = 200
"""Users read from Postgres, and committed, at a time."""
AGAIN_S = 0.3
"""Pause before users are read again whose newest events were not flushed: more than the flush interval."""
_LOCK = 0x46696C6C
"""First half of the advisory lock ("Fill"); the second is the space."""

_Score = tuple[int, int, date | None, bool]
"""Instant in ms, units, local day where it was stored, whether it was late."""

log = structlog.get_logger(__name__)


class Filling:
    """The leaderboards of one space that are new."""

    def __init__(self, pool: Pool, redis: RedisClient, intake: Intake, clock: Clock) -> None:
        self._pool = pool
        self._intake = intake
        self._space: Space = intake.space
        self._clock = clock
        self._watermark = Watermark(pool, redis, self._space)
        self._done: set[int] = set()

    async def round(self) -> int:
        """Fill what has not been filled; how many users' events were counted. ``Unavailable`` where a store is
        away: the next round begins anew, and counts nobody twice."""
        new = [
            board
            for board in self._space.index.catalog.leaderboards
            if board.status == "active" and board.number not in self._done
        ]
        if not new or not await self._watermark.reached():
            return 0
        counted = 0
        async with acquired(self._pool) as holder, holder.transaction():
            if not await holder.fetchval("SELECT pg_try_advisory_xact_lock($1, $2)", _LOCK, self._space.id):
                return 0  # another worker is at it
            rows = await holder.fetch("SELECT leaderboard FROM board_fills WHERE space_id = $1", self._space.id)
            self._done.update(row["leaderboard"] for row in rows)
            new = [board for board in new if board.number not in self._done]
            if new:
                counted = await self._fill(new)
                await holder.executemany(
                    "INSERT INTO board_fills (space_id, leaderboard) VALUES ($1, $2)",
                    [(self._space.id, board.number) for board in new],
                )
                self._done.update(board.number for board in new)
        return counted

    async def _fill(self, boards: Sequence[Leaderboard]) -> int:
        started_s, counted, last = stopwatch_s(), 0, ""
        while True:
            async with acquired(self._pool) as connection:
                rows = await connection.fetch(
                    "SELECT id FROM users WHERE space_id = $1 AND id > $2 ORDER BY id LIMIT $3",
                    self._space.id,
                    last,
                    self._intake.batcher.at_once(USERS_AT_ONCE),
                )
            if not rows:
                break
            users = [row["id"] for row in rows]
            last = users[-1]
            while users:
                round_s = stopwatch_s()
                done, users = await self._fill_users(boards, users)
                counted += done
                # At most half of the time is taken from those who post.
                await asyncio.sleep(AGAIN_S if users else (stopwatch_s() - round_s if done else 0))
        if counted:
            log.info(
                "leaderboards_filled",
                space=self._space.public_id,
                leaderboards=[board.key for board in boards],
                users=counted,
                took_s=round(stopwatch_s() - started_s, 1),
            )
        return counted

    async def _fill_users(self, boards: Sequence[Leaderboard], users: Sequence[str]) -> tuple[int, list[str]]:
        """Count users' stored events; how many users that were, and whom to read again."""
        index = self._space.index
        sources = {board.number: index.source_of(board) for board in boards}
        async with (
            acquired(self._pool) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            states = await connection.fetch(
                "SELECT id, token, state FROM users WHERE space_id = $1 AND id = ANY ($2::text[])",
                self._space.id,
                users,
            )
            of_user = await self._scores(connection, users, set(sources.values()))
        inputs = []
        for user, token, blob in states:
            state = decode_state(blob)
            standings = {}
            for board in boards:
                scores: Sequence[_Score] = of_user.get((user, sources[board.number].number), ())
                if board.scoring == "current":
                    scores = self._present_streak(state)
                scored = _standings(board, state, scores)
                if scored:
                    standings[board.number] = scored
            if standings:
                inputs.append(Fill(user, standings, self._clock(), token))
        again = []
        for fill, result in zip(inputs, await self._intake.batcher.submit_many(inputs), strict=True):
            if isinstance(result, Conflict):
                again.append(fill.user)
            elif isinstance(result, PodiumError):
                raise result
        return len(inputs) - len(again), again

    async def _scores(
        self, connection: PoolConnection, users: Sequence[str], sources: set[Source]
    ) -> dict[tuple[str, int], list[_Score]]:
        """What users scored, by user and number of the source, in order of time."""
        found: dict[tuple[str, int], list[_Score]] = {}
        by_kind = {kind: [s.number for s in sources if s.kind == kind] for kind in ("metric", "points", "streak")}
        if by_kind["metric"]:
            rows = await connection.fetch(
                "SELECT user_id, metric, at_ms, units, day, late FROM events"
                " WHERE space_id = $1 AND user_id = ANY ($2::text[]) AND metric = ANY ($3::int[])"
                " ORDER BY user_id, metric, at_ms, id",
                self._space.id,
                users,
                by_kind["metric"],
            )
            for user, metric, at_ms, units, day, late in rows:
                found.setdefault((user, metric), []).append((at_ms, units, day, late))
        if by_kind["points"]:
            rows = await connection.fetch(
                "SELECT user_id, system, at_ms, awarded, day FROM point_awards"
                " WHERE space_id = $1 AND user_id = ANY ($2::text[]) AND system = ANY ($3::int[])"
                " ORDER BY user_id, system, at_ms, seq",
                self._space.id,
                users,
                by_kind["points"],
            )
            for user, system, at_ms, awarded, day in rows:
                found.setdefault((user, system), []).append((at_ms, awarded, day, False))
        if by_kind["streak"]:
            rules = self._space.index.streaks
            rows = await connection.fetch(
                "SELECT user_id, period, length FROM streak_periods WHERE space_id = $1"
                " AND user_id = ANY ($2::text[]) AND track = $3 AND NOT frozen ORDER BY user_id, period",
                self._space.id,
                users,
                rules.track,
            )
            for user, period, length in rows:
                # Which day of the period it was is not kept.
                day = date.fromordinal(first_day(rules.frequency, period))
                at_ms = instant(datetime.combine(day, time.min, UTC))
                found.setdefault((user, STREAK), []).append((at_ms, length, day, False))
        return found

    def _present_streak(self, state: UserState) -> list[_Score]:
        day = local_day(self._clock(), zone(state.profile.tz))
        rules = self._space.index.streak_rules(state.wishes, state.profile.tz)
        length = standing(rules, state.streaks or NONE, day.toordinal()).length
        return [(state.streaks.extended_ms, length, day, False)] if length and state.streaks is not None else []


def _standings(board: Leaderboard, state: UserState, events: Sequence[_Score]) -> dict[str, Standing]:
    """What a user's events come to on a leaderboard, unless they are counted already."""
    if not events or board.number in state.filled or not takes_part(board, state.profile.attributes):
        return {}
    tz = zone(state.profile.tz)
    return filled(
        board,
        (
            (local_time(at_ms, tz), at_ms, day or local_day(at_ms, tz), units, late)
            for at_ms, units, day, late in events
        ),
    )

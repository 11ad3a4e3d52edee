"""Plan backfills: compute from stored history the standings that users should have, and cut them into pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import NamedTuple

from podium.clock import Clock
from podium.game.catalog import STREAK, CatalogIndex
from podium.game.leaderboards.backfill import Piece, RunScores, cut, placed
from podium.game.leaderboards.model import Leaderboard, Standing
from podium.game.leaderboards.ranking import board_name, is_ranked, split_board
from podium.game.leaderboards.rules import Changes, OpenBoard
from podium.game.periods import instant, local_day, local_time, zone
from podium.game.state import UserState, decode_state
from podium.game.streaks.calendar import first_day
from podium.game.streaks.model import NONE
from podium.game.streaks.rules import standing
from podium.intake.older_runs import OLDER_FORMAT
from podium.intake.service import Intake
from podium.jobs.backfill_progress import BackfillStore
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import RedisClient
from podium.writebehind.log_tail import Tail, read_tail

ROWS = 2_000
"""Rows of history that are read at a time, before other tasks have their turn."""
_ZONES_MS = 14 * 3_600_000
"""Milliseconds by which the first zone is ahead of UTC."""
_LAST_RUN = "99999999"
"""A name that sorts after all names of runs."""


class Score(NamedTuple):
    """One score of a user. ``day`` is the local day, if it was stored."""

    at_ms: int
    units: int
    day: date | None
    late: bool


class Plan(NamedTuple):
    """The pieces of a user, computed from the state with ``token``."""

    user: str
    token: str
    pieces: list[Piece]
    held: dict[str, Standing]


class Planner:
    """Makes the plans of users of one space, for backfills and replays."""

    def __init__(self, pool: Pool, redis: RedisClient, intake: Intake, clock: Clock) -> None:
        self._pool = pool
        self._redis = redis
        self._intake = intake
        self._space: Space = intake.space
        self._clock = clock
        self._store = BackfillStore(self._space.id)

    async def plans(self, boards: Sequence[Leaderboard], users: Sequence[str], *, with_log: bool) -> list[Plan]:
        """Return the plans of the users who have history to count, from one snapshot of Postgres.

        ``with_log`` adds the entries of the log that are not flushed yet.
        """
        index = self._space.index
        sources = {index.source_of(board).number for board in boards}
        async with (
            acquired(self._pool) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            rows = await connection.fetch(
                "SELECT id, token, state FROM users WHERE space_id = $1 AND id = ANY ($2::text[])",
                self._space.id,
                users,
            )
            states = {user: (token, decode_state(blob)) for user, token, blob in rows}
            tail = await read_tail(connection, self._redis, self._space, users) if with_log else Tail()
            for user, token, blob in tail.states:
                states[user] = token, decode_state(blob)
            scores = await self._scores(connection, index, users, boards, sources, tail)
            wanted: dict[str, dict[int, dict[str, Standing]]] = {}
            opened: dict[int, dict[date, tuple[OpenBoard, ...]]] = {board.number: {} for board in boards}
            for user, (_, state) in states.items():
                wanted[user] = await self._wanted(boards, user, state, scores, opened)
            held = await self.held(connection, boards, states, wanted, tail)
        plans = []
        for user, (token, state) in states.items():
            pieces = pieces_of(boards, state, wanted[user], held.get(user, {}))
            if pieces:
                # With this state the batcher needn't read it from Redis. If it is old, the commit is refused.
                self._intake.batcher.prime(user, token, state)
                plans.append(Plan(user, token, pieces, held.get(user, {})))
        return plans

    async def _wanted(
        self,
        boards: Sequence[Leaderboard],
        user: str,
        state: UserState,
        scores: Mapping[tuple[str, int], list[Score]],
        opened: Mapping[int, dict[date, tuple[OpenBoard, ...]]],
    ) -> dict[int, dict[str, Standing]]:
        """Return the standings that a user's scores give, by leaderboard's number, except where they were counted
        already."""
        index, tz = self._space.index, zone(state.profile.tz)
        found: dict[int, dict[str, Standing]] = {}
        count = 0
        for board in boards:
            if board.number in state.filled:
                continue
            source = index.source_of(board)
            history: Sequence[Score] = scores.get((user, source.number), ())
            if board.scoring == "current":
                history = self._present_streak(state)
            runs = RunScores(board, opened[board.number])
            for one in history:
                day = one.day or local_day(one.at_ms, tz)
                runs.add(local_time(one.at_ms, tz), one.at_ms, day, one.units, late=one.late)
                count += 1
                if count % ROWS == 0:
                    await asyncio.sleep(0)
            if runs.standings:
                found[board.number] = dict(sorted(runs.standings.items()))
        return found

    async def held(
        self,
        connection: PoolConnection,
        boards: Sequence[Leaderboard],
        states: Mapping[str, tuple[str, UserState]],
        wanted: Mapping[str, Mapping[int, Mapping[str, Standing | None]]],
        tail: Tail,
    ) -> dict[str, dict[str, Standing]]:
        """Return the standings, by user and board, in runs that the states have dropped."""
        grouped = {board.number for board in boards if board.group_by is not None or board.breakdown_attributes}
        missing: list[tuple[str, int, str]] = []
        for user, of_user in wanted.items():
            state = states[user][1]
            known = {run_of(board) for board in state.boards if is_ranked(board)}
            # A state of an earlier release doesn't have the dropped runs, so it may have dropped any.
            anything = _LAST_RUN if state.format < OLDER_FORMAT else ""
            missing += [
                (user, number, name)
                for number, standings in of_user.items()
                for name in standings
                if name not in known and split_board(name).run <= state.older.get(number, anything)
            ]
        found: dict[str, dict[str, Standing]] = {}
        if not missing:
            return found
        entries = await self._store.entries(
            connection,
            [(user, number, split_board(name).run) for user, number, name in missing],
            grouped,
        )
        for user, board, value, reached_ms in tail.over(entries, {(user, name) for user, _, name in missing}):
            number, run, _ = split_board(board)
            new = wanted[user][number][board_name(number, run)]
            # ``latest_ms`` isn't stored there, but the events give it.
            found.setdefault(user, {})[board] = Standing(
                value, reached_ms, new.latest_ms if new is not None else 0
            )
        return found

    async def _scores(
        self,
        connection: PoolConnection,
        index: CatalogIndex,
        users: Sequence[str],
        boards: Sequence[Leaderboard],
        sources: set[int],
        tail: Tail,
    ) -> dict[tuple[str, int], list[Score]]:
        """Return users' scores, by user and number of the source, in the order of time."""
        found: dict[tuple[str, int], list[Score]] = {}
        kinds = {index.source_of(board).number: index.source_of(board).kind for board in boards}
        metrics = [number for number, kind in kinds.items() if kind == "metric"]
        systems = [number for number, kind in kinds.items() if kind == "points"]
        if metrics:
            since_ms = min(instant(datetime.combine(board.start, time.min, UTC)) for board in boards) - _ZONES_MS
            query = (
                "SELECT user_id, metric, at_ms, units, day, late FROM events"
                " WHERE space_id = $1 AND user_id = ANY ($2::text[]) AND metric = ANY ($3::int[]) AND at_ms >= $4"
                " ORDER BY user_id, metric, at_ms, id"
            )
            cursor = await connection.cursor(query, self._space.id, users, metrics, since_ms)
            while rows := await cursor.fetch(ROWS):
                for user, metric, at_ms, units, day, late in rows:
                    found.setdefault((user, metric), []).append(Score(at_ms, units, day, late))
        if systems:
            query = (
                "SELECT user_id, system, at_ms, awarded, day FROM point_awards"
                " WHERE space_id = $1 AND user_id = ANY ($2::text[]) AND system = ANY ($3::int[])"
                " ORDER BY user_id, system, at_ms, seq"
            )
            cursor = await connection.cursor(query, self._space.id, users, systems)
            while rows := await cursor.fetch(ROWS):
                for user, system, at_ms, awarded, day in rows:
                    found.setdefault((user, system), []).append(Score(at_ms, awarded, day, False))
        for (user, source), at_ms, units, day, late in tail.scores:
            if source in sources:
                found.setdefault((user, source), []).append(Score(at_ms, units, day, late))
        for key in {key for key, *_ in tail.scores} & found.keys():
            found[key].sort(key=lambda score: score.at_ms)  # stable: the log's order among equal times
        if STREAK in kinds:
            await self._add_streaks(connection, users, tail, found)
        return found

    async def _add_streaks(
        self,
        connection: PoolConnection,
        users: Sequence[str],
        tail: Tail,
        found: dict[tuple[str, int], list[Score]],
    ) -> None:
        rules = self._space.index.streaks
        rows = await connection.fetch(
            "SELECT user_id, period, length, frozen FROM streak_periods WHERE space_id = $1"
            " AND user_id = ANY ($2::text[]) AND track = $3",
            self._space.id,
            users,
            rules.track,
        )
        periods = {(user, period): (length, frozen) for user, period, length, frozen in rows}
        periods |= {(user, period): value for (user, track, period), value in tail.periods if track == rules.track}
        for (user, period), (length, frozen) in sorted(periods.items()):
            if length and not frozen:
                # The day within the period is not stored.
                day = date.fromordinal(first_day(rules.frequency, period))
                at_ms = instant(datetime.combine(day, time.min, UTC))
                found.setdefault((user, STREAK), []).append(Score(at_ms, length, day, False))

    def _present_streak(self, state: UserState) -> list[Score]:
        day = local_day(self._clock(), zone(state.profile.tz))
        rules = self._space.index.streak_rules(state.wishes, state.profile.tz)
        length = standing(rules, state.streaks or NONE, day.toordinal()).length
        if not length or state.streaks is None:
            return []
        return [Score(state.streaks.extended_ms, length, day, False)]


def run_of(board: str) -> str:
    """Return the board of all users in the run of a board."""
    number, run, _ = split_board(board)
    return board_name(number, run)


def pieces_of(
    boards: Iterable[Leaderboard],
    state: UserState,
    wanted: Mapping[int, Mapping[str, Standing | None]],
    held: Mapping[str, Standing],
) -> list[Piece]:
    """Return the changes of a user's backfill in pieces. There are none if all standings are right already."""
    changes: dict[int, Changes] = {}
    standings = {**held, **state.boards}
    for board in boards:
        if board.number in wanted:
            attributes = state.profile.attributes
            changed = placed(board, standings, attributes, wanted[board.number], state.blocked)
            if changed:
                changes[board.number] = changed
    return list(cut(changes, wanted))

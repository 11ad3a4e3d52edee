"""Replays: count users' stored events again in the order of their time, if they came in another order.

An event that is much older than its user's newest one moves no streak and no repeating leaderboard. A replay
computes from the stored events what they would have given in order: the streak, the days of the points for
metrics, and the standings in runs, not final, of the days of such events. Like a backfill it sets values and never
adds, based on the token of the user's state, so it can be aborted and repeated. At the end the events are marked
as counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

import structlog

from podium.clock import Clock, stopwatch_s
from podium.game.catalog import CatalogIndex
from podium.game.errors import Conflict, InputFailed, NotFound
from podium.game.inputs import CountHistory, Recount
from podium.game.leaderboards.backfill import RunScores
from podium.game.leaderboards.model import Leaderboard, Standing
from podium.game.leaderboards.ranking import board_name, split_board
from podium.game.leaderboards.rules import open_boards
from podium.game.leaderboards.runs import is_final, named_run
from podium.game.periods import local_day, local_time, zone
from podium.game.state import UserState, decode_state
from podium.game.streaks.backfill import StreakFold
from podium.game.streaks.model import Pause
from podium.game.streaks.rules import Rules, Step
from podium.intake.service import Intake
from podium.jobs.backfill_plans import ROWS, Plan, Planner, Score, pieces_of, run_of
from podium.jobs.replay_points import PointsReplay, last_token
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import RedisClient
from podium.writebehind.log_tail import Tail

PATIENCE_S = 10.0
"""Seconds to wait until Postgres has the user's newest events."""
AGAIN_S = 0.2
"""Seconds before a user is read again: about the flush interval."""
EVENTS_AT_ONCE = 200
"""Events that are folded into a streak before other tasks have their turn."""

log = structlog.get_logger(__name__)


class _Event(NamedTuple):
    id: object
    metric: int
    units: int
    at_ms: int
    day: date
    late: bool
    behind: bool
    corrects: object | None


@dataclass(slots=True)
class _History:
    """The stored data of a user, read at one instant."""

    token: str
    state: UserState
    events: list[_Event]
    periods: dict[tuple[int, int], tuple[int, bool]] = field(default_factory=dict)
    pauses: list[Pause] = field(default_factory=list)
    by_hand: bool = False
    """True if support, or a reward, has changed the streak, so that it can't be computed from events alone."""


@dataclass(slots=True)
class _Removal:
    """The runs of a leaderboard from which support removed a user: some by name, and all that began before a
    day."""

    runs: set[str] = field(default_factory=set)
    until: date = date.min

    def holds(self, run: str) -> bool:
        """Return whether the user was removed from a run, named by its first day (game/leaderboards/runs.py)."""
        return run in self.runs or run < self.until.strftime("%Y%m%d")


class Replay:
    """The replays of one space."""

    def __init__(self, pool: Pool, redis: RedisClient, intake: Intake, clock: Clock) -> None:
        self._pool = pool
        self._redis = redis
        self._intake = intake
        self._space: Space = intake.space
        self._clock = clock
        self._planner = Planner(pool, redis, intake, clock)
        self._points = PointsReplay(pool, redis, intake.space)

    async def replay(self, users: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """Replay users' stored events. Return the replayed users, and messages by user: the reason for which one
        was not replayed, or the parts that were left unchanged.

        Raises:
            Unavailable: A store is away.
        """
        done, problems = [], {}
        for user in users:
            replayed, problem = await self._replay(user)
            if replayed:
                done.append(user)
            if problem is not None:
                problems[user] = problem
        return done, problems

    async def _replay(self, user: str) -> tuple[bool, str | None]:
        give_up_s = stopwatch_s() + PATIENCE_S
        while True:
            try:
                return True, await self._replay_once(user)
            except Conflict:
                if stopwatch_s() >= give_up_s:
                    return False, "The user's own events keep overtaking it; try again"
            except (NotFound, InputFailed) as error:
                return False, str(error)
            await asyncio.sleep(AGAIN_S)

    async def _replay_once(self, user: str) -> str | None:
        """Replay a user's events, and return a message about the parts that were left unchanged, or None.

        Raises:
            Conflict: Postgres doesn't have the user's newest state.
        """
        index = self._space.index
        sorted_, unsorted = await self._points.sort(user)
        async with (
            acquired(self._pool) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            history = await self._read(connection, user)
            await self._check(history, user)
            events = [event for event in history.events if event.behind]
            if not events and not sorted_:
                return None
            fold = await self._streak(connection, index, user, history)
            removals = await self._removals(connection, user)
            plan, left = await self._plan(connection, index, user, history, fold, removals, sorted_)
        token = history.token
        if fold is not None:
            recount = Recount(user, fold.streaks, _changed(history, fold), self._clock(), token)
            token = (await self._intake.batcher.submit(recount)).token
        for piece in plan.pieces:
            runs = {name for standings in piece.standings.values() for name in standings}
            held = {board: one for board, one in plan.held.items() if run_of(board) in runs}
            piece_input = CountHistory(user, piece.standings, self._clock(), token, held, piece.done, again=True)
            token = (await self._intake.batcher.submit(piece_input)).token
        async with acquired(self._pool) as connection:
            await connection.execute(
                "UPDATE events SET late = false, behind = false"
                " WHERE space_id = $1 AND user_id = $2 AND (late OR behind) AND id = ANY ($3::uuid[])",
                self._space.id,
                user,
                [event.id for event in events],
            )
        log.info("user_replayed", space=self._space.public_id, events=len(events), pieces=len(plan.pieces))
        problems = []
        if unsorted and events:
            names = ", ".join(sorted(index.points.systems[system].name for system in unsorted))
            problems.append(f"Points of {names} stay on the days on which they were given")
        if history.by_hand:
            problems.append("Support or a reward changed the user's streak: it stays as it is")
        if left:
            boards = ", ".join(sorted(left))
            problems.append(f"Support removed the user from runs of {boards}: they stay as they are")
        return "; ".join(problems) or None

    async def _read(self, connection: PoolConnection, user: str) -> _History:
        row = await connection.fetchrow(
            "SELECT token, state FROM users WHERE space_id = $1 AND id = $2", self._space.id, user
        )
        if row is None:
            if await last_token(self._redis, self._space, user):
                raise Conflict("the user is on the way to Postgres")
            raise NotFound(f"User not found: {user}")
        history = _History(row["token"], decode_state(row["state"]), [])
        cursor = await connection.cursor(
            # Events of an earlier release have only ``late``.
            "SELECT id, metric, units, at_ms, day, late, late OR behind, corrects FROM events"
            " WHERE space_id = $1 AND user_id = $2 ORDER BY at_ms, id",
            self._space.id,
            user,
        )
        while rows := await cursor.fetch(ROWS):
            history.events += [_Event(*row) for row in rows]
        return history

    async def _check(self, history: _History, user: str) -> None:
        if await last_token(self._redis, self._space, user) not in ("", history.token):
            raise Conflict("events of the user are on their way to Postgres")

    async def _streak(
        self, connection: PoolConnection, index: CatalogIndex, user: str, history: _History
    ) -> StreakFold | None:
        """Return the streak that a user's events give, or None if no event was left out of it, or it was changed
        by hand."""
        rules = index.streak_rules(history.state.wishes, history.state.profile.tz)
        if not any(_counts(event, rules) and event.behind for event in history.events):
            return None
        history.by_hand = await self._by_hand(connection, index, user, history.state)
        if history.by_hand:
            return None
        pauses = await connection.fetch(
            "SELECT id, first_day, last_day FROM streak_pauses"
            " WHERE space_id = $1 AND user_id = $2 AND NOT deleted ORDER BY first_day, id",
            self._space.id,
            user,
        )
        periods = await connection.fetch(
            "SELECT track, period, length, frozen FROM streak_periods WHERE space_id = $1 AND user_id = $2",
            self._space.id,
            user,
        )
        history.periods = {(track, period): (length, frozen) for track, period, length, frozen in periods}
        fold = StreakFold(
            rules,
            [Pause(str(id_), first.toordinal(), last.toordinal()) for id_, first, last in pauses],
            history.state.streaks.skipped if history.state.streaks is not None else (),
        )
        counted = 0
        for event in history.events:
            if not _counts(event, rules):
                continue
            fold.add(event.metric, event.units, event.day.toordinal(), event.at_ms)
            counted += 1
            if counted % EVENTS_AT_ONCE == 0:
                await asyncio.sleep(0)
        fold.pass_time(history.state.advanced_day)
        return fold

    async def _by_hand(self, connection: PoolConnection, index: CatalogIndex, user: str, state: UserState) -> bool:
        boards = (index.leaderboard_by_number.get(number) for number in state.rewarded)
        if any(reward.freezes for board in boards if board is not None for reward in board.rewards):
            return True
        return bool(
            await connection.fetchval(
                "SELECT EXISTS (SELECT FROM audit_log WHERE space_id = $1 AND kind = 'streak' AND item = $2"
                " AND action NOT IN ('pause', 'unpause'))",
                self._space.id,
                user,
            )
        )

    async def _removals(self, connection: PoolConnection, user: str) -> dict[str, _Removal]:
        """Return the runs from which support removed the user, by the leaderboard's key."""
        rows = await connection.fetch(
            "SELECT after ->> 'leaderboard', after ->> 'run', at FROM audit_log"
            " WHERE space_id = $1 AND item = $2 AND kind = 'standing' AND action = 'remove'",
            self._space.id,
            user,
        )
        found: dict[str, _Removal] = {}
        for key, run, at in rows:
            removal = found.setdefault(key, _Removal())
            if run is None:
                removal.until = max(removal.until, at.date() + timedelta(days=1))  # whatever the zone
            else:
                removal.runs.add(run)
        return found

    async def _plan(
        self,
        connection: PoolConnection,
        index: CatalogIndex,
        user: str,
        history: _History,
        fold: StreakFold | None,
        removals: Mapping[str, _Removal],
        sorted_: Collection[int],
    ) -> tuple[Plan, set[str]]:
        """Return the plan of the standings in runs of which events were left out, and the keys of leaderboards
        with runs that are left unchanged because the user was removed from them."""
        boards = [board for board in index.catalog.leaderboards if board.status == "active" and board.run_unit]
        wanted: dict[int, dict[str, Standing | None]] = {}
        left: set[str] = set()
        for board in boards:
            source = index.source_of(board)
            days: set[date] | None
            if source.kind == "metric":
                scores = [_score(event) for event in history.events if event.metric == source.number]
                days = {event.day for event in history.events if event.metric == source.number and event.late}
            elif source.kind == "points":
                days = {event.day for event in history.events if event.behind}
                moved = source.number in sorted_
                scores = await self._awards(connection, user, source.number) if days or moved else []
                if moved:  # awards may have moved from and to any day
                    days |= {score.day for score in scores if score.day is not None}
            else:
                scores = [
                    Score(one.at_ms, one.length, date.fromordinal(one.day), False)
                    for one in (fold.extensions if fold is not None else ())
                ]
                days = {score.day for score in scores if score.day is not None}
            standings: dict[str, Standing | None] = {**await self._runs(board, history.state, scores, days)}
            if source.kind == "points" and source.number in sorted_:
                standings |= await self._emptied(connection, user, board, history.state, standings)
            removal = removals.get(board.key)
            if removal is not None:
                kept = {name: one for name, one in standings.items() if not removal.holds(split_board(name).run)}
                if len(kept) < len(standings):
                    left.add(board.key)
                standings = kept
            if standings:
                wanted[board.number] = standings
        found = {user: wanted}
        states = {user: (history.token, history.state)}
        held = (await self._planner.held(connection, boards, states, found, Tail())).get(user, {})
        return Plan(user, history.token, pieces_of(boards, history.state, wanted, held), held), left

    async def _emptied(
        self,
        connection: PoolConnection,
        user: str,
        board: Leaderboard,
        state: UserState,
        standings: Collection[str],
    ) -> dict[str, None]:
        """Return the runs, not final, in which a user is on a leaderboard but has no points any more."""
        rows = await connection.fetch(
            "SELECT DISTINCT run FROM board_entries WHERE space_id = $1 AND leaderboard = $2 AND user_id = $3",
            self._space.id,
            board.number,
            user,
        )
        names = {board_name(board.number, row["run"]) for row in rows}
        names |= {run_of(one) for one in state.boards if split_board(one).leaderboard == board.number}
        return {
            name: None
            for name in sorted(names.difference(standings))
            if not is_final(board, named_run(board, split_board(name).run))
        }

    async def _runs(
        self, board: Leaderboard, state: UserState, scores: Sequence[Score], days: set[date]
    ) -> dict[str, Standing]:
        """Return the standings in the runs of these days, by the name of the board of all users."""
        names = {name for day in days for _, name, _, _ in open_boards((board,), day)}
        if not names:
            return {}
        tz, runs = zone(state.profile.tz), RunScores(board)
        for place, one in enumerate(scores):
            day = one.day or local_day(one.at_ms, tz)
            runs.add(local_time(one.at_ms, tz), one.at_ms, day, one.units, late=False)
            if place % ROWS == 0:
                await asyncio.sleep(0)
        return {name: runs.standings[name] for name in sorted(runs.standings) if name in names}

    async def _awards(self, connection: PoolConnection, user: str, system: int) -> list[Score]:
        rows = await connection.fetch(
            "SELECT at_ms, awarded, day FROM point_awards WHERE space_id = $1 AND user_id = $2 AND system = $3"
            " ORDER BY at_ms, seq",
            self._space.id,
            user,
            system,
        )
        return [Score(at_ms, awarded, day, False) for at_ms, awarded, day in rows]


def _counts(event: _Event, rules: Rules) -> bool:
    """Return whether an event counts for the streak. Corrections don't: met periods stay met."""
    return event.corrects is None and event.metric in rules.thresholds


def _score(event: _Event) -> Score:
    return Score(event.at_ms, event.units, event.day, False)


def _changed(history: _History, fold: StreakFold) -> tuple[Step, ...]:
    """Return the periods that differ from those in Postgres."""
    steps = [
        step
        for key, step in fold.steps.items()
        if step.length and history.periods.get(key) != (step.length, step.frozen)
    ]
    steps += [Step(track, period, 0) for track, period in history.periods if (track, period) not in fold.steps]
    return tuple(steps)

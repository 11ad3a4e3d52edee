"""Replays: count users' stored events again in the order of their time, if they came in another order.

An event that is much older than its user's newest one moves no streak and no repeating leaderboard. A replay
computes from the stored events what they would have given in order: the streak, the days of the points for
metrics, and the standings in runs, not final, of the days of such events. Like a backfill it sets values and never
adds, based on the token of the user's state, so it can be aborted and repeated. At the end the events are marked
as counted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

import structlog

from podium.clock import Clock, stopwatch_s
from podium.game.catalog import CatalogIndex
from podium.game.errors import Conflict, InputFailed, NotFound, Unavailable
from podium.game.inputs import CountHistory, Recount
from podium.game.leaderboards.backfill import RunScores
from podium.game.leaderboards.model import Leaderboard, Standing
from podium.game.leaderboards.ranking import board_name, split_board
from podium.game.leaderboards.rules import open_boards
from podium.game.leaderboards.runs import is_final, named_run
from podium.game.periods import local_day, local_time, zone
from podium.game.points.order import StoredAward, StoredEvent, in_order
from podium.game.state import UserState, decode_state
from podium.game.streaks.backfill import StreakFold
from podium.game.streaks.model import Pause
from podium.game.streaks.rules import Rules, Step
from podium.intake.service import Intake
from podium.jobs.backfill_plans import ROWS, Plan, Planner, Score, pieces_of, run_of
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import RedisClient
from podium.writebehind import store
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
        sorted_, unsorted = await self._sort_awards(user)
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
            if await self._token(user):
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

    async def _sort_awards(self, user: str) -> tuple[set[int], set[int]]:
        """Move the awards of triggers by metrics to the days on which the sorted events reach their thresholds.

        Return the numbers of the systems whose awards are in order now, and of those whose awards can't be moved
        (game/points/order.py).

        Raises:
            Conflict: Events of the user, or another replay, came between; nothing was written.
        """
        rules = self._space.index.points
        done: dict[int, tuple[list[StoredAward], list[StoredAward]]] = {}
        left: set[int] = set()
        async with (
            acquired(self._pool) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            if not rules.on_metric:
                return set(), set()
            events = await self._stored_events(connection, user)
            token = await self._stored_token(connection, user)
            if await self._token(user) not in ("", token):
                raise Conflict("events of the user are on their way to Postgres")
            counted = {rule.system for metric in events for rule in rules.on_metric.get(metric, ())}
            for system in sorted(counted):
                before = await self._stored_awards(connection, user, system)
                after = in_order(rules, system, user, before, events)
                if after is None:
                    left.add(system)
                else:
                    done[system] = before, after
        moved = {system: both for system, both in done.items() if both[0] != both[1]}
        if moved:
            async with acquired(self._pool) as connection, connection.transaction():
                # The flusher takes the same lock first, so nothing is flushed meanwhile.
                await store.lock_position(connection, self._space.id)
                if await self._stored_token(connection, user) != token:
                    raise Conflict("events of the user came between")
                for system, (before, after) in moved.items():
                    if await self._stored_awards(connection, user, system) != before:
                        raise Conflict("the user's awards were put in order meanwhile")
                    await self._rewrite(connection, user, system, before, after)
        return set(done), left

    async def _stored_token(self, connection: PoolConnection, user: str) -> str | None:
        token: str | None = await connection.fetchval(
            "SELECT token FROM users WHERE space_id = $1 AND id = $2", self._space.id, user
        )
        return token

    async def _stored_events(self, connection: PoolConnection, user: str) -> dict[int, list[StoredEvent]]:
        """Return a user's events by metric, in the order of time."""
        found: dict[int, list[StoredEvent]] = {}
        cursor = await connection.cursor(
            "SELECT id, metric, units, at_ms, day, attributes, corrects FROM events"
            " WHERE space_id = $1 AND user_id = $2 ORDER BY at_ms, id",
            self._space.id,
            user,
        )
        while rows := await cursor.fetch(ROWS):
            for id_, metric, units, at_ms, day, attributes, corrects in rows:
                event = StoredEvent(str(id_), units, at_ms, day, attributes, corrects is not None)
                found.setdefault(metric, []).append(event)
        return found

    async def _stored_awards(self, connection: PoolConnection, user: str, system: int) -> list[StoredAward]:
        rows = await connection.fetch(
            "SELECT id, cause, awarded, total, at_ms, day, boosts, event_id FROM point_awards"
            " WHERE space_id = $1 AND user_id = $2 AND system = $3 ORDER BY at_ms, seq",
            self._space.id,
            user,
            system,
        )
        return [
            StoredAward(
                str(id_), cause, awarded, total, at_ms, day, tuple(boosts), None if event is None else str(event)
            )
            for id_, cause, awarded, total, at_ms, day, boosts, event in rows
        ]

    async def _rewrite(
        self,
        connection: PoolConnection,
        user: str,
        system: int,
        before: Sequence[StoredAward],
        after: Sequence[StoredAward],
    ) -> None:
        """Replace the user's awards, and correct the sums of the days."""
        await connection.execute(
            "DELETE FROM point_awards WHERE space_id = $1 AND user_id = $2 AND system = $3",
            self._space.id,
            user,
            system,
        )
        columns = zip(*after, strict=True) if after else ()
        ids_, causes, awarded, totals, at_ms, days, boosts, events = map(list, columns or [()] * 8)
        await connection.execute(
            "INSERT INTO point_awards"
            " (space_id, user_id, system, id, cause, awarded, total, at_ms, day, boosts, event_id)"
            " SELECT $1, $2, $3, id, cause, awarded, total, at_ms, day, boosts::integer[], event_id"
            " FROM unnest($4::uuid[], $5::integer[], $6::bigint[], $7::bigint[], $8::bigint[], $9::date[],"
            " $10::text[], $11::uuid[]) WITH ORDINALITY"
            " AS r (id, cause, awarded, total, at_ms, day, boosts, event_id, n) ORDER BY n",
            self._space.id,
            user,
            system,
            ids_,
            causes,
            awarded,
            totals,
            at_ms,
            days,
            ["{" + ",".join(map(str, one)) + "}" for one in boosts],
            events,
        )
        changes: Counter[date] = Counter()
        for one in after:
            changes[one.day] += one.awarded
        for one in before:
            changes[one.day] -= one.awarded
        moved = {day: change for day, change in changes.items() if change}
        await connection.execute(
            "INSERT INTO point_days AS d (space_id, user_id, system, day, change)"
            " SELECT $1, $2, $3, r.day, r.change FROM unnest($4::date[], $5::bigint[]) AS r (day, change)"
            " ON CONFLICT (space_id, user_id, system, day) DO UPDATE SET change = d.change + excluded.change",
            self._space.id,
            user,
            system,
            list(moved),
            list(moved.values()),
        )
        await connection.execute(
            "DELETE FROM point_days WHERE space_id = $1 AND user_id = $2 AND system = $3 AND change = 0"
            " AND day = ANY ($4::date[])",
            self._space.id,
            user,
            system,
            list(moved),
        )

    async def _token(self, user: str) -> str:
        """Return the token of the user's last commit, or "" for an unknown or cold user."""
        reply = await self._redis.call("load", self._space.keys.meta, self._space.epoch or "", user)
        if reply[0] != 0:
            raise Unavailable("Redis is being rebuilt")
        found: bytes = reply[1][0]
        return "" if found == b"cold" else found.decode()

    async def _check(self, history: _History, user: str) -> None:
        if await self._token(user) not in ("", history.token):
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

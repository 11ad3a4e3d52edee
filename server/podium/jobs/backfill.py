"""Backfills: count stored events on a new leaderboard that were posted before it was activated.

For each user the standings that all stored events give are committed piece by piece, as inputs through the intake.
A piece sets standings and never adds to them. It was computed from Postgres with the token of the user's state
(docs/decisions/0003-tokens.md), and is refused once the state has another one. So nothing counts twice or is lost,
whatever is posted, imported, repeated or aborted meanwhile.

Users are processed in the order of their ids, in slices. ``board_fills`` has the progress of each leaderboard. A
user who can't be counted is set aside (``backfill_set_aside``) and tried again later, while the others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import NamedTuple

import structlog

from podium.clock import Clock, stopwatch_s
from podium.game.errors import Conflict, InputFailed, NotFound, TooManyRequests, Unavailable
from podium.game.inputs import CountHistory
from podium.game.leaderboards.backfill import PIECE_MOVES, Piece
from podium.game.leaderboards.model import Leaderboard
from podium.game.periods import MS_PER_DAY, instant
from podium.intake.batcher import Outcome
from podium.intake.service import Intake
from podium.jobs.backfill_plans import Plan, Planner, run_of
from podium.jobs.backfill_progress import BackfillRow, BackfillStore, SetAside
from podium.jobs.pace import Pace
from podium.jobs.watermark import Watermark
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import RedisClient
from podium.telemetry import set_aside

USERS_AT_ONCE = 200
"""Users who are read from Postgres at a time."""
SLICE_S = 8.0
"""Seconds after which a round ends, so that other spaces have their turn and the progress becomes visible."""
CALL_MOVES = 2 * PIECE_MOVES
CALL_INPUTS = 32
"""Board moves and inputs that are committed together, as many as one call to Redis takes: about 3 ms of its time.
Then others have their turn (pace.py)."""
LAG_S = 1.0
"""Seconds of flush lag at which a round ends: reads that wait for new events need the same flusher."""
TRIES = 5
"""Attempts that a user's own events may overtake before the user is set aside."""
AGAIN_S = 0.3
"""Seconds before users are read again whose newest events were not flushed: more than the flush interval."""
RETRY_S, RETRY_MOST_S = 5.0, 600.0
"""Seconds before the first retry of a user who was set aside, and at most. The pause doubles each time."""
FAILURES = 8
"""Failing users, without a single success, after which the cause isn't the users, and the round fails."""
RETRIED_AT_ONCE = 20
"""Most users who are retried in one round."""
_LOCK = 0x46696C6C
"""First half of the advisory lock ("Fill"). The second half is the space's id."""

log = structlog.get_logger(__name__)


class Round(NamedTuple):
    """The result of a round: ``users`` were processed, of whom ``counted`` had history to count. With ``more``
    there is more to do at once."""

    users: int = 0
    counted: int = 0
    more: bool = False


@dataclass(slots=True)
class _Counted:
    """The result for some users: how many had history to count, and the reasons of refusals and errors by user."""

    counted: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)


class _Next(NamedTuple):
    """The next users in the order of their ids, and their plans, or None if the plans could not be made for all of
    them together."""

    users: list[str]
    plans: list[Plan] | None


class _Position(NamedTuple):
    """The position of backfills: the leaderboards' numbers, the last processed user, and the version of the
    catalog. Users without events since ``since_ms`` are left out."""

    boards: tuple[int, ...]
    last_user: str
    since_ms: int
    version: int


class Backfill:
    """The backfills of one space."""

    def __init__(self, pool: Pool, redis: RedisClient, intake: Intake, clock: Clock) -> None:
        self._pool = pool
        self._redis = redis
        self._intake = intake
        self._space: Space = intake.space
        self._clock = clock
        self._watermark = Watermark(pool, redis, self._space)
        self._store = BackfillStore(self._space.id)
        self._planner = Planner(pool, redis, intake, clock)
        self._finished: set[int] = set()
        self._logged: set[str] = set()
        self._next_group = 0
        self._pace = Pace(redis, self._space)
        self._ahead: dict[_Position, asyncio.Task[_Next]] = {}
        """Plans of the next users, which are read while those before are committed. A plan that is out of date by
        then is refused because of its token."""

    async def round(self) -> Round:
        """Continue the backfills that are not complete, for about ``SLICE_S`` at most.

        Raises:
            Unavailable: A store is away. The next round continues, and counts nobody twice.
        """
        boards = {
            board.number: board
            for board in self._space.index.catalog.leaderboards
            if board.status != "inactive" and board.number not in self._finished
        }
        if not boards or not await self._watermark.reached():
            return Round()
        async with acquired(self._pool) as holder, holder.transaction():
            await holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            if not await holder.fetchval("SELECT pg_try_advisory_xact_lock($1, $2)", _LOCK, self._space.id):
                self._forget_ahead()
                return Round()  # another worker is at it
            await self._pace.begin()
            try:
                done = await self._slice(holder, boards)
                # Nothing may be under way between two rounds: the pace compares the waits of others then with
                # those during a round.
                await asyncio.gather(*self._ahead.values(), return_exceptions=True)
            except BaseException:
                self._forget_ahead()
                raise
            await self._pace.end()
            return done

    async def _slice(self, holder: PoolConnection, boards: dict[int, Leaderboard]) -> Round:
        until_s = stopwatch_s() + SLICE_S
        users = counted = 0
        rows = await self._rows(holder, boards)
        while moving := self._next(rows):
            visited, moved = await self._visit(holder, boards, moving)
            users += visited.users
            counted += visited.counted
            rows |= moved
            if stopwatch_s() >= until_s or self._pace.lag_s >= LAG_S:
                break
        rows = await self._rows(holder, boards)
        if any(row.waiting for row in rows.values()):
            counted += await self._retry(holder, boards)
            rows = await self._rows(holder, boards)
        await self._finish(holder, boards, rows)
        return Round(users, counted, more=bool(self._next(rows)))

    async def _rows(self, holder: PoolConnection, boards: dict[int, Leaderboard]) -> dict[int, BackfillRow]:
        """Return the backfills that are not complete, by leaderboard, after starting those of newly active
        leaderboards.

        A leaderboard that was created as finished has never counted anything, and gets no backfill.
        """
        rows = await self._store.load(holder)
        new = [board for number, board in boards.items() if number not in rows and board.status == "active"]
        for since_ms in {self._since_ms(board) for board in new}:
            alike = [board.number for board in new if self._since_ms(board) == since_ms]
            await self._store.begin(holder, alike, since_ms)
        if new:
            rows = await self._store.load(holder)
        self._finished.update(number for number, row in rows.items() if row.filled and not row.waiting)
        return {number: row for number, row in rows.items() if number in boards and number not in self._finished}

    def _next(self, rows: Mapping[int, BackfillRow]) -> dict[int, BackfillRow]:
        """Return the leaderboards of the next group, which are those with the same next users.

        Groups take turns, so that a new leaderboard doesn't wait for one that has just begun.
        """
        groups: dict[tuple[str, bool], dict[int, BackfillRow]] = {}
        for number, row in rows.items():
            if not row.passed:
                groups.setdefault((row.last_user, row.since_ms > 0), {})[number] = row
        if not groups:
            return {}
        self._next_group += 1
        return list(groups.values())[self._next_group % len(groups)]

    def _since_ms(self, board: Leaderboard) -> int:
        """Return the instant (ms) before which no event counts on a leaderboard.

        It is 0 for leaderboards on which users without events since then may have a score, too.
        """
        if self._space.index.source_of(board).kind != "metric":
            return 0
        start_ms = instant(datetime.combine(board.start, time.min, UTC))
        return max(0, start_ms - MS_PER_DAY)

    async def _visit(
        self, holder: PoolConnection, boards: Mapping[int, Leaderboard], rows: Mapping[int, BackfillRow]
    ) -> tuple[Round, dict[int, BackfillRow]]:
        """Count the history of the next users. Return the result, and the rows with the new progress."""
        last = next(iter(rows.values())).last_user
        since_ms = min(row.since_ms for row in rows.values())
        most = self._intake.batcher.at_once(USERS_AT_ONCE)
        place = _Position(tuple(rows), last, since_ms, self._space.index.version)
        moving = [boards[number] for number in rows]
        ahead = self._ahead.pop(place, None)
        users, plans = await (ahead if ahead is not None else self._read_next(place, moving, most))
        last, passed = users[-1] if users else last, len(users) < most
        self._forget_ahead(place.boards)
        if not passed:
            following = place._replace(last_user=last)
            self._ahead[following] = asyncio.create_task(self._read_next(following, moving, most))
        counted, stuck = await self._count(moving, users, plans)
        if stuck:
            await self._set_aside(holder, list(rows), stuck, tries=0)
        await self._store.advance(holder, list(rows), last, len(users), passed=passed)
        moved = {number: row._replace(last_user=last, passed=passed) for number, row in rows.items()}
        return Round(len(users), counted), moved

    async def _read_next(self, place: _Position, boards: Sequence[Leaderboard], most: int) -> _Next:
        """Read the plans of the next users, at most ``most``."""
        async with acquired(self._pool) as connection:
            found = await connection.fetch(
                "SELECT id FROM users WHERE space_id = $1 AND id > $2 AND newest_ms >= $3 ORDER BY id LIMIT $4",
                self._space.id,
                place.last_user,
                place.since_ms,
                most,
            )
        users = [row["id"] for row in found]
        if not users:
            return _Next([], [])
        try:
            return _Next(users, await self._planner.plans(boards, users, with_log=False))
        except (Unavailable, TooManyRequests):
            raise
        except Exception:  # noqa: BLE001 # it comes again, and is logged, when the users are counted one by one
            return _Next(users, None)

    def _forget_ahead(self, boards: tuple[int, ...] | None = None) -> None:
        """Cancel what was read ahead for these leaderboards, or for all."""
        for place in [place for place in self._ahead if boards is None or place.boards == boards]:
            task = self._ahead.pop(place)
            if not task.cancel() and not task.cancelled():
                task.exception()  # what went wrong is met again when it is read again

    async def _retry(self, holder: PoolConnection, boards: dict[int, Leaderboard]) -> int:
        """Retry users whose pause is over, or for whom the catalog has changed. Return how many had history to
        count."""
        counted = 0
        due = await self._store.due(holder, self._clock(), self._space.index.version, RETRIED_AT_ONCE)
        for user, those in due.items():
            wanted = [boards[one.leaderboard] for one in those if one.leaderboard in boards]
            done, stuck = await self._count(wanted, [user]) if wanted else (0, {})
            counted += done
            if stuck:
                numbers = [board.number for board in wanted]
                await self._set_aside(holder, numbers, stuck, tries=max(one.tries for one in those))
            else:
                await self._store.forget(holder, user)
                await set_aside.forget(self._redis, self._space, f"filling:user:{user}")
        return counted

    async def _set_aside(
        self, holder: PoolConnection, boards: list[int], stuck: Mapping[str, str], tries: int
    ) -> None:
        """Set users aside for a pause, log it, and list them for health checks."""
        now_ms, version, tries = self._clock(), self._space.index.version, tries + 1
        retry_ms = now_ms + int(1000 * min(RETRY_MOST_S, RETRY_S * 2 ** (tries - 1)))
        for user, reason in stuck.items():
            log.error(
                "backfill_set_aside",
                space=self._space.public_id,
                user=user,
                leaderboards=boards,
                tries=tries,
                reason=reason,
            )
            kind = reason.partition(":")[0]
            entry = set_aside.SetAside("filling", "user", user, kind, tries, now_ms, retry_ms, str(version))
            await set_aside.write(self._redis, self._space, entry)
        aside = [SetAside(user, board, tries, reason) for user, reason in stuck.items() for board in boards]
        await self._store.set_aside(holder, aside, version, retry_ms)

    async def _finish(
        self, holder: PoolConnection, boards: dict[int, Leaderboard], rows: Mapping[int, BackfillRow]
    ) -> None:
        for number, row in rows.items():
            if not row.passed or row.filled or row.trying:
                continue
            await self._store.finish(holder, number)
            log.info(
                "leaderboard_filled",
                space=self._space.public_id,
                leaderboard=boards[number].key,
                users=row.done,
                set_aside=row.waiting,
            )

    async def _count(
        self, boards: Sequence[Leaderboard], users: Sequence[str], plans: list[Plan] | None = None
    ) -> tuple[int, dict[str, str]]:
        """Count users' history, with ``plans`` if they were read already.

        Return how many had history to count, and the reason for each user who could not be counted. An error that
        occurs with all users is raised, since the users aren't its cause then.

        Raises:
            Unavailable: A store is away.
        """
        done = _Counted()
        if users:
            await self._bisect(boards, users, done, plans)
        for user, error in done.failed.items():
            done.refused[user] = reason = f"{type(error).__name__}: {error}"
            if reason not in self._logged:
                self._logged.add(reason)  # with a traceback, only once per reason
                log.error("backfill_failed", space=self._space.public_id, user=user, exc_info=error)
        return done.counted, done.refused

    async def _bisect(
        self, boards: Sequence[Leaderboard], users: Sequence[str], done: _Counted, plans: list[Plan] | None = None
    ) -> None:
        """Count users' history. After an error bisect the users, until those who cause it are found."""
        try:
            counted, refused = await self._count_users(boards, users, plans)
        except (Unavailable, TooManyRequests):
            raise
        except Exception as error:
            if len(users) == 1:
                done.failed[users[0]] = error
                if len(done.failed) >= FAILURES and not done.counted:
                    raise
                return
            middle = len(users) // 2
            await self._bisect(boards, users[:middle], done)
            await self._bisect(boards, users[middle:], done)
            return
        done.counted += counted
        done.refused |= refused

    async def _count_users(
        self, boards: Sequence[Leaderboard], users: Sequence[str], plans: list[Plan] | None
    ) -> tuple[int, dict[str, str]]:
        counted, pending = 0, list(users)
        refused: dict[str, str] = {}
        for attempt in range(TRIES):
            if attempt > 1:
                await asyncio.sleep(AGAIN_S)
            # A user who posts all the time is always ahead of Postgres. The log has the missing events.
            if plans is None:
                plans = await self._planner.plans(boards, pending, with_log=attempt > 0)
            done, pending, failed = await self._commit(plans)
            plans = None
            counted += done
            refused |= failed
            if not pending:
                break
        stuck = dict.fromkeys(pending, "the user's own events kept overtaking it")
        return counted, stuck | refused

    async def _commit(self, plans: list[Plan]) -> tuple[int, list[str], dict[str, str]]:
        """Commit the pieces of users, each after the one before.

        Return the number of users who are done, the users to be read again, and the reasons of refusals by user.
        """
        again: list[str] = []
        refused: dict[str, str] = {}
        done = at = 0
        under_way = [(plan, plan.token) for plan in plans if plan.pieces]
        while under_way:
            following: list[tuple[Plan, str]] = []
            for batch in _batches(under_way, at):
                began_s = stopwatch_s()
                inputs = [self._input(plan, token, plan.pieces[at]) for plan, token in batch]
                results = await self._intake.batcher.submit_many(inputs)
                for (plan, _), result in zip(batch, results, strict=True):
                    if isinstance(result, Outcome):
                        if len(plan.pieces) > at + 1:
                            following.append((plan, result.token))
                        else:
                            done += 1
                    elif isinstance(result, Conflict):
                        again.append(plan.user)
                    elif isinstance(result, InputFailed):
                        refused[plan.user] = str(result)
                    elif isinstance(result, Unavailable | TooManyRequests):
                        raise result
                    elif not isinstance(result, NotFound):  # an erased user has no history
                        refused[plan.user] = str(result)
                await self._pace.pause(stopwatch_s() - began_s)
            under_way, at = following, at + 1
        return done, again, refused

    def _input(self, plan: Plan, token: str, piece: Piece) -> CountHistory:
        runs = {name for standings in piece.standings.values() for name in standings}
        held = {board: one for board, one in plan.held.items() if run_of(board) in runs}
        return CountHistory(plan.user, piece.standings, self._clock(), token, held, piece.done)


def _batches(under_way: Sequence[tuple[Plan, str]], at: int) -> Iterable[list[tuple[Plan, str]]]:
    """Yield the next pieces of users in batches of the size that one call takes."""
    batch: list[tuple[Plan, str]] = []
    moves = 0
    for plan, token in under_way:
        count = plan.pieces[at].moves
        if batch and (len(batch) >= CALL_INPUTS or moves + count > CALL_MOVES):
            yield batch
            batch, moves = [], 0
        batch.append((plan, token))
        moves += count
    if batch:
        yield batch

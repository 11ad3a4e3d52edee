"""Reconcile all users, cold ones included, with a changed catalog (docs/decisions/0011-time-is-input.md).

Achievements that are new or changed are completed silently for users who have reached them, and the next due
instant of every user is computed again. A change of a boost for one user is applied to that user only.

Users are read from Postgres, and the rules are tried on the states found there. Only users who would change are
committed, as a tick through the intake. So a user who has posted meanwhile is computed from the newest state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec
import structlog

from podium.clock import Clock, stopwatch_s
from podium.game.apply import apply
from podium.game.catalog import CatalogIndex
from podium.game.errors import Conflict, InputFailed, NotFound, PodiumError, RequestError
from podium.game.filters import AttributeFilter
from podium.game.inputs import Tick
from podium.game.state import UserState, decode_state
from podium.game.unit_of_work import UnitOfWork
from podium.intake.service import Intake
from podium.jobs.quarantine import Quarantine
from podium.jobs.watermark import Watermark
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import RedisClient

USERS_AT_ONCE = 500
"""Users who are read from Postgres, and committed, at a time."""
AGAIN_S = 0.3
"""Seconds before users are read again whose newest events were not flushed: more than the flush interval."""
AGAIN_MAX = 20
"""Attempts to count a user's events. A user with commits faster than Postgres can follow is set aside."""
_LOCK = 0x53776570
"""First half of the advisory lock ("Swep"). The second half is the space's id."""

log = structlog.get_logger(__name__)


class Reconciliation:
    """The reconciliation of one space."""

    def __init__(self, pool: Pool, redis: RedisClient, intake: Intake, clock: Clock) -> None:
        self._pool = pool
        self._redis = redis
        self._intake = intake
        self._space: Space = intake.space
        self._clock = clock
        self._watermark = Watermark(pool, redis, self._space)
        self._seen: CatalogIndex | None = None
        self._quarantine = Quarantine(redis, self._space, clock, "sweeps")

    async def round(self) -> int:
        """Reconcile users with the newest catalog, and return the number of changed users.

        Users who failed before are tried again, apart from the others.

        Raises:
            Unavailable: A store is away. The next round starts over.
        """
        index = self._space.index
        await self._quarantine.load()
        failed = self._quarantine.names("user")
        if (index is self._seen and not failed) or not await self._watermark.reached():
            return 0
        async with acquired(self._pool) as holder, holder.transaction():
            await holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            if not await holder.fetchval("SELECT pg_try_advisory_xact_lock($1, $2)", _LOCK, self._space.id):
                return 0  # another worker is at it
            if failed:
                # It isn't known any more with which changes these users failed, so everything is checked.
                await self._reconcile_users(index, failed, None)
            wanted = Signature.of(index)
            row = await holder.fetchval("SELECT signature FROM sweeps WHERE space_id = $1", self._space.id)
            done = Signature() if row is None else msgspec.json.decode(row, type=Signature)
            changed = 0
            new = {number for number, digest in wanted.goals.items() if done.goals.get(number) != digest}
            if wanted.time != done.time or new:
                changed = await self._reconcile_all(index, new if wanted.time == done.time else None)
            elif wanted.own != done.own and index.points.personal:
                changed = await self._reconcile_users(index, list(index.points.personal), None)
            if wanted != done:
                await holder.execute(
                    "INSERT INTO sweeps (space_id, signature) VALUES ($1, $2) ON CONFLICT (space_id)"
                    " DO UPDATE SET signature = excluded.signature, swept_at = now()",
                    self._space.id,
                    msgspec.json.encode(wanted).decode(),
                )
        self._seen = index
        return changed

    async def _reconcile_all(self, index: CatalogIndex, new: set[int] | None) -> int:
        """Reconcile all users. If only achievements have changed, ``new`` are their numbers."""
        started_s, looked_at, changed, last = stopwatch_s(), 0, 0, ""
        committing: asyncio.Task[int] | None = None
        try:
            while True:
                async with acquired(self._pool) as connection:
                    rows = await connection.fetch(
                        "SELECT id FROM users WHERE space_id = $1 AND id > $2 ORDER BY id LIMIT $3",
                        self._space.id,
                        last,
                        self._intake.batcher.at_once(USERS_AT_ONCE),
                    )
                users = [row["id"] for row in rows]
                ticks = await self._ticks(index, users, new)
                # The next users are read while the commits of these are under way.
                if committing is not None:
                    changed += await committing
                    committing = None
                if not users:
                    break
                last = users[-1]
                looked_at += len(users)
                committing = asyncio.create_task(self._commit(index, ticks, new))
        finally:
            if committing is not None:
                committing.cancel()
        log.info(
            "users_swept",
            space=self._space.public_id,
            users=looked_at,
            changed=changed,
            took_s=round(stopwatch_s() - started_s, 1),
        )
        return changed

    async def _reconcile_users(self, index: CatalogIndex, users: Sequence[str], new: set[int] | None) -> int:
        return await self._commit(index, await self._ticks(index, users, new), new)

    async def _commit(self, index: CatalogIndex, ticks: list[Tick], new: set[int] | None) -> int:
        """Commit ticks, counting events again where a count is out of date. Return the number of committed
        ticks."""
        changed, times = 0, 0
        while ticks:
            again, times = [], times + 1
            for tick, result in zip(ticks, await self._intake.batcher.submit_many(ticks), strict=True):
                if isinstance(result, Conflict) and times < AGAIN_MAX:
                    again.append(tick.user)
                elif isinstance(result, NotFound):
                    await self._quarantine.passed("user", tick.user)
                elif isinstance(result, InputFailed | RequestError):
                    await self._quarantine.failed("user", tick.user, result)
                elif isinstance(result, PodiumError):
                    raise result
                else:
                    await self._quarantine.passed("user", tick.user)
                    changed += 1
            if again:
                await asyncio.sleep(AGAIN_S)
            ticks = await self._ticks(index, again, new) if again else []
        return changed

    async def _ticks(self, index: CatalogIndex, users: Sequence[str], new: set[int] | None) -> list[Tick]:
        """Return the ticks of the users who would change."""
        async with (
            acquired(self._pool) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            rows = await connection.fetch(
                "SELECT id, token, state FROM users WHERE space_id = $1 AND id = ANY ($2::text[])",
                self._space.id,
                users,
            )
            counts = await self._counts(connection, index, users)
        now_ms = self._clock()
        found = []
        for user, token, blob in rows:
            try:
                state: UserState = decode_state(blob)
                counted = {
                    number: units
                    for number, units in counts.get(user, {}).items()
                    if number not in state.achieved and state.counts.get(number) != units
                }
                tick = Tick(user, now_ms, True, counted, token if counted else "")
                matters = _matters(index, state, tick, new)
            except Exception as error:  # noqa: BLE001 # other users must go on; the quarantine logs it
                await self._quarantine.failed("user", user, error)
                continue
            if matters:
                # With this state the batcher needn't read it from Redis. If it is old, the commit is refused.
                self._intake.batcher.prime(user, token, state)
                found.append(tick)
            else:
                await self._quarantine.passed("user", user)
        return found

    async def _counts(
        self, connection: PoolConnection, index: CatalogIndex, users: Sequence[str]
    ) -> dict[str, dict[int, int]]:
        """Return the sums of users' stored events for achievements with filters by event attributes, by user and
        achievement."""
        found: dict[str, dict[int, int]] = {}
        for metric, goals in index.achievements.on_metric.items():
            for goal in goals:
                if not goal.events:
                    continue
                rows = await connection.fetch(
                    "SELECT user_id, sum(units)::bigint FROM events"
                    " WHERE space_id = $1 AND user_id = ANY ($2::text[]) AND metric = $3 AND attributes @> "
                    "$4::jsonb"
                    " GROUP BY user_id",
                    self._space.id,
                    users,
                    metric,
                    _wanted(goal.events),
                )
                for user, units in rows:
                    found.setdefault(user, {})[goal.number] = units
        return found


class Signature(msgspec.Struct, frozen=True):
    """Digests of the parts of a catalog that require a reconciliation when they change: rules by time, boosts for
    single users, and each achievement by its number."""

    time: str = ""
    own: str = ""
    goals: dict[int, str] = {}

    @classmethod
    def of(cls, index: CatalogIndex) -> Signature:
        """Return the signature of a catalog. It is empty if the catalog has none of these parts."""
        points = index.points
        time: list[Any] = [rule.trigger for rule in points.timed]
        time += [goal.achievement for goal in index.achievements.anniversaries]
        if index.streaks.thresholds:
            time += index.catalog.streaks
        own = [boost for boosts in points.personal.values() for boost in boosts]
        goals = [goal for goal in index.achievements.goals.values() if goal.achievement.trigger != "api"]
        return cls(_digest(time), _digest(own), {goal.number: _digest([goal.achievement]) for goal in goals})


def _matters(index: CatalogIndex, state: UserState, tick: Tick, new: set[int] | None) -> bool:
    """Return whether a tick would change more of a state than the instant up to which it was advanced.

    If only some achievements are ``new``, return whether it would complete one of those.
    """
    if tick.counts:
        return True
    if new is not None:
        work = UnitOfWork(index, tick.user, state, tick.received_ms, is_new=False)
        work.at(tick.received_ms)
        goals = index.achievements.goals
        return bool(work.reached(goals[number] for number in new if number in goals))
    after = apply(index, state, tick).state
    return msgspec.structs.replace(after, advanced_ms=state.advanced_ms, advanced_day=state.advanced_day) != state


def _digest(items: Sequence[Any]) -> str:
    return sha256(msgspec.json.encode(items)).hexdigest()[:16] if items else ""


def _wanted(filters: Sequence[AttributeFilter]) -> dict[str, str]:
    return {one.key: one.value for one in filters}

"""The scheduler: it commits the ticks of users who are due, and records the begin and end of boosts
(docs/decisions/0011-time-is-input.md).

Redis has a sorted set of users by the instant at which they are due. The commit of a tick replaces the entry. A
tick that is repeated, or comes from a second worker, finds a state that was advanced already, and changes nothing.
"""

from __future__ import annotations

from datetime import UTC

import structlog

from podium.clock import Clock
from podium.game.errors import InputFailed, NotFound, PodiumError, RequestError, StaleEpoch
from podium.game.inputs import Tick
from podium.game.periods import instant
from podium.game.points.boosts import BoostRule
from podium.intake.batcher import Outcome
from podium.intake.service import Intake
from podium.jobs.quarantine import PAUSE_MS, Quarantine
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, acquired
from podium.storage.redis.client import AWAY, RedisClient, unavailable

USERS_AT_ONCE = 2_000
"""Users who are read from Redis, and committed, at a time."""
ROUND_MS = 5_000
"""Milliseconds after which a round ends, so that other spaces have their turn."""
FIRST_ZONE_MS = 14 * 3_600_000
LAST_ZONE_MS = 12 * 3_600_000
"""A local date begins first at UTC+14, and ends last at UTC-12."""
_LOCK = 0x5469636B
"""First half of the advisory lock ("Tick"). The second half is the space's id."""

log = structlog.get_logger(__name__)


class Ticks:
    """The timed changes of one space."""

    def __init__(self, pool: Pool, redis: RedisClient, intake: Intake, clock: Clock) -> None:
        self._pool = pool
        self._redis = redis
        self._intake = intake
        self._space: Space = intake.space
        self._clock = clock
        self._noticed: set[tuple[int, bool]] = set()
        self._quarantine = Quarantine(redis, self._space, clock, "ticks")

    async def round(self) -> int:
        """Commit the ticks of users who are due, and return their number.

        A user whose tick fails repeatedly becomes due again after a pause.

        Raises:
            Unavailable: A store is away.
        """
        await self._quarantine.load()
        await self._notice_boosts()
        if not await self._due(1):
            return 0
        ticked = 0
        async with acquired(self._pool) as holder, holder.transaction():
            # Two workers at the same users would be harmless, but do the work twice.
            if not await holder.fetchval("SELECT pg_try_advisory_xact_lock($1, $2)", _LOCK, self._space.id):
                return 0
            until_ms = self._clock() + ROUND_MS
            failed, done = 0, set[str]()
            while users := await self._due(self._intake.batcher.at_once(USERS_AT_ONCE), failed):
                ticked += len(users)
                failed += await self._tick(users, done)
                done.update(users)
                if self._clock() >= until_ms:
                    break
        return ticked

    async def _due(self, limit: int, skip: int = 0) -> list[str]:
        try:
            found = await self._redis.raw.zrange(
                self._space.keys.due, "-inf", str(self._clock()), byscore=True, offset=skip, num=limit
            )
        except AWAY as error:
            raise unavailable(error) from error
        return [user.decode() for user in found]

    async def _tick(self, users: list[str], done: set[str]) -> int:
        """Commit the ticks of users, some of whom may be ``done`` already in this round. Return the number of
        failures, whose users stay due until the next round."""
        now_ms = self._clock()
        results = await self._intake.batcher.submit_many([Tick(user, now_ms) for user in users])
        failed = 0
        for user, result in zip(users, results, strict=True):
            if isinstance(result, Outcome):
                if user in done or self._quarantine.has("user", user):
                    # A commit changes the entry only if ``due_ms`` of the state changes, but the entry may differ
                    # from it.
                    due_ms = result.state.due_ms if result.state is not None else 0
                    await self._move(user, now_ms, now_ms + PAUSE_MS if 0 < due_ms <= now_ms else due_ms)
                await self._quarantine.passed("user", user)
            elif isinstance(result, NotFound):
                await self._quarantine.passed("user", user)
                await self._fenced("undue", user)
            elif isinstance(result, InputFailed | RequestError):
                if await self._quarantine.failed("user", user, result):
                    await self._move(user, now_ms, now_ms + PAUSE_MS)
                else:
                    failed += 1
            elif isinstance(result, PodiumError):
                raise result
        return failed

    async def _move(self, user: str, now_ms: int, due_ms: int) -> None:
        """Make a user who is due now due at another instant, or never if that is 0."""
        await self._fenced("move_due", user, now_ms, due_ms)

    async def _fenced(self, function: str, *args: str | int) -> None:
        """Call a Redis function that changes the entry of a user who is due.

        Raises:
            StaleEpoch: Redis was rebuilt since the users were read.
        """
        reply = await self._redis.call(function, self._space.keys.meta, self._space.epoch or "", *args)
        if reply[0] != 0:
            raise StaleEpoch

    async def _notice_boosts(self) -> None:
        """Record the begin (in the first zone) and the end (in the last zone) of boosts for several users."""
        now_ms = self._clock()
        new: list[tuple[int, int, bool, int]] = []
        for boosts in self._space.index.points.shared.values():
            for rule in boosts:
                for finished, at_ms in _boundaries(rule):
                    if at_ms <= now_ms and (rule.boost.number, finished) not in self._noticed:
                        new.append((self._space.id, rule.boost.number, finished, at_ms))
        if not new:
            return
        async with acquired(self._pool) as connection:
            for row in new:
                noticed = await connection.fetchval(
                    "INSERT INTO boost_changes (space_id, boost, finished, at_ms) VALUES ($1, $2, $3, $4)"
                    " ON CONFLICT DO NOTHING RETURNING true",
                    *row,
                )
                self._noticed.add((row[1], row[2]))
                if noticed:
                    event = "boost_finished" if row[2] else "boost_started"
                    log.info(event, space=self._space.public_id, boost=row[1])


def _boundaries(rule: BoostRule) -> list[tuple[bool, int]]:
    """Return the instants (ms) at which a boost begins in the first zone, and ends in the last one."""
    found = [(False, instant(rule.begins.replace(tzinfo=UTC)) - FIRST_ZONE_MS)]
    if rule.ends is not None:
        found.append((True, instant(rule.ends.replace(tzinfo=UTC)) + LAST_ZONE_MS))
    return found

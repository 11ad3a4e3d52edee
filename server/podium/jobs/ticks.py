"""The scheduler: what comes due by time alone is brought to users, and noticed of boosts
(docs/decisions/0011-time-is-input.md).

Redis holds who is due when; the commit of a tick replaces the entry. A tick that is repeated, comes late, or from
a second worker finds a state that was carried on already, and changes nothing.
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
"""Users read from Redis, and committed, at a time."""
ROUND_MS = 5_000
"""A round ends after so long: other spaces are due too."""
FIRST_ZONE_MS = 14 * 3_600_000
LAST_ZONE_MS = 12 * 3_600_000
"""A local date begins first at UTC+14, and ends last at UTC-12."""
_LOCK = 0x5469636B
"""First half of the advisory lock ("Tick"); the second is the space."""

log = structlog.get_logger(__name__)


class Ticks:
    """What comes due in one space."""

    def __init__(self, pool: Pool, redis: RedisClient, intake: Intake, clock: Clock) -> None:
        self._pool = pool
        self._redis = redis
        self._intake = intake
        self._space: Space = intake.space
        self._clock = clock
        self._noticed: set[tuple[int, bool]] = set()
        self._quarantine = Quarantine(redis, self._space, clock, "ticks")

    async def round(self) -> int:
        """Bring what is due; how many users that were. ``Unavailable`` where a store is away.

        A user whose tick fails again and again is due a pause later.
        """
        await self._quarantine.load()
        await self._notice_boosts()
        if not await self._due(1):
            return 0
        ticked = 0
        async with acquired(self._pool) as holder, holder.transaction():
            # Two workers would do each other's work over again: harmless, and for nothing.
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
        """Commit the ticks of users, of whom some may be ``done`` before in this round; how many failed and stay
        due until the next one."""
        now_ms = self._clock()
        results = await self._intake.batcher.submit_many([Tick(user, now_ms) for user in users])
        failed = 0
        for user, result in zip(users, results, strict=True):
            if isinstance(result, Outcome):
                if user in done or self._quarantine.has("user", user):
                    # A commit moves the entry only where the state's own instant changes; this one may differ.
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
        """Have a user who is due now be due at another instant; 0 for never."""
        await self._fenced("move_due", user, now_ms, due_ms)

    async def _fenced(self, function: str, *args: str | int) -> None:
        """Change who is due; ``StaleEpoch`` where Redis was rebuilt since these users were read."""
        reply = await self._redis.call(function, self._space.keys.meta, self._space.epoch or "", *args)
        if reply[0] != 0:
            raise StaleEpoch

    async def _notice_boosts(self) -> None:
        """Write down that boosts for several users have begun, or are over: in the first zone, in the last one."""
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
    """The instants (ms) at which a boost begins in the first zone, and ends in the last one."""
    found = [(False, instant(rule.begins.replace(tzinfo=UTC)) - FIRST_ZONE_MS)]
    if rule.ends is not None:
        found.append((True, instant(rule.ends.replace(tzinfo=UTC)) + LAST_ZONE_MS))
    return found

"""The part of a replay about points: awards move to the days on which the sorted events reach their thresholds.

No input of the game says "this award belongs to another day", so the rows are rewritten in Postgres, under the
flusher's own lock and only if nothing of the user is on its way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date

from podium.game.errors import Conflict, Unavailable
from podium.game.points.order import StoredAward, StoredEvent, in_order
from podium.jobs.backfill_plans import ROWS
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, acquired
from podium.storage.redis.client import RedisClient
from podium.writebehind import store


class PointsReplay:
    """Puts the awards of one space's users in order."""

    def __init__(self, pool: Pool, redis: RedisClient, space: Space) -> None:
        self._pool = pool
        self._redis = redis
        self._space = space

    async def sort(self, user: str) -> tuple[set[int], set[int]]:
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
            if await last_token(self._redis, self._space, user) not in ("", token):
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


async def last_token(redis: RedisClient, space: Space, user: str) -> str:
    """Return the token of the user's last commit, or "" for an unknown or cold user.

    Raises:
        Unavailable: Redis is away, or being rebuilt.
    """
    reply = await redis.call("load", space.keys.meta, space.epoch or "", user)
    if reply[0] != 0:
        raise Unavailable("Redis is being rebuilt")
    found: bytes = reply[1][0]
    return "" if found == b"cold" else found.decode()

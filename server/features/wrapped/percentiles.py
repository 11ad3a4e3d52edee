"""How a user's year compares with that of others, from a sample of users."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict

from server.backends.postgres.pool import PoolConnection
from server.features.wrapped.rules import Period

SAMPLE = 1_000
"""Users that stand for all: enough for a share that is 2 % off at most, and read within 0.1 s."""
KEPT_MS = 3_600_000
"""How long what was read is used."""
KEPT_MAX = 500
"""Periods that are kept at a time."""
_PAGES_OF = 5_000
"""Users whose pages are drawn for the sample: whole pages are drawn, so more than the sample has."""

Gains = dict[tuple[str, int], list[int]]
"""By kind (metric, points) and number: what users gained in a period, sorted."""


def percentile(gains: list[int], own: int) -> int | None:
    """The percent of those who gained something that gained less; None where nobody did."""
    return round(100 * bisect_left(gains, own) / len(gains)) if gains else None


class Samples:
    """What a sample of a space's users gained in periods, read once an hour."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, Period], tuple[int, Gains]] = OrderedDict()
        self._users: dict[int, tuple[int, list[str]]] = {}

    async def gains(self, connection: PoolConnection, space_id: int, period: Period, now_ms: int) -> Gains:
        """Those of a period."""
        key = space_id, period
        read_ms, found = self._kept.get(key, (0, {}))
        if key not in self._kept or now_ms - read_ms > KEPT_MS:
            users = await self._sample(connection, space_id, now_ms)
            found = await _read(connection, space_id, users, period)
            self._kept[key] = now_ms, found
            self._kept.move_to_end(key)
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return found

    async def _sample(self, connection: PoolConnection, space_id: int, now_ms: int) -> list[str]:
        drawn_ms, users = self._users.get(space_id, (0, []))
        if not users or now_ms - drawn_ms > KEPT_MS:
            users = await _draw(connection, space_id)
            self._users[space_id] = now_ms, users
        return users


async def _draw(connection: PoolConnection, space_id: int) -> list[str]:
    known = await connection.fetchval("SELECT reltuples FROM pg_class WHERE oid = 'users'::regclass")
    if known > _PAGES_OF:
        rows = await connection.fetch(
            "SELECT id FROM users TABLESAMPLE SYSTEM ($2) WHERE space_id = $1 LIMIT $3",
            space_id,
            min(100.0, 100.0 * _PAGES_OF / known),
            SAMPLE,
        )
        if len(rows) == SAMPLE:
            return [row["id"] for row in rows]
    # A small space, perhaps among large ones.
    rows = await connection.fetch(
        "SELECT id FROM users WHERE space_id = $1 ORDER BY md5(id) LIMIT $2", space_id, SAMPLE
    )
    return [row["id"] for row in rows]


async def _read(connection: PoolConnection, space_id: int, users: list[str], period: Period) -> Gains:
    rows = await connection.fetch(
        """
        SELECT 'metric' AS kind, metric AS number, sum(change)::bigint AS gain FROM metric_days
        WHERE space_id = $1 AND user_id = ANY ($2::text[]) AND day BETWEEN $3 AND $4 GROUP BY user_id, metric
        UNION ALL
        SELECT 'points', system, sum(change)::bigint FROM point_days
        WHERE space_id = $1 AND user_id = ANY ($2::text[]) AND day BETWEEN $3 AND $4 GROUP BY user_id, system
        """,
        space_id,
        users,
        period.start,
        period.end,
    )
    gains: Gains = {}
    for kind, number, gain in rows:
        if gain:
            gains.setdefault((kind, number), []).append(gain)
    for found in gains.values():
        found.sort()
    return gains

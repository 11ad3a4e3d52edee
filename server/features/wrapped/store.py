"""What Postgres holds of a user's year."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from server.backends.postgres.pool import PoolConnection


class Change(NamedTuple):
    """What something (a metric, a points system, by number) gained on a day."""

    number: int
    day: date
    change: int


class AttributeChange(NamedTuple):
    """What a metric gained on a day by events with an attribute."""

    metric: int
    key: str
    value: str
    day: date
    change: int


class Place(NamedTuple):
    """A user's place on a leaderboard, by number, on a day on which it changed."""

    leaderboard: int
    day: date
    rank: int
    value: int


class LivedPeriod(NamedTuple):
    """A period of a streak (streaks/calendar.py) and the length at its end."""

    period: int
    length: int


async def events_by_day(
    connection: PoolConnection, space_id: int, user: str, first: date, last: date
) -> dict[date, int]:
    """How many events a user posted on each local day."""
    rows = await connection.fetch(
        "SELECT day, count(*) FROM events WHERE space_id = $1 AND user_id = $2 AND day BETWEEN $3 AND $4"
        " AND corrects IS NULL GROUP BY day",
        space_id,
        user,
        first,
        last,
    )
    return {row["day"]: row["count"] for row in rows}


async def metric_changes(connection: PoolConnection, space_id: int, user: str, last: date) -> list[Change]:
    """What each metric gained on each day up to the last one."""
    rows = await connection.fetch(
        "SELECT metric, day, change FROM metric_days WHERE space_id = $1 AND user_id = $2 AND day <= $3",
        space_id,
        user,
        last,
    )
    return [Change(*row) for row in rows]


async def point_changes(connection: PoolConnection, space_id: int, user: str, last: date) -> list[Change]:
    """What each points system gained on each day up to the last one."""
    rows = await connection.fetch(
        "SELECT system, day, change FROM point_days WHERE space_id = $1 AND user_id = $2 AND day <= $3",
        space_id,
        user,
        last,
    )
    return [Change(*row) for row in rows]


async def attribute_changes(
    connection: PoolConnection, space_id: int, user: str, last: date
) -> list[AttributeChange]:
    """What metrics gained by events with attributes."""
    rows = await connection.fetch(
        "SELECT e.metric, a.key, a.value, e.day, sum(e.units)::bigint FROM events e,"
        " jsonb_each_text(e.attributes) AS a WHERE e.space_id = $1 AND e.user_id = $2 AND e.day <= $3"
        " AND e.attributes IS NOT NULL GROUP BY 1, 2, 3, 4",
        space_id,
        user,
        last,
    )
    return [AttributeChange(*row) for row in rows]


async def completions(
    connection: PoolConnection, space_id: int, user: str, first_ms: int, end_ms: int
) -> list[tuple[int, int]]:
    """Achievements, by number, that were completed from an instant to before another, and when."""
    rows = await connection.fetch(
        "SELECT achievement, at_ms FROM achievement_completions WHERE space_id = $1 AND user_id = $2"
        " AND at_ms >= $3 AND at_ms < $4 ORDER BY at_ms",
        space_id,
        user,
        first_ms,
        end_ms,
    )
    return [(row["achievement"], row["at_ms"]) for row in rows]


async def places(connection: PoolConnection, space_id: int, user: str, first: date, last: date) -> list[Place]:
    """The user's places, on the days on which they changed."""
    rows = await connection.fetch(
        "SELECT leaderboard, day, rank, value FROM rank_days WHERE space_id = $1 AND user_id = $2"
        " AND day BETWEEN $3 AND $4 AND rank IS NOT NULL",
        space_id,
        user,
        first,
        last,
    )
    return [Place(*row) for row in rows]


async def streak_periods(
    connection: PoolConnection, space_id: int, user: str, track: int, first: int, last: int
) -> list[LivedPeriod]:
    """The periods of a user's streak of one frequency."""
    rows = await connection.fetch(
        "SELECT period, length FROM streak_periods WHERE space_id = $1 AND user_id = $2 AND track = $3"
        " AND period BETWEEN $4 AND $5",
        space_id,
        user,
        track,
        first,
        last,
    )
    return [LivedPeriod(*row) for row in rows]

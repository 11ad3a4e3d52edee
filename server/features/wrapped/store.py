"""What Postgres holds of a user's year."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

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


class Found(NamedTuple):
    """What Postgres holds of a user's year."""

    events: dict[date, int]
    """How many there were on each local day."""
    metrics: list[Change]
    """What each metric gained on each day, from the user's first on."""
    attributes: list[AttributeChange]
    """What metrics gained by events with attributes, from the user's first on."""
    points: list[Change]
    completions: list[tuple[int, int]]
    """Achievements, by number, and when they were completed; the first one first."""
    places: list[Place]
    """On the days on which they changed."""
    lived: list[LivedPeriod]


_METRICS = """
SELECT ARRAY(SELECT ROW(metric, day, change) FROM metric_days WHERE space_id = $1 AND user_id = $2 AND day <= $3)
"""
_EVENTS_AND_POINTS = """
SELECT
    ARRAY(
        SELECT ROW(day, count(*)) FROM events
        WHERE space_id = $1 AND user_id = $2 AND day BETWEEN $3 AND $4 AND corrects IS NULL GROUP BY day
    ),
    ARRAY(
        SELECT ROW(e.metric, a.key, a.value, e.day, sum(e.units)::bigint)
        FROM events e, jsonb_each_text(e.attributes) AS a
        WHERE e.space_id = $1 AND e.user_id = $2 AND e.day <= $4 AND e.attributes IS NOT NULL
        GROUP BY e.metric, a.key, a.value, e.day
    ),
    ARRAY(SELECT ROW(system, day, change) FROM point_days WHERE space_id = $1 AND user_id = $2 AND day <= $4)
"""
_WHAT_CAME_OF_IT = """
SELECT
    ARRAY(
        SELECT ROW(achievement, at_ms) FROM achievement_completions
        WHERE space_id = $1 AND user_id = $2 AND at_ms >= $3 AND at_ms < $4 ORDER BY at_ms
    ),
    ARRAY(
        SELECT ROW(leaderboard, day, rank, value) FROM rank_days
        WHERE space_id = $1 AND user_id = $2 AND day BETWEEN $5 AND $6 AND rank IS NOT NULL
    ),
    ARRAY(
        SELECT ROW(period, length) FROM streak_periods
        WHERE space_id = $1 AND user_id = $2 AND track = $7 AND period BETWEEN $8 AND $9
    )
"""


async def read_year(
    connection: PoolConnection,
    space_id: int,
    user: str,
    days: tuple[date, date],
    instants_ms: tuple[int, int],
    track: int,
    periods: tuple[int, int],
) -> Found:
    """Days and streak periods both inclusive, of instants the first one. Of one instant where the connection
    shows a snapshot."""

    async def ask(statement: str, *values: Any) -> Any:
        [row] = await connection.fetch(statement, space_id, user, *values)
        return row

    [metrics] = await ask(_METRICS, days[1])
    [events, attributes, points] = await ask(_EVENTS_AND_POINTS, *days)
    [completions, places, lived] = await ask(_WHAT_CAME_OF_IT, *instants_ms, *days, track, *periods)
    return Found(
        dict(tuple(one) for one in events),
        [Change(*one) for one in metrics],
        [AttributeChange(*one) for one in attributes],
        [Change(*one) for one in points],
        [tuple(one) for one in completions],
        [Place(*one) for one in places],
        [LivedPeriod(*one) for one in lived],
    )

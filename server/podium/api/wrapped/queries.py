"""Queries of a user's year.

Postgres computes the sums: a user may have events on thousands of days with as many attribute values, and summing
them in Python would block the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from podium.game.wrapped.rules import Period
from podium.storage.postgres.pool import PoolConnection

ATTRIBUTES_MAX = 1_000
"""Most values of event attributes that a period shows, those with the greatest changes."""


class Sum(NamedTuple):
    """The total at the end of a period, and the change in it, in whole units."""

    total: int
    change: int


class AttributeSum(NamedTuple):
    """A sum of the events of a metric, by its number, that had an attribute value."""

    metric: int
    key: str
    value: str
    sum: Sum


class Place(NamedTuple):
    """The best place on a leaderboard in a period."""

    rank: int
    value: int


class PastPeriod(NamedTuple):
    """A period of a streak (game/streaks/calendar.py) and the length at its end."""

    period: int
    length: int


class Activity(NamedTuple):
    """A user's activity in a year."""

    events: dict[date, int]
    """The number of events on each local day."""
    completions: list[tuple[int, int]]
    """Number of each completed achievement, and its instant, the earliest first."""
    streak_periods: list[PastPeriod]


class Sums(NamedTuple):
    """The results of a period, by number of metric, points system and leaderboard. Attributes are sorted by
    metric, key and value."""

    metrics: dict[int, Sum]
    points: dict[int, Sum]
    attributes: list[AttributeSum]
    places: dict[int, Place]


_ACTIVITY = """
SELECT
    ARRAY(
        SELECT ROW(day, count(*)) FROM events
        WHERE space_id = $1 AND user_id = $2 AND day BETWEEN $3 AND $4 AND corrects IS NULL GROUP BY day
    ),
    ARRAY(
        SELECT ROW(achievement, at_ms) FROM achievement_completions
        WHERE space_id = $1 AND user_id = $2 AND at_ms >= $5 AND at_ms < $6 ORDER BY at_ms
    ),
    ARRAY(
        SELECT ROW(period, length) FROM streak_periods
        WHERE space_id = $1 AND user_id = $2 AND track = $7 AND period BETWEEN $8 AND $9
    )
"""
_SUMS = """
WITH periods AS (SELECT * FROM unnest($3::date[], $4::date[]) WITH ORDINALITY AS p (first, last, n)),
gained AS MATERIALIZED (
    SELECT e.metric, a.key, a.value, e.day, sum(e.units) AS units
    FROM events e, jsonb_each_text(e.attributes) AS a
    WHERE e.space_id = $1 AND e.user_id = $2 AND e.attributes IS NOT NULL
        AND e.day <= (SELECT max(last) FROM periods)
    GROUP BY e.metric, a.key, a.value, e.day
),
by_value AS (
    SELECT n, metric, key, value, sum(units)::bigint AS total,
        sum(units) FILTER (WHERE day >= first)::bigint AS change
    FROM gained JOIN periods ON day <= last GROUP BY n, metric, key, value
),
greatest AS (
    SELECT *, row_number() OVER (PARTITION BY n ORDER BY abs(change) DESC, metric, key, value) AS place
    FROM by_value WHERE change <> 0
)
SELECT
    ARRAY(
        SELECT ROW(n, metric, sum(change)::bigint, sum(change) FILTER (WHERE day >= first)::bigint)
        FROM metric_days JOIN periods ON day <= last WHERE space_id = $1 AND user_id = $2 GROUP BY n, metric
    ),
    ARRAY(
        SELECT ROW(n, system, sum(change)::bigint, sum(change) FILTER (WHERE day >= first)::bigint)
        FROM point_days JOIN periods ON day <= last WHERE space_id = $1 AND user_id = $2 GROUP BY n, system
    ),
    ARRAY(
        SELECT ROW(n, metric, key, value, total, change) FROM greatest WHERE place <= $5
        ORDER BY n, metric, key COLLATE "C", value COLLATE "C"
    ),
    ARRAY(
        SELECT ROW(n, leaderboard, rank, value) FROM (
            SELECT DISTINCT ON (n, leaderboard) n, leaderboard, rank, value
            FROM rank_history JOIN periods ON day BETWEEN first AND last
            WHERE space_id = $1 AND user_id = $2 AND rank IS NOT NULL ORDER BY n, leaderboard, rank, day
        ) AS best
    )
"""


async def read_activity(
    connection: PoolConnection,
    space_id: int,
    user: str,
    days: tuple[date, date],
    instants_ms: tuple[int, int],
    track: int,
    periods: tuple[int, int],
) -> Activity:
    """Return a user's activity. Days and streak periods are inclusive ranges, instants a half-open one."""
    [row] = await connection.fetch(_ACTIVITY, space_id, user, *days, *instants_ms, track, *periods)
    events, completions, past = row
    return Activity(
        dict(tuple(one) for one in events),
        [tuple(one) for one in completions],
        [PastPeriod(*one) for one in past],
    )


async def read_sums(connection: PoolConnection, space_id: int, user: str, periods: Sequence[Period]) -> list[Sums]:
    """Return the results of each period, in the same order."""
    firsts, lasts = [one.start for one in periods], [one.end for one in periods]
    [row] = await connection.fetch(_SUMS, space_id, user, firsts, lasts, ATTRIBUTES_MAX)
    metrics, points, attributes, places = row
    found = [Sums({}, {}, [], {}) for _ in periods]
    for n, metric, total, change in metrics:
        found[n - 1].metrics[metric] = Sum(total, change or 0)
    for n, system, total, change in points:
        found[n - 1].points[system] = Sum(total, change or 0)
    for n, metric, key, value, total, change in attributes:
        found[n - 1].attributes.append(AttributeSum(metric, key, value, Sum(total, change)))
    for n, leaderboard, rank, value in places:
        found[n - 1].places[leaderboard] = Place(rank, value)
    return found

"""Queries of points: awards, days, totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from podium.game.points.model import Rounding
from podium.game.progress import Archived, cause
from podium.game.records import AwardRecord
from podium.storage.postgres.pool import PoolConnection


class Preview(NamedTuple):
    """The numbers of users and awards, the sum of the awards, and the points that a boost would have added."""

    users: int
    awards: int
    awarded: int
    added: int


async def newest_awards(
    connection: PoolConnection, space_id: int, user: str, system: int, limit: int
) -> list[AwardRecord]:
    """Return a user's newest awards, the newest first."""
    rows = await connection.fetch(
        "SELECT id, system, cause, awarded, total, at_ms, day, boosts FROM point_awards"
        " WHERE space_id = $1 AND user_id = $2 AND system = $3 ORDER BY at_ms DESC, seq DESC LIMIT $4",
        space_id,
        user,
        system,
        limit,
    )
    return [
        AwardRecord(str(id_), system_, cause, awarded, total, at_ms, day.toordinal(), tuple(boosts))
        for id_, system_, cause, awarded, total, at_ms, day, boosts in rows
    ]


async def archived_causes(connection: PoolConnection, space_id: int, numbers: Sequence[int]) -> Archived:
    """Return archived triggers and leaderboards that gave points, by number."""
    rows = await connection.fetch(
        "SELECT number, kind, body FROM catalog_items WHERE space_id = $1 AND number = ANY ($2::integer[])",
        space_id,
        numbers,
    )
    found = ((row["number"], cause(row["kind"], row["body"])) for row in rows)
    return {number: one for number, one in found if one is not None}


async def read_days(
    connection: PoolConnection, space_id: int, user: str, system: int, start: date, end: date
) -> tuple[int, dict[date, int]]:
    """Return the points gained before a day, and on each day of a range with any."""
    rows = await connection.fetch(
        "SELECT CASE WHEN day < $4 THEN NULL ELSE day END AS on_day, sum(change)::bigint FROM point_days"
        " WHERE space_id = $1 AND user_id = $2 AND system = $3 AND day <= $5 GROUP BY 1",
        space_id,
        user,
        system,
        start,
        end,
    )
    changes = {day: change for day, change in rows if day is not None}
    return next((change for day, change in rows if day is None), 0), changes


_USERS = "space_id = $1 AND ($2::jsonb = '{}'::jsonb OR attributes @> $2::jsonb)"


async def count_users(connection: PoolConnection, space_id: int, attributes: Mapping[str, str]) -> int:
    """Return the number of users with these attributes."""
    found: int = await connection.fetchval(
        f"SELECT count(*) FROM users WHERE {_USERS}",  # noqa: S608 # our own words
        space_id,
        dict(attributes),
    )
    return found


async def count_by_points(
    connection: PoolConnection,
    space_id: int,
    system: int,
    attributes: Mapping[str, str],
    thresholds: Sequence[int],
) -> list[int]:
    """Count users by points: below the first threshold, between each two, and from the last on.

    Only users with these attributes who ever had points are counted.
    """
    joined = (
        "JOIN users u ON u.space_id = p.space_id AND u.id = p.user_id AND u.attributes @> $4::jsonb"
        if attributes
        else "CROSS JOIN (SELECT $4::jsonb) AS unused"
    )
    rows = await connection.fetch(
        "SELECT width_bucket(p.total, $3::bigint[]) AS at, count(*) FROM user_points p"  # noqa: S608 # our own words
        f" {joined} WHERE p.space_id = $1 AND p.system = $2 GROUP BY 1",
        space_id,
        system,
        list(thresholds),
        dict(attributes),
    )
    counts = [0] * (len(thresholds) + 1)
    for place, users in rows:
        counts[place] = users
    return counts


async def highest(connection: PoolConnection, space_id: int, system: int, attributes: Mapping[str, str]) -> int:
    """Return the highest total of a user with these attributes."""
    joined = (
        "JOIN users u ON u.space_id = p.space_id AND u.id = p.user_id AND u.attributes @> $3::jsonb"
        if attributes
        else "CROSS JOIN (SELECT $3::jsonb) AS unused"
    )
    found: int | None = await connection.fetchval(
        f"SELECT max(p.total) FROM user_points p {joined} WHERE p.space_id = $1 AND p.system = $2",  # noqa: S608
        space_id,
        system,
        dict(attributes),
    )
    return found or 0


_ROUNDED: dict[Rounding, str] = {"down": "floor", "up": "ceil", "nearest": "round"}


async def preview(
    connection: PoolConnection,
    space_id: int,
    system: int,
    first: date,
    last: date,
    multiplier: float,
    rounding: Rounding,
    weekdays: Sequence[int],
    *,
    user: str | None,
    attributes: Mapping[str, str],
) -> Preview:
    """Return what a boost would have added to the awards of the days ``first`` to ``last``."""
    row = await connection.fetchrow(
        "SELECT count(DISTINCT a.user_id), count(*), coalesce(sum(a.awarded), 0)::bigint,"  # noqa: S608 # our own words
        f" coalesce(sum({_ROUNDED[rounding]}(a.awarded * $5::text::numeric) - a.awarded), 0)::bigint"
        " FROM point_awards a JOIN users u ON u.space_id = a.space_id AND u.id = a.user_id"
        " WHERE a.space_id = $1 AND a.system = $2 AND a.day BETWEEN $3 AND $4 AND a.awarded > 0"
        " AND extract(dow FROM a.day) = ANY ($6::integer[]) AND ($7::text IS NULL OR a.user_id = $7)"
        " AND u.attributes @> $8::jsonb",
        space_id,
        system,
        first,
        last,
        str(multiplier),
        list(weekdays),
        user,
        dict(attributes),
    )
    if row is None:
        raise AssertionError("an aggregate has a row")
    return Preview(*row)

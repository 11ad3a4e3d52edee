"""Points over the application API (docs/http-api.md#points)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from podium.api.points import queries
from podium.game import ids, progress
from podium.game.errors import NotFound, Unprocessable
from podium.game.periods import local_time, zone
from podium.game.points import shapes
from podium.game.points.boosts import holding
from podium.game.points.model import PointsSystem
from podium.game.summary import summarise
from podium.http import params, summaries
from podium.http.answers import answer, in_turns
from podium.http.auth import principal
from podium.http.endpoints import Endpoint, Query
from podium.http.services import Services, services
from podium.http.summaries import asked_summary
from podium.http.users import named_snapshot, named_user
from podium.spaces.space import Space
from podium.storage.postgres.pool import acquired

AWARDS_MAX = 100
"""Most awards of one answer."""
RANGES = 10
"""Ranges of a summary, in addition to that of users with 0 points."""


class PointsBucket(msgspec.Struct, frozen=True):
    """A day, week or month. ``date`` is its first day, ``total`` the user's points at its end."""

    date: date
    total: int
    change: int


async def get_system(request: Request) -> Response:
    """``GET /v1/points/{key}``."""
    index, system = principal(request).space.index, _system(request)
    triggers = [one for one in index.catalog.triggers if one.system_id == system.id and one.status == "active"]
    fields = shapes.base(system)
    del fields["key"]
    return answer(
        shapes.ShownSystem(**fields, triggers=[progress.trigger(index, one) async for one in in_turns(triggers)])
    )


async def get_levels(request: Request) -> Response:
    """``GET /v1/points/{key}/levels``."""
    index = principal(request).space.index
    return answer([shapes.level(one) for one in index.points.levels[_system(request).number]])


async def get_boosts(request: Request) -> Response:
    """``GET /v1/points/{key}/boosts``."""
    index, system = principal(request).space.index, _system(request)
    finished = params.boolean(request, "includeFinished")
    moment = local_time(services(request).clock(), index.home).replace(tzinfo=None)
    boosts = [shapes.boost(rule, moment) async for rule in in_turns(index.points.shared[system.number])]
    return answer([one for one in boosts if finished or one.status != "finished"])


class PointsDistribution(NamedTuple):
    """Users by points: ``counts[i + 1]`` of ``users`` users have ``firsts[i]`` to ``firsts[i] + width - 1``
    points."""

    width: int
    firsts: list[int]
    counts: list[int]
    users: int


async def distribution(
    parts: Services, space: Space, system: PointsSystem, attributes: Mapping[str, str]
) -> PointsDistribution:
    """Return the distribution of points of users with these attributes. In a large space it may be some seconds
    old."""

    async def count() -> PointsDistribution:
        async with acquired(parts.pool) as connection:
            most = await queries.highest(connection, space.id, system.number, attributes)
            top = RANGES
            while top < most:
                top *= 10
            width = top // RANGES
            firsts = [1 + width * i for i in range(RANGES)]
            counts = await queries.count_by_points(connection, space.id, system.number, attributes, firsts)
            return PointsDistribution(
                width, firsts, counts, await queries.count_users(connection, space.id, attributes)
            )

    return await parts.cache.get(("points", space.id, system.number, *sorted(attributes.items())), count)


async def level_counts(parts: Services, space: Space, system: PointsSystem) -> list[int]:
    """Return the number of users below the first level, and on each. In a large space it may be some seconds
    old."""
    thresholds = [one.points for one in space.index.points.levels[system.number]]

    async def count() -> list[int]:
        async with acquired(parts.pool) as connection:
            counts = await queries.count_by_points(connection, space.id, system.number, {}, thresholds)
            if thresholds[0] == 0:  # includes users who never had points, who have no row
                counts[1] += await queries.count_users(connection, space.id, {}) - sum(counts)
            return counts

    return await parts.cache.get(("levels", space.id, system.number, *thresholds), count)


async def get_summary(request: Request) -> Response:
    """``GET /v1/points/{key}/summary``."""
    parts, space, system = services(request), principal(request).space, _system(request)
    attributes = _attributes(request)

    width, firsts, counts, users = await distribution(parts, space, system, attributes)
    ranges = [shapes.PointsRange(0, 0, max(0, users - sum(counts[1:])))]
    ranges += [
        shapes.PointsRange(first, first + width - 1, count)
        for first, count in zip(firsts, counts[1:], strict=True)
    ]
    return answer(ranges)


async def get_level_summary(request: Request) -> Response:
    """``GET /v1/points/{key}/level-summary``."""
    parts, space, system = services(request), principal(request).space, _system(request)
    levels = space.index.points.levels[system.number]
    if not levels:
        raise Unprocessable("The points system has no levels")
    counts = await level_counts(parts, space, system)
    return answer(
        [shapes.LevelUsers(shapes.level(one), count) for one, count in zip(levels, counts[1:], strict=True)]
    )


async def get_user_points(request: Request) -> Response:
    """``GET /v1/users/{id}/points/{key}``."""
    parts, space, system = services(request), principal(request).space, _system(request)
    limit = params.integer(request, "awards", 10, 1, AWARDS_MAX)
    index, user = space.index, request.path_params["id"]
    async with named_snapshot(request) as (connection, state):
        awards = await queries.newest_awards(connection, space.id, user, system.number, limit)
        gone = [one.cause for one in awards if one.cause not in index.points.triggers]
        archived = await queries.archived_causes(connection, space.id, gone) if gone else {}
    moment = local_time(parts.clock(), zone(state.profile.tz)).replace(tzinfo=None)
    rows = (progress.award(index, one, moment, archived) for one in awards)
    total = state.points.get(system.number, 0)
    level = index.points.level(system.number, total)
    return answer(
        shapes.UserPoints(
            **shapes.base(system),
            total=total,
            level=None if level is None else shapes.level(level),
            awards=[row for row in rows if row is not None],
        )
    )


async def get_user_boosts(request: Request) -> Response:
    """``GET /v1/users/{id}/points/{key}/boosts``."""
    parts, space, system = services(request), principal(request).space, _system(request)
    finished = params.boolean(request, "includeFinished")
    state = await named_user(request)
    moment = local_time(parts.clock(), zone(state.profile.tz)).replace(tzinfo=None)
    points = space.index.points
    own = [rule for number, rule in points.own(request.path_params["id"]) if number == system.number]
    shared = holding(points.shared[system.number], state.profile.attributes, moment)
    found = [*shared, *(rule for rule in own if finished or rule.status(moment) != "finished")]
    return answer([shapes.boost(rule, moment) async for rule in in_turns(found)])


async def get_event_summary(request: Request) -> Response:
    """``GET /v1/users/{id}/points/{key}/event-summary``."""
    space, system = principal(request).space, _system(request)
    aggregation, start, end = asked_summary(request)
    async with named_snapshot(request) as (connection, _):
        before, changes = await queries.read_days(
            connection, space.id, request.path_params["id"], system.number, start, end
        )
    buckets = summarise(aggregation, start, end, before, changes)
    return answer([PointsBucket(one.first, one.total, one.change) for one in buckets])


def _system(request: Request) -> PointsSystem:
    key: str = request.path_params["key"]
    system = principal(request).space.index.points.by_key.get(key)
    if system is None:
        raise NotFound(f"Points system not found: {ids.printable(key[: ids.KEY_MAX])}")
    return system


def _attributes(request: Request) -> dict[str, str]:
    """Return the attributes of the query's ``userAttributes``: ``key:value``, joined by commas."""
    return params.attributes(request, principal(request).space.index.user_attributes)


_TAG = "Points"
_FINISHED = Query("includeFinished", "true also lists finished ones.", {"type": "boolean", "default": False})
_BEHIND = "Read from Postgres, which is usually 0.2 s behind."

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/v1/points/{key}",
        summary="Get a points system",
        tag=_TAG,
        needs="read",
        statuses=(200, 404),
        handler=get_system,
        answer=shapes.ShownSystem,
        description="With its active triggers.",
    ),
    Endpoint(
        method="GET",
        path="/v1/points/{key}/levels",
        summary="List the levels of a points system",
        tag=_TAG,
        needs="read",
        statuses=(200, 404),
        handler=get_levels,
        answer=list[shapes.PointsLevel],
        description="The lowest level first.",
    ),
    Endpoint(
        method="GET",
        path="/v1/points/{key}/boosts",
        summary="List the boosts of a points system",
        tag=_TAG,
        needs="read",
        statuses=(200, 400, 404),
        handler=get_boosts,
        answer=list[shapes.PointsBoost],
        query=(_FINISHED,),
        description="Boosts that are not for a single user, with their present status in the space's home zone.",
    ),
    Endpoint(
        method="GET",
        path="/v1/points/{key}/summary",
        shows="space",
        summary="Get the distribution of points",
        tag=_TAG,
        needs="read",
        statuses=(200, 404, 422, 503),
        handler=get_summary,
        answer=list[shapes.PointsRange],
        query=(
            Query(
                "userAttributes",
                "Only users with these attributes: `key:value`, joined by commas. " + params.COMMAS,
            ),
        ),
        description="Eleven ranges: 0, and ten equal ones up to the highest total, rounded up to a power of ten. "
        + _BEHIND,
    ),
    Endpoint(
        method="GET",
        path="/v1/points/{key}/level-summary",
        shows="space",
        summary="Get the number of users on each level",
        tag=_TAG,
        needs="read",
        statuses=(200, 404, 422, 503),
        handler=get_level_summary,
        answer=list[shapes.LevelUsers],
        description="The lowest level first; 422 if the system has no levels. " + _BEHIND,
    ),
    Endpoint(
        method="GET",
        path="/v1/users/{id}/points/{key}",
        shows="user",
        summary="Get a user's points",
        tag=_TAG,
        needs="read",
        statuses=(200, 400, 404, 422, 503),
        handler=get_user_points,
        answer=shapes.UserPoints,
        query=(
            Query(
                "awards",
                "Number of awards, the newest first.",
                {"type": "integer", "minimum": 1, "maximum": AWARDS_MAX, "default": 10},
            ),
        ),
        description="Total and level are current. Awards are read from Postgres, which is usually 0.2 s behind.",
    ),
    Endpoint(
        method="GET",
        path="/v1/users/{id}/points/{key}/boosts",
        shows="user",
        summary="List the boosts of a user",
        tag=_TAG,
        needs="read",
        statuses=(200, 400, 404, 422, 503),
        handler=get_user_boosts,
        answer=list[shapes.PointsBoost],
        query=(_FINISHED,),
        description="Boosts that apply to the user now, and the user's own boosts.",
    ),
    Endpoint(
        method="GET",
        path="/v1/users/{id}/points/{key}/event-summary",
        shows="user",
        summary="Get a user's points over time",
        tag=_TAG,
        needs="read",
        statuses=(200, 404, 422, 503),
        handler=get_event_summary,
        answer=list[PointsBucket],
        query=summaries.QUERY,
        description="Every bucket (day, week or month) with a day in the range, the oldest first. Days are local "
        "dates of the user. " + _BEHIND,
    ),
]

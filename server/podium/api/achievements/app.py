"""Achievements over the application API (docs/http-api.md#achievements)."""

from __future__ import annotations

from uuid import UUID, uuid5

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from podium.api.achievements import queries
from podium.game import ids, progress
from podium.game.achievements import shapes
from podium.game.achievements.model import Achievement
from podium.game.achievements.shapes import AchievementWithStats, UserAchievement, UserAchievementWithStats
from podium.game.errors import NotFound, Unprocessable
from podium.game.filters import matches
from podium.game.inputs import Complete
from podium.game.users import rules as users
from podium.game.users.rules import Upsert
from podium.http import params
from podium.http.answers import answer, in_turns
from podium.http.auth import principal
from podium.http.bodies import read
from podium.http.endpoints import Endpoint, Query
from podium.http.services import Services, services
from podium.http.users import named_snapshot
from podium.spaces.space import Space
from podium.storage.postgres.pool import acquired


class CompletingUser(Upsert, frozen=True, rename="camel", kw_only=True, gc=False):
    """The user who completes the achievement: created if new, changed by the fields that are given."""

    id: str


class Completion(msgspec.Struct, frozen=True):
    """The body of a completion."""

    user: CompletingUser


class Completed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A completed achievement, and the points that this call awarded for it."""

    completion_id: str
    achievement: UserAchievement
    points: dict[str, progress.EventPoints]


_completion = msgspec.json.Decoder(Completion)


async def user_count(parts: Services, space: Space) -> int:
    """Return the number of users. In a large space it may be some seconds old (``parts.memo``)."""

    async def number() -> int:
        async with acquired(parts.pool) as connection:
            return await queries.users(connection, space.id)

    return await parts.cache.get(("users", space.id), number)


async def completions(parts: Services, space: Space) -> tuple[dict[int, int], int]:
    """Return how many users completed each achievement, by its number, and the number of all users."""
    users = await user_count(parts, space)
    async with acquired(parts.pool) as connection:
        return await queries.completions(connection, space.id), users


async def get_achievements(request: Request) -> Response:
    """``GET /v1/achievements``."""
    parts, space = services(request), principal(request).space
    index = space.index
    attributes = params.attributes(request, index.user_attributes)
    counts, number = await completions(parts, space)
    rows = [
        AchievementWithStats(
            **shapes.fields(one, progress.metric_name(index, one.metric_id)),
            completions=counts.get(one.number, 0),
            rarity=shapes.rarity(counts.get(one.number, 0), number),
        )
        async for one in in_turns(index.catalog.achievements)
        if one.status == "active" and _may_earn(one, attributes)
    ]
    return answer(rows)


async def get_user_achievements(request: Request) -> Response:
    """``GET /v1/users/{id}/achievements``."""
    parts, space = services(request), principal(request).space
    incomplete = params.boolean(request, "includeIncomplete")
    # Completions are read in the snapshot of the user's state, so that the user's own are among them, and before
    # the users are counted, so that no rarity exceeds 100 %.
    async with named_snapshot(request) as (connection, state):
        counts = await queries.completions(connection, space.id)
    index = space.index
    number = await user_count(parts, space)
    rows = [
        UserAchievementWithStats(
            **msgspec.structs.asdict(progress.user_achievement(index, one, state.achieved_ms(one.number))),
            completions=counts.get(one.number, 0),
            rarity=shapes.rarity(counts.get(one.number, 0), number),
        )
        async for one in in_turns(index.catalog.achievements)
        if progress.is_visible(index, one, state) and (incomplete or one.number in state.achieved)
    ]
    return answer(rows)


async def post_complete(request: Request) -> Response:
    """``POST /v1/achievements/{key}/complete``."""
    parts, space = services(request), principal(request).space
    key: str = request.path_params["key"]
    user = (await read(request, _completion)).user
    principal(request).check_user(user.id)
    index = space.index
    found = index.achievements.by_key.get(key)
    if found is None:
        if any(one.key == key or one.id == key for one in index.catalog.achievements):
            raise Unprocessable("Only an achievement with the trigger api can be completed by a call")
        raise NotFound(f"Achievement not found: {ids.printable(key[: ids.KEY_MAX])}")
    ids.check_id("user.id", user.id)
    now_ms = parts.clock()
    users.check(user, index.user_attributes, now_ms, index.group_sizes)
    state, record = await parts.commit_with_record(space, Complete(user.id, found.number, user, now_ms))
    points = progress.changed_points(index, state, [one for one in record.awards if one.by_event], now_ms)
    achieved = progress.user_achievement(index, found, state.achieved_ms(found.number))
    return answer(
        Completed(completion_id=_completion_id(found, user.id), achievement=achieved, points=points), 201
    )


def _may_earn(one: Achievement, attributes: dict[str, str]) -> bool:
    """Return whether a user with these attributes could complete it. Without attributes every achievement
    passes."""
    return not attributes or matches(one.user_attributes, attributes)


def _completion_id(one: Achievement, user: str) -> str:
    """Return the id of a completion: the same at each call, since a user completes an achievement once."""
    return str(uuid5(UUID(one.id), user))


_TAG = "Achievements"
_ATTRIBUTES = Query(
    "userAttributes",
    "Only achievements that a user with these attributes could complete: `key:value`, joined by commas. "
    + params.COMMAS,
)

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/v1/achievements",
        shows="space",
        summary="List achievements",
        tag=_TAG,
        needs="read",
        statuses=(200, 400, 422, 503),
        handler=get_achievements,
        answer=list[AchievementWithStats],
        query=(_ATTRIBUTES,),
        description="Active achievements, with the number of users who completed each.",
    ),
    Endpoint(
        method="POST",
        path="/v1/achievements/{key}/complete",
        summary="Complete an achievement",
        tag=_TAG,
        needs="achievements:complete",
        statuses=(201, 400, 404, 413, 422, 429, 503),
        handler=post_complete,
        body=Completion,
        answer=Completed,
        description="Only for achievements with the trigger `api`. A second call has the same answer as the "
        "first, "
        "without points.",
    ),
    Endpoint(
        method="GET",
        path="/v1/users/{id}/achievements",
        shows="user",
        summary="List a user's achievements",
        tag=_TAG,
        needs="read",
        statuses=(200, 400, 404, 422, 503),
        handler=get_user_achievements,
        answer=list[UserAchievementWithStats],
        query=(
            Query(
                "includeIncomplete",
                "true also lists achievements that the user has not completed yet.",
                {"type": "boolean", "default": False},
            ),
        ),
    ),
]

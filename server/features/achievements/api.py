"""Achievements over the application API (contract.md, section 6)."""

from __future__ import annotations

from uuid import UUID, uuid5

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.backends.postgres.pool import acquired
from server.core import ids
from server.core.errors import NotFound, Unprocessable
from server.core.filters import matches
from server.engine import shown
from server.engine.inputs import Complete
from server.features.achievements import shapes, store
from server.features.achievements.model import Achievement
from server.features.achievements.shapes import AchievementWithStats, UserAchievement, UserAchievementWithStats
from server.features.users import rules as users
from server.features.users.rules import Upsert
from server.http import params
from server.http.answers import answer, in_turns
from server.http.auth import principal
from server.http.bodies import read
from server.http.endpoints import Endpoint, Query
from server.http.services import Services, services
from server.http.users import named_snapshot
from server.spaces.space import Space


class CompletingUser(Upsert, frozen=True, rename="camel", kw_only=True, gc=False):
    """Who completes it: created if new, changed where fields are given."""

    id: str


class Completion(msgspec.Struct, frozen=True):
    """Who completes an achievement."""

    user: CompletingUser


class Completed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An achievement that is completed, and the points that it brought by this call."""

    completion_id: str
    achievement: UserAchievement
    points: dict[str, shown.EventPoints]


_completion = msgspec.json.Decoder(Completion)


async def user_count(parts: Services, space: Space) -> int:
    """How many users there are; of a large space as it was a while ago."""

    async def number() -> int:
        async with acquired(parts.pool) as connection:
            return await store.users(connection, space.id)

    return await parts.memo.get(("users", space.id), number)


async def completions(parts: Services, space: Space) -> tuple[dict[int, int], int]:
    """How many users completed each achievement, by its number, and how many users there are."""
    users = await user_count(parts, space)
    async with acquired(parts.pool) as connection:
        return await store.completions(connection, space.id), users


async def get_achievements(request: Request) -> Response:
    """``GET /v1/achievements``."""
    parts, space = services(request), principal(request).space
    index = space.index
    attributes = params.attributes(request, index.user_attributes)
    counts, number = await completions(parts, space)
    rows = [
        AchievementWithStats(
            **shapes.fields(one, shown.metric_name(index, one.metric_id)),
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
    # Counted with the user's own, and before all users are, so that no share exceeds the whole.
    async with named_snapshot(request) as (connection, state):
        counts = await store.completions(connection, space.id)
    index = space.index
    number = await user_count(parts, space)
    rows = [
        UserAchievementWithStats(
            **msgspec.structs.asdict(shown.user_achievement(index, one, state.achieved_ms(one.number))),
            completions=counts.get(one.number, 0),
            rarity=shapes.rarity(counts.get(one.number, 0), number),
        )
        async for one in in_turns(index.catalog.achievements)
        if shown.is_visible(index, one, state) and (incomplete or one.number in state.achieved)
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
    state, record = await parts.told(space, Complete(user.id, found.number, user, now_ms))
    points = shown.changed_points(index, state, [one for one in record.awards if one.by_event], now_ms)
    achieved = shown.user_achievement(index, found, state.achieved_ms(found.number))
    return answer(
        Completed(completion_id=_completion_id(found, user.id), achievement=achieved, points=points), 201
    )


def _may_earn(one: Achievement, attributes: dict[str, str]) -> bool:
    """Whether a user with these attributes could; without any, whoever has none and whoever has."""
    return not attributes or matches(one.user_attributes, attributes)


def _completion_id(one: Achievement, user: str) -> str:
    """The same for every call: an achievement is completed once."""
    return str(uuid5(UUID(one.id), user))


_TAG = "Achievements"
_ATTRIBUTES = Query(
    "userAttributes", "Those that a user with these could earn: `key:value`, joined by commas. " + params.COMMAS
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
        description="The active ones, with the number of users who completed them.",
    ),
    Endpoint(
        method="POST",
        path="/v1/achievements/{key}/complete",
        summary="Complete an achievement",
        tag=_TAG,
        needs="events:write",
        statuses=(201, 400, 404, 413, 422, 429, 503),
        handler=post_complete,
        body=Completion,
        answer=Completed,
        description="One with the trigger `api`. A second call answers as the first one did, and brings no "
        "points.",
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
                "true also lists those that the user may still complete.",
                {"type": "boolean", "default": False},
            ),
        ),
    ),
]

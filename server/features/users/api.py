"""Users over the application API (contract.md, section 4)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.core import ids
from server.core.errors import NotFound
from server.core.periods import iso
from server.engine.inputs import ChangeUser
from server.features.users import rules
from server.features.users.model import Profile
from server.features.users.rules import Upsert
from server.http.answers import answer
from server.http.auth import principal
from server.http.bodies import read
from server.http.endpoints import Endpoint
from server.http.services import services
from server.spaces.states import read_state

Day = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date"})]
Instant = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class NewUser(Upsert, frozen=True, rename="camel", kw_only=True, gc=False):
    """A user to create, or to change if the id is known."""

    id: str


class User(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A user as stored. ``control`` users take part like everyone, without notifications."""

    id: str
    email: str | None
    name: str | None
    tz: str | None
    device_tokens: tuple[str, ...]
    subscribe_to_emails: bool
    attributes: dict[str, str]
    control: bool
    created: Instant
    updated: Instant
    sign_up_date: Day | None


_new_user = msgspec.json.Decoder(NewUser)
_upsert = msgspec.json.Decoder(Upsert)


def shown(user: str, profile: Profile) -> User:
    """The user as answers show it."""
    return User(
        id=user,
        email=profile.email,
        name=profile.name,
        tz=profile.tz,
        device_tokens=profile.device_tokens,
        subscribe_to_emails=profile.subscribed,
        attributes=profile.attributes,
        control=profile.control,
        created=iso(profile.created_ms),
        updated=iso(profile.updated_ms),
        sign_up_date=profile.sign_up,
    )


async def get_user(request: Request) -> Response:
    """``GET /v1/users/{id}``."""
    user = ids.check_id("id", request.path_params["id"])
    parts = services(request)
    state = await read_state(parts.redis, parts.pool, principal(request).space, user)
    if state is None:
        raise NotFound(f"User not found: {user}")
    return answer(shown(user, state.profile))


async def post_user(request: Request) -> Response:
    """``POST /v1/users``."""
    new = await read(request, _new_user)
    return answer(await _change(request, new.id, new), 201)


async def put_user(request: Request) -> Response:
    """``PUT /v1/users/{id}``."""
    return answer(await _change(request, request.path_params["id"], await read(request, _upsert)))


async def patch_user(request: Request) -> Response:
    """``PATCH /v1/users/{id}``."""
    upsert = await read(request, _upsert)
    return answer(await _change(request, request.path_params["id"], upsert, must_exist=True))


async def _change(request: Request, user: str, upsert: Upsert, *, must_exist: bool = False) -> User:
    parts, space = services(request), principal(request).space
    now_ms = parts.clock()
    ids.check_id("id", user)
    rules.check(upsert, space.index.user_attributes, now_ms)
    state = await parts.commit(space, ChangeUser(user, upsert, now_ms, must_exist))
    return shown(user, state.profile)


_MERGING = (
    "Fields that are left out stay as they are, attributes merge by key (null removes one), device tokens "
    "replace the list."
)

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/v1/users/{id}",
        summary="Get a user",
        tag="Users",
        needs="read",
        statuses=(200, 404, 422, 503),
        handler=get_user,
        answer=User,
    ),
    Endpoint(
        method="POST",
        path="/v1/users",
        summary="Create a user, or change one",
        tag="Users",
        needs="events:write",
        statuses=(201, 400, 413, 422, 429, 503),
        handler=post_user,
        body=NewUser,
        answer=User,
        description=f"201 also for an id that is known. {_MERGING}",
    ),
    Endpoint(
        method="PUT",
        path="/v1/users/{id}",
        summary="Create a user, or change one",
        tag="Users",
        needs="events:write",
        statuses=(200, 400, 413, 422, 429, 503),
        handler=put_user,
        body=Upsert,
        answer=User,
        description=_MERGING,
    ),
    Endpoint(
        method="PATCH",
        path="/v1/users/{id}",
        summary="Change a user",
        tag="Users",
        needs="events:write",
        statuses=(200, 400, 404, 413, 422, 429, 503),
        handler=patch_user,
        body=Upsert,
        answer=User,
        description=_MERGING,
    ),
]

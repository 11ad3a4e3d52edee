"""Users over the application API (docs/http-api.md#users)."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from podium.game import ids
from podium.game.inputs import ChangeUser
from podium.game.users import rules
from podium.game.users.rules import Upsert
from podium.game.users.shapes import User, shown
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.bodies import read
from podium.http.endpoints import Endpoint
from podium.http.services import services
from podium.http.users import named_user


class NewUser(Upsert, frozen=True, rename="camel", kw_only=True, gc=False):
    """A user to create, or to change if the id exists."""

    id: str


_new_user = msgspec.json.Decoder(NewUser)
_upsert = msgspec.json.Decoder(Upsert)


async def get_user(request: Request) -> Response:
    """``GET /v1/users/{id}``."""
    state = await named_user(request)
    return answer(shown(request.path_params["id"], state.profile))


async def post_user(request: Request) -> Response:
    """``POST /v1/users``."""
    new = await read(request, _new_user)
    principal(request).check_user(new.id)
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
    rules.check(upsert, space.index.user_attributes, now_ms, space.index.group_sizes)
    state = await parts.commit(space, ChangeUser(user, upsert, now_ms, must_exist))
    return shown(user, state.profile)


_MERGING = (
    "Fields that are left out stay as they are. Attributes are merged by key (null removes one); device tokens "
    "replace the list."
)

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/v1/users/{id}",
        shows="user",
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
        description=f"The status is 201 also if the id exists. {_MERGING}",
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

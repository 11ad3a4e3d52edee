"""``/admin/v1/environments`` (docs/http-api.md#environments)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.bodies import read
from podium.http.endpoints import Endpoint
from podium.http.services import services
from podium.spaces import audit
from podium.spaces.audit import Entry
from podium.spaces.store import ENVIRONMENT_PATTERN, create_environment
from podium.storage.postgres.pool import acquired

PRIORITY = {"production": 1, "staging": 2, "development": 3}
"""The order of environments. Others come after these."""
EnvironmentKey = Annotated[
    str, Meta(pattern=ENVIRONMENT_PATTERN, description="Like staging; it can't be changed.")
]


class Environment(msgspec.Struct, frozen=True):
    """An environment. Lists are sorted by ``priority``."""

    name: str
    key: str
    priority: int


class NewEnvironment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An environment to create."""

    key: EnvironmentKey


class CreatedEnvironment(Environment, frozen=True, rename="camel"):
    """A new environment with its first admin key, which can't be shown again."""

    api_key: str


_new = msgspec.json.Decoder(NewEnvironment)


async def get_environments(request: Request) -> Response:
    """``GET /admin/v1/environments``."""
    keys = {space.environment for space in services(request).directory.spaces.values()}
    return answer(sorted(map(_shown, keys), key=lambda row: (row.priority, row.key)))


async def post_environments(request: Request) -> Response:
    """``POST /admin/v1/environments``."""
    key = (await read(request, _new)).key
    parts, who = services(request), principal(request)
    shown = msgspec.structs.asdict(_shown(key))
    async with acquired(parts.pool) as connection, connection.transaction():
        made = await create_environment(connection, key, who.actor, parts.clock())
        entry = Entry("create", "environment", key, None, shown)
        await audit.write(connection, who.space.id, who.actor, [entry])
    await parts.directory.refresh()
    return answer(CreatedEnvironment(**shown, api_key=made.key), 201)


def _shown(key: str) -> Environment:
    return Environment(key.title(), key, PRIORITY.get(key, len(PRIORITY) + 1))


_TAG = "Admin: environments"

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/admin/v1/environments",
        summary="List environments",
        tag=_TAG,
        needs="admin",
        statuses=(200,),
        handler=get_environments,
        answer=list[Environment],
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/environments",
        summary="Create an environment",
        tag=_TAG,
        needs="admin",
        statuses=(201, 400, 413, 422, 503),
        handler=post_environments,
        body=NewEnvironment,
        answer=CreatedEnvironment,
        description="It has users and keys of its own and an empty catalog; `POST /admin/v1/catalog/copy` copies "
        "one. It takes requests within some seconds (503 until then).",
    ),
]

"""``/admin/v1/application-api-keys``: keys that act for one user, safe in clients
(docs/http-api.md#application-keys)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from podium.game import ids
from podium.game.errors import NotFound, RequestError, Unprocessable
from podium.game.periods import instant, iso
from podium.http import bodies, params
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.bodies import read
from podium.http.catalog_resource import BATCH_MAX, LIST_DEFAULT, Created, Deleted, DeletedItem, Issue, check_uuid
from podium.http.endpoints import Endpoint, Query
from podium.http.services import services
from podium.spaces import audit, store
from podium.spaces.audit import Entry
from podium.storage.postgres.pool import PoolConnection, acquired

Capability = Literal["read", "events:write", "achievements:complete"]


class NewApplicationKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A key to create for a user. ``read`` allows reads, ``events:write`` posting that user's events,
    ``achievements:complete`` completing achievements with the trigger ``api``."""

    user_id: str
    capabilities: Annotated[tuple[Capability, ...], Meta(min_length=1)] = ("read",)


class ApplicationKey(msgspec.Struct, frozen=True, rename="camel"):
    """A new key. ``key`` can't be shown again."""

    id: str
    user_id: str
    key: str
    prefix: str
    capabilities: tuple[Capability, ...]


class ApplicationKeyRow(msgspec.Struct, frozen=True, rename="camel"):
    """An application key without its secret. ``lastUsed`` is up to a minute old; null if it was never used."""

    id: str
    user_id: str
    prefix: str
    capabilities: tuple[Capability, ...]
    created: str
    last_used: str | None


_items = msgspec.json.Decoder(list[Any])


async def post_keys(request: Request) -> Response:
    """``POST /admin/v1/application-api-keys``."""
    items = await read(request, _items)
    if not 1 <= len(items) <= BATCH_MAX:
        raise Unprocessable(f"The body must hold 1 to {BATCH_MAX} items")
    space_id, actor = principal(request).space.id, principal(request).actor
    created: list[ApplicationKey] = []
    issues: list[Issue] = []
    async with acquired(services(request).pool) as connection, connection.transaction():
        for index, fields in enumerate(items):
            try:
                item: NewApplicationKey = bodies.convert(fields, NewApplicationKey, "The item")
                user = ids.check_id("userId", item.user_id)
            except RequestError as error:
                issues.append(Issue("error", ids.printable(error.message), index))
                continue
            wanted = tuple(dict.fromkeys(item.capabilities))
            made = await store.create_application_key(connection, space_id, user, wanted)
            created.append(ApplicationKey(made.id, user, made.key, made.prefix, wanted))
            what = {"userId": user, "prefix": made.prefix, "capabilities": list(wanted)}
            await audit.write(
                connection, space_id, actor, [Entry("create", "application key", made.id, None, what)]
            )
    await services(request).directory.refresh()
    return answer(Created(created, issues), 201 if created else 200)


async def get_keys(request: Request) -> Response:
    """``GET /admin/v1/application-api-keys``."""
    user = request.query_params.get("userId")
    limit = params.integer(request, "limit", LIST_DEFAULT, 1, BATCH_MAX)
    skip = params.integer(request, "skip", 0, 0, 2**31)
    async with acquired(services(request).pool) as connection:
        rows = await connection.fetch(
            "SELECT k.id, k.user_id, k.prefix, k.capabilities, k.created_at, u.used_at"
            " FROM api_keys k LEFT JOIN key_uses u ON u.key_id = k.id"
            " WHERE k.space_id = $1 AND k.user_id IS NOT NULL AND k.revoked_at IS NULL"
            " AND ($2::text IS NULL OR k.user_id = $2) ORDER BY k.created_at, k.id LIMIT $3 OFFSET $4",
            principal(request).space.id,
            None if user is None else ids.check_id("userId", user),
            limit,
            skip,
        )
    return answer(
        [
            ApplicationKeyRow(
                str(row["id"]),
                row["user_id"],
                row["prefix"],
                tuple(row["capabilities"]),
                iso(instant(row["created_at"])),
                None if row["used_at"] is None else iso(instant(row["used_at"])),
            )
            for row in rows
        ]
    )


async def delete_keys(request: Request) -> Response:
    """``DELETE /admin/v1/application-api-keys``."""
    space_id, actor = principal(request).space.id, principal(request).actor
    deleted: list[DeletedItem] = []
    issues: list[Issue] = []
    async with acquired(services(request).pool) as connection:
        if "userIds" in request.query_params:
            if "ids" in request.query_params:
                raise Unprocessable("ids can't be used together with userIds")
            wanted_ids = await _of_users(connection, request, issues)
        else:
            wanted_ids = params.ids(request, "ids", BATCH_MAX)
        for id_ in wanted_ids:
            try:
                wanted = check_uuid("ids", id_)
                async with connection.transaction():
                    before = await store.revoke_application_key(connection, space_id, wanted)
                    if before is None:
                        raise NotFound("Application key not found by ID")
                    entry = Entry("delete", "application key", wanted, before)
                    await audit.write(connection, space_id, actor, [entry])
                deleted.append(DeletedItem(wanted))
            except RequestError as error:
                issues.append(Issue("error", ids.printable(error.message), id=ids.printable(id_)))
    await services(request).directory.refresh()
    return answer(Deleted(deleted, issues))


async def _of_users(connection: PoolConnection, request: Request, issues: list[Issue]) -> list[str]:
    """Return the ids of all keys of the users in ``userIds``. Add an issue for each user without one."""
    users = [ids.check_id("userIds", user) for user in params.ids(request, "userIds", BATCH_MAX)]
    rows = await connection.fetch(
        "SELECT id::text, user_id FROM api_keys WHERE space_id = $1 AND user_id = ANY ($2::text[])"
        " AND revoked_at IS NULL ORDER BY created_at, id",
        principal(request).space.id,
        users,
    )
    having = {row["user_id"] for row in rows}
    issues += [
        Issue("error", "The user has no application key", user_id=user) for user in users if user not in having
    ]
    return [row["id"] for row in rows]


_PATH = "/admin/v1/application-api-keys"
_TAG = "Admin: keys"

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path=_PATH,
        shows="user",
        summary="List application keys, the oldest first",
        tag=_TAG,
        needs="admin",
        statuses=(200, 400, 422, 503),
        handler=get_keys,
        answer=list[ApplicationKeyRow],
        query=(
            Query("userId", "Only keys of this user."),
            Query("limit", "Rows of the page.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}),
            Query("skip", "Rows before the page.", {"type": "integer", "minimum": 0, "default": 0}),
        ),
        description="Keys that are not revoked. Secrets are shown only when a key is created.",
    ),
    Endpoint(
        method="POST",
        path=_PATH,
        summary="Create application keys",
        tag=_TAG,
        needs="admin",
        statuses=(201, 200, 400, 413, 422, 503),
        handler=post_keys,
        body=list[NewApplicationKey],
        answer=Created[ApplicationKey],
        description="Each key acts for one user, in the application API and on live connections. It is shown "
        "once.",
    ),
    Endpoint(
        method="DELETE",
        path=_PATH,
        summary="Revoke application keys",
        tag=_TAG,
        needs="admin",
        statuses=(200, 422, 503),
        handler=delete_keys,
        answer=Deleted,
        query=(
            Query("ids", "1 to 100 ids: repeated (each is taken whole), or one value joined by commas."),
            Query("userIds", "Instead of `ids`: 1 to 100 user ids, whose keys are all revoked."),
        ),
    ),
]

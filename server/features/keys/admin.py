"""``/admin/v1/application-api-keys``: keys that act for one user, safe in clients (contract.md, sections 1 and
13)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from server.backends.postgres.pool import acquired
from server.core import ids
from server.core.errors import NotFound, RequestError, Unprocessable
from server.http import bodies, params
from server.http.answers import answer
from server.http.auth import principal
from server.http.bodies import read
from server.http.endpoints import Endpoint, Query
from server.http.resource import BATCH_MAX, Created, Deleted, DeletedItem, Issue, check_uuid
from server.http.services import services
from server.spaces import audit, store
from server.spaces.audit import Entry

Capability = Literal["read", "events:write", "achievements:complete"]


class NewApplicationKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A key for a user. It may read; with ``events:write`` it may also post that user's events, with
    ``achievements:complete`` complete achievements with the trigger ``api``."""

    user_id: str
    capabilities: Annotated[tuple[Capability, ...], Meta(min_length=1)] = ("read",)


class ApplicationKey(msgspec.Struct, frozen=True, rename="camel"):
    """A key that was just made: ``key`` is shown now, and never again."""

    id: str
    user_id: str
    key: str
    prefix: str
    capabilities: tuple[Capability, ...]


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


async def delete_keys(request: Request) -> Response:
    """``DELETE /admin/v1/application-api-keys``."""
    space_id, actor = principal(request).space.id, principal(request).actor
    deleted: list[DeletedItem] = []
    issues: list[Issue] = []
    async with acquired(services(request).pool) as connection:
        for id_ in params.ids(request, "ids", BATCH_MAX):
            try:
                wanted = check_uuid("ids", id_)
                before = await store.revoke_application_key(connection, space_id, wanted)
                if before is None:
                    raise NotFound("Application key not found by ID")
                deleted.append(DeletedItem(wanted))
                entry = Entry("delete", "application key", wanted, before)
                await audit.write(connection, space_id, actor, [entry])
            except RequestError as error:
                issues.append(Issue("error", ids.printable(error.message), id=ids.printable(id_)))
    await services(request).directory.refresh()
    return answer(Deleted(deleted, issues))


_PATH = "/admin/v1/application-api-keys"
_TAG = "Admin: keys"

ENDPOINTS: list[Endpoint] = [
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
        description="Each acts for one user only, in the application API and live. The key is shown once.",
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
            Query(
                "ids",
                "1 to 100 ids: repeated (each is taken whole), or one value joined by commas.",
                required=True,
            ),
        ),
    ),
]

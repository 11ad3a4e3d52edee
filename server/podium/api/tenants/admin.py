"""``/admin/v1/tenants`` (docs/http-api.md#tenants)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from podium.api.tenants import queries
from podium.api.tenants.queries import TenantRow
from podium.game import ids
from podium.game.errors import NotFound, RequestError, Unprocessable
from podium.game.periods import iso
from podium.http import bodies, params
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.bodies import read
from podium.http.catalog_resource import (
    BATCH_MAX,
    LIST_DEFAULT,
    Created,
    Deleted,
    DeletedItem,
    Issue,
    Update,
    Updated,
    check_name,
    check_uuid,
)
from podium.http.endpoints import Endpoint, Query
from podium.http.services import services
from podium.spaces import audit
from podium.spaces.audit import Entry
from podium.storage.postgres.pool import PoolConnection, acquired

Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Status = Literal["active", "archived"]


class CreateTenant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A tenant to create. ``customerId`` is your own id of it, which requests send in ``Tenant-ID``: 1 to 255
    printable ASCII characters, without a space at either end."""

    customer_id: str
    name: str


class UpdateTenant(Update, frozen=True, rename="camel"):
    """A change of a tenant. ``status`` ``active`` restores an archived one."""

    name: str | UnsetType = UNSET
    status: Status | UnsetType = UNSET


class Tenant(msgspec.Struct, frozen=True, rename="camel"):
    """A customer of the app: users, configuration, leaderboards and live channels of its own."""

    id: str
    customer_id: str
    name: str
    status: Status
    created: Instant
    updated: Instant


_items = msgspec.json.Decoder(list[Any])
_CUSTOMER = re.compile(rf"(?! )[ -~]{{1,{ids.ID_MAX}}}(?<! )", re.ASCII)


async def get_tenants(request: Request) -> Response:
    """``GET /admin/v1/tenants``."""
    limit = params.integer(request, "limit", LIST_DEFAULT, 1, BATCH_MAX)
    skip = params.integer(request, "skip", 0, 0, 2**31)
    async with acquired(services(request).pool) as connection:
        rows = await queries.list_tenants(connection, _environment(request), limit, skip)
    return answer([_shown(row) for row in rows])


async def get_tenant(request: Request) -> Response:
    """``GET /admin/v1/tenants/{id}``."""
    id_ = check_uuid("id", request.path_params["id"])
    async with acquired(services(request).pool) as connection:
        row = await queries.get_tenant(connection, _environment(request), id_)
    if row is None:
        raise NotFound("Tenant not found by ID")
    return answer(_shown(row))


async def post_tenants(request: Request) -> Response:
    """``POST /admin/v1/tenants``."""
    created: list[Tenant] = []
    issues: list[Issue] = []
    async with acquired(services(request).pool) as connection:
        for index, fields in enumerate(await _batch(request)):
            try:
                item: CreateTenant = bodies.convert(fields, CreateTenant, "The item")
                _check_customer(item.customer_id)
                name = check_name(item.name)
                async with connection.transaction():
                    row = await queries.create_tenant(
                        connection, _environment(request), item.customer_id, name, services(request).clock()
                    )
                    await _record(connection, request, "create", None, row)
                created.append(_shown(row))
            except RequestError as error:
                issues.append(Issue("error", ids.printable(error.message), index))
    await services(request).directory.refresh()
    return answer(Created(created, issues), 201 if created else 200)


async def patch_tenants(request: Request) -> Response:
    """``PATCH /admin/v1/tenants``."""
    updated: list[Tenant] = []
    issues: list[Issue] = []
    async with acquired(services(request).pool) as connection:
        for index, fields in enumerate(await _batch(request)):
            named = fields.get("id") if isinstance(fields, dict) else None
            try:
                item: UpdateTenant = bodies.convert(fields, UpdateTenant, "The item")
                name = None if item.name is UNSET else check_name(item.name)
                archived = None if item.status is UNSET else item.status == "archived"
                updated.append(_shown(await _changed(connection, request, "update", item.id, name, archived)))
            except RequestError as error:
                message = ids.printable(error.message)
                issues.append(
                    Issue("error", message, id=ids.printable(named))
                    if isinstance(named, str)
                    else Issue("error", message, index)
                )
    await services(request).directory.refresh()
    return answer(Updated(updated, issues))


async def delete_tenants(request: Request) -> Response:
    """``DELETE /admin/v1/tenants``."""
    deleted: list[DeletedItem] = []
    issues: list[Issue] = []
    async with acquired(services(request).pool) as connection:
        for id_ in params.ids(request, "ids", BATCH_MAX):
            try:
                row = await _changed(connection, request, "archive", id_, None, True)
                deleted.append(DeletedItem(row.id))
            except RequestError as error:
                issues.append(Issue("error", ids.printable(error.message), id=ids.printable(id_)))
    await services(request).directory.refresh()
    return answer(Deleted(deleted, issues))


async def _changed(
    connection: PoolConnection, request: Request, action: str, id_: str, name: str | None, archived: bool | None
) -> TenantRow:
    """Change a tenant, record that in the audit log, and return the tenant after the change.

    Raises:
        NotFound: There is no such tenant.
    """
    environment, wanted = _environment(request), check_uuid("id", id_)
    async with connection.transaction():
        before = await queries.get_tenant(connection, environment, wanted, for_update=True)
        now_ms = services(request).clock()
        after = await queries.change_tenant(connection, environment, wanted, name, archived, now_ms)
        if after is None:
            raise NotFound("Tenant not found by ID")
        await _record(connection, request, action, before, after)
    return after


async def _record(
    connection: PoolConnection, request: Request, action: str, before: TenantRow | None, after: TenantRow
) -> None:
    """Write a row of the audit log of the key's space."""
    who = principal(request)
    shown = [None if row is None else msgspec.to_builtins(_shown(row)) for row in (before, after)]
    await audit.write(connection, who.space.id, who.actor, [Entry(action, "tenant", after.id, *shown)])


def _check_customer(id_: str) -> None:
    """Check that the header Tenant-ID can carry an id unchanged.

    Spaces at its ends are trimmed on the way, and proxies and clients decode other characters differently.

    Raises:
        Unprocessable: It can't.
    """
    if not _CUSTOMER.fullmatch(id_):
        raise Unprocessable(
            f"customerId must have 1 to {ids.ID_MAX} printable ASCII characters, without a space at either end"
        )


async def _batch(request: Request) -> list[Any]:
    items = await read(request, _items)
    if not 1 <= len(items) <= BATCH_MAX:
        raise Unprocessable(f"The body must hold 1 to {BATCH_MAX} items")
    return items


def _environment(request: Request) -> str:
    return principal(request).space.environment


def _shown(row: TenantRow) -> Tenant:
    status: Status = "archived" if row.archived else "active"
    return Tenant(row.id, row.customer_id, row.name, status, iso(row.created_ms), iso(row.updated_ms))


_PATH = "/admin/v1/tenants"
_TAG = "Admin: tenants"
_PAGE = (
    Query("limit", "Rows of the page.", {"type": "integer", "minimum": 1, "maximum": BATCH_MAX, "default": 10}),
    Query("skip", "Rows before the page.", {"type": "integer", "minimum": 0, "default": 0}),
)

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path=_PATH,
        summary="List tenants in the order of creation",
        tag=_TAG,
        needs="admin",
        statuses=(200, 400, 422, 503),
        handler=get_tenants,
        answer=list[Tenant],
        query=_PAGE,
    ),
    Endpoint(
        method="POST",
        path=_PATH,
        summary="Create tenants",
        tag=_TAG,
        needs="admin",
        statuses=(201, 200, 400, 413, 422, 503),
        handler=post_tenants,
        body=list[CreateTenant],
        answer=Created[Tenant],
        description="With `PODIUM_MULTI_TENANCY` all other requests must name a tenant in `Tenant-ID`, by its "
        "customerId. A new tenant has an empty configuration, and takes requests within some seconds (503 until "
        "then).",
    ),
    Endpoint(
        method="PATCH",
        path=_PATH,
        summary="Change tenants",
        tag=_TAG,
        needs="admin",
        statuses=(200, 400, 413, 422, 503),
        handler=patch_tenants,
        body=list[UpdateTenant],
        answer=Updated[Tenant],
    ),
    Endpoint(
        method="DELETE",
        path=_PATH,
        summary="Archive tenants",
        tag=_TAG,
        needs="admin",
        statuses=(200, 422, 503),
        handler=delete_tenants,
        answer=Deleted,
        query=(
            Query(
                "ids",
                "1 to 100 ids: repeated (each is taken whole), or one value joined by commas.",
                required=True,
            ),
        ),
        description="Requests for an archived tenant are refused with 403. Its data are kept.",
    ),
    Endpoint(
        method="GET",
        path=_PATH + "/{id}",
        summary="One tenant",
        tag=_TAG,
        needs="admin",
        statuses=(200, 404, 422, 503),
        handler=get_tenant,
        answer=Tenant,
    ),
]

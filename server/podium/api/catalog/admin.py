"""``/admin/v1/catalog``: the catalog as one document."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from podium.api.catalog.document import CatalogDocument, Fields, export
from podium.api.catalog.plan import Plan, Planner
from podium.api.catalog.schema import json_schema
from podium.game.errors import Unprocessable
from podium.game.ids import printable
from podium.http import params
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.bodies import read
from podium.http.catalog_resource import Context, editing_catalog, read_catalog
from podium.http.endpoints import Endpoint, Query
from podium.http.services import services
from podium.spaces import store
from podium.spaces.catalog_store import Editor
from podium.spaces.space import Space
from podium.storage.postgres.pool import acquired

SCHEMA_PATH = "/catalog.schema.json"
_NEVER = 2**31 - 1
"""Number of items that are created in a preview, which is thrown away."""


class CopyCatalog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A copy from the environment ``from`` into that of the key. Without ``apply`` it is only a preview; with
    ``prune`` items that the source doesn't have are archived."""

    from_: str = msgspec.field(name="from")
    apply: bool = False
    prune: bool = False


_document: Any = msgspec.json.Decoder(CatalogDocument)
_copy = msgspec.json.Decoder(CopyCatalog)


async def get_catalog(request: Request) -> Response:
    """``GET /admin/v1/catalog``."""
    catalog, _ = await read_catalog(request)
    return answer(await asyncio.to_thread(export, catalog))


async def post_plan(request: Request) -> Response:
    """``POST /admin/v1/catalog/plan``."""
    document = msgspec.to_builtins(await read(request, _document, services(request).settings.batch_limit))
    return answer(await _planned(request, document, params.boolean(request, "prune")))


async def put_catalog(request: Request) -> Response:
    """``PUT /admin/v1/catalog``."""
    document = msgspec.to_builtins(await read(request, _document, services(request).settings.batch_limit))
    return answer(await _applied(request, document, params.boolean(request, "prune")))


async def post_copy(request: Request) -> Response:
    """``POST /admin/v1/catalog/copy``."""
    wanted = await read(request, _copy)
    source = _source(request, wanted.from_)
    async with acquired(services(request).pool) as connection:
        catalog = await store.load_catalog(connection, source.id)
    document = await asyncio.to_thread(export, catalog)
    # An export holds everything by value, pictures too, so it can be applied as it is.
    if wanted.apply:
        return answer(await _applied(request, document, wanted.prune))
    return answer(await _planned(request, document, wanted.prune))


def _source(request: Request, environment: str) -> Space:
    """Return the space of the key's tenant in another environment.

    Raises:
        Unprocessable: It is the key's own environment, or the tenant has no space in it.
    """
    own = principal(request).space
    if environment == own.environment:
        raise Unprocessable("from must name another environment than the key's own")
    for space in services(request).directory.spaces.values():
        if space.environment == environment and space.tenant == own.tenant:
            return space
    raise Unprocessable(f"from names no environment: {printable(environment[:100])}")


async def _planned(request: Request, document: Fields, prune: bool) -> Plan:
    catalog, today = await read_catalog(request)
    return await _run(Context(Editor(catalog, _NEVER), services(request).clock(), today), document, prune)


async def _run(context: Context, document: Fields, prune: bool) -> Plan:
    """Run the planner in a thread, so that a large catalog doesn't block events and live connections."""
    return await asyncio.to_thread(Planner(context, document, prune).run)


async def _applied(request: Request, document: Fields, prune: bool) -> Plan:
    """Apply a document as a whole.

    Raises:
        Unprocessable: An item can't be as the document wants it. Nothing was changed.
    """
    # Plan without the catalog's lock first: a document that fails or changes nothing shouldn't block other
    # editors.
    plan = await _planned(request, document, prune)
    _check(plan)
    if plan.changes:
        async with editing_catalog(request) as context:
            plan = await _run(context, document, prune)
            _check(plan)
    return msgspec.structs.replace(plan, applied=True)


def _check(plan: Plan) -> None:
    """Check that a plan can be applied.

    Raises:
        Unprocessable: It has issues. The message is the first one.
    """
    if plan.issues:
        first, more = plan.issues[0], len(plan.issues) - 1
        where = f"{first.section} {first.item}".strip()
        raise Unprocessable(f"{where}: {first.message}" + (f" (and {more} more)" if more else ""))


async def get_schema(_: Request) -> Response:
    """``GET /catalog.schema.json``, without a key."""
    return answer(json_schema())


_TAG = "Admin: catalog"
_PRUNE = Query(
    "prune",
    "true archives the items that a section of the document doesn't name.",
    {"type": "boolean", "default": False},
)

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/admin/v1/catalog",
        summary="Export the catalog as a document",
        tag=_TAG,
        needs="admin",
        statuses=(200, 503),
        handler=get_catalog,
        answer=CatalogDocument,
        description="Items are named by key or name instead of id. Boosts of single users are not included.",
    ),
    Endpoint(
        method="PUT",
        path="/admin/v1/catalog",
        summary="Apply a document to the catalog",
        tag=_TAG,
        needs="admin",
        statuses=(200, 400, 413, 422, 503),
        handler=put_catalog,
        body=CatalogDocument,
        answer=Plan,
        query=(_PRUNE,),
        description="All of it is applied, or, with 422, nothing. Applying it again changes nothing. Sections "
        "that "
        "are left out stay as they are.",
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/catalog/plan",
        summary="Preview the changes of a document",
        tag=_TAG,
        needs="admin",
        statuses=(200, 400, 413, 422, 503),
        handler=post_plan,
        body=CatalogDocument,
        answer=Plan,
        query=(_PRUNE,),
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/catalog/copy",
        summary="Copy the catalog of another environment",
        tag=_TAG,
        needs="admin",
        statuses=(200, 400, 413, 422, 503),
        handler=post_copy,
        body=CopyCatalog,
        answer=Plan,
        description="The target is the key's environment, the tenant the same. Users, events, awards and boosts "
        "of "
        "single users are never changed.",
    ),
]

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
"""Number of an item that is made in a preview."""


class CopyCatalog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Copy from the environment ``from`` into that of the key. Without ``apply`` nothing is changed; with
    ``prune`` what the other doesn't have is archived."""

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
    # Pictures of settings and the like are values: what an export shows can be given back as it is.
    if wanted.apply:
        return answer(await _applied(request, document, wanted.prune))
    return answer(await _planned(request, document, wanted.prune))


def _source(request: Request, environment: str) -> Space:
    """The space of the same tenant in another environment."""
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
    """In a thread: events and live go on while a large catalog is compared."""
    return await asyncio.to_thread(Planner(context, document, prune).run)


async def _applied(request: Request, document: Fields, prune: bool) -> Plan:
    """All of it, or, with 422, nothing."""
    # What can't be, or changes nothing, keeps nobody from the catalog.
    plan = await _planned(request, document, prune)
    _check(plan)
    if plan.changes:
        async with editing_catalog(request) as context:
            plan = await _run(context, document, prune)
            _check(plan)
    return msgspec.structs.replace(plan, applied=True)


def _check(plan: Plan) -> None:
    """422 where a plan can't be applied."""
    if plan.issues:
        first, more = plan.issues[0], len(plan.issues) - 1
        where = f"{first.section} {first.item}".strip()
        raise Unprocessable(f"{where}: {first.message}" + (f" (and {more} more)" if more else ""))


async def get_schema(_: Request) -> Response:
    """``GET /catalog.schema.json``, for everybody."""
    return answer(json_schema())


_TAG = "Admin: catalog"
_PRUNE = Query(
    "prune",
    "true archives what a section of the document doesn't name.",
    {"type": "boolean", "default": False},
)

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/admin/v1/catalog",
        summary="Get the whole catalog as a document",
        tag=_TAG,
        needs="admin",
        statuses=(200, 503),
        handler=get_catalog,
        answer=CatalogDocument,
        description="Keys and names stand in the place of ids. Boosts of single users are no part of it.",
    ),
    Endpoint(
        method="PUT",
        path="/admin/v1/catalog",
        summary="Bring the catalog to a document",
        tag=_TAG,
        needs="admin",
        statuses=(200, 400, 413, 422, 503),
        handler=put_catalog,
        body=CatalogDocument,
        answer=Plan,
        query=(_PRUNE,),
        description="All of it, or, with 422, nothing. Sent again it changes nothing. A section that is left out "
        "stays as it is.",
    ),
    Endpoint(
        method="POST",
        path="/admin/v1/catalog/plan",
        summary="What would bring the catalog to a document",
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
        description="Into the environment of the key, of the same tenant. Users, events and what they earned are "
        "never touched, nor are boosts of single users.",
    ),
]

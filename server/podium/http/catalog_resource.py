"""The five endpoints of each kind of catalog item (docs/http-api.md#admin-batches)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from podium.game import ids
from podium.game.catalog import Catalog
from podium.game.errors import BadRequest, NotFound, RequestError, Unprocessable
from podium.game.periods import local_day, zone
from podium.http import bodies, params
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.endpoints import Endpoint, Query
from podium.http.services import services
from podium.spaces import store
from podium.spaces.catalog_store import Editor, editing
from podium.spaces.item_kinds import Item, Kind, scope
from podium.storage.postgres.pool import acquired

BATCH_MAX = 100
"""Items of one request, and rows of one page."""
LIST_DEFAULT = 10

T = TypeVar("T", bound=Item)
C = TypeVar("C")
U = TypeVar("U", bound="Update")
R = TypeVar("R")


class Issue(msgspec.Struct, frozen=True, omit_defaults=True):
    """The reason why an item of a batch was not applied.

    It names the item by ``index`` (from 0) where it was to be created, by ``id`` otherwise, or by ``userId``.
    """

    severity: Literal["error", "warning"]
    message: str
    index: int | msgspec.UnsetType = msgspec.UNSET
    id: str | msgspec.UnsetType = msgspec.UNSET
    user_id: str | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="userId")


class Created(msgspec.Struct, Generic[R], frozen=True):
    """The items that were created, and the issues of the others."""

    created: list[R]
    issues: list[Issue]


class Updated(msgspec.Struct, Generic[R], frozen=True):
    """The items that were updated, and the issues of the others."""

    updated: list[R]
    issues: list[Issue]


class DeletedItem(msgspec.Struct, frozen=True):
    """An item that was deleted."""

    id: str


class Deleted(msgspec.Struct, frozen=True):
    """The items that were deleted, and the issues of the others."""

    deleted: list[DeletedItem]
    issues: list[Issue]


class Update(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A change of the item ``id``; fields that are left out stay as they are."""

    id: str


@dataclass(frozen=True, slots=True)
class Parent:
    """The item that a resource's items belong to.

    ``parameter`` of the path has its id, and so does ``field`` of each item of the resource.
    """

    kind: Kind[Any]
    parameter: str
    field: str


@dataclass(frozen=True, slots=True)
class Context:
    """The context in which an item is created or changed: the catalog with the request's earlier changes, and the
    time.

    ``today`` is the date in the space's home zone, ``parent`` the id of the item that the path names ("" if none).
    """

    editor: Editor
    now_ms: int
    today: date
    parent: str = ""

    @property
    def catalog(self) -> Catalog:
        """The catalog with the changes so far."""
        return self.editor.catalog

    def new_id(self) -> str:
        """Return the id for a new item."""
        return ids.new_uuid7(self.now_ms)

    def check_key(self, kind: Kind[T], item: T) -> None:
        """Raise ``Unprocessable`` if another item of the kind has the item's key."""
        for other in kind.of(self.catalog):
            if other.key == item.key and scope(other) == scope(item) and other.id != item.id:
                raise Unprocessable(f"Key already in use by another {kind.name}")


@dataclass(frozen=True, slots=True)
class Resource(Generic[T, C, U, R]):
    """The endpoints of one kind of catalog item, under ``path``.

    - ``create`` and ``update`` return the item that a request asks for. A ``RequestError`` that they or
      ``check_archive`` raise becomes an issue of the answer.
    - ``row`` returns an item of a catalog for an answer, as of a day; ``created_row`` replaces it for new items.
      ``enrich`` adds to rows what is not in the catalog.
    - ``archived`` archives what belongs to an item, after the item itself.
    - ``parent`` is the item that these belong to.
    - ``later`` has fields of the contract that are not supported yet, with the values that ask for nothing.
    """

    kind: Kind[T]
    path: str
    create_type: type[C]
    update_type: type[U]
    row_type: type[R]
    create: Callable[[Context, C], T]
    update: Callable[[Context, T, U], T]
    row: Callable[[T, Catalog, date], R]
    check_archive: Callable[[Catalog, T], None] | None = None
    archived: Callable[[Context, T], None] | None = None
    created_row: Callable[[T, Catalog, date], Any] | None = None
    enrich: Callable[[Request, Sequence[T], Sequence[R]], Awaitable[list[R]]] | None = None
    parent: Parent | None = None
    later: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    shown_only: frozenset[str] = frozenset()
    """Read-only fields of a row. They are ignored in requests, so that a row may be sent back as it came."""

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints: GET a page, POST, PATCH and DELETE a batch, GET one item."""
        rows, tag = self.kind.field, f"Admin: {self.kind.field}"
        page = (
            Query("limit", "Rows of the page.", _integer(1, BATCH_MAX, LIST_DEFAULT)),
            Query("skip", "Rows before the page.", _integer(0, None, 0)),
        )
        unknown = (404,) if self.parent is not None else ()
        named = Query(
            "ids", "1 to 100 ids: repeated (each is taken whole), or one value joined by commas.", required=True
        )
        return [
            Endpoint(
                "GET",
                self.path,
                f"List {rows}, in the order they were made",
                tag,
                "admin",
                (200, 400, *unknown, 422, 503),
                self._list,
                answer=_of(list, self.row_type),
                query=page,
            ),
            Endpoint(
                "POST",
                self.path,
                f"Create {rows}",
                tag,
                "admin",
                (201, 200, 400, *unknown, 422, 503),
                self.post,
                body=_of(list, self.create_type),
                answer=_of(Created, self.row_type),
                description="1 to 100 items; each is created or named in `issues`. 200 if none was created.",
            ),
            Endpoint(
                "PATCH",
                self.path,
                f"Change {rows}",
                tag,
                "admin",
                (200, 400, *unknown, 422, 503),
                self.patch,
                body=_of(list, self.update_type),
                answer=_of(Updated, self.row_type),
                description="1 to 100 items; each is changed or named in `issues`.",
            ),
            Endpoint(
                "DELETE",
                self.path,
                f"Delete {rows}",
                tag,
                "admin",
                (200, *unknown, 422, 503),
                self.delete,
                answer=Deleted,
                query=(named,),
                description="Deleted items are archived: what was recorded stays, and their keys are free again.",
            ),
            Endpoint(
                "GET",
                self.path + "/{id}",
                f"One {self.kind.name}",
                tag,
                "admin",
                (200, 404, 422, 503),
                self._get,
                answer=self.row_type,
            ),
        ]

    async def _list(self, request: Request) -> Response:
        limit = params.integer(request, "limit", LIST_DEFAULT, 1, BATCH_MAX)
        skip = params.integer(request, "skip", 0, 0, 2**31)
        catalog, today = await read_catalog(request)
        items = self._of_parent(catalog, self._parent(request, catalog))
        return answer(await self._rows(request, items[skip : skip + limit], catalog, today))

    async def _get(self, request: Request) -> Response:
        catalog, today = await read_catalog(request)
        item = self._find(catalog, request.path_params["id"], self._parent(request, catalog))
        [row] = await self._rows(request, [item], catalog, today)
        return answer(row)

    async def _rows(self, request: Request, items: Sequence[T], catalog: Catalog, today: date) -> list[R]:
        rows = [self.row(item, catalog, today) for item in items]
        return await self.enrich(request, items, rows) if self.enrich is not None and items else rows

    async def post(self, request: Request) -> Response:
        """Create a batch of items (POST)."""
        items = await _read_batch(request)
        created: list[T] = []
        issues = _Issues()
        async with self._editing(request) as context:
            for index, fields in enumerate(items):
                await asyncio.sleep(
                    0
                )  # in a large catalog an item takes milliseconds; other tasks may run between
                with issues.of(index=index):
                    item = self.create(context, self._convert(fields, self.create_type))
                    context.editor.insert(self.kind, item)
                    created.append(item)
        rows: list[Any]
        if self.created_row is None:
            rows = await self._rows(request, created, context.catalog, context.today)
        else:
            rows = []
            for item in created:
                await asyncio.sleep(0)
                rows.append(self.created_row(item, context.catalog, context.today))
        return answer(Created(rows, issues.found), 201 if created else 200)

    async def patch(self, request: Request) -> Response:
        """Change a batch of items (PATCH)."""
        items = await _read_batch(request)
        updated: list[T] = []
        issues = _Issues()
        async with self._editing(request) as context:
            for index, fields in enumerate(items):
                await asyncio.sleep(0)
                id_ = fields.get("id") if isinstance(fields, dict) else None
                with issues.of(id_=ids.printable(id_)) if isinstance(id_, str) else issues.of(index=index):
                    change = self._convert(fields, self.update_type)
                    before = self._held(context, change.id)
                    after = self.update(context, before, change)
                    context.editor.update(self.kind, before, after)
                    updated.append(after)
        rows = await self._rows(request, updated, context.catalog, context.today)
        return answer(Updated(rows, issues.found))

    async def delete(self, request: Request) -> Response:
        """Archive a batch of items (DELETE)."""
        named = params.ids(request, "ids", BATCH_MAX)
        deleted: list[DeletedItem] = []
        issues = _Issues()
        async with self._editing(request) as context:
            for id_ in named:
                await asyncio.sleep(0)
                with issues.of(id_=ids.printable(id_)):
                    item = self._held(context, id_)
                    if self.check_archive is not None:
                        self.check_archive(context.catalog, item)
                    context.editor.archive(self.kind, item)
                    if self.archived is not None:
                        self.archived(context, item)
                    deleted.append(DeletedItem(item.id))
        return answer(Deleted(deleted, issues.found))

    @asynccontextmanager
    async def _editing(self, request: Request) -> AsyncIterator[Context]:
        async with editing_catalog(request) as context:
            yield replace(context, parent=self._parent(request, context.catalog))

    def _parent(self, request: Request, catalog: Catalog) -> str:
        """Return the id of the parent that the path names, "" without one. Raises ``NotFound``."""
        if self.parent is None:
            return ""
        wanted = check_uuid(self.parent.parameter, request.path_params[self.parent.parameter])
        if all(item.id != wanted for item in self.parent.kind.of(catalog)):
            raise NotFound(f"{self.parent.kind.name.capitalize()} not found by ID")
        return wanted

    def _of_parent(self, catalog: Catalog, parent: str) -> Sequence[T]:
        if self.parent is None:
            return self.kind.of(catalog)
        field = self.parent.field
        return [item for item in self.kind.of(catalog) if getattr(item, field) == parent]

    def _find(self, catalog: Catalog, id_: str, parent: str) -> T:
        wanted = check_uuid("id", id_)
        found = next((item for item in self.kind.of(catalog) if item.id == wanted), None)
        return self._of(found, parent)

    def _held(self, context: Context, id_: str) -> T:
        """Return an item of a catalog that is being changed. Raises ``NotFound``."""
        return self._of(context.editor.get(self.kind, check_uuid("id", id_)), context.parent)

    def _of(self, found: T | None, parent: str) -> T:
        if found is None or (self.parent is not None and getattr(found, self.parent.field) != parent):
            raise NotFound(f"{self.kind.name.capitalize()} not found by ID")
        return found

    def _convert(self, fields: Any, type_: type[Any]) -> Any:
        if isinstance(fields, dict):
            fields = {name: value for name, value in fields.items() if name not in self.shown_only}
            for name, nothing in self.later.items():
                if fields.pop(name, None) not in (None, *nothing):
                    raise BadRequest(f"{name} is not supported yet")
        return bodies.convert(fields, type_, "The item")


def check_name(name: str) -> str:
    """Return ``name`` if an item may have it. Raises ``Unprocessable``."""
    if not name.strip():
        raise Unprocessable("name must not be empty")
    return ids.check_text("name", name, ids.NAME_MAX)


def check_uuid(field_name: str, text: str) -> str:
    """Return a UUID in its canonical spelling. Raises ``Unprocessable``, naming the field, if it is none."""
    try:
        if len(text) != 36:  # UUID() takes braces and missing hyphens, which no answer of ours has
            raise ValueError
        return str(UUID(text))
    except ValueError:
        raise Unprocessable(f"{field_name} must be a valid UUID") from None


def given(change: Update) -> dict[str, Any]:
    """Return the fields that a change sets, without ``id``, by their Python names."""
    fields = msgspec.structs.asdict(change)
    return {name: value for name, value in fields.items() if name != "id" and value is not msgspec.UNSET}


class _Issues:
    def __init__(self) -> None:
        self.found: list[Issue] = []

    @contextmanager
    def of(
        self, *, index: int | msgspec.UnsetType = msgspec.UNSET, id_: str | msgspec.UnsetType = msgspec.UNSET
    ) -> Iterator[None]:
        """Turn a ``RequestError`` of the block into an issue, so that the batch continues with the next item."""
        try:
            yield
        except RequestError as error:
            self.found.append(Issue("error", ids.printable(error.message), index, id_))


@asynccontextmanager
async def editing_catalog(request: Request) -> AsyncIterator[Context]:
    """Yield the catalog of the request's space for changes, which are stored when the block ends."""
    actor = principal(request)
    have = services(request)
    async with editing(have.directory, actor.space, actor) as editor:
        now_ms = have.clock()
        yield Context(editor, now_ms, local_day(now_ms, zone(editor.catalog.home_zone)))


async def read_catalog(request: Request) -> tuple[Catalog, date]:
    """Return the newest catalog, and today in the home zone.

    It is read from Postgres, so that a process also shows what another has just stored.
    """
    have = services(request)
    async with acquired(have.pool) as connection:
        catalog = await store.newest_catalog(connection, principal(request).space)
    return catalog, local_day(have.clock(), zone(catalog.home_zone))


_batch_decoder = msgspec.json.Decoder(list[Any])


async def _read_batch(request: Request) -> list[Any]:
    items = await bodies.read(request, _batch_decoder)
    if not 1 <= len(items) <= BATCH_MAX:
        raise Unprocessable(f"The body must hold 1 to {BATCH_MAX} items")
    return items


def _integer(least: int, most: int | None, default: int) -> dict[str, Any]:
    limits = {"minimum": least} if most is None else {"minimum": least, "maximum": most}
    return {"type": "integer", "default": default, **limits}


def _of(generic: Any, item: Any) -> Any:
    """Return ``generic[item]``; mypy does not let a variable stand for the type."""
    return generic[item]

"""Stored events: ``GET /admin/v1/events`` and ``/admin/v1/events/{id}``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from podium.game import ids
from podium.game.catalog import CatalogIndex
from podium.game.errors import NotFound, Unavailable, Unprocessable
from podium.game.periods import iso
from podium.http import as_of, params
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.catalog_resource import check_uuid
from podium.http.endpoints import Endpoint, Query
from podium.http.services import services
from podium.http.users import snapshot_of
from podium.storage.postgres.pool import PoolConnection, acquired

ROWS_MAX = 200
"""Most rows of a page."""

Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class EventRow(msgspec.Struct, frozen=True, rename="camel"):
    """An event. ``corrects`` names the event that it undoes or corrects; a ``late`` one moved no repeating run."""

    id: str
    user_id: str
    metric_key: str
    value: float
    at: Instant
    late: bool
    attributes: dict[str, str] | None
    corrects: str | None


class EventPage(msgspec.Struct, frozen=True, rename="camel"):
    """Events, the newest first. ``nextCursor`` begins the next page; the last page has none."""

    events: list[EventRow]
    next_cursor: str | UnsetType = UNSET


_SELECT = "SELECT id, user_id, metric, units, at_ms, late, attributes, corrects FROM events"


async def get_events(request: Request) -> Response:
    """``GET /admin/v1/events``."""
    space = principal(request).space
    index = space.index
    limit = params.integer(request, "limit", 100, 1, ROWS_MAX)
    user = request.query_params.get("userId")
    metric = request.query_params.get("metricId")
    first, last = params.day(request, "from"), params.day(request, "to")
    values: list[Any] = [space.id, limit + 1]
    where = ["space_id = $1"]

    def add(condition: str, value: Any) -> None:
        values.append(value)
        where.append(condition.format(f"${len(values)}"))

    if user is not None:
        add("user_id = {}", ids.check_id("userId", user))
    if metric is not None:
        known = index.metric_by_id.get(check_uuid("metricId", metric))
        if known is None:
            raise Unprocessable("metricId names no metric")
        add("metric = {}", known.number)
    if first is not None:
        add("day >= {}", first)
    if last is not None:
        add("day <= {}", last)
    if (cursor := request.query_params.get("cursor")) is not None:
        add("id < {}", check_uuid("cursor", cursor))
    # Ids are UUIDv7, which rise with the time of arrival. Events of one user are few enough to be sorted; those of
    # all users are read along the index of ids.
    dated = {} if user is not None else await _dated(request)
    async with _connection(request, user) as connection:
        rows = await connection.fetch(
            f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT $2",
            *values,
        )
    page = [_row(space.index, row) for row in rows[:limit]]
    return answer(EventPage(page, page[-1].id if len(rows) > limit else UNSET), headers=dated)


async def _dated(request: Request) -> dict[str, str]:
    """Return the header of an answer about all users, after waiting briefly for what was just acknowledged."""
    parts, space = services(request), principal(request).space
    await parts.reads.settle_briefly(space)
    return {as_of.HEADER: iso(await parts.reads.as_of_ms(space, parts.clock()))}


@asynccontextmanager
async def _connection(request: Request, user: str | None) -> AsyncIterator[PoolConnection]:
    """Open a connection that sees everything acknowledged for a user; without a user, what is flushed."""
    if user is not None:
        async with snapshot_of(request, user) as (connection, _):
            yield connection
        return
    async with acquired(services(request).pool) as connection:
        yield connection


async def get_event(request: Request) -> Response:
    """``GET /admin/v1/events/{id}``."""
    space, id_ = principal(request).space, check_uuid("id", request.path_params["id"])
    user = await _user_of(request, id_)
    if user is None:
        # The event's user is not known, so everything that was acknowledged is waited for.
        if not await services(request).reads.settle(space):
            raise Unavailable("events that were just posted are still being written to Postgres, try again")
        user = await _user_of(request, id_)
    row = None
    if user is not None:
        async with snapshot_of(request, user) as (connection, _):
            row = await connection.fetchrow(f"{_SELECT} WHERE space_id = $1 AND id = $2", space.id, id_)
    if row is None:
        raise NotFound("Event not found by ID")
    return answer(_row(space.index, row))


async def _user_of(request: Request, id_: str) -> str | None:
    """Return the user of an event, from Postgres. A user who was just erased may still be there."""
    async with acquired(services(request).pool) as connection:
        user: str | None = await connection.fetchval(
            "SELECT user_id FROM events WHERE space_id = $1 AND id = $2", principal(request).space.id, id_
        )
    return user


def _row(index: CatalogIndex, row: Any) -> EventRow:
    metric = index.metric_by_number.get(row["metric"])
    return EventRow(
        str(row["id"]),
        row["user_id"],
        metric.key if metric is not None else "",
        metric.value(row["units"]) if metric is not None else float(row["units"]),
        iso(row["at_ms"]),
        row["late"],
        row["attributes"],
        None if row["corrects"] is None else str(row["corrects"]),
    )


_TAG = "Admin: events"
_LIMIT = {"type": "integer", "minimum": 1, "maximum": ROWS_MAX}
_DAY = {"type": "string", "format": "date"}

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/admin/v1/events",
        shows="user",
        summary="List events",
        tag=_TAG,
        needs="admin",
        statuses=(200, 400, 422, 503),
        handler=get_events,
        answer=EventPage,
        query=(
            Query("userId", "Only events of this user."),
            Query("metricId", "Only events of this metric."),
            Query("from", "First day, a local date of the user.", _DAY),
            Query("to", "Last day, a local date of the user.", _DAY),
            Query("limit", "Events.", {**_LIMIT, "default": 100}),
            Query("cursor", "`nextCursor` of the previous page."),
        ),
        description="In the order of arrival, the newest first. With `userId` all acknowledged events; without it "
        "those that are written to Postgres, up to the instant in the header `Podium-As-Of`.",
    ),
    Endpoint(
        method="GET",
        path="/admin/v1/events/{id}",
        shows="user",
        summary="One event",
        tag=_TAG,
        needs="admin",
        statuses=(200, 404, 422, 503),
        handler=get_event,
        answer=EventRow,
        description="A corrected event stays unchanged; the event that corrects it names it in `corrects`.",
    ),
]

"""``/admin/v1/points/{systemId}/boosts`` and its preview (docs/http-api.md#boosts)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from podium.api.points import queries
from podium.game import ids
from podium.game.catalog import Catalog
from podium.game.errors import NotFound, Unprocessable
from podium.game.periods import at, local_day
from podium.game.points.boosts import BoostStatus, rule_of
from podium.game.points.model import Boost, Rounding
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.bodies import read
from podium.http.catalog_resource import (
    Context,
    Parent,
    Resource,
    Update,
    check_name,
    check_uuid,
    given,
    read_catalog,
)
from podium.http.date_fields import TimeOfDay, check_days
from podium.http.endpoints import Endpoint
from podium.http.filters import AttributeFilterItem, Filters, named, shown
from podium.http.services import services
from podium.http.users import snapshot_of
from podium.spaces.item_kinds import BOOST, POINTS
from podium.storage.postgres.pool import PoolConnection, acquired

PREVIEW_DAYS_MAX = 90
"""Most days that a preview may look back."""

Multiplier = Annotated[float, Meta(gt=0, lt=100, description="Not 1. Awards are multiplied, deductions are not.")]
Weekday = Annotated[int, Meta(ge=0, le=6)]
Weekdays = Annotated[tuple[Weekday, ...], Meta(max_length=7, description="0 is Sunday. Empty: every day.")]


class CreateBoost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A boost to create. It applies from the local date ``start`` to ``end``, both inclusive, to all users, to
    users with matching attributes, or to one user."""

    name: str
    start: date
    multiplier: Multiplier
    end: date | None = None
    rounding: Rounding | None = None
    user_id: str | None = None
    user_attributes: Filters | None = None
    start_time: TimeOfDay | None = None
    end_time: TimeOfDay | None = None
    weekdays: Weekdays | None = None


class UpdateBoost(Update, frozen=True, rename="camel"):
    """A change of a boost; null clears ``end``, the times, the filters and the weekdays."""

    name: str | UnsetType = UNSET
    start: date | UnsetType = UNSET
    end: date | UnsetType | None = UNSET
    multiplier: Multiplier | UnsetType = UNSET
    rounding: Rounding | UnsetType = UNSET
    user_attributes: Filters | UnsetType | None = UNSET
    start_time: TimeOfDay | UnsetType | None = UNSET
    end_time: TimeOfDay | UnsetType | None = UNSET
    weekdays: Weekdays | UnsetType | None = UNSET


class BoostRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A boost, with its status on today's date in the space's home zone. ``userAttributes`` is absent on boosts
    for one user."""

    id: str
    name: str
    status: BoostStatus
    start: date
    end: date | None
    multiplier: float
    rounding: Rounding
    user_id: str | None
    user_attributes: list[AttributeFilterItem] | UnsetType = UNSET
    start_time: str | UnsetType = UNSET
    end_time: str | UnsetType = UNSET
    weekdays: tuple[int, ...] | UnsetType = UNSET


class PreviewBoost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A boost to try on the awards of the last ``days`` whole days."""

    multiplier: Multiplier
    rounding: Rounding | None = None
    user_id: str | None = None
    user_attributes: Filters | None = None
    weekdays: Weekdays | None = None
    days: Annotated[int, Meta(ge=1, le=PREVIEW_DAYS_MAX)] = 7


class BoostPreview(msgspec.Struct, frozen=True, rename="camel"):
    """The sum of the awards from ``from`` to ``to``, and the points that the boost would have added."""

    from_: date = msgspec.field(name="from")
    to: date
    users: int
    awards: int
    awarded: int
    added: int


def new_boost(context: Context, item: CreateBoost, system_id: str) -> Boost:
    """Return the boost to create.

    Raises:
        Unprocessable: A field is not allowed. The message names it.
    """
    fields = {name: value for name, value in msgspec.structs.asdict(item).items() if value is not None}
    if "user_attributes" in fields:
        fields["user_attributes"] = named(context.catalog, "userAttributes", item.user_attributes)
    id_ = context.new_id()
    made = {"id": id_, "key": id_, "number": context.editor.take_number(), "system_id": system_id}
    return _checked(Boost(**{**fields, **made}))


def _create(context: Context, item: CreateBoost) -> Boost:
    return new_boost(context, item, context.parent)


def _update(context: Context, before: Boost, change: UpdateBoost) -> Boost:
    fields = given(change)
    if "user_attributes" in fields:
        fields["user_attributes"] = named(context.catalog, "userAttributes", fields["user_attributes"])
    if "weekdays" in fields:
        fields["weekdays"] = fields["weekdays"] or ()
    return _checked(msgspec.structs.replace(before, **fields))


def _checked(boost: Boost) -> Boost:
    check_name(boost.name)
    _check_multiplier(boost.multiplier)
    check_days(boost.start, boost.end)
    if boost.end_time is not None and boost.end is None:
        raise Unprocessable("endTime needs an end")
    rule = rule_of(boost)
    if rule.ends is not None and rule.ends <= rule.begins:
        raise Unprocessable("endTime must lie after startTime on the same day")
    if boost.user_id is not None:
        ids.check_id("userId", boost.user_id)
        if boost.user_attributes:
            raise Unprocessable("userAttributes can't be used together with userId")
    return msgspec.structs.replace(boost, weekdays=tuple(sorted(set(boost.weekdays))))


def _check_multiplier(multiplier: float) -> None:
    if multiplier == 1:
        raise Unprocessable("multiplier must not be 1")


def boost_row(boost: Boost, catalog: Catalog, today: date) -> BoostRow:
    """Return a boost in the form of the API."""
    noon = at(0).replace(year=today.year, month=today.month, day=today.day, hour=12, tzinfo=None)
    return BoostRow(
        id=boost.id,
        name=boost.name,
        status=rule_of(boost).status(noon),
        start=boost.start,
        end=boost.end,
        multiplier=boost.multiplier,
        rounding=boost.rounding,
        user_id=boost.user_id,
        user_attributes=UNSET if boost.user_id is not None else shown(catalog, boost.user_attributes),
        start_time=boost.start_time or UNSET,
        end_time=boost.end_time or UNSET,
        weekdays=boost.weekdays or UNSET,
    )


_preview = msgspec.json.Decoder(PreviewBoost)


async def post_preview(request: Request) -> Response:
    """``POST /admin/v1/points/{systemId}/boosts/preview``."""
    parts, space = services(request), principal(request).space
    catalog, _ = await read_catalog(request)
    wanted = check_uuid("systemId", request.path_params["systemId"])
    system = next((one for one in POINTS.of(catalog) if one.id == wanted), None)
    if system is None:
        raise NotFound("Points system not found by ID")
    body = await read(request, _preview)
    _check_multiplier(body.multiplier)
    filters = named(catalog, "userAttributes", body.user_attributes)
    if body.user_id is not None:
        ids.check_id("userId", body.user_id)
    if body.user_id is not None and filters:
        raise Unprocessable("userAttributes can't be used together with userId")
    today = local_day(parts.clock(), space.index.home)
    first, last = date.fromordinal(today.toordinal() - body.days), date.fromordinal(today.toordinal() - 1)
    wishes: dict[str, Any] = {"user": body.user_id, "attributes": {one.key: one.value for one in filters}}
    async with _connection(request, body.user_id) as connection:
        found = await queries.preview(
            connection,
            space.id,
            system.number,
            first,
            last,
            body.multiplier,
            body.rounding or "down",
            body.weekdays or tuple(range(7)),
            **wishes,
        )
    return answer(BoostPreview(first, last, *found))


@asynccontextmanager
async def _connection(request: Request, user: str | None) -> AsyncIterator[PoolConnection]:
    """Open a connection that sees everything acknowledged for a user; without a user, what is flushed."""
    if user is not None:
        async with snapshot_of(request, user) as (connection, _):
            yield connection
        return
    async with acquired(services(request).pool) as connection:
        yield connection


_PATH = "/admin/v1/points/{systemId}/boosts"

RESOURCE = Resource(
    kind=BOOST,
    path=_PATH,
    create_type=CreateBoost,
    update_type=UpdateBoost,
    row_type=BoostRow,
    create=_create,
    update=_update,
    row=boost_row,
    parent=Parent(POINTS, "systemId", "system_id"),
)

ENDPOINTS = [
    Endpoint(
        method="POST",
        path=f"{_PATH}/preview",
        shows="user",
        summary="Preview a boost",
        tag="Admin: boosts",
        needs="admin",
        statuses=(200, 400, 404, 413, 422, 503),
        handler=post_preview,
        body=PreviewBoost,
        answer=BoostPreview,
        description="Computes the points that the boost would have added to the awards of the last `days` whole "
        "days (local dates of the users), on top of the boosts of that time. `maxPoints` is ignored.",
    ),
    *RESOURCE.endpoints(),
]

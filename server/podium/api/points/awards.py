"""``/admin/v1/points/{systemId}/awards``: points that support gives or deducts."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from podium.api.points.triggers import Amount
from podium.game import ids
from podium.game.errors import NotFound, RequestError, Unprocessable
from podium.game.inputs import GivePoints
from podium.http import bodies
from podium.http.answers import answer
from podium.http.audit import auditing
from podium.http.auth import principal
from podium.http.bodies import read
from podium.http.catalog_resource import BATCH_MAX, Issue, check_uuid
from podium.http.endpoints import Endpoint
from podium.http.services import services
from podium.spaces.audit import Entry

REASON_MAX = 1_000
"""Most characters of a reason."""


class NewAward(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Points for a user; negative points are deducted. ``reason`` is kept in the audit log. With ``joinRuns`` they
    also count in runs of leaderboards that the user is not in yet."""

    user_id: str
    amount: Amount
    reason: Annotated[str, Meta(min_length=1, max_length=REASON_MAX)]
    join_runs: bool = False


class GivenAward(msgspec.Struct, frozen=True, rename="camel"):
    """The points that a user was given. They are fewer than requested if ``maxPoints`` or 0 was reached."""

    user_id: str
    awarded: int
    total: int


class GivenAwards(msgspec.Struct, frozen=True):
    """The awards that were given, and the reasons for the others."""

    given: list[GivenAward]
    issues: list[Issue]


_items = msgspec.json.Decoder(list[Any])


async def post_awards(request: Request) -> Response:
    """``POST /admin/v1/points/{systemId}/awards``."""
    parts, space = services(request), principal(request).space
    wanted = check_uuid("systemId", request.path_params["systemId"])
    system = next((one for one in space.index.catalog.points if one.id == wanted), None)
    if system is None:
        raise NotFound("Points system not found by ID")
    items = await read(request, _items)
    if not 1 <= len(items) <= BATCH_MAX:
        raise Unprocessable(f"The body must hold 1 to {BATCH_MAX} items")
    given: list[GivenAward] = []
    issues: list[Issue] = []
    async with auditing(request) as entries:
        for index, fields in enumerate(items):
            try:
                item: NewAward = bodies.convert(fields, NewAward, "The item")
                user = ids.check_id("userId", item.user_id)
                reason = ids.check_text("reason", item.reason, REASON_MAX)
                if not item.amount:
                    raise Unprocessable("amount must not be 0")
                now_ms = parts.clock()
                id_ = ids.new_uuid7(now_ms)
                command = GivePoints(id_, user, system.number, item.amount, now_ms, item.join_runs)
                state, record = await parts.commit_with_record(space, command)
                awarded = sum(one.awarded for one in record.awards if not one.cause)
                total = state.points.get(system.number, 0)
                given.append(GivenAward(user, awarded, total))
                before = {"pointsSystem": system.key, "total": total - awarded}
                told = {"pointsSystem": system.key, "awarded": awarded, "total": total, "reason": reason}
                entries.append(Entry("give points", "points", user, before, told))
            except RequestError as error:
                issues.append(Issue("error", ids.printable(error.message), index))
    return answer(GivenAwards(given, issues))


ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="POST",
        path="/admin/v1/points/{systemId}/awards",
        summary="Give or deduct points",
        tag="Admin: points",
        needs="admin",
        statuses=(200, 400, 404, 413, 422, 503),
        handler=post_awards,
        body=list[NewAward],
        answer=GivenAwards,
        description="1 to 100 items. Boosts don't multiply them. Levels change accordingly, and so do perpetual "
        "leaderboards and runs that the user is in, with `joinRuns` all open runs. Deducted points don't bring a "
        "user onto a leaderboard.",
    ),
]

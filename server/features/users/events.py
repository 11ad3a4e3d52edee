"""One event: ``GET /admin/v1/events/{id}``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from server.backends.postgres.pool import acquired
from server.core.errors import NotFound
from server.core.periods import iso
from server.features.users.timeline import EventRow
from server.http.answers import answer
from server.http.auth import principal
from server.http.endpoints import Endpoint
from server.http.resource import check_uuid
from server.http.services import services


async def get_event(request: Request) -> Response:
    """``GET /admin/v1/events/{id}``."""
    space = principal(request).space
    async with acquired(services(request).pool) as connection:
        row = await connection.fetchrow(
            "SELECT id, user_id, metric, units, at_ms, late, attributes, corrects FROM events"
            " WHERE space_id = $1 AND id = $2",
            space.id,
            check_uuid("id", request.path_params["id"]),
        )
    if row is None:
        raise NotFound("Event not found by ID")
    metric = space.index.metric_by_number.get(row["metric"])
    return answer(
        EventRow(
            str(row["id"]),
            row["user_id"],
            metric.key if metric is not None else "",
            metric.value(row["units"]) if metric is not None else float(row["units"]),
            iso(row["at_ms"]),
            row["late"],
            row["attributes"],
            None if row["corrects"] is None else str(row["corrects"]),
        )
    )


ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/admin/v1/events/{id}",
        summary="One event",
        tag="Admin: events",
        needs="admin",
        statuses=(200, 404, 422, 503),
        handler=get_event,
        answer=EventRow,
        description="As Postgres has it: as a rule 0.2 s behind. A corrected event stays as it was; the one that "
        "corrects it names it.",
    ),
]

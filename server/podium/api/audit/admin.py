"""``/admin/v1/audit-log`` (docs/http-api.md#audit-log)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from podium.game import ids
from podium.http import params
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.endpoints import Endpoint, Query
from podium.http.services import services
from podium.storage.postgres.pool import acquired

ROWS_MAX = 100
"""Most rows of a page."""
AUDIT_FILTERS = ("item", "kind", "action", "actor")


class AuditRow(msgspec.Struct, frozen=True, rename="camel"):
    """A change: its time, its actor, and the values before and after it. They are null where there was nothing."""

    id: int
    at: Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
    actor: str
    action: str
    kind: str
    item: str
    before: Any
    after: Any


class AuditPage(msgspec.Struct, frozen=True, rename="camel"):
    """Rows, the newest first. ``nextCursor`` begins the next page; the last page has none."""

    rows: list[AuditRow]
    next_cursor: str | UnsetType = UNSET


_ROWS = """
SELECT id, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at, actor, action, kind, item,
       before, after FROM audit_log"""
_NARROWED = """
($5::text IS NULL OR kind = $5) AND ($6::text IS NULL OR action = $6)
AND ($7::text IS NULL OR starts_with(actor, $7)) ORDER BY id DESC LIMIT $3"""
_ALL = f" WHERE space_id = $1 AND id < $2 AND $4::text IS NULL AND {_NARROWED}"
# A UNION of two selects, each along its own index (audit_log_item, audit_log_user). With OR, Postgres could walk
# the whole log by id to find a user's few rows.
_OF_ITEM = f"""
WHERE id IN (
    (SELECT id FROM audit_log WHERE space_id = $1 AND id < $2 AND item = $4 AND {_NARROWED})
    UNION
    (SELECT id FROM audit_log WHERE space_id = $1 AND id < $2
     AND coalesce(after ->> 'userId', before ->> 'userId') = $4 AND {_NARROWED})
) ORDER BY id DESC LIMIT $3
"""  # noqa: S608 # our own words


async def get_audit_log(request: Request) -> Response:
    """``GET /admin/v1/audit-log``."""
    limit = params.integer(request, "limit", ROWS_MAX, 1, ROWS_MAX)
    cursor = params.integer(request, "cursor", 2**62, 0, 2**62)
    asked = [request.query_params.get(name) for name in AUDIT_FILTERS]
    for name, text in zip(AUDIT_FILTERS, asked, strict=True):
        if text is not None:
            ids.check_text(name, text, ids.ID_MAX)
    async with acquired(services(request).pool) as connection:
        rows = await connection.fetch(
            _ROWS + (_ALL if asked[0] is None else _OF_ITEM),
            principal(request).space.id,
            cursor,
            limit + 1,
            *asked,
        )
    page = [AuditRow(*row) for row in rows[:limit]]
    return answer(AuditPage(page, str(page[-1].id) if len(rows) > limit else UNSET))


_TAG = "Admin: settings"

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/admin/v1/audit-log",
        shows="user",
        summary="List changes",
        tag=_TAG,
        needs="admin",
        statuses=(200, 400, 422, 503),
        handler=get_audit_log,
        answer=AuditPage,
        query=(
            Query(
                "limit",
                "Rows of the page.",
                {"type": "integer", "minimum": 1, "maximum": ROWS_MAX, "default": ROWS_MAX},
            ),
            Query("cursor", "`nextCursor` of the previous page.", {"type": "integer"}),
            Query(
                "item",
                "Id of the changed item. A user's id also finds changes of the user's events, boosts and pauses.",
            ),
            Query("kind", "Kind of the item, like `leaderboard`, `streak` or `user`."),
            Query("action", "Action, like `create`, `restore` or `erase`."),
            Query("actor", "Beginning of the actor: the name of a key or of a console account."),
        ),
        description="Every change by the admin API, the console and the command line: of the catalog, of keys, of "
        "tenants and of users.",
    ),
]

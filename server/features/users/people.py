"""``/admin/v1/users``: users found, and all that is kept of one (contract.md, section 17)."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from server.backends.postgres.pool import PoolConnection, acquired
from server.core import ids
from server.core.errors import NotFound, Unprocessable
from server.core.periods import iso
from server.engine.state import decode_state
from server.features.users.shapes import User, shown
from server.http import params
from server.http.answers import answer
from server.http.auth import principal
from server.http.endpoints import Endpoint, Query
from server.http.services import services

PAGE_MAX = 100
"""Users of a page."""
EVENTS_MAX = 100_000
"""Events of an export: what fits into an answer; the newest, where there are more."""

_LAST = "\U0010ffff"
"""Behind every text that begins with what it is put behind, byte by byte."""


class UserPage(msgspec.Struct, frozen=True, rename="camel"):
    """Users by id; ``nextCursor`` is where the next page begins, absent on the last one."""

    users: list[User]
    next_cursor: str | UnsetType = UNSET


class Export(msgspec.Struct, frozen=True, rename="camel"):
    """All that is kept of a user, as Postgres has it: rows by table, as they are stored. ``eventsComplete`` is
    false where there are more events than fit."""

    user: User
    state: Any
    tables: dict[str, list[dict[str, Any]]]
    events_complete: bool


async def get_users(request: Request) -> Response:
    """``GET /admin/v1/users``."""
    limit = params.integer(request, "limit", PAGE_MAX, 1, PAGE_MAX)
    search = request.query_params.get("search", "").strip()
    ids.check_text("search", search, ids.NAME_MAX)
    cursor = ids.check_text("cursor", request.query_params.get("cursor", ""), ids.ID_MAX)
    attributes = _attribute(request)
    async with acquired(services(request).pool) as connection:
        rows = await _find(connection, principal(request).space.id, search, attributes, cursor, limit + 1)
    users = [shown(row["id"], decode_state(row["state"]).profile) for row in rows[:limit]]
    return answer(UserPage(users, users[-1].id if len(rows) > limit else UNSET))


async def _find(
    connection: PoolConnection, space_id: int, search: str, attributes: dict[str, str], cursor: str, limit: int
) -> list[Any]:
    """Users behind a cursor whose id, name or e-mail begins with ``search``; name and e-mail in any case."""
    if not search:
        return await connection.fetch(
            "SELECT id, state FROM users WHERE space_id = $1 AND id > $2 AND attributes @> $3::jsonb"
            " ORDER BY id LIMIT $4",
            space_id,
            cursor,
            attributes,
            limit,
        )
    pattern = search.lower().replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
    return await connection.fetch(
        """
        SELECT id, state FROM (
            (SELECT id, state FROM users WHERE space_id = $1 AND id > $2 AND id >= $3 AND id <= $4
                 AND attributes @> $6::jsonb ORDER BY id LIMIT $7)
            UNION
            (SELECT id, state FROM users WHERE space_id = $1 AND id > $2 AND lower(name) LIKE $5
                 AND attributes @> $6::jsonb ORDER BY id LIMIT $7)
            UNION
            (SELECT id, state FROM users WHERE space_id = $1 AND id > $2 AND lower(email) LIKE $5
                 AND attributes @> $6::jsonb ORDER BY id LIMIT $7)
        ) AS found ORDER BY id LIMIT $7
        """,
        space_id,
        cursor,
        search,
        search + _LAST,
        pattern,
        attributes,
        limit,
    )


def _attribute(request: Request) -> dict[str, str]:
    text = request.query_params.get("attribute")
    if not text:
        return {}
    key, colon, value = text.partition(":")
    if not colon or not value:
        raise Unprocessable("attribute must be like key:value")
    if key not in principal(request).space.index.user_attributes:
        raise Unprocessable(f"Invalid attribute keys: {ids.printable(key[: ids.KEY_MAX])}")
    return {key: ids.check_text("attribute", value, ids.ATTRIBUTE_VALUE_MAX)}


_TABLES = {
    "events": "SELECT id, metric, units, at_ms, day, late, corrects, idempotency_key, attributes FROM events"
    " WHERE space_id = $1 AND user_id = $2 ORDER BY at_ms DESC LIMIT $3",
    "metricDays": "SELECT metric, day, change FROM metric_days WHERE space_id = $1 AND user_id = $2"
    " ORDER BY day LIMIT $3",
    "boardEntries": "SELECT leaderboard, run, grp, value, reached_ms, rank FROM board_entries"
    " WHERE space_id = $1 AND user_id = $2 LIMIT $3",
    "rankDays": "SELECT leaderboard, run, day, rank, previous_rank, value, previous_value FROM rank_days"
    " WHERE space_id = $1 AND user_id = $2 ORDER BY day LIMIT $3",
    "runStandings": "SELECT leaderboard, run, grp, rank, value, reached_ms FROM run_standings"
    " WHERE space_id = $1 AND user_id = $2 LIMIT $3",
    "streakPeriods": "SELECT track, period, length, frozen FROM streak_periods"
    " WHERE space_id = $1 AND user_id = $2 ORDER BY track, period LIMIT $3",
    "streakPauses": "SELECT id, first_day, last_day, deleted FROM streak_pauses"
    " WHERE space_id = $1 AND user_id = $2 LIMIT $3",
    "pointAwards": "SELECT id, system, cause, awarded, total, at_ms, day, boosts, event_id FROM point_awards"
    " WHERE space_id = $1 AND user_id = $2 ORDER BY at_ms LIMIT $3",
    "achievements": "SELECT achievement, at_ms, silent FROM achievement_completions"
    " WHERE space_id = $1 AND user_id = $2 ORDER BY at_ms LIMIT $3",
    "facts": "SELECT at_ms, kind, amount, subject FROM user_facts WHERE space_id = $1 AND user_id = $2"
    " ORDER BY at_ms LIMIT $3",
}


async def get_export(request: Request) -> Response:
    """``GET /admin/v1/users/{id}/export``."""
    user = ids.check_id("id", request.path_params["id"])
    space_id = principal(request).space.id
    async with (
        acquired(services(request).pool) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        blob = await connection.fetchval("SELECT state FROM users WHERE space_id = $1 AND id = $2", space_id, user)
        if blob is None:
            raise NotFound(f"User not found: {user}")
        tables = {
            name: [dict(row) for row in await connection.fetch(query, space_id, user, EVENTS_MAX)]
            for name, query in _TABLES.items()
        }
    state = decode_state(blob)
    for event in tables["events"]:
        event["at"] = iso(event["at_ms"])
    complete = len(tables["events"]) < EVENTS_MAX
    return answer(Export(shown(user, state.profile), msgspec.json.decode(blob), tables, complete))


_TAG = "Admin: users"

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/admin/v1/users",
        summary="Find users",
        tag=_TAG,
        needs="admin",
        statuses=(200, 400, 422, 503),
        handler=get_users,
        answer=UserPage,
        query=(
            Query("search", "What the id, the name or the e-mail begins with; of the latter two in any case."),
            Query("attribute", "A user attribute and its value: `key:value`."),
            Query("cursor", "`nextCursor` of the page before."),
            Query("limit", "Users.", {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_MAX}),
        ),
        description="By id. As Postgres has them: as a rule 0.2 s behind.",
    ),
    Endpoint(
        method="GET",
        path="/admin/v1/users/{id}/export",
        summary="All that is kept of a user",
        tag=_TAG,
        needs="admin",
        statuses=(200, 404, 422, 503),
        handler=get_export,
        answer=Export,
        description=f"Rows by table, as Postgres has them; of events the newest {EVENTS_MAX:,}.",
    ),
]

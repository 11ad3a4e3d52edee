"""What goes on: events, users, the log, and whether the stores are well."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from server.backends.postgres.pool import acquired
from server.console.charts import Point, bars
from server.console.pages.page import Page
from server.console.pages.sign_in import post_sign_out
from server.console.render import page
from server.core.periods import MS_PER_DAY, at
from server.http.services import Services, services
from server.spaces.space import Space
from server.telemetry.health import log_state, readiness

DAYS = 30


async def get_overview(request: Request) -> Response:
    """``/console/``."""
    days = await _days(request)
    numbers = await _numbers(request)
    points = [Point(day, count) for day, count in days]
    return page(request, "overview.html", numbers=numbers, days=points, chart=bars(points))


async def get_numbers(request: Request) -> Response:
    """``/console/overview.json``: what moves; asked for every two seconds."""
    return Response(orjson.dumps(await _numbers(request)), media_type="application/json")


async def _days(request: Request) -> list[tuple[str, int]]:
    parts, space = services(request), request.state.space
    today = at(parts.clock()).date()
    async with acquired(parts.pool) as connection:
        rows = await connection.fetch(
            "SELECT day, events FROM space_days WHERE space_id = $1 AND day > $2",
            space.id,
            today - timedelta(days=DAYS),
        )
    found = {row["day"]: row["events"] for row in rows}
    asked = [today - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1)]
    return [(day.isoformat(), found.get(day, 0)) for day in asked]


async def active_users(parts: Services, space: Space) -> list[int]:
    """Users in all, and those with an event in the last day, week and month; of a large space a while ago."""

    async def count() -> list[int]:
        now_ms = parts.clock()
        async with acquired(parts.pool) as connection:
            row = await connection.fetchrow(
                "SELECT count(*), count(*) FILTER (WHERE newest_ms > $2), count(*) FILTER (WHERE newest_ms > $3),"
                " count(*) FILTER (WHERE newest_ms > $4) FROM users WHERE space_id = $1",
                space.id,
                *(now_ms - days * MS_PER_DAY for days in (1, 7, 30)),
            )
        return list(row or (0, 0, 0, 0))

    return await parts.memo.get(("active users", space.id), count)


async def _numbers(request: Request) -> dict[str, Any]:
    parts, space = services(request), request.state.space

    async with acquired(parts.pool) as connection:
        events = await connection.fetchval(
            "SELECT coalesce(sum(events), 0)::bigint FROM space_days WHERE space_id = $1", space.id
        )
    users, *recent = await active_users(parts, space)
    state = await log_state(parts.redis, space, parts.clock())
    health = await readiness(parts.redis, parts.pool, [space])
    return {
        "atMs": parts.clock(),
        "events": events,
        "users": users,
        "active": dict(zip(("day", "week", "month"), recent, strict=True)),
        "logEntries": None if state is None else state.entries,
        "logBytes": None if state is None else state.bytes,
        "flushLagS": None if state is None else round(state.lag_s, 2),
        "health": {name: {"status": part.status, "detail": part.detail} for name, part in health.parts.items()},
        "warnings": list(health.warnings),
    }


PAGES = (
    Page("/console/", get_overview),
    Page("/console/overview.json", get_numbers),
    Page("/console/sign-out", post_sign_out, "POST"),
)

"""What goes on: events, users, the log, and whether the stores are well."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from podium.console.charts import Point, bars
from podium.console.pages import sign_in
from podium.console.pages.page import Page
from podium.console.render import page
from podium.console.stores import or_none, soon
from podium.game.periods import MS_PER_DAY, at
from podium.http.services import Services, services
from podium.spaces.space import Space
from podium.storage.postgres.pool import acquired
from podium.telemetry.health import Readiness, log_state, readiness
from podium.telemetry.samples import GAP_MS, KEPT_MS, count_events, keep, sample_of, series

DAYS = 30
COUNTED_S = 0.05
"""The page waits no longer for users to be counted: right after a start that takes a second for a million. The
count goes on (http/stale_cache.py), and the page asks again in two seconds."""


async def get_overview(request: Request) -> Response:
    """``/console/``."""
    health = await _health(request)
    numbers, days = await asyncio.gather(_numbers(request, health), _days(request, health))
    points = [Point(day, count) for day, count in days or ()]
    return page(
        request,
        "overview.html",
        numbers=numbers,
        days=None if days is None else points,
        chart=bars(points),
        kept_ms=KEPT_MS,
        gap_ms=GAP_MS,
    )


async def get_numbers(request: Request) -> Response:
    """``/console/overview.json``: what moves; asked for every two seconds."""
    numbers = await _numbers(request, await _health(request))
    return Response(orjson.dumps(numbers), media_type="application/json")


async def _health(request: Request) -> Readiness:
    """Asked before all else: a store that does not answer this is not asked again for the page."""
    parts = services(request)
    return await readiness(parts.redis, parts.pool, [request.state.space], parts.clock())


async def _days(request: Request, health: Readiness) -> list[tuple[str, int]] | None:
    """Events by day; None where Postgres is away."""
    parts, space = services(request), request.state.space
    today = at(parts.clock()).date()

    async def look() -> list[tuple[str, int]]:
        async with soon(parts.pool) as connection:
            rows = await connection.fetch(
                "SELECT day, events FROM space_days WHERE space_id = $1 AND day > $2",
                space.id,
                today - timedelta(days=DAYS),
            )
        found = {row["day"]: row["events"] for row in rows}
        asked = [today - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1)]
        return [(day.isoformat(), found.get(day, 0)) for day in asked]

    return await or_none(look()) if _well(health, "postgres") else None


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

    return await parts.cache.get(("active users", space.id), count)


async def _numbers(request: Request, health: Readiness) -> dict[str, Any]:
    """The figures; None where the store that knows is away."""
    parts, space = services(request), request.state.space

    async def count() -> int:
        async with soon(parts.pool) as connection:
            return await count_events(connection, space.id)

    events = users = state = None
    if _well(health, "postgres"):
        counting = active_users(parts, space)
        events, users = await asyncio.gather(or_none(count()), or_none(counting, COUNTED_S))
    now_ms = parts.clock()
    if _well(health, "redis"):
        state = await or_none(log_state(parts.redis, space, now_ms))
    sample = sample_of(now_ms, events, state)
    samples = await or_none(keep(parts.redis, space, sample)) if _well(health, "redis") else None
    shown = series([sample] if samples is None else samples)
    last = shown["rate"][-1] if shown["rate"] else None
    in_all, *recent = users or (None, None, None, None)
    return {
        "atMs": now_ms,
        "rate": last[1] if last is not None and now_ms - last[0] <= GAP_MS else None,
        "events": events,
        "users": in_all,
        "active": dict(zip(("day", "week", "month"), recent, strict=True)),
        "logEntries": sample.entries,
        "logBytes": None if state is None else state.bytes,
        "flushLagS": sample.lag_s,
        "series": shown,
        "health": {name: {"status": part.status, "detail": part.detail} for name, part in health.parts.items()},
        "warnings": list(health.warnings),
    }


def _well(health: Readiness, store: str) -> bool:
    return health.parts[store].status == "ok"


PAGES = (
    Page("/console/", get_overview, in_outages=True),
    Page("/console/overview.json", get_numbers, in_outages=True),
    *sign_in.PAGES,
)

"""The overview: events, users, the log, and the health of the stores."""

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
from podium.console.stores import connection_within_limit, or_none
from podium.game.periods import MS_PER_DAY, at
from podium.http.services import Services, services
from podium.spaces.space import Space
from podium.storage.postgres.pool import acquired
from podium.telemetry.health import Readiness, log_state, readiness
from podium.telemetry.samples import GAP_MS, KEPT_MS, count_events, keep, sample_of, series

DAYS = 30
COUNTED_S = 0.05
"""Longest wait for the count of users, which takes a second for a million right after a start. It goes on in the
background (http/stale_cache.py), and the page asks again in two seconds."""


async def get_overview(request: Request) -> Response:
    """Render ``/console/``."""
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
    """Answer ``/console/overview.json``: the changing numbers, which the page fetches every two seconds."""
    numbers = await _numbers(request, await _health(request))
    return Response(orjson.dumps(numbers), media_type="application/json")


async def _health(request: Request) -> Readiness:
    """Check the stores first; a store that does not answer is not called again for the page."""
    parts = services(request)
    return await readiness(parts.redis, parts.pool, [request.state.space], parts.clock())


async def _days(request: Request, health: Readiness) -> list[tuple[str, int]] | None:
    """Return the events by day, None where Postgres is away."""
    parts, space = services(request), request.state.space
    today = at(parts.clock()).date()

    async def look() -> list[tuple[str, int]]:
        async with connection_within_limit(parts.pool) as connection:
            rows = await connection.fetch(
                "SELECT day, events FROM space_days WHERE space_id = $1 AND day > $2",
                space.id,
                today - timedelta(days=DAYS),
            )
        found = {row["day"]: row["events"] for row in rows}
        asked = [today - timedelta(days=ago) for ago in range(DAYS - 1, -1, -1)]
        return [(day.isoformat(), found.get(day, 0)) for day in asked]

    return await or_none(look()) if _is_up(health, "postgres") else None


async def active_users(parts: Services, space: Space) -> list[int]:
    """Return the number of users, and of those with an event in the last day, week and month.

    The numbers of a large space come from a cache and may be minutes old.
    """

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
    """Return the changing numbers, each None where its store is away."""
    parts, space = services(request), request.state.space

    async def count() -> int:
        async with connection_within_limit(parts.pool) as connection:
            return await count_events(connection, space.id)

    events = users = state = None
    if _is_up(health, "postgres"):
        counting = active_users(parts, space)
        events, users = await asyncio.gather(or_none(count()), or_none(counting, COUNTED_S))
    now_ms = parts.clock()
    if _is_up(health, "redis"):
        state = await or_none(log_state(parts.redis, space, now_ms))
    sample = sample_of(now_ms, events, state)
    samples = await or_none(keep(parts.redis, space, sample)) if _is_up(health, "redis") else None
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


def _is_up(health: Readiness, store: str) -> bool:
    return health.parts[store].status == "ok"


PAGES = (
    Page("/console/", get_overview, in_outages=True),
    Page("/console/overview.json", get_numbers, in_outages=True),
    *sign_in.PAGES,
)

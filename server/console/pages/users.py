"""Users found, and everything about one of them on one page."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import jwt
import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response

from server.backends.postgres.pool import acquired
from server.console.ask import ask
from server.console.charts import Day, Point, bars, calendar, line, spark
from server.console.pages.page import Page
from server.console.render import page
from server.core import ids
from server.core.errors import NotFound, RequestError
from server.core.periods import local_time, zone
from server.engine.state import UserState
from server.features.achievements import api as achievements
from server.features.leaderboards import api as leaderboards
from server.features.leaderboards import moderation
from server.features.leaderboards.ranking import split_board
from server.features.leaderboards.rules import ranked
from server.features.metrics import api as metrics
from server.features.points import api as points
from server.features.settings import admin as settings
from server.features.streaks import api as streaks
from server.features.users import api as users
from server.features.users import people, timeline
from server.http.services import services
from server.spaces.states import read_state

HEAT_DAYS = 371
"""53 weeks."""
CHART_DAYS = 30
TOKEN_S = 600
"""A page's live token; the page gets a new one by itself."""
SPARK_DAYS = 30


async def get_users(request: Request) -> Response:
    """``/console/users``."""
    asked = {name: request.query_params.get(name) for name in ("search", "attribute", "cursor")}
    problem = ""
    found: dict[str, Any] = {"users": []}
    try:
        found = await ask(request, people.get_users, query={**asked, "limit": 50})
    except RequestError as error:
        problem = error.message
    status = 422 if problem else 200
    return page(request, "users.html", status, asked=asked, found=found, problem=problem)


async def state_of(request: Request) -> tuple[str, UserState]:
    """The user of the path; 404 where there is none."""
    user = ids.check_id("id", request.path_params["id"])
    parts = services(request)
    state = await read_state(parts.redis, parts.pool, request.state.space, user)
    if state is None:
        raise NotFound(f"There is no user {user}")
    return user, state


async def get_user(request: Request) -> Response:
    """``/console/users/{id}``."""
    user, state = await state_of(request)
    parts, space = services(request), request.state.space
    tz = state.profile.tz or "UTC"
    now = local_time(parts.clock(), zone(state.profile.tz))
    here = {"id": user}
    range_ = {
        "aggregation": "daily",
        "startDate": (now.date() - timedelta(days=CHART_DAYS - 1)).isoformat(),
        "endDate": now.date().isoformat(),
    }
    of = request.query_params
    aggregation = of.get("aggregation", "daily")
    if aggregation not in ("daily", "weekly", "monthly"):
        aggregation = "daily"
    # A few at a time: a page must not take all of the pool's connections.
    shown, streak, goals, places, totals, happened, changes = await _gather(
        ask(request, users.get_user, here),
        ask(request, streaks.get_streak, here, {"historyPeriods": HEAT_DAYS}),
        ask(request, achievements.get_user_achievements, here, {"includeIncomplete": "true"}),
        ask(request, leaderboards.get_user_leaderboards, here),
        ask(request, metrics.get_metrics, here),
        ask(request, timeline.get_timeline, here, _timeline_query(request)),
        ask(request, settings.get_audit_log, query={"item": user, "limit": 20}),
    )
    systems = []
    for system in space.index.catalog.points:
        key = {**here, "key": system.key}
        systems.append(
            await _points(
                system.key,
                await ask(request, points.get_user_points, key, {"awards": 20}),
                await ask(request, points.get_event_summary, key, range_),
                await ask(request, points.get_user_boosts, key),
                space.index.catalog.levels,
                system.id,
            )
        )
    charts = []
    long_range = _range(aggregation, now.date())
    for metric in totals[:5]:
        rows = await ask(request, metrics.get_summary, {**here, "key": metric["key"]}, long_range)
        charts.append({**metric, "rows": rows, "chart": bars([Point(row["date"], row["change"]) for row in rows])})
    sparks = await _sparks(request, user, state)
    for place in places:
        number = space.index.leaderboard_by_key[place["key"]].number
        history = sparks.get(number, [])
        place["spark"] = spark(history, falling_is_good=True)
        place["change"] = history[-2] - history[-1] if len(history) > 1 else None
    track = state.streaks.tracks[space.index.streaks.track] if state.streaks is not None else None
    days = _heat(streak, now.date())
    return page(
        request,
        "user.html",
        user=shown,
        tz=tz,
        now=now,
        streak=streak,
        best=track.best if track is not None else 0,
        days=days,
        heat=calendar(days) if streak["frequency"] == "daily" else "",
        systems=systems,
        achievements=sorted(goals, key=lambda one: one["achievedAt"] or "", reverse=True),
        places=places,
        metrics=totals,
        charts=charts,
        aggregation=aggregation,
        timeline=happened,
        kinds=timeline.KINDS,
        chosen=(of.get("kinds") or "").split(",") if of.get("kinds") else [],
        audit=changes["rows"],
    )


async def _gather(*asked: Any) -> list[Any]:
    return list(await asyncio.gather(*asked))


def _timeline_query(request: Request) -> dict[str, Any]:
    kinds = [kind for kind in request.query_params.getlist("kinds") for kind in kind.split(",")]
    good = [kind for kind in kinds if kind in timeline.KINDS]
    return {"kinds": ",".join(good) or None, "cursor": request.query_params.get("cursor"), "limit": 25}


def _range(aggregation: str, today: date) -> dict[str, str]:
    days = {"daily": CHART_DAYS - 1, "weekly": 7 * 26, "monthly": 365}[aggregation]
    start = today - timedelta(days=days)
    return {"aggregation": aggregation, "startDate": start.isoformat(), "endDate": today.isoformat()}


async def _points(
    key: str, shown: dict[str, Any], days: list[dict[str, Any]], boosts: Any, levels: Any, system: str
) -> dict[str, Any]:
    above = [level for level in levels if level.system_id == system and level.points > shown["total"]]
    following = min(above, key=lambda level: level.points, default=None)
    base = shown["level"]["points"] if shown["level"] else 0
    progress = None
    if following is not None:
        span = max(1, following.points - base)
        progress = max(0, min(100, round(100 * (shown["total"] - base) / span)))
    return {
        **shown,
        "key": key,
        "boosts": boosts,
        "days": days,
        "chart": line([Point(row["date"], row["total"]) for row in days]),
        "next": None if following is None else {"name": following.name, "points": following.points},
        "progress": progress,
    }


async def _sparks(request: Request, user: str, state: UserState) -> dict[int, list[int]]:
    """Ranks of the last days on the boards where the user stands, by the leaderboard's number."""
    boards = {(split_board(name).leaderboard, split_board(name).run) for name in ranked(state.boards)}
    if not boards:
        return {}
    numbers, runs = zip(*sorted(boards), strict=True)
    async with acquired(services(request).pool) as connection:
        rows = await connection.fetch(
            "SELECT r.leaderboard, r.rank FROM unnest($3::integer[], $4::text[]) AS b (leaderboard, run)"
            " CROSS JOIN LATERAL (SELECT d.leaderboard, d.run, d.day, d.rank FROM rank_days d"
            "  WHERE d.space_id = $1 AND d.leaderboard = b.leaderboard AND d.run = b.run AND d.user_id = $2"
            "  AND d.rank IS NOT NULL ORDER BY d.day DESC LIMIT $5) AS r ORDER BY r.leaderboard, r.day",
            request.state.space.id,
            user,
            list(numbers),
            list(runs),
            SPARK_DAYS,
        )
    found: dict[int, list[int]] = {}
    for leaderboard, rank in rows:
        found.setdefault(leaderboard, []).append(rank)
    return found


def _heat(streak: dict[str, Any], today: date) -> list[Day]:
    """The periods of the past as a calendar shows them, the oldest first."""
    periods = sorted(streak["streakHistory"], key=lambda one: str(one["periodStart"]))
    paused = [(date.fromisoformat(pause["start"]), date.fromisoformat(pause["end"])) for pause in streak["pauses"]]
    days, before = [], 0
    for period in periods:
        day, length = date.fromisoformat(period["periodStart"]), period["length"]
        if day > today:
            continue
        if length > before:
            kind, text = "met", f"extended to {length}"
        elif period["usedFreeze"]:
            kind, text = "frozen", f"a freeze held {length}"
        elif period["usedPause"] or any(first <= day <= last for first, last in paused):
            kind, text = "paused", "paused"
        elif length and length == before:
            kind, text = ("none", "not yet") if day == today else ("off", "day off")
        elif before and day < today:
            kind, text = "lost", f"lost at {before}"
        else:
            kind, text = "none", "nothing"
        days.append(Day(day, kind, text))
        before = length
    return days


async def get_debug(request: Request) -> Response:
    """``/console/users/{id}/debug``: the state as it is stored, and why a score is what it is."""
    user, state = await state_of(request)
    parts, space = services(request), request.state.space
    entries: list[tuple[str, str]] = []
    found = await parts.redis.raw.xrevrange(space.keys.log, count=500)
    for log_id, fields in found:
        for item in msgspec.msgpack.decode(fields[b"e"]):
            if item[0] == user and len(entries) < 20:
                entries.append((log_id.decode(), item[3]))
    token = await parts.redis.raw.hget(space.keys.user(user), "t")
    why = None
    if key := request.query_params.get("board"):
        board = space.index.leaderboard_by_key.get(key)
        if board is None:
            raise NotFound(f"There is no leaderboard {key}")
        if board.rank_by == "metric":
            why = await ask(request, moderation.get_events, {"id": board.id, "userId": user}, {"limit": 100})
    raw = orjson.dumps(msgspec.to_builtins(state), option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
    return page(
        request,
        "debug.html",
        id=user,
        raw=raw,
        token="" if token is None else token.decode(),
        format=state.format,
        entries=entries,
        boards=[board for board in space.index.catalog.leaderboards if board.rank_by == "metric"],
        board=request.query_params.get("board"),
        why=why,
    )


async def get_export(request: Request) -> Response:
    """``/console/users/{id}/export.json``."""
    found = await ask(request, people.get_export, {"id": request.path_params["id"]})
    return Response(
        orjson.dumps(found, option=orjson.OPT_INDENT_2),
        media_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="user.json"', "Cache-Control": "no-store"},
    )


async def get_token(request: Request) -> Response:
    """``/console/token.json``: a live token, of the user that ``user`` names."""
    space = request.state.space
    claims = {
        "sub": request.query_params.get("user") or "console",
        "aud": space.public_id,
        "exp": services(request).clock() // 1000 + TOKEN_S,
    }
    body = {"token": jwt.encode(claims, space.realtime_secret, algorithm="HS256")}
    return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})


PAGES = (
    Page("/console/users", get_users),
    Page("/console/token.json", get_token),
    Page("/console/users/{id}", get_user),
    Page("/console/users/{id}/debug", get_debug, role="support"),
    Page("/console/users/{id}/export.json", get_export, role="admin"),
)

"""The page of one user, with everything that is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from podium.api.achievements import app as achievements
from podium.api.audit.admin import get_audit_log
from podium.api.metrics import app as metrics
from podium.api.points import app as points
from podium.api.streaks import app as streaks
from podium.api.users import app as users
from podium.api.users import timeline
from podium.console.audit_changes import described
from podium.console.charts import Day, Point, bars, calendar, line
from podium.console.concurrency import gather_limited
from podium.console.internal_api import ask
from podium.console.notices import notice_of
from podium.console.pages.page import Page
from podium.console.pages.places import places_of
from podium.console.pages.users import user_snapshot
from podium.console.render import large_page, number
from podium.game.periods import day_begins, local_time, parse_day, zone
from podium.game.state import UserState
from podium.http.services import services

HEAT_DAYS = 371
"""Days of the calendar: 53 weeks."""
CHART_DAYS = 30
CHARTS = 12
"""Metrics with a chart: those with the largest totals. The others are listed."""
TIMELINE_ROWS = 25
AUDIT_ROWS = 20
AGGREGATIONS = {"daily": CHART_DAYS - 1, "weekly": 7 * 26, "monthly": 365}
"""Days that a metric's chart covers, by its aggregation."""


async def get_user(request: Request) -> Response:
    """Render ``/console/users/{id}``."""
    async with user_snapshot(request) as (user, state):
        return await _page(request, user, state)


async def _page(request: Request, user: str, state: UserState) -> Response:
    parts, space = services(request), request.state.space
    now = local_time(parts.clock(), zone(state.profile.tz))
    here = {"id": user}
    aggregation = request.query_params.get("aggregation", "daily")
    if aggregation not in AGGREGATIONS:
        aggregation = "daily"
    shown, streak, goals, places, totals, happened, changes, *systems = await gather_limited(
        ask(request, users.get_user, here),
        ask(request, streaks.get_streak, here, {"historyPeriods": HEAT_DAYS + 1}),
        ask(request, achievements.get_user_achievements, here, {"includeIncomplete": "true"}),
        places_of(request, user, state, now.date()),
        ask(request, metrics.get_metrics, here),
        ask(request, timeline.get_timeline, here, _timeline_query(request, state.profile.tz)),
        ask(request, get_audit_log, query={"item": user, "limit": AUDIT_ROWS}),
        *(_points(request, user, one.key, one.id, now.date()) for one in space.index.catalog.points),
    )
    numbers = {metric.id: metric.number for metric in space.index.catalog.metrics}
    touched = [metric for metric in totals if numbers.get(metric["id"]) in state.totals]
    touched.sort(key=lambda metric: -abs(metric["current"]))
    charted = touched[:CHARTS]
    charts = await gather_limited(*(_metric(request, user, metric, aggregation, now.date()) for metric in charted))
    track = state.streaks.tracks[space.index.streaks.track] if state.streaks is not None else None
    best = track.best if track is not None else 0
    days = _calendar_days(streak, now.date())
    chosen = _kinds(request)
    return await large_page(
        request,
        "user.html",
        notice=await notice_of(request),
        user=shown,
        tz=state.profile.tz,
        now=now,
        streak=streak,
        best=best,
        days=days,
        heat=calendar(days, now.date()) if streak["frequency"] == "daily" else "",
        systems=systems,
        achievements=[_goal(one, totals, best) for one in _completed_first(goals)],
        places=places,
        charts=charts,
        others=touched[CHARTS:],
        aggregation=aggregation,
        aggregations=AGGREGATIONS,
        timeline=happened,
        kinds=timeline.KINDS,
        chosen=chosen,
        until=request.query_params.get("until", ""),
        audit=[described(row) for row in changes["rows"]],
        more_audit="nextCursor" in changes,
    )


def _kinds(request: Request) -> list[str]:
    asked = [kind for kinds in request.query_params.getlist("kinds") for kind in kinds.split(",")]
    return [kind for kind in timeline.KINDS if kind in asked]


def _timeline_query(request: Request, tz: str | None) -> dict[str, Any]:
    cursor = request.query_params.get("cursor")
    until = request.query_params.get("until")
    if until and not cursor:
        last = parse_day("until", until)
        if last < date.max:  # there is no day after the last one of the calendar
            cursor = f"{max(0, day_begins(last + timedelta(days=1), zone(tz)) - 1)}-0"
    return {"kinds": ",".join(_kinds(request)) or None, "cursor": cursor, "limit": TIMELINE_ROWS}


async def _metric(
    request: Request, user: str, metric: dict[str, Any], aggregation: str, today: date
) -> dict[str, Any]:
    """Return a metric with its chart."""
    start = today - timedelta(days=AGGREGATIONS[aggregation])
    query = {"aggregation": aggregation, "startDate": start.isoformat(), "endDate": today.isoformat()}
    rows = await ask(request, metrics.get_summary, {"id": user, "key": metric["key"]}, query)
    return {**metric, "rows": rows, "chart": bars([Point(row["date"], row["change"]) for row in rows])}


async def _points(request: Request, user: str, key: str, system: str, today: date) -> dict[str, Any]:
    """Return a user's points of one system: total, level and the next one, awards, boosts, and a chart."""
    here = {"id": user, "key": key}
    start = today - timedelta(days=CHART_DAYS - 1)
    query = {"aggregation": "daily", "startDate": start.isoformat(), "endDate": today.isoformat()}
    shown = await ask(request, points.get_user_points, here, {"awards": 20})
    days = await ask(request, points.get_event_summary, here, query)
    boosts = await ask(request, points.get_user_boosts, here)
    levels = request.state.space.index.catalog.levels
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


def _completed_first(goals: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(goals, key=lambda one: one["achievedAt"] or "", reverse=True)


def _goal(one: dict[str, Any], totals: list[dict[str, Any]], best: int) -> dict[str, Any]:
    """Return an achievement with its condition as text, and the user's progress where one number describes it."""
    kind, at = one["trigger"], None
    if kind == "metric":
        how = f"{number(one['metricValue'])} {one['metricName']}"
        if not one["eventAttributes"]:
            at = next((metric["current"] for metric in totals if metric["id"] == one["metricId"]), 0.0)
        wanted = one["metricValue"]
    elif kind == "streak":
        how, at, wanted = f"a streak of {one['streakLength']}", best, one["streakLength"]
    elif kind == "achievement":
        how, wanted = f"{len(one['achievementIds'])} other achievements", 0
    elif kind == "anniversary":
        how, wanted = f"{one['anniversaryYears']} years after signing up", 0
    else:
        how, wanted = "completed by the app", 0
    return {**one, "how": how, "at": at if not one["achievedAt"] else None, "wanted": wanted}


def _calendar_days(streak: dict[str, Any], today: date) -> list[Day]:
    """Return past periods as days of a calendar, the oldest first.

    The first period is left out: it only gives the streak's length before the second.
    """
    first, *periods = sorted(streak["streakHistory"], key=lambda one: str(one["periodStart"]))
    paused = [(date.fromisoformat(pause["start"]), date.fromisoformat(pause["end"])) for pause in streak["pauses"]]
    days, before = [], first["length"]
    for period in periods:
        day, length = date.fromisoformat(period["periodStart"]), period["length"]
        if day > today:
            continue
        if length > before:
            kind, text = "met", f"{'restored' if period.get('restored') else 'extended'} to {length}"
        elif period["usedFreeze"]:
            kind, text = "frozen", f"a freeze held {length}"
        elif period["usedPause"] or any(start <= day <= end for start, end in paused):
            kind, text = "paused", "paused"
        elif length and length == before:
            kind, text = ("none", "not yet") if day == today else ("off", "day off")
        elif length and length < before:  # support ended it, and the user began anew on the same day
            kind, text = "met", f"lost at {before}, extended to {length}"
        elif before:
            kind, text = "lost", f"lost at {before}"
        else:
            kind, text = "none", "nothing"
        days.append(Day(day, kind, text))
        before = length
    return days


PAGES = (Page("/console/users/{id}", get_user),)

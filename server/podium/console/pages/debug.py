"""The debug page: a user's state as stored, and the events or awards that make up a score."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response

from podium.api.leaderboards import app as boards
from podium.api.leaderboards import moderation
from podium.api.points import app as points
from podium.api.users import events
from podium.console.internal_api import ask
from podium.console.pages.page import Page
from podium.console.pages.users import user_snapshot
from podium.console.render import page
from podium.game import ids
from podium.game.errors import NotFound
from podium.game.leaderboards.runs import select_run
from podium.game.periods import iso, local_day, zone
from podium.game.state import UserState
from podium.http.services import services
from podium.storage.redis.client import AWAY, unavailable
from podium.storage.redis.wire import TOKEN, decode_entry

ENTRIES, LOOKED_AT = 20, 500
"""Most log entries of the user that are shown, and newest entries of the space among which they are searched."""
EVENTS = 10
WHY_MAX = 100
_LEAST_DAY = 700_000
"""The ordinal of a day in 1917; a smaller number is not shown as a date."""


async def get_debug(request: Request) -> Response:
    """Render ``/console/users/{id}/debug``."""
    user = ids.check_id("id", request.path_params["id"])
    parts, space = services(request), request.state.space
    # First of all: reading a snapshot flushes the user's entries, and then they leave the log.
    try:
        found = await parts.redis.raw.xrevrange(space.keys.log, count=LOOKED_AT)
        token = await parts.redis.raw.hget(space.keys.user(user), TOKEN)
    except AWAY as error:
        raise unavailable(error) from error
    entries = [
        (log_id.decode(), item.record)
        for log_id, fields in found
        for item in decode_entry(fields)
        if item.user == user
    ]
    key = request.query_params.get("board")
    async with user_snapshot(request) as (_, state):
        newest = await ask(request, events.get_events, query={"userId": user, "limit": EVENTS})
        why = await _why(request, user, state, key) if key else None
    return page(
        request,
        "debug.html",
        id=user,
        raw=_json(named(state)),
        token="" if token is None else token.decode(),
        format=state.format,
        version=space.index.version,
        entries=entries[:ENTRIES],
        newest=_json(newest["events"]),
        boards=space.index.catalog.leaderboards,
        board=key,
        why=why,
    )


async def _why(request: Request, user: str, state: UserState, key: str) -> dict[str, Any]:
    """Explain a user's score in the present run of a leaderboard.

    Return ``rows`` of (instant, amount, id or cause), their ``sum`` where the score is a sum, a ``note``, and the
    ``place``, None on an inactive leaderboard.
    """
    index, tz = request.state.space.index, zone(state.profile.tz)
    board = index.leaderboard_by_key.get(key)
    if board is None:
        raise NotFound(f"There is no leaderboard {key}")
    run = select_run(board, None, local_day(services(request).clock(), tz))
    query = {"run": run.start.isoformat()}
    place = None
    if board.status != "inactive":
        here = {"id": user, "key": key}
        place = await ask(request, boards.get_user_leaderboard, here, {**query, "numEvents": 0})
    summed = True
    if board.rank_by == "metric":
        path = {"id": board.id, "userId": user}
        counted = await ask(request, moderation.get_events, path, {**query, "limit": WHY_MAX})
        rows = [(one["at"], one["value"], one["id"]) for one in counted]
        note = f"Events of the present run, the newest {WHY_MAX} at most; operator {board.operator}."
        summed = board.scoring == "sum"
    elif board.rank_by == "points":
        system = next(one for one in index.catalog.points if one.id == board.points_system_id)
        shown = await ask(request, points.get_user_points, {"id": user, "key": system.key}, {"awards": WHY_MAX})
        rows = [
            (one["date"], one["awarded"], one["trigger"]["type"])
            for one in shown["awards"]
            if run.start <= datetime.fromisoformat(one["date"]).astimezone(tz).date() <= (run.end or date.max)
        ]
        note = f"Awards of {system.name} in the present run, the newest {WHY_MAX} at most."
    else:
        rows, note = [], "It ranks by the streak: see the calendar on the user's page."
    total = sum(amount for _, amount, _ in rows) if summed else None
    return {"rows": rows, "sum": total, "note": note, "place": place}


def named(value: Any, name: str = "") -> Any:
    """Convert a state for people: records become maps, instants and days get a date beside the number."""
    if isinstance(value, msgspec.Struct):
        return {field: named(getattr(value, field), field) for field in value.__struct_fields__}
    if isinstance(value, dict):
        return {str(key): named(one, name) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [named(one, name) for one in value]
    if isinstance(value, int) and not isinstance(value, bool):
        if name.endswith("_ms") and value:
            return f"{value} ({iso(value)})"
        if name.endswith(("_day", "_on", "start", "end")) and _LEAST_DAY < value <= date.max.toordinal():
            return f"{value} ({date.fromordinal(value)})"
    return value


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


PAGES = (Page("/console/users/{id}/debug", get_debug, role="support"),)

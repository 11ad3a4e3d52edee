"""Streaks over the application API (docs/http-api.md#streaks)."""

from __future__ import annotations

from datetime import date

from starlette.requests import Request
from starlette.responses import Response

from podium.api.streaks import queries
from podium.game import ids
from podium.game.catalog import CatalogIndex
from podium.game.periods import iso, local_day, zone
from podium.game.state import UserState
from podium.game.streaks import rules, shapes
from podium.game.streaks.history import history
from podium.game.streaks.model import NONE, Streaks
from podium.http import params
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.endpoints import Endpoint, Query
from podium.http.services import services
from podium.http.users import named_snapshot, state_of
from podium.storage.postgres.pool import acquired

HISTORY_MAX = 400
"""Most periods of one answer (docs/http-api.md#streaks)."""
USERS_MAX = 100
"""Most users of one answer."""
RANKED_MAX = 100
"""Most users of a ranking."""
ENDED_MAX = 100
"""Further rows that are read, for streaks that have ended while their end is not flushed to Postgres yet."""
RANKINGS = ("active", "longest")


async def get_streak(request: Request) -> Response:
    """``GET /v1/users/{id}/streak``."""
    parts, space = services(request), principal(request).space
    number = params.integer(request, "historyPeriods", 7, 1, HISTORY_MAX)
    user = request.path_params["id"]
    async with named_snapshot(request) as (connection, state):
        wanted, today = space.index.streak_rules(state.wishes, state.profile.tz), _today(parts.clock(), state)
        streaks = state.streaks or NONE
        found = rules.standing(wanted, streaks, today)
        asked = rules.periods(wanted.frequency, today, number)
        rows = await queries.read_periods(connection, space.id, user, wanted.track, asked.start, asked.stop - 1)
    past = {row.period: (row.length, row.frozen, row.restored) for row in rows}
    return answer(
        shapes.UserStreak(
            **shapes.base(wanted, found),
            extended=_extended(streaks, found.length),
            streak_history=history(wanted, streaks, today, number, past),
            pauses=[
                shapes.StreakPause(pause.id, date.fromordinal(pause.start), date.fromordinal(pause.end))
                for pause in sorted(streaks.pauses, key=lambda pause: pause.start)
                if pause.end >= today
            ],
        )
    )


async def get_streaks(request: Request) -> Response:
    """``GET /v1/streaks``."""
    parts, space = services(request), principal(request).space
    found = []
    for user in params.ids(request, "userIds", USERS_MAX):
        state = await state_of(request, ids.check_id("userIds", user))
        if state is not None:
            streaks = state.streaks or NONE
            length = _length(space.index, state, parts.clock())
            found.append(shapes.ListedStreak(user, length, _extended(streaks, length)))
    return answer(sorted(found, key=lambda one: -one.streak_length))


async def get_rankings(request: Request) -> Response:
    """``GET /v1/streaks/rankings``."""
    parts, space = services(request), principal(request).space
    limit = params.integer(request, "limit", 10, 1, RANKED_MAX)
    by = params.choice(request, "type", RANKINGS) if "type" in request.query_params else RANKINGS[0]
    track = space.index.streaks.track
    async with acquired(parts.pool) as connection:
        # Streaks that have ended since the last flush are dropped below, and rows after them move up.
        more = limit if by == "longest" else limit + ENDED_MAX
        rows = await queries.ranked(connection, space.id, track, by, more)
    if by == "longest":
        return answer([shapes.RankedStreak(row.user, row.name, row.length) for row in rows])
    found: list[shapes.RankedStreak] = []
    for row in rows:
        if len(found) == limit and row.length < found[-1].streak_length:
            break
        state = await state_of(request, row.user)
        if state is not None:
            length = _length(space.index, state, parts.clock())
            if length:
                found.append(shapes.RankedStreak(row.user, row.name, length))
    return answer(sorted(found, key=lambda one: -one.streak_length)[:limit])


def _length(index: CatalogIndex, state: UserState, now_ms: int) -> int:
    rules_ = index.streak_rules(state.wishes, state.profile.tz)
    return rules.standing(rules_, state.streaks or NONE, _today(now_ms, state)).length


def _extended(streaks: Streaks, length: int) -> str | None:
    return iso(streaks.extended_ms) if length and streaks.extended_ms else None


def _today(now_ms: int, state: UserState) -> int:
    return local_day(now_ms, zone(state.profile.tz)).toordinal()


ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/v1/users/{id}/streak",
        shows="user",
        summary="Get a user's streak",
        tag="Streaks",
        needs="read",
        statuses=(200, 400, 404, 422, 503),
        handler=get_streak,
        answer=shapes.UserStreak,
        query=(
            Query(
                "historyPeriods",
                "Number of periods of the history, including the present one.",
                {"type": "integer", "minimum": 1, "maximum": HISTORY_MAX, "default": 7},
            ),
        ),
        description="The present streak, on the user's local date.",
    ),
    Endpoint(
        method="GET",
        path="/v1/streaks",
        shows="user",
        summary="Get the streaks of several users",
        tag="Streaks",
        needs="read",
        statuses=(200, 422, 503),
        handler=get_streaks,
        answer=list[shapes.ListedStreak],
        query=(
            Query(
                "userIds",
                f"1 to {USERS_MAX} user ids: repeated (each is taken whole), or one value joined by commas.",
                required=True,
            ),
        ),
        description="The longest first. Unknown users are left out.",
    ),
    Endpoint(
        method="GET",
        path="/v1/streaks/rankings",
        shows="space",
        summary="Rank users by their streaks",
        tag="Streaks",
        needs="read",
        statuses=(200, 400, 422, 503),
        handler=get_rankings,
        answer=list[shapes.RankedStreak],
        query=(
            Query(
                "limit",
                "Number of users.",
                {"type": "integer", "minimum": 1, "maximum": RANKED_MAX, "default": 10},
            ),
            Query(
                "type",
                "`active`: by the present streak; `longest`: by the longest streak ever.",
                {"type": "string", "enum": list(RANKINGS), "default": RANKINGS[0]},
            ),
        ),
        description="The longest first, equal ones by user id. Read from Postgres, which is usually 0.2 s behind.",
    ),
]

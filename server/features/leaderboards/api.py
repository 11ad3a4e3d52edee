"""Leaderboards over the application API (contract.md, sections 9 and 16)."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from server.backends.postgres.pool import acquired
from server.core import ids
from server.core.errors import NotFound, Unavailable, Unprocessable
from server.core.periods import local_day, zone
from server.engine.state import UserState
from server.features.leaderboards import shapes, store
from server.features.leaderboards.model import MAX_PARTICIPANTS, Leaderboard
from server.features.leaderboards.ranking import board_name, shown_rank
from server.features.leaderboards.rules import status_on
from server.features.leaderboards.runs import Run, run_name, select_run
from server.features.leaderboards.shapes import ListedLeaderboard, RankedLeaderboard, UserLeaderboard
from server.http import params
from server.http.answers import answer
from server.http.auth import principal
from server.http.endpoints import Endpoint, Query
from server.http.services import services
from server.spaces.space import Space
from server.spaces.states import read_state

LIMIT_MAX = 1_000
"""Rows of one answer: Redis serves nobody else while it reads them."""
HISTORY_MAX = 100
"""Days of one answer (contract.md, section 9)."""


class _Found(NamedTuple):
    """A leaderboard that may be shown. ``scale``: whole units of a value of 1; ``most``: ranks that count."""

    board: Leaderboard
    metric_key: str
    metric_name: str
    status: shapes.VisibleStatus
    scale: int
    most: int


async def get_leaderboards(request: Request) -> Response:
    """``GET /v1/leaderboards``."""
    finished = params.boolean(request, "includeFinished")
    space, now_ms = principal(request).space, services(request).clock()
    shown = [_find(space, board, now_ms) for board in space.index.catalog.leaderboards]
    return answer(
        [
            shapes.listed(found.board, found.metric_key, found.metric_name, found.status)
            for found in shown
            if found is not None and (finished or found.status != "finished")
        ]
    )


async def get_leaderboard(request: Request) -> Response:
    """``GET /v1/leaderboards/{key}``."""
    parts, space, found = services(request), principal(request).space, _leaderboard(request)
    offset = params.integer(request, "offset", 0, 0, MAX_PARTICIPANTS)
    limit = params.integer(request, "limit", 10, 1, LIMIT_MAX)
    asked = params.day(request, "run")
    if request.query_params.get("userAttributes"):
        raise Unprocessable("userAttributes: this leaderboard is not broken down by attributes")
    if space.epoch is None:
        raise Unavailable("Redis is being rebuilt")

    user = request.query_params.get("userId")
    rows: list[store.Row] = []
    if user is None:
        run = select_run(found.board, asked, _today(request, None))
        page = await store.read_page(parts.redis, space, _board(found, run), found.board.tie_rule, offset, limit)
    else:
        ids.check_id("userId", user)
        state = await read_state(parts.redis, parts.pool, space, user)
        run = select_run(found.board, asked, _today(request, state))
        page = None if state is None else await _page_from(request, found, run, user, state, offset, limit)
    if page is not None:
        offset, rows = page.offset, page.rows[: max(0, found.most - page.offset)]
    rankings = [
        shapes.Ranking(row.user, row.label.name, rank, row.units // found.scale, row.units / found.scale)
        for rank, row in enumerate(rows, offset + 1)
    ]
    return answer(shapes.ranked(found.board, found.metric_key, found.metric_name, found.status, rankings))


async def get_user_leaderboard(request: Request) -> Response:
    """``GET /v1/users/{id}/leaderboards/{key}``."""
    parts, space, found = services(request), principal(request).space, _leaderboard(request)
    user = ids.check_id("id", request.path_params["id"])
    asked = params.day(request, "run")
    days = params.integer(request, "numEvents", 10, 0, HISTORY_MAX)
    state = await read_state(parts.redis, parts.pool, space, user)
    if state is None:
        raise NotFound(f"User not found: {user}")
    run = select_run(found.board, asked, _today(request, state))
    place = await store.read_place(parts.redis, space, _board(found, run), found.board.tie_rule, user)
    if place is None:
        place = await _find_place(request, found, run, user, state)
    history: list[shapes.RankedDay] = []
    if days:
        async with acquired(parts.pool) as connection:
            rows = await store.read_days(connection, space.id, _board(found, run), user, days)
        history = [_ranked_day(found, row) for row in rows]
    return answer(
        shapes.user_leaderboard(
            found.board,
            found.metric_key,
            found.metric_name,
            rank=None if place is None else shown_rank(place.rank, found.most),
            value=None if place is None else place.units // found.scale,
            exact_value=None if place is None else place.units / found.scale,
            history=history,
        )
    )


def _find(space: Space, board: Leaderboard, now_ms: int) -> _Found | None:
    status = status_on(board, local_day(now_ms, space.index.home))
    if status == "inactive":
        return None
    metric = space.index.metric_by_id[board.metric_id]
    most = board.max_participants or MAX_PARTICIPANTS
    return _Found(board, metric.key, metric.name, status, 10**metric.decimals, most)


def _leaderboard(request: Request) -> _Found:
    key: str = request.path_params["key"]
    space = principal(request).space
    board = space.index.leaderboard_by_key.get(key)
    found = _find(space, board, services(request).clock()) if board is not None else None
    if found is None:
        raise NotFound(f"Leaderboard not found: {key[: ids.KEY_MAX]}")
    return found


def _today(request: Request, state: UserState | None) -> date:
    """The user's local date; without a user that of the home zone."""
    home = principal(request).space.index.home
    return local_day(services(request).clock(), home if state is None else zone(state.profile.tz))


def _board(found: _Found, run: Run) -> str:
    return board_name(found.board.number, run_name(found.board, run))


async def _page_from(
    request: Request, found: _Found, run: Run, user: str, state: UserState, offset: int, limit: int
) -> store.Page | None:
    """Rows from ``offset`` places below the user on; None if the user is not ranked."""
    redis, space, board = services(request).redis, principal(request).space, _board(found, run)
    page = await store.read_page(redis, space, board, found.board.tie_rule, offset, limit, user)
    if page is None:
        place = await _find_place(request, found, run, user, state)
        if place is None:
            return None
        page = await store.read_page(redis, space, board, found.board.tie_rule, place.rank - 1 + offset, limit)
    return page


async def _find_place(
    request: Request, found: _Found, run: Run, user: str, state: UserState
) -> store.Place | None:
    parts, space = services(request), principal(request).space
    over = run.end is not None and run.end < _today(request, state)
    board = _board(found, run)
    tie_rule = found.board.tie_rule
    return await store.find_place(parts.redis, parts.pool, space, board, tie_rule, user, state, over=over)


def _ranked_day(found: _Found, row: store.RankDay) -> shapes.RankedDay:
    return shapes.RankedDay(
        date=row.day,
        timestamp=f"{row.day}T00:00:00.000Z",
        previous_rank=shown_rank(row.previous_rank or 0, found.most),
        rank=shown_rank(row.rank, found.most),
        previous_value=None if row.previous_value is None else row.previous_value // found.scale,
        value=row.value // found.scale,
    )


_RUN = Query(
    "run",
    "Any day of the run. Default: the current run, on the user's local date if the request names a user, else on "
    "that of the space's home zone; the last one of a leaderboard that is over.",
    {"type": "string", "format": "date"},
)

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/v1/leaderboards/{key}",
        summary="Get a leaderboard's ranking",
        tag="Leaderboards",
        needs="read",
        statuses=(200, 400, 404, 422, 503),
        handler=get_leaderboard,
        answer=RankedLeaderboard,
        query=(
            Query(
                "offset",
                "Rows to skip.",
                {"type": "integer", "minimum": 0, "maximum": MAX_PARTICIPANTS, "default": 0},
            ),
            Query("limit", "Rows.", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": 10}),
            _RUN,
            Query("userId", "Begin with this user, from whom `offset` counts; no rows if the user is not ranked."),
            Query("userAttributes", "Only for leaderboards that are broken down by attributes."),
        ),
        description="Ranks beyond `maxParticipants` are not shown.",
    ),
    Endpoint(
        method="GET",
        path="/v1/leaderboards",
        summary="List leaderboards",
        tag="Leaderboards",
        needs="read",
        statuses=(200, 400),
        handler=get_leaderboards,
        answer=list[ListedLeaderboard],
        query=(Query("includeFinished", "Also those that are over.", {"type": "boolean", "default": False}),),
        description="Inactive ones are not shown.",
    ),
    Endpoint(
        method="GET",
        path="/v1/users/{id}/leaderboards/{key}",
        summary="Get a user's place on a leaderboard",
        tag="Leaderboards",
        needs="read",
        statuses=(200, 400, 404, 422, 503),
        handler=get_user_leaderboard,
        answer=UserLeaderboard,
        query=(
            _RUN,
            Query(
                "numEvents",
                "Most days of the history.",
                {"type": "integer", "minimum": 0, "maximum": HISTORY_MAX, "default": 10},
            ),
        ),
        description="`history` holds the last days of the run on which the user's value changed, the oldest "
        "first; changes appear there once they are written to Postgres, as a rule within 0.2 s.",
    ),
]

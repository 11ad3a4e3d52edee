"""Leaderboards over the application API: lists, rankings, a user's places (docs/http-api.md#leaderboards)."""

from __future__ import annotations

import base64
import binascii
import re

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from podium.api.leaderboards import queries
from podium.api.leaderboards.lookup import (
    Found,
    Reader,
    asked_group,
    asked_run,
    board_of,
    find,
    leaderboard,
    own_board,
    ranking,
    run_info,
    today,
    user_state,
)
from podium.game import ids
from podium.game.errors import NotFound, Unprocessable
from podium.game.leaderboards import shapes
from podium.game.leaderboards.model import MAX_PARTICIPANTS
from podium.game.leaderboards.ranking import member, score, shown_rank, units
from podium.game.leaderboards.runs import Run, is_final, run_on
from podium.game.leaderboards.shapes import ListedLeaderboard, RankedLeaderboard, UserLeaderboard, UserPlace
from podium.http import params
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.endpoints import Endpoint, Query
from podium.http.services import services
from podium.http.users import named_snapshot, named_user

LIMIT_MAX = 1_000
"""Most rows of one answer. Redis serves nobody else while it reads them."""
HISTORY_MAX = 100
"""Most days of one answer (docs/http-api.md#leaderboards)."""


_SCORE = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?\Z", re.ASCII)
"""A number in a form that Redis accepts too."""


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The end of a page: in a live run the score and member of its last row, in a final run the number of rows so
    far."""

    board: str
    score: str
    member: str
    rows: int


async def get_leaderboards(request: Request) -> Response:
    """``GET /v1/leaderboards``."""
    finished = params.boolean(request, "includeFinished")
    space, now_ms = principal(request).space, services(request).clock()
    shown = [find(space, board, now_ms) for board in space.index.catalog.leaderboards]
    return answer(
        [
            shapes.listed(found.board, found.source, found.status)
            for found in shown
            if found is not None and (finished or found.status != "finished")
        ]
    )


async def get_leaderboard(request: Request) -> Response:
    """``GET /v1/leaderboards/{key}``."""
    found = leaderboard(request)
    offset = params.integer(request, "offset", 0, 0, MAX_PARTICIPANTS)
    limit = params.integer(request, "limit", 10, 1, LIMIT_MAX)
    user = request.query_params.get("userId")
    cursor = request.query_params.get("cursor")
    state = None
    if user is not None:
        ids.check_id("userId", user)
        state = await user_state(request, user)
    run = asked_run(request, found, state)
    reader = Reader(request, found, run, board_of(found, run, asked_group(request, found)))
    if cursor is not None:
        if user is not None or offset:
            raise Unprocessable("cursor can't be used together with userId or offset")
        page = await _page_after(reader, cursor, limit)
    elif user is None:
        page = await reader.page(offset, limit)
    else:
        above = None if state is None else await reader.offset_of(user)
        page = queries.Page(0, [], 0) if above is None else await reader.page(above + offset, limit)
    return answer(
        RankedLeaderboard(
            **shapes.fields(found.board, found.source),
            status=found.status,
            run=run_info(request, found, run),
            participants=page.participants,
            rankings=[ranking(found, row) for row in page.rows],
            next_cursor=await _next_cursor(reader, found, page, limit),
        )
    )


async def _page_after(reader: Reader, cursor: str, limit: int) -> queries.Page:
    try:
        at = msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=_Cursor)
        if at.score and not _SCORE.match(at.score):
            raise ValueError
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise Unprocessable("cursor is not one of this server's") from None
    if at.board != reader.board:
        raise Unprocessable("cursor belongs to another ranking")
    final = await reader.final()
    if not (0 <= at.rows <= MAX_PARTICIPANTS if final else at.score):
        raise Unprocessable("cursor is not one of this server's")
    if final:
        return await reader.page(at.rows, limit)
    return await reader.page(0, limit, after=(at.score, at.member))


async def _next_cursor(reader: Reader, found: Found, page: queries.Page, limit: int) -> str | msgspec.UnsetType:
    shown = page.offset + len(page.rows)
    if len(page.rows) < limit or shown >= min(page.participants, found.most):
        return msgspec.UNSET
    last = page.rows[-1]
    cursor = _Cursor(reader.board, str(-last.units), member(last.reached_ms, last.user), shown)
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode().rstrip("=")


async def get_user_leaderboards(request: Request) -> Response:
    """``GET /v1/users/{id}/leaderboards``."""
    user = ids.check_id("id", request.path_params["id"])
    state = await user_state(request, user)
    if state is None:
        raise NotFound(f"User not found: {user}")
    parts, space = services(request), principal(request).space
    stands: list[tuple[Found, Run, str]] = []
    for board in space.index.catalog.leaderboards:
        found = find(space, board, parts.clock())
        run = run_on(board, today(request, state)) if found is not None else None
        own = own_board(found, run, state) if found is not None and run is not None else None
        if found is not None and run is not None and own in state.boards:
            stands.append((found, run, str(own)))
    live = [(own, found.board.tie_rule) for found, run, own in stands if not is_final(found.board, run)]
    known = await queries.read_standings(parts.redis, space, user, live)
    places = []
    for found, run, own in stands:
        place = known.get(own) or await Reader(request, found, run, own).place(user)
        if place is not None:
            places.append(
                UserPlace(
                    **shapes.fields(found.board, found.source),
                    status=found.status,
                    run=run_info(request, found, run),
                    rank=shown_rank(place.rank, found.most),
                    value=place.units / found.scale + 0.0,
                )
            )
    return answer(places)


async def get_user_leaderboard(request: Request) -> Response:
    """``GET /v1/users/{id}/leaderboards/{key}``."""
    space, found = principal(request).space, leaderboard(request)
    user = ids.check_id("id", request.path_params["id"])
    days = params.integer(request, "numEvents", 10, 0, HISTORY_MAX)
    history: list[shapes.RankedDay] = []
    if days:
        async with named_snapshot(request) as (connection, state):
            run = asked_run(request, found, state)
            rows = await queries.read_days(connection, space.id, board_of(found, run), user, days)
        history = [_ranked_day(found, row) for row in rows]
    else:
        state = await named_user(request)
        run = asked_run(request, found, state)
    own = own_board(found, run, state)
    place = None
    if own is not None:
        reader = Reader(request, found, run, own)
        place = await reader.place(user)
        if place is not None and (held := state.boards.get(own)) is not None and not await reader.final():
            # The rank is the present one. The value comes from the state that was read with the history, so that
            # both agree even if an event comes in between.
            place = place._replace(units=units(str(score(held.value, found.board.order))))
    return answer(
        shapes.user_leaderboard(
            found.board,
            found.source,
            rank=None if place is None else shown_rank(place.rank, found.most),
            value=None if place is None else place.units // found.scale,
            exact_value=None if place is None else place.units / found.scale + 0.0,
            history=history,
        )
    )


def _ranked_day(found: Found, row: queries.RankDay) -> shapes.RankedDay:
    scale = abs(found.scale)
    return shapes.RankedDay(
        date=row.day,
        timestamp=f"{row.day}T00:00:00.000Z",
        previous_rank=shown_rank(row.previous_rank or 0, found.most),
        rank=shown_rank(row.rank, found.most),
        previous_value=None if row.previous_value is None else row.previous_value // scale,
        value=row.value // scale,
    )


RUN = Query(
    "run",
    "Any day of the run. Default: the current run, or the last one of a finished leaderboard. The current run is "
    "that of the user's local date if the request names a user, else that of the date in the space's home zone.",
    {"type": "string", "format": "date"},
)

GROUP = Query(
    "userAttributes",
    "Group, like `city:London,team:red`. Required on leaderboards with a breakdown, and only allowed there. "
    + params.COMMAS,
)

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/v1/leaderboards/{key}",
        shows="user",
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
            RUN,
            Query(
                "userId", "First user of the page; `offset` counts from there. No rows if the user is not ranked."
            ),
            GROUP,
            Query("cursor", "`nextCursor` of the previous page; not with `offset` or `userId`."),
        ),
        description="Ranks beyond `maxParticipants` are not shown. Pages that follow `nextCursor` neither skip "
        "nor "
        "repeat users whose scores don't change meanwhile.",
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
        query=(Query("includeFinished", "true also lists finished ones.", {"type": "boolean", "default": False}),),
        description="Inactive leaderboards are not shown.",
    ),
    Endpoint(
        method="GET",
        path="/v1/users/{id}/leaderboards",
        shows="user",
        summary="List a user's places",
        tag="Leaderboards",
        needs="read",
        statuses=(200, 404, 422, 503),
        handler=get_user_leaderboards,
        answer=list[UserPlace],
        description="The user's places in the current runs of all leaderboards.",
    ),
    Endpoint(
        method="GET",
        path="/v1/users/{id}/leaderboards/{key}",
        shows="user",
        summary="Get a user's place on a leaderboard",
        tag="Leaderboards",
        needs="read",
        statuses=(200, 400, 404, 422, 503),
        handler=get_user_leaderboard,
        answer=UserLeaderboard,
        query=(
            RUN,
            Query(
                "numEvents",
                "Number of days of the history.",
                {"type": "integer", "minimum": 0, "maximum": HISTORY_MAX, "default": 10},
            ),
        ),
        description="`history` holds the last days of the run on which the user's value changed, the oldest "
        "first.",
    ),
]

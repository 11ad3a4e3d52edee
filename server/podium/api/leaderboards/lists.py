"""Lists of a leaderboard: around a user, among friends, groups and their members (docs/http-api.md#lists)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from podium.api.leaderboards import queries
from podium.api.leaderboards.app import GROUP, HISTORY_MAX, LIMIT_MAX, RUN
from podium.api.leaderboards.lookup import (
    Found,
    Reader,
    asked_group,
    asked_run,
    board_of,
    leaderboard,
    own_board,
    run_info,
    user_state,
)
from podium.game import ids
from podium.game.errors import NotFound, Unavailable, Unprocessable
from podium.game.leaderboards import shapes
from podium.game.leaderboards.model import MAX_PARTICIPANTS
from podium.game.leaderboards.ranking import group_name, groups_board, shown_rank, successive
from podium.game.leaderboards.runs import Run
from podium.http import params
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.endpoints import Endpoint, Query
from podium.http.services import services
from podium.storage.postgres.pool import acquired

AROUND_DEFAULT, AROUND_MAX = 5, 50
"""Rows on each side of a user."""
FRIENDS_MAX = 1_000
"""Most users of one request (docs/http-api.md#lists)."""


async def get_around(request: Request) -> Response:
    """``GET /v1/leaderboards/{key}/around/{userId}``."""
    found = leaderboard(request)
    user = ids.check_id("userId", request.path_params["userId"])
    k = params.integer(request, "k", AROUND_DEFAULT, 0, AROUND_MAX)
    state = await user_state(request, user)
    if state is None:
        raise NotFound(f"User not found: {user}")
    run = asked_run(request, found, state)
    own = own_board(found, run, state)
    page = queries.Page(0, [], 0)
    if own is not None:
        reader = Reader(request, found, run, own)
        above = await reader.offset_of(user)
        if above is not None:
            first = max(0, above - k)
            page = await reader.page(first, above + k + 1 - first)
    return answer(
        shapes.Around(
            **_fields(request, found, run),
            participants=page.participants,
            rankings=[_exact(found, row) for row in page.rows],
        )
    )


async def get_friends(request: Request) -> Response:
    """``GET /v1/leaderboards/{key}/users``."""
    found = leaderboard(request)
    users = params.ids(request, "ids", FRIENDS_MAX)
    for user in users:
        ids.check_id("ids", user)
    run = asked_run(request, found)
    reader = Reader(request, found, run, board_of(found, run, asked_group(request, found)))
    if await reader.final() and not await services(request).reads.settle(principal(request).space):
        # Final standings are only in Postgres, and may still hold a user who was just erased.
        raise Unavailable("users who were just erased are still being deleted from Postgres, try again")
    places = await reader.places(users)
    # The two reads are not one snapshot: a user may be in one of them only.
    order = await reader.places([*places], tie_rule="ordinal") if found.board.tie_rule != "ordinal" else places
    ordered = sorted((user for user in places if user in order), key=lambda user: order[user].rank)
    ranks = successive([places[user].units for user in ordered], found.board.tie_rule, 1, 1)
    return answer(
        shapes.Friends(
            **_fields(request, found, run),
            rankings=[
                shapes.Friend(
                    user,
                    places[user].label.name,
                    rank,
                    shown_rank(places[user].rank, found.most),
                    found.value(places[user].units),
                    found.shown(places[user].label),
                )
                for user, rank in zip(ordered, ranks, strict=True)
            ],
        )
    )


async def get_groups(request: Request) -> Response:
    """``GET /v1/leaderboards/{key}/groups``."""
    found = _grouped(request)
    offset = params.integer(request, "offset", 0, 0, MAX_PARTICIPANTS)
    limit = params.integer(request, "limit", 10, 1, LIMIT_MAX)
    run = asked_run(request, found)
    parts, space, board = services(request), principal(request).space, board_of(found, run)
    if await Reader(request, found, run, board).final():
        async with acquired(parts.pool) as connection:
            groups, count = await queries.read_final_groups(connection, space.id, board, offset, limit)
    else:
        groups, count = await queries.read_groups(
            parts.redis, space, groups_board(board), found.board.tie_rule, offset, limit
        )
    return answer(
        shapes.RankedGroups(
            **_fields(request, found, run),
            groups=count,
            rankings=[
                shapes.GroupRanking(group.group, group.rank, found.value(group.units), group.members)
                for group in groups
            ],
        )
    )


async def get_group(request: Request) -> Response:
    """``GET /v1/leaderboards/{key}/groups/{value}``."""
    found = _grouped(request)
    value = ids.check_text("value", request.path_params["value"], ids.ATTRIBUTE_VALUE_MAX)
    offset = params.integer(request, "offset", 0, 0, MAX_PARTICIPANTS)
    limit = params.integer(request, "limit", 10, 1, LIMIT_MAX)
    events = params.integer(request, "numEvents", 10, 0, HISTORY_MAX)
    run = asked_run(request, found)
    parts, space, board = services(request), principal(request).space, board_of(found, run)
    group = group_name((value,))
    reader = Reader(request, found, run, f"{board}:{group}")
    if await reader.final():
        async with acquired(parts.pool) as connection:
            known = await queries.read_final_group(connection, space.id, board, group)
    else:
        known = await queries.read_group(parts.redis, space, board, found.board.tie_rule, group)
    if known is None:
        raise NotFound(f"Group not found: {ids.printable(value)}")
    page = await reader.page(offset, limit)
    days = []
    if events:
        async with acquired(parts.pool) as connection:
            days = await queries.read_group_days(connection, space.id, board, group, events)
    return answer(
        shapes.GroupMembers(
            **_fields(request, found, run),
            group=shapes.EventGroup(
                group=value,
                rank=known.rank or None,
                previous_rank=known.rank or None,
                value=found.value(known.units) if known.rank else None,
                members=known.members,
            ),
            participants=page.participants,
            rankings=[_exact(found, row) for row in page.rows],
            history=[
                shapes.GroupDay(
                    day.day, day.rank or None, None if day.units is None else found.value(day.units), day.members
                )
                for day in days
            ],
        )
    )


def _grouped(request: Request) -> Found:
    found = leaderboard(request)
    if found.board.group_by is None:
        raise Unprocessable("this leaderboard does not rank groups: it has no groupBy")
    return found


def _fields(request: Request, found: Found, run: Run) -> dict[str, Any]:
    return {
        **shapes.fields(found.board, found.source),
        "status": found.status,
        "run": run_info(request, found, run),
    }


def _exact(found: Found, row: queries.Row) -> shapes.ExactRanking:
    return shapes.ExactRanking(row.user, row.label.name, row.rank, found.value(row.units), found.shown(row.label))


_PAGE = (
    Query("offset", "Rows to skip.", {"type": "integer", "minimum": 0, "maximum": MAX_PARTICIPANTS, "default": 0}),
    Query("limit", "Rows.", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": 10}),
    RUN,
)

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/v1/leaderboards/{key}/around/{userId}",
        shows="user",
        summary="Get the rows around a user",
        tag="Leaderboards",
        needs="read",
        statuses=(200, 400, 404, 422, 503),
        handler=get_around,
        answer=shapes.Around,
        query=(
            Query(
                "k",
                "Rows on each side of the user.",
                {"type": "integer", "minimum": 0, "maximum": AROUND_MAX, "default": AROUND_DEFAULT},
            ),
            RUN,
        ),
        description="No rows if the user is not ranked. On a leaderboard with a breakdown the rows are those of "
        "the "
        "user's group.",
    ),
    Endpoint(
        method="GET",
        path="/v1/leaderboards/{key}/users",
        shows="user",
        summary="Rank given users among themselves",
        tag="Leaderboards",
        needs="read",
        statuses=(200, 400, 404, 422, 503),
        handler=get_friends,
        answer=shapes.Friends,
        query=(
            Query(
                "ids",
                "1 to 1,000 user ids: repeated (each is taken whole), or one value joined by commas.",
                required=True,
            ),
            GROUP,
            RUN,
        ),
        description="For friends and teams. `rank` is the rank among the given users, `overallRank` that on the "
        "whole "
        "board. Users who are not on the board are left out.",
    ),
    Endpoint(
        method="GET",
        path="/v1/leaderboards/{key}/groups",
        shows="space",
        summary="Get the ranking of groups",
        tag="Leaderboards",
        needs="read",
        statuses=(200, 400, 404, 422, 503),
        handler=get_groups,
        answer=shapes.RankedGroups,
        query=_PAGE,
        description="Only for leaderboards with `groupBy`. Groups with equal scores are sorted by name.",
    ),
    Endpoint(
        method="GET",
        path="/v1/leaderboards/{key}/groups/{value}",
        shows="space",
        summary="Get a group and its members' ranking",
        tag="Leaderboards",
        needs="read",
        statuses=(200, 400, 404, 422, 503),
        handler=get_group,
        answer=shapes.GroupMembers,
        query=(
            *_PAGE,
            Query(
                "numEvents",
                "Number of days of the history.",
                {"type": "integer", "minimum": 0, "maximum": HISTORY_MAX, "default": 10},
            ),
        ),
        description="`value` is the group's attribute value. 404 if no member has scored in the run. `history` "
        "has "
        "the days on which the group's rank, score or number of members changed, as written to Postgres.",
    ),
]

"""Analytics of a leaderboard: participants, active users and rank changes by day, the distribution of scores."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from podium.api.leaderboards import queries
from podium.api.leaderboards.moderation import by_id
from podium.game.errors import Unprocessable
from podium.game.leaderboards.model import Leaderboard
from podium.game.leaderboards.ranking import board_name
from podium.game.leaderboards.runs import run_name, select_run
from podium.game.periods import local_day
from podium.http import params
from podium.http.answers import answer
from podium.http.auth import principal
from podium.http.endpoints import Endpoint, Query
from podium.http.services import services
from podium.storage.postgres.pool import PoolConnection, acquired

BUCKETS = 10
"""Buckets of the distribution, equally wide from the least score to the greatest."""
SPAN_MAX_DAYS = 400
"""Most days of one answer, as in summaries (docs/http-api.md#summaries)."""


class DayCount(msgspec.Struct, frozen=True):
    """A count on a local date."""

    date: date
    count: int


class Bucket(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """The number of users with a score from ``from`` to below ``to``. The last bucket includes ``to``."""

    from_: float
    to: float
    users: int


class Analytics(msgspec.Struct, frozen=True, rename="camel"):
    """Analytics of one run. Days without activity are included with 0."""

    participants: int
    active_users: list[DayCount]
    rank_changes: list[DayCount]
    distribution: list[Bucket]


async def get_analytics(request: Request) -> Response:
    """``GET /admin/v1/leaderboards/{id}/analytics``."""
    parts, space, board = services(request), principal(request).space, by_id(request)
    today = local_day(parts.clock(), space.index.home)
    run = select_run(board, params.day(request, "run"), today)
    last = params.day(request, "to") or min(run.end or today, today)
    first = params.day(request, "from") or max(run.start, _days_before(last))
    if first > last and not {"from", "to"}.isdisjoint(request.query_params):
        raise Unprocessable("from must not lie after to")
    if (last - first).days >= SPAN_MAX_DAYS:
        raise Unprocessable(f"from and to must lie within {SPAN_MAX_DAYS} days")
    name = run_name(board, run)
    scale = space.index.source_of(board).scale
    async with acquired(parts.pool) as connection:
        final = await queries.has_standings(connection, space.id, board_name(board.number, name))
        rows = await connection.fetch(
            "SELECT day, active, changes FROM board_days WHERE space_id = $1 AND leaderboard = $2 AND run = $3"
            " AND day BETWEEN $4 AND $5",
            space.id,
            board.number,
            name,
            first,
            last,
        )
        groups: list[str] = []
        if final:
            participants, buckets = await _distribution(connection, space.id, board, name, scale)
        elif board.breakdown_attributes:
            groups = await queries.read_run_groups(connection, space.id, board.number, name)
    if not final:
        participants, buckets = await _live_distribution(request, board, name, groups, scale)
    # Empty for a run that has not begun.
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    on_day: dict[date, tuple[int, int]] = {day: (active, changes) for day, active, changes in rows}
    return answer(
        Analytics(
            participants,
            [DayCount(day, on_day.get(day, (0, 0))[0]) for day in days],
            [DayCount(day, on_day.get(day, (0, 0))[1]) for day in days],
            buckets,
        )
    )


def _days_before(last: date) -> date:
    return date.fromordinal(max(1, last.toordinal() - SPAN_MAX_DAYS + 1))


async def _live_distribution(
    request: Request, board: Leaderboard, run: str, groups: list[str], scale: int
) -> tuple[int, list[Bucket]]:
    """Return the same as ``_distribution`` for the boards in Redis, without reading each user."""
    parts, space = services(request), principal(request).space
    names = [board_name(board.number, run)]
    if board.breakdown_attributes:
        names = [board_name(board.number, run, group) for group in groups]
    participants, (least, most), counts = await queries.read_scores(
        parts.redis, space, names, board.order, BUCKETS
    )
    return participants, _buckets(least, most, scale, counts)


def _buckets(least: int, most: int, scale: int, counts: list[int]) -> list[Bucket]:
    if least == most:
        return [Bucket(least / scale, most / scale, sum(counts))] if counts else []
    width = (most - least) / BUCKETS
    return [
        Bucket((least + width * i) / scale, (least + width * (i + 1)) / scale, count)
        for i, count in enumerate(counts)
    ]


async def _distribution(
    connection: PoolConnection, space_id: int, board: Leaderboard, run: str, scale: int
) -> tuple[int, list[Bucket]]:
    """Return the number of participants of a final run and the distribution of their scores, over all groups."""
    # On a leaderboard with a breakdown, users without a group have rows with an empty group, and are no
    # participants.
    group = "<>" if board.breakdown_attributes else "="
    of_run = f"FROM run_standings WHERE space_id = $1 AND leaderboard = $2 AND run = $3 AND grp {group} ''"
    row = await connection.fetchrow(
        f"SELECT count(*), min(value), max(value) {of_run}",  # our own words
        space_id,
        board.number,
        run,
    )
    participants, least, most = row or (0, 0, 0)
    if not participants:
        return 0, []
    if least == most:
        return participants, _buckets(least, most, scale, [participants])
    rows = await connection.fetch(
        "SELECT least(width_bucket(value::float8, $4::float8, $5::float8, $6), $6), count(*)"  # our own words
        f" {of_run} GROUP BY 1",
        space_id,
        board.number,
        run,
        least,
        most,
        BUCKETS,
    )
    users: dict[int, int] = {row[0]: row[1] for row in rows}
    return participants, _buckets(least, most, scale, [users.get(i + 1, 0) for i in range(BUCKETS)])


_DAY = {"type": "string", "format": "date"}

ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/admin/v1/leaderboards/{id}/analytics",
        shows="space",
        summary="Get analytics of a leaderboard",
        tag="Admin: leaderboards",
        needs="admin",
        statuses=(200, 404, 422, 503),
        handler=get_analytics,
        answer=Analytics,
        query=(
            Query("run", "Any day of the run. Default: the current run.", _DAY),
            Query("from", f"First day. Default: the run's first, at most {SPAN_MAX_DAYS} days back.", _DAY),
            Query("to", "Last day. Default: today, or the run's last.", _DAY),
        ),
        description="Days are read from Postgres, which is usually 0.2 s behind.",
    )
]

"""The analytics of a leaderboard, for a run and a range of days."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from podium.api.leaderboards import analytics
from podium.console.charts import Point, bars, line, short, text
from podium.console.internal_api import ask
from podium.console.pages.board_runs import board_of_path, final_runs, open_runs, today_at_home
from podium.console.pages.page import Page
from podium.console.render import page
from podium.game.errors import Unprocessable
from podium.game.leaderboards.model import Leaderboard
from podium.game.leaderboards.runs import Run, run_name, select_run
from podium.http import params
from podium.http.services import services
from podium.storage.postgres.pool import acquired

RANGES = (30, 90, 365)
"""Ranges to choose from, in days; the first is the default."""


async def get_analytics(request: Request) -> Response:
    """Render ``/console/leaderboards/{key}/analytics``.

    ``?run=`` is any day of a run, ``?days=`` one of ``RANGES``.
    """
    board, space, today = board_of_path(request), request.state.space, today_at_home(request)
    days = params.integer(request, "days", RANGES[0], RANGES[0], RANGES[-1])
    if days not in RANGES:
        raise Unprocessable(f"days must be one of {', '.join(map(str, RANGES))}")
    run = select_run(board, params.day(request, "run"), today)
    async with acquired(services(request).pool) as connection:
        finals = await final_runs(connection, space.id, board)
    # A future run has no days yet: show its first one.
    last = max(run.start, min(run.end or today, today))
    first = max(run.start, last - timedelta(days=days - 1))

    async def count() -> Any:
        query = {"run": run.start.isoformat(), "from": first.isoformat(), "to": last.isoformat()}
        found = await ask(request, analytics.get_analytics, {"id": board.id}, query)
        return found, await _joined(request, board, run, first, last)

    key = ("analytics", space.id, board.number, run, first, last)
    found, joined = await services(request).cache.get(key, count)

    def by_day(name: str) -> list[Point]:
        return [Point(row["date"], row["count"]) for row in found[name]]

    spread = [
        Point(" to ".join(text(value) for value in dict.fromkeys((row["from"], row["to"]))), row["users"])
        for row in found["distribution"]
    ]
    begins = [row["from"] for row in found["distribution"]]
    steps = [short(round(value) if abs(value) >= 1_000 else value) for value in begins]
    active, changes = by_day("activeUsers"), by_day("rankChanges")
    charts = [
        ("Participants", ("Day", "Users"), joined, line(joined) or bars(joined), _JOINED),
        ("Active users", ("Day", "Users"), active, bars(active), _ACTIVE),
        ("Rank changes", ("Day", "Changes"), changes, bars(changes), _CHANGES),
        ("Score distribution", ("Score", "Users"), spread, bars(spread, steps), _SPREAD),
    ]
    return page(
        request,
        "analytics.html",
        board=board,
        run=run,
        first=first,
        last=last,
        participants=found["participants"],
        most=max((point.value for point in active), default=0),
        moved=sum(point.value for point in changes),
        charts=charts,
        opened=open_runs(board, today, finals),
        finals=finals,
        days=days,
        ranges=RANGES,
    )


_JOINED = "Users who had scored in this run by the end of each day, those who have left since included."
_ACTIVE = "Users whose score changed on the day."
_CHANGES = "Score changes that moved their user to another place."
_SPREAD = "Users by score, in steps of equal width. Each label is the least score of its step."


async def _joined(request: Request, board: Leaderboard, run: Run, first: date, last: date) -> list[Point]:
    """Return the number of users who had scored in the run by the end of each day."""
    async with acquired(services(request).pool) as connection:
        rows = await connection.fetch(
            "SELECT greatest(day, $4), sum(joined)::bigint FROM board_days"
            " WHERE space_id = $1 AND leaderboard = $2 AND run = $3 AND day <= $5 GROUP BY 1",
            *(request.state.space.id, board.number, run_name(board, run), first, last),
        )
    new: dict[date, int] = dict(map(tuple, rows))
    points, count = [], 0
    for ago in range((last - first).days + 1):
        day = first + timedelta(days=ago)
        count += new.get(day, 0)
        points.append(Point(day.isoformat(), count))
    return points


PAGES = (Page("/console/leaderboards/{key}/analytics", get_analytics),)

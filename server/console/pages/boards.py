"""Leaderboards: the list, a live one with movers, groups and runs, its analytics, final standings as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from server.backends.postgres.pool import acquired
from server.console.ask import ask
from server.console.charts import Point, bars
from server.console.pages.page import Page
from server.console.render import page
from server.core.errors import NotFound
from server.core.periods import local_day, parse_day
from server.features.leaderboards import analytics, api, lists
from server.features.leaderboards.model import Leaderboard
from server.features.leaderboards.rules import status_on
from server.features.leaderboards.runs import run_name, run_on
from server.http.services import services

MOVERS, MOVED_AMONG = 10, 1_000
"""Top movers that are shown, and the first places among which they are looked for."""
RUNS = 30
CSV_CHUNK = 1_000
"""Rows of a download that are held at a time."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets take a cell that begins so for a formula."""


async def get_boards(request: Request) -> Response:
    """``/console/leaderboards``."""
    index = request.state.space.index
    today = local_day(services(request).clock(), index.home)
    boards = [
        {"key": board.key, "name": board.name, "status": status_on(board, today), "board": board}
        for board in index.catalog.leaderboards
    ]
    return page(request, "boards.html", boards=boards)


async def get_board(request: Request) -> Response:
    """``/console/leaderboards/{key}``."""
    board = _board(request)
    space = request.state.space
    today = local_day(services(request).clock(), space.index.home)
    shown: dict[str, Any] = {"participants": 0, "rankings": []}
    status = status_on(board, today)
    groups: list[Any] = []
    if status != "inactive":
        shown = await ask(request, api.get_leaderboard, {"key": board.key}, {"limit": 100})
        if board.group_by is not None:
            groups = (await ask(request, lists.get_groups, {"key": board.key}, {"limit": 100}))["rankings"]
    movers = await _movers(request, board, shown) if status == "active" else []
    async with acquired(services(request).pool) as connection:
        runs = await connection.fetch(
            "SELECT run, participants FROM final_runs WHERE space_id = $1 AND leaderboard = $2"
            " ORDER BY run DESC LIMIT $3",
            space.id,
            board.number,
            RUNS,
        )
    names = {row["userId"]: row["userName"] for row in shown["rankings"]}
    return page(
        request,
        "board.html",
        board=board,
        phase=status,
        shown=shown,
        groups=groups,
        movers=movers,
        names=names,
        runs=[(row["run"], _day(row["run"]), row["participants"]) for row in runs],
    )


async def _movers(request: Request, board: Leaderboard, shown: dict[str, Any]) -> list[Any]:
    """Who rose the most today, among the first places."""
    if board.breakdown_attributes:
        return []
    space = request.state.space
    rows = shown["rankings"]
    if shown["participants"] > len(rows):
        more = await ask(request, api.get_leaderboard, {"key": board.key}, {"limit": MOVED_AMONG})
        rows = more["rankings"]
    today = local_day(services(request).clock(), space.index.home)
    run = run_on(board, today)
    if run is None or not rows:
        return []
    async with acquired(services(request).pool) as connection:
        found = await connection.fetch(
            "SELECT user_id, previous_rank, rank, previous_rank - rank AS rose FROM rank_days"
            " WHERE space_id = $1 AND leaderboard = $2 AND run = $3 AND user_id = ANY ($4::text[]) AND day = $5"
            " AND previous_rank <> rank ORDER BY rose DESC, rank LIMIT $6",
            space.id,
            board.number,
            run_name(board, run),
            [row["userId"] for row in rows],
            today,
            MOVERS,
        )
    names = {row["userId"]: row["userName"] for row in rows}
    return [{**row, "name": names.get(row["user_id"]) or row["user_id"]} for row in found]


async def get_analytics(request: Request) -> Response:
    """``/console/leaderboards/{key}/analytics``."""
    board = _board(request)

    async def count() -> Any:
        return await ask(request, analytics.get_analytics, {"id": board.id})

    found = await services(request).memo.get(("analytics", request.state.space.id, board.number), count)

    def recent(rows: list[Any]) -> list[Point]:
        return [Point(row["date"], row["count"]) for row in rows[-60:]]

    spread = [Point(f"{row['from']:,.0f} to {row['to']:,.0f}", row["users"]) for row in found["distribution"]]
    charts = [
        ("Active users a day", recent(found["activeUsers"])),
        ("Rank changes a day", recent(found["rankChanges"])),
        ("How scores are distributed", spread),
    ]
    return page(
        request,
        "analytics.html",
        board=board,
        participants=found["participants"],
        charts=[(title, points, bars(points)) for title, points in charts],
    )


async def get_csv(request: Request) -> Response:
    """``/console/leaderboards/{key}/runs/{run}.csv``: final standings."""
    board, run = _board(request), request.path_params["run"]
    space, pool = request.state.space, services(request).pool

    async def rows() -> AsyncIterator[str]:
        yield _line(("rank", "group", "user", "name", "value"))
        scale = space.index.source_of(board).scale
        async with acquired(pool) as connection, connection.transaction(readonly=True):
            cursor = connection.cursor(
                "SELECT s.rank, s.grp, s.user_id, u.name, s.value FROM run_standings s"
                " LEFT JOIN users u ON u.space_id = s.space_id AND u.id = s.user_id"
                " WHERE s.space_id = $1 AND s.leaderboard = $2 AND s.run = $3 ORDER BY s.grp, s.place",
                space.id,
                board.number,
                "" if run == "all" else run,
                prefetch=CSV_CHUNK,
            )
            lines = []
            async for rank, group, user, name, value in cursor:
                lines.append(_line((rank, group, user, name or "", f"{value / scale:g}")))
                if len(lines) == CSV_CHUNK:
                    yield "".join(lines)
                    lines = []
            yield "".join(lines)

    name = f"{board.key}-{run}.csv".encode("ascii", "ignore").decode().replace('"', "")
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(rows(), media_type="text/csv; charset=utf-8", headers=headers)


def _line(values: tuple[Any, ...]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(
        ["'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value for value in values]
    )
    return out.getvalue()


def _board(request: Request) -> Leaderboard:
    board: Leaderboard | None = request.state.space.index.leaderboard_by_key.get(request.path_params["key"])
    if board is None:
        raise NotFound(f"There is no leaderboard {request.path_params['key']}")
    return board


def _day(run: str) -> str:
    return parse_day("run", f"{run[:4]}-{run[4:6]}-{run[6:8]}").isoformat() if run else "all of it"


PAGES = (
    Page("/console/leaderboards", get_boards),
    Page("/console/leaderboards/{key}", get_board),
    Page("/console/leaderboards/{key}/analytics", get_analytics),
    Page("/console/leaderboards/{key}/runs/{run}.csv", get_csv),
)

"""Final runs: their list, and their standings as a page and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from podium.api.leaderboards import queries
from podium.console.pages.board_runs import (
    asked_group,
    board_of_path,
    decimal,
    final_run_of_path,
    final_runs,
    group_label,
    groups_of_run,
)
from podium.console.pages.page import Page
from podium.console.render import page
from podium.game.errors import NotFound
from podium.game.leaderboards.model import MAX_PARTICIPANTS
from podium.game.leaderboards.ranking import board_name, group_name, group_values, scale_of
from podium.http import params
from podium.http.services import services
from podium.storage.postgres.pool import acquired

ROWS = 100
"""Rows of a page."""
CSV_CHUNK = 1_000
"""Rows of a download that are in memory at a time."""
BOM = "\ufeff"
"""The byte order mark; without it Excel does not recognise UTF-8."""
_FORMULA = tuple("=+-@＝＋－＠\t\r\n")
"""First characters of text that spreadsheets evaluate as a formula; full-width signs with Japanese settings."""


async def get_runs(request: Request) -> Response:
    """Render ``/console/leaderboards/{key}/runs``; ``?before=`` is the name of a run."""
    board = board_of_path(request)
    before = request.query_params.get("before")
    if before is not None and not before.isdecimal():
        raise NotFound("before must be a run, like 20261123")
    async with acquired(services(request).pool) as connection:
        runs = await final_runs(connection, request.state.space.id, board, ROWS + 1, before)
    return page(request, "runs.html", board=board, runs=runs[:ROWS], more=len(runs) > ROWS)


async def get_standings(request: Request) -> Response:
    """Render ``/console/leaderboards/{key}/runs/{run}``.

    ``?group=`` is a group's name, ``?offset=`` the rows to skip.
    """
    board, space = board_of_path(request), request.state.space
    offset = params.integer(request, "offset", 0, 0, MAX_PARTICIPANTS)
    source = space.index.source_of(board)
    async with acquired(services(request).pool) as connection:
        run = await final_run_of_path(request, connection, board)
        groups = await groups_of_run(connection, space.id, board, run.name, final=True)
        group = asked_group(request, board, groups)
        rows = await connection.fetch(
            "SELECT s.rank, s.user_id, coalesce(s.name, u.name) AS name, s.value, s.attributes"
            " FROM run_standings s LEFT JOIN users u ON u.space_id = s.space_id AND u.id = s.user_id"
            " WHERE s.space_id = $1 AND s.leaderboard = $2 AND s.run = $3 AND s.grp = $4 AND s.place > $5"
            " ORDER BY s.place LIMIT $6",
            *(space.id, board.number, run.name, group, offset, ROWS + 1),
        )
        ranked: list[queries.Group] = []
        if board.group_by is not None:
            of_run = board_name(board.number, run.name)
            ranked, _ = await queries.read_final_groups(connection, space.id, of_run, 0, ROWS)
    return page(
        request,
        "standings.html",
        board=board,
        source=source,
        run=run,
        rows=[
            {
                "rank": row["rank"],
                "user": row["user_id"],
                "name": row["name"],
                "value": decimal(row["value"], source.scale),
                "group": group_label(board, group) or row["attributes"].get(board.group_by or "", ""),
            }
            for row in rows[:ROWS]
        ],
        ranked=[
            {
                "rank": one.rank,
                "group": group_name((one.group,)),
                "label": one.group,
                "value": one.units / scale_of(source.scale, board.order) + 0.0,
                "members": one.members,
            }
            for one in ranked
        ],
        groups=[(one, group_label(board, one)) for one in groups],
        group=group,
        offset=offset,
        step=ROWS,
        more=len(rows) > ROWS,
    )


async def get_csv(request: Request) -> Response:
    """``/console/leaderboards/{key}/runs/{run}.csv``: final standings, in all groups."""
    board = board_of_path(request)
    space, pool = request.state.space, services(request).pool
    scale = space.index.source_of(board).scale
    async with acquired(pool) as connection:
        run = await final_run_of_path(request, connection, board)

    async def rows() -> AsyncIterator[str]:
        yield BOM + _line(("rank", "group", "user", "name", "value"))
        async with acquired(pool) as connection, connection.transaction(readonly=True):
            cursor = connection.cursor(
                "SELECT s.rank, s.grp, s.user_id, coalesce(s.name, u.name, ''), s.value FROM run_standings s"
                " LEFT JOIN users u ON u.space_id = s.space_id AND u.id = s.user_id"
                " WHERE s.space_id = $1 AND s.leaderboard = $2 AND s.run = $3 ORDER BY s.grp, s.place",
                space.id,
                board.number,
                run.name,
                prefetch=CSV_CHUNK,
            )
            lines = []
            async for rank, group, user, name, value in cursor:
                values = (_text(", ".join(group_values(group))), _text(user), _text(name))
                lines.append(_line((rank, *values, f"{decimal(value, scale):f}")))
                if len(lines) == CSV_CHUNK:
                    yield "".join(lines)
                    lines = []
            yield "".join(lines)

    headers = {
        "Content-Disposition": f'attachment; filename="{board.key}-{run.path}.csv"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(rows(), media_type="text/csv; charset=utf-8", headers=headers)


def _text(value: str) -> str:
    """Escape a text that a spreadsheet would evaluate as a formula.

    Numbers, which may be negative, need no escape.
    """
    return f"'{value}" if value.startswith(_FORMULA) else value


def _line(values: tuple[Any, ...]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(values)
    return out.getvalue()


PAGES = (
    Page("/console/leaderboards/{key}/runs", get_runs),
    Page("/console/leaderboards/{key}/runs/{run}.csv", get_csv),
    Page("/console/leaderboards/{key}/runs/{run}", get_standings),
)

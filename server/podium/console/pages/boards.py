"""The list of leaderboards, and the page of one with its live ranking, movers, groups and runs."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from podium.api.leaderboards import lists
from podium.api.leaderboards import queries as store
from podium.api.leaderboards.lookup import Found, Reader, board_of, find, run_info
from podium.console.internal_api import ask
from podium.console.pages import board_analytics, standings
from podium.console.pages.board_runs import (
    asked_group,
    board_of_path,
    decimal,
    final_runs,
    group_label,
    groups_of_run,
    live_group,
    open_runs,
    today_at_home,
)
from podium.console.pages.page import Page
from podium.console.render import page
from podium.game.errors import Unavailable
from podium.game.leaderboards.model import Leaderboard
from podium.game.leaderboards.ranking import board_name
from podium.game.leaderboards.rules import status_on
from podium.game.leaderboards.runs import Run, is_final, run_name, run_on, select_run, within
from podium.http import params
from podium.http.services import services
from podium.jobs.backfill_progress import BackfillProgress, read_backfills
from podium.storage.postgres.pool import acquired
from podium.storage.redis.client import AWAY, unavailable

SHOWN = 100
"""Rows of a ranking on a page."""
BOARDS_SHOWN = 50
"""Leaderboards on a page of the list."""
MOVERS, MOVED_AMONG = 10, 1_000
"""Number of top movers that are shown, and of first places among which they are searched."""
SEARCHED_FROM = 20
"""With more leaderboards than this, the list has a search field."""


async def get_boards(request: Request) -> Response:
    """Render ``/console/leaderboards``."""
    index = request.state.space.index
    asked = request.query_params.get("search", "").strip()
    offset = params.integer(request, "offset", 0, 0, 1_000_000)
    every = index.catalog.leaderboards
    found = [board for board in every if _matches(request, board, asked.casefold())]
    shown = found[offset : offset + BOARDS_SHOWN]
    today = today_at_home(request)
    counts, problem = {}, ""
    try:
        counts = await _participants(request, shown, today)
    except Unavailable as error:  # the list is useful without them
        problem = f"{error}: numbers of participants are not available now."
    finals = await _final_counts(request, shown)
    backfills = await _backfills(request, shown)
    return page(
        request,
        "boards.html",
        boards=[
            {
                "board": board,
                "status": status_on(board, today),
                "source": index.source_of(board),
                "participants": counts.get(board.number),
                "run": run_on(board, today),
                "finals": finals.get(board.number, 0),
                "backfill": backfills.get(board.number, ""),
            }
            for board in shown
        ],
        problem=problem,
        asked=asked,
        searched=len(every) > SEARCHED_FROM or bool(asked),
        every=len(every),
        count=len(found),
        offset=offset,
        step=BOARDS_SHOWN,
    )


def _matches(request: Request, board: Leaderboard, asked: str) -> bool:
    """Return whether the search text is in the name or key of a leaderboard, its metric or points system."""
    source = request.state.space.index.source_of(board)
    return any(asked in text.casefold() for text in (board.name, board.key, source.name, source.key))


async def _participants(request: Request, boards: list[Leaderboard], today: date) -> dict[int, int]:
    """Return the participants of current or last runs, by the leaderboard's number.

    Redis has the size of each board. A leaderboard with a breakdown has many boards, whose names Postgres has.
    """
    parts, space = services(request), request.state.space
    if space.epoch is None:
        raise Unavailable("Redis is being rebuilt")
    found: dict[int, int] = {}
    runs = [(board, run) for board in boards if (run := run_on(board, within(board, today))) is not None]
    plain = [(board, run) for board, run in runs if not board.breakdown_attributes and not is_final(board, run)]
    try:
        async with parts.redis.raw.pipeline(transaction=False) as pipeline:
            for board, run in plain:
                pipeline.zcard(space.keys.board(board_name(board.number, run_name(board, run))))
            counts = await pipeline.execute()
    except AWAY as error:
        raise unavailable(error) from error
    found.update(zip((board.number for board, _ in plain), counts, strict=True))
    for board, run in runs:
        if board.number not in found:
            count = _counting(request, board, run_name(board, run))
            found[board.number] = await parts.cache.get(("participants", space.id, board.number, run), count)
    return found


def _counting(request: Request, board: Leaderboard, run: str) -> Any:
    async def count() -> int:
        parts, space = services(request), request.state.space
        async with acquired(parts.pool) as connection:
            counted: int | None = await connection.fetchval(
                "SELECT participants FROM final_runs WHERE space_id = $1 AND leaderboard = $2 AND run = $3",
                space.id,
                board.number,
                run,
            )
            if counted is not None:
                return counted
            groups = await store.read_run_groups(connection, space.id, board.number, run)
        names = [board_name(board.number, run)]
        if board.breakdown_attributes:
            names = [board_name(board.number, run, group) for group in groups]
        return sum(await store.count_participants(parts.redis, space, names))

    return count


async def _final_counts(request: Request, boards: list[Leaderboard]) -> dict[int, int]:
    """Return the numbers of final runs, by the leaderboard's number."""
    async with acquired(services(request).pool) as connection:
        rows = await connection.fetch(
            "SELECT leaderboard, count(*) FROM final_runs"
            " WHERE space_id = $1 AND leaderboard = ANY ($2::integer[]) GROUP BY leaderboard",
            request.state.space.id,
            [board.number for board in boards],
        )
    return dict(map(tuple, rows))


async def _backfills(request: Request, boards: list[Leaderboard]) -> dict[int, str]:
    """Return texts on the progress of unfinished backfills, by the leaderboard's number."""
    async with acquired(services(request).pool) as connection:
        found = await read_backfills(connection, request.state.space.id, boards)
    return {number: text for number, one in found.items() if (text := _backfill_text(one))}


def _backfill_text(one: BackfillProgress) -> str:
    users = "user" if one.set_aside == 1 else "users"
    match one.state:
        case "pending":
            return "backfill 0 %"
        case "filling":
            return f"backfill {one.percent} %"
        case "retrying":
            return f"backfill: {one.set_aside:,} {users} to retry"
        case "incomplete":
            return f"backfill done except for {one.set_aside:,} {users}"
        case "done":
            return ""


async def get_board(request: Request) -> Response:
    """Render ``/console/leaderboards/{key}``; ``?run=`` is any day of a run, ``?group=`` a group's name."""
    board, space, today = board_of_path(request), request.state.space, today_at_home(request)
    found = find(space, board, services(request).clock())
    run = select_run(board, params.day(request, "run"), today)
    name = run_name(board, run)
    async with acquired(services(request).pool) as connection:
        finals = await final_runs(connection, space.id, board)
        if "run" in request.query_params and await store.has_standings(
            connection, space.id, board_name(board.number, name)
        ):
            path = f"/console/leaderboards/{quote(board.key)}/runs/{name or 'all'}"
            asked = {"group": request.query_params.get("group", "")}
            return RedirectResponse(f"{path}?{urlencode(asked)}", 303)
        is_written = name in {one.name for one in finals}
        groups = await groups_of_run(connection, space.id, board, name, final=is_written)
    if groups and not is_written:
        boards = [board_name(board.number, name, group) for group in groups]
        counts = await store.count_participants(services(request).redis, space, boards)
        groups = [group for group, count in zip(groups, counts, strict=True) if count]
    group = asked_group(request, board, groups)
    seen = _NOTHING if found is None else await _read_run(request, found, run, group)
    return page(
        request,
        "board.html",
        board=board,
        source=space.index.source_of(board),
        phase=status_on(board, today),
        backfill=(await _backfills(request, [board])).get(board.number, ""),
        run=run,
        today=today,
        seen=seen,
        groups=[(one, group_label(board, one)) for one in groups],
        group=group,
        label=group_label(board, group),
        live_group=live_group(board, group),
        opened=open_runs(board, today, finals),
        finals=finals,
    )


class _RunView(NamedTuple):
    """The data of a run on its page; ``movers`` is None where there is no earlier day to compare with."""

    state: str
    participants: int
    rows: list[dict[str, Any]]
    movers: list[dict[str, Any]] | None
    ranked_groups: list[dict[str, Any]]


_NOTHING = _RunView("", 0, [], [], [])


async def _read_run(request: Request, found: Found, run: Run, group: str) -> _RunView:
    board = found.board
    state = run_info(request, found, run).state
    if board.breakdown_attributes and not group:
        return _NOTHING._replace(state=state)
    reader = Reader(request, found, run, board_of(found, run, group or None))
    current = state == "live" and (board.breakdown_attributes or not group)
    ranking = await reader.page(0, MOVED_AMONG if current else SHOWN)
    ranked: list[dict[str, Any]] = []
    if board.group_by is not None:
        query = {"limit": SHOWN, "run": run.start.isoformat()}
        ranked = (await ask(request, lists.get_groups, {"key": board.key}, query))["rankings"]
    return _RunView(
        state,
        ranking.participants,
        [
            {"rank": row.rank, "user": row.user, "name": row.label.name, "value": decimal(row.units, found.scale)}
            for row in ranking.rows[:SHOWN]
        ],
        await _movers(request, found, run, ranking) if current else [],
        ranked,
    )


async def _movers(request: Request, found: Found, run: Run, ranking: store.Page) -> list[dict[str, Any]] | None:
    """Return the users who rose the most today, among the first places.

    Compared are the rank before a user's first change of the day and the present one. None on a run's first day,
    on which nobody had a rank before.
    """
    today = today_at_home(request)
    if run.start == today:
        return None
    async with acquired(services(request).pool) as connection:
        rows = await connection.fetch(
            "SELECT user_id, previous_rank FROM rank_history WHERE space_id = $1 AND leaderboard = $2 AND run = $3"
            " AND user_id = ANY ($4::text[]) AND day = $5 AND previous_rank IS NOT NULL",
            request.state.space.id,
            found.board.number,
            run_name(found.board, run),
            [row.user for row in ranking.rows],
            today,
        )
    before: dict[str, int] = dict(map(tuple, rows))
    risen = [row for row in ranking.rows if before.get(row.user, 0) > row.rank]
    risen.sort(key=lambda row: row.rank - before[row.user])
    return [
        {"user": row.user, "name": row.label.name, "before": before[row.user], "rank": row.rank}
        for row in risen[:MOVERS]
    ]


PAGES = (
    Page("/console/leaderboards", get_boards),
    Page("/console/leaderboards/{key}", get_board),
    *standings.PAGES,
    *board_analytics.PAGES,
)

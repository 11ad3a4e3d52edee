"""A user's places: each leaderboard with rank, value, change, and a sparkline of former ranks."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from starlette.requests import Request

from podium.api.leaderboards import app
from podium.console.charts import spark
from podium.console.internal_api import ask
from podium.console.pages.board_runs import live_group
from podium.game.leaderboards.model import Leaderboard
from podium.game.leaderboards.ranking import board_name, is_ranked
from podium.game.leaderboards.runs import run_name, run_on
from podium.game.state import UserState
from podium.http.users import snapshot_of

SPARK_DAYS, SPARK_RUNS = 30, 14
"""Former ranks in a sparkline: the last of each day on a perpetual leaderboard, of each run on a repeating one."""
DRAWN = 25
"""Leaderboards with a sparkline; with more the page would be too large."""

_RANKS = """
SELECT b.leaderboard, b.run, d.day, d.rank
FROM unnest($3::integer[], $4::text[], $5::integer[]) AS b (leaderboard, run, days)
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (day) day, rank FROM (
        -- The newest days along either primary key, those of an earlier release last.
        (SELECT p.day, (p.places -> (b.leaderboard || ':' || b.run) ->> 0)::integer AS rank, 1 AS age
         FROM place_days p
         WHERE p.space_id = $1 AND p.user_id = $2 AND p.places ? (b.leaderboard || ':' || b.run)
         ORDER BY p.day DESC LIMIT b.days)
        UNION ALL
        (SELECT r.day, r.rank, 2 FROM rank_days r
         WHERE r.space_id = $1 AND r.leaderboard = b.leaderboard AND r.run = b.run AND r.user_id = $2
         ORDER BY r.day DESC LIMIT b.days)
    ) AS newest ORDER BY day DESC, age LIMIT b.days
) AS d
ORDER BY b.leaderboard, d.day
"""


async def places_of(request: Request, user: str, state: UserState, today: date) -> list[dict[str, Any]]:
    """Return a user's places as the API has them, each with these fields besides.

    - ``history``: former ranks and the present one, as (label, rank), the oldest first;
    - ``change``: places gained since the last former rank, None without one, and ``since``, its label;
    - ``spark``: the sparkline;
    - ``group``: the group as live channels name it, "" without one.
    """
    places: list[dict[str, Any]] = await ask(request, app.get_user_leaderboards, {"id": user})
    # Read after the await: leaderboards may have been added or deleted meanwhile.
    index = request.state.space.index
    places = [place for place in places if place["key"] in index.leaderboard_by_key]
    boards = {place["key"]: index.leaderboard_by_key[place["key"]] for place in places}
    found = await _ranks(request, user, list(boards.values()), today)
    for at, place in enumerate(places):
        board = boards[place["key"]]
        now = "now"
        former = [
            (label, rank) for label, rank in found.get(board.number, ()) if label != _label_now(board, today)
        ]
        history = [*former, (now, place["rank"])] if place["rank"] is not None else former
        place["history"] = history
        place["group"] = _group(board, state, today)
        place["change"], place["since"] = None, ""
        if former and place["rank"] is not None:
            place["since"], before = former[-1]
            place["change"] = before - place["rank"]
        place["spark"] = spark([rank for _, rank in history], falling_is_good=True) if at < DRAWN else ""
    return places


async def _ranks(
    request: Request, user: str, boards: list[Leaderboard], today: date
) -> dict[int, list[tuple[str, int]]]:
    """Return former ranks by the leaderboard's number: (day or first day of the run, rank), the oldest first."""
    asked = [(board.number, run, days) for board in boards for run, days in _asked(board, today)]
    if not asked:
        return {}
    async with snapshot_of(request, user) as (connection, _):
        rows = await connection.fetch(_RANKS, request.state.space.id, user, *map(list, zip(*asked, strict=True)))
    found: dict[int, list[tuple[str, int]]] = {}
    for number, run, day, rank in rows:
        label = f"{run[:4]}-{run[4:6]}-{run[6:]}" if run else day.isoformat()
        found.setdefault(number, []).append((label, rank))
    return found


def _asked(board: Leaderboard, today: date) -> list[tuple[str, int]]:
    """Return the runs to read, with the number of days of each."""
    if board.run_unit is None:
        return [("", SPARK_DAYS)]
    runs: list[tuple[str, int]] = []
    day = today
    while len(runs) < SPARK_RUNS and (run := run_on(board, day)) is not None:
        runs.append((run_name(board, run), 1))
        if run.start == date.min:
            break
        day = run.start - timedelta(days=1)
    return runs


def _group(board: Leaderboard, state: UserState, today: date) -> str:
    run = run_on(board, today) if board.breakdown_attributes else None
    if run is None:
        return ""
    name = f"{board_name(board.number, run_name(board, run))}:"
    found = next((one for one in state.boards if one.startswith(name) and is_ranked(one)), None)
    return "" if found is None else live_group(board, found.removeprefix(name))


def _label_now(board: Leaderboard, today: date) -> str:
    """Return the label of the present day or run. Its last rank is the present one, which is added separately."""
    if board.run_unit is None:
        return today.isoformat()
    run = run_on(board, today)
    return run.start.isoformat() if run is not None else ""

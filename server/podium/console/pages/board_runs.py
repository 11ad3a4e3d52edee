"""The leaderboard, run and group that a page shows, and the runs and groups to choose from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import quote

from starlette.requests import Request

from podium.api.leaderboards.queries import read_run_groups
from podium.game.errors import NotFound
from podium.game.leaderboards.model import Leaderboard
from podium.game.leaderboards.ranking import group_name, group_values
from podium.game.leaderboards.runs import Run, RunState, is_final, run_name, run_on, run_state, within
from podium.game.periods import local_day
from podium.http.services import services
from podium.storage.postgres.pool import PoolConnection

OPEN_MAX = 30
"""Most runs to choose from that are not final. Usually there are one or two; a new leaderboard that starts in the
past has many."""
FINAL_MAX = 30
"""Most final runs to choose from; all are on a page of their own."""
GROUPS_MAX = 500
"""Most groups to choose from."""
_RUN = re.compile(r"[0-9]{8}\Z|all\Z")


class FinalRun(NamedTuple):
    """A run whose final standings are stored."""

    name: str
    start: date
    end: date
    participants: int

    @property
    def path(self) -> str:
        """The run's name in URLs."""
        return self.name or "all"


class OpenRun(NamedTuple):
    """A run that may still change, or whose final standings are not stored yet."""

    run: Run
    state: RunState


def board_of_path(request: Request) -> Leaderboard:
    """Return the leaderboard with the path's ``key``, active or not. Raises ``NotFound``."""
    key = request.path_params["key"]
    board: Leaderboard | None = request.state.space.index.leaderboard_by_key.get(key)
    if board is None:
        raise NotFound(f"There is no leaderboard {key}")
    return board


def today_at_home(request: Request) -> date:
    """Return today's date in the space's home zone."""
    return local_day(services(request).clock(), request.state.space.index.home)


def open_runs(board: Leaderboard, today: date, final: Sequence[FinalRun]) -> list[OpenRun]:
    """Return the current run and those before it that are not final yet, the newest first."""
    found: list[OpenRun] = []
    written = {run.name for run in final}
    run = run_on(board, within(board, today))
    while run is not None and len(found) < OPEN_MAX:
        if run_name(board, run) not in written:
            found.append(OpenRun(run, run_state(board, run, today)))
        if is_final(board, run):
            break
        run = run_on(board, run.start - timedelta(days=1)) if board.run_unit is not None else None
    return found


async def final_runs(
    connection: PoolConnection,
    space_id: int,
    board: Leaderboard,
    limit: int = FINAL_MAX,
    before: str | None = None,
) -> list[FinalRun]:
    """Return the newest final runs, or those before the run with the name ``before``."""
    rows = await connection.fetch(
        "SELECT run, start_day, end_day, participants FROM final_runs WHERE space_id = $1 AND leaderboard = $2"
        " AND ($3::text IS NULL OR run < $3) ORDER BY run DESC LIMIT $4",
        space_id,
        board.number,
        before,
        limit,
    )
    return [FinalRun(*row) for row in rows]


async def final_run_of_path(request: Request, connection: PoolConnection, board: Leaderboard) -> FinalRun:
    """Return the final run that the path's ``run`` names. Raises ``NotFound``."""
    text: str = request.path_params["run"]
    if _RUN.match(text):
        row = await connection.fetchrow(
            "SELECT run, start_day, end_day, participants FROM final_runs"
            " WHERE space_id = $1 AND leaderboard = $2 AND run = $3",
            request.state.space.id,
            board.number,
            "" if text == "all" else text,
        )
        if row is not None:
            return FinalRun(*row)
    raise NotFound(f"The leaderboard {board.key} has no final standings of a run {text[:20]}")


async def groups_of_run(
    connection: PoolConnection, space_id: int, board: Leaderboard, run: str, *, final: bool
) -> list[str]:
    """Return the names (``group_name``) of groups with participants, at most ``GROUPS_MAX``; of a run that is not
    ``final`` also those that participants have left."""
    if board.group_by is None and not board.breakdown_attributes:
        return []
    if not final:
        found = await read_run_groups(connection, space_id, board.number, run)
        return sorted(found, key=group_values)[:GROUPS_MAX]
    of_run = "FROM run_standings WHERE space_id = $1 AND leaderboard = $2 AND run = $3"
    # Skip from group to group along the primary key: a plain DISTINCT would read every entry.
    rows = await connection.fetch(
        f"WITH RECURSIVE groups AS ((SELECT grp {of_run} AND grp > '' ORDER BY grp LIMIT 1) UNION ALL"  # noqa: S608 # our own words
        f" SELECT (SELECT grp {of_run} AND grp > groups.grp ORDER BY grp LIMIT 1) FROM groups"
        " WHERE groups.grp IS NOT NULL) SELECT grp FROM groups WHERE grp IS NOT NULL LIMIT $4",
        space_id,
        board.number,
        run,
        GROUPS_MAX,
    )
    return sorted((row["grp"] for row in rows), key=group_values)


def asked_group(request: Request, board: Leaderboard, groups: Sequence[str]) -> str:
    """Return the group that the query's ``group`` names.

    Without it, it is the first group where the leaderboard has a breakdown, else "" (all users).

    Raises:
        NotFound: the leaderboard has no such group.
    """
    grouped = board.group_by is not None or board.breakdown_attributes
    if grouped and (text := request.query_params.get("group")):
        values = group_values(text)
        if len(values) != max(1, len(board.breakdown_attributes)) or not all(values):
            raise NotFound("There is no such group on this leaderboard")
        return group_name(values)
    return groups[0] if groups and board.breakdown_attributes else ""


def group_label(board: Leaderboard, group: str) -> str:
    """Return the label of a group: "city: London, team: red", or just "London" where groups are ranked."""
    if not group:
        return ""
    values = group_values(group)
    if not board.breakdown_attributes:
        return values[0]
    return ", ".join(f"{key}: {value}" for key, value in zip(board.breakdown_attributes, values, strict=False))


def live_group(board: Leaderboard, group: str) -> str:
    """Return the group of a breakdown as live channels name it: ``city=London&team=red``."""
    pairs = zip(board.breakdown_attributes, group_values(group), strict=False)
    return "&".join(f"{quote(key)}={quote(value, safe='')}" for key, value in pairs)


def decimal(units: int, scale: int) -> Decimal:
    """Return the exact value of whole units; ``scale`` of them, a power of ten, are 1."""
    return Decimal(units) / scale

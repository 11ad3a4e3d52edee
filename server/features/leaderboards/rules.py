"""What an event does to a user's standings, and what a leaderboard's status is on a day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Literal, NamedTuple

from server.core.errors import Unprocessable
from server.core.numbers import UNITS_MAX
from server.features.leaderboards.model import Leaderboard, Standing
from server.features.leaderboards.ranking import board_name, split_board
from server.features.leaderboards.runs import run_name, run_on

LATE_DAYS = 7
"""An event up to this much older than the user's newest counts in every run (contract.md, section 16)."""
KEPT_DAYS = LATE_DAYS + 2
"""A state keeps a run's standing this long after the run: the late days, and a move across the date line."""

ShownStatus = Literal["inactive", "scheduled", "active", "finished"]


def status_on(board: Leaderboard, today: date) -> ShownStatus:
    """The status as shown on a day (of the space's home zone): dates move an active one by themselves."""
    if board.status != "active":
        return board.status
    if today < board.start:
        return "scheduled"
    return "finished" if board.end is not None and today > board.end else "active"


class OpenBoard(NamedTuple):
    """A board that an event of a day counts on: its name, and whether its leaderboard repeats."""

    name: str
    repeats: bool


def open_boards(leaderboards: Iterable[Leaderboard], day: date) -> tuple[OpenBoard, ...]:
    """The boards of ``leaderboards`` that a local day belongs to."""
    return tuple(
        OpenBoard(board_name(board.number, run_name(board, run)), board.run_unit is not None)
        for board in leaderboards
        if (run := run_on(board, day)) is not None
    )


def score_changes(
    boards: Iterable[OpenBoard], standings: dict[str, Standing], at_ms: int, units: int, late: bool
) -> dict[str, Standing]:
    """The standings that ``units`` at ``at_ms`` change, by board.

    ``late`` events, older than ``LATE_DAYS``, move perpetual boards only. A standing's time is the later of
    the event's and its own, and changes only when the value does. 422 if a score can't be counted exactly.
    """
    changed = {}
    for name, repeats in boards:
        if late and repeats:
            continue
        old = standings.get(name)
        if old is None:
            changed[name] = Standing(units, at_ms)
        elif units:
            value = old.value + units
            if abs(value) > UNITS_MAX:
                raise Unprocessable("the score on a leaderboard would be too large to count exactly")
            changed[name] = Standing(value, max(at_ms, old.reached_ms))
    return changed


def outdated(standings: dict[str, Standing], by_number: dict[int, Leaderboard], newest: date) -> list[str]:
    """The boards whose run ended so long before ``newest`` that no event of this user can reach it."""
    limit = newest - timedelta(days=KEPT_DAYS)
    gone = []
    for name in standings:
        number, run = split_board(name)
        board = by_number.get(number)
        if not run or board is None:
            continue
        held = run_on(board, date(int(run[:4]), int(run[4:6]), int(run[6:])))
        if held is None or (held.end is not None and held.end < limit):
            gone.append(name)
    return gone

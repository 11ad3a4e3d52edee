"""The rules of a backfill: count stored events on a leaderboard that didn't exist when they were posted.

A backfill sets the standing that a user shall have in each run, and never adds to one. So it can be repeated,
aborted and restarted, and events that were counted live meanwhile are among the stored events already.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import NamedTuple

from podium.game.leaderboards.model import Leaderboard, Standing
from podium.game.leaderboards.ranking import board_name, is_ranked, split_board
from podium.game.leaderboards.rules import (
    Changes,
    OpenBoard,
    is_blocked,
    open_boards,
    standing_after,
    standing_places,
    takes_part,
)
from podium.game.leaderboards.runs import is_named_final

PIECE_MOVES = 50
"""Board moves of one input of a backfill: half of what a call to Redis takes, about 2 ms of its time."""


class RunScores:
    """Computes the standings of one user in the runs of a leaderboard that are not final, score by score."""

    def __init__(self, board: Leaderboard, opened: dict[date, tuple[OpenBoard, ...]] | None = None) -> None:
        """``opened`` caches the runs of days, for all users of one catalog."""
        self.standings: dict[str, Standing] = {}
        """By the name of the board of all users."""
        self._board = board
        self._opened = {} if opened is None else opened

    def add(self, moment: datetime, at_ms: int, day: date, units: int, *, late: bool) -> None:
        """Count a score at a local time, instant (ms) and local day. Scores must come in the order of time."""
        boards = self._opened.get(day)
        if boards is None:
            boards = self._opened[day] = open_boards((self._board,), day)
        for _, name, _, window in boards:
            if late and self._board.run_unit is not None:
                continue
            if window is not None and not window.holds(moment.time()):
                continue
            new = standing_after(self._board, self.standings.get(name), at_ms, units)
            if new is not None:
                self.standings[name] = new


def filled(board: Leaderboard, scores: Iterable[tuple[datetime, int, date, int, bool]]) -> dict[str, Standing]:
    """Return the standings that a user's events give, as in ``RunScores``. ``scores`` are local time, instant
    (ms), local day, units, and True if late, in the order of time."""
    runs = RunScores(board)
    for moment, at_ms, day, units, late in scores:
        runs.add(moment, at_ms, day, units, late=late)
    return runs.standings


def placed(
    board: Leaderboard,
    standings: Mapping[str, Standing],
    attributes: Mapping[str, str],
    wanted: Mapping[str, Standing | None],
    blocked: Collection[str],
) -> Changes:
    """Return the changes that give the user the ``wanted`` standings, by the name of the board of all: on that
    board, or on that of the user's group; None takes the user off the run. ``standings`` are all that the user has
    in those runs.

    A user stands in one group: another one is left, as after a change of attributes. With ``keepOnLeave`` it keeps
    what the user scored for it, and the rest of a sum counts for the group of now.
    """
    if not takes_part(board, attributes):
        return {}
    held = _by_run(board, standings)
    changed: Changes = {}
    for name, new in wanted.items():
        # The run may have become final since the standings were read.
        if is_blocked(blocked, name) or is_named_final(board, split_board(name).run):
            continue
        if new is None:
            changed.update(dict.fromkeys(held.get(name, ())))
            continue
        places = standing_places(board, name, attributes)
        kept = 0
        for other in held.get(name, ()):
            if other in places:
                continue
            if board.group_by is not None and board.keep_on_leave and other != name and is_ranked(other):
                kept += standings[other].value
            else:
                changed[other] = None
        for place in places:
            ours = new
            if kept and place != name and board.scoring == "sum":
                ours = Standing(new.value - kept, new.reached_ms)
            if standings.get(place) != ours:
                changed[place] = ours
    return changed


def _by_run(board: Leaderboard, standings: Mapping[str, Standing]) -> dict[str, list[str]]:
    """Return the boards of a leaderboard on which a user stands, by the name of the board of all users."""
    found: dict[str, list[str]] = {}
    for place in standings:
        number, run, _ = split_board(place)
        if number == board.number:
            found.setdefault(board_name(number, run), []).append(place)
    return found


class Piece(NamedTuple):
    """A part of a user's backfill: standings by the leaderboard's number and the name of the board of all users,
    and the leaderboards that are complete with it."""

    standings: dict[int, dict[str, Standing | None]]
    done: tuple[int, ...]
    moves: int


def cut(changes: Mapping[int, Changes], wanted: Mapping[int, Mapping[str, Standing | None]]) -> Iterator[Piece]:
    """Cut a user's backfill into pieces of about ``PIECE_MOVES`` board moves. ``changes`` are by leaderboard
    number.

    A run is never divided, since its boards change together.
    """
    standings: dict[int, dict[str, Standing | None]] = {}
    done: list[int] = []
    moves = 0
    for number, of_board in changes.items():
        runs: dict[str, int] = {}
        for place in of_board:
            name = board_name(*split_board(place)[:2])
            runs[name] = runs.get(name, 0) + is_ranked(place)
        for name, count in runs.items():
            if moves and moves + count > PIECE_MOVES:
                yield Piece(standings, tuple(done), moves)
                standings, done, moves = {}, [], 0
            standings.setdefault(number, {})[name] = wanted[number][name]
            moves += count
        standings.setdefault(number, {})
        done.append(number)
    if done:
        yield Piece(standings, tuple(done), moves)

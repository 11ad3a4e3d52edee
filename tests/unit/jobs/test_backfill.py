"""A backfill as pieces and calls: what is counted already is none, and a call leaves others their time."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

import pytest

from podium.game.leaderboards.backfill import Piece
from podium.game.leaderboards.model import Leaderboard, Standing
from podium.game.state import UserState
from podium.game.users.model import Profile
from podium.intake.queue import CALL_INPUTS, CALL_MOVES
from podium.jobs.backfill import _batches
from podium.jobs.backfill_plans import Plan, pieces_of, run_of

DAILY = Leaderboard(
    "d", 3, "daily", "Daily", "m", date(2026, 1, 1), status="active", run_unit="day", run_interval=1
)


def state(**fields: Any) -> UserState:
    return UserState(Profile(1, 1), **fields)


def plan(user: str, *sizes: int) -> tuple[Plan, str]:
    pieces = [Piece({3: {f"3:{day}": Standing(1, 1) for day in range(size)}}, (), size) for size in sizes]
    return Plan(user, "t", pieces, {}), "t"


@pytest.mark.parametrize(
    ("board", "run"), [("3:", "3:"), ("3:20261123", "3:20261123"), ("3:20261123:Zug", "3:20261123")]
)
def test_a_board_belongs_to_the_run_of_all(board: str, run: str) -> None:
    assert run_of(board) == run


def test_history_that_is_not_counted_yet_is_in_pieces() -> None:
    wanted = {3: {"3:20261122": Standing(5_000, 10), "3:20261123": Standing(7_000, 20)}}
    pieces = pieces_of([DAILY], state(), wanted, {})
    found = {name: one for piece in pieces for name, one in piece.standings[3].items()}
    assert found == wanted[3]
    assert [piece.done for piece in pieces][-1] == (3,)


def test_where_everything_is_counted_there_is_none() -> None:
    standing = Standing(5_000, 10)
    held = state(boards={"3:20261122": standing})
    assert pieces_of([DAILY], held, {3: {"3:20261122": standing}}, {}) == []
    assert pieces_of([DAILY], state(), {3: {"3:20261122": standing}}, {"3:20261122": standing}) == []
    assert pieces_of([DAILY], state(), {}, {}) == []


def test_a_user_who_was_barred_from_a_run_is_not_put_back() -> None:
    barred = state(blocked=("3:20261122",))
    assert pieces_of([DAILY], barred, {3: {"3:20261122": Standing(5_000, 10)}}, {}) == []


@pytest.mark.parametrize(
    ("moves", "calls"),
    [
        ([1] * 40, [CALL_INPUTS, 8]),
        ([60, 40, 1], [2, 1]),
        ([60, 41], [1, 1]),
        ([CALL_MOVES + 50, 1], [1, 1]),
        ([], []),
    ],
)
def test_a_call_takes_so_many_users_and_moves(moves: list[int], calls: list[int]) -> None:
    plans = [plan(f"u{n:02}", size) for n, size in enumerate(moves)]
    found = list(_batches(plans, 0))
    assert [len(batch) for batch in found] == calls
    users = [one.user for batch in found for one, _ in batch]
    assert all(before < after for before, after in pairwise(users))


def test_the_second_pieces_count_for_the_second_calls() -> None:
    plans = [plan("a", 1, 90), plan("b", 1, 90)]
    assert [len(batch) for batch in _batches(plans, 0)] == [2]
    assert [len(batch) for batch in _batches(plans, 1)] == [1, 1]
